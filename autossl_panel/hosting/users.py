"""What may be changed about hosting users: AutoSSL, suspension, e-mail, names whoever has them. Each write is one
named function. Owners and logins are in `ownership`, feature lists in `feature_lists`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from autossl_panel import names
from autossl_panel.people import audit, mail
from autossl_panel.people.models import User

from .changes import Change, UserProblem, chunks, lock, make_due, names_of, put_back
from .feature_lists import default_feature_list, set_feature_list
from .models import Domain, Exclusion, HostingUser, Setting, VirtualHost
from .ownership import set_owner

__all__ = [
    "Change",
    "UserProblem",
    "default_feature_list",
    "exclude",
    "include",
    "lock",
    "make_due",
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
        raise UserProblem("autossl", _("“%(text)s” is not a setting: on, off or feature-list.") % {"text": value})
    with transaction.atomic():
        rows = list(users.exclude(autossl=value).values_list("pk", "autossl").order_by("pk"))
        changes = [Change(pk, before, value) for pk, before in rows]
        lock(HostingUser.objects.filter(pk__in=[pk for pk, _before in rows]))
        for chunk in chunks([pk for pk, _before in rows]):
            HostingUser.objects.filter(pk__in=chunk).update(autossl=value)
            make_due(VirtualHost.objects.filter(user_id__in=chunk), now)
        _record_autossl(changes, by)
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
            make_due(VirtualHost.objects.filter(user_id__in=chunk), now)
        _record_autossl(done, by)
    return len(done)


def set_suspended(user: HostingUser, suspended: bool, *, by: User | None, now: datetime) -> None:
    """Suspend a hosting user, or let it be again."""
    with transaction.atomic():
        before = HostingUser.objects.select_for_update(no_key=True).get(pk=user.pk).suspended
        HostingUser.objects.filter(pk=user.pk).update(suspended=suspended)
        make_due(user.virtual_hosts.all(), now)
        event = "user:suspended" if suspended else "user:unsuspended"
        audit.record(by, event, user.name, before={"suspended": before}, after={"suspended": suspended})
    user.suspended = suspended


def email_of(text: str) -> str:
    """An e-mail address in the one form in which they are kept; “” for none. Raises UserProblem (email)."""
    try:
        return mail.address(text) if text.strip() else ""
    except mail.AddressProblem as problem:
        raise UserProblem("email", problem.text) from problem


def set_email(user: HostingUser, email: str, *, by: User | None) -> None:
    """Where notifications for a hosting user go; "" for nowhere. Raises UserProblem (email)."""
    email = email_of(email)
    with transaction.atomic():
        before = HostingUser.objects.select_for_update(no_key=True).get(pk=user.pk).email
        HostingUser.objects.filter(pk=user.pk).update(email=email)
        audit.record(by, "user:changed", user.name, before={"email": before}, after={"email": email})
    user.email = email


def exclude(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """End the wish for names; all of them or, with a problem, none. Returns the names as A-labels."""
    wished = [_domain(text) for text in texts]
    with transaction.atomic():
        for domain in wished:
            _row, made = Exclusion.objects.get_or_create(
                user_id=domain.virtual_host.user_id, name=domain.name, defaults={"by": by, "at": now}
            )
            if made:
                audit.record(by, "name:excluded", domain.name, after={"user": domain.virtual_host.user.name})
            make_due(VirtualHost.objects.filter(pk=domain.virtual_host_id), now)
    return [domain.name for domain in wished]


def include(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for excluded names again; all of them or, with a problem, none."""
    wished = [_name(text) for text in texts]
    for name in wished:
        if not Exclusion.objects.filter(name=name).exists():
            raise UserProblem("name", _("“%(name)s” is not excluded.") % {"name": names.to_unicode(name)})
    with transaction.atomic():
        rows = Exclusion.objects.select_related("user").filter(name__in=wished)
        audit.record_each(by, "name:included", [(row.name, {"user": row.user.name}, None) for row in rows])
        rows.delete()
        make_due(VirtualHost.objects.filter(domains__name__in=wished), now)
    return wished


def _name(text: str) -> str:
    try:
        return names.normalize(text)
    except names.NameProblem as problem:
        raise UserProblem("name", problem.text) from problem


def _domain(text: str) -> Domain:
    name = _name(text)
    found = Domain.objects.filter(name=name, virtual_host__gone_at__isnull=True)
    domain = found.select_related("virtual_host__user").first()
    if domain is None:
        text = _("No site has the name “%(name)s”. Run discover if it is new.")
        raise UserProblem("name", text % {"name": names.to_unicode(name)})
    return domain


def _record_autossl(changes: Sequence[Change], by: User | None) -> None:
    """An entry of the audit trail for each user that was changed."""
    called = names_of(changes)
    rows = [(called[one.user_id], {"autossl": one.before}, {"autossl": one.after}) for one in changes]
    audit.record_each(by, "user:autossl_set", rows)
