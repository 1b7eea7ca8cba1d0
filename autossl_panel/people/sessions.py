"""Who is signed in, from where, and ending it. How sessions are kept is in `session_store`."""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from . import audit
from .models import Session, User

# How exactly a page can say when somebody was last seen: a write for each request would be dear.
SEEN_EVERY = timedelta(minutes=1)


def visible(person: User, now: datetime) -> QuerySet[Session]:
    """The sessions that `person` may see and end: root everybody's, others their own; the freshest first."""
    mine = Session.objects.filter(expire_date__gt=now, person__isnull=False, person__is_active=True)
    if not person.is_root:
        mine = mine.filter(person=person)
    return mine.select_related("person").order_by("-seen_at")


def of(person: User, now: datetime) -> QuerySet[Session]:
    """A person's own sessions, the freshest first."""
    return Session.objects.filter(expire_date__gt=now, person=person).order_by("-seen_at")


def seen(row: Session, address: str, browser: str, now: datetime) -> None:
    """Note that its person is there, at most once a minute unless the address or the browser is another one."""
    if now - row.seen_at < SEEN_EVERY and (row.address, row.browser) == (address, browser):
        return
    Session.objects.filter(pk=row.pk).update(seen_at=now, address=address, browser=browser)


def end(session: Session, *, by: User | None) -> bool:
    """End a session: its next request is a stranger's. False where it had ended already."""
    with transaction.atomic():
        ended, _rows = Session.objects.filter(pk=session.pk).delete()
        if ended:
            _record([session], by)
    return bool(ended)


def end_all(person: User, *, by: User | None, but: str | None = None) -> int:
    """End every session of a person but the one with the key `but`; returns how many."""
    with transaction.atomic():
        found = list(Session.objects.filter(person=person).exclude(pk=but or "").select_related("person"))
        Session.objects.filter(pk__in=[session.pk for session in found]).delete()
        _record(found, by)
    return len(found)


def forget(now: datetime) -> int:
    """Remove sessions that have run out; returns how many."""
    removed, _rows = Session.objects.filter(expire_date__lt=now).delete()
    return removed


def _record(ended: list[Session], by: User | None) -> None:
    for session in ended:
        whose = session.person.username if session.person else ""
        where = {"address": session.address, "browser": session.browser, "since": f"{session.began_at:%Y-%m-%d %H:%M}"}
        audit.record(by, "session:ended", whose, before=where)
