"""What an exclusion pattern would cost before it holds: sites that lose all their names, so that nothing is renewed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from autossl_panel import names as domain_names
from autossl_panel import patterns
from autossl_panel.hosting.exclusion_patterns import Concerned, Level
from autossl_panel.hosting.models import Domain, Exclusion

from . import census, options, policies, sites

# Up to so many sites are asked for by their ids; beyond, one walk over all of the level is cheaper
FEW = 500
COLUMNS = (
    *("virtual_host_id", "virtual_host__user_id", "virtual_host__user__feature_list_id"),
    *("virtual_host__user__owner_id", "virtual_host__expires_at", "name", "added", "unfit"),
)


@dataclass(frozen=True, slots=True)
class Losses:
    """Sites with a certificate of ours of which no name is left to ask for; the first one expires at `first`."""

    sites: int = 0
    first: datetime | None = None


def count(found: Concerned, level: Level, now: datetime) -> Losses:
    """What the pattern costs beside names that others keep: a handful of queries, and one walk over the names."""
    if not found.hosts:
        return Losses()
    server = level.server
    excluded: dict[int, set[str]] = {}
    for user_id, name in Exclusion.objects.filter(user__server=server).values_list("user_id", "name"):
        excluded.setdefault(user_id, set()).add(name)
    wishes = sites.Wishes(policies.read(server), excluded, options.current(server).serve_www)
    ends = []
    for expires_at, rows in _hosts(found, level, now):
        user = wishes.of(rows[0])
        wild = tuple(row["name"] for row in rows if domain_names.is_wildcard(row["name"]))
        asked = [
            row
            for row in rows
            if sites.name_facts(user, row["name"], row["added"], row["unfit"], False, None, wild).not_wanted is None
        ]
        if asked and all(_is_of(found.pattern, row["name"], row["added"]) for row in asked):
            ends.append(expires_at)
    return Losses(len(ends), min(ends, default=None))


def _hosts(found: Concerned, level: Level, now: datetime) -> Iterator[tuple[datetime, list[dict[str, Any]]]]:
    """The sites with a certificate of ours that still holds: its end, and all their names."""
    ours = level.hosts.filter(state__in=census.SECURED, expires_at__gt=now)
    concerned = set(found.hosts)
    if len(concerned) <= FEW:
        ours = ours.filter(pk__in=concerned)
    rows = Domain.objects.filter(virtual_host__in=ours.order_by().values("pk")).order_by("virtual_host_id", "position")
    walked = rows.values_list(*COLUMNS).iterator(5000)
    for host, some in groupby(walked, key=itemgetter(0)):
        if host in concerned:
            read = [_row(one) for one in some]
            yield read[0]["expires_at"], read


def _row(values: tuple[Any, ...]) -> dict[str, Any]:
    """With the columns called as they are beside a site."""
    return dict(zip((one.removeprefix("virtual_host__") for one in COLUMNS), values, strict=True))


def _is_of(pattern: str, name: str, added: bool) -> bool:
    return patterns.matches(pattern, name) or (added and patterns.matches(pattern, name.removeprefix("www.")))
