"""Names that nobody wants a certificate for, by pattern, at one of four levels. Permissions are the caller's."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import BigIntegerField, Q, QuerySet, Value
from django.utils.translation import gettext as _

from autossl_panel import patterns
from autossl_panel.people import audit
from autossl_panel.people.models import User

from .models import Domain, Exclusion, ExclusionPattern, FeatureList, HostingUser, Server, VirtualHost
from .users import UserProblem, make_due

LEVELS = ("server", "reseller", "feature_list", "user")
# Names shown of those that a pattern concerns
SAMPLE = 10
CHUNK = 500


@dataclass(frozen=True, slots=True)
class Level:
    """Whose names a pattern ends the wish for: everybody's on the server, or those of one of the three."""

    server: Server
    owner: User | None = None
    feature_list: FeatureList | None = None
    user: HostingUser | None = None

    def __post_init__(self) -> None:
        given = [one for one in (self.owner, self.feature_list, self.user) if one is not None]
        if len(given) > 1:
            raise ValueError("a pattern holds at one level")

    @property
    def word(self) -> str:
        """One of LEVELS."""
        columns = zip(LEVELS[1:], (self.owner, self.feature_list, self.user), strict=True)
        return next((word for word, one in columns if one is not None), LEVELS[0])

    @property
    def name(self) -> str:
        """Whose it is: “server”, “reseller amy”, “feature list starter”, “user anna”."""
        whose = self.owner or self.feature_list or self.user
        return LEVELS[0] if whose is None else f"{self.word.replace('_', ' ')} {whose}"

    @property
    def columns(self) -> dict[str, Any]:
        """The columns of a pattern's row that say its level."""
        return {"server": self.server, "owner": self.owner, "feature_list": self.feature_list, "user": self.user}

    @property
    def hosts(self) -> QuerySet[VirtualHost]:
        """The virtual hosts that it is for."""
        found = VirtualHost.objects.filter(server=self.server, gone_at__isnull=True)
        if self.owner is not None:
            return found.filter(user__owner=self.owner)
        if self.feature_list is not None:
            return found.filter(user__feature_list=self.feature_list)
        return found if self.user is None else found.filter(user=self.user)


def level_of(row: ExclusionPattern) -> Level:
    """The level of a pattern's row."""
    return Level(row.server, row.owner, row.feature_list, row.user)


@dataclass(frozen=True, slots=True)
class Concerned:
    """How many names a pattern (in its normal form) is of at its level, the first of them (A-labels), and the virtual
    hosts that have any.

    `names` counts the www. that the panel adds, which goes with its domain.
    """

    pattern: str
    names: int
    sample: tuple[str, ...]
    hosts: tuple[int, ...]


def concerned(pattern: str, level: Level) -> Concerned:
    """What a pattern, as typed, would end the wish for. Raises UserProblem."""
    return _concerned(normalized(pattern), level)


def _concerned(pattern: str, level: Level) -> Concerned:
    found: list[str] = []
    hosts: dict[int, None] = {}
    number = 0
    rows = Domain.objects.filter(_maybe(pattern), virtual_host__in=level.hosts).order_by("name")
    for host, name, added in rows.values_list("virtual_host_id", "name", "added").iterator(5000):
        if patterns.matches(pattern, name) or (added and patterns.matches(pattern, name.removeprefix("www."))):
            number += 1
            hosts[host] = None
            if len(found) < SAMPLE:
                found.append(name)
    return Concerned(pattern, number, tuple(found), tuple(hosts))


def _maybe(pattern: str) -> Q:
    """What the database can tell of names that match: they hold the longest piece that is not “any”.

    A name with a Unicode form may match by that.
    """
    piece = max(re.split(r"[*?]", pattern), key=len)
    found = Q(name__contains="xn--")
    return found | Q(name__contains=piece) if piece.isascii() else found


def normalized(text: str) -> str:
    """A pattern in the one form in which they are kept. Raises UserProblem (pattern)."""
    try:
        return patterns.normalize(text)
    except patterns.PatternProblem as problem:
        raise UserProblem("pattern", problem.text) from problem


def check_new(text: str, level: Level) -> None:
    """Raise UserProblem where this is no pattern, or holds at this very level already."""
    pattern = normalized(text)
    if ExclusionPattern.objects.filter(pattern=pattern, **_where(level)).exists():
        raise UserProblem("pattern", _("“%(text)s” is in the list already for whom you chose.") % {"text": text[:80]})


def add_pattern(text: str, level: Level, *, by: User | None, now: datetime) -> ExclusionPattern:
    """End the wish for all names that match, also those to come; its sites are due. The same again changes nothing."""
    pattern = normalized(text)
    with transaction.atomic():
        # No constraint spans columns that may be NULL on both databases: two at once take turns here.
        Server.objects.select_for_update(no_key=True).get(pk=level.server.pk)
        before = ExclusionPattern.objects.filter(pattern=pattern, **_where(level)).first()
        if before is not None:
            return before
        row = ExclusionPattern.objects.create(pattern=pattern, by=by, at=now, **level.columns)
        _due(_concerned(pattern, level).hosts, now)
        audit.record(by, "pattern:added", pattern, after={"level": level.name})
    return row


