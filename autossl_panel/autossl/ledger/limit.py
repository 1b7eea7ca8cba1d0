"""What a CA limits, as data: kinds, published figures, and how much of them is used. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# A request is at most this long on its way, and the CA's clock is known to a second: what was let pass at one moment
# counts at the CA until that much later.
LONGEST_WAY = 120.0
SHORTEST_MARGIN = 2.0
# What a CA counts only when it happens (a validation fails, a certificate is issued) comes at most so much later than
# the permit for it: `Ledger.keep` moves what takes longer.
LAG = 600.0
# Entries of a large limit are kept by sixtieths of its window, those of a small one to the moment
GRAINS = 60


class Kind(StrEnum):
    """What is counted, and of whom: an account (A) or a provider with all its accounts (P)."""

    ORDERS = "orders"  # A: new orders
    DOMAIN = "domain"  # P: certificates of a registered domain
    SET = "set"  # P: certificates of exactly these names
    FAILURES = "failures"  # A: failed validations of a name
    CONSECUTIVE = "consecutive"  # A: failures in a row of a name; no window
    REQUESTS = "requests"  # P: requests of every sort
    REGISTRATIONS = "registrations"  # P: new accounts from an address
    ACCOUNT = "account"  # A: nothing is counted; where a refusal without words holds


COUNTED = tuple(kind for kind in Kind if kind is not Kind.ACCOUNT)
# Shared by all accounts of a provider
PROVIDER_WIDE = frozenset({Kind.DOMAIN, Kind.SET, Kind.REQUESTS, Kind.REGISTRATIONS})
# Of an allowance of these a part is left to what may not wait
DIVIDED = frozenset({Kind.ORDERS, Kind.DOMAIN, Kind.SET})
# What is counted of a certificate, not of an order
CERTIFICATES = frozenset({Kind.DOMAIN, Kind.SET})
_LATE = frozenset({Kind.DOMAIN, Kind.SET, Kind.FAILURES})


@dataclass(frozen=True, slots=True)
class Limit:
    """What a CA publishes: `number` of a kind within `seconds`, 0 for failures in a row, which have no window.

    `continuous`: given back bit by bit (a token bucket), else when the window has passed since. `at_order`: of
    certificates, that they are counted when they are ordered, else when they are issued.
    """

    kind: Kind
    number: int
    seconds: int
    continuous: bool = False
    at_order: bool = False

    @property
    def allowed(self) -> int:
        """How many of them are used: at most 80 %, at least 1."""
        return max(1, self.number * 4 // 5)

    def room(self, headroom: float) -> int:
        """How many of them somebody may use who leaves this part to others."""
        return max(1, self.allowed - int(self.allowed * headroom)) if self.kind in DIVIDED else self.allowed

    @property
    def margin(self) -> float:
        """Seconds that an entry counts beyond the window; see LONGEST_WAY.

        Requests are so many and their windows so short that only a quarter of it is added, against a network that is
        now faster, now slower.
        """
        if self.kind is Kind.REQUESTS:
            return self.seconds / 4
        return min(LONGEST_WAY, max(SHORTEST_MARGIN, self.seconds / 60))

    @property
    def span(self) -> float:
        """Seconds that an entry counts from its moment on."""
        return self.seconds + self.margin

    @property
    def lag(self) -> float:
        """Seconds by which the CA may count later than the permit was given."""
        return min(LAG, self.seconds / 6) if self.kind in _LATE else 0.0

    @property
    def grain(self) -> float:
        """Seconds to whose multiples entries are moved forward; 0 where they stay as they are."""
        return self.seconds / GRAINS if self.allowed > GRAINS else 0.0

    def moment(self, at: float) -> float:
        """The moment of the entry for what is permitted at `at`: from then on it counts for `span` seconds."""
        moment = at + self.lag
        grain = self.grain
        return -(-moment // grain) * grain if grain else moment
