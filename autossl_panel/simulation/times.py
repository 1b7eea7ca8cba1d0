"""Simulated time: whole seconds from an origin, the moments they stand for, and draws that any order of events repeats.

No clock is read here, and no random number depends on how many were drawn before.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

MINUTE, HOUR, DAY = 60, 3600, 86400
SECOND = timedelta(seconds=1)
# What is older than the first day (a certificate's beginning) has its place, too: 0 is "none" everywhere
START = 200 * DAY
ORIGIN = datetime(2026, 6, 18, tzinfo=UTC)
# The same in POSIX seconds, for ledgers and CAs
POSIX = int(ORIGIN.timestamp())
FOREVER = 2**32 - 1
_MASK = 2**64 - 1


def moment(at: int) -> datetime:
    """The moment of a second."""
    return datetime.fromtimestamp(POSIX + at, UTC)


def second(at: datetime) -> int:
    """The first second that is not before a moment."""
    return -((ORIGIN - at) // SECOND)


def mix(a: int, b: int = 0, c: int = 0, d: int = 0) -> int:
    """A number from 0 to 2**64 - 1 that these decide (a weighted sum, stirred as splitmix64 does)."""
    found = (a * 0x9E3779B97F4A7C15 + b * 0xD1B54A32D192ED03 + c * 0xABC98388FB8FAC03 + d * 0x8CB92BA72F3D8DD7) & _MASK
    found = ((found ^ (found >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    found = ((found ^ (found >> 27)) * 0x94D049BB133111EB) & _MASK
    return found ^ (found >> 31)


def share(a: int, b: int = 0, c: int = 0, d: int = 0) -> float:
    """The same as a part of one: from 0 up to, not including, 1."""
    return mix(a, b, c, d) / 2**64


class Stretches:
    """Times at which something holds: half-open, in order, none touching another."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, stretches: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(stretches):
            if start >= end:
                continue
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._starts, self._ends, strict=True))

    def end_of(self, at: int) -> int:
        """When the stretch ends that holds at a second; 0 where none does."""
        place = bisect_right(self._starts, at) - 1
        return self._ends[place] if place >= 0 and at < self._ends[place] else 0

    def within(self, start: int, end: int) -> int:
        """For how many seconds of a span it holds."""
        return sum(max(0, min(last, end) - max(first, start)) for first, last in self)

    def longest_gap(self, start: int, end: int) -> int:
        """The longest time within a span in which it does not hold, in seconds."""
        longest, at = 0, start
        for first, last in zip(self._starts, self._ends, strict=True):
            if last <= at:
                continue
            if first >= end:
                break
            longest, at = max(longest, first - at), last
        return max(longest, end - at)
