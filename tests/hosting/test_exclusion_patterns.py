"""Exclusion patterns at four levels."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autossl_panel import patterns
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import Domain, ExclusionPattern, FeatureList, HostingUser, Server, VirtualHost
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
    found = [exclusion_patterns.concerned("dev.*", level) for level in levels(server, anna)]
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
    row = exclusion_patterns.add_pattern(" DEV.* ", Level(server, user=anna), by=root, now=now)
    assert (row.pattern, row.by, due(now)) == ("dev.*", root, {"dev.anna.example"})
    entry = AuditEntry.objects.get()
    assert (entry.event, entry.subject, entry.after) == ("pattern:added", "dev.*", {"level": "user anna"})
    again = exclusion_patterns.add_pattern("dev.*", Level(server, user=anna), by=None, now=now)
    assert (again.pk, AuditEntry.objects.count()) == (row.pk, 1)
    assert exclusion_patterns.add_pattern("dev.*", Level(server), by=None, now=now).pk != row.pk
    VirtualHost.objects.update(next_at=None)
    exclusion_patterns.remove_pattern(row, by=root, now=now)
    assert due(now) == {"dev.anna.example"}
    exclusion_patterns.remove_pattern(row, by=root, now=now)
    assert AuditEntry.objects.filter(event="pattern:removed").count() == 1
    assert ExclusionPattern.objects.count() == 1


def test_a_pattern_that_is_none_names_its_field(server: Server, now: datetime) -> None:
    for call in (
        lambda: exclusion_patterns.concerned("a b", Level(server)),
        lambda: exclusion_patterns.add_pattern("", Level(server), by=None, now=now),
        lambda: exclusion_patterns.find_pattern("never.*", Level(server)),
    ):
        with pytest.raises(UserProblem) as raised:
            call()
        assert raised.value.field == "pattern"
    assert not ExclusionPattern.objects.exists()


def test_an_added_www_goes_with_its_domain(server: Server, anna: HostingUser) -> None:
    host = VirtualHost.objects.get(name="xn--bcher-kva.example")
    host.domains.create(name="www.xn--bcher-kva.example", added=True, position=1)
    found = exclusion_patterns.concerned("bücher.*", Level(server))
    assert (found.names, found.hosts) == (2, (host.pk,))


def test_what_holds_for_a_user_comes_from_all_four_levels(
    server: Server, anna: HostingUser, ben: HostingUser, now: datetime
) -> None:
    for level, pattern in zip(levels(server, anna), ("s.*", "r.*", "f.*", "u.*"), strict=True):
        exclusion_patterns.add_pattern(pattern, level, by=None, now=now)
    found = exclusion_patterns.load(server)
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
    assert exclusion_patterns.Patterns().scope(1, 1, 1) is None


@pytest.mark.parametrize(
    "text",
    ["*", "?", "*.example", "dev.*", "d?v.anna.example", "anna.example", "b*cher.example", "bücher.example", "*ü*",
     "xn--*", "*a*n*", "*_*", "%", "nobody.*"],
)  # fmt: skip
def test_what_the_database_sorts_out_beforehand_is_no_match(
    text: str, server: Server, anna: HostingUser, ben: HostingUser
) -> None:
    host = VirtualHost.objects.get(name="dev.ben.example")
    names = ["www.dev.ben.example", "a_b.example", "xn--mller-kva.example"]
    Domain.objects.bulk_create(
        Domain(virtual_host=host, name=name, added=name.startswith("www."), position=9) for name in names
    )
    if text == "%":
        with pytest.raises(UserProblem):
            exclusion_patterns.concerned(text, Level(server))
        return
    found = exclusion_patterns.concerned(text, Level(server))
    everything = [(row.name, row.added) for row in Domain.objects.order_by("name")]
    assert list(found.sample) == [
        name
        for name, added in everything
        if patterns.matches(found.pattern, name) or (added and patterns.matches(found.pattern, name[4:]))
    ]
