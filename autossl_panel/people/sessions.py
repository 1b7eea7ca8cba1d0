"""Who is signed in: a person's sessions, and ending them."""

from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.utils import timezone

from . import audit
from .models import User


def end_all(person: User, *, by: User | None, but: str | None = None) -> int:
    """End every session of a person, except the one with the key `but`; returns how many.

    A session does not say in a column whose it is: the living ones are read, which is done only when a person is
    locked out or removed.
    """
    store = import_module(settings.SESSION_ENGINE).SessionStore
    ended = []
    living = Session.objects.filter(expire_date__gt=timezone.now()).exclude(session_key=but or "")
    for key, data in living.values_list("session_key", "session_data").iterator():
        if store().decode(data).get(SESSION_KEY) == str(person.pk):
            ended.append(key)
    for start in range(0, len(ended), 500):
        Session.objects.filter(session_key__in=ended[start : start + 500]).delete()
    if ended:
        audit.record(by, "session:ended", person.username, before={"sessions": len(ended)})
    return len(ended)
