"""The shapes that go in and out of DCV: settings, findings, codes. No network here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Json = str | int | bool | None | list[str]


class Outcome(StrEnum):
    """What DCV found for one name. UNKNOWN is our own trouble, never the name's."""

    PASS = "pass"  # noqa: S105 - no password, a verdict
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Settings:
    """How names are proved. Addresses are texts; a resolver is `host` or `host:port`
    (none: those of the host); times are seconds.
    `total_deadline` bounds the fetching of one name, redirects and slow bodies included."""

    resolvers: tuple[str, ...]
    server_addresses: tuple[str, ...] = ()
    http_port: int = 80
    https_port: int = 443
    private_ca: bool = False
    caa_identities: tuple[str, ...] = ()
    width: int = 64
    dns_timeout: float = 5.0
    connect_timeout: float = 4.0
    total_deadline: float = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on one name. `code` is a code of DCV, None when it passed; `data` holds JSON-able facts for advice;
    `answer` is a digest of what DNS said, equal as long as DNS says the same. `caa` are the CAA records that decide, in
    presentation format: () where there are none, None where they were not asked for or could not be read."""

    name: str
    outcome: Outcome
    code: str | None
    data: Mapping[str, Json] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    answer: str = ""
    seconds: float = 0.0
    caa: tuple[str, ...] | None = None
