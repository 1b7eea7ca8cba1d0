"""People who sign in: adding, changing, deactivating, removing; how each wants the pages.

There is always an active root.
"""

import re
import secrets

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from . import audit, mail, sessions, taken, tokens, zones
from .models import Role, User

# No letter or digit that could be read as another
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class PersonProblem(ValueError):
    """Something about a person that cannot be taken.

    `field` is username, role, email, password, person, language or zone.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def check_username(username: str) -> None:
    """Raise PersonProblem where this is no login name."""
    if not username:
        raise PersonProblem("username", _("Enter a user name."))
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,64}", username):
        text = _("“%(name)s” is not a login name: letters, digits and _ . @ + -, at most 64.")
        raise PersonProblem("username", text % {"name": username[:80]})


def check_role(role: str) -> None:
    """Raise PersonProblem where this is no role."""
    if role not in Role.values:
        text = _("“%(role)s” is not a role. There are: %(roles)s.")
        raise PersonProblem("role", text % {"role": role, "roles": ", ".join(Role.values)})


def email_of(text: str) -> str:
    """An e-mail address in the one form in which they are kept; “” for none. Raises PersonProblem."""
    try:
        return mail.address(text) if text.strip() else ""
    except mail.AddressProblem as problem:
        raise PersonProblem("email", problem.text) from problem


def check_password(password: str, person: User) -> None:
    """Raise PersonProblem where a password is too weak for `person`."""
    try:
        validate_password(password, person)
    except ValidationError as error:
        raise PersonProblem("password", " ".join(error.messages)) from error


def add(username: str, role: str, password: str, *, email: str = "", by: User | None = None) -> tuple[User, bool]:
    """Add a person, or set role and password of a known one; returns the person and whether it is new.

    Whoever may own hosting users or sign in for them changes role through `hosting.ownership` instead.
    """
    check_username(username)
    check_role(role)
    email = email_of(email)
    person = User.objects.filter(username=username).first()
    if person is None:
        return add_new(username, role, password, email=email, by=by), True
    check_password(password, person)
    with transaction.atomic():
        set_active(person, True, by=by)
        set_role(person, role, by=by)
        change_password(person, password, by=by)
    return person, False


def problems_of_new(username: str, role: str, password: str, *, email: str = "") -> list[PersonProblem]:
    """All that `add_new` would refuse, as far as rows tell now; one for each field."""
    found = []
    for check in (
        lambda: _check_free(username),
        lambda: check_role(role),
        lambda: email_of(email),
        lambda: check_password(password, User(username=username, email=email)),
    ):
        try:
            check()
        except PersonProblem as problem:
            found.append(problem)
    return found


def _check_free(username: str) -> None:
    check_username(username)
    if User.objects.filter(username=username).exists():
        raise _taken(username)


def _taken(username: str) -> PersonProblem:
    return PersonProblem("username", _("There is a person “%(username)s” already.") % {"username": username})


def add_new(username: str, role: str, password: str, *, email: str = "", by: User | None) -> User:
    """Add a person whose login name nobody has; raises PersonProblem."""
    for problem in problems_of_new(username, role, password, email=email):
        raise problem
    person = User(username=username, role=role, email=email_of(email))
    person.set_password(password)
    with transaction.atomic():
        with taken.unless(_taken(username)):
            person.save(force_insert=True)
        audit.record(by, "person:added", username, after={"role": role, "email": person.email})
    return person


def set_role(person: User, role: str, *, by: User | None) -> None:
    """Give a person another role; the last active root keeps it. API tokens were made for the old one: they go."""
    check_role(role)
    with transaction.atomic():
        if role != Role.ROOT:
            _keep_a_root(person, "role")
        # The row is locked before its tokens are looked for: who makes one meanwhile makes it for the new role.
        if User.objects.filter(pk=person.pk).exclude(role=role).update(role=role):
            tokens.revoke_all(person, by=by)
        audit.record(by, "person:changed", person.username, before={"role": person.role}, after={"role": role})
    person.role = role


def set_email(person: User, email: str, *, by: User | None) -> None:
    """Set a person's e-mail address; “” for none."""
    email = email_of(email)
    with transaction.atomic():
        User.objects.filter(pk=person.pk).update(email=email)
        audit.record(by, "person:changed", person.username, before={"email": person.email}, after={"email": email})
    person.email = email


def change_password(person: User, password: str, *, by: User | None, keep_session: str | None = None) -> None:
    """Give a person a new password; raises PersonProblem. Every session of the person ends but `keep_session`."""
    check_password(password, person)
    with transaction.atomic():
        person.set_password(password)
        person.save(update_fields=["password"])
        audit.record(by, "person:password_changed", person.username)
        sessions.end_all(person, by=by, but=keep_session)


def set_theme(person: User, theme: str) -> None:
    """Remember which theme a person wants: light, dark, or "" for what the system says; else ValueError."""
    if theme not in ("", "light", "dark"):
        raise ValueError(theme)
    _prefer(person, "theme", theme)


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


def generated_password() -> str:
    """A password that nobody has to think of: four groups of five, 99 bits."""
    return "-".join("".join(secrets.choice(ALPHABET) for _letter in range(5)) for _group in range(4))


def set_active(person: User, active: bool, *, by: User | None) -> bool:
    """Let a person sign in, or no longer: then every session ends at once. False where it is so already."""
    with transaction.atomic():
        if not active:
            _keep_a_root(person, "person")
        if not User.objects.filter(pk=person.pk).exclude(is_active=active).update(is_active=active):
            return False
        if not active:
            sessions.end_all(person, by=by)
        said = {"active": not active}
        audit.record(by, "person:changed", person.username, before=said, after={"active": active})
    person.is_active = active
    return True


def remove(person: User, *, by: User | None) -> None:
    """Remove a person for good. Names in logs and in the audit trail stay."""
    with transaction.atomic():
        _keep_a_root(person, "person")
        sessions.end_all(person, by=by)
        tokens.revoke_all(person, by=by)
        audit.record(by, "person:removed", person.username, before={"role": person.role, "email": person.email})
        person.delete()


def _keep_a_root(person: User, field: str) -> None:
    """Raise where nobody would be left who may do everything. Locks: two roots cannot end each other at once."""
    roots = User.objects.select_for_update().filter(role=Role.ROOT, is_active=True)
    ids = set(roots.order_by("pk").values_list("pk", flat=True))
    if ids == {person.pk}:
        text = _("“%(name)s” is the only active root. Make somebody else root first.")
        raise PersonProblem(field, text % {"name": person.username})
