"""Everything about one hosting user that root sets, in one form: saved together or not at all."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from autossl_panel.people.models import User

from . import feature_lists, ownership, users
from .models import FeatureList, HostingUser


@dataclass(frozen=True, slots=True)
class Wish:
    """What a hosting user shall be like; `owner` None is root."""

    owner: User | None
    login: User | None
    feature_list: FeatureList
    email: str
    suspended: bool


def change(user: HostingUser, wish: Wish, *, by: User | None, now: datetime) -> bool:
    """Save what differs; False where nothing does. Raises UserProblem, and then nothing is saved."""
    mine = HostingUser.objects.filter(pk=user.pk)
    with transaction.atomic():
        row = mine.select_for_update(no_key=True).get()
        changed = bool(ownership.give(mine, wish.owner, by=by))
        if row.login_id != (wish.login.pk if wish.login else None):
            ownership.set_login(row, wish.login, by=by)
            changed = True
        changed |= bool(feature_lists.move(mine, wish.feature_list, by=by, now=now))
        if row.email != wish.email.strip():
            users.set_email(row, wish.email, by=by)
            changed = True
        if row.suspended != wish.suspended:
            users.set_suspended(row, wish.suspended, by=by, now=now)
            changed = True
    user.refresh_from_db()
    return changed
