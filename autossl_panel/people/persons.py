"""Adding people, changing their passwords, and what they want of their own pages."""

import re

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from . import audit, sessions
from .models import Role, User


class PersonProblem(ValueError):
    """Something about a person that cannot be taken; `field` is username, role or password."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def add(username: str, role: str, password: str, *, by: User | None = None) -> tuple[User, bool]:
    """Add a person, or set role and password of a known one; returns the person and whether it is new.

    Sessions of a known one end: who knew the old password is out.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,64}", username):
        raise PersonProblem("username", f"“{username}” is not a login name: letters, digits and _ . @ + -, at most 64.")
    if role not in Role.values:
        raise PersonProblem("role", f"“{role}” is not a role. There are: {', '.join(Role.values)}.")
    with transaction.atomic():
        person = User.objects.select_for_update().filter(username=username).first() or User(username=username)
        _check_password(password, person)
        new = person.pk is None
        before = None if new else _facts(person)
        person.role = role
        person.is_active = True
        person.set_password(password)
        person.save()
        audit.record(by, "person:added" if new else "person:changed", username, before=before, after=_facts(person))
        if not new:
            audit.record(by, "person:password_changed", username)
            sessions.end_all(person, by=by)
    return person, new


def change_password(person: User, password: str, *, by: User | None, keep_session: str | None = None) -> None:
    """Give a person a new password; raises PersonProblem. Every session of the person ends but `keep_session`."""
    _check_password(password, person)
    with transaction.atomic():
        person.set_password(password)
        person.save(update_fields=["password"])
        audit.record(by, "person:password_changed", person.username)
        sessions.end_all(person, by=by, but=keep_session)


def set_theme(person: User, theme: str) -> None:
    """Remember which theme a person wants: light, dark, or "" for what the system says; else ValueError."""
    if theme not in ("", "light", "dark"):
        raise ValueError(theme)
    User.objects.filter(pk=person.pk).update(theme=theme)
    person.theme = theme


def set_shortcuts(person: User, on: bool) -> None:
    """Remember whether a person wants single keys to do something on the pages."""
    User.objects.filter(pk=person.pk).update(shortcuts=on)
    person.shortcuts = on


def _check_password(password: str, person: User) -> None:
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise PersonProblem("password", " ".join(error.messages)) from error


def _facts(person: User) -> dict[str, object]:
    return {"role": person.role, "active": person.is_active}
