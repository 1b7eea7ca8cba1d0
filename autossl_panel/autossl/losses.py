"""What an exclusion pattern would cost before it holds: sites that lose all their names, so that nothing is renewed."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from autossl_panel import names as domain_names
from autossl_panel import patterns
from autossl_panel.hosting.exclusion_patterns import Concerned, Level
from autossl_panel.hosting.models import Domain, Exclusion

from . import census, options, policies, quick, sites
from .sites import UserWishes, Wishes

# Up to so many sites are asked for by their ids; beyond, one walk over all of the level is cheaper
FEW = 500
# Of its site and its hosting user: what `Wishes.of` wants to hear, called as it is beside a site
USER = ("user_id", "user__feature_list_id", "user__owner_id")
COLUMNS = ("virtual_host_id", *(f"virtual_host__{one}" for one in USER), "virtual_host__expires_at")
# A name of a site: whether the panel added it, and what public CAs' rules say of it
Name = tuple[str, bool, str]


@dataclass(frozen=True, slots=True)
class Losses:
    """Sites with a certificate of ours of which no name is left to ask for; the first one expires at `first`."""

    sites: int = 0
    first: datetime | None = None


def count(found: Concerned, level: Level, now: datetime) -> Losses:
    """What the pattern costs beside names that others keep: a handful of queries, and one walk over the names."""
    if not found.hosts:
        return Losses()
    wishes, users = _wishes(level), dict[int, UserWishes]()
    concerned = frozenset(found.hosts)
    ends = []
    for (host, *user, expires_at), rows in groupby(_names(found, level, now), key=itemgetter(slice(len(COLUMNS)))):
        if host not in concerned:
            continue
        if user[0] not in users:
            users[user[0]] = wishes.of(dict(zip(USER, user, strict=True)))
        if _is_lost(found.pattern, users[user[0]], [row[len(COLUMNS) :] for row in rows]):
            ends.append(quick.moment(expires_at))
    return Losses(len(ends), min(ends, default=None))


def _names(found: Concerned, level: Level, now: datetime) -> Iterator[tuple[Any, ...]]:
    """COLUMNS and Name of all names of the sites with a certificate of ours that still holds, site by site."""
    ours = level.hosts.filter(state__in=census.SECURED, expires_at__gt=now)
    if len(found.hosts) <= FEW:
        ours = ours.filter(pk__in=found.hosts)
    names = Domain.objects.filter(virtual_host__in=ours.order_by()).order_by("virtual_host_id", "position")
    return quick.rows(names.values_list(*COLUMNS, "name", "added", "unfit"))


def _wishes(level: Level) -> Wishes:
    excluded: dict[int, set[str]] = {}
    for user_id, name in Exclusion.objects.filter(user__server=level.server).values_list("user_id", "name"):
        excluded.setdefault(user_id, set()).add(name)
    return Wishes(policies.read(level.server), excluded, options.current(level.server).serve_www)


def _is_lost(pattern: str, user: UserWishes, names: Sequence[Name]) -> bool:
    """Whether some of a site's names are asked for now, and the pattern takes them all."""
    wildcards = (
        () if user.serve_www else tuple(name for name, _added, _unfit in names if domain_names.is_wildcard(name))
    )
    taken: list[Name] = []
    left: list[Name] = []
    for name, added, unfit in names:
        (taken if _is_of(pattern, name, added) else left).append((name, added, unfit))
    return _any_asked(user, taken, wildcards) and not _any_asked(user, left, wildcards)


def _any_asked(user: UserWishes, names: Sequence[Name], wildcards: Collection[str]) -> bool:
    return any(
        sites.name_facts(user, name, added, unfit, False, None, wildcards).not_wanted is None
        for name, added, unfit in names
    )


def _is_of(pattern: str, name: str, added: bool) -> bool:
    return patterns.matches(pattern, name) or (added and patterns.matches(pattern, name.removeprefix("www.")))
