"""Which provider a site's certificate would be ordered from now, and why. Reads rows; writes nothing and asks no CA.

    outlook = Outlook(policies, Room(policies.accounts))     # for many sites
    decision = decide(site, outlook, now)                    # need, by the rules of the provider that is asked
    chosen = outlook.choose(site, names, purpose, now)       # once more with the names that passed

The rules are `policy.need`, `choose` and `instead`; here is what they are asked with. A preview asks the same, see
`foresight`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from . import leases, ledger, policy, predecessors, sites, urgency
from .facts import Action, Need, Plan, PolicyOptions, ProviderFacts
from .ledger import OrderKind, Purpose
from .limits import Wait
from .models import Certificate
from .policies import Policies
from .policy import Candidate, Choice
from .policy.providers import ITS_OWN
from .room import HELD, Room
from .sites import Site

ASKS = (Action.NEW, Action.RENEW, Action.EXTEND)
WAITS = (Action.WAIT, Action.HOLD)
NOTHING: Mapping[str, Wait] = {}


@dataclass(frozen=True, slots=True)
class Passed:
    """A provider that was not chosen: the reason's code, until when it holds, and the limit where it is one."""

    provider: str
    code: str
    until: datetime | None = None
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """The choice, and the candidates before it that could not be. `despite`: the CA is asked in spite of its refusal,
    to find out whether that still holds.
    """

    choice: Choice
    passed: tuple[Passed, ...] = ()
    despite: bool = False

    @property
    def provider(self) -> ProviderFacts | None:
        """Who is asked; None where nobody can be."""
        return self.choice.provider

    @property
    def passed_over(self) -> set[str]:
        """The names of those candidates."""
        return {one.provider for one in self.passed}

    @property
    def limit(self) -> Passed | None:
        """The limit that is in the way, where one is."""
        return next((one for one in self.passed if one.wait is not None), None)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done with a site now. `site` has the options of the provider that is asked, and its view of the
    names; `chosen` is None where nothing is to be ordered.
    """

    site: Site
    need: Need
    chosen: Chosen | None = None


class Outlook:
    """How the providers are doing, for many sites. `stopped`: what only the admin ends at an account, by its code.

    `predecessor`: our certificate of a fingerprint, for who has read many of them at once.
    """

    def __init__(
        self,
        policies: Policies,
        room: Room,
        *,
        stopped: Callable[[int], str] = lambda account: "",
        serve_www: bool = True,
        predecessor: Callable[[str], Certificate | None] = predecessors.find,
    ) -> None:
        self.policies = policies
        self.room = room
        self._stopped = stopped
        self._serve_www = serve_www
        self._predecessor = predecessor

    def own(self, site: Site) -> PolicyOptions:
        """The options of the site's own provider, as they are now."""
        return self.policies.of(site.row["user_id"], site.row["user__feature_list_id"])

    def options_of(self, site: Site, provider: ProviderFacts) -> PolicyOptions:
        """The options with this provider for a site."""
        own = self.own(site)
        same = own.provider is not None and own.provider.name == provider.name
        return own if same else self.policies.at(provider.name)

    def seen_by(self, site: Site, options: PolicyOptions, now: datetime) -> Site:
        """The site as these options see it: what one CA calls no public name, a private one may take."""
        before, after = site.options.provider, options.provider
        if before is None or after is None or before.private_ca == after.private_ca:
            return replace(site, options=options)
        only = self.policies.only(options)
        return sites.read_ids([site.row["pk"]], only, now, serve_www=self._serve_www)[site.row["pk"]]

    def choose(
        self,
        site: Site,
        names: Sequence[str],
        purpose: Purpose,
        now: datetime,
        *,
        skip: Collection[str] = (),
        only: str = "",
        known: Mapping[str, Wait] = NOTHING,
    ) -> Chosen:
        """Whom to ask for a certificate for `names`: none of `skip`, where `only` is set nobody else. `known` are the
        limits that have just come out, by provider.
        """
        candidates: list[Candidate] = []
        passed: list[Passed] = []
        for one in self.policies.candidates(self.own(site)):
            if one.provider.name in skip or (only and one.provider.name != only):
                continue
            judged, why = self._judged(one, site, names, purpose, now, known)
            despite = why is not None and why.wait is not None and _probe_is_due(site, why.wait, now)
            if despite and why is not None:
                # Half of what was left is over since: whether the refusal still holds is found out now.
                judged, why = one, None
            candidates.append(judged)
            if why is None:
                # Nobody behind it matters: limits of others need not be looked up.
                choice = policy.choose(
                    candidates, now, installed=site.facts.installed, urgent=urgency.late(site.facts, now)
                )
                return Chosen(choice, tuple(passed), despite and choice.provider == judged.provider)
            passed.append(why)
        choice = policy.choose(candidates, now, installed=site.facts.installed, urgent=urgency.late(site.facts, now))
        return Chosen(choice, tuple(passed))

    def settled(
        self,
        site: Site,
        names: Sequence[str],
        purpose: Purpose,
        now: datetime,
        *,
        before: Collection[str],
        pinned: bool = False,
        known: Mapping[str, Wait] = NOTHING,
    ) -> Chosen:
        """Whom to ask once it is known for which `names`, of a site that was decided with `site.options`: at best the
        provider that these name.

        `before`: those that it was decided with so far, or that were passed over for this one. `pinned`: it is to be
        this one, where it works, though others would come before it.
        """
        here = _name(site.options)
        if pinned:
            chosen = self.choose(site, names, purpose, now, only=here, known=known)
            if chosen.provider is not None:
                return chosen
            # It has no room either: back to the site's own, which is asked as it would have been.
        chosen = self.choose(site, names, purpose, now, known=known)
        back = chosen.provider is not None and chosen.provider.name != here and chosen.provider.name in before
        if back and not pinned:
            # That one would be asked for other names than these, which led here: nobody goes round in a circle.
            return self.choose(site, names, purpose, now, only=here, known=known)
        return chosen

    def instead(
        self,
        decided: Need | Plan,
        site: Site,
        purpose: Purpose,
        now: datetime,
        *,
        tried: Collection[str] = (),
    ) -> ProviderFacts | None:
        """A provider that takes all names where the one of `site.options` costs some; None: leave it so."""
        own, candidates = site.options.provider, self.policies.candidates(self.own(site))
        if own is None or len(candidates) < 2:
            return None
        if policy.instead(decided, site.facts, own, candidates, now, tried=tried) is None:
            # Whatever limits there are: they need not be looked up.
            return None
        names = [name.name for name in site.facts.names if name.wanted]
        judged = [self._judged(one, site, names, purpose, now, NOTHING)[0] for one in candidates]
        return policy.instead(decided, site.facts, own, judged, now, tried=tried)

    def another(self, site: Site, provider: str, now: datetime) -> bool:
        """Whether a further provider than this one is at hand for the site, limits left aside."""
        return any(
            one.provider.name != provider and not self._stop(one) and not one.health.down(now)
            for one in self.policies.candidates(self.own(site))
        )

    def _judged(
        self,
        one: Candidate,
        site: Site,
        names: Sequence[str],
        purpose: Purpose,
        now: datetime,
        known: Mapping[str, Wait],
    ) -> tuple[Candidate, Passed | None]:
        """A candidate with what stands against it now, and that in words; None where nothing does."""
        name, health = one.provider.name, one.health
        stopped = self._stop(one)
        if stopped:
            return replace(one, health=replace(health, stopped=stopped)), Passed(name, stopped)
        if health.down(now):
            return one, Passed(name, "provider_down", health.down_until)
        if health.half_open and leases.held(probe_lease(one.provider.account)):
            return replace(one, probing=True), Passed(name, "provider_probed")
        wait = known.get(name)
        if wait is None:
            wish = self.wish(site, one.provider, names, purpose, now)
            wait = self.room.wait(one.provider, wish, now, user=site.row["user_id"], purpose=purpose)
        if wait is None:
            return one, None
        if wait.until is None:
            return replace(one, paused=True), Passed(name, "ca_paused", None, wait)
        return replace(one, limited_until=wait.until), Passed(name, HELD, wait.until, wait)

    def _stop(self, one: Candidate) -> str:
        return one.health.stopped or self._stopped(one.provider.account)

    def wish(
        self, site: Site, provider: ProviderFacts, names: Sequence[str], purpose: Purpose, now: datetime
    ) -> ledger.Wish:
        """What an order for `names` would ask of a provider's limits."""
        kind = OrderKind.NEW
        installed = site.facts.installed
        if installed is not None and installed.ours and self.room.counts(provider):
            old = self._predecessor(installed.fingerprint)
            replaces = predecessors.replaces(old, names, provider=provider.row, account=provider.account, now=now)
            kind = predecessors.kind(old, names, provider=provider.row, replacing=bool(replaces), now=now)
        return ledger.order(kind, names, purpose=purpose)


