"""Owners and logins of hosting users, and what a person's change of role or removal lets go."""

import pytest

from autossl_panel.hosting import ownership, visible
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.models import HostingUser
from autossl_panel.hosting.ownership import Held
from autossl_panel.people.models import AuditEntry, Role, User
from autossl_panel.people.persons import PersonProblem

pytestmark = pytest.mark.django_db


@pytest.fixture
def reseller() -> User:
    return User.objects.create(username="mine", role=Role.RESELLER)


@pytest.fixture
def login() -> User:
    return User.objects.create(username="anna", role=Role.USER)


def owners() -> dict[str, str | None]:
    return dict(HostingUser.objects.values_list("name", "owner__username"))


def test_users_are_given_away_each_with_its_entry(make_user, root, reseller):
    for name in ("amber", "birch", "cedar"):
        make_user(name)
    changes = ownership.give(HostingUser.objects.exclude(name="cedar"), reseller, by=root)
    assert len(changes) == 2
    assert owners() == {"amber": "mine", "birch": "mine", "cedar": None}
    entry = AuditEntry.objects.get(subject="amber")
    assert (entry.before, entry.after) == ({"owner": "root"}, {"owner": "mine"})
    assert ownership.give(HostingUser.objects.exclude(name="cedar"), reseller, by=root) == []
    assert AuditEntry.objects.count() == 2


def test_undo_gives_back_what_nobody_has_given_on_since(make_user, root, reseller):
    other = User.objects.create(username="other", role=Role.RESELLER)
    make_user("amber"), make_user("birch", owner=other), make_user("cedar", owner=other)
    changes = ownership.give(HostingUser.objects.all(), reseller, by=root)
    ownership.give(HostingUser.objects.filter(name="amber"), other, by=root)
    assert ownership.undo_give(HostingUser.objects.all(), changes, by=root) == 2
    assert owners() == {"amber": "other", "birch": "other", "cedar": "other"}


def test_undo_gives_nothing_to_who_is_no_reseller_any_more(make_user, root, reseller):
    make_user("amber", owner=reseller)
    changes = ownership.give(HostingUser.objects.all(), root, by=root)
    ownership.change_role(reseller, Role.USER, by=root)
    assert ownership.undo_give(HostingUser.objects.all(), changes, by=root) == 0
    assert owners() == {"amber": None}


def test_a_login_sees_its_hosting_users_and_no_others(make_user, make_site, login):
    amber, birch = make_user("amber"), make_user("birch")
    site = make_site(amber, "amber.example")
    make_site(birch, "birch.example")
    ownership.set_login(amber, login, by=None)
    assert list(visible.users(login)) == [amber]
    assert list(visible.virtual_hosts(login)) == [site]
    ownership.set_login(amber, None, by=None)
    assert list(visible.users(login)) == []
    assert [(one.before, one.after) for one in AuditEntry.objects.order_by("pk")] == [
        ({"login": ""}, {"login": "anna"}),
        ({"login": "anna"}, {"login": ""}),
    ]


def test_who_signs_in_for_a_hosting_user_has_that_role_alone(make_user, reseller):
    with pytest.raises(UserProblem, match="“mine” is a reseller"):
        ownership.set_login(make_user("amber"), reseller, by=None)


def test_another_role_lets_go_of_what_it_may_not_hold(make_user, root, reseller, login):
    make_user("amber", owner=reseller, login=login)
    assert ownership.held_by(reseller) == Held(1, 0)
    assert ownership.change_role(reseller, Role.RESELLER, by=root) == Held(0, 0)
    assert ownership.change_role(reseller, Role.USER, by=root) == Held(1, 0)
    assert ownership.change_role(login, Role.RESELLER, by=root) == Held(0, 1)
    user = HostingUser.objects.get()
    assert (user.owner, user.login) == (None, None)
    assert {entry.event for entry in AuditEntry.objects.all()} == {
        "user:owner_set",
        "user:login_set",
        "person:changed",
    }


def test_removing_a_person_gives_users_back_to_root(make_user, root, reseller):
    make_user("amber", owner=reseller), make_user("birch", owner=reseller)
    assert ownership.remove_person(reseller, by=root) == Held(2, 0)
    assert owners() == {"amber": None, "birch": None}
    assert not User.objects.filter(username="mine").exists()
    assert AuditEntry.objects.get(event="person:removed").before == {"role": "reseller", "email": ""}
    assert AuditEntry.objects.filter(subject="amber", before={"owner": "mine"}).exists()


def test_the_last_root_keeps_role_and_row(root):
    for act in (
        lambda: ownership.change_role(root, Role.USER, by=root),
        lambda: ownership.remove_person(root, by=root),
    ):
        with pytest.raises(PersonProblem, match="the only active root"):
            act()
    assert User.objects.get().is_root
