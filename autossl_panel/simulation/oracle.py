"""A CA's limits as the CA itself counts them: the judge of the ledger, which shares no line with it. No Django.

Moments are seconds of the CA's true clock. What is counted when follows Let's Encrypt's published words and code:
`orders` when one is placed; certificates (`domain`, `set`) are looked at when an order is placed and counted when its
certificate is issued; `failures` are looked at when an order is placed and counted when a validation fails. An order
that replaces is looked at by none of them, and its certificate is counted all the same. Another order for the names
of an earlier certificate is looked at by neither `orders` nor `domain`. `Counted.ORDERED` is a CA that counts
certificates at once.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import count
from typing import Protocol

from autossl_panel.names import registered_domain

# How far back an earlier certificate of the same names makes an order a renewal
LOOKS_BACK = 120 * 86400.0


class Meter(Protocol):
    """How a CA counts one thing of one subject."""

    def has_room(self, now: float) -> bool: ...
    def count(self, now: float) -> None: ...
    def forgot(self, now: float) -> bool: ...  # nothing counts any more: as good as new


class Sliding:
    """At most `number` within any `seconds`."""

    __slots__ = ("_number", "_seconds", "_seen")

    def __init__(self, number: int, seconds: float) -> None:
        self._number, self._seconds = number, seconds
        self._seen: list[float] = []

    def has_room(self, now: float) -> bool:
        seen, edge = self._seen, now - self._seconds
        if seen and seen[0] <= edge:
            del seen[: bisect_right(seen, edge)]
        return len(seen) < self._number

    def count(self, now: float) -> None:
        self._seen.append(now)

    def forgot(self, now: float) -> bool:
        return not self._seen or self._seen[-1] <= now - self._seconds


class Gcra:
    """A bucket of `number` that is refilled steadily within `seconds` (the generic cell rate algorithm)."""

    __slots__ = ("_arrival", "_interval", "_seconds")

    def __init__(self, number: int, seconds: float) -> None:
        self._interval, self._seconds = seconds / number, seconds
        self._arrival = 0.0  # when the bucket will be full again

    def has_room(self, now: float) -> bool:
        # Half a thousandth of a drop: sums of floats are not exact, and no CA counts so finely.
        return max(self._arrival, now) + self._interval * 0.9995 <= now + self._seconds

    def count(self, now: float) -> None:
        # What is counted afterwards takes what there is, and no more.
        if self.has_room(now):
            self._arrival = max(self._arrival, now) + self._interval

    def forgot(self, now: float) -> bool:
        return self._arrival <= now


class Strictest:
    """Both at once: no window of that length holds more, and no bucket of that size runs dry."""

    __slots__ = ("_bucket", "_window")

    def __init__(self, number: int, seconds: float) -> None:
        self._window, self._bucket = Sliding(number, seconds), Gcra(number, seconds)

    def has_room(self, now: float) -> bool:
        return self._window.has_room(now) and self._bucket.has_room(now)

    def count(self, now: float) -> None:
        self._window.count(now)
        self._bucket.count(now)

    def forgot(self, now: float) -> bool:
        return self._window.forgot(now) and self._bucket.forgot(now)


class Fixed:
    """At most `number` in each stretch of `seconds` by the calendar."""

    __slots__ = ("_number", "_seconds", "_seen")

    def __init__(self, number: int, seconds: float) -> None:
        self._number, self._seconds = number, seconds
        self._seen = (0, 0)

    def has_room(self, now: float) -> bool:
        stretch, seen = self._seen
        return stretch != now // self._seconds or seen < self._number

    def count(self, now: float) -> None:
        stretch, seen = self._seen
        this = int(now // self._seconds)
        self._seen = (this, seen + 1 if stretch == this else 1)

    def forgot(self, now: float) -> bool:
        return not self._seen[1] or self._seen[0] != now // self._seconds


class Counted(StrEnum):
    """When a certificate counts."""

    ISSUED = "issued"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A 429: what there was too much of, and of whom."""

    kind: str
    subject: str
    at: float


@dataclass(slots=True)
class Placed:
    """An order that the CA has taken."""

    number: int
    account: str
    names: frozenset[str]
    whole: bytes  # stands for exactly these names
    renewal: bool
    issued: bool = False