def decide(site: Site, outlook: Outlook, now: datetime) -> Decision:
    """What is to be done with a site, and with which provider: its own where that works, else the next that does.

    Also where its own provider alone makes it wait for too long.
    """
    need = policy.need(site.facts, site.options, now)
    if need.action in ASKS:
        chosen = outlook.choose(site, need.names, purpose_of(need, site, now), now)
        provider = chosen.provider
        if provider is None or provider.name == _name(site.options):
            return Decision(site, need, chosen)
        return decided_with(outlook, site, provider, chosen, now)
    return instead_of_waiting(site, need, outlook, now)


def instead_of_waiting(site: Site, need: Need, outlook: Outlook, now: datetime) -> Decision:
    """What is to be done with a site that its own provider makes wait: for too long, another one is asked."""
    if need.action in WAITS and need.reason in ITS_OWN:
        other = outlook.instead(need, site, purpose_of(need, site, now), now)
        if other is not None:
            found = decided_with(outlook, site, other, Chosen(Choice(other, "provider_instead")), now)
            if found.need.action in ASKS:
                return found
    return Decision(site, need)


def decided_with(outlook: Outlook, site: Site, provider: ProviderFacts, chosen: Chosen, now: datetime) -> Decision:
    """What is to be done with a site by the rules of another provider, and with its view of the names."""
    seen = outlook.seen_by(site, outlook.options_of(site, provider), now)
    return Decision(seen, policy.need(seen.facts, seen.options, now), chosen)


def _name(options: PolicyOptions) -> str:
    return options.provider.name if options.provider is not None else ""


def _probe_is_due(site: Site, wait: Wait, now: datetime) -> bool:
    """Whether a CA's refusal that outlasts the certificate is to be tried: the moment for it was set, and has come."""
    return wait.refused and wait.until is not None and urgency.probe_is_due(site.facts, wait.until, wait.asked, now)


def purpose_of(need: Need, site: Site, now: datetime) -> Purpose:
    """What an order would be for: how much of the CA's allowance it leaves to what may not wait."""
    return urgency.purpose_of(need, site.facts, now)


def latest(site: Site, until: datetime, now: datetime) -> datetime:
    """When a site that waits for a limit is looked at again, which may be before its turn."""
    return urgency.latest(site.facts, site.options.provider, until, now)


def probe_lease(account: int) -> str:
    """The name of the right to find out whether a provider works again."""
    return f"probe:{account}"
