"""The CAs an admin may choose by name. Only what their directories do not say; the rest is read from the directory."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Preset:
    """One CA: how it is called, where it is, and what it takes. `validity_days` is what it issues by default."""

    slug: str
    display_name: str
    directory_url: str
    private_ca: bool
    max_names: int
    wildcard: bool
    validity_days: int
    eab: bool
    note: str


LETS_ENCRYPT = "letsencrypt"

PRESETS: tuple[Preset, ...] = (
    Preset(
        slug=LETS_ENCRYPT,
        display_name="Let’s Encrypt",
        directory_url="https://acme-v02.api.letsencrypt.org/directory",
        private_ca=False,
        max_names=100,
        wildcard=True,
        validity_days=90,
        eab=False,
        note="Free, no account needed beforehand.",
    ),
    Preset(
        slug="letsencrypt-staging",
        display_name="Let’s Encrypt (staging)",
        directory_url="https://acme-staging-v02.api.letsencrypt.org/directory",
        private_ca=False,
        max_names=100,
        wildcard=True,
        validity_days=90,
        eab=False,
        note="For trials: browsers do not trust its certificates.",
    ),
    Preset(
        slug="google",
        display_name="Google Trust Services",
        directory_url="https://dv.acme-v02.api.pki.goog/directory",
        private_ca=False,
        max_names=100,
        wildcard=True,
        validity_days=90,
        eab=True,
        note="The EAB key serves once and within seven days. No internationalized names.",
    ),
    Preset(
        slug="zerossl",
        display_name="ZeroSSL",
        directory_url="https://acme.zerossl.com/v2/DV90",
        private_ca=False,
        max_names=100,
        wildcard=True,
        validity_days=90,
        eab=True,
        note="Orders may take minutes to hours.",
    ),
    Preset(
        slug="actalis",
        display_name="Actalis",
        directory_url="https://acme-api.actalis.com/acme/directory",
        private_ca=False,
        max_names=2,
        wildcard=False,
        validity_days=90,
        eab=True,
        note="One name and its www.",
    ),
    Preset(
        slug="sslcom-ecc",
        display_name="SSL.com (ECC)",
        directory_url="https://acme.ssl.com/sslcom-dv-ecc",
        private_ca=False,
        max_names=2,
        wildcard=False,
        validity_days=90,
        eab=True,
        note="One name and its www; for P-256 and P-384 keys. Wildcards cost money.",
    ),
    Preset(
        slug="sslcom-rsa",
        display_name="SSL.com (RSA)",
        directory_url="https://acme.ssl.com/sslcom-dv-rsa",
        private_ca=False,
        max_names=2,
        wildcard=False,
        validity_days=90,
        eab=True,
        note="One name and its www; for RSA keys. Wildcards cost money.",
    ),
)


def preset(slug: str) -> Preset | None:
    """The preset of that slug, or None."""
    return next((known for known in PRESETS if known.slug == slug), None)
