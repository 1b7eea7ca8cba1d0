"""Signing in and proving once more who one is: what is right, and how often a wrong guess may be tried.

The steps between password, second factor and session are allauth's; throttling of passwords is ours.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.account.stages import LoginStageController
from allauth.core import ratelimit
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.internal.flows import perform_passwordless_login
from django.contrib.auth import authenticate, logout
from django.db import transaction
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse

from . import address, audit, factors, passkeys
from .adapter import PROVED_AT, SecondFactor
from .models import SignInTries, User
from .passkeys import PasskeyProblem

MOST_WRONG = 5
PAUSE = timedelta(minutes=1)
FORGET = timedelta(minutes=15)
# How long a dangerous act may be done without proving again who one is
FRESH = timedelta(minutes=15)
# While a sign-in waits for its second factor: what stands for the password that was right
PASSED = "password_passed"


class SignInProblem(ValueError):
    """Why nobody was signed in; `code` is wrong, wait (with `seconds`), code, wait_codes, passkey or seal."""

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


def with_password(request: HttpRequest, username: str, password: str, following: str, now: datetime) -> HttpResponse:
    """Sign in, or go on to the second factor; the answer leads there. Raises SignInProblem."""
    _hold_back_floods(request)
    person = check(request, Credentials(username, password, address.of(request)), now)
    login = Login(user=person, redirect_url=following)
    request.session[PASSED] = person.get_session_auth_hash()
    answer: HttpResponse = perform_password_login(request, {"username": person.username}, login)
    return answer


def with_passkey_alone(request: HttpRequest, credential: str, following: str) -> HttpResponse:
    """Sign in with a passkey, which is a second factor by itself. Raises SignInProblem."""
    _hold_back_floods(request)
    try:
        row = _passkey(None, credential)
    except SignInProblem:
        audit.record(None, "person:sign_in_failed", "", after={"with": "passkey"})
        raise
    answer: HttpResponse = perform_passwordless_login(request, row, Login(user=row.user, redirect_url=following))
    return answer


def waiting(request: HttpRequest) -> SecondFactor | None:
    """The sign-in of this session that waits for its second factor; its password was right, and is so still."""
    stage: SecondFactor | None = LoginStageController.enter(request, SecondFactor.key)
    if stage is None:
        return None
    person = person_of(stage)
    still = person.is_active and request.session.get(PASSED) == person.get_session_auth_hash()
    return stage if still else None


def person_of(stage: SecondFactor) -> User:
    """Who is about to sign in."""
    return cast(User, stage.login.user)


def with_second_factor(stage: SecondFactor, *, code: str = "", credential: str = "") -> HttpResponse:
    """End a waiting sign-in by a code of the app, a recovery code, or a passkey. Raises SignInProblem."""
    person = person_of(stage)
    try:
        _second_factor(person, code, credential)
    except SignInProblem as problem:
        if problem.code != "wait_codes":
            audit.record(None, "person:second_factor_failed", person.username)
        raise
    answer: HttpResponse = stage.exit()  # type: ignore[no-untyped-call]
    return answer


def sign_out(request: HttpRequest) -> None:
    """End the session of this request."""
    person = request.user
    logout(request)
    if isinstance(person, User):
        audit.record(person, "person:signed_out", person.username)


def passkey_options(request: HttpRequest) -> dict[str, Any]:
    """What a browser needs to ask for a passkey: of who is signed in or about to, else of anybody.

    Raises SignInProblem where one address asks too often.
    """
    if isinstance(request.user, User):
        return passkeys.options(request.user)
    _hold_back_floods(request)
    stage = waiting(request)
    return passkeys.options(person_of(stage) if stage else None)


# --- proving it once more, before a dangerous act ---------------------------------------------------------------------


def is_fresh(request: HttpRequest, now: datetime) -> bool:
    """Whether this session's person proved who they are a short while ago, by signing in or by `confirm`."""
    proved_at = request.session.get(PROVED_AT)
    return proved_at is not None and now < datetime.fromtimestamp(proved_at, tz=now.tzinfo) + FRESH


