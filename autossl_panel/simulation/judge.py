"""The judge: what went wrong in a play, found by arithmetic of its own over what was true. It asks no decision.

It is told of each request that reached a CA and of each certificate, and knows the weather, the outages and the limits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from .authorities import FakeCa, serial
from .rows import Rows
from .times import DAY, HOUR, Stretches
from .weather import Weather

# A stretch of so much good weather, or a sixth of a life, is time enough to renew: the ladder's longest pause is a day
# and its tenth, and a CA that was down is left alone for up to an hour more.
ENOUGH = 28 * HOUR
# By how much the panel's clock may be wrong, and how long a revocation may take to be noticed from the CA's lists
CLOCK = 300
NOTICED = DAY


# What keeps a certificate from being renewed in time, as people are told
CAUSES = {
    "names": "names failing",
    "ca": "all CAs failing",
    "off": "the panel off",
    "resolver": "the resolver dead or lying",
    "short": "revoked or due too late",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must not be: what, at which host, when."""

    what: str
    host: int
    at: int


@dataclass(slots=True)
class Tally:
    """What was counted. Times are seconds; `waited` is the longest wait for a permit, by the limit waited for."""

    orders: int = 0
    certificates: int = 0
    by_day: Counter[int] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    first: int = 0
    first_latest: int = 0  # of the sites that were there on the first day and whose names never fail
    later_latest: int = 0  # of those that came later
    first_by_hour: Counter[int] = field(default_factory=Counter)  # how many waited so many hours
    last_new: int = 0  # when the last order was let through that limits count
    waited: dict[str, int] = field(default_factory=dict)
    expired: int = 0  # while it could have been renewed
    beyond_limits: int = 0  # expired because a CA's limits left no room for all
    unrenewable_by: Counter[str] = field(default_factory=Counter)  # expired for want of time, by what took most of it
    reduced: int = 0
    reduced_early: int = 0
    failing_ordered: int = 0
    refused: int = 0
    faults: list[Fault] = field(default_factory=list)

    @property
    def unrenewable(self) -> int:
        """Expired without anybody's fault: names or all CAs failing, the panel off, its resolver dead."""
        return self.unrenewable_by.total()


