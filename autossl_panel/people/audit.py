"""The audit trail: every change is recorded here, in the transaction that makes it. Entries are only ever added.

The database holds that, too (`append_only`): it changes no entry and loses none that is younger than a year.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from .models import AuditEntry, User


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a change comes from: `panel`, `command`, `api` or `system`, and the address of who made it."""

    source: str = "system"
    address: str = ""


# What the database holds on to, whatever is asked; and how many entries one call of `forget` removes
HELD = timedelta(days=365)
REMOVED = 5000
_SYSTEM = Origin()
_origin: ContextVar[Origin] = ContextVar("origin", default=_SYSTEM)


@contextmanager
def coming_from(source: str, address: str = "") -> Iterator[None]:
    """Changes made inside come from there; set once by what receives a request or a command."""
    token = _origin.set(Origin(source, address))
    try:
        yield
    finally:
        _origin.reset(token)


def record(
    by: User | None,
    event: str,
    subject: str,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Add an entry; the caller is in the transaction of the change. Of `before` and `after` only what differs is kept.

    `event` is “subject:verb”. Secrets (passwords, HMAC keys, tokens) are never passed here.
    """
    record_each(by, event, [(subject, before, after)])


def record_each(
    by: User | None, event: str, changes: Iterable[tuple[str, Mapping[str, Any] | None, Mapping[str, Any] | None]]
) -> None:
    """The same for many: (subject, before, after) each, in one statement for a thousand."""
    origin, now = _origin.get(), timezone.now()
    entries = []
    for subject, before, after in changes:
        differing = _differing(before, after)
        if differing is None:
            continue
        entries.append(
            AuditEntry(
                at=now,
                person=by,
                person_name=by.username if by is not None else "",
                source=origin.source,
                address=origin.address[:64],
                event=event,
                subject=subject[:253],
                before=differing[0],
                after=differing[1],
            )
        )
    AuditEntry.objects.bulk_create(entries, batch_size=1000)


def forget(before: datetime, *, now: datetime) -> int:
    """Remove entries made before a moment, some thousand at most; returns how many. Never one of the last year."""
    old = AuditEntry.objects.filter(at__lt=min(before, now - HELD - timedelta(days=1))).order_by("at")
    removed, _rows = AuditEntry.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:REMOVED])).delete()
    return removed


def _differing(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None
) -> tuple[dict[str, Any] | None, dict[str, Any] | None] | None:
    """What differs of the two; None where nothing does."""
    if before is None or after is None:
        return dict(before) if before is not None else None, dict(after) if after is not None else None
    changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    if not changed:
        return None
    return (
        {name: value for name, value in before.items() if name in changed},
        {name: value for name, value in after.items() if name in changed},
    )
