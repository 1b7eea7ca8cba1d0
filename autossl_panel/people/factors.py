"""Second factors: authenticator app (RFC 6238), passkeys (WebAuthn) and the recovery codes that come with them.

allauth holds and checks them; adding and removing is here, each with its entry in the audit trail.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import (
    TOTP,
    format_hotp_value,
    generate_totp_secret,
    hotp_value,
    validate_totp_code,
    yield_hotp_counters_from_time,
)
from allauth.mfa.utils import decrypt
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.db import transaction
from django.db.models import Count, Q, QuerySet

from . import audit, sessions
from .models import User

NAMES = {
    Authenticator.Type.TOTP: "authenticator app",
    Authenticator.Type.WEBAUTHN: "passkey",
    Authenticator.Type.RECOVERY_CODES: "recovery codes",
}
# What may be used alone as a second factor; recovery codes only stand in for one of these.
APP, PASSKEY = Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN
KINDS = (APP, PASSKEY)
# allauth's MFA_RECOVERY_CODE_COUNT
RECOVERY_CODES = 10


class CodeWrong(ValueError):
    """The code that was typed is not one that the new authenticator app shows now."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """One passkey; `alone` says whether it signs in without a password."""

    pk: int
    name: str
    alone: bool
    added_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person has beside the password. No secret is in here."""

    app_at: datetime | None
    app_used_at: datetime | None
    passkeys: tuple[Passkey, ...]
    codes_left: int

    @property
    def any(self) -> bool:
        return self.app_at is not None or bool(self.passkeys)

    @property
    def last(self) -> bool:
        """Whether there is exactly one, so that removing it leaves the password alone."""
        return (self.app_at is not None) + len(self.passkeys) == 1


def of(person: User) -> Factors:
    """The second factors of a person."""
    app_at = app_used_at = None
    passkeys, codes_left = [], 0
    for row in Authenticator.objects.filter(user=person).order_by("created_at"):
        if row.type == APP:
            app_at, app_used_at = row.created_at, row.last_used_at
        elif row.type == PASSKEY:
            key = WebAuthn(row)
            passkeys.append(Passkey(row.pk, key.name, bool(key.is_passwordless), row.created_at, row.last_used_at))
        else:
            codes_left = _codes_left(row)
    return Factors(app_at, app_used_at, tuple(passkeys), codes_left)


def _codes_left(row: Authenticator) -> int:
    """Counted without opening the seal: each used code has its bit."""
    return RECOVERY_CODES - int(row.data["used_mask"]).bit_count()


def has_any(person: User) -> bool:
    """Whether a person has a second factor; one question to the database."""
    return Authenticator.objects.filter(user=person, type__in=KINDS).exists()


def kinds_of(people: Iterable[int]) -> dict[int, list[str]]:
    """The kinds of second factors that each of these people (by id) has; one question to the database."""
    found: dict[int, list[str]] = {}
    rows = Authenticator.objects.filter(user__in=list(people), type__in=KINDS).order_by("type")
    for person, kind in rows.values_list("user_id", "type").distinct():
        found.setdefault(person, []).append(kind)
    return found


def lacking(person: User) -> tuple[int, bool]:
    """How many who may sign in have no second factor, and whether `person` is one; one question to the database."""
    having = Authenticator.objects.filter(type__in=KINDS).values("user")
    without = User.objects.filter(is_active=True).exclude(pk__in=having)
    found = without.aggregate(all=Count("pk"), own=Count("pk", filter=Q(pk=person.pk)))
    return found["all"], bool(found["own"])


def passkeys(person: User) -> QuerySet[Authenticator]:
    """The passkeys of a person, for a view to fetch one of."""
    return Authenticator.objects.filter(user=person, type=PASSKEY)


def new_secret() -> str:
    """A secret for an authenticator app, in base32; 160 bits."""
    return str(generate_totp_secret())


def app_url(person: User, secret: str) -> str:
    """What an authenticator app reads from a QR code (the “key URI” that all of them know)."""
    return str(get_adapter().build_totp_url(person, secret))


def add_app(person: User, secret: str, code: str, *, by: User | None) -> bool:
    """Keep an authenticator app that shows the right code; True where recovery codes came with it.

    Raises CodeWrong. Nothing happens where the person has an app already.
    """
    if not validate_totp_code(secret, code):
        raise CodeWrong(code)
    with transaction.atomic():
        _lock(person)
        if Authenticator.objects.filter(user=person, type=APP).exists():
            return False
        spend(TOTP.activate(person, secret).instance, code)
        _record(person, "second_factor:added", APP, by)
        return _codes_come_with_it(person, by)