def _where(level: Level) -> dict[str, Any]:
    return {
        (column if one is not None else f"{column}__isnull"): (one if one is not None else True)
        for column, one in level.columns.items()
    }


def remove_pattern(row: ExclusionPattern, *, by: User | None, now: datetime) -> None:
    """Wish for the names again that only this pattern excluded; its sites are due."""
    level = level_of(row)
    with transaction.atomic():
        if not ExclusionPattern.objects.filter(pk=row.pk).delete()[0]:
            return
        _due(_concerned(row.pattern, level).hosts, now)
        audit.record(by, "pattern:removed", row.pattern, before={"level": level.name})


def find_pattern(text: str, level: Level) -> ExclusionPattern:
    """The pattern of a level by its text. Raises UserProblem."""
    found = ExclusionPattern.objects.filter(pattern=normalized(text), **_where(level)).first()
    if found is None:
        raise UserProblem(
            "pattern", _("There is no pattern “%(text)s” (%(level)s).") % {"text": text, "level": level.name}
        )
    return found


def _due(hosts: Sequence[int], now: datetime) -> None:
    ids = sorted(hosts)
    for start in range(0, len(ids), CHUNK):
        make_due(VirtualHost.objects.filter(pk__in=ids[start : start + CHUNK]), now)


# --- reading them for many sites -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Scope:
    """The patterns that hold for a hosting user, in the order of LEVELS."""

    levels: tuple[str, ...]
    matcher: patterns.Matcher

    def of(self, name: str, *, added: bool = False) -> tuple[str, str] | None:
        """(level, pattern) of the first that excludes a name; a www. that the panel added goes with its domain."""
        found = self.matcher.of(name)
        if found is None and added:
            found = self.matcher.of(name.removeprefix("www."))
        return None if found is None else (self.levels[found], self.matcher.patterns[found])


@dataclass(slots=True)
class Patterns:
    """All patterns of a server, read once; users that the same ones hold for share a compiled scope."""

    rows: Sequence[tuple[int | None, int | None, int | None, str]] = ()
    _scopes: dict[tuple[int | None, ...], Scope | None] = field(default_factory=dict)
    # By the place of a level in LEVELS, and whose it is
    _at: dict[tuple[int, int | None], list[str]] = field(init=False)

    def __post_init__(self) -> None:
        self._at = {}
        for *ids, pattern in self.rows:
            place = next((number for number, one in enumerate(ids, 1) if one is not None), 0)
            self._at.setdefault((place, ids[place - 1] if place else None), []).append(pattern)

    def __bool__(self) -> bool:
        return bool(self.rows)

    def scope(self, owner: int | None, feature_list: int | None, user: int | None) -> Scope | None:
        """What holds for a hosting user of this owner and feature list; None where nothing does."""
        places = tuple(enumerate((None, owner, feature_list, user)))
        key = tuple(whose if (place, whose) in self._at else None for place, whose in places)
        if key not in self._scopes:
            self._scopes[key] = self._compile(key)
        return self._scopes[key]

    def _compile(self, key: tuple[int | None, ...]) -> Scope | None:
        found = [(LEVELS[place], one) for place, whose in enumerate(key) for one in self._at.get((place, whose), ())]
        if not found:
            return None
        return Scope(tuple(level for level, _ in found), patterns.Matcher([pattern for _, pattern in found]))


@dataclass(frozen=True, slots=True)
class Ended:
    """What ends the wish for names of one hosting user: names that somebody excluded, and patterns."""

    names: frozenset[str]
    scope: Scope | None

    def by_name(self, name: str, *, added: bool = False) -> bool:
        """Whether it was excluded itself; a www. that the panel added goes with its domain."""
        return name in self.names or (added and name.removeprefix("www.") in self.names)

    def by_pattern(self, name: str, *, added: bool = False) -> str | None:
        """The first pattern that excludes it."""
        found = self.scope.of(name, added=added) if self.scope is not None else None
        return None if found is None else found[1]


def ended_for(user: HostingUser) -> Ended:
    """All that ends wishes of a hosting user, by one question."""
    levels = ("owner_id", "feature_list_id", "user_id")
    nobody = {level: Value(None, BigIntegerField()) for level in ("at_owner", "at_list", "at_user")}
    names = Exclusion.objects.filter(user=user).annotate(**nobody).values_list(*nobody, "name", Value(0))
    patterns = ExclusionPattern.objects.filter(server=user.server_id).order_by()
    rows = patterns.values_list(*levels, "pattern", Value(1)).union(names, all=True)
    found = list(rows)
    mine = Patterns([row[:4] for row in found if row[4]])
    return Ended(
        frozenset(row[3] for row in found if not row[4]), mine.scope(user.owner_id, user.feature_list_id, user.pk)
    )


def load(server: Server) -> Patterns:
    """Every pattern of a server."""
    rows = ExclusionPattern.objects.filter(server=server).order_by("pk")
    return Patterns(list(rows.values_list("owner_id", "feature_list_id", "user_id", "pattern")))
