"""Sample sites: what each puts into nginx's files, its home folder and DNS. Starts nothing and expects nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path

from autossl_panel.sandbox.authority import Authority, Pair, self_signed

BOUGHT_FROM = "Bought Elsewhere CA"


class Kind(StrEnum):
    """How a site is set up in nginx."""

    PLAIN = "plain"  # one block for HTTP, with TLS in it where a certificate exists
    SPLIT = "split"  # a block for HTTP that redirects at server level, and one for TLS
    REDIRECT_ONLY = "redirect_only"  # only a block for HTTP, which redirects to HTTPS
    OWN_CHALLENGE = "own_challenge"  # a challenge location of its own
    BASIC_AUTH = "basic_auth"
    DOTFILES_DENIED = "dotfiles_denied"
    PROXY = "proxy"


class Existing(StrEnum):
    """The certificate a site has at the start."""

    SOUND = "sound"
    EXPIRED = "expired"
    EXPIRING = "expiring"
    SELF_SIGNED = "self_signed"
    RSA_1024 = "rsa_1024"


class Points(StrEnum):
    """Where a name leads in DNS."""

    HERE = "here"
    ELSEWHERE = "elsewhere"
    NOWHERE = "nowhere"  # no address at all


@dataclass(frozen=True, slots=True)
class Ground:
    """Addresses, ports and folders of the box a site stands in."""

    address: str
    elsewhere: str
    application: str
    silent: str
    http_port: int
    https_port: int
    homes: Path
    nginx: Path


@dataclass(frozen=True, slots=True)
class Site:
    """One virtual host of a hosting user; `names` are its server_name, the first is its own name."""

    user: str
    names: tuple[str, ...]
    kind: Kind = Kind.PLAIN
    existing: Existing | None = None
    dns: Mapping[str, Points] = field(default_factory=dict)  # of names that do not lead here, or are not in `names`

    @property
    def name(self) -> str:
        return self.names[0]

    @property
    def file(self) -> str:
        """Name of its nginx file, without .conf; users stand together in the folder."""
        return f"{self.user}-{self.name}"


# What reaches this server without a name of a site: no site answers, and AutoSSL has to skip the block.
CATCH_ALL = """\
server {{
    listen {address}:{http_port} default_server;
    server_name _;
    return 444;
}}

# A name by regular expression cannot be put on a certificate.
server {{
    listen {address}:{http_port};
    server_name ~^preview-[0-9]+\\.staging-area\\.example$;
    return 204;
}}
"""

_BLOCK = """\
server {{
    listen {ground.address}:{ground.http_port};{tls}
    server_name {names};
    root {docroot};{body}
}}
"""

_SPLIT = """\
server {{
    listen {ground.address}:{ground.http_port};
    server_name {names};
    return 301 https://$host:{ground.https_port}$request_uri;
}}

