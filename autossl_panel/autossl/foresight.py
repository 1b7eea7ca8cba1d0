"""What a run would do with a site now, told without doing it: no row is written, and nobody is asked.

    room = Forecast(policies.accounts)                       # for one preview, however many sites it has
    outlook = Outlook(policies, room)
    for site in …:                                           # in the order in which a run would take their jobs
        found = foresee(site, outlook, now)
        assume(found, outlook, room, now)                    # the next site finds the limits as this one leaves them

Names count as a run found them last, and those that it never asked for as proven: what DCV will say is not foreseen.
"""

from dataclasses import dataclass
from datetime import datetime

from . import choosing, policy
from .choosing import ASKS, Chosen, Decision, Outlook, Passed
from .facts import Action, Need, Plan, ProviderFacts
from .models import Outcome
from .policy import Choice
from .room import Forecast
from .sites import Failing, Site

PROVEN = Failing("", Outcome.PASS, {})


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One site: what it needs, what its order would be (None where none is asked for), and who would be asked."""

    site: Site
    need: Need
    plan: Plan | None = None
    chosen: Chosen | None = None

    @property
    def orders(self) -> bool:
        """Whether an order would be placed now."""
        return self.plan is not None and self.plan.action == Action.ORDER and self.provider is not None

    @property
    def action(self) -> Action:
        """What would be done: `order`, `wait`, `defer`, `keep`, …"""
        if self.plan is None or self.plan.action != Action.ORDER:
            return self.need.action if self.plan is None else self.plan.action
        return Action.ORDER if self.orders else Action.WAIT

    @property
    def reason(self) -> str:
        """Why: a reason's code."""
        if self.plan is None:
            return self.need.reason
        waits = self.plan.action == Action.ORDER and self.chosen is not None and self.provider is None
        return self.chosen.choice.reason if waits and self.chosen is not None else self.plan.reason

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the order, now or when its turn comes."""
        return self.plan.names if self.plan is not None else ()

    @property
    def provider(self) -> ProviderFacts | None:
        """Who would be asked now."""
        return self.chosen.provider if self.chosen is not None else None

    @property
    def limit(self) -> Passed | None:
        """The first limit in the way, at which provider and until when, also where another provider is asked."""
        return self.chosen.limit if self.chosen is not None else None

    @property
    def until(self) -> datetime | None:
        """Until when it waits, where it does; None where it need not, or where a person has to act."""
        if self.plan is None:
            return self.need.until
        return self.chosen.choice.until if self.chosen is not None else self.plan.until


def foresee(site: Site, outlook: Outlook, now: datetime, *, reductions_suspended: bool = False) -> Foreseen:
    """What a run would do with `site`, whose options are those of its own provider. `reductions_suspended`: as
    `trouble` has it of the server.
    """
    decision = choosing.decide(site, outlook, now)
    pinned = False
    tried: set[str] = set()
    passed = decision.chosen.passed_over if decision.chosen is not None else set()
    while decision.need.action in ASKS:
        name, seen = _name(decision), decision.site
        given = decision.need, _findings(decision), seen.facts, seen.options, now
        plan = policy.plan(*given, reductions_suspended=reductions_suspended)
        tried.add(name)
        purpose = choosing.purpose_of(decision.need, seen, now)
        other = outlook.instead(plan, seen, purpose, now, tried=tried)
        if other is not None:
            pinned, chosen = True, Chosen(Choice(other, "provider_instead"))
        elif plan.action != Action.ORDER:
            return Foreseen(seen, decision.need, plan)
        else:
            chosen = outlook.settled(seen, plan.names, purpose, now, before=tried | passed, pinned=pinned)
            if chosen.provider is None or chosen.provider.name == name:
                why = decision.chosen if pinned and chosen.provider is not None else None
                return Foreseen(seen, decision.need, plan, why or chosen)
            pinned = False
        assert chosen.provider is not None
        decision = choosing.decided_with(outlook, seen, chosen.provider, chosen, now)
    return Foreseen(decision.site, decision.need)


def assume(found: Foreseen, outlook: Outlook, room: Forecast, now: datetime) -> None:
    """That a run did so: what the order uses up is gone for the next site, and who waits for a limit keeps its turn."""
    if found.plan is None:
        return
    if found.orders and found.provider is not None:
        purpose = choosing.purpose_of(found.need, found.site, now)
        room.place(found.provider, outlook.wish(found.site, found.provider, found.names, purpose, now), now)
    elif found.limit is not None and found.limit.wait is not None and found.until == found.limit.until:
        asked = outlook.policies.at(found.limit.provider).provider
        if asked is not None:
            room.promise(asked, found.limit.wait, now, user=found.site.row["user_id"])


def _findings(decision: Decision) -> dict[str, Failing]:
    return {name: decision.site.failing.get(name, PROVEN) for name in decision.need.names}


def _name(decision: Decision) -> str:
    provider = decision.site.options.provider
    return provider.name if provider is not None else ""
