"""The ledger by itself: figures, windows, what is free of what, losses, and that it is quick. See also ledger_world."""

from __future__ import annotations

import itertools
import sys
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.ledger import (
    Block,
    Granted,
    Kind,
    Ledger,
    Limit,
    Loss,
    OrderKind,
    Purpose,
    Wait,
    digest,
    order,
    order_kind,
    registration,
)
from autossl_panel.autossl.ledger.book import Book
from autossl_panel.simulation.oracle import Gcra, Sliding

HOUR, DAY = 3600, 86400
NOW = 1.8e9
LETS_ENCRYPT = [
    Limit(Kind.ORDERS, 300, 3 * HOUR, True),
    Limit(Kind.DOMAIN, 50, 7 * DAY, True),
    Limit(Kind.SET, 5, 7 * DAY, True),
    Limit(Kind.FAILURES, 5, HOUR, True),
    Limit(Kind.CONSECUTIVE, 1152, 0),
    Limit(Kind.REGISTRATIONS, 10, 3 * HOUR, True),
]


@pytest.mark.parametrize(
    ("number", "allowed"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (6, 4), (10, 8), (50, 40), (300, 240), (1152, 921)]
)
def test_at_most_four_fifths_of_what_is_published_and_at_least_one(number: int, allowed: int) -> None:
    assert Limit(Kind.ORDERS, number, HOUR).allowed == allowed


@pytest.mark.parametrize(
    ("limit", "margin", "lag", "grain"),
    [
        (Limit(Kind.ORDERS, 300, 3 * HOUR), 120, 0, 180),
        (Limit(Kind.DOMAIN, 50, 7 * DAY), 120, 600, 0),
        (Limit(Kind.SET, 5, 7 * DAY), 120, 600, 0),
        (Limit(Kind.FAILURES, 5, HOUR), 60, 600, 0),
        (Limit(Kind.ORDERS, 5, 10), 2, 0, 0),
        (Limit(Kind.DOMAIN, 5, 60), 2, 10, 0),
        (Limit(Kind.REQUESTS, 20, 1), 0.25, 0, 0),
        (Limit(Kind.REQUESTS, 600, 60), 15, 0, 1),
    ],
)
def test_what_is_added_to_a_window(limit: Limit, margin: float, lag: float, grain: float) -> None:
    assert (limit.margin, limit.lag, limit.grain) == (margin, lag, grain)
    assert NOW + lag <= limit.moment(NOW) <= NOW + lag + grain


@settings(deadline=None, max_examples=200)
@given(
    number=st.integers(1, 12),
    seconds=st.integers(1, 1000),
    pauses=st.lists(st.one_of(st.floats(0, 5), st.floats(0, 600)), min_size=1, max_size=150),
)
def test_any_window_holds_no_more_than_allowed(number: int, seconds: int, pauses: list[float]) -> None:
    ledger, limit = Ledger([Limit(Kind.REGISTRATIONS, number, seconds)]), Limit(Kind.REGISTRATIONS, number, seconds)
    granted = [
        at for at in itertools.accumulate(pauses, initial=NOW) if isinstance(ledger.ask(registration(), at), Granted)
    ]
    for first in granted:
        assert sum(1 for at in granted if first <= at <= first + seconds) <= limit.allowed
    for meter in (Sliding(number, seconds), Gcra(number, seconds)):
        for at in granted:
            assert meter.has_room(at)
            meter.count(at)


def test_nothing_is_wasted_either() -> None:
    """Whoever comes back at the moment named gets one order every 45 seconds out of 240 in three hours."""
    ledger, at, times = Ledger(LETS_ENCRYPT), NOW, []
    for number in itertools.count():
        answer = ledger.ask(order(OrderKind.NEW, [f"s{number}.com"]), at)
        if isinstance(answer, Wait):
            assert answer.until is not None
            assert answer.until > at
            at = answer.until
            if at > NOW + DAY:
                break
        else:
            times.append(at)
    # Eight windows a day, of which the grain and the margin cost a thirtieth
    assert 240 * 7.5 < len(times) <= 240 * 8


