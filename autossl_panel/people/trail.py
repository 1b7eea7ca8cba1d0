"""Reading the audit trail: what a person looks for in it, and one entry as text."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from . import audit_details
from .models import AuditEntry

LONGEST = 300
FIRST, LAST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


class WishProblem(ValueError):
    """What cannot be looked for; `field` is since or until."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Wish:
    """What of the trail somebody wants to see; "" is everything. Days are whole, in the zone that is active."""

    who: str = ""
    event: str = ""
    subject: str = ""
    source: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Wish":
        """What an address asks for."""
        return cls(**{name: query.get(name, "").strip()[:253] for name in cls.__slots__})

    @property
    def narrowed(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)


def entries(wish: Wish) -> QuerySet[AuditEntry]:
    """The entries that match, newest first. Raises WishProblem."""
    found = AuditEntry.objects.order_by("-at", "-pk")
    if wish.who:
        found = found.filter(person_name__iexact=wish.who)
    if wish.event.endswith(":"):
        found = found.filter(event__startswith=wish.event)
    elif wish.event:
        found = found.filter(event=wish.event)
    if wish.subject:
        found = found.filter(subject__icontains=wish.subject)
    if wish.source:
        found = found.filter(source=wish.source)
    if wish.since:
        found = found.filter(at__gte=_moment("since", wish.since))
    if wish.until:
        found = found.filter(at__lt=_moment("until", wish.until, after=timedelta(days=1)))
    return found


def _moment(field: str, text: str, *, after: timedelta = timedelta(0)) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise WishProblem(field, _("“%(text)s” is not a day; write it like 2026-11-23.") % {"text": text}) from error
    try:
        return timezone.make_aware(datetime.combine(day + after, time())).astimezone(UTC)
    except OverflowError:
        # The first or last day that there is: nothing was before, and nothing comes after.
        return FIRST if day.year == 1 else LAST


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that an entry says of before and after, as text."""

    name: str
    before: str
    after: str


def differences(entry: AuditEntry) -> Iterator[Difference]:
    """Before and after, name by name; what was nothing and is nothing is left out."""
    before, after = entry.before or {}, entry.after or {}
    for name in dict.fromkeys([*before, *after]):
        found = Difference(audit_details.field(name), text(before.get(name), name), text(after.get(name), name))
        if found.before or found.after:
            yield found


def text(value: Any, name: str = "") -> str:
    """A value of the fact `name` as a person reads it: yes, no, “a, b”; "" for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(text(item, name) for item in value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    found = audit_details.value(name, str(value))
    return found if len(found) <= LONGEST else f"{found[: LONGEST - 1]}…"
