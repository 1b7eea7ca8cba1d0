"""When the turn of who waits for a limit would come, and what is asked without being taken."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import Asked, Kind, Limit, OrderKind, Queue, order
from autossl_panel.autossl.limits import Permit, Wait
from autossl_panel.autossl.models import Account, Bucket
from autossl_panel.ca.errors import ACME_PREFIX, CaProblem, ProblemKind
from tests.autossl.limits_rows import NOW, again, names_of, take

pytestmark = pytest.mark.django_db
SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=number) for number in (1, 60, 3600, 86400))


# --- turns -----------------------------------------------------------------------------------------------------------


def test_each_next_one_gets_a_place_of_its_own() -> None:
    limit = Limit(Kind.SET, 5, 1000)
    queue = Queue(limit, [])
    turns = []
    for _ in range(9):
        turns.append(queue.turn(0.0))
        queue.promise(turns[-1])
    free = limit.moment(0) + limit.span
    assert turns == [0.0] * 4 + [free] * 4 + [limit.moment(free) + limit.span]


def test_a_promise_far_ahead_keeps_nobody_from_a_place_before_it() -> None:
    queue = Queue(Limit(Kind.ORDERS, 5, 1000), [], promised=[(50_000.0, 0)] * 4)
    assert queue.turn(0.0) == 0.0
    assert queue.turn(50_000.0) > 50_000.0


def test_who_leaves_headroom_waits_longer() -> None:
    limit = Limit(Kind.ORDERS, 100, 3600)
    queue = Queue(limit, [float(second) for second in range(60)])
    assert queue.turn(100.0) == 100.0
    assert queue.turn(100.0, headroom=0.5) == 20 + limit.span


def test_the_queue_is_as_the_rows_say(account: Account) -> None:
    for number in range(240):
        take(account, f"s{number}.com")
    found = limits.queue(account, Kind.ORDERS, "", now=NOW, promised=[])
    assert found is not None
    first = found.turn(NOW.timestamp())
    wait = take(account, "later.com")
    assert isinstance(wait, Wait)
    assert wait.until is not None
    assert first == wait.until.timestamp()
    later = limits.queue(account, Kind.ORDERS, "", now=NOW, promised=[(wait.until, 0)] * 240)
    assert later is not None
    assert later.turn(NOW.timestamp()) >= first + 3 * 3600
    assert limits.queue(account, Kind.CONSECUTIVE, "a.com", now=NOW, promised=[]) is None
    assert limits.queue(account, Kind.ACCOUNT, "", now=NOW, promised=[]) is None


def test_to_look_takes_nothing_and_says_what_taking_would(account: Account) -> None:
    wish = order(OrderKind.NEW, ["a.com"])
    assert limits.look(account, wish, now=NOW) is None
    assert not Bucket.objects.exists()
    for _ in range(4):
        assert isinstance(limits.take(account, wish, now=NOW), Permit)
    assert limits.look(account, wish, now=NOW) == limits.take(account, wish, now=NOW)


def test_where_nothing_is_limited_a_look_tells_of_refusals_only(account: Account) -> None:
    account.provider.limits = []
    wish = order(OrderKind.NEW, ["a.com"])
    assert limits.look(account, wish, now=NOW) is None
    refused(account)
    held = limits.look(account, wish, now=NOW)
    assert held is not None
    assert (held.kind, held.refused) == (Kind.ORDERS, True)


# --- asking in spite of a refusal ------------------------------------------------------------------------------------


def refused(account: Account, detail: str = "too many new orders recently", **more: object) -> None:
    problem = CaProblem(
        ProblemKind.RATE, type=f"{ACME_PREFIX}rateLimited", detail=detail, retry_after=NOW + 5 * DAY, **more
    )  # type: ignore[arg-type]
    limits.heard(account.provider, problem, Asked.NEW_ORDER, account=account, names=["a.com"], now=NOW)


def test_one_may_ask_in_spite_of_a_refusal_which_holds_for_all_others(account: Account) -> None:
    refused(account)
    wish = order(OrderKind.NEW, ["a.com"])
    wait = limits.take(account, wish, now=NOW)
    assert isinstance(wait, Wait)
    assert wait.refused
    assert isinstance(limits.take(account, replace(wish, probe=True), now=NOW), Permit)
    assert isinstance(limits.take(account, order(OrderKind.NEW, ["b.com"]), now=NOW), Wait)


def test_what_is_counted_and_a_paused_name_hold_whoever_asks(account: Account) -> None:
    refused(account)
    wish = order(OrderKind.NEW, ["a.com"])
    for hours in range(4):
        assert isinstance(limits.take(account, replace(wish, probe=True), now=NOW + hours * HOUR), Permit)
        early = limits.take(account, replace(wish, probe=True), now=NOW + hours * HOUR + 30 * MINUTE)
        assert isinstance(early, Wait)
        assert early.refused == (hours < 3), "somebody asks once an hour"
    wait = limits.take(account, replace(wish, probe=True), now=NOW + 4 * HOUR)
    assert isinstance(wait, Wait)
    assert (wait.kind, wait.refused) == (Kind.SET, False)
    refused(account, "Your account is temporarily prevented from requesting certificates for b.com and possibly others")
    paused = limits.take(account, order(OrderKind.NEW, ["a.com", "b.com"], probe=True), now=NOW + 4 * HOUR)
    assert isinstance(paused, Wait)
    assert (paused.kind, paused.until) == (Kind.CONSECUTIVE, None)


def test_where_nothing_is_limited_too(account: Account) -> None:
    account.provider.limits = []
    account.provider.save()
    refused(again(account))
    wish = order(OrderKind.NEW, ["a.com"])
    assert isinstance(limits.take(again(account), wish, now=NOW), Wait)
    assert isinstance(limits.take(again(account), replace(wish, probe=True), now=NOW), Permit)
    assert isinstance(limits.take(again(account), wish, now=NOW), Wait)


# --- a CA that said no -----------------------------------------------------------------------------------------------


def test_an_answer_of_no_counts_as_an_order_and_for_nothing_else(account: Account) -> None:
    permit = take(account, "a.com", "www.a.com")
    assert isinstance(permit, Permit)
    limits.give_back(account, permit, sent=True)
    assert names_of("orders") == {"": 1}
    assert [names_of(kind) for kind in ("domain", "set", "failures")] == [{}, {}, {}]
