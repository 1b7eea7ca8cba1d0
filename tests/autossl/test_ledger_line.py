"""Many that wait for the same: each is told its own moment, and has room then."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.ledger import (
    Block,
    Granted,
    Kind,
    Ledger,
    Limit,
    Line,
    OrderKind,
    Purpose,
    Wait,
    Wish,
    order,
)

HOUR, DAY = 3600, 86400
NOW = 1.8e9
LIMITS = [
    Limit(Kind.ORDERS, 300, 3 * HOUR, True),
    Limit(Kind.DOMAIN, 50, 7 * DAY, True),
    Limit(Kind.SET, 5, 7 * DAY, True),
    Limit(Kind.FAILURES, 5, HOUR, True),
]


def wish(number: int, purpose: Purpose = Purpose.ORDINARY, domain: str | None = None) -> Wish:
    name = f"n{number}.{domain or f'd{number}.com'}"
    return order(OrderKind.NEW, [name], purpose=purpose, domains=[domain or f"d{number}.com"])


def stand(ledger: Ledger, line: Line, wishes: list[Wish], now: float) -> list[tuple[float, int]]:
    """Ask for all of them at once: when each of those that wait is told to come again."""
    told = []
    for number, one in enumerate(wishes):
        answer = ledger.ask(one, now)
        if isinstance(answer, Wait):
            until = line.stand(ledger, one, answer).until
            assert until is not None
            assert until > now
            told.append((until, number))
        else:
            ledger.settle(answer, now, issued=True)
    return told


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([Limit(Kind.ORDERS, 300, 3 * HOUR), Limit(Kind.ORDERS, 12, HOUR), Limit(Kind.DOMAIN, 9, 7 * DAY)]),
    st.lists(st.floats(0, 4000), max_size=60),
    st.integers(1, 700),
    st.sampled_from(Purpose),
)
def test_whoever_comes_when_told_has_room(limit: Limit, before: list[float], many: int, purpose: Purpose) -> None:
    ledger, now = Ledger([limit]), NOW
    domain = "a.com" if limit.kind is Kind.DOMAIN else None
    for number, pause in enumerate(before):
        now += pause
        ledger.ask(wish(number, domain=domain), now)
    wishes = [wish(1000 + number, purpose, domain) for number in range(many)]
    waiting = stand(ledger, Line(), wishes, now)
    assert [until for until, _number in waiting] == sorted(until for until, _number in waiting)
    for until, number in waiting:
        assert isinstance(ledger.ask(wishes[number], until), Granted), (until, number)


def test_thirty_thousand_new_sites_ask_little_more_than_once_each() -> None:
    ledger = Ledger(LIMITS)
    wishes = [wish(number) for number in range(30_000)]
    waiting = stand(ledger, Line(), wishes, NOW)
    heapq.heapify(waiting)
    asked = len(wishes)
    while waiting:
        minute = waiting[0][0] // 60 * 60 + 60
        due = []
        while waiting and waiting[0][0] <= minute:
            due.append(heapq.heappop(waiting)[1])
        asked += len(due)
        for until, number in stand(ledger, Line(), [wishes[number] for number in due], minute):
            heapq.heappush(waiting, (until, due[number]))
    assert asked < 2 * len(wishes) + 300
    assert minute - NOW < 18.5 * DAY


def test_who_finds_somebody_more_urgent_at_the_turn_waits_for_the_next_place() -> None:
    ledger = Ledger([Limit(Kind.ORDERS, 5, HOUR)])
    waiting = stand(ledger, Line(), [wish(number) for number in range(9)], NOW)
    first = min(waiting)[0]
    for number in range(4):  # all the places of that moment, for others
        assert isinstance(ledger.ask(wish(100 + number), first), Granted)
    told = stand(ledger, Line(), [wish(number) for until, number in waiting if until == first], first)
    assert len(told) == 4
    assert {until for until, _number in told} == {first + HOUR + 60}


def test_each_limit_and_each_owner_has_a_line_of_its_own() -> None:
    ledger = Ledger([Limit(Kind.DOMAIN, 1, DAY)])
    line = Line()
    for domain in ("a.com", "b.com"):
        ledger.ask(wish(0, domain=domain), NOW)
    until = [
        line.stand(ledger, one, answer, owner=owner).until
        for domain, owner in (("a.com", ""), ("b.com", ""), ("a.com", "other"), ("a.com", ""))
        if isinstance(answer := ledger.look(one := wish(1, domain=domain), NOW), Wait)
    ]
    assert line.next(ledger, one, answer).until == line.next(ledger, one, answer).until, "a look takes no place"
    assert until[0] == until[1] == until[2] == NOW + 600 + DAY + 120
    assert until[3] == NOW + 2 * (600 + DAY + 120)


@pytest.mark.parametrize("until", [NOW + 3 * DAY, float("inf")])
def test_what_is_refused_has_no_line(until: float) -> None:
    ledger, line = Ledger(LIMITS), Line()
    ledger.block(Kind.ACCOUNT, "", Block(until, "not now"))
    for number in range(3):
        answer = ledger.ask(wish(number), NOW)
        assert isinstance(answer, Wait)
        assert line.stand(ledger, wish(number), answer).until == (None if until == float("inf") else until)


def test_a_look_spends_nothing() -> None:
    ledger = Ledger([Limit(Kind.ORDERS, 1, HOUR)])
    assert ledger.look(wish(0), NOW) is None
    assert isinstance(ledger.ask(wish(0), NOW), Granted)
    assert ledger.look(wish(1), NOW) == ledger.ask(wish(1), NOW)
    assert ledger.look(wish(1), NOW - 99) == ledger.ask(wish(1), NOW), "its time runs back as little as a permit's"
