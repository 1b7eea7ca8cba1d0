"""The ledger against a CA that counts by itself: whatever happens to workers, requests and clocks, no refusal, ever.

Workers see the CA's clock as a real client does: the Date of an answer, whole seconds, plus monotonic time since it
came. Requests take their time, get lost, or reach a CA whose answer nobody hears; processes die before and after the
commit; orders lie about for days; the database is exchanged for an old copy.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from autossl_panel.autossl.ledger import (
    Granted,
    Kind,
    Ledger,
    Limit,
    Loss,
    Purpose,
    Wait,
    order,
    order_kind,
    registration,
)
from autossl_panel.simulation.oracle import Authority, Counted, Fixed, Gcra, Meter, Placed, Refusal, Sliding

HOUR, DAY = 3600, 86400
# A request is at most so long on its way; after that its client has given up
WAY = 40.0
SLOWEST_VALIDATION = 200.0
EXAMPLES, STEPS_EACH = 12, 60

PUBLISHED: Mapping[str, dict[str, tuple[int, int]]] = {
    "small": {
        "orders": (10, 3 * HOUR),
        "domain": (6, 7 * DAY),
        "set": (3, 7 * DAY),
        "failures": (3, HOUR),
        "consecutive": (6, 0),
        "registrations": (3, 3 * HOUR),
    },
    "one": {"orders": (2, 3 * HOUR), "domain": (1, 7 * DAY), "set": (1, 7 * DAY), "failures": (1, HOUR)},
    "large": {
        "orders": (300, 3 * HOUR),
        "domain": (90, 7 * DAY),
        "set": (5, 7 * DAY),
        "failures": (5, HOUR),
        "consecutive": (1152, 0),
    },
    "few": {"orders": (4, DAY), "consecutive": (3, 0)},
}
SETS = [("a.com",), ("a.com", "www.a.com"), ("b.a.com", "c.com"), ("c.com",), ("x.github.io", "y.github.io")]


@dataclass
class Open:
    """An order as we know it."""

    granted: Granted
    placed: Placed
    answered: bool = False
    ready: bool = False
    finalized: bool = False


@dataclass
class Worker:
    """What a process knows of the CA's time: the Date it heard, and when (by its monotonic clock) it came."""

    date: float
    came: float

    def now(self, true: float) -> float:
        return self.date + (true - self.came)


@dataclass
class Known:
    """What our database knows of a set of names."""

    issued_at: float | None = None
    replaced: bool = True


@dataclass
class World:
    """True time, and what is under way."""

    now: float
    waiting: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: count[int] = field(default_factory=count)

    def at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self.waiting, (self.now + delay, next(self._numbers), event))

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while self.waiting and self.waiting[0][0] <= end:
            self.now, _number, event = heapq.heappop(self.waiting)
            event()
        self.now = end


DELAY = st.one_of(st.floats(0, 0.5), st.floats(0, WAY))
STEPS = st.one_of(
    st.floats(0, 5), st.floats(0, 300), st.floats(0, 2 * HOUR), st.floats(0, 9 * DAY), st.sampled_from([3600, 10800])
)


