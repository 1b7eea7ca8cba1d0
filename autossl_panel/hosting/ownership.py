"""Whose hosting users are, who signs in for them, and what a person's change of role means for them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from autossl_panel.people import audit, persons
from autossl_panel.people.models import Role, User

from .changes import Change, UserProblem, chunks, lock, names_of, put_back
from .models import HostingUser

EVENTS = {"owner": "user:owner_set", "login": "user:login_set"}


@dataclass(frozen=True, slots=True)
class Held:
    """How many hosting users a person owns, and for how many the person signs in."""

    owned: int
    logins: int

    def lost_as(self, role: str) -> "Held":
        """What a person of another role would no longer hold."""
        return Held(0 if role == Role.RESELLER else self.owned, 0 if role == Role.USER else self.logins)


def held_by(person: User) -> Held:
    """What hangs on a person."""
    owned = HostingUser.objects.filter(owner=person).count()
    return Held(owned, HostingUser.objects.filter(login=person).count())


def give(users: QuerySet[HostingUser], owner: User | None, *, by: User | None) -> list[Change]:
    """Give each of `users` to a reseller, or back to root (None, or a root); returns what changed."""
    if owner is not None and not (owner.is_reseller or owner.is_root):
        raise UserProblem("owner", _("“%(name)s” is neither root nor a reseller.") % {"name": owner.username})
    after = None if owner is None or owner.is_root else owner
    with transaction.atomic():
        others = users.exclude(owner__isnull=True) if after is None else users.exclude(owner=after)
        found = others.order_by("pk").values_list("pk", "owner_id")
        changes = [Change(pk, _id(before), _id(after.pk if after else None)) for pk, before in found]
        lock(HostingUser.objects.filter(pk__in=[change.user_id for change in changes]))
        for part in chunks([change.user_id for change in changes]):
            HostingUser.objects.filter(pk__in=part).update(owner=after)
        _record("owner", changes, by)
    return changes


def undo_give(users: QuerySet[HostingUser], changes: Iterable[Change], *, by: User | None) -> int:
    """Give users back where nobody has changed the owner since, who still is a reseller; returns how many."""
    with transaction.atomic():
        resellers = User.objects.filter(role=Role.RESELLER).values_list("pk", flat=True)
        there = {"", *(str(pk) for pk in resellers)}
        done = put_back(users, [one for one in changes if one.before in there], "owner_id")
        _record("owner", done, by)
    return len(done)


def set_owner(user: HostingUser, owner: User | None, *, by: User | None) -> None:
    """Give a hosting user to a reseller, or back to root (None)."""
    give(HostingUser.objects.filter(pk=user.pk), owner, by=by)


def set_login(user: HostingUser, login: User | None, *, by: User | None) -> None:
    """Say who signs in to see a hosting user's own sites; None for nobody. One person may have several users."""
    check_login(login)
    with transaction.atomic():
        before = HostingUser.objects.select_for_update(no_key=True).get(pk=user.pk).login_id
        HostingUser.objects.filter(pk=user.pk).update(login=login)
        _record("login", [Change(user.pk, _id(before), _id(login.pk if login else None))], by)
    user.login = login


def check_login(login: User | None) -> None:
    """Raise UserProblem where a person is none who signs in for a hosting user."""
    if login is not None and login.role != Role.USER:
        texts = {
            Role.ROOT: _("“%(name)s” is root; who signs in for a hosting user has the role “hosting user”."),
            Role.RESELLER: _("“%(name)s” is a reseller; who signs in for a hosting user has the role “hosting user”."),
        }
        raise UserProblem("login", texts[Role(login.role)] % {"name": login.username})


def set_logins(person: User, users: Sequence[HostingUser], *, by: User | None) -> None:
    """Say for which hosting users a person signs in: for these, and for no others. One that has a login keeps it."""
    with transaction.atomic():
        # Locked: of two logins that are given one user at once, the second is told of the first.
        rows = (
            HostingUser.objects.select_for_update(no_key=True).filter(pk__in=[user.pk for user in users]).order_by("pk")
        )
        for user in rows:
            check_free(user, person)
        for user in HostingUser.objects.filter(login=person).exclude(pk__in=[user.pk for user in users]):
            set_login(user, None, by=by)
        for user in users:
            set_login(user, person, by=by)


def check_free(user: HostingUser, person: User | None) -> None:
    """Raise UserProblem where somebody else than `person` signs in for a hosting user."""
    if user.login_id is not None and (person is None or user.login_id != person.pk):
        login = User.objects.get(pk=user.login_id).username
        text = _("“%(user)s” has the login “%(login)s” already.")
        raise UserProblem("hosting_users", text % {"user": user.name, "login": login})


def change_role(person: User, role: str, *, by: User | None) -> Held:
    """Give a person another role. What the role may not hold is let go: owned users go back to root, logins end.

    Returns what was let go.
    """
    with transaction.atomic():
        lost = held_by(person).lost_as(role)
        persons.set_role(person, role, by=by)
        _let_go(person, lost, by)
    return lost


def remove_person(person: User, *, by: User | None) -> Held:
    """Remove a person: owned users go back to root, logins end. Returns what was let go."""
    with transaction.atomic():
        lost = held_by(person)
        _let_go(person, lost, by)
        persons.remove(person, by=by)
    return lost


def _let_go(person: User, lost: Held, by: User | None) -> None:
    if lost.owned:
        give(HostingUser.objects.filter(owner=person), None, by=by)
    if lost.logins:
        users = list(HostingUser.objects.filter(login=person).values_list("pk", flat=True))
        HostingUser.objects.filter(login=person).update(login=None)
        _record("login", [Change(pk, str(person.pk), "") for pk in users], by)


def _record(field: str, changes: list[Change], by: User | None) -> None:
    """An entry of the audit trail for each user that was changed, with the names of those it went from and to."""
    ids = {int(pk) for one in changes for pk in (one.before, one.after) if pk}
    called = {str(pk): name for pk, name in User.objects.filter(pk__in=ids).values_list("pk", "username")}
    nobody = "root" if field == "owner" else ""
    users = names_of(changes)
    rows = [
        (users[one.user_id], {field: called.get(one.before, nobody)}, {field: called.get(one.after, nobody)})
        for one in changes
    ]
    audit.record_each(by, EVENTS[field], rows)


def _id(pk: int | None) -> str:
    return "" if pk is None else str(pk)
