"""Names excluded for one hosting user, one by one and as a list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autossl_panel.hosting import excluded_names
from autossl_panel.hosting.models import HostingUser, VirtualHost
from autossl_panel.hosting.users import UserProblem
from autossl_panel.people.models import AuditEntry, User

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture
def anna(make_user: Make, make_site: Make) -> HostingUser:
    user: HostingUser = make_user("anna")
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


def test_names_of_one_user_are_excluded_and_included(
    anna: HostingUser, ben: HostingUser, root: User, now: datetime
) -> None:
    assert excluded_names.exclude_names(anna, ["Anna.example", "bücher.example"], by=root, now=now) == [
        "anna.example",
        "xn--bcher-kva.example",
    ]
    assert excluded_names.user_excluded(anna) == ["anna.example", "xn--bcher-kva.example"]
    assert excluded_names.user_excluded(ben) == []
    assert due(now) == {"dev.anna.example", "xn--bcher-kva.example"}
    assert excluded_names.exclude_names(anna, ["anna.example"], by=root, now=now) == []
    VirtualHost.objects.update(next_at=None)
    assert excluded_names.include_names(anna, ["anna.example"], by=root, now=now) == ["anna.example"]
    assert due(now) == {"dev.anna.example"}
    assert [entry.event for entry in AuditEntry.objects.order_by("pk")] == ["name:excluded", "name:included"]
    entry = AuditEntry.objects.order_by("pk").last()
    assert entry is not None
    assert (entry.person, entry.after) == (root, {"excluded": ["xn--bcher-kva.example"]})


def test_a_list_is_set_as_a_whole(anna: HostingUser, now: datetime) -> None:
    excluded_names.exclude_names(anna, ["anna.example"], by=None, now=now)
    # One that no site has any more stays as long as the list says so.
    VirtualHost.objects.filter(name="dev.anna.example").update(gone_at=now)
    wanted = ["anna.example", "xn--bcher-kva.example"]
    assert excluded_names.set_names(anna, wanted, by=None, now=now) == (["xn--bcher-kva.example"], [])
    assert excluded_names.set_names(anna, [], by=None, now=now) == ([], ["anna.example", "xn--bcher-kva.example"])
    with pytest.raises(UserProblem, match=r"No site of anna has the name “anna\.example”"):
        excluded_names.set_names(anna, ["anna.example"], by=None, now=now)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (excluded_names.exclude_names, "No site of anna has the name “dev.ben.example”"),
        (excluded_names.include_names, "“dev.ben.example” is not excluded"),
        (excluded_names.set_names, "No site of anna has the name “dev.ben.example”"),
    ],
)
def test_one_wrong_name_changes_none(
    call: Callable[..., object], says: str, anna: HostingUser, ben: HostingUser, now: datetime
) -> None:
    excluded_names.exclude_names(anna, ["xn--bcher-kva.example"], by=None, now=now)
    VirtualHost.objects.update(next_at=None)
    for wrong, text in (("dev.ben.example", says), ("no name", "no name")):
        with pytest.raises(UserProblem) as raised:
            call(anna, ["xn--bcher-kva.example", wrong], by=None, now=now)
        assert raised.value.field == "name"
        assert text in raised.value.text
    assert excluded_names.user_excluded(anna) == ["xn--bcher-kva.example"]
    assert not due(now)