@dataclass(slots=True)
class Authority:
    """Enforces `published`, {kind: (number, seconds)}. Each method is one request of one moment; a Refusal is a 429."""

    published: Mapping[str, tuple[int, float]]
    meter: Callable[[int, float], Meter] = Sliding
    counted: Counted = Counted.ISSUED
    domain_of: Callable[[str], str] = registered_domain
    refusals: list[Refusal] = field(default_factory=list)
    _meters: dict[tuple[str, str | bytes], Meter] = field(default_factory=dict)
    _in_a_row: Counter[tuple[str, str]] = field(default_factory=Counter)
    _certified: dict[bytes, float] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=lambda: count(1))

    def new_order(
        self, account: str, names: Collection[str], now: float, *, replaces: bool = False
    ) -> Placed | Refusal:
        """Take an order. `replaces`: it names a certificate of the account, in its window, not yet replaced."""
        wanted, whole = frozenset(names), _whole(names)
        if (paused := self._paused(account, wanted)) is not None:
            return self._refuse("consecutive", paused, now)
        renewal = now - self._certified.get(whole, -LOOKS_BACK) < LOOKS_BACK
        looked_at = [] if replaces else self._looked_at(account, wanted, whole, renewal)
        for kind, subject in looked_at:
            if not self._has_room(kind, subject, now):
                return self._refuse(kind, subject if isinstance(subject, str) else " ".join(sorted(wanted)), now)
        if not replaces and not renewal:
            self._count("orders", account, now)
        placed = Placed(next(self._numbers), account, wanted, whole, renewal)
        if self.counted is Counted.ORDERED:
            self._count_certificate(placed, now)
        return placed

    def issue(self, order: Placed, now: float) -> None:
        """Its certificate is signed."""
        if not order.issued:
            order.issued = True
            if self.counted is Counted.ISSUED:
                self._count_certificate(order, now)
            self._certified[order.whole] = now

    def fail(self, order: Placed, name: str, now: float) -> None:
        """A validation of the order's came out badly."""
        self._count("failures", f"{order.account} {name}", now)
        self._in_a_row[order.account, name] += 1

    def prove(self, order: Placed, name: str) -> None:
        """A validation of the order's came out well."""
        self._in_a_row.pop((order.account, name), None)

    def mend(self, account: str, name: str) -> None:
        """A person has lifted a pause."""
        self._in_a_row.pop((account, name), None)

    def remember(self, names: Collection[str], at: float) -> None:
        """It certified these names before the first request that is played."""
        self._certified[_whole(names)] = at

    def prune(self, now: float) -> None:
        """Drop what no longer counts: the same answers, of less memory."""
        for key in [key for key, meter in self._meters.items() if meter.forgot(now)]:
            del self._meters[key]
        for whole in [whole for whole, at in self._certified.items() if now - at >= LOOKS_BACK]:
            del self._certified[whole]

    def register(self, now: float, address: str = "") -> Refusal | None:
        """A new account."""
        return self._ask_and_count("registrations", address, now)

    def request(self, now: float, address: str = "") -> Refusal | None:
        """Any request at all."""
        return self._ask_and_count("requests", address, now)

    # --- counting ----------------------------------------------------------------------------------------------------

    def _looked_at(
        self, account: str, names: frozenset[str], whole: bytes, renewal: bool
    ) -> list[tuple[str, str | bytes]]:
        found: list[tuple[str, str | bytes]] = [("set", whole)]
        found += [("failures", f"{account} {name}") for name in sorted(names)]
        if not renewal:
            found.append(("orders", account))
            found += [("domain", domain) for domain in sorted(set(map(self.domain_of, names)))]
        return found

    def _count_certificate(self, order: Placed, now: float) -> None:
        # Whether the names are known is looked up anew: two first orders for the same names are one and a renewal.
        if order.whole not in self._certified:
            for domain in {self.domain_of(name) for name in order.names}:
                self._count("domain", domain, now)
        self._count("set", order.whole, now)

    def _paused(self, account: str, names: frozenset[str]) -> str | None:
        most = self.published.get("consecutive")
        if most is None:
            return None
        return next((name for name in sorted(names) if self._in_a_row[account, name] >= most[0]), None)

    def _ask_and_count(self, kind: str, subject: str, now: float) -> Refusal | None:
        if not self._has_room(kind, subject, now):
            return self._refuse(kind, subject, now)
        self._count(kind, subject, now)
        return None

    def _meter(self, kind: str, subject: str | bytes) -> Meter | None:
        found = self._meters.get((kind, subject))
        if found is None and kind in self.published:
            found = self._meters[kind, subject] = self.meter(*self.published[kind])
        return found

    def _has_room(self, kind: str, subject: str | bytes, now: float) -> bool:
        meter = self._meter(kind, subject)
        return meter is None or meter.has_room(now)

    def _count(self, kind: str, subject: str | bytes, now: float) -> None:
        meter = self._meter(kind, subject)
        if meter is not None:
            meter.count(now)

    def _refuse(self, kind: str, subject: str, now: float) -> Refusal:
        refusal = Refusal(kind, subject, now)
        self.refusals.append(refusal)
        return refusal


def _whole(names: Collection[str]) -> bytes:
    return hashlib.blake2b(" ".join(sorted(set(names))).encode(), digest_size=16).digest()