server {{
    listen {ground.address}:{ground.https_port} ssl;
    server_name {names};
    root {docroot};{certificate}
}}
"""

_REDIRECT_ONLY = """\
server {{
    listen {ground.address}:{ground.http_port};
    server_name {names};
    root {docroot};
    return 301 https://$host:{ground.https_port}$request_uri;
}}
"""

_BODIES = {
    Kind.PLAIN: "",
    Kind.OWN_CHALLENGE: """

    # Left over from another ACME client, which is not run any more.
    location ^~ /.well-known/acme-challenge/ {{
        root {ground.homes}/{site.user}/old-acme-client;
    }}""",
    Kind.BASIC_AUTH: """

    auth_basic "Members only";
    auth_basic_user_file {ground.homes}/{site.user}/{site.name}.htpasswd;""",
    Kind.DOTFILES_DENIED: """

    location ~ /\\. {{
        deny all;
    }}
    location ~* ^/(.*)$ {{
        try_files /$1 /index.html =404;
    }}""",
    Kind.PROXY: """

    location / {{
        proxy_pass http://{ground.application}:{ground.http_port};
        proxy_set_header Host $host;
    }}""",
}

_CERTIFICATE = """
    ssl_certificate {folder}/fullchain.pem;
    ssl_certificate_key {folder}/privkey.pem;"""
# OpenSSL refuses to load so short a key otherwise.
_WEAK = "\n    ssl_ciphers DEFAULT@SECLEVEL=0;"


def render(site: Site, ground: Ground) -> str:
    """The site's nginx file."""
    values: dict[str, object] = {
        "ground": ground,
        "site": site,
        "names": " ".join(site.names),
        "docroot": _docroot(site, ground),
    }
    certificate = ""
    if site.existing is not None:
        certificate = _CERTIFICATE.format(folder=_certificate_folder(site, ground))
        if site.existing is Existing.RSA_1024:
            certificate += _WEAK
    if site.kind is Kind.SPLIT:
        return _SPLIT.format(**values, certificate=certificate)
    if site.kind is Kind.REDIRECT_ONLY:
        return _REDIRECT_ONLY.format(**values)
    tls = f"\n    listen {ground.address}:{ground.https_port} ssl;" if certificate else ""
    return _BLOCK.format(**values, tls=tls, body=certificate + _BODIES[site.kind].format(**values))


def page(site: Site, ground: Ground) -> None:
    """Its home folder with a page that names it."""
    docroot = _docroot(site, ground)
    docroot.mkdir(parents=True, exist_ok=True)
    (docroot / "index.html").write_text(
        f"<!doctype html><title>{site.name}</title><h1>{site.name}</h1>\n", encoding="utf-8"
    )
    if site.kind is Kind.BASIC_AUTH:
        # Nobody knows the password: the site is closed, its certificate must come all the same.
        (docroot.parent / f"{site.name}.htpasswd").write_text("member:{PLAIN}-\n", encoding="utf-8")


def certificate_files(site: Site, ground: Ground) -> None:
    """The certificate it has at the start, where nginx finds it."""
    if site.existing is None:
        return
    folder = _certificate_folder(site, ground)
    folder.mkdir(parents=True, exist_ok=True)
    pair = existing_pair(site.existing, site.names)
    (folder / "fullchain.pem").write_bytes(pair.chain)
    key = folder / "privkey.pem"
    key.touch(mode=0o600)
    key.write_bytes(pair.key)


def place(site: Site, ground: Ground) -> dict[str, tuple[str, ...]]:
    """The addresses of each of its names in DNS."""
    addresses = {Points.HERE: (ground.address,), Points.ELSEWHERE: (ground.elsewhere,), Points.NOWHERE: ()}
    points = {name: Points.HERE for name in site.names} | dict(site.dns)
    return {name: addresses[point] for name, point in points.items()}


def existing_pair(existing: Existing, names: tuple[str, ...]) -> Pair:
    """A new certificate of this sort for these names, by a CA that the panel has nothing to do with."""
    now = datetime.now(UTC).replace(microsecond=0)
    bought, day = bought_from(), timedelta(days=1)
    match existing:
        case Existing.SOUND:
            return bought.issue(names, not_before=now - 30 * day, not_after=now + 170 * day)
        case Existing.EXPIRED:
            return bought.issue(names, not_before=now - 100 * day, not_after=now - 10 * day)
        case Existing.EXPIRING:
            return bought.issue(names, not_before=now - 89 * day, not_after=now + 1 * day)
        case Existing.RSA_1024:
            return bought.issue(names, not_before=now - 30 * day, not_after=now + 60 * day, rsa_bits=1024)
        case Existing.SELF_SIGNED:
            return self_signed(names)


@cache
def bought_from() -> Authority:
    """The CA of all certificates that were there before the panel: one a process."""
    return Authority(BOUGHT_FROM)


def _docroot(site: Site, ground: Ground) -> Path:
    return ground.homes / site.user / site.name


def _certificate_folder(site: Site, ground: Ground) -> Path:
    return ground.nginx / "certificates" / site.name
