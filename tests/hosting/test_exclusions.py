"""Exclusion patterns at four levels, and names excluded for one hosting user."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autossl_panel.hosting import exclusions
from autossl_panel.hosting.exclusions import Level
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, Server, VirtualHost
from autossl_panel.hosting.users import UserProblem
from autossl_panel.people.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture
def reseller(db: None) -> User:
    return User.objects.create(username="amy", role=Role.RESELLER)


@pytest.fixture
def starter(db: None) -> FeatureList:
    return FeatureList.objects.create(name="starter")


@pytest.fixture
def anna(make_user: Make, make_site: Make, reseller: User, starter: FeatureList) -> HostingUser:
    """Amy's, on the list starter, with two sites."""
    user: HostingUser = make_user("anna", owner=reseller)
    HostingUser.objects.filter(pk=user.pk).update(feature_list=starter)
    user.refresh_from_db()
    make_site(user, "dev.anna.example", "anna.example")
    make_site(user, "xn--bcher-kva.example")
    return user


@pytest.fixture
def ben(make_user: Make, make_site: Make) -> HostingUser:
    user: HostingUser = make_user("ben")
    make_site(user, "dev.ben.example")
    return user


def due(now: datetime) -> set[str]:
    return set(VirtualHost.objects.filter(next_at=now).values_list("name", flat=True))


def levels(server: Server, anna: HostingUser) -> list[Level]:
    return [
        Level(server),
        Level(server, owner=anna.owner),
        Level(server, feature_list=anna.feature_list),
        Level(server, user=anna),
    ]


def test_each_level_is_of_its_own_names(server: Server, anna: HostingUser, ben: HostingUser, now: datetime) -> None:
    found = [exclusions.concerned("dev.*", level) for level in levels(server, anna)]
    assert [one.names for one in found] == [2, 1, 1, 1]
    assert found[0].sample == ("dev.anna.example", "dev.ben.example")
    assert [level.name for level in levels(server, anna)] == [
        "server",
        "reseller amy",
        "feature list starter",
        "user anna",
    ]
    with pytest.raises(ValueError, match="one level"):
        Level(server, owner=anna.owner, user=anna)


def test_adding_makes_the_sites_due_that_have_such_names_and_is_recorded(
    server: Server, anna: HostingUser, ben: HostingUser, root: User, now: datetime
) -> None:
    row = exclusions.add_pattern(" DEV.* ", Level(server, user=anna), by=root, now=now)
    assert (row.pattern, row.by, due(now)) == ("dev.*", root, {"dev.anna.example"})
    entry = AuditEntry.objects.get()
    assert (entry.event, entry.subject, entry.after) == ("pattern:add", "dev.*", {"level": "user anna"})
    again = exclusions.add_pattern("dev.*", Level(server, user=anna), by=None, now=now)
    assert (again.pk, AuditEntry.objects.count()) == (row.pk, 1)
    assert exclusions.add_pattern("dev.*", Level(server), by=None, now=now).pk != row.pk
    VirtualHost.objects.update(next_at=None)
    exclusions.remove_pattern(row, by=root, now=now)
    assert due(now) == {"dev.anna.example"}
    exclusions.remove_pattern(row, by=root, now=now)
    assert AuditEntry.objects.filter(event="pattern:remove").count() == 1
    assert ExclusionPattern.objects.count() == 1


def test_a_pattern_that_is_none_names_its_field(server: Server, now: datetime) -> None:
    for call in (
        lambda: exclusions.concerned("a b", Level(server)),
        lambda: exclusions.add_pattern("", Level(server), by=None, now=now),
        lambda: exclusions.find_pattern("never.*", Level(server)),
    ):
        with pytest.raises(UserProblem) as raised:
            call()
        assert raised.value.field == "pattern"
    assert not ExclusionPattern.objects.exists()


def test_an_added_www_goes_with_its_domain(server: Server, anna: HostingUser) -> None:
    host = VirtualHost.objects.get(name="xn--bcher-kva.example")
    host.domains.create(name="www.xn--bcher-kva.example", added=True, position=1)
    found = exclusions.concerned("bücher.*", Level(server))
    assert (found.names, found.hosts) == (2, (host.pk,))


