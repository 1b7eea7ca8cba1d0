"""What may be changed about hosting users: AutoSSL, suspension, e-mail. Each write is one named function.

Owners and logins are in `ownership`, feature lists in `feature_lists`, names in `exclusions`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.db.models import Q, QuerySet

from autossl_panel.people import audit
from autossl_panel.people.models import User

from .changes import Change, UserProblem, chunks, names_of, put_back, recheck
from .exclusions import exclude, include
from .feature_lists import default_feature_list, set_feature_list
from .models import HostingUser, Setting, VirtualHost
from .ownership import set_owner

__all__ = [
    "Change",
    "UserProblem",
    "default_feature_list",
    "exclude",
    "include",
    "off",
    "set_autossl",
    "set_email",
    "set_feature_list",
    "set_owner",
    "set_suspended",
    "undo_autossl",
]


def set_autossl(users: QuerySet[HostingUser], value: str, *, by: User | None, now: datetime) -> list[Change]:
    """Set AutoSSL on, off or to the feature list for each of `users`; returns what changed.

    Sites of a user that is enabled by it become due at once, so that they are checked within a minute.
    """
    if value not in Setting.values:
        raise UserProblem("autossl", f"“{value}” is not a setting: on, off or feature-list.")
    with transaction.atomic():
        rows = list(users.exclude(autossl=value).values_list("pk", "autossl").order_by("pk"))
        changes = [Change(pk, before, value) for pk, before in rows]
        for chunk in chunks([pk for pk, _before in rows]):
            HostingUser.objects.filter(pk__in=chunk).update(autossl=value)
            recheck(VirtualHost.objects.filter(user_id__in=chunk), now)
        _record("autossl", changes, by)
    return changes


def off(path: str = "") -> Q:
    """Filter: AutoSSL does nothing for the virtual host at `path`, because it is gone or its user suspended or off."""
    user = f"{path}user__"
    by_list = Q(**{f"{user}autossl": Setting.FEATURE_LIST, f"{user}feature_list__autossl": False})
    return (
        Q(**{f"{path}gone_at__isnull": False})
        | Q(**{f"{user}suspended": True})
        | Q(**{f"{user}autossl": Setting.OFF})
        | by_list
    )


def undo_autossl(users: QuerySet[HostingUser], changes: Iterable[Change], *, by: User | None, now: datetime) -> int:
    """Put settings back where nobody has changed them since; returns how many."""
    with transaction.atomic():
        done = put_back(users, changes, "autossl")
        for chunk in chunks([change.user_id for change in done]):
            recheck(VirtualHost.objects.filter(user_id__in=chunk), now)
        _record("autossl", done, by)
    return len(done)


def set_suspended(user: HostingUser, suspended: bool, *, by: User | None, now: datetime) -> None:
    """Suspend a hosting user, or let it be again."""
    with transaction.atomic():
        before = HostingUser.objects.select_for_update().get(pk=user.pk).suspended
        HostingUser.objects.filter(pk=user.pk).update(suspended=suspended)
        recheck(user.virtual_hosts.all(), now)
        audit.record(by, "user:changed", user.name, before={"suspended": before}, after={"suspended": suspended})
    user.suspended = suspended


def set_email(user: HostingUser, email: str, *, by: User | None) -> None:
    """Set where notifications for a hosting user go; “” for nowhere."""
    email = email.strip()
    if email:
        try:
            validate_email(email)
        except ValidationError as error:
            raise UserProblem("email", f"“{email[:80]}” is not an e-mail address.") from error
        if len(email) > 254:
            raise UserProblem("email", "An e-mail address has at most 254 characters.")
    with transaction.atomic():
        before = HostingUser.objects.select_for_update().get(pk=user.pk).email
        HostingUser.objects.filter(pk=user.pk).update(email=email)
        audit.record(by, "user:changed", user.name, before={"email": before}, after={"email": email})
    user.email = email


def _record(field: str, changes: Sequence[Change], by: User | None) -> None:
    """An entry of the audit trail for each user that was changed."""
    names = names_of(changes)
    rows = [(names[one.user_id], {field: one.before}, {field: one.after}) for one in changes]
    audit.record_many(by, "user:changed", rows)
