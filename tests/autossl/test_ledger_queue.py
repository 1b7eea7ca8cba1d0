"""Many that wait for the same limit: each is told its own moment and has room then; who comes first comes first."""

from __future__ import annotations

import heapq

from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.ledger import Granted, Kind, Ledger, Limit, OrderKind, Purpose, Queue, Wait, Wish, order

HOUR, DAY = 3600, 86400
NOW = 1.8e9
LIMITS = [
    Limit(Kind.ORDERS, 300, 3 * HOUR, True),
    Limit(Kind.DOMAIN, 50, 7 * DAY, True),
    Limit(Kind.SET, 5, 7 * DAY, True),
    Limit(Kind.FAILURES, 5, HOUR, True),
]


def wish(number: int, purpose: Purpose = Purpose.ORDINARY, domain: str | None = None) -> Wish:
    return order(OrderKind.NEW, [f"n{number}.{domain or f'd{number}.com'}"], purpose=purpose)


def stand(ledger: Ledger, wishes: list[Wish], now: float, *, rank: int = 0) -> list[tuple[float, int]]:
    """Ask for all of them at once: when each of those that wait is told to come again."""
    told = []
    queue: Queue | None = None
    for number, one in enumerate(wishes):
        answer = ledger.ask(one, now)
        if isinstance(answer, Granted):
            ledger.settle(answer, now, issued=True)
            continue
        if queue is None:
            book = ledger.books[answer.kind]
            assert book.limit is not None
            queue = Queue(book.limit, book.log(answer.subject, now) or ())
        assert answer.until is not None
        until = queue.turn(answer.until, headroom=one.headroom, rank=rank)
        queue.promise(until, rank=rank)
        told.append((until, number))
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
    waiting = stand(ledger, wishes, now)
    assert [until for until, _number in waiting] == sorted(until for until, _number in waiting)
    for until, number in waiting:
        assert isinstance(ledger.ask(wishes[number], until + 0.001), Granted), (until, number)


def test_thirty_thousand_new_sites_ask_little_more_than_once_each() -> None:
    ledger = Ledger(LIMITS)
    wishes = [wish(number) for number in range(30_000)]
    waiting = stand(ledger, wishes, NOW)
    heapq.heapify(waiting)
    asked = len(wishes)
    while waiting:
        minute = waiting[0][0] // 60 * 60 + 60
        due = []
        while waiting and waiting[0][0] <= minute:
            due.append(heapq.heappop(waiting)[1])
        asked += len(due)
        for until, number in stand(ledger, [wishes[number] for number in due], minute):
            heapq.heappush(waiting, (until, due[number]))
    assert asked < 2 * len(wishes) + 300
    assert minute - NOW < 18.5 * DAY


def test_a_new_site_of_a_small_user_waits_for_the_next_place_not_behind_a_thousand_of_another() -> None:
    limit = Limit(Kind.ORDERS, 5, HOUR)
    queue = Queue(limit, [NOW] * 4)
    next_place = NOW + limit.span
    for nth in range(40):
        assert queue.turn(NOW, rank=nth) >= next_place
        queue.promise(queue.turn(NOW, rank=nth), rank=nth)
    assert queue.turn(NOW, rank=40) >= NOW + 10 * HOUR
    assert queue.turn(NOW, rank=0) == next_place
    for _ in range(3):
        queue.promise(next_place, rank=0)
    assert queue.turn(NOW, rank=0) > next_place, "behind its own kind"


def test_who_leaves_headroom_is_told_a_moment_behind_all_that_were_promised() -> None:
    limit = LIMITS[0]
    queue = Queue(limit, [NOW] * 240)
    for _ in range(2160):
        queue.promise(queue.turn(NOW, headroom=0.1))
    extend = queue.turn(NOW, headroom=0.25, rank=1)
    assert extend > NOW + 10 * 3 * HOUR
    assert queue.turn(NOW) < NOW + 4 * HOUR, "what may not wait uses what the others leave"


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([Limit(Kind.ORDERS, 7, 100), Limit(Kind.SET, 3, 900), Limit(Kind.ORDERS, 300, 10800)]),
    st.lists(st.tuples(st.floats(0, 3000), st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 3)), max_size=60),
)
def test_a_turn_is_found_as_if_everything_were_looked_through(
    limit: Limit, asks: list[tuple[float, float, int]]
) -> None:
    queue, taken, now = Queue(limit, []), list[tuple[float, int]](), NOW
    for pause, headroom, rank in asks:
        now += pause if pause > 1500 else 0
        turn = queue.turn(now, headroom=headroom, rank=rank)
        mine = sorted(moment for moment, of in taken if of <= rank)

        def full(at: float, mine: list[float] = mine, room: int = limit.room(headroom)) -> bool:
            ahead = limit.lag + limit.grain
            return sum(1 for moment in mine if moment + limit.span > at and moment <= at + ahead) >= room

        assert not full(turn)
        candidates = [now, *[moment + limit.span for moment in mine]]
        assert all(full(at) for at in candidates if now <= at < turn)
        queue.promise(turn, rank=rank)
        taken.append((limit.moment(turn), rank))
    again = Queue(limit, [], [(NOW, 0)] * 3)
    assert again.turn(NOW, rank=0) == again.turn(NOW, rank=9)


def test_a_wait_of_a_look_is_that_of_asking() -> None:
    ledger = Ledger([Limit(Kind.ORDERS, 1, HOUR)])
    assert ledger.look(wish(0), NOW) is None
    assert isinstance(ledger.ask(wish(0), NOW), Granted)
    held = ledger.look(wish(1), NOW)
    assert isinstance(held, Wait)
    assert held == ledger.ask(wish(1), NOW)
    assert ledger.look(wish(1), NOW - 99) == held, "its time runs back as little as a permit's"
