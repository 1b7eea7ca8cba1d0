"""The second factor of people as root sees it: whether there is one, and taking it away from who is locked out.

Setting one up is the person's own, on their security page.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.db import models, transaction

from . import audit, sessions
from .models import User

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

APP = "mfa"


def available() -> bool:
    """Whether this panel has second factors at all."""
    return apps.is_installed("allauth.mfa")


def _rows() -> "models.QuerySet[Any]":
    # By its name: the module cannot be imported where the app is not installed.
    found: models.QuerySet[Any] = apps.get_model(APP, "Authenticator")._default_manager.all()
    return found


def kinds_of(people: Iterable[int]) -> dict[int, list["_StrPromise | str"]]:
    """What each of these people (by id) proves themselves with beside the password; recovery codes alone are none."""
    found: dict[int, list[_StrPromise | str]] = {}
    if not available():
        return found
    labels = dict(apps.get_model(APP, "Authenticator").Type.choices)
    rows = _rows().filter(user__in=list(people)).exclude(type="recovery_codes").order_by("pk")
    for person, kind in rows.values_list("user_id", "type"):
        if labels.get(kind, kind) not in found.setdefault(person, []):
            found[person].append(labels.get(kind, kind))
    return found


def reset(person: User, *, by: User | None) -> int:
    """Take every second factor and recovery code from a person, who then signs in by password; returns how many.

    Sessions end, so that a requirement is heeded from the next one on.
    """
    if not available():
        return 0
    with transaction.atomic():
        mine = _rows().filter(user=person)
        kinds = sorted(mine.values_list("type", flat=True))
        if kinds:
            mine.delete()
            audit.record(by, "second_factor:reset", person.username, before={"factors": kinds}, after={"factors": []})
            sessions.end_all(person, by=by)
    return len(kinds)
