"""What one recipient is told, as the JSON that a message carries: grouped by kind and cause, the worst first, of a
bounded size however many sites fail. Webhooks send it as it is; its form is version 1 of docs/notifications.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.urls import reverse

from ..models import Kind, Run
from . import texts
from .changes import Stage
from .kinds import NATURES, Audience, Severity
from .matters import Matter

VERSION = 1
# In one digest: causes, sites named in all, sites named for one cause, names of one site
MOST_GROUPS = 30
MOST_NAMED = 100
MOST_IN_GROUP = 10
MOST_NAMES = 10
AGAIN = {Stage.HALF: "half", Stage.TENTH: "tenth"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A matter as one audience is told of it."""

    matter: Matter
    stage: Stage


@dataclass(frozen=True, slots=True)
class Frame:
    """What is the same in every digest of one telling."""

    server: str
    now: datetime
    runs: tuple[Run, ...]
    users: Mapping[int, str]


def build(entries: Iterable[Entry], audience: Audience, frame: Frame) -> dict[str, Any]:
    """The digest of `entries`; its size does not grow with their number."""
    groups = _groups(entries)
    counts: dict[str, int] = {}
    for (kind, _code), mine in groups:
        counts[kind] = counts.get(kind, 0) + len(mine)
    left = MOST_NAMED
    told = []
    for (kind, code), mine in groups[:MOST_GROUPS]:
        group = _group(kind, code, mine, audience, frame, min(left, MOST_IN_GROUP))
        left -= len(group["notices"])
        told.append(group)
    worst = max((NATURES[kind].severity for (kind, _code), _mine in groups), default=Severity.GOOD)
    return {
        "version": VERSION,
        "type": "digest",
        "server": frame.server,
        "at": _moment(frame.now),
        "audience": str(audience),
        "severity": worst.name.lower(),
        "url": _url(audience, frame),
        "run": _run(audience, frame),
        "counts": counts,
        "groups": told,
        "more_groups": max(0, len(groups) - MOST_GROUPS),
    }


def of_test(frame: Frame) -> dict[str, Any]:
    """A message that says only that it came through."""
    return {
        "version": VERSION,
        "type": "test",
        "server": frame.server,
        "at": _moment(frame.now),
        "audience": str(Audience.ADMIN),
        "severity": "good",
        "url": settings.AUTOSSL_URL + reverse("options"),
        "run": None,
        "counts": {},
        "groups": [],
        "more_groups": 0,
    }


def _groups(entries: Iterable[Entry]) -> list[tuple[tuple[Kind, str], list[Entry]]]:
    """By kind and cause: the worst kind first, in it the most frequent cause, in that what expires first."""
    found: dict[tuple[Kind, str], list[Entry]] = {}
    for entry in entries:
        code = "" if NATURES[entry.matter.kind].severity == Severity.GOOD else entry.matter.code
        found.setdefault((entry.matter.kind, code), []).append(entry)
    far = datetime.max.replace(tzinfo=UTC)
    for mine in found.values():
        mine.sort(key=lambda entry: (entry.matter.not_after or far, entry.matter.site, entry.matter.subject))
    return sorted(found.items(), key=lambda one: (-NATURES[one[0][0]].rank, -len(one[1]), one[0][1]))


def _group(kind: Kind, code: str, mine: Sequence[Entry], audience: Audience, frame: Frame, most: int) -> dict[str, Any]:
    named = [_notice(entry, audience, frame) for entry in mine[:most]]
    first = mine[0].matter
    # Alike for all that are named, it is said once.
    causes, fixes = {one["cause"] for one in named}, {one["fix"] for one in named}
    general = replace(first, data={}) if len(mine) > 1 else first
    cause = causes.pop() if len(causes) == 1 else texts.cause(general, audience)
    fix = fixes.pop() if len(fixes) == 1 else ""
    for one in named:
        one["cause"] = "" if one["cause"] == cause else one["cause"]
        one["fix"] = "" if fix else one["fix"]
    return {
        "kind": str(kind),
        "severity": NATURES[kind].severity.name.lower(),
        "code": code,
        "cause": "" if NATURES[kind].severity == Severity.GOOD else cause,
        "fix": fix,
        "sites": len(mine),
        "notices": named,
        "more": len(mine) - len(named),
    }


def _notice(entry: Entry, audience: Audience, frame: Frame) -> dict[str, Any]:
    matter = entry.matter
    good = NATURES[matter.kind].severity == Severity.GOOD
    return {
        # What is no site's is the server's, or a provider's, whose name stands here.
        "site": matter.site or matter.domain or frame.server,
        "user": frame.users.get(matter.user_id, "") if matter.user_id is not None else "",
        "names": list(matter.names[:MOST_NAMES]),
        "more_names": max(0, len(matter.names) - MOST_NAMES),
        "cause": "" if good else texts.cause(matter, audience),
        "fix": "" if good else texts.fix(matter, audience),
        "again": AGAIN.get(entry.stage),
        "until": _moment(matter.until),
        "next_try": None if good else _moment(matter.next_at),
        "expires": _moment(matter.not_after),
        "waiting": matter.data.get("sites", 0) if matter.kind == Kind.PROVIDER else 0,
    }


def _run(audience: Audience, frame: Frame) -> dict[str, Any] | None:
    """The run that this is the digest of; several that ended together stand for none of them."""
    if len(frame.runs) != 1:
        return None
    run = frame.runs[0]
    # What others' sites did is not everybody's to know.
    counts = run.counts.get("outcomes", {}) if audience == Audience.ADMIN else {}
    return {
        "id": run.pk,
        "scope": run.scope,
        "started": _moment(run.started_at),
        "ended": _moment(run.ended_at),
        "outcomes": {name: number for name, number in counts.items() if number},
    }


def _url(audience: Audience, frame: Frame) -> str:
    """Where the panel shows it."""
    base: str = settings.AUTOSSL_URL
    if audience == Audience.USER:
        return base + "/"
    if len(frame.runs) == 1:
        return base + reverse("run", args=[frame.runs[0].pk])
    return base + reverse("users") + "?state=problems"


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="seconds") if at is not None else None
