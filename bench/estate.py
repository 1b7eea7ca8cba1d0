"""A hosting server of 10,000 users with five secured sites each: files only, as the panel leaves them. No database.

Written by the same edit that the helper makes: the admin's blocks with our line, the snippets, the http-level file, the
pairs. Nothing is started on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from autossl_panel.helper.state import SiteState, State
from autossl_panel.sandbox.crowd import crowd
from autossl_panel.webservers import nginx
from autossl_panel.webservers.model import Layout, SiteWish, TlsWish

ADDRESS = "127.0.0.1"
HTTP_PORT, HTTPS_PORT = 5080, 5443

_BLOCK = """\
server {{
    listen {address}:{port};
    server_name {names};
    root {homes}/{user}/{name};
    location / {{
        try_files $uri $uri/ =404;
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Estate:
    """Where it lies, and how large it is."""

    users: int
    sites: int
    homes: Path
    helper: Path
    conf: Path


def build(folder: Path, users: int, each: int) -> Estate:
    """Write it all below `folder`."""
    estate = Estate(users, users * each, folder / "homes", folder / "helper", folder / "nginx.conf")
    enabled = folder / "sites-enabled"
    for path in (enabled, estate.homes, estate.helper / "snippets", estate.helper / "live", estate.helper / "versions"):
        path.mkdir(parents=True, mode=0o711)
    text: dict[str, list[str]] = {}
    for site in crowd(users, each):
        block = _BLOCK.format(
            address=ADDRESS, port=HTTP_PORT, names=" ".join(site.names), homes=estate.homes, user=site.user,
            name=site.name,
        )  # fmt: skip
        text.setdefault(site.user, []).append(block)
    for user, blocks in text.items():
        (enabled / f"{user}.conf").write_text("\n".join(blocks), encoding="utf-8")
    estate.conf.write_text(f"events {{}}\nhttp {{\n    include {enabled}/*.conf;\n}}\n", encoding="utf-8")
    _secure(estate)
    return estate


def _secure(estate: Estate) -> None:
    layout = Layout(estate.helper, HTTP_PORT, HTTPS_PORT, (ADDRESS,))
    configuration = nginx.read(estate.conf, prefix=estate.conf.parent)
    found = nginx.sites(configuration).sites
    wishes = {site.key: SiteWish(tls=TlsWish(estate.helper / "live" / site.key)) for site in found}
    edits = nginx.desired(configuration, wishes, layout)
    assert not edits.refused, next(iter(edits.refused.items()))
    for path, content in edits.files.items():
        Path(path).write_bytes(content)
    for stem, snippet in edits.snippets.items():
        assert snippet is not None
        (estate.helper / "snippets" / f"{stem}.conf").write_text(snippet, encoding="utf-8")
    (estate.helper / "http.conf").write_text(edits.http_conf or "", encoding="utf-8")
    sites = {site.key: SiteState(tls=True) for site in found}
    (estate.helper / "state.json").write_bytes(State(sites=sites, server_addresses=(ADDRESS,)).dumps())
    maker = _Maker()
    for number, site in enumerate(found, 1):
        serial = f"{number:x}"
        version = estate.helper / "versions" / site.key / serial
        version.mkdir(parents=True, mode=0o700)
        (version / "fullchain.pem").write_bytes(maker.chain(number, site.names))
        (version / "privkey.pem").write_bytes(maker.key_pem)
        (estate.helper / "live" / site.key).symlink_to(f"../versions/{site.key}/{serial}")


class _Maker:
    """Certificates of one key: only signing is left to do for each."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
        self._identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        since = datetime.now(UTC).replace(microsecond=0) - timedelta(days=10)
        self._root = self._sign(1, self._issuer, since, (), authority=True)
        self._since = since
        self.key_pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def chain(self, serial: int, names: tuple[str, ...]) -> bytes:
        """A certificate for 90 days from ten days ago, with the one that signed it."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        return self._sign(serial + 1, subject, self._since, names, authority=False) + self._root

    def _sign(
        self, serial: int, subject: x509.Name, since: datetime, names: tuple[str, ...], *, authority: bool
    ) -> bytes:
        builder = (
            x509.CertificateBuilder(issuer_name=self._issuer, subject_name=subject, public_key=self._key.public_key())
            .serial_number(serial)
            .not_valid_before(since)
            .not_valid_after(since + timedelta(days=90))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(self._identifier, critical=False)
        )
        if names:
            wanted = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(wanted, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