def add_passkey(person: User, name: str, credential: Mapping[str, Any], *, by: User | None) -> bool:
    """Keep a passkey that was just made and checked; True where recovery codes came with it."""
    with transaction.atomic():
        _lock(person)
        WebAuthn.add(person, name, dict(credential))
        _record(person, "second_factor:added", PASSKEY, by, name=name)
        return _codes_come_with_it(person, by)


def rename_passkey(passkey: Authenticator, name: str, *, by: User | None) -> None:
    """Call a passkey otherwise."""
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().select_related("user").get(pk=passkey.pk)
        before, row.data["name"] = row.data["name"], name
        row.save(update_fields=["data"])
        whose: User = row.user
        audit.record(by, "second_factor:renamed", whose.username, before={"name": before}, after={"name": name})


def remove(person: User, kind: str, *, pk: int | None = None, by: User | None) -> bool:
    """Take the authenticator app, or the passkey `pk`, away; with the last one the recovery codes go too.

    False where there was none.
    """
    with transaction.atomic():
        _lock(person)
        found = Authenticator.objects.filter(user=person, type=kind)
        row = (found.filter(pk=pk) if kind == PASSKEY else found).first()
        if row is None:
            return False
        more = {"name": row.data["name"]} if kind == PASSKEY else {}
        row.delete()
        _record(person, "second_factor:removed", kind, by, **more)
        if not has_any(person):
            Authenticator.objects.filter(user=person).delete()
    return True


def reset(person: User, *, by: User | None) -> int:
    """Take every second factor away from a person who lost them: the password alone signs in. Returns how many.

    The person's sessions end, so that a requirement is heeded from the next one on.
    """
    with transaction.atomic():
        _lock(person)
        rows = list(Authenticator.objects.filter(user=person))
        Authenticator.objects.filter(user=person).delete()
        if rows:
            kinds = sorted(NAMES[Authenticator.Type(row.type)] for row in rows)
            audit.record(by, "second_factor:reset", person.username, before={"factors": kinds}, after={"factors": []})
            sessions.end_all(person, by=by)
    return len(rows)


def new_codes(person: User, *, by: User | None) -> bool:
    """Make new recovery codes in place of the old ones; False without a second factor that they could stand in for."""
    with transaction.atomic():
        _lock(person)
        if not has_any(person):
            return False
        Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES).delete()
        RecoveryCodes.activate(person)
        _record(person, "second_factor:added", Authenticator.Type.RECOVERY_CODES, by)
    return True


def codes(person: User) -> list[str]:
    """The recovery codes that were not used yet. Raises ValidationError where their seal does not open."""
    row = Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES).first()
    return RecoveryCodes(row).get_unused_codes() if row else []


def spend(app: Authenticator, code: str) -> bool:
    """Whether a code of the app, valid now, is later than every one that was taken before (RFC 6238 §5.2)."""
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=app.pk)
        secret, spent = decrypt(row.data["secret"]), row.data.get("spent", 0)
        for counter in yield_hotp_counters_from_time():
            if counter > spent and compare_user_code(actual=code, expected=_code(secret, counter)):
                row.data["spent"] = counter
                row.save(update_fields=["data"])
                return True
    return False


def _code(secret: str, counter: int) -> str:
    return str(format_hotp_value(hotp_value(secret, counter)))


def _lock(person: User) -> None:
    """One change of a person's factors at a time."""
    User.objects.select_for_update().get(pk=person.pk)


def _codes_come_with_it(person: User, by: User | None) -> bool:
    if Authenticator.objects.filter(user=person, type=Authenticator.Type.RECOVERY_CODES).exists():
        return False
    RecoveryCodes.activate(person)
    _record(person, "second_factor:added", Authenticator.Type.RECOVERY_CODES, by)
    return True


def _record(person: User, event: str, kind: str, by: User | None, **more: str) -> None:
    facts = {"kind": NAMES[Authenticator.Type(kind)], **more}
    if event.endswith("removed"):
        audit.record(by, event, person.username, before=facts)
    else:
        audit.record(by, event, person.username, after=facts)
