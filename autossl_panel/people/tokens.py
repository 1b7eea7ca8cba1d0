"""API tokens: made by a person for scripts that act in its name, found by their secret, revoked at once.

A secret is 262 random bits: nobody guesses it, so a fast hash keeps it, and no salt is needed to look it up.
"""

import hashlib
import hmac
import secrets
import string
import unicodedata
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from . import audit, taken
from .models import ApiToken, User

# Secrets that leak are found by it
PREFIX = "autossl_"
ALPHABET = string.ascii_letters + string.digits
LENGTH = 44
LONGEST_NAME = 64
# A person's tokens
MOST = 50
USED_EVERY = timedelta(minutes=1)


class TokenProblem(ValueError):
    """Why no token was made; `field` is name or expires."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def visible(person: User) -> QuerySet[ApiToken]:
    """The tokens that `person` may see and revoke: root everybody's, others their own; the newest first."""
    rows = ApiToken.objects.all() if person.is_root else ApiToken.objects.filter(person=person)
    return rows.select_related("person").order_by("-made_at", "-pk")


def of(person: User) -> QuerySet[ApiToken]:
    """A person's own tokens, the newest first."""
    return ApiToken.objects.filter(person=person).select_related("person").order_by("-made_at", "-pk")


@sensitive_variables("secret")
def make(
    person: User, name: str, *, expires_at: datetime | None, read_only: bool, by: User | None, now: datetime
) -> tuple[ApiToken, str]:
    """Make a token of `person`; returns it and the secret, which can never be shown again. Raises TokenProblem."""
    name = _name(name)
    if expires_at is not None and expires_at <= now:
        raise TokenProblem("expires", _("A token expires later than now."))
    secret = PREFIX + "".join(secrets.choice(ALPHABET) for _letter in range(LENGTH))
    row = ApiToken(
        person=person, name=name, digest=_digest(secret), made_at=now, expires_at=expires_at, read_only=read_only
    )
    with transaction.atomic():
        # The person's row is locked: two forms at once do not make more than there may be.
        User.objects.select_for_update().get(pk=person.pk)
        if ApiToken.objects.filter(person=person).count() >= MOST:
            text = _("There are %(n)d tokens, and more are not kept. Revoke one that no script uses.")
            raise TokenProblem("name", text % {"n": MOST})
        with taken.unless(TokenProblem("name", _("There is a token “%(name)s” already.") % {"name": name})):
            row.save(force_insert=True)
        after = {"name": name, "expires": _day(expires_at), "read_only": read_only}
        audit.record(by, "token:added", person.username, after=after)
    return row, secret


def revoke(token: ApiToken, *, by: User | None) -> bool:
    """Let a token open nothing any more, from the next call on. False where it was revoked already."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk).delete()[0]:
            return False
        _record([token], by)
    return True


def revoke_all(person: User, *, by: User | None) -> int:
    """Revoke every token of a person; returns how many."""
    with transaction.atomic():
        found = list(ApiToken.objects.filter(person=person).select_related("person"))
        ApiToken.objects.filter(pk__in=[token.pk for token in found]).delete()
        _record(found, by)
    return len(found)


@sensitive_variables("secret")
def find(username: str, secret: str, now: datetime) -> ApiToken | None:
    """The token with this secret, of this person, if it opens something now. One query, whatever is wrong.

    The secret is looked up by its hash, so that how long that takes says nothing of a secret.
    """
    digest = _digest(secret)
    row = ApiToken.objects.select_related("person").filter(digest=digest).first()
    if row is None or not hmac.compare_digest(row.digest, digest):
        return None
    if not hmac.compare_digest(row.person.username.encode(), username.encode()):
        return None
    return row if row.person.is_active and not has_expired(row, now) else None


def has_expired(token: ApiToken, now: datetime) -> bool:
    """Whether its time is over."""
    return token.expires_at is not None and token.expires_at <= now


def used(token: ApiToken, address: str, now: datetime) -> None:
    """Note that it was used, at most once a minute unless the address is another one."""
    if token.used_at is not None and now - token.used_at < USED_EVERY and token.address == address[:64]:
        return
    # Of several calls at once, one writes.
    stale = Q(used_at__isnull=True) | Q(used_at__lte=now - USED_EVERY) | ~Q(address=address[:64])
    ApiToken.objects.filter(stale, pk=token.pk).update(used_at=now, address=address[:64])


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not name:
        raise TokenProblem("name", _("Say what the token is for, such as “backup script”."))
    if len(name) > LONGEST_NAME:
        raise TokenProblem("name", _("A name has at most %(n)d characters.") % {"n": LONGEST_NAME})
    if any(unicodedata.category(letter).startswith("C") for letter in name):
        raise TokenProblem("name", _("A name has no control characters."))
    return name


@sensitive_variables("secret")
def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _day(at: datetime | None) -> str | None:
    return None if at is None else f"{at:%Y-%m-%d %H:%M}"


def _record(revoked: list[ApiToken], by: User | None) -> None:
    for token in revoked:
        before = {"name": token.name, "expires": _day(token.expires_at), "read_only": token.read_only}
        audit.record(by, "token:revoked", token.person.username, before=before)
