"""The CAs an admin may choose by name. Only what their directories do not say; the rest is read from the directory."""

from dataclasses import dataclass

HOUR, DAY = 3600, 86400


@dataclass(frozen=True, slots=True)
class Limit:
    """What a CA allows: `number` of something within `seconds`.

    Kinds: `orders` of an account · `domain`: certificates of a registered domain · `set`: certificates of exactly the
    same names · `failures`: failed validations of a name and account · `consecutive`: failures in a row that pause a
    name (`seconds` 0: until one succeeds or a person acts) · `requests` · `registrations` of an address. `continuous`:
    it is given back bit by bit (a token bucket), else when the window has passed.
    """

    kind: str
    number: int
    seconds: int
    continuous: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A kind of certificate that a CA's directory offers by this name. `seconds` is how long it is valid."""

    name: str
    max_names: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Preset:
    """One CA: how it is called, where it is, and what it takes. `validity_days` is what it issues by default.

    `profiles` and `limits` are what it publishes of them, empty where it publishes nothing; so are `dcv` (RFC 8555 §8,
    without “-01”), `redirects` that it follows (None: not stated) and how long it says to take (`delivery`: seconds,
    minutes; "": not stated). `eab_days`: an EAB key serves once and for so long. `trial`: no browser trusts it.
    `staging`: the directory of the same CA to rehearse at, whose certificates nobody trusts.
    """

    slug: str
    display_name: str
    directory_url: str
    private_ca: bool
    max_names: int
    wildcard: bool
    validity_days: int
    eab: bool
    note: str
    profiles: tuple[Profile, ...] = ()
    limits: tuple[Limit, ...] = ()
    dcv: tuple[str, ...] = ()
    redirects: int | None = None
    delivery: str = ""
    eab_days: int | None = None
    trial: bool = False
    staging: str = ""

    def profile(self, name: str) -> Profile | None:
        """What is known of a profile of this CA beforehand."""
        return next((known for known in self.profiles if known.name == name), None)


LETS_ENCRYPT = "letsencrypt"
HTTP_DNS = ("http", "dns")

_PROFILES = (
    Profile("classic", 100, 90 * DAY),
    Profile("tlsserver", 25, 45 * DAY),
    Profile("shortlived", 25, 160 * HOUR),
)
# https://letsencrypt.org/docs/rate-limits/: all of them token buckets. Of the limits on requests, which differ by
# resource, the least that an order runs into.
_LIMITS = (
    Limit("orders", 300, 3 * HOUR, True),
    Limit("domain", 50, 7 * DAY, True),
    Limit("set", 5, 7 * DAY, True),
    Limit("failures", 5, HOUR, True),
    Limit("consecutive", 1152, 0),
    Limit("requests", 20, 1, True),
    Limit("registrations", 10, 3 * HOUR, True),
)
# https://letsencrypt.org/docs/staging-environment/: "domain" is 30,000 a second there, which is none. Failures in a row
# come back there within six hours; that one succeeds is counted on all the same.
_STAGING_LIMITS = (
    Limit("orders", 1500, 3 * HOUR, True),
    Limit("set", 30_000, 7 * DAY, True),
    Limit("failures", 200, HOUR, True),
    Limit("consecutive", 3600, 0),
    Limit("requests", 20, 1, True),
    Limit("registrations", 50, 3 * HOUR, True),
)

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
        profiles=_PROFILES,
        limits=_LIMITS,
        dcv=("http", "dns", "tls-alpn"),
        redirects=10,
        delivery="seconds",
        staging="https://acme-staging-v02.api.letsencrypt.org/directory",
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
        profiles=_PROFILES,
        limits=_STAGING_LIMITS,
        dcv=("http", "dns", "tls-alpn"),
        redirects=10,
        delivery="seconds",
        trial=True,
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
        dcv=("http", "dns", "tls-alpn"),
        delivery="seconds",
        eab_days=7,
        staging="https://dv.acme-v02.test-api.pki.goog/directory",
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
        dcv=HTTP_DNS,
        delivery="minutes",
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
        dcv=("http",),
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
        dcv=HTTP_DNS,
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
        dcv=HTTP_DNS,
    ),
)


def preset(slug: str) -> Preset | None:
    """The preset of that slug, or None."""
    return next((known for known in PRESETS if known.slug == slug), None)
