"""Signing in: who may, and how often a wrong password may be tried. The session itself is Django's."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import authenticate
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest

from .models import SignInTries, User

MOST_WRONG = 5
PAUSE = timedelta(minutes=1)
FORGET = timedelta(minutes=15)


class SignInProblem(ValueError):
    """Why nobody was signed in; `code` is wrong or wait."""

    def __init__(self, code: str, *, seconds: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person typed, and where from."""

    username: str
    password: str
    address: str


def check(request: HttpRequest, credentials: Credentials, now: datetime) -> User:
    """The person whose name and password these are; raises SignInProblem.

    After five wrong passwords for a name from an address, even the right one is refused for a minute.
    """
    seconds = _pause_left(credentials, now)
    if seconds:
        raise SignInProblem("wait", seconds=seconds)
    person = authenticate(request, username=credentials.username, password=credentials.password)
    if not isinstance(person, User):
        _count_wrong(credentials, now)
        raise SignInProblem("wrong")
    _tries(credentials).delete()
    return person


def set_theme(person: User, theme: str) -> None:
    """Remember which theme a person wants: light, dark, or "" for what the system says; else ValueError."""
    if theme not in ("", "light", "dark"):
        raise ValueError(theme)
    User.objects.filter(pk=person.pk).update(theme=theme)
    person.theme = theme


def _tries(credentials: Credentials) -> QuerySet[SignInTries]:
    return SignInTries.objects.filter(username=credentials.username[:64], address=credentials.address[:64])


def _pause_left(credentials: Credentials, now: datetime) -> int:
    tries = _tries(credentials).filter(wrong__gte=MOST_WRONG, last_at__gt=now - PAUSE).first()
    return 0 if tries is None else max(1, round((tries.last_at + PAUSE - now).total_seconds()))


def _count_wrong(credentials: Credentials, now: datetime) -> None:
    with transaction.atomic():
        SignInTries.objects.filter(last_at__lt=now - FORGET).delete()
        tries, _made = SignInTries.objects.get_or_create(
            username=credentials.username[:64], address=credentials.address[:64], defaults={"last_at": now}
        )
        # A pause that is over begins a new count.
        over = tries.wrong >= MOST_WRONG
        SignInTries.objects.filter(pk=tries.pk).update(wrong=1 if over else F("wrong") + 1, last_at=now)
