"""What can go wrong between us and a CA, as one typed exception, and the cleaning of the CA's words.

What a problem means for retrying stands in the heart's table, not here. Everything a CA sends is hostile text.
"""

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from autossl_panel.sentences import say

ACME_PREFIX = "urn:ietf:params:acme:error:"
# Types of our own for what no CA says: dns, refused, timeout, network, certificate, tls, http, not_acme, url, ...
OWN_PREFIX = "urn:autossl-panel:error:"

# A pause of an account comes with a link that carries a long signed token: it has to survive the cut.
DETAIL_LENGTH = 2000
SUBPROBLEM_LENGTH = 500
MOST_SUBPROBLEMS = 100
MOST_WAIT = timedelta(days=31)

LINK_LENGTH = 1000

_LINK = re.compile(r'<([^<>]*)>[^<,]*?;\s*rel="?([^",;<>]*)"?')
_TYPE = re.compile(r"[A-Za-z0-9:._/#-]{1,200}")


class ProblemKind(StrEnum):
    """What a problem is about, as far as the next step depends on it."""

    SERVER = "server"  # the CA has trouble of its own
    RATE = "rate"  # a limit; `retry_after` says until when
    CONNECTION = "connection"  # the CA did not reach the site
    UNREACHABLE = "unreachable"  # we did not reach the CA, or what answers is no ACME server
    UNAUTHORIZED = "unauthorized"  # the site answered with something else
    DNS = "dns"
    CAA = "caa"
    REJECTED_IDENTIFIER = "rejectedIdentifier"
    ACCOUNT = "account"
    TERMS = "terms"
    EAB = "eab"
    ORDER = "order"  # this order (or its CSR, or what it replaces) is of no use any more
    BAD_NONCE = "badNonce"
    MALFORMED = "malformed"
    OTHER = "other"


_KINDS: Mapping[str, ProblemKind] = {
    "serverInternal": ProblemKind.SERVER,
    "rateLimited": ProblemKind.RATE,
    "connection": ProblemKind.CONNECTION,
    "tls": ProblemKind.CONNECTION,
    "unauthorized": ProblemKind.UNAUTHORIZED,
    "incorrectResponse": ProblemKind.UNAUTHORIZED,
    "dns": ProblemKind.DNS,
    "dnssec": ProblemKind.DNS,
    "unknownHost": ProblemKind.DNS,
    "caa": ProblemKind.CAA,
    "rejectedIdentifier": ProblemKind.REJECTED_IDENTIFIER,
    "unsupportedIdentifier": ProblemKind.REJECTED_IDENTIFIER,
    "accountDoesNotExist": ProblemKind.ACCOUNT,
    "badPublicKey": ProblemKind.ACCOUNT,
    "invalidContact": ProblemKind.ACCOUNT,
    "unsupportedContact": ProblemKind.ACCOUNT,
    "invalidEmail": ProblemKind.ACCOUNT,
    "userActionRequired": ProblemKind.TERMS,
    "agreementRequired": ProblemKind.TERMS,  # in no RFC; Pebble says so
    "externalAccountRequired": ProblemKind.EAB,
    "orderNotReady": ProblemKind.ORDER,
    "badCSR": ProblemKind.ORDER,
    "alreadyReplaced": ProblemKind.ORDER,
    "invalidProfile": ProblemKind.ORDER,
    "badRevocationReason": ProblemKind.MALFORMED,
    "badNonce": ProblemKind.BAD_NONCE,
    "malformed": ProblemKind.MALFORMED,
    "badSignatureAlgorithm": ProblemKind.MALFORMED,
}


@dataclass(frozen=True, slots=True)
class SubProblem:
    """What the CA says about one name of a request (RFC 8555 §6.7.1)."""

    identifier: str
    type: str
    detail: str
    kind: ProblemKind


class CaProblem(Exception):
    """One failed dealing with a CA. `detail` is a sentence to show, already cleaned; `status` is None when none came.

    `retry_after` is aware UTC. `link` is where a person has to act, "" where the CA names no such place. `sent` is
    False where surely not a byte of the request went out. A problem met inside an authorization or order is the same
    type, carried as a value.
    """

    sent = True

    def __init__(
        self,
        kind: ProblemKind,
        *,
        type: str,
        detail: str,
        status: int | None = None,
        retry_after: datetime | None = None,
        subproblems: tuple[SubProblem, ...] = (),
        link: str = "",
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.type = type
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.subproblems = subproblems
        self.link = link

    def __repr__(self) -> str:
        return f"CaProblem({self.kind.value}, {self.type}, {self.status}, {self.detail!r})"

    def copy(self, kind: "type[CaProblem] | None" = None) -> "CaProblem":
        """The same problem, to raise in another thread (one carries its thread's trace) or as a narrower `kind`."""
        twin = (kind or type(self))(
            self.kind,
            type=self.type,
            detail=self.detail,
            status=self.status,
            retry_after=self.retry_after,
            subproblems=self.subproblems,
            link=self.link,
        )
        twin.sent = self.sent
        return twin

    @property
    def answered(self) -> bool:
        """The CA said no: what was asked for does not exist there."""
        return self.status is not None

    @property
    def short_type(self) -> str:
        """The last part of the type: `rateLimited`, `timeout`."""
        return self.type.rsplit(":", 1)[-1]

    @property
    def account_gone(self) -> bool:
        """The CA does not know the account (any more): only a new registration helps."""
        return self.type == ACME_PREFIX + "accountDoesNotExist"


class ReplacesRefused(CaProblem):
    """newOrder was refused, and what it replaces may be why (RFC 9773 §5).

    It has been replaced already, is another account's or issuer's, or shares no name. The same order without `replaces`
    may be taken; each request needs a permit of its own, so asking again is left to the caller.
    """

    @property
    def already_replaced(self) -> bool:
        """The CA has an order that replaces this certificate."""
        return self.short_type == "alreadyReplaced"


def own(kind: ProblemKind, short_type: str, detail: str, *, status: int | None = None) -> CaProblem:
    """A problem that we found ourselves; parts of `detail` that came from outside are cleaned."""
    return CaProblem(kind, type=OWN_PREFIX + short_type, detail=clean(detail), status=status)


def clean(text: object, length: int = DETAIL_LENGTH) -> str:
    """Text from outside on one line: no control, format or separator characters, at most `length` long."""
    if not isinstance(text, str):
        return ""
    text = text[: 4 * length]  # what follows looks at each character
    if not (text.isascii() and text.isprintable()):
        text = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 1] + "…"