@pytest.mark.parametrize(
    ("replaces", "age", "kind"),
    [
        (False, None, OrderKind.NEW),
        (False, 60 * DAY, OrderKind.SAME_SET),
        (False, 101 * DAY, OrderKind.NEW),
        (True, 60 * DAY, OrderKind.ARI),
        (True, 300 * DAY, OrderKind.ARI),
        (True, None, OrderKind.ARI_CHANGED),
    ],
)
def test_what_an_order_is(replaces: bool, age: float | None, kind: OrderKind) -> None:
    issued_at = None if age is None else NOW - age
    assert order_kind(replaces=replaces, issued_at=issued_at, now=NOW) == kind


FULL: list[tuple[Kind, str, set[OrderKind]]] = [
    # What is full, and which orders still go
    (Kind.ORDERS, "", {OrderKind.SAME_SET, OrderKind.ARI, OrderKind.ARI_CHANGED}),
    (Kind.DOMAIN, "a.com", {OrderKind.SAME_SET, OrderKind.ARI, OrderKind.ARI_CHANGED}),
    (Kind.SET, digest(["a.com", "b.a.com"]), {OrderKind.ARI, OrderKind.ARI_CHANGED}),
    (Kind.FAILURES, "b.a.com", {OrderKind.ARI, OrderKind.ARI_CHANGED}),
    (Kind.REGISTRATIONS, "", set(OrderKind)),
]


@pytest.mark.parametrize(("kind", "subject", "free"), FULL, ids=[str(row[0]) for row in FULL])
@pytest.mark.parametrize("asked", OrderKind)
def test_what_is_free_of_what(kind: Kind, subject: str, free: set[OrderKind], asked: OrderKind) -> None:
    ledger = Ledger(LETS_ENCRYPT)
    book = ledger.books[kind]
    book.logs[subject] = [NOW] * book.allowed
    answer = ledger.ask(order(asked, ["a.com", "b.a.com"]), NOW + 1)
    assert isinstance(answer, Granted) == (asked in free)
    if isinstance(answer, Wait):
        assert (answer.kind, answer.subject, answer.used) == (kind, subject, book.allowed)


def test_headroom_leaves_at_least_one() -> None:
    ledger = Ledger([Limit(Kind.ORDERS, 1, HOUR), Limit(Kind.SET, 5, HOUR)])
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"], purpose=Purpose.REISSUE), NOW), Granted)
    for number in range(2):
        wish = order(OrderKind.SAME_SET, ["a.com"], purpose=Purpose.REISSUE)
        assert isinstance(ledger.ask(wish, NOW), Granted) == (number == 0), "half of four"


def test_a_certificate_that_replaced_counts_for_who_asks_next() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    for _ in range(4):
        ledger.settle(_granted(ledger, OrderKind.ARI), NOW, issued=True)
    assert isinstance(ledger.ask(order(OrderKind.SAME_SET, ["a.com"]), NOW), Wait)


def test_a_log_that_only_free_orders_fill_does_not_grow() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    for day in range(200):
        granted = ledger.ask(order(OrderKind.ARI, ["a.com"]), NOW + day * DAY)
        assert isinstance(granted, Granted)
        ledger.settle(granted, NOW + day * DAY, issued=True)
    assert len(ledger.books[Kind.SET].logs[digest(["a.com"])]) <= 9


def test_what_is_counted_late_is_dated_late_and_dated_anew_when_it_goes_on() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    granted = _granted(ledger, OrderKind.NEW)
    assert ledger.books[Kind.DOMAIN].logs["a.com"] == [NOW + 600]
    assert ledger.keep(granted, NOW + 300) is granted
    kept = ledger.keep(granted, NOW + DAY)
    assert isinstance(kept, Granted)
    assert ledger.books[Kind.DOMAIN].logs["a.com"] == [NOW + DAY + 600]
    assert ledger.books[Kind.ORDERS].logs[""] == [Limit(Kind.ORDERS, 300, 3 * HOUR).moment(NOW)]
    ledger.settle(kept, NOW + 3 * DAY, issued=True)
    assert ledger.books[Kind.DOMAIN].logs["a.com"] == [NOW + 3 * DAY], "processing took its time"
    assert not ledger.books[Kind.FAILURES].logs


