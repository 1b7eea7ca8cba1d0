"""The ledger in memory against a CA that counts by itself (see ledger_world)."""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from autossl_panel.autossl.ledger import Granted, Kind, Ledger, Limit, Loss, Wait, Wish
from autossl_panel.simulation.oracle import Counted, Fixed, Gcra, Meter, Sliding
from tests.autossl.ledger_world import PUBLISHED, Machine, Store, Told

CASES = [
    (meter, counted, published) for meter in (Sliding, Gcra, Fixed) for counted in Counted for published in PUBLISHED
]


class Memory:
    """A ledger whose commits are copies."""

    def __init__(self, limits: list[Limit]) -> None:
        self.limits = limits
        self.committed = Ledger(limits)
        self.permits = 0
        self.losses: list[Loss] = []
        self.copy = (self.committed.fork(), 0)

    def take(self, wish: Wish, now: float, *, commit: bool = True) -> Granted | Told:
        work = self.committed.fork()
        answer = work.ask(wish, now)
        if isinstance(answer, Wait):
            if answer.until is not None:
                assert answer.until > work.mark
                later = work.fork().ask(wish, answer.until)
                # What is forgotten unproven by then may be the last failure in a row that a name may have.
                assert isinstance(later, Granted) or later.kind is Kind.CONSECUTIVE, "granted at the moment it names"
            return Told(answer.kind, answer.until, answer.used)
        if commit:
            self.committed = work
            self.permits += 1
        return answer

    def keep(self, permit: Granted, now: float) -> Granted | Told:
        answer = self.committed.keep(permit, now)
        return Told(answer.kind, answer.until, answer.used) if isinstance(answer, Wait) else answer

    def settle(
        self, permit: Granted, now: float, *, proven: Collection[str], failed: Collection[str], issued: bool
    ) -> None:
        self.committed.settle(permit, now, proven=proven, failed=failed, issued=issued)

    def lose(self, permit: Granted) -> None:
        self.committed.lost(permit)

    def back_up(self) -> None:
        self.copy = (self.committed.fork(), self.permits)

    def restore(self, now: float, *, exactly: bool) -> bool:
        old, permits = self.copy
        if permits == self.permits:
            return False
        at = max(now, self.committed.mark) + 0.001
        self.losses.append(Loss(at, self.permits - permits if exactly else None))
        self.committed = self._reread(old)
        self.back_up()
        return True

    def _reread(self, old: Ledger) -> Ledger:
        """The ledger over an old copy, as rows are read: what they hold, and on top what may be lost since."""
        fresh = Ledger(self.limits, losses=self.losses)
        fresh.mark = max(fresh.mark, old.mark)
        for kind, book in old.books.items():
            for subject, log in book.logs.items():
                fresh.books[kind].recall(subject, log, old.mark)
        fresh.failures.rows.update(old.failures.rows)
        return fresh


class InMemory(Machine):
    def store_of(self, limits: list[Limit]) -> Store:
        return Memory(limits)


def _run(meter: Callable[[int, float], Meter], counted: Counted, published: str, examples: int) -> None:
    name = f"{meter.__name__}{counted.title()}{published.title()}"
    one = type(name, (InMemory,), {"meter": meter, "counted": counted, "published": PUBLISHED[published]})
    run_state_machine_as_test(
        one,
        settings=settings(
            max_examples=examples,
            stateful_step_count=60,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.parametrize(("meter", "counted", "published"), CASES)
def test_no_refusal_ever(meter: Callable[[int, float], Meter], counted: Counted, published: str) -> None:
    _run(meter, counted, published, 15)


@pytest.mark.slow
@pytest.mark.parametrize(("meter", "counted", "published"), CASES)
def test_no_refusal_in_many_more_worlds(meter: Callable[[int, float], Meter], counted: Counted, published: str) -> None:
    _run(meter, counted, published, 400)
