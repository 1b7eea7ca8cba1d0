"""CAA (RFC 8659): may this CA issue for this name? The climb up the tree, and the reading of one record set."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import dns.rdatatype

from .resolve import Answer, Trouble

Lookup = Callable[[str, dns.rdatatype.RdataType], Awaitable[Answer]]

_KNOWN_TAGS = frozenset(("issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"))
_CRITICAL = 128
_METHOD = "http-01"


@dataclass(frozen=True, slots=True)
class Permission:
    """What CAA says: allowed or not, the name where the deciding records stand ('' without any), and their texts.
    `trouble` is set where the question could not be answered; a CA treats that as a refusal, see RFC 8659 §3."""

    allowed: bool
    zone: str = ""
    records: tuple[str, ...] = ()
    trouble: Trouble | None = None
    detail: str = ""


async def permission(name: str, identities: Iterable[str], lookup: Lookup) -> Permission:
    """Climb from `name` to the top level until a name has CAA records (RFC 8659 §3), and read those.
    `name` may be a wildcard. Without identities nothing is asked: there is nothing to compare with."""
    ours = _normal(identities)
    if not ours:
        return Permission(True)
    wildcard = name.startswith("*.")
    at = name.removeprefix("*.").rstrip(".").lower()
    while at:
        answer = await lookup(at, dns.rdatatype.CAA)
        if answer.trouble not in (None, Trouble.NXDOMAIN, Trouble.NO_ADDRESS):
            return Permission(False, at, (), answer.trouble, answer.detail)
        if answer.records:
            return Permission(allows(answer.records, ours, wildcard=wildcard), at, answer.records)
        at = at.partition(".")[2]
    return Permission(True)


def permits(records: Iterable[str], identities: Iterable[str], *, wildcard: bool = False) -> bool:
    """Whether the records that were found for one CA let another one issue, known by these identities.

    Without identities there is nothing to compare with, and no CA is forbidden.
    """
    ours = _normal(identities)
    return not ours or allows(records, ours, wildcard=wildcard)


def _normal(identities: Iterable[str]) -> frozenset[str]:
    return frozenset(identity.lower().rstrip(".") for identity in identities)


def allows(records: Iterable[str], identities: frozenset[str], *, wildcard: bool = False) -> bool:
    """Whether one record set (presentation format) lets one of `identities` issue by http-01 (RFC 8659, 8657)."""
    properties = [_split(record) for record in records]
    if any(flags & _CRITICAL and tag not in _KNOWN_TAGS for flags, tag, _ in properties):
        return False
    issue = [value for _, tag, value in properties if tag == "issue"]
    if wildcard:
        # issuewild, where there is one, stands instead of issue.
        issue = [value for _, tag, value in properties if tag == "issuewild"] or issue
    return not issue or any(_names_us(value, identities) for value in issue)


def _split(record: str) -> tuple[int, str, str]:
    """`0 issue "ca.example; k=v"` as flags, tag, value."""
    flags, tag, value = record.split(" ", 2)
    return int(flags), tag.lower(), value.strip('"')


def _names_us(value: str, identities: frozenset[str]) -> bool:
    domain, *parameters = (part.strip() for part in value.split(";"))
    if domain.lower().rstrip(".") not in identities:
        return False
    for parameter in parameters:
        tag, _, content = parameter.partition("=")
        if tag.strip().lower() == "validationmethods":
            return _METHOD in [method.strip() for method in content.split(",")]
    return True