def test_what_holds_for_a_user_comes_from_all_four_levels(
    server: Server, anna: HostingUser, ben: HostingUser, now: datetime
) -> None:
    for level, pattern in zip(levels(server, anna), ("s.*", "r.*", "f.*", "u.*"), strict=True):
        exclusions.add_pattern(pattern, level, by=None, now=now)
    found = exclusions.load(server)
    scope = found.scope(anna.owner_id, anna.feature_list_id, anna.pk)
    assert scope is not None
    says = [scope.of(f"{first}.example") for first in "srfux"]
    assert says == [("server", "s.*"), ("reseller", "r.*"), ("feature_list", "f.*"), ("user", "u.*"), None]
    assert scope.of("www.u.example", added=True) == ("user", "u.*")
    assert scope.of("www.u.example") is None
    others = found.scope(None, ben.feature_list_id, ben.pk)
    assert others is not None
    assert [others.of(f"{first}.example") for first in "srfu"] == [("server", "s.*"), None, None, None]
    assert found.scope(None, ben.feature_list_id, 10**6) is others, "users that are alike share one"
    assert exclusions.Patterns().scope(1, 1, 1) is None


def test_names_of_one_user_are_excluded_and_included(
    anna: HostingUser, ben: HostingUser, root: User, now: datetime
) -> None:
    assert exclusions.exclude_names(anna, ["Anna.example", "bücher.example"], by=root, now=now) == [
        "anna.example",
        "xn--bcher-kva.example",
    ]
    assert exclusions.user_excluded(anna) == ["anna.example", "xn--bcher-kva.example"]
    assert exclusions.user_excluded(ben) == []
    assert due(now) == {"dev.anna.example", "xn--bcher-kva.example"}
    assert exclusions.exclude_names(anna, ["anna.example"], by=root, now=now) == []
    VirtualHost.objects.update(next_at=None)
    assert exclusions.include_names(anna, ["anna.example"], by=root, now=now) == ["anna.example"]
    assert due(now) == {"dev.anna.example"}
    assert [entry.event for entry in AuditEntry.objects.order_by("pk")] == ["exclusion:add", "exclusion:remove"]
    entry = AuditEntry.objects.order_by("pk").last()
    assert entry is not None
    assert (entry.person, entry.after) == (root, {"excluded": ["xn--bcher-kva.example"]})


def test_a_list_is_set_as_a_whole(anna: HostingUser, now: datetime) -> None:
    exclusions.exclude_names(anna, ["anna.example"], by=None, now=now)
    # One that no site has any more stays as long as the list says so.
    VirtualHost.objects.filter(name="dev.anna.example").update(gone_at=now)
    wanted = ["anna.example", "xn--bcher-kva.example"]
    assert exclusions.set_names(anna, wanted, by=None, now=now) == (["xn--bcher-kva.example"], [])
    assert exclusions.set_names(anna, [], by=None, now=now) == ([], ["anna.example", "xn--bcher-kva.example"])
    with pytest.raises(UserProblem, match=r"No site of anna has the name “anna\.example”"):
        exclusions.set_names(anna, ["anna.example"], by=None, now=now)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (exclusions.exclude_names, "No site of anna has the name “dev.ben.example”"),
        (exclusions.include_names, "“dev.ben.example” is not excluded"),
        (exclusions.set_names, "No site of anna has the name “dev.ben.example”"),
    ],
)
def test_one_wrong_name_changes_none(
    call: Callable[..., object], says: str, anna: HostingUser, ben: HostingUser, now: datetime
) -> None:
    exclusions.exclude_names(anna, ["xn--bcher-kva.example"], by=None, now=now)
    VirtualHost.objects.update(next_at=None)
    for wrong, text in (("dev.ben.example", says), ("no name", "no name")):
        with pytest.raises(UserProblem) as raised:
            call(anna, ["xn--bcher-kva.example", wrong], by=None, now=now)
        assert raised.value.field == "name"
        assert text in raised.value.text
    assert exclusions.user_excluded(anna) == ["xn--bcher-kva.example"]
    assert not due(now)
