"""Adding people, changing their passwords, and how each wants the panel."""

import re

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from . import audit, zones
from .models import Role, User


class PersonProblem(ValueError):
    """Something about a person that cannot be taken; `field` is username, role, password, language or zone."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def add(username: str, role: str, password: str) -> tuple[User, bool]:
    """Add a person, or set role and password of a known one; returns the person and whether it is new."""
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,64}", username):
        text = _("“%(name)s” is not a login name: letters, digits and _ . @ + -, at most 64.")
        raise PersonProblem("username", text % {"name": username})
    if role not in Role.values:
        text = _("“%(role)s” is not a role. There are: %(roles)s.")
        raise PersonProblem("role", text % {"role": role, "roles": ", ".join(Role.values)})
    person = User.objects.filter(username=username).first() or User(username=username)
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise PersonProblem("password", " ".join(error.messages)) from error
    new = person.pk is None
    person.role = role
    person.is_active = True
    person.set_password(password)
    person.save()
    return person, new


def set_language(person: User, language: str) -> None:
    """Show the panel in this language to the person, a code of settings.LANGUAGES, or "" for the browser's."""
    if language and language not in dict(settings.LANGUAGES):
        raise PersonProblem("language", _("There is no language “%(code)s” here.") % {"code": language[:32]})
    _prefer(person, "language", language)


def set_zone(person: User, zone: str) -> None:
    """Show times in this zone to the person, an IANA name, or "" for the browser's."""
    if zone and zones.find(zone) is None:
        raise PersonProblem("zone", _("There is no time zone “%(name)s”.") % {"name": zone[:64]})
    _prefer(person, "zone", zone)


def set_shortcuts(person: User, on: bool) -> None:
    """Let single keys act for the person, or not."""
    _prefer(person, "shortcuts", on)


def _prefer(person: User, field: str, value: str | bool) -> None:
    before = getattr(person, field)
    with transaction.atomic():
        User.objects.filter(pk=person.pk).update(**{field: value})
        audit.record(person, "person:prefers", person.username, before={field: before}, after={field: value})
    setattr(person, field, value)
