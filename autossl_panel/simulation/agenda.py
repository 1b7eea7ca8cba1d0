"""What comes next: hosts by the minute of the panel's clock, everything else by the second of true time.

The panel's clock may be ahead of true time or behind it, and is set now and then; a minute is looked at once it has
come.
"""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Callable
from itertools import count

from .times import FOREVER, MINUTE

Event = Callable[[], None]


class Agenda:
    """`now` is true time, `local` the panel's: both in seconds. `ahead`: by how much the panel's clock is."""

    __slots__ = ("_events", "_minutes", "_numbers", "_waiting", "ahead", "local", "now", "swept")

    def __init__(self, now: int) -> None:
        self.now, self.ahead, self.local = now, 0, now
        # The last minute that was looked at
        self.swept = now // MINUTE - 1
        self._events: list[tuple[int, int, Event]] = []
        self._numbers = count()
        self._minutes: list[int] = []
        self._waiting: dict[int, array[int]] = {}

    def go_to(self, now: int) -> None:
        """Time passes."""
        self.now, self.local = now, now + self.ahead

    def at(self, when: int, event: Event) -> None:
        """Have something happen at a second of true time."""
        heapq.heappush(self._events, (when, next(self._numbers), event))

    def wait(self, host: int, until: int) -> None:
        """Have a host looked at in the first minute of the panel's clock that is not before `until`."""
        minute = max(-(-until // MINUTE), self.swept + 1)
        waiting = self._waiting.get(minute)
        if waiting is None:
            waiting = self._waiting[minute] = array("I")
            heapq.heappush(self._minutes, minute)
        waiting.append(host)

    def set_clock(self, ahead: int) -> None:
        """The panel's clock is set: minutes that come again are looked at again."""
        self.ahead, self.local = ahead, self.now + ahead
        self.swept = min(self.swept, self.local // MINUTE)

    def next_event(self) -> int:
        """When the next event is."""
        return self._events[0][0] if self._events else FOREVER

    def next_sweep(self) -> int:
        """When the next minute comes, by true time, in which a host waits."""
        return max(self.now, self._minutes[0] * MINUTE - self.ahead) if self._minutes else FOREVER

    def pop_event(self) -> Event:
        """The next event, with its time come."""
        now, _number, event = heapq.heappop(self._events)
        self.go_to(now)
        return event

    def pop_due(self) -> list[int]:
        """The hosts of all minutes that have come."""
        self.swept = self.local // MINUTE
        due: list[int] = []
        while self._minutes and self._minutes[0] <= self.swept:
            due.extend(self._waiting.pop(heapq.heappop(self._minutes)))
        return due
