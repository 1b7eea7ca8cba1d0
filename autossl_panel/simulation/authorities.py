"""Fake CAs: limits kept by the oracle, outages, slow days, renewal information with its changes, revocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from .estate import registered
from .oracle import Authority, Strictest
from .times import DAY, HOUR, Stretches, mix, share

# Where in a certificate's life the window lies that a CA suggests (RFC 9773), as Let's Encrypt has it
WINDOW = (2 / 3 - 0.01, 2 / 3 + 0.01)
# A CA that has to revoke does it within five days (CA/Browser Forum Baseline Requirements §4.9.1.1)
REVOKED_AFTER = 5 * DAY


@dataclass(frozen=True, slots=True)
class Move:
    """At `at` the windows of a part of all certificates then alive are moved by `by` seconds, or (`hurry`) to now:
    what is not replaced then is revoked five days later.
    """

    at: int
    part: float
    by: int = 0
    hurry: bool = False

    def of(self, serial: int, not_before: int) -> bool:
        """Whether it is about this certificate."""
        return not_before < self.at and share(serial, self.at) < self.part


class Trouble(Enum):
    """How a CA is down."""

    DARK = "dark"  # no connection: nothing is sent
    TOLD = "told"  # HTTP 503 with a Retry-After, to everything
    BROKEN = "broken"  # newOrder alone is answered with an error
    MUTE = "mute"  # newOrder alone is never answered: nobody knows what became of it


_TROUBLES = tuple(Trouble)


@dataclass(slots=True)
class FakeCa:
    """One CA. `lifetime` and all moments are seconds."""

    name: str
    published: Mapping[str, tuple[int, float]]
    lifetime: int
    ari: bool
    outages: Stretches = field(default_factory=Stretches)
    slow: Stretches = field(default_factory=Stretches)
    moves: list[Move] = field(default_factory=list)
    oracle: Authority = field(init=False)

    def __post_init__(self) -> None:
        self.oracle = Authority(self.published, meter=Strictest, domain_of=registered)

    def trouble(self, at: int) -> Trouble | None:
        """How it is down; None where it works."""
        end = self.outages.end_of(at)
        return _TROUBLES[mix(end) % len(_TROUBLES)] if end else None

    def takes(self, salt: int, at: int, seconds: float) -> int:
        """How long it takes for an order, in seconds: about `seconds`; on a slow day minutes to hours."""
        draw = share(salt, at, 3)
        if self.slow.end_of(at):
            return int(10 * 60 + draw * draw * 3 * HOUR)
        return max(1, round(seconds * (0.5 + draw)))

    def window(self, serial: int, not_before: int, not_after: int, at: int) -> tuple[int, int]:
        """What its renewal information says of a certificate at a moment."""
        life = not_after - not_before
        start, end = not_before + int(life * WINDOW[0]), not_before + int(life * WINDOW[1])
        for move in self.moves:
            if move.at <= at and move.of(serial, not_before):
                if move.hurry:
                    return move.at, move.at + DAY
                start, end = start + move.by, end + move.by
        return start, end

    def revoked_at(self, serial: int, not_before: int) -> int:
        """When it revokes a certificate that is not replaced by then; 0 for never."""
        for move in self.moves:
            if move.hurry and move.of(serial, not_before):
                return move.at + REVOKED_AFTER
        return 0


def serial(host: int, not_before: int) -> int:
    """What tells a host's certificates apart."""
    return mix(host, not_before)
