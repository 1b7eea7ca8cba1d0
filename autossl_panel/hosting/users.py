"""What may be changed about hosting users, feature lists and exclusions. Each write is one named function."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from autossl_panel import names
from autossl_panel.people.models import User

from .models import Domain, Exclusion, FeatureList, HostingUser, Setting, VirtualHost

DEFAULT_FEATURE_LIST = "default"


class UserProblem(ValueError):
    """A change that cannot be made; `field` names the input that is wrong."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


@dataclass(frozen=True, slots=True)
class Change:
    """What one user's setting was and is; enough to undo."""

    user_id: int
    before: str
    after: str


def set_autossl(users: QuerySet[HostingUser], value: str, *, by: User | None, now: datetime) -> list[Change]:
    """Set AutoSSL on, off or to the feature list for each of `users`; returns what changed.

    Sites of a user that is enabled by it become due at once, so that they are checked within a minute.
    """
    if value not in Setting.values:
        raise UserProblem("autossl", _("“%(text)s” is not a setting: on, off or feature-list.") % {"text": value})
    with transaction.atomic():
        rows = list(users.exclude(autossl=value).values_list("pk", "autossl").order_by("pk"))
        changed = [pk for pk, _before in rows]
        for chunk in _chunks(changed):
            HostingUser.objects.filter(pk__in=chunk).update(autossl=value)
            _recheck(VirtualHost.objects.filter(user_id__in=chunk), now)
    return [Change(pk, before, value) for pk, before in rows]


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
    groups: dict[tuple[str, str], list[int]] = {}
    for change in changes:
        groups.setdefault((change.before, change.after), []).append(change.user_id)
    done = 0
    with transaction.atomic():
        for (before, after), ids in groups.items():
            for chunk in _chunks(ids):
                found = list(users.filter(pk__in=chunk, autossl=after).values_list("pk", flat=True))
                done += HostingUser.objects.filter(pk__in=found, autossl=after).update(autossl=before)
                _recheck(VirtualHost.objects.filter(user_id__in=found), now)
    return done


def set_suspended(user: HostingUser, suspended: bool, *, by: User | None, now: datetime) -> None:
    """Suspend a hosting user, or let it be again."""
    with transaction.atomic():
        HostingUser.objects.filter(pk=user.pk).update(suspended=suspended)
        _recheck(user.virtual_hosts.all(), now)
    user.suspended = suspended


def set_owner(user: HostingUser, owner: User | None, *, by: User | None) -> None:
    """Give a hosting user to a reseller, or back to root (None)."""
    if owner is not None and not (owner.is_reseller or owner.is_root):
        raise UserProblem("owner", _("“%(name)s” is neither root nor a reseller.") % {"name": owner.username})
    HostingUser.objects.filter(pk=user.pk).update(owner=None if owner is None or owner.is_root else owner)


def set_feature_list(name: str, autossl: bool, *, by: User | None, now: datetime) -> FeatureList:
    """Make a feature list or change what it says; its users' sites are checked again."""
    if not name.strip() or len(name) > 64:
        raise UserProblem("name", _("A feature list needs a name of at most 64 characters."))
    with transaction.atomic():
        found, _made = FeatureList.objects.update_or_create(name=name.strip(), defaults={"autossl": autossl})
        _recheck(VirtualHost.objects.filter(user__feature_list=found, user__autossl=Setting.FEATURE_LIST), now)
    return found


def default_feature_list() -> FeatureList:
    """The feature list of users that were given none."""
    return FeatureList.objects.get_or_create(name=DEFAULT_FEATURE_LIST)[0]


def exclude(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """End the wish for names; all of them or, with a problem, none. Returns the names as A-labels."""
    wished = [_domain(text) for text in texts]
    with transaction.atomic():
        for domain in wished:
            Exclusion.objects.get_or_create(
                user_id=domain.virtual_host.user_id, name=domain.name, defaults={"by": by, "at": now}
            )
            _recheck(VirtualHost.objects.filter(pk=domain.virtual_host_id), now)
    return [domain.name for domain in wished]


def include(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for excluded names again; all of them or, with a problem, none."""
    wished = [_name(text) for text in texts]
    for name in wished:
        if not Exclusion.objects.filter(name=name).exists():
            raise UserProblem("name", _("“%(name)s” is not excluded.") % {"name": names.to_unicode(name)})
    with transaction.atomic():
        Exclusion.objects.filter(name__in=wished).delete()
        _recheck(VirtualHost.objects.filter(domains__name__in=wished), now)
    return wished


def _name(text: str) -> str:
    try:
        return names.normalize(text)
    except names.NameProblem as problem:
        raise UserProblem("name", problem.text) from problem


def _domain(text: str) -> Domain:
    name = _name(text)
    found = Domain.objects.filter(name=name, virtual_host__gone_at__isnull=True).select_related("virtual_host").first()
    if found is None:
        text = _("No site has the name “%(name)s”. Run discover if it is new.")
        raise UserProblem("name", text % {"name": names.to_unicode(name)})
    return found


def _recheck(sites: QuerySet[VirtualHost], now: datetime) -> None:
    """Make sites due now: the sweep looks at them within a minute."""
    sites.filter(gone_at__isnull=True).update(next_at=now, next_reason="changed")


def _chunks(ids: list[int], size: int = 500) -> Iterable[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]