def test_an_order_waits_to_go_on_where_others_have_used_its_place() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    granted = _granted(ledger, OrderKind.NEW)
    later = NOW + 8 * DAY
    for _ in range(4):
        ledger.settle(_granted(ledger, OrderKind.NEW, later), later, issued=True)
    before = {kind: dict(book.logs) for kind, book in ledger.books.items()}
    answer = ledger.keep(granted, later)
    assert isinstance(answer, Wait)
    assert answer.kind is Kind.SET
    assert {kind: dict(book.logs) for kind, book in ledger.books.items()} == before


def test_failures_count_from_when_they_are_known_and_successes_end_the_row() -> None:
    ledger = Ledger([*LETS_ENCRYPT[:4], Limit(Kind.CONSECUTIVE, 10, 0)])
    at = NOW
    for number in range(8):
        granted = ledger.ask(order(OrderKind.NEW, ["a.com", f"s{number}.com"]), at)
        assert isinstance(granted, Granted), number
        ledger.settle(granted, at + 100, proven=[f"s{number}.com"], failed=["a.com"])
        at += 2 * HOUR
    use = ledger.use(Kind.CONSECUTIVE, "a.com", at)
    assert (use.used, use.allowed, use.published, use.frees_at) == (8, 8, 10, None)
    for kind in OrderKind:
        answer = ledger.ask(order(kind, ["a.com"]), at)
        assert isinstance(answer, Wait)
        assert (answer.kind, answer.until) == (Kind.CONSECUTIVE, None)
    ledger.mend("a.com")
    ledger.settle(_granted(ledger, OrderKind.NEW, at), at, issued=True)
    assert ledger.use(Kind.CONSECUTIVE, "a.com", at).used == 0


@pytest.mark.parametrize("how", ["a name failed", "no answer"])
@pytest.mark.parametrize("at_order", [False, True])
def test_an_order_that_comes_to_nothing_uses_up_no_certificate(how: str, at_order: bool) -> None:
    published = {Kind.ORDERS: 300, Kind.DOMAIN: 50, Kind.SET: 5, Kind.FAILURES: 9}
    limits = [Limit(kind, number, 7 * DAY, False, at_order) for kind, number in published.items()]
    ledger, names = Ledger(limits), ["a.com", "www.a.com"]
    for number in range(4):
        granted = ledger.ask(order(OrderKind.NEW, names), NOW + number)
        assert isinstance(granted, Granted)
        if how == "no answer":
            ledger.lost(granted)
        else:
            ledger.settle(granted, NOW + number, proven=["a.com"], failed=["www.a.com"])
    used = {kind: sum(map(len, ledger.books[kind].logs.values())) for kind in published}
    certificates = 4 if at_order else 0
    assert used[Kind.ORDERS] == 4
    assert (used[Kind.DOMAIN], used[Kind.SET]) == (certificates, certificates)
    assert used[Kind.FAILURES] == (4 if how == "a name failed" else 0)
    assert isinstance(ledger.ask(order(OrderKind.NEW, names), NOW + 9), Wait if at_order else Granted)


def test_what_was_never_sent_is_given_back() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    ledger.give_back(_granted(ledger, OrderKind.NEW))
    assert not any(book.logs for book in ledger.books.values())


def test_accounts_of_one_provider_share_its_books_and_no_others() -> None:
    one = Ledger(LETS_ENCRYPT)
    two = Ledger(LETS_ENCRYPT, shared=one)
    for number in range(40):
        who = (one, two)[number % 2]
        assert isinstance(who.ask(order(OrderKind.NEW, [f"s{number}.a.com"]), NOW), Granted)
    answer = two.ask(order(OrderKind.NEW, ["x.a.com"]), NOW)
    assert isinstance(answer, Wait)
    assert answer.kind is Kind.DOMAIN
    assert (one.use(Kind.ORDERS, "", NOW).used, two.use(Kind.ORDERS, "", NOW).used) == (20, 20)


