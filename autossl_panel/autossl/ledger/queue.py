"""Who waits for a limit: each next one is told a later moment, so that not all come when the first place is free. Pure.

Moments are POSIX seconds by the CA's clock. Nobody is bound by it: who comes asks again, and who comes in the same
minute is served by class and turn. So somebody waits behind those who come first by these, not behind all who came
first by the clock: a new site is not told to wait for the thirty thousandth of a server that moved here yesterday.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from itertools import chain

from .limit import Limit


class Queue:
    """The places of one limit and subject: what is used up by now, and who was promised a moment.

    A `rank` says who comes first, the lowest before all.
    """

    __slots__ = ("_limit", "_log", "_logs", "_promised", "_reached")

    def __init__(self, limit: Limit, log: Iterable[float], promised: Iterable[tuple[float, int]] = ()) -> None:
        self._limit = limit
        self._log = list(log)
        self._promised: dict[int, list[float]] = {}
        # As `limit.moment` has it, for very many
        lag, grain, lists = limit.lag, limit.grain, self._promised
        for moment, rank in promised:
            at = -(-(moment + lag) // grain) * grain if grain else moment + lag
            if rank in lists:
                lists[rank].append(at)
            else:
                lists[rank] = [at]
        # For each rank that was asked for: what is used up or promised before it
        self._logs: dict[int, list[float]] = {}
        # Before this moment there is no place; there never will be, as places are only taken
        self._reached: dict[tuple[int, int], float] = {}

    def turn(self, now: float, *, headroom: float = 0.0, rank: int = 0) -> float:
        """When there is a place, at `now` the earliest, for somebody who leaves `headroom` to others."""
        limit, log = self._limit, self._before(rank)
        span, room = limit.span, limit.room(headroom)
        # What is spent now is entered as if it were so much later.
        ahead = limit.lag + limit.grain
        now = max(now, self._reached.get((rank, room), 0.0))
        while True:
            gone = bisect_right(log, now - span)
            while gone < len(log) and log[gone] + span <= now:
                gone += 1
            come = bisect_right(log, now + ahead)
            if come - gone < room:
                self._reached[rank, room] = now
                return now
            now = log[come - room] + span

    def promise(self, moment: float, *, rank: int = 0) -> None:
        """Somebody comes at that moment."""
        moment = self._limit.moment(moment)
        self._promised.setdefault(rank, []).append(moment)
        for one, log in self._logs.items():
            if rank <= one:
                if not log or moment >= log[-1]:
                    log.append(moment)
                else:
                    insort(log, moment)

    def _before(self, rank: int) -> list[float]:
        found = self._logs.get(rank)
        if found is None:
            before = [moments for of, moments in self._promised.items() if of <= rank]
            found = self._logs[rank] = sorted(chain(self._log, *before))
        return found
