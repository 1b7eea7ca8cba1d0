"""Feature lists: added, renamed, switched, their users moved, removed."""

import pytest

from autossl_panel.hosting import feature_lists
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.models import FeatureList, HostingUser, Setting, VirtualHost
from autossl_panel.people.models import AuditEntry

pytestmark = pytest.mark.django_db


def test_a_list_is_added_once(root):
    row = feature_lists.add("  small   sites ", True, by=root)
    assert row.name == "small sites"
    with pytest.raises(UserProblem, match="a feature list “small sites” already"):
        feature_lists.add("small sites", False, by=root)
    assert AuditEntry.objects.get().after == {"autossl": True}


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\x07b"])
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(UserProblem) as raised:
        feature_lists.add(name, True, by=None)
    assert raised.value.field == "name"
    assert not FeatureList.objects.exists()


def test_renaming_keeps_the_users_and_never_takes_anothers_name(make_user, root):
    row = feature_lists.add("starter", True, by=root)
    user = make_user("amber")
    feature_lists.move(HostingUser.objects.all(), row, by=root, now=user.server.inventory_at)
    feature_lists.rename(row, "basic", by=root)
    user.refresh_from_db()
    assert user.feature_list.name == "basic"
    for name, says in (("default", "already"), ("", "1 to 64"), ("x" * 70, "has 70 characters")):
        with pytest.raises(UserProblem, match=says):
            feature_lists.rename(row, name, by=root)
    with pytest.raises(UserProblem, match="keeps its name"):
        feature_lists.rename(feature_lists.default_feature_list(), "other", by=root)


def test_switching_makes_sites_due_of_those_that_follow(make_user, make_site, root, now):
    follows, own = make_user("amber"), make_user("birch", autossl=Setting.ON)
    site, other = make_site(follows, "amber.example"), make_site(own, "birch.example")
    row = feature_lists.default_feature_list()
    assert feature_lists.set_autossl(row, False, by=root, now=now)
    assert not feature_lists.set_autossl(row, False, by=root, now=now)
    assert dict(VirtualHost.objects.values_list("pk", "next_at")) == {site.pk: now, other.pk: None}
    entry = AuditEntry.objects.get()
    assert (entry.subject, entry.before, entry.after) == ("default", {"autossl": True}, {"autossl": False})


def test_moving_users_can_be_undone_where_nobody_moved_them_on(make_user, make_site, root, now):
    amber = make_user("amber")
    make_user("birch")
    site = make_site(amber, "amber.example")
    first, second = (feature_lists.add(name, True, by=root) for name in ("one", "two"))
    changes = feature_lists.move(HostingUser.objects.all(), first, by=root, now=now)
    assert len(changes) == 2
    site.refresh_from_db()
    assert site.next_at == now
    feature_lists.move(HostingUser.objects.filter(name="birch"), second, by=root, now=now)
    assert feature_lists.undo_move(HostingUser.objects.all(), changes, by=root, now=now) == 1
    assert dict(HostingUser.objects.values_list("name", "feature_list__name")) == {"amber": "default", "birch": "two"}
    assert AuditEntry.objects.filter(subject="amber", after={"feature_list": "default"}).exists()


def test_a_list_in_use_is_removed_only_with_another_for_its_users(make_user, root, now):
    make_user("amber")
    row = feature_lists.add("starter", True, by=root)
    feature_lists.move(HostingUser.objects.all(), row, by=root, now=now)
    with pytest.raises(UserProblem, match="“starter” has 1 user"):
        feature_lists.remove(row, by=root, now=now)
    with pytest.raises(UserProblem) as raised:
        feature_lists.remove(row, move_to=row, by=root, now=now)
    assert raised.value.field == "move_to"
    default = feature_lists.default_feature_list()
    assert feature_lists.remove(row, move_to=default, by=root, now=now) == 1
    assert HostingUser.objects.get().feature_list == default
    with pytest.raises(UserProblem, match="stays"):
        feature_lists.remove(default, by=root, now=now)
