"""How many names many patterns are of, each at its level, in a few questions. The names themselves: exclusion_patterns.

The database counts what it can tell by itself: a pattern over A-labels is its LIKE. A name with a Unicode form may
match by that, which no database knows; there are few of them, and they are looked at here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import BooleanField, Count, F, Func, Q, Value

from autossl_panel import patterns

from .exclusion_patterns import Level
from .models import Domain, VirtualHost

# A pattern in its normal form, and where it holds
Wanted = tuple[str, Level]


class Like(Func):
    """Whether a text matches a pattern of LIKE, in which “!” takes the meaning from what follows it."""

    template = "(%(expressions)s ESCAPE '!')"
    arg_joiner = " LIKE "
    output_field = BooleanField()


@dataclass(frozen=True, slots=True)
class _Name:
    """A name with what its level is told by."""

    name: str
    added: bool
    user: int
    owner: int | None
    feature_list: int

    def is_of(self, pattern: str, level: Level) -> bool:
        """Whether the pattern is of it there; a www. that the panel added goes with its domain."""
        if level.user is not None:
            here = level.user.pk == self.user
        elif level.feature_list is not None:
            here = level.feature_list.pk == self.feature_list
        else:
            here = level.owner is None or level.owner.pk == self.owner
        if not here:
            return False
        base = self.name.removeprefix("www.")
        return patterns.matches(pattern, self.name) or (self.added and patterns.matches(pattern, base))


def count(wanted: Sequence[Wanted]) -> list[int]:
    """How many names each of `wanted` is of, as `exclusion_patterns.concerned` says it; all are of one server."""
    users = {level.user.pk for _pattern, level in wanted if level.user is not None}
    looked_at = list(_of_users(users)) if users else []
    wide = {place: one for place, one in enumerate(wanted) if one[1].user is None}
    counted = _counted(wide) if wide else {}
    with_unicode = list(_with_unicode()) if wide else []
    return [
        counted.get(place, 0) + sum(name.is_of(*one) for name in (with_unicode if place in wide else looked_at))
        for place, one in enumerate(wanted)
    ]


def _of_users(users: Iterable[int]) -> Iterator[_Name]:
    rows = Domain.objects.filter(virtual_host__user__in=users, virtual_host__gone_at__isnull=True).order_by()
    whose = ("virtual_host__user", "virtual_host__user__owner", "virtual_host__user__feature_list")
    for row in rows.values_list("name", "added", *whose):
        yield _Name(*row)


def _with_unicode() -> Iterator[_Name]:
    """In two steps: asked for both at once, a database without statistics begins at the sites, and walks them all."""
    found = list(Domain.objects.filter(name__contains="xn--").order_by().values_list("name", "added", "virtual_host"))
    hosts = VirtualHost.objects.filter(pk__in={host for *_name, host in found}, gone_at__isnull=True).order_by()
    whose = {pk: rest for pk, *rest in hosts.values_list("pk", "user", "user__owner", "user__feature_list")}
    for name, added, host in found:
        if host in whose:
            yield _Name(name, added, *whose[host])


def _counted(wide: dict[int, Wanted]) -> dict[int, int]:
    """All in one walk over the names that are A-labels alone; whose a name is, is asked of those that match only."""
    plain = {place: one for place, one in wide.items() if one[0].isascii()}
    if not plain:
        return {}
    numbers = {f"n{place}": Count("pk", filter=_is_of(*one)) for place, one in plain.items()}
    found = Domain.objects.exclude(name__contains="xn--").aggregate(**numbers)
    return {place: found[f"n{place}"] for place in plain}


def _is_of(pattern: str, level: Level) -> Q:
    like = "".join({"*": "%", "?": "_", "_": "!_"}.get(char, char) for char in pattern)
    named = Q(Like(F("name"), Value(like)))
    if not pattern.startswith("*"):
        # What begins with “any” is of the www. too, wherever it is of the domain.
        named |= Q(added=True) & Q(Like(F("name"), Value(f"www.{like}")))
    return named & Q(virtual_host__in=level.hosts.order_by().values("pk"))
