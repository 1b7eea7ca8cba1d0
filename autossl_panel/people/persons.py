"""Adding people and changing their passwords."""

import re

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from .models import Role, User


class PersonProblem(ValueError):
    """Something about a person that cannot be taken; `field` is username, role or password."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def add(username: str, role: str, password: str) -> tuple[User, bool]:
    """Add a person, or set role and password of a known one; returns the person and whether it is new."""
    if not re.fullmatch(r"[A-Za-z0-9_.@+-]{1,64}", username):
        raise PersonProblem("username", f"“{username}” is not a login name: letters, digits and _ . @ + -, at most 64.")
    if role not in Role.values:
        raise PersonProblem("role", f"“{role}” is not a role. There are: {', '.join(Role.values)}.")
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