@pytest.mark.parametrize("continuous", [True, False])
def test_after_a_loss_all_comes_back_within_a_window(continuous: bool) -> None:
    limits = [Limit(limit.kind, limit.number, limit.seconds, continuous) for limit in LETS_ENCRYPT]
    ledger = Ledger(limits, losses=[Loss(NOW)])
    answer = ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW)
    assert isinstance(answer, Wait)
    assert (answer.kind, answer.used) in ((Kind.SET, 4), (Kind.DOMAIN, 40))
    assert answer.until is not None
    first = answer.until - NOW
    assert first < 7 * DAY / 5 + 800 if continuous else 7 * DAY < first < 7 * DAY + 800
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"]), answer.until), Granted)
    assert ledger.use(Kind.ORDERS, "", NOW + 3 * HOUR + 400).used <= 1


def test_a_loss_of_few_leaves_the_rest() -> None:
    ledger = Ledger(LETS_ENCRYPT, losses=[Loss(NOW, 3)])
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW), Granted)
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW), Wait)
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["b.com"]), NOW), Granted)
    assert ledger.use(Kind.ORDERS, "", NOW).used == 5


def test_another_accounts_loss_is_of_what_is_shared() -> None:
    ledger = Ledger(LETS_ENCRYPT, others=[Loss(NOW)])
    assert ledger.use(Kind.ORDERS, "", NOW).used == 0
    assert ledger.use(Kind.DOMAIN, "a.com", NOW).used == 40


def test_a_fork_spends_nothing_of_the_original() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW)
    ledger.failures.rows["z.com"] = 3
    twin = ledger.fork()
    for _ in range(3):
        assert isinstance(twin.ask(order(OrderKind.NEW, ["a.com"]), NOW), Granted)
    twin.block(Kind.ACCOUNT, "", Block(NOW + 60))
    twin.mend("z.com")
    assert ledger.use(Kind.DOMAIN, "a.com", NOW).used == 1
    assert ledger.failures.rows == {"z.com": 3}
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["b.com"]), NOW), Granted)


def test_what_no_longer_counts_takes_no_memory() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    for number in range(200):
        ledger.ask(order(OrderKind.NEW, [f"s{number}.com"]), NOW)
    ledger.block(Kind.DOMAIN, "x.com", Block(NOW + 5))
    ledger.prune(NOW + 8 * DAY)
    assert not any(book.logs or book.blocks for book in ledger.books.values())
    assert len(ledger.failures.rows) == 200, "of unknown end"


def test_a_large_limit_keeps_few_different_moments() -> None:
    book = Book(Kind.ORDERS, LETS_ENCRYPT[0])
    for second in range(0, 3 * HOUR, 45):
        book.add("", LETS_ENCRYPT[0].moment(NOW + second))
    assert (len(book.logs[""]), len(set(book.logs[""]))) == (240, 61)


def test_a_million_orders_are_quick(capsys: pytest.CaptureFixture[str]) -> None:
    """Printed, not asserted: what a granted order of two names costs, told and settled."""
    sites = [
        order(OrderKind.NEW, [f"s{n}.com", f"www.s{n}.com"], domains=[f"s{n}.com"], subject=str(n)) for n in range(2000)
    ]
    ledger, number, at = Ledger(LETS_ENCRYPT), 20000, NOW
    started = process_time()
    for turn in range(number):
        at += 330
        granted = ledger.ask(sites[turn % len(sites)], at)
        assert isinstance(granted, Granted)
        ledger.settle(granted, at, issued=True)
    spent = (process_time() - started) / number * 1e6
    with capsys.disabled():
        sys.stdout.write(f"\nledger: {spent:.1f} µs a granted order of two names, settled; a million: {spent:.0f} s\n")


def _granted(ledger: Ledger, kind: OrderKind, now: float = NOW) -> Granted:
    answer = ledger.ask(order(kind, ["a.com"]), now)
    assert isinstance(answer, Granted)
    return answer
