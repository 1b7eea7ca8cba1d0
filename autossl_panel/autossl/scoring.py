"""How well a provider suits this server, out of 100: which facts give how many points. Pure: facts in, points out.

| points | for | all of them where |
|---|---|---|
| 30 | names | every site's names fit into one certificate; each site that would lose some counts twice |
| 20 | limits | all sites of this server could be moved there within a day; none where it takes a month |
| 15 | delivery | the middle of the latest orders took 10 s at most |
| 15 | renewal | it says when to renew (ARI): a mass revocation is survived, renewals are free of its limits |
| 10 | outages | none of the latest orders came to nothing for the CA's own reasons, and it works now |
| 5 | binding | nobody has to fetch a key (EAB) before the registration |
| 5 | wildcards | it issues what this server has, or this server has none |

What is not known gives half. A CA for trials has no score: no browser trusts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

DAY = 86400.0
# Seconds that the middle order may take, and the part of the points for that
TAKES = ((10.0, 1.0), (60.0, 0.8), (600.0, 0.5), (3600.0, 0.25))
# The same for what the CA says of itself
SAYS = {"seconds": 0.8, "minutes": 0.5, "hours": 0.2}
# Days that moving all sites takes: all the points, and none
QUICK, NEVER = 1.0, 30.0
# Of the latest orders so many that came to nothing take all the points
HOPELESS = 0.1
UNKNOWN = 0.5


class Criterion(StrEnum):
    """What is judged."""

    NAMES = "names"
    LIMITS = "limits"
    DELIVERY = "delivery"
    RENEWAL = "renewal"
    OUTAGES = "outages"
    BINDING = "binding"
    WILDCARDS = "wildcards"


POINTS: Mapping[Criterion, int] = {
    Criterion.NAMES: 30,
    Criterion.LIMITS: 20,
    Criterion.DELIVERY: 15,
    Criterion.RENEWAL: 15,
    Criterion.OUTAGES: 10,
    Criterion.BINDING: 5,
    Criterion.WILDCARDS: 5,
}


@dataclass(frozen=True, slots=True)
class Needs:
    """What this server asks of a provider: so many sites, and names with a wildcard."""

    sites: int
    wildcards: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider gives. None is what nobody knows.

    `over`: sites that would lose names, being more than it takes; `private`: those that would lose names because they
    are not public. `orders_a_day`: new orders that its limits allow, inf where it has none.
    `seconds`: the middle of the orders measured here; `says` what it states: seconds, minutes, hours or "".
    `failed` of `placed` orders came to nothing lately; `down`: it fails now. `bound`: registered, or no key is needed.
    """

    over: int
    orders_a_day: float | None = None
    seconds: float | None = None
    says: str = ""
    ari: bool | None = None
    failed: int = 0
    placed: int = 0
    down: bool = False
    bound: bool | None = None
    wildcard: bool | None = None
    private: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Points for one criterion, of so many."""

    criterion: Criterion
    points: int
    of: int
    known: bool


@dataclass(frozen=True, slots=True)
class Score:
    """The points of a provider, part by part."""

    parts: tuple[Part, ...]

    @property
    def points(self) -> int:
        return sum(part.points for part in self.parts)


def score(offer: Offer, needs: Needs) -> Score:
    """The score of an offer for a server with these needs, 0 to 100."""
    shares: Mapping[Criterion, float | None] = {
        Criterion.NAMES: _names(offer, needs),
        Criterion.LIMITS: _limits(offer, needs),
        Criterion.DELIVERY: _delivery(offer),
        Criterion.RENEWAL: _yes(offer.ari),
        Criterion.OUTAGES: _outages(offer),
        Criterion.BINDING: _yes(offer.bound),
        Criterion.WILDCARDS: 1.0 if not needs.wildcards else _yes(offer.wildcard),
    }
    return Score(tuple(_part(criterion, shares[criterion], of) for criterion, of in POINTS.items()))


def _part(criterion: Criterion, share: float | None, of: int) -> Part:
    known = share is not None
    # Rounded down: nobody gets all the points who has not earned all of them.
    return Part(criterion, int(of * (share if share is not None else UNKNOWN) + 1e-9), of, known)


def _yes(fact: bool | None) -> float | None:
    return None if fact is None else float(fact)


def _names(offer: Offer, needs: Needs) -> float:
    # A site may be in both numbers: the larger one is how many there are at least.
    return max(0.0, 1 - 2 * max(offer.over, offer.private) / needs.sites) if needs.sites else 1.0


def days_to_move(offer: Offer, needs: Needs) -> float | None:
    """Days that it takes to have a certificate of this provider for every site; None where its limits are unknown."""
    if offer.orders_a_day is None:
        return None
    return needs.sites / offer.orders_a_day if offer.orders_a_day else float("inf")


def _limits(offer: Offer, needs: Needs) -> float | None:
    days = days_to_move(offer, needs)
    if days is None:
        return None
    return min(1.0, max(0.0, (NEVER - days) / (NEVER - QUICK)))


def _delivery(offer: Offer) -> float | None:
    if offer.seconds is None:
        return SAYS.get(offer.says)
    return next((share for seconds, share in TAKES if offer.seconds <= seconds), 0.0)


def _outages(offer: Offer) -> float | None:
    if offer.down:
        return 0.0
    if not offer.placed:
        return None
    return max(0.0, 1 - offer.failed / offer.placed / HOPELESS)
