"""When something that is wrong is told, and when told again. Pure: what was told, what is so and `now` in, what to
tell out.

Something wrong consists of facts: a name and why it fails, or just a cause. A new fact is told; one that was gone for
less than a day is no news. While nothing changes it is told again at half and at a tenth of the life that was left
when it began. Users and administrator are told on their own, for not everything is theirs to mend.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum

ZERO = timedelta(0)
DAY = timedelta(days=1)

# A name, or "" where it is about no single one, and its cause
Fact = tuple[str, str]


class Stage(IntEnum):
    """How much of one state was told."""

    SILENT = 0
    FIRST = 1
    HALF = 2
    TENTH = 3


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that is so now: at least one fact, and when the certificate that it is about expires.

    A patience is how long it has to last before that audience is told: faults that mend themselves are not theirs.
    None: that audience cannot be told, or need not; nothing counts as told to it.
    """

    facts: frozenset[Fact]
    not_after: datetime | None = None
    user_patience: timedelta | None = ZERO
    admin_patience: timedelta | None = ZERO


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a state. `facts` maps each to when it was gone, None where it is so still."""

    since: datetime
    not_after: datetime | None = None
    facts: Mapping[Fact, datetime | None] = field(default_factory=dict)
    user: Stage = Stage.SILENT
    admin: Stage = Stage.SILENT
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be remembered from now on (None: nothing), and which stage is told to whom (None: nothing)."""

    known: Known | None
    user: Stage | None = None
    admin: Stage | None = None


def look(known: Known | None, condition: Condition | None, now: datetime) -> Change:
    """What a look at something finds to tell; `condition` None where it is not so (any more)."""
    present: Collection[Fact] = condition.facts if condition is not None else ()
    before = _lately(known, now)
    if condition is None or not present:
        gone = {fact: at or now for fact, at in before.items()}
        return Change(replace(known, facts=gone, next_at=None) if known is not None and gone else None)
    if known is None or not before:
        known, before = Known(now), {}
    news = bool(before) and any(fact not in before for fact in present)
    facts = {fact: at or now for fact, at in before.items()} | dict.fromkeys(present)
    known = replace(known, facts=facts, not_after=condition.not_after)
    user = _told(known, known.user, condition.user_patience, news, now)
    admin = _told(known, known.admin, condition.admin_patience, news, now)
    told = replace(known, user=max(known.user, user or Stage.SILENT), admin=max(known.admin, admin or Stage.SILENT))
    return Change(replace(told, next_at=_next(told, condition)), user, admin)


def _told(known: Known, before: Stage, patience: timedelta | None, news: bool, now: datetime) -> Stage | None:
    """What one audience is told: a stage that has come, or that another fact has come to those it knows."""
    if patience is None:
        return None
    due = _due(known, patience, now)
    if due > before:
        return due
    return Stage.FIRST if news and before else None


def _lately(known: Known | None, now: datetime) -> dict[Fact, datetime | None]:
    """The facts that are so, or were within a day."""
    if known is None:
        return {}
    return {fact: at for fact, at in known.facts.items() if at is None or now - at < DAY}


def _due(known: Known, patience: timedelta, now: datetime) -> Stage:
    """The stage that has come, whatever was told."""
    reached = [stage for stage, at in _moments(known, patience) if at <= now]
    return max(reached, default=Stage.SILENT)


def _moments(known: Known, patience: timedelta) -> list[tuple[Stage, datetime]]:
    """When each stage comes. Half of a life that is nearly over comes before any patience ends."""
    moments = [(Stage.FIRST, known.since + patience)]
    if known.not_after is not None and known.not_after > known.since:
        left = known.not_after - known.since
        moments += [(Stage.HALF, known.not_after - left / 2), (Stage.TENTH, known.not_after - left / 10)]
    return moments


def _next(known: Known, condition: Condition) -> datetime | None:
    """The moment of the next stage of either audience."""
    ahead = [
        at
        for told, patience in ((known.user, condition.user_patience), (known.admin, condition.admin_patience))
        if patience is not None
        for stage, at in _moments(known, patience)
        if stage > told
    ]
    return min(ahead, default=None)
