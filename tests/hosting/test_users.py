"""Settings of hosting users, feature lists and exclusions."""

import pytest

from autossl_panel.hosting import users, visible
from autossl_panel.hosting.models import Exclusion, HostingUser, Setting, VirtualHost
from autossl_panel.people.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db


def test_enabling_a_user_makes_its_sites_due_and_can_be_undone(make_user, make_site, now):
    amber, birch = make_user("amber", autossl=Setting.OFF), make_user("birch")
    site = make_site(amber, "amber.example")
    changes = users.set_autossl(HostingUser.objects.all(), "on", by=None, now=now)
    assert {change.user_id: change.before for change in changes} == {amber.pk: "off", birch.pk: "feature-list"}
    site.refresh_from_db()
    assert site.next_at == now
    HostingUser.objects.filter(pk=birch.pk).update(autossl=Setting.OFF)  # somebody else decided meanwhile
    assert users.undo_autossl(HostingUser.objects.all(), changes, by=None, now=now) == 1
    amber.refresh_from_db()
    birch.refresh_from_db()
    assert (amber.autossl, birch.autossl) == ("off", "off")


def test_only_the_users_given_are_changed(make_user, now):
    amber, birch = make_user("amber"), make_user("birch")
    users.set_autossl(HostingUser.objects.filter(pk=amber.pk), "off", by=None, now=now)
    birch.refresh_from_db()
    assert birch.autossl == Setting.FEATURE_LIST


def test_an_unknown_setting_is_refused(make_user, now):
    with pytest.raises(users.UserProblem, match="on, off or feature-list"):
        users.set_autossl(HostingUser.objects.all(), "maybe", by=None, now=now)


def test_a_feature_list_decides_for_those_that_follow_it(make_user, make_site, now):
    user = make_user("amber")
    site = make_site(user, "amber.example")
    assert user.enabled
    users.set_feature_list("default", False, by=None, now=now)
    assert not HostingUser.objects.get(pk=user.pk).enabled
    site.refresh_from_db()
    assert site.next_reason == "changed"


def test_owners_are_resellers_or_root(make_user, root):
    user = make_user("amber")
    reseller = User.objects.create(username="mine", role=Role.RESELLER)
    login = User.objects.create(username="login", role=Role.USER)
    users.set_owner(user, reseller, by=None)
    assert list(visible.users(reseller)) == [user]
    users.set_owner(user, root, by=None)
    assert list(visible.users(reseller)) == []
    with pytest.raises(users.UserProblem, match="neither root nor a reseller"):
        users.set_owner(user, login, by=None)


def test_a_hosting_users_login_sees_no_users_or_sites(make_user, make_site):
    make_site(make_user("amber"), "amber.example")
    login = User.objects.create(username="login", role=Role.USER)
    assert list(visible.users(login)) == []
    assert list(visible.virtual_hosts(login)) == []


def test_excluding_takes_names_in_any_form_or_none_of_them(make_user, make_site, now):
    site = make_site(make_user("amber"), "xn--bcher-kva.example", "amber.example")
    assert users.exclude(["Bücher.example."], by=None, now=now) == ["xn--bcher-kva.example"]
    with pytest.raises(users.UserProblem, match=r"No site has the name “other\.example”"):
        users.exclude(["amber.example", "other.example"], by=None, now=now)
    assert [row.name for row in Exclusion.objects.all()] == ["xn--bcher-kva.example"]
    VirtualHost.objects.update(next_at=None)
    assert users.include(["bücher.example"], by=None, now=now) == ["xn--bcher-kva.example"]
    assert not Exclusion.objects.exists()
    site.refresh_from_db()
    assert site.next_at == now


@pytest.mark.parametrize("junk", ["", "a b", "x..y", "-a.example", "a" * 300 + ".example", "192.0.2.1"])
def test_a_name_list_with_junk_says_which(junk, make_user, make_site, now):
    make_site(make_user("amber"), "amber.example")
    with pytest.raises(users.UserProblem) as raised:
        users.exclude(["amber.example", junk], by=None, now=now)
    assert raised.value.field == "name"
    assert not Exclusion.objects.exists()


def test_an_address_is_kept_in_one_form_and_leaves_a_trace(make_user, root):
    user = make_user("amber")
    users.set_email(user, " Anna@Bücher.example ", by=root)
    user.refresh_from_db()
    assert user.email == "Anna@xn--bcher-kva.example"
    users.set_email(user, "", by=root)
    assert HostingUser.objects.get(pk=user.pk).email == ""
    entries = AuditEntry.objects.filter(subject="amber").order_by("pk")
    assert [(entry.person, entry.before, entry.after) for entry in entries] == [
        (root, {"email": ""}, {"email": "Anna@xn--bcher-kva.example"}),
        (root, {"email": "Anna@xn--bcher-kva.example"}, {"email": ""}),
    ]


@pytest.mark.parametrize(
    "text", ["anna", "@b.example", "a@b.example\nBcc: c@d.example", "a b@c.example", "ä@b.example"]
)
def test_what_is_no_address_is_refused_and_changes_nothing(make_user, text):
    user = make_user("amber", email="a@b.example")
    with pytest.raises(users.UserProblem) as raised:
        users.set_email(user, text, by=None)
    assert raised.value.field == "email"
    assert HostingUser.objects.get(pk=user.pk).email == "a@b.example"
    assert not AuditEntry.objects.exists()