def kind_of(problem_type: str) -> ProblemKind:
    """The kind of an ACME problem type; one that is not known is OTHER."""
    if problem_type.startswith(ACME_PREFIX):
        return _KINDS.get(problem_type[len(ACME_PREFIX) :], ProblemKind.OTHER)
    return ProblemKind.OTHER


def retry_after(value: str | None, now: datetime) -> datetime | None:
    """The moment a Retry-After header names (RFC 9110 §10.2.3), aware UTC, at most 31 days off; None for junk."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return now + min(timedelta(seconds=int(value[:12])), MOST_WAIT)
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError):
        return None
    # An HTTP date is always GMT; "-0000" reads as naive.
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return min(max(moment, now), now + MOST_WAIT)


def link(value: object) -> str:
    """An address that may be shown as a link; "" for anything else."""
    text = clean(value, LINK_LENGTH)
    return text if text.startswith(("https://", "http://")) and " " not in text and not text.endswith("…") else ""


def terms_link(headers: list[str]) -> str:
    """The terms of service that Link headers name (RFC 8555 §7.3.3); "" where none does."""
    for header in headers:
        for address, relation in _LINK.findall(header):
            if "terms-of-service" in relation.split():
                return link(address)
    return ""


def document(body: bytes) -> dict[str, Any] | None:
    """The JSON object of a body, or None when it is none."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def from_response(host: str, status: int, body: bytes, *, until: datetime | None) -> CaProblem:
    """The problem of an answer of status 3xx, 4xx or 5xx, with a problem document (RFC 7807) or without."""
    fields = document(body)
    if fields is not None and isinstance(fields.get("type"), str):
        return from_document(fields, status=status, until=until)
    kind = ProblemKind.OTHER
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = ProblemKind.RATE
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = ProblemKind.SERVER
    phrase = next((f" {known.phrase}" for known in HTTPStatus if known == status), "")
    detail = clean(say("silent", host=host, status=f"{status}{phrase}"))
    return CaProblem(kind, type="about:blank", detail=detail, status=status, retry_after=until)


def from_document(fields: object, *, status: int | None = None, until: datetime | None = None) -> CaProblem:
    """The problem a problem document describes; junk in it is dropped, never raised."""
    fields = fields if isinstance(fields, dict) else {}
    given = fields.get("status")
    if status is None and isinstance(given, int) and not isinstance(given, bool) and 100 <= given <= 599:
        status = given
    problem_type = _type(fields.get("type"))
    subproblems = _subproblems(fields.get("subproblems"))
    kind = kind_of(problem_type)
    if kind is ProblemKind.OTHER:
        kind = _kind_without_type(status, subproblems)
    detail = clean(fields.get("detail")) or clean(fields.get("title")) or say("no_reason")
    return CaProblem(
        kind,
        type=problem_type,
        detail=detail,
        status=status,
        retry_after=until,
        subproblems=subproblems,
        link=link(fields.get("instance")),
    )


def _kind_without_type(status: int | None, subproblems: tuple[SubProblem, ...]) -> ProblemKind:
    # "compound" and types newer than this program: the parts or the status tell more than the type.
    for part in subproblems:
        if part.kind is not ProblemKind.OTHER:
            return part.kind
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return ProblemKind.RATE
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return ProblemKind.SERVER
    return ProblemKind.OTHER


def _type(value: object) -> str:
    return value if isinstance(value, str) and _TYPE.fullmatch(value) else "about:blank"


def _subproblems(value: object) -> tuple[SubProblem, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(_subproblem(part) for part in value[:MOST_SUBPROBLEMS] if isinstance(part, dict))


def _subproblem(part: dict[str, Any]) -> SubProblem:
    identifier = part.get("identifier")
    name = identifier.get("value") if isinstance(identifier, dict) else None
    problem_type = _type(part.get("type"))
    return SubProblem(
        identifier=clean(name, 255),
        type=problem_type,
        detail=clean(part.get("detail"), SUBPROBLEM_LENGTH),
        kind=kind_of(problem_type),
    )
