"""What travels between the helper and its callers: frozen values as lines of JSON. Never a private key."""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from autossl_panel.pki import CertificateFacts

VERSION = 1
MAX_REQUEST = 8 * 1024 * 1024  # bytes of one request line: an attach of 100,000 sites fits
MAX_ANSWER = 64 * 1024 * 1024  # bytes of one answer line; inventories come in many
# How a line begins that others of the same answer follow, and how the last one does
MORE, LAST = b'{"more":true,', b'{"more":false,'


class HelperProblem(Exception):
    """The helper says no: `code` for programs, `text` for people, `file` and `line` where one is to blame."""

    def __init__(self, code: str, text: str, file: str = "", line: int | None = None) -> None:
        super().__init__(text)
        self.code, self.text, self.file, self.line = code, text, file, line


class HelperGone(Exception):
    """No answer came: the helper is not there, or died meanwhile. Every verb is idempotent, so ask again."""


@dataclass(frozen=True, slots=True)
class Listen:
    """One address and port a site listens on."""

    address: str
    port: int
    ssl: bool
    default: bool


@dataclass(frozen=True, slots=True)
class InstalledCertificate:
    """The certificate a site's configuration names: public part only. `key_matches` is None for an unreadable key."""

    pem: str
    path: str
    ours: bool
    key_matches: bool | None
    live_serial: str


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """One virtual host of the web server's configuration. `live_serial` is what our store holds for it, '' for none."""

    key: str
    name: str
    names: tuple[str, ...]
    docroot: str | None
    owner_login: str
    listens: tuple[Listen, ...]
    tls: bool
    file: str
    line: int
    attached: bool
    redirects_only: bool
    live_serial: str
    certificate: InstalledCertificate | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A name or block that was left aside (`skipped`), or something the admin should know (`told`)."""

    name: str
    reason: str
    file: str
    line: int | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationFault:
    """Where the web server's configuration does not parse or does not pass its own test."""

    text: str
    file: str
    line: int | None


@dataclass(frozen=True, slots=True)
class InventoryAnswer:
    """All virtual hosts, or `unchanged`, or the `problem` that keeps them from being read.

    The sites may be looked through as often as one likes; they may be more than fit into memory.
    """

    hash: str
    unchanged: bool
    sites: Iterable[SiteFacts]
    skipped: tuple[Remark, ...]
    told: tuple[Remark, ...]
    problem: ConfigurationFault | None


@dataclass(frozen=True, slots=True)
class Activation:
    """A staged order to put live, if the site's certificate still is the one of `expect_fingerprint` (None: none)."""

    order: str
    key: str
    expect_fingerprint: str | None = None
    extra_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one order or site. `targets` are the addresses and ports where a handshake proves it."""

    ok: bool
    code: str
    text: str = ""
    file: str = ""
    line: int | None = None
    targets: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The helper at a glance. Mappings are order → site key; `live` is key → serial, `quarantined` order → why."""

    pid: int
    version: int
    nginx_pid: int | None
    requested: Mapping[str, str]
    staged: Mapping[str, str]
    unconfirmed: Mapping[str, str]
    live: Mapping[str, str]
    quarantined: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pruned:
    """How much `prune` took away."""

    orders: int
    versions: int
    challenges: int


def dumps(value: object) -> bytes:
    """One line of JSON; dataclasses become objects, times ISO 8601, enums their value; bytes that are no UTF-8, "?"."""
    text = json.dumps(value, default=_plain, separators=(",", ":"), ensure_ascii=False)
    # Paths and configurations hold any bytes; one of them must not keep the rest from being told.
    return text.encode("utf-8", "replace") + b"\n"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"{type(value).__name__} does not travel")


def site_from(data: Mapping[str, Any]) -> SiteFacts:
    """A site as it arrived."""
    fields = dict(data)
    certificate = fields.pop("certificate")
    return SiteFacts(
        **fields
        | {
            "names": tuple(fields["names"]),
            "listens": tuple(Listen(**listen) for listen in fields["listens"]),
            "certificate": InstalledCertificate(**certificate) if certificate else None,
        }
    )


def result_from(data: Mapping[str, Any]) -> Result:
    """A result as it arrived."""
    fields = dict(data)
    targets = tuple((address, port) for address, port in fields.pop("targets"))
    return Result(**fields, targets=targets)


def status_from(data: Mapping[str, Any]) -> Status:
    """A status as it arrived."""
    fields = dict(data)
    return Status(**fields | {"warnings": tuple(fields["warnings"])})


def certificate_facts_from(data: Mapping[str, Any]) -> CertificateFacts:
    """Facts of a certificate as they arrived."""
    fields = dict(data)
    return CertificateFacts(
        **fields
        | {
            "names": tuple(fields["names"]),
            "not_before": datetime.fromisoformat(fields["not_before"]),
            "not_after": datetime.fromisoformat(fields["not_after"]),
        }
    )
