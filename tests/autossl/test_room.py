"""Whose turn comes first among sites that wait for a limit: what may wait less, then users of whom fewer wait."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autossl_panel.autossl.facts import ProviderFacts
from autossl_panel.autossl.ledger import OrderKind, Purpose, order
from autossl_panel.autossl.limits import Wait
from autossl_panel.autossl.models import Account
from autossl_panel.autossl.room import HELD, Forecast, Room
from autossl_panel.hosting.models import VirtualHost
from tests.autossl.limits_rows import NOW, take

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture(params=[Room, Forecast])
def room(request: pytest.FixtureRequest, account: Account) -> Room:
    """A room in which all of an account's orders are used up."""
    for number in range(240):
        take(account, f"s{number}.com")
    found: Room = request.param({account.pk: account})
    return found


def asks(room: Room, user: int, name: str, purpose: Purpose = Purpose.ORDINARY) -> Wait:
    (pk,) = room.accounts
    provider, wish = ProviderFacts("pebble", 100, account=pk), order(OrderKind.NEW, [name], purpose=purpose)
    found = room.wait(provider, wish, NOW, user=user, purpose=purpose)
    assert found is not None
    assert found.until is not None
    return found


def waits(room: Room, user: int, name: str, purpose: Purpose = Purpose.ORDINARY) -> datetime:
    found = asks(room, user, name, purpose)
    (pk,) = room.accounts
    room.promise(ProviderFacts("pebble", 100, account=pk), found, NOW, user=user)
    assert found.until is not None
    return found.until


def test_a_thousand_sites_of_one_user_keep_no_other_waiting(room: Room) -> None:
    many = [waits(room, 1, f"a{number}.net") for number in range(1000)]
    assert many[-1] > many[0]
    assert waits(room, 2, "b.net") == many[0]
    assert waits(room, 3, "c.net") == many[0]
    assert waits(room, 1, "z.net") >= many[-1], "its own sites come one after the other"


def test_what_may_not_wait_comes_first_and_a_reissue_last(room: Room) -> None:
    reissues = [waits(room, 1, f"r{number}.net", Purpose.REISSUE) for number in range(300)]
    new = [waits(room, user, f"n{user}.net") for user in range(2, 302)]
    assert new[0] < reissues[-1]
    assert waits(room, 400, "u.net", Purpose.URGENT) == min(*new, *reissues)
    assert waits(room, 401, "r.net", Purpose.REISSUE) >= new[-1]


def test_another_process_reads_the_turns_from_the_rows(
    room: Room, account: Account, make_user: Make, make_site: Make
) -> None:
    anna, ben = make_user("anna"), make_user("ben")
    for number in range(30):
        found = asks(room, anna.pk, f"a{number}.net")
        (pk,) = room.accounts
        room.promise(ProviderFacts("pebble", 100, account=pk), found, NOW, user=anna.pk)
        site = make_site(anna, f"a{number}.net")
        VirtualHost.objects.filter(pk=site.pk).update(
            held_until=found.until,
            held_reason=HELD,
            held_provider=account.provider.name,
            problem={"code": HELD, "data": {"limit": "orders", "subject": "", "rank": found.rank}},
        )
    other = type(room)({account.pk: account})
    for user, name in ((anna.pk, "a.net"), (ben.pk, "b.net")):
        assert asks(other, user, name) == asks(room, user, name)
    assert asks(other, anna.pk, "a.net").rank > asks(other, ben.pk, "b.net").rank
