"""The panel's accounts at fake CAs: each with its ledger, how it fares, and what sites are decided with there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autossl_panel.autossl.facts import PolicyOptions, ProviderFacts
from autossl_panel.autossl.ledger import Kind, Ledger, Limit
from autossl_panel.autossl.policy import Candidate, ProviderHealth, fault, recovered

from .authorities import FakeCa


@dataclass(slots=True)
class Account:
    """`number` is its place among all; `facts.name` the provider's name; `probing` how many orders are to tell
    whether its CA works again.
    """

    number: int
    ca: FakeCa
    facts: ProviderFacts
    ledger: Ledger
    options: PolicyOptions
    health: ProviderHealth = field(default_factory=ProviderHealth)
    probing: int = 0
    free: Candidate = field(init=False)

    def __post_init__(self) -> None:
        self.free = Candidate(self.facts)

    def candidate(self, limited_until: datetime | None, paused: bool = False) -> Candidate:
        """It as a choice, with what a limit means for the site that asks."""
        if limited_until is None and not paused and not self.health.faults and not self.probing:
            return self.free
        return Candidate(self.facts, self.health, self.probing > 0, limited_until, paused)

    def failed(self, now: datetime) -> bool:
        """Its CA failed once more; whether it is left alone from now on."""
        self.health = fault(self.health, now)
        return self.health.down(now)

    def worked(self, now: datetime) -> None:
        """Its CA did its work just now."""
        if self.health.faults:
            self.health = recovered(self.health, now, now)

    def set_clock(self, ahead: int) -> None:
        """By so many seconds is the panel's clock ahead of the CA's."""
        self.options = PolicyOptions(
            self.facts,
            False,
            self.options.key_type,
            self.options.reissue_confirmed,
            timedelta(seconds=-ahead),
        )

    def reissue(self, key_type: str) -> None:
        """The admin has chosen another key type, and confirmed that all are issued anew."""
        self.options = PolicyOptions(self.facts, False, key_type, True, self.options.clock_offset)


def limits_of(published: Sequence[tuple[str, int, int, bool]]) -> list[Limit]:
    """What an account's ledger is told of a CA's limits: kind, number, seconds, whether it comes back bit by bit."""
    return [Limit(Kind(kind), number, seconds, continuous) for kind, number, seconds, continuous in published]
