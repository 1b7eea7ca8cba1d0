"""Which limit a CA's refusal is about, by its type and words: what it stops is just that. Pure.

The words are hostile text: a name or a domain in them counts only where it is one of the order's own, a moment only
within a month, a link only where it is a web address.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from autossl_panel.names import NameProblem, normalize, registered_domain

from .book import FOREVER, Block
from .limit import Kind
from .wish import Key, digest

HOUR = 3600.0
MONTH = 31 * 24 * HOUR
# Without a Retry-After. Requests come back within seconds; an hour would stop a whole CA for one of them.
SILENT = {Kind.REQUESTS: 600.0}
DETAIL_LENGTH = 500

_BARE = r"([A-Za-z0-9*][A-Za-z0-9.*-]{0,252})"
_QUOTED = re.compile(rf"[\"“”']([^\"“”']{{1,253}})[\"“”']|(?:issued|processing CAA) for:? {_BARE}", re.IGNORECASE)
# Where it stands may be above the name that it forbids (RFC 8659 §3).
_CAA_AT = re.compile(rf"CAA record for {_BARE}", re.IGNORECASE)
_PAUSED = re.compile(r"certificates for (.{1,1900}?) and possibly others", re.IGNORECASE)
_LINK = re.compile(r"https?://[!-~]{1,1900}")
_MOMENT = re.compile(r"retry after (\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.\d+)? ?(?:Z|UTC|\+00:00)", re.IGNORECASE)


class Asked(StrEnum):
    """What was asked of the CA when it refused."""

    NEW_ORDER = "newOrder"
    NEW_ACCOUNT = "newAccount"
    OTHER = "other"


class Part(Protocol):
    """What a refusal says of one name (RFC 8555 §6.7.1)."""

    @property
    def identifier(self) -> str: ...
    @property
    def detail(self) -> str: ...


class Problem(Protocol):
    """A refusal as the CA layer gives it: its words cleaned, Retry-After as a moment."""

    @property
    def kind(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def retry_after(self) -> datetime | None: ...
    @property
    def subproblems(self) -> Sequence[Part]: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """What a refusal stops: a kind and a subject, until when (None: until a person acts), in whose words."""

    kind: Kind
    subject: str
    until: float | None
    detail: str
    url: str = ""

    @property
    def block(self) -> Block:
        """The refusal as the ledger keeps it."""
        return Block(FOREVER if self.until is None else self.until, self.detail, self.url)


# First match wins. Boulder's present words and its earlier ones; other CAs mostly say nothing.
WORDS: tuple[tuple[re.Pattern[str], Kind], ...] = tuple(
    (re.compile(words, re.IGNORECASE), kind)
    for words, kind in (
        (r"temporarily prevented from requesting certificates", Kind.CONSECUTIVE),
        (r"too many new orders", Kind.ORDERS),
        (r"too many certificates .*exact set of", Kind.SET),
        (r"too many certificates ", Kind.DOMAIN),
        (r"too many failed (?:authorizations|validations)", Kind.FAILURES),
        (r"too many (?:new )?registrations|too many (?:new )?accounts", Kind.REGISTRATIONS),
        (r"too many (?:currently )?pending authorizations", Kind.ACCOUNT),
        (r"service busy|too many concurrent", Kind.REQUESTS),
    )
)
# Where the words say nothing
SILENT_SCOPES: Mapping[Asked, Kind] = {
    Asked.NEW_ORDER: Kind.ACCOUNT,
    Asked.NEW_ACCOUNT: Kind.REGISTRATIONS,
    Asked.OTHER: Kind.REQUESTS,
}


def scopes(problem: Problem, asked: Asked, names: Sequence[str], now: float) -> tuple[Scope, ...]:
    """What `problem` stops; empty where it is no refusal for a time.

    That is a limit (`rate`), or trouble of the CA's own (`server`) with a Retry-After, which is of all requests.
    """
    if problem.kind == "server" and problem.retry_after is not None:
        return (_scope(Kind.REQUESTS, "", problem, problem.detail, now),)
    if problem.kind != "rate":
        return ()
    parts = [(part.identifier, part.detail) for part in problem.subproblems if part.identifier in names]
    found: dict[Key, Scope] = {}
    for name, detail in parts:
        kind = _kind(detail) or _kind(problem.detail)
        # Of one name a part can only say what is counted by names.
        if kind in (Kind.DOMAIN, Kind.FAILURES, Kind.CONSECUTIVE):
            subject = registered_domain(name) if kind is Kind.DOMAIN else name
            found[kind, subject] = _scope(kind, subject, problem, detail or problem.detail, now)
    if found:
        return tuple(found.values())
    kind = _kind(problem.detail) or SILENT_SCOPES[asked]
    return tuple(_scope(kind, subject, problem, problem.detail, now) for subject in _subjects(kind, problem, names))


def _kind(detail: str) -> Kind | None:
    return next((kind for words, kind in WORDS if words.search(detail)), None)


def _subjects(kind: Kind, problem: Problem, names: Sequence[str]) -> Collection[str]:
    if kind is Kind.SET:
        return [digest(names)] if names else []
    if kind is Kind.DOMAIN:
        domains = list(dict.fromkeys(registered_domain(name) for name in names))
        return named(problem.detail, domains) or domains
    if kind is Kind.FAILURES:
        return named(problem.detail, names) or names
    if kind is Kind.CONSECUTIVE:
        listed = _PAUSED.search(problem.detail)
        said = {_name(word) for word in listed[1].split(",")} if listed else set()
        return [name for name in names if name in said] or names
    return [""]


def named(detail: str, own: Collection[str]) -> list[str]:
    """Which of these `own` names a refusal's words name: the only hint where a CA sends no subproblems. Boulder sends
    none for just one name; empty where the words are of no name of ours.
    """
    said = dict.fromkeys(_name(quoted or bare) for quoted, bare in _QUOTED.findall(detail))
    found = [name for name in said if name in own]
    if found:
        return found
    above = [_name(place) for place in _CAA_AT.findall(detail)]
    return [name for name in own if any(place and f".{name}".endswith(f".{place}") for place in above)]


def _name(text: str) -> str:
    try:
        return normalize(text.strip().rstrip(".,"))
    except NameProblem:
        return ""


def _scope(kind: Kind, subject: str, problem: Problem, detail: str, now: float) -> Scope:
    if kind is Kind.CONSECUTIVE:
        link = _LINK.search(problem.detail)
        return Scope(kind, subject, None, detail[:DETAIL_LENGTH], link[0].rstrip(".,") if link else "")
    return Scope(kind, subject, _until(kind, problem, now), detail[:DETAIL_LENGTH])


def _until(kind: Kind, problem: Problem, now: float) -> float:
    """Retry-After, else the moment in the words, else an hour; at least a second, at most a month."""
    if problem.retry_after is not None:
        moment = problem.retry_after.timestamp()
    elif (said := _MOMENT.search(problem.detail)) is not None:
        try:
            moment = datetime.fromisoformat(f"{said[1]}T{said[2]}").replace(tzinfo=UTC).timestamp()
        except ValueError:
            moment = 0.0
    else:
        moment = 0.0
    if moment <= now:
        # Over by now, or never said: somebody who is refused all the same does not ask again at once.
        moment = now + (1.0 if problem.retry_after is not None else SILENT.get(kind, HOUR))
    return min(moment, now + MONTH)
