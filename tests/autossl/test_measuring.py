"""How providers do here: the middle of the latest orders, and what came to nothing on the CA's side."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import measuring
from autossl_panel.autossl.models import Account, Order, Provider
from autossl_panel.hosting.models import Server, VirtualHost

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
SERVER_INTERNAL = {"type": "urn:ietf:params:acme:error:serverInternal", "text": "…"}


@pytest.fixture
def place(provider: Provider, make_user: Callable[..., Any], make_site: Callable[..., Any]) -> Callable[..., Order]:
    """An order that is over: it took `seconds` until it was issued, or was given up with a problem."""
    host: VirtualHost = make_site(make_user("anna"), "anna.example")
    account = Account.objects.get()

    def make(at: datetime, *, seconds: float | None = None, problem: object = None, how: str = "given_up") -> Order:
        return Order.objects.create(
            ident=f"o-{Order.objects.count()}",
            virtual_host=host,
            provider=provider,
            account=account,
            names=["anna.example"],
            reason="missing",
            key_type="p256",
            created_at=at,
            staged_at=at + timedelta(seconds=seconds) if seconds is not None else None,
            closed_at=at + MINUTE,
            closed_as="installed" if seconds is not None else how,
            problem=problem,
        )

    return make


def measured() -> dict[str, Any]:
    found = Account.objects.get().measured
    assert found is not None
    return dict(found)


def test_the_middle_of_the_orders_and_how_many_there_were(
    server: Server, place: Callable[..., Order], now: datetime
) -> None:
    for n, seconds in enumerate((2, 1, 300, 3, 2)):
        place(now - n * MINUTE, seconds=seconds)
    measuring.measure(server, now + MINUTE * 10)
    found = measured()
    assert (found["issued"], found["seconds"], found["of"]) == (5, 2.0, 5)
    assert (found["failed"], found["placed"]) == (0, 5)


def test_only_the_latest_are_looked_at_and_what_is_long_ago_has_no_say(
    server: Server, place: Callable[..., Order], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "LATEST", 2)
    place(now - 40 * DAY, seconds=900)
    place(now - 40 * DAY, problem=SERVER_INTERNAL)
    place(now - 2 * MINUTE, seconds=4)
    place(now - MINUTE, seconds=6)
    measuring.measure(server, now + MINUTE)
    found = measured()
    assert (found["issued"], found["seconds"], found["of"]) == (3, 5.0, 2)
    assert (found["failed"], found["placed"]) == (0, 2)


@pytest.mark.parametrize(
    ("problem", "how", "counts"),
    [
        (SERVER_INTERNAL, "given_up", True),
        ({"type": "about:blank", "text": "ca.example answered 503"}, "given_up", True),
        ({"type": "urn:autossl-panel:error:timeout", "text": "…"}, "given_up", True),
        ({"code": "order_stuck", "text": ""}, "given_up", True),
        ({"code": "ca_order", "text": "…"}, "given_up", False),
        ({"type": "urn:ietf:params:acme:error:rateLimited", "text": "…"}, "given_up", False),
        ({"type": "urn:ietf:params:acme:error:userActionRequired", "text": "…"}, "given_up", False),
        ({"type": "urn:autossl-panel:error:key", "text": "…"}, "given_up", False),
        (None, "given_up", False),
        (SERVER_INTERNAL, "refused", False),
    ],
)
def test_what_came_to_nothing_on_the_cas_side(
    problem: object, how: str, counts: bool, server: Server, place: Callable[..., Order], now: datetime
) -> None:
    place(now - DAY, problem=problem, how=how)
    measuring.measure(server, now)
    assert measured()["failed"] == int(counts)


def test_nothing_is_written_without_news_but_once_a_day(
    server: Server, place: Callable[..., Order], now: datetime
) -> None:
    measuring.measure(server, now)
    first = measured()
    assert (first["issued"], first["seconds"]) == (0, None)
    measuring.measure(server, now + MINUTE)
    assert measured() == first
    place(now + 2 * MINUTE, seconds=1)
    measuring.measure(server, now + 5 * MINUTE)
    second = measured()
    assert second["issued"] == 1
    place(now + 6 * MINUTE, problem=SERVER_INTERNAL)
    measuring.measure(server, now + 8 * MINUTE)
    assert measured()["failed"] == 1
    measuring.measure(server, now + 2 * DAY)
    assert measured()["at"] == (now + 2 * DAY).isoformat()


def test_another_servers_account_and_one_without_registration_are_left_alone(
    server: Server, provider: Provider, now: datetime
) -> None:
    other = Server.objects.create(name="other.example")
    Account.objects.create(provider=provider, server=other, url="https://127.0.0.1:1/2")
    Account.objects.filter(server=server).update(url="")
    measuring.measure(server, now)
    assert not Account.objects.filter(measured__isnull=False).exists()
