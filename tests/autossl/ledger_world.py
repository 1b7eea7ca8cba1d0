"""A world for the ledger: a CA that counts by itself, true time, workers who hear of it, requests that get lost.

Workers see the CA's clock as a real client does: the Date of an answer, whole seconds, plus monotonic time since it
came. Requests take their time, get lost, or reach a CA whose answer nobody hears; processes die before and after the
commit; orders lie about for days; the database is exchanged for an old copy. Whatever happens: no refusal, ever.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from autossl_panel.autossl.ledger import Kind, Limit, Purpose, Wish, order, order_kind, registration
from autossl_panel.simulation.oracle import Authority, Counted, Gcra, Meter, Placed, Refusal, Sliding

HOUR, DAY = 3600, 86400
# A request is at most so long on its way; after that its client has given up
WAY = 40.0
SLOWEST_VALIDATION = 200.0

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


@dataclass(frozen=True)
class Told:
    """“Not now”: what the ledger says of it."""

    kind: Kind
    until: float | None
    used: int


class Store(Protocol):
    """Where the ledger is kept. A permit is whatever `take` gave; `commit` False: the process dies before it."""

    def take(self, wish: Wish, now: float, *, commit: bool = True) -> Any: ...
    def keep(self, permit: Any, now: float) -> Any: ...
    def settle(
        self, permit: Any, now: float, *, proven: Collection[str], failed: Collection[str], issued: bool
    ) -> None: ...
    def lose(self, permit: Any) -> None: ...
    def back_up(self) -> None: ...
    def restore(self, now: float, *, exactly: bool) -> bool: ...


@dataclass
class Open:
    """An order as we know it."""

    permit: Any
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

    def after(self, delay: float, event: Callable[[], None]) -> None:
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
WORKERS = st.integers(0, 2)


class Machine(RuleBasedStateMachine):
    """The rules of that world. Subclasses say which CA it is, and where the ledger is kept."""

    meter: Callable[[int, float], Meter] = Sliding
    counted = Counted.ISSUED
    published: Mapping[str, tuple[int, int]] = PUBLISHED["small"]

    def store_of(self, limits: list[Limit]) -> Store:
        raise NotImplementedError

    @initialize(start=st.floats(0, 30 * DAY))
    def begin(self, start: float) -> None:
        self.world = World(1.8e9 + start)
        self.ca = Authority(self.published, meter=type(self).meter, counted=self.counted)
        continuous = type(self).meter is Gcra
        at_order = self.counted is Counted.ORDERED
        self.limits = [Limit(Kind(kind), *figures, continuous, at_order) for kind, figures in self.published.items()]
        self.store = self.store_of(self.limits)
        self.workers = [Worker(math.floor(self.world.now), self.world.now) for _ in range(3)]
        self.open: list[Open] = []
        self.known = {names: Known() for names in SETS}
        self.until: float | None = None
        self.latest = 0.0

    def now(self, which: int) -> float:
        now = self.workers[which].now(self.world.now)
        self.latest = max(self.latest, now)
        return now

    # --- time and processes ------------------------------------------------------------------------------------------

    @rule(seconds=STEPS)
    def time_passes(self, seconds: float) -> None:
        self.world.pass_(seconds)

    @precondition(lambda self: self.until is not None)
    @rule(which=WORKERS)
    def wait_as_told(self, which: int) -> None:
        """To the moment that somebody was told last, by a worker's clock."""
        self.world.pass_(max(0.0, (self.until or 0.0) - self.workers[which].now(self.world.now)))

    @rule(which=WORKERS, back=DELAY)
    def hear(self, which: int, back: float) -> None:
        """An answer made `back` seconds ago comes: a worker restarts, or goes on by a newer Date."""
        self.workers[which] = Worker(math.floor(self.world.now - back), self.world.now)

    @rule()
    def back_up(self) -> None:
        self.store.back_up()

    # How many of a name's failures in a row went with the old database is bounded by what a limit on them in a time
    # allows. Without one any number may have, and every name would wait for a person: the CA is left to say which.
    @precondition(lambda self: "failures" in self.published or "consecutive" not in self.published)
    @rule(which=WORKERS, exactly=st.booleans())
    def restore(self, which: int, exactly: bool) -> None:
        """An old copy takes the place of the database; its open orders are gone with it."""
        if self.store.restore(self.now(which), exactly=exactly):
            for one in self.open:
                if one.finalized:  # nobody hears of it any more, so it was quick
                    self.ca.issue(one.placed, self.world.now)
            self.open = []

    # --- orders ------------------------------------------------------------------------------------------------------

    @rule(
        names=st.sampled_from(SETS),
        which=WORKERS,
        purpose=st.sampled_from(Purpose),
        ari=st.booleans(),
        crash=st.sampled_from(["", "", "", "before commit", "before sending", "not heard", "no answer"]),
        delay=DELAY,
        times=st.sampled_from([1, 1, 1, 3, 12]),
    )
    def place(
        self, names: tuple[str, ...], which: int, purpose: Purpose, ari: bool, crash: str, delay: float, times: int
    ) -> None:
        for _ in range(times):
            self._place(names, which, purpose, ari, crash, delay)

    def _place(self, names: tuple[str, ...], which: int, purpose: Purpose, ari: bool, crash: str, delay: float) -> None:
        known, now = self.known[names], self.now(which)
        ari = ari and not known.replaced
        wish = order(order_kind(replaces=ari, issued_at=known.issued_at, now=now), names, purpose=purpose)
        permit = self.store.take(wish, now, commit=crash != "before commit")
        if isinstance(permit, Told):
            self._waits_not_too_long(permit)
            return
        if crash == "before commit":
            return
        if ari:
            known.replaced = True  # by the CA's rules a certificate is replaced once
        if crash != "before sending":
            heard = crash not in ("not heard", "no answer")
            self.world.after(delay, lambda: self._arrives(names, ari, permit, heard=heard))
        if crash == "no answer":
            # The CA may have taken it. Nobody will finalize it.
            self.world.after(WAY, lambda: self.store.lose(permit))

    def _arrives(self, names: tuple[str, ...], ari: bool, permit: Any, *, heard: bool) -> None:
        placed = self.ca.new_order("acct", names, self.world.now, replaces=ari)
        assert not isinstance(placed, Refusal), placed
        if heard:
            self.open.append(Open(permit, placed))

    @precondition(lambda self: any(not one.answered for one in self.open))
    @rule(
        which=WORKERS,
        pick=st.randoms(use_true_random=False),
        bad=st.booleans(),
        delay=DELAY,
        takes=st.floats(0, SLOWEST_VALIDATION),
        heard=st.booleans(),
    )
    def answer_challenges(self, which: int, pick: Any, bad: bool, delay: float, takes: float, heard: bool) -> None:
        one = pick.choice([one for one in self.open if not one.answered])
        if not self._keep(one, which):
            return
        one.answered = True
        names = sorted(one.placed.names)
        failed = names[: pick.randint(1, len(names))] if bad else []
        self.world.after(delay + takes, lambda: self._validated(one, failed, which, heard=heard))

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
                proven = sorted(one.placed.names - set(failed))
                self.store.settle(one.permit, self.now(which), proven=proven, failed=failed, issued=False)

    @precondition(lambda self: any(one.ready and not one.finalized for one in self.open))
    @rule(
        which=WORKERS,
        pick=st.randoms(use_true_random=False),
        delay=DELAY,
        takes=st.floats(0, SLOWEST_VALIDATION),
        heard=st.booleans(),
    )
    def finalize(self, which: int, pick: Any, delay: float, takes: float, heard: bool) -> None:
        one = pick.choice([one for one in self.open if one.ready and not one.finalized])
        if not self._keep(one, which):
            return
        one.finalized = True
        # An issuance that drags on is waited for; one that nobody hears of was quick.
        takes = takes * 100 if heard else takes
        self.world.after(delay + takes, lambda: self._issued(one, which, heard=heard))

    def _issued(self, one: Open, which: int, *, heard: bool) -> None:
        self.ca.issue(one.placed, self.world.now)
        if one in self.open:
            self.open.remove(one)
            if heard:
                now = self.now(which)
                self.store.settle(one.permit, now, proven=[], failed=[], issued=True)
                names = next(names for names in SETS if frozenset(names) == one.placed.names)
                self.known[names] = Known(now, replaced=False)

    def _keep(self, one: Open, which: int) -> bool:
        permit = self.store.keep(one.permit, self.now(which))
        if isinstance(permit, Told):
            self._waits_not_too_long(permit)
            return False
        one.permit = permit
        return True

    @precondition(lambda self: "registrations" in self.published)
    @rule(which=WORKERS, delay=DELAY)
    def register(self, which: int, delay: float) -> None:
        if not isinstance(self.store.take(registration(), self.now(which)), Told):
            self.world.after(delay, self._registers)

    def _registers(self) -> None:
        assert self.ca.register(self.world.now) is None

    # --- what must hold ----------------------------------------------------------------------------------------------

    def _waits_not_too_long(self, told: Told) -> None:
        assert told.used >= 1
        if told.until is None:
            assert told.kind is Kind.CONSECUTIVE
            return
        self.until = told.until
        limit = next(limit for limit in self.limits if limit.kind is told.kind)
        assert told.until <= self.latest + limit.lag + limit.grain + limit.span + 0.01

    @invariant()
    def nobody_was_refused(self) -> None:
        assert not hasattr(self, "ca") or self.ca.refusals == []

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.pass_(DAY)
            assert self.ca.refusals == []
