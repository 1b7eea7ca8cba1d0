"""What every change of hosting rows shares: the problem it may meet, what undo needs, making sites due."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet

from .models import HostingUser, VirtualHost

T = TypeVar("T")
M = TypeVar("M", bound=Model)


class UserProblem(ValueError):
    """A change that cannot be made; `field` names the input that is wrong."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Change:
    """What one user's setting was and is; enough to undo. A row that is pointed at is its id, “” for none."""

    user_id: int
    before: str
    after: str


def put_back(users: QuerySet[HostingUser], changes: Iterable[Change], column: str) -> list[Change]:
    """Set `column` as it was where nobody has changed it since; returns what was put back, as changes in turn."""
    groups: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        groups.setdefault((change.before, change.after), []).append(change.user_id)
    done = []
    lock(users.filter(pk__in=[pk for ids in groups.values() for pk in ids]))
    for (before, after), ids in groups.items():
        for part in chunks(ids):
            as_left = users.filter(pk__in=part, **{column: after or None})
            found = list(as_left.order_by("pk").values_list("pk", flat=True))
            HostingUser.objects.filter(pk__in=found).update(**{column: before or None})
            done += [Change(pk, after, before) for pk in found]
    return done


def names_of(changes: Sequence[Change]) -> dict[int, str]:
    """The names of the users that were changed, by id."""
    found: dict[int, str] = {}
    for part in chunks([change.user_id for change in changes]):
        found.update(HostingUser.objects.filter(pk__in=part).values_list("pk", "name"))
    return found


def make_due(sites: QuerySet[VirtualHost], now: datetime) -> None:
    """Make sites due at `now`: the sweep looks at them within a minute. The caller is in the change's transaction."""
    with transaction.atomic(savepoint=False):
        lock(present := sites.filter(gone_at__isnull=True))
        present.update(next_at=now, next_reason="changed")


def lock(rows: QuerySet[M]) -> None:
    """Lock rows until the transaction ends, always in the same order, as who writes many at once does before it writes.

    Two who wrote theirs in orders of their own would wait for one another. Users are locked before sites. Not FOR
    UPDATE: whoever has inserted what belongs to a row asks for a share of its key when that is committed.
    """
    if connection.features.has_select_for_update:
        these = rows.model._default_manager.filter(pk__in=rows.order_by().values("pk"))
        list(these.order_by("pk").select_for_update(no_key=True).values_list("pk", flat=True))


def chunks(items: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """`items` in portions that every database takes as parameters of one statement."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