def confirm(
    request: HttpRequest, person: User, now: datetime, *, password: str = "", code: str = "", credential: str = ""
) -> None:
    """Note that `person` proved it with one of the three; raises SignInProblem."""
    try:
        if code or credential:
            _second_factor(person, code, credential)
        else:
            check(request, Credentials(person.username, password, address.of(request)), now, again=person)
    except SignInProblem as problem:
        if problem.code in ("code", "passkey"):
            audit.record(person, "person:confirm_failed", person.username)
        raise
    request.session[PROVED_AT] = now.timestamp()


# --- passwords --------------------------------------------------------------------------------------------------------


def check(request: HttpRequest, credentials: Credentials, now: datetime, *, again: User | None = None) -> User:
    """The person whose name and password these are; raises SignInProblem. `again`: who is signed in already.

    After five wrong passwords for a name from an address, even the right one is refused for a minute.
    """
    seconds = _pause_left(credentials, now)
    if seconds:
        raise SignInProblem("wait", seconds=seconds)
    person = authenticate(request, username=credentials.username, password=credentials.password)
    if not isinstance(person, User):
        _wrong(credentials, now, again)
        raise SignInProblem("wrong")
    _tries(credentials).delete()
    return person


def _wrong(credentials: Credentials, now: datetime, again: User | None) -> None:
    """Count a wrong password. A name that is nobody's stays out of the trail: it may be a password."""
    known = User.objects.filter(username=credentials.username).exists()
    with transaction.atomic():
        _count_wrong(credentials, now)
        event = "person:sign_in_failed" if again is None else "person:confirm_failed"
        after = None if known else {"name": "unknown"}
        audit.record(again, event, credentials.username if known else "", after=after)


def _tries(credentials: Credentials) -> QuerySet[SignInTries]:
    return SignInTries.objects.filter(
        username=credentials.username[:64], address=address.group(credentials.address)[:64]
    )


def _pause_left(credentials: Credentials, now: datetime) -> int:
    tries = _tries(credentials).filter(wrong__gte=MOST_WRONG, last_at__gt=now - PAUSE).first()
    return 0 if tries is None else max(1, round((tries.last_at + PAUSE - now).total_seconds()))


def _count_wrong(credentials: Credentials, now: datetime) -> None:
    SignInTries.objects.filter(last_at__lt=now - FORGET).delete()
    tries, _made = SignInTries.objects.get_or_create(
        username=credentials.username[:64],
        address=address.group(credentials.address)[:64],
        defaults={"last_at": now},
    )
    # A pause that is over begins a new count.
    over = tries.wrong >= MOST_WRONG
    SignInTries.objects.filter(pk=tries.pk).update(wrong=1 if over else F("wrong") + 1, last_at=now)


def _hold_back_floods(request: HttpRequest) -> None:
    """However many names are tried: no more than ACCOUNT_RATE_LIMITS allows from one address."""
    if not ratelimit.consume(request, action="login"):
        raise SignInProblem("wait", seconds=round(PAUSE.total_seconds()))


# --- second factors ---------------------------------------------------------------------------------------------------


def _second_factor(person: User, code: str, credential: str) -> None:
    row = _passkey(person, credential) if credential else _taken(person, code)
    row.record_usage()


def _taken(person: User, code: str) -> Authenticator:
    """The authenticator whose code this is; a code of the app is taken once."""
    form = AuthenticateForm(user=person, data={"code": code})
    if not form.is_valid():
        codes = {error.code for error in form.errors.as_data()["code"]}
        raise SignInProblem(
            "wait_codes" if "too_many_login_attempts" in codes else "seal" if "seal" in codes else "code"
        )
    row: Authenticator = form.authenticator
    if row.type == Authenticator.Type.TOTP and not factors.spend(row, form.cleaned_data["code"]):
        raise SignInProblem("code")
    return row


def _passkey(person: User | None, credential: str) -> Authenticator:
    try:
        return passkeys.used(person, credential)
    except PasskeyProblem as problem:
        raise SignInProblem("wait_codes" if problem.code == "wait" else "passkey") from problem
