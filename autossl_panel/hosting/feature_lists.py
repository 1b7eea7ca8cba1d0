"""Feature lists: named defaults that hosting users follow. Each write is one named function."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.people import audit, taken
from autossl_panel.people.models import User

from .changes import Change, UserProblem, chunks, lock, make_due, names_of, put_back
from .models import FeatureList, HostingUser, Setting, VirtualHost

# What users are given that discovery finds
DEFAULT = "default"


def default_feature_list() -> FeatureList:
    """The feature list of users that were given none."""
    return FeatureList.objects.get_or_create(name=DEFAULT)[0]


def add(name: str, autossl: bool, *, by: User | None) -> FeatureList:
    """Add a feature list; its name must be new."""
    name = _name(name)
    with transaction.atomic():
        row, made = FeatureList.objects.get_or_create(name=name, defaults={"autossl": autossl})
        if not made:
            raise UserProblem("name", _("There is a feature list “%(name)s” already.") % {"name": name})
        audit.record(by, "feature_list:added", name, after={"autossl": autossl})
    return row


def rename(row: FeatureList, name: str, *, by: User | None) -> None:
    """Give a feature list another name."""
    name = _name(name)
    if name == row.name:
        return
    if row.name == DEFAULT:
        raise UserProblem(
            "name", _("“%(name)s” keeps its name: new hosting users get the list of this name.") % {"name": DEFAULT}
        )
    problem = UserProblem("name", _("There is a feature list “%(name)s” already.") % {"name": name})
    with transaction.atomic():
        with taken.unless(problem):
            FeatureList.objects.filter(pk=row.pk).update(name=name)
        audit.record(by, "feature_list:changed", row.name, before={"name": row.name}, after={"name": name})
    row.name = name


def set_autossl(row: FeatureList, autossl: bool, *, by: User | None, now: datetime) -> bool:
    """Change what a feature list says of AutoSSL; False where it says so already.

    Sites of the users that follow it become due at once.
    """
    with transaction.atomic():
        if not FeatureList.objects.filter(pk=row.pk).exclude(autossl=autossl).update(autossl=autossl):
            return False
        make_due(VirtualHost.objects.filter(user__feature_list=row, user__autossl=Setting.FEATURE_LIST), now)
        said = {"autossl": not autossl}
        audit.record(by, "feature_list:changed", row.name, before=said, after={"autossl": autossl})
    row.autossl = autossl
    return True


def set_feature_list(name: str, autossl: bool, *, by: User | None, now: datetime) -> FeatureList:
    """Make a feature list, or change what it says; its users' sites are checked again."""
    row = FeatureList.objects.filter(name=_name(name)).first()
    if row is None:
        return add(name, autossl, by=by)
    set_autossl(row, autossl, by=by, now=now)
    return row


def move(users: QuerySet[HostingUser], row: FeatureList, *, by: User | None, now: datetime) -> list[Change]:
    """Give each of `users` this feature list; returns what changed. Sites of those that follow a list become due."""
    with transaction.atomic():
        found = users.exclude(feature_list=row).order_by("pk").values_list("pk", "feature_list_id")
        changes = [Change(pk, str(before), str(row.pk)) for pk, before in found]
        lock(HostingUser.objects.filter(pk__in=[change.user_id for change in changes]))
        for part in chunks([change.user_id for change in changes]):
            HostingUser.objects.filter(pk__in=part).update(feature_list=row)
        _moved(changes, by=by, now=now)
    return changes


def undo_move(users: QuerySet[HostingUser], changes: Iterable[Change], *, by: User | None, now: datetime) -> int:
    """Give users their feature list back where nobody has changed it since and it still exists; returns how many."""
    with transaction.atomic():
        there = {str(pk) for pk in FeatureList.objects.values_list("pk", flat=True)}
        done = put_back(users, [one for one in changes if one.before in there], "feature_list_id")
        _moved(done, by=by, now=now)
    return len(done)


def remove(row: FeatureList, *, move_to: FeatureList | None = None, by: User | None, now: datetime) -> int:
    """Remove a feature list, after its users were given another; returns how many these were.

    What hangs on it goes with it: its exclusion patterns and its choice of a provider.
    """
    if row.name == DEFAULT:
        raise UserProblem("name", _("“%(name)s” stays: new hosting users get it.") % {"name": DEFAULT})
    with transaction.atomic():
        users = HostingUser.objects.filter(feature_list=row)
        if move_to is None or move_to.pk == row.pk:
            number = users.count()
            if number:
                text = ngettext(
                    "“%(name)s” has %(n)d user. Choose the list that it gets.",
                    "“%(name)s” has %(n)d users. Choose the list that they get.",
                    number,
                )
                raise UserProblem("move_to", text % {"name": row.name, "n": number})
            moved = 0
        else:
            moved = len(move(users, move_to, by=by, now=now))
        audit.record(by, "feature_list:removed", row.name, before={"autossl": row.autossl})
        row.delete()
    return moved


def _moved(changes: list[Change], *, by: User | None, now: datetime) -> None:
    """Have the users' sites looked at, and record each user's change."""
    ids = [change.user_id for change in changes]
    for part in chunks(ids):
        make_due(VirtualHost.objects.filter(user_id__in=part, user__autossl=Setting.FEATURE_LIST), now)
    called = {str(pk): name for pk, name in FeatureList.objects.values_list("pk", "name")}
    users = names_of(changes)
    rows = [
        (users[one.user_id], {"feature_list": called[one.before]}, {"feature_list": called[one.after]})
        for one in changes
    ]
    audit.record_each(by, "user:feature_list_set", rows)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if len(name) > 64:
        said = _("This name has %(n)d characters; that of a feature list has at most 64.") % {"n": len(name)}
        raise UserProblem("name", said)
    if not name or not name.isprintable():
        raise UserProblem("name", _("A feature list needs a name of 1 to 64 characters."))
    return name
