"""The rows of what was told, as what `changes` looks at, and how one look at many matters changes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from autossl_panel.hosting.models import Server

from ..models import Kind, Notice
from . import changes
from .changes import Change, Known, Stage
from .kinds import NATURES, SITE_STATES, Reach
from .matters import Matter

CHUNK = 500
COLUMNS = ("virtual_host", "since", "not_after", "facts", "user_stage", "admin_stage", "next_at")

Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class Told:
    """A matter that is told now, and how far its time has run; None: not to that audience."""

    matter: Matter
    user: Stage | None
    admin: Stage | None


@dataclass(slots=True)
class Memory:
    """What is known, what becomes of it in one look, and what there is to tell to those who can be told."""

    now: datetime
    reach: Reach
    known: dict[Key, Known] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    _changed: dict[Key, tuple[Known, int | None]] = field(default_factory=dict)
    _ended: set[Key] = field(default_factory=set)

    def site(self, subject: str, matter: Matter | None) -> None:
        """One site was judged. Its lesser states wait behind a worse one: they are no news when that is over."""
        for kind in SITE_STATES:
            if matter is not None and kind == matter.kind:
                self._look((kind, subject), matter)
            elif matter is None or NATURES[kind].rank > NATURES[matter.kind].rank:
                self._look((kind, subject), None)

    def all_of(self, kind: Kind, matters: Iterable[Matter], *, whole: bool = True) -> None:
        """Everything of this kind was looked for (`whole`), and these were found."""
        found = {(kind, matter.subject): matter for matter in matters}
        gone = [key for key in self.known if key[0] == kind and key not in found] if whole else []
        for key in (*found, *gone):
            self._look(key, found.get(key))

    def event(self, matter: Matter) -> None:
        """It happened; told once."""
        key = (matter.kind, matter.subject)
        if key in self.known or key in self._changed:
            return
        known = Known(self.now, None, dict.fromkeys(matter.facts), Stage.FIRST, Stage.FIRST)
        self._changed[key] = (known, matter.host_id)
        user, admin = self._who(matter)
        self.told.append(Told(matter, Stage.FIRST if user else None, Stage.FIRST if admin else None))

    def _look(self, key: Key, matter: Matter | None) -> None:
        before = self.known.get(key)
        if before is None and matter is None:
            return
        condition = None
        if matter is not None:
            user, admin = self._who(matter)
            condition = matter.condition(user=user, admin=admin)
        change: Change = changes.look(before, condition, self.now)
        if change.known is None:
            self._ended.add(key)
        elif change.known != before:
            self._changed[key] = (change.known, matter.host_id if matter is not None else _host(key[1]))
        if matter is not None and (change.user or change.admin):
            self.told.append(Told(matter, change.user, change.admin))

    def _who(self, matter: Matter) -> tuple[bool, bool]:
        return self.reach.user(matter.kind, matter.user_id), self.reach.admin(matter.kind)

    def save(self, server: Server) -> None:
        """Write what changed; inside the caller's transaction."""
        rows = [_row(server, key, known, host) for key, (known, host) in self._changed.items()]
        for first in range(0, len(rows), CHUNK):
            Notice.objects.bulk_create(
                rows[first : first + CHUNK],
                update_conflicts=True,
                unique_fields=["server", "kind", "subject"],
                update_fields=list(COLUMNS),
            )
        by_kind: dict[Kind, list[str]] = {}
        for kind, subject in self._ended:
            by_kind.setdefault(kind, []).append(subject)
        for kind, subjects in by_kind.items():
            for first in range(0, len(subjects), CHUNK):
                part = subjects[first : first + CHUNK]
                Notice.objects.filter(server=server, kind=kind, subject__in=part).delete()


def rows(server: Server, **filters: Any) -> Mapping[Key, Known]:
    """What is remembered, by kind and subject."""
    found = Notice.objects.filter(server=server, **filters)
    return {
        (Kind(row.kind), row.subject): Known(
            row.since,
            row.not_after,
            {(name, cause): _moment(gone) for name, cause, gone in row.facts},
            Stage(row.user_stage),
            Stage(row.admin_stage),
            row.next_at,
        )
        for row in found.iterator()
    }


def _row(server: Server, key: Key, known: Known, host: int | None) -> Notice:
    kind, subject = key
    facts = [[name, cause, gone.isoformat() if gone else None] for (name, cause), gone in sorted(known.facts.items())]
    return Notice(
        server=server,
        kind=kind,
        subject=subject,
        virtual_host_id=host,
        since=known.since,
        not_after=known.not_after,
        facts=facts,
        user_stage=known.user,
        admin_stage=known.admin,
        next_at=known.next_at,
    )


def _host(subject: str) -> int | None:
    what, _colon, pk = subject.partition(":")
    return int(pk) if what == "site" and pk.isdecimal() else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