class Judge:
    """Sees all that happens. `off`: when the panel is; `cas` is who certificates are from, by the number
    of the account; the first one and the `fallbacks` are asked."""

    def __init__(
        self,
        rows: Rows,
        weather: Weather,
        cas: Sequence[FakeCa],
        fallbacks: Sequence[FakeCa],
        *,
        off: Stretches,
        begins: int,
        most_names: int,
    ) -> None:
        self.rows, self.weather, self.cas, self.own_ca = rows, weather, cas, cas[0]
        self.begins, self.most_names = begins, most_names
        self.tally = Tally()
        self.off = off
        outages = [list(ca.outages) for ca in (cas[0], *fallbacks)]
        self.keeping = {
            "ca": Stretches(_all_at_once(outages)),
            "off": off,
            "resolver": Stretches([*weather.dead, *weather.lying]),
        }
        self.nobody = [stretch for stretches in self.keeping.values() for stretch in stretches]
        self.waiting: dict[int, tuple[int, str]] = {}
        self._counted = (
            array("I"),
            array("Q"),
        )  # when a counted order was let through, and until when its host could wait

    # --- what is told ------------------------------------------------------------------------------------------------

    def ordered(self, host: int, mask: int, kind: str, now: int, *, refused: bool) -> None:
        """An order reached a CA."""
        tally, weather = self.tally, self.weather
        tally.orders += 1
        tally.by_day[(now - self.begins) // DAY] += 1
        tally.by_kind[kind] += 1
        if refused:
            tally.refused += 1
            self._fault("refused by a limit", host, now)
        if kind == "new":
            tally.last_new = now - self.begins
            self._counted[0].append(now)
            self._counted[1].append(self.rows.not_after[host] or 2**40)
        if weather.failing(host, now) & mask and not weather.dead.end_of(now):
            tally.failing_ordered += 1
            self._fault("ordered for a name that fails", host, now)

    def waits(self, host: int, kind: str, now: int) -> None:
        """A host was told to wait for a permit."""
        self.waiting.setdefault(host, (now, kind))

    def rests(self, host: int) -> None:
        """It wants none any more."""
        self.waiting.pop(host, None)

    def permitted(self, host: int, now: int) -> None:
        """It has one."""
        if host in self.waiting:
            since, kind = self.waiting.pop(host)
            self.tally.waited[kind] = max(self.tally.waited.get(kind, 0), now - since)

    def issued(self, host: int, mask: int, now: int, revoked_at: int) -> None:
        """A host gets a certificate for these names; its row still tells of the old one."""
        rows, tally = self.rows, self.tally
        tally.certificates += 1
        ended = rows.not_after[host]
        if not ended:
            tally.first += 1
            if not self.weather.troubled(host):
                took = now - rows.estate.seen_at[host]
                tally.first_by_hour[took // HOUR] += 1
                if rows.estate.seen_at[host] <= self.begins:
                    tally.first_latest = max(tally.first_latest, took)
                else:
                    tally.later_latest = max(tally.later_latest, took)
            return
        if revoked_at and ended > now > revoked_at + NOTICED:
            self._expired(host, revoked_at + NOTICED, now)
        elif now > ended:
            self._expired(host, self._due(host), ended)
        elif not revoked_at or now < revoked_at:
            self._coverage(host, mask, now)

    def closes(self, now: int) -> None:
        """The play is over: what has expired and was not replaced."""
        rows = self.rows
        for host, ended in enumerate(rows.not_after):
            if 0 < ended <= now:
                self._expired(host, self._due(host), ended)
        for since, kind in self.waiting.values():
            self.tally.waited[kind] = max(self.tally.waited.get(kind, 0), now - since)

    # --- what it finds -----------------------------------------------------------------------------------------------

    def _due(self, host: int) -> int:
        """From when on a certificate is to be renewed: its ARI window, or its last third, half of a short one."""
        since, until = self.rows.not_before[host], self.rows.not_after[host]
        life, ca = until - since, self.cas[self.rows.account[host]]
        if ca.ari:
            # It is the CA that says when: by the end of its window, but never in the last tenth.
            _start, end = ca.window(serial(host, since), since, until, until)
            due = min(end, until - life // 10)
        else:
            due = until - (life // 2 if life < 10 * DAY else life // 3)
        return max(due, self.rows.estate.seen_at[host], self.begins)

    def _expired(self, host: int, due: int, ended: int) -> None:
        rows, weather = self.rows, self.weather
        life = rows.not_after[host] - rows.not_before[host]
        enough = min(ENOUGH, life // 6)
        whole = rows.estate.whole(host)
        none, some = weather.without(host, whole, due, ended)
        late = max(due, ended - _grace(life)) + HOUR
        all_well = Stretches([*self.nobody, *some]).longest_gap(due, ended)
        some_well = Stretches([*self.nobody, *none]).longest_gap(late, ended) if late < ended else 0
        if max(all_well, some_well) < enough:
            self.tally.unrenewable_by[self._kept_by(some, due, ended)] += 1
        elif self._no_room(host, late - HOUR, ended):
            self.tally.beyond_limits += 1
        else:
            self.tally.expired += 1
            self._fault("expired though it could be renewed", host, ended)

    def _kept_by(self, names: Stretches, due: int, ended: int) -> str:
        """What took most of the time that there was to renew; “short” where nothing took any."""
        took = {cause: held.within(due, ended) for cause, held in {"names": names, **self.keeping}.items()}
        cause = max(took, key=lambda one: took[one])
        return cause if took[cause] else "short"

    def _no_room(self, host: int, urgent_since: int, ended: int) -> bool:
        """Whether its certificate would have been new to the CA, whose limit was used up by hosts more urgent still."""
        rows = self.rows
        if rows.accounts[rows.account[host]].partition("-")[0] == self.own_ca.name:
            return False
        if "orders" not in self.own_ca.published:
            return False
        moments, deadlines = self._counted
        first, last = bisect_left(moments, urgent_since + HOUR), bisect_left(moments, ended)
        return last > first and all(deadline <= ended for deadline in deadlines[first:last])

    def _coverage(self, host: int, mask: int, now: int) -> None:
        rows, weather = self.rows, self.weather
        lost = rows.covered[host] & ~mask
        if not lost:
            return
        self.tally.reduced += 1
        if mask.bit_count() >= self.most_names:
            return  # displaced by names that come first, as the rules have it
        since, until, forward = rows.not_before[host], rows.not_after[host], rows.forward_until[host]
        allowed = until - _grace(until - since)
        if forward:
            allowed = min(allowed, forward)
        recently = now - min(DAY, (until - since) // 12)
        if now + CLOCK < allowed or weather.refused_within(host, recently, now) & lost != lost:
            self.tally.reduced_early += 1
            self._fault("coverage reduced before its time", host, now)

    def _fault(self, what: str, host: int, at: int) -> None:
        if len(self.tally.faults) < 100:
            self.tally.faults.append(Fault(what, host, at))


def _grace(life: int) -> int:
    """How long before its end a certificate may lose names that fail: a day or a thirtieth, at most a sixth."""
    return min(max(life // 30, DAY), life // 6)


def _all_at_once(each: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[int, int]]:
    """When all of them hold."""
    found = list(each[0])
    for others in each[1:]:
        found = [(max(a, c), min(b, d)) for a, b in found for c, d in others if max(a, c) < min(b, d)]
    return found