class Machine(RuleBasedStateMachine):
    meter: Callable[[int, float], Meter] = Sliding
    counted = Counted.ISSUED
    published: Mapping[str, tuple[int, int]] = PUBLISHED["small"]

    @initialize(start=st.floats(0, 30 * DAY))
    def begin(self, start: float) -> None:
        self.world = World(1.8e9 + start)
        self.ca = Authority(self.published, meter=type(self).meter, counted=self.counted)
        continuous = type(self).meter is Gcra
        self.limits = [Limit(Kind(kind), *figures, continuous) for kind, figures in self.published.items()]
        self.rows = Ledger(self.limits)  # what is committed
        self.permits = 0
        self.losses: list[Loss] = []
        self.until: float | None = None
        self.copy: tuple[Ledger, int] = (self.rows.fork(), 0)
        self.workers = [Worker(math.floor(self.world.now), self.world.now) for _ in range(3)]
        self.open: list[Open] = []
        self.known = {names: Known() for names in SETS}

    # --- time and processes ------------------------------------------------------------------------------------------

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.world.pass_(seconds)

    @precondition(lambda self: self.until is not None)
    @rule(which=st.integers(0, 2))
    def wait_as_told(self, which: int) -> None:
        """To the moment that somebody was told last, by a worker's clock."""
        self.world.pass_(max(0.0, (self.until or 0.0) - self.workers[which].now(self.world.now)))

    @rule(which=st.integers(0, 2), back=DELAY)
    def hear(self, which: int, back: float) -> None:
        """An answer made `back` seconds ago comes: a worker restarts, or goes on by a newer Date."""
        self.workers[which] = Worker(math.floor(self.world.now - back), self.world.now)

    @rule()
    def back_up(self) -> None:
        self.copy = (self.rows.fork(), self.permits)

    @rule(which=st.integers(0, 2), exactly=st.booleans())
    def restore(self, which: int, exactly: bool) -> None:
        """An old copy takes the place of the database, as the stamp file tells; its open orders are gone with it."""
        old, permits = self.copy
        if permits == self.permits:
            return
        at = max(self.workers[which].now(self.world.now), self.rows.mark) + 0.001
        self.losses.append(Loss(at, self.permits - permits if exactly else None))
        self.rows = _reread(old, self.limits, self.losses)
        self.copy = (self.rows.fork(), self.permits)
        self.open = []

    # --- orders ------------------------------------------------------------------------------------------------------

    @rule(
        names=st.sampled_from(SETS),
        which=st.integers(0, 2),
        purpose=st.sampled_from(Purpose),
        ari=st.booleans(),
        crash=st.sampled_from(["", "", "", "before commit", "before sending", "not heard"]),
        delay=DELAY,
        times=st.sampled_from([1, 1, 1, 3, 12]),
    )
    def place(
        self, names: tuple[str, ...], which: int, purpose: Purpose, ari: bool, crash: str, delay: float, times: int
    ) -> None:
        for _ in range(times):
            self._place(names, which, purpose, ari, crash, delay)

    def _place(self, names: tuple[str, ...], which: int, purpose: Purpose, ari: bool, crash: str, delay: float) -> None:
        known, now = self.known[names], self.workers[which].now(self.world.now)
        ari = ari and not known.replaced
        wish = order(order_kind(replaces=ari, issued_at=known.issued_at, now=now), names, purpose=purpose)
        work = self.rows.fork()
        answer = work.ask(wish, now)
        if isinstance(answer, Wait):
            self._waits_not_too_long(work, answer)
            if answer.until is not None:
                later = work.fork().ask(wish, answer.until)
                # What is forgotten unproven by then may be the last failure in a row that a name may have.
                assert isinstance(later, Granted) or later.kind is Kind.CONSECUTIVE, "granted at the moment it names"
            return
        if crash == "before commit":
            return
        self._commit(work)
        if ari:
            known.replaced = True  # by the CA's rules a certificate is replaced once
        if crash == "before sending":
            return
        self.world.at(delay, lambda: self._arrives(names, ari, answer, heard=crash != "not heard"))

    def _arrives(self, names: tuple[str, ...], ari: bool, granted: Granted, *, heard: bool) -> None:
        placed = self.ca.new_order("acct", names, self.world.now, replaces=ari)
        assert not isinstance(placed, Refusal), placed
        if heard:
            self.open.append(Open(granted, placed))

    @precondition(lambda self: any(not one.answered for one in self.open))
    @rule(
        which=st.integers(0, 2),
        pick=st.randoms(use_true_random=False),
        bad=st.booleans(),
        delay=DELAY,
        takes=st.floats(0, SLOWEST_VALIDATION),
        heard=st.booleans(),
    )
    def answer_challenges(self, which: int, pick, bad: bool, delay: float, takes: float, heard: bool) -> None:
        one = pick.choice([one for one in self.open if not one.answered])
        if not self._keep(one, which):
            return
        one.answered = True
        names = sorted(one.placed.names)
        failed = names[: pick.randint(1, len(names))] if bad else []
        self.world.at(delay + takes, lambda: self._validated(one, failed, which, heard=heard))

    def _validated(self, one: Open, failed: list[str], which: int, *, heard: bool) -> None:
        for name in one.placed.names:
            if name in failed:
                self.ca.fail(one.placed, name, self.world.now)
            else:
                self.ca.prove(one.placed, name)
        one.ready = not failed
        if one in self.open and failed:
            self.open.remove(one)
            if heard:
                now, proven = self.workers[which].now(self.world.now), one.placed.names - set(failed)
                self.rows.settle(one.granted, now, proven=sorted(proven), failed=failed)

    @precondition(lambda self: any(one.ready and not one.finalized for one in self.open))
    @rule(
        which=st.integers(0, 2),
        pick=st.randoms(use_true_random=False),
        delay=DELAY,
        takes=st.floats(0, SLOWEST_VALIDATION),
        heard=st.booleans(),
    )
    def finalize(self, which: int, pick, delay: float, takes: float, heard: bool) -> None:
        one = pick.choice([one for one in self.open if one.ready and not one.finalized])
        if not self._keep(one, which):
            return
        one.finalized = True
        # An issuance that drags on is waited for; one that nobody hears of was quick.
        takes = takes * 100 if heard else takes
        self.world.at(delay + takes, lambda: self._issued(one, which, heard=heard))

    def _issued(self, one: Open, which: int, *, heard: bool) -> None:
        self.ca.issue(one.placed, self.world.now)
        if one in self.open:
            self.open.remove(one)
            if heard:
                now = self.workers[which].now(self.world.now)
                self.rows.settle(one.granted, now, issued=True)
                names = next(names for names in SETS if frozenset(names) == one.placed.names)
                self.known[names] = Known(now, replaced=False)

    def _keep(self, one: Open, which: int) -> bool:
        answer = self.rows.keep(one.granted, self.workers[which].now(self.world.now))
        if isinstance(answer, Wait):
            self._waits_not_too_long(self.rows, answer)
            return False
        one.granted = answer
        return True

    @precondition(lambda self: "registrations" in self.published)
    @rule(which=st.integers(0, 2), delay=DELAY)
    def register(self, which: int, delay: float) -> None:
        answer = self.rows.ask(registration(), self.workers[which].now(self.world.now))
        if isinstance(answer, Granted):
            self.permits += 1
            self.world.at(delay, self._registers)

    def _registers(self) -> None:
        assert self.ca.register(self.world.now) is None

    # --- what must hold ----------------------------------------------------------------------------------------------

    def _commit(self, work: Ledger) -> None:
        self.rows = work
        self.permits += 1

    def _waits_not_too_long(self, ledger: Ledger, wait: Wait) -> None:
        if wait.until is None:
            assert wait.kind is Kind.CONSECUTIVE
            return
        self.until = wait.until
        limit = next(limit for limit in self.limits if limit.kind is wait.kind)
        assert ledger.mark < wait.until <= ledger.mark + limit.lag + limit.grain + limit.span + 1e-3
        assert wait.used >= 1

    @invariant()
    def nobody_was_refused(self) -> None:
        assert not getattr(self, "ca", None) or self.ca.refusals == []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.pass_(DAY)
            assert self.ca.refusals == []


def _reread(old: Ledger, limits: list[Limit], losses: list[Loss]) -> Ledger:
    """The ledger over an old copy, as rows are read: what they hold, and on top what may be lost since."""
    fresh = Ledger(limits, losses=losses)
    fresh.mark = max(fresh.mark, old.mark)
    for kind, book in old.books.items():
        for subject, log in book.logs.items():
            fresh.books[kind].recall(subject, log, old.mark)
        fresh.books[kind].blocks.update(book.blocks)
    fresh.failures.rows.update(old.failures.rows)
    return fresh


CASES = [
    (meter, counted, published) for meter in (Sliding, Gcra, Fixed) for counted in Counted for published in PUBLISHED
]


@pytest.mark.parametrize(("meter", "counted", "published"), CASES)
def test_no_refusal_ever(meter: Callable[[int, float], Meter], counted: Counted, published: str) -> None:
    name = f"{meter.__name__}{counted.title()}{published.title()}"
    one = type(name, (Machine,), {"meter": meter, "counted": counted, "published": PUBLISHED[published]})
    run_state_machine_as_test(
        one,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS_EACH,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
