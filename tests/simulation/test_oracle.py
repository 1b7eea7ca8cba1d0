"""The CA that judges the ledger counts as CAs do: by its own code, held here against counting by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.simulation.oracle import Authority, Counted, Fixed, Gcra, Meter, Placed, Refusal, Sliding, Strictest

DAY = 86400.0
LETS_ENCRYPT = {
    "orders": (300, 10800), "domain": (50, 604800), "set": (5, 604800), "failures": (5, 3600), "consecutive": (1152, 0),
    "registrations": (10, 10800), "requests": (20, 1),
}  # fmt: skip


def spent(meter: Meter, moments: list[float]) -> list[bool]:
    """Which of these it lets pass."""
    passed = []
    for at in moments:
        passed.append(meter.has_room(at))
        if passed[-1]:
            meter.count(at)
    return passed


def test_sliding_windows() -> None:
    assert spent(Sliding(2, 10), [0, 1, 9.99, 10, 10.5, 11]) == [True, True, False, True, False, True]


def test_a_bucket_gives_back_drop_by_drop() -> None:
    assert spent(Gcra(2, 10), [0, 0, 4.9, 5, 5, 10, 30, 30, 30]) == [
        True, True, False, True, False, True, True, True, False,
    ]  # fmt: skip


def test_the_strictest_is_both_at_once() -> None:
    moments = [0, 0, 4.9, 5, 5, 9.9, 10, 10, 15, 15.1, 20]
    passed = spent(Strictest(2, 10), moments)
    assert [at for at, yes in zip(moments, passed, strict=True) if yes] == [0, 0, 10, 10, 20]
    steady = [float(at) for at in range(0, 60, 5)]
    assert all(spent(Strictest(2, 10), steady))


@pytest.mark.parametrize("meter", [Sliding, Gcra, Fixed, Strictest])
def test_what_is_forgotten_is_as_good_as_new(meter: Callable[[int, float], Meter]) -> None:
    known = meter(2, 10)
    assert known.forgot(0.0)
    known.count(3.0)
    assert not known.forgot(4.0)
    assert known.forgot(40.0)


def test_fixed_windows_begin_anew_by_the_calendar() -> None:
    assert spent(Fixed(2, 10), [8, 9, 9.9, 10, 11, 12]) == [True, True, False, True, True, False]


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=40))
def test_a_sliding_window_never_holds_more(number: int, moments: list[float]) -> None:
    moments.sort()
    passed = [at for at, yes in zip(moments, spent(Sliding(number, 10), moments), strict=True) if yes]
    for end in passed:
        assert sum(1 for at in passed if end - 10 < at <= end) <= number


@settings(deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=40))
def test_a_bucket_never_gives_more_than_it_holds_and_gets(number: int, moments: list[float]) -> None:
    moments.sort()
    passed = [at for at, yes in zip(moments, spent(Gcra(number, 10), moments), strict=True) if yes]
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            assert last - first + 1 <= number + (passed[last] - passed[first]) * number / 10 + 0.001


@pytest.mark.parametrize("meter", [Sliding, Gcra, Fixed])
def test_an_account_orders_three_hundred_times(meter: Callable[[int, float], Meter]) -> None:
    ca = Authority(LETS_ENCRYPT, meter=meter)
    for number in range(300):
        assert isinstance(ca.new_order("a", [f"s{number}.com"], 10.0), Placed)
    assert ca.new_order("a", ["x.com"], 10.0) == Refusal("orders", "a", 10.0)
    assert isinstance(ca.new_order("b", ["x.com"], 10.0), Placed)
    assert [refusal.kind for refusal in ca.refusals] == ["orders"]


def test_certificates_count_when_they_are_issued_or_at_once() -> None:
    late, early = Authority(LETS_ENCRYPT), Authority(LETS_ENCRYPT, counted=Counted.ORDERED)
    for number in range(60):
        assert isinstance(late.new_order("a", [f"s{number}.x.com"], 0.0), Placed)
        assert isinstance(early.new_order("a", [f"s{number}.x.com"], 0.0), Placed) == (number < 50)
    orders = [late.new_order("b", [f"t{number}.y.com"], 0.0) for number in range(50)]
    for one in orders:
        assert isinstance(one, Placed)
        late.issue(one, 6 * DAY)
        late.issue(one, 6 * DAY)
    assert isinstance(late.new_order("b", ["u.y.com"], 8 * DAY), Refusal), "counted from when they were issued"
    assert isinstance(late.new_order("b", ["u.y.com"], 13 * DAY), Placed)


def test_a_renewal_is_free_of_account_and_domain_and_a_replacement_of_all() -> None:
    ca = Authority(dict.fromkeys(["orders", "domain", "failures"], (1, 1e8)) | {"set": (2, 1e6)})
    first = ca.new_order("a", ["a.com"], 0.0)
    assert isinstance(first, Placed)
    ca.issue(first, 1.0)
    assert isinstance(ca.new_order("a", ["b.a.com"], 2.0), Refusal)
    again = ca.new_order("a", ["a.com"], 3.0)
    assert isinstance(again, Placed)
    ca.issue(again, 4.0)
    assert ca.new_order("a", ["a.com"], 5.0) == Refusal("set", "a.com", 5.0)
    free = ca.new_order("a", ["a.com", "c.com"], 6.0, replaces=True)
    assert isinstance(free, Placed)
    ca.issue(free, 7.0)
    assert ca.new_order("b", ["d.c.com"], 8.0) == Refusal("domain", "c.com", 8.0), "and counts for the next"
    assert isinstance(ca.new_order("a", ["a.com"], 130 * DAY), Refusal), "after 120 days it is no renewal"


def test_pruning_changes_no_answer_and_what_was_certified_before_counts_as_a_renewal() -> None:
    ca = Authority({"orders": (1, 1000), "domain": (1, 7 * DAY)}, meter=Strictest)
    ca.remember(["old.com"], -DAY)
    ca.remember(["older.com"], -130 * DAY)
    assert isinstance(ca.new_order("a", ["old.com"], 0.0), Placed)
    first = ca.new_order("a", ["older.com"], 1.0)
    assert isinstance(first, Placed)
    ca.issue(first, 2.0)
    assert ca.new_order("a", ["x.com"], 3.0) == Refusal("orders", "a", 3.0)
    for now in (4.0, DAY, 10 * DAY):
        ca.prune(now)
    assert isinstance(ca.new_order("a", ["x.com"], 10 * DAY), Placed)
    assert isinstance(ca.new_order("a", ["older.com"], 10 * DAY), Placed), "a renewal is free of the account's limit"
    ca.prune(200 * DAY)
    assert isinstance(ca.new_order("a", ["older.com"], 200 * DAY), Placed)
    assert isinstance(ca.new_order("a", ["old.com"], 200 * DAY), Refusal), "no renewal any more"


def test_failures_by_the_hour_and_in_a_row() -> None:
    ca = Authority({"failures": (2, 3600), "consecutive": (3, 0)})
    order = ca.new_order("a", ["a.com", "b.com"], 0.0)
    assert isinstance(order, Placed)
    for at in (1.0, 2.0):
        ca.fail(order, "a.com", at)
    assert ca.new_order("a", ["a.com"], 3.0) == Refusal("failures", "a a.com", 3.0)
    assert isinstance(ca.new_order("a", ["a.com"], 3.0, replaces=True), Placed)
    assert isinstance(ca.new_order("a", ["b.com"], 3.0), Placed)
    ca.fail(order, "a.com", 5000.0)
    for replaces in (False, True):
        assert ca.new_order("a", ["a.com"], 99999.0, replaces=replaces) == Refusal("consecutive", "a.com", 99999.0)
    assert isinstance(ca.new_order("b", ["a.com"], 99999.0), Placed)
    ca.mend("a", "a.com")
    assert isinstance(ca.new_order("a", ["a.com"], 99999.0), Placed)
    ca.fail(order, "a.com", 99999.0)
    ca.prove(order, "a.com")
    assert isinstance(ca.new_order("a", ["a.com"], 2e5), Placed)


def test_registrations_and_requests_by_address() -> None:
    ca = Authority(LETS_ENCRYPT)
    assert [ca.register(0.0, "192.0.2.1") for _ in range(10)] == [None] * 10
    assert ca.register(0.0, "192.0.2.1") == Refusal("registrations", "192.0.2.1", 0.0)
    assert ca.register(0.0, "192.0.2.2") is None
    assert [ca.request(at / 32) is None for at in range(52)] == [True] * 20 + [False] * 12 + [True] * 20
    nothing = Authority({})
    assert nothing.request(0.0) is None
    assert isinstance(nothing.new_order("a", ["a.com"], 0.0), Placed)
