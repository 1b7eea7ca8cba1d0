"""Which provider a site's certificate is ordered from: its own choice first, then the fallbacks in their order.

Only the CA's side moves a site on: faults, limits that outlast its certificate, and names that one CA will not take
where another would. What is wrong with a name is wrong at every CA. Rules §3, §5 and §6.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autossl_panel.autossl.facts import DAY, Action, InstalledFacts, NameFacts, Need, Plan, ProviderFacts, SiteFacts
from autossl_panel.autossl.policy.times import HOUR, MINUTE, defer_until
from autossl_panel.names import is_wildcard

# So many faults in a row take a provider out, for so long: doubled with each probe that fails, up to the longest
FAULTS = 3
PAUSE, LONGEST = 2 * MINUTE, HOUR
# An order that is not through after this goes to the next provider; without another one it stays open for longer
STUCK, STUCK_ALONE = HOUR, DAY
# What is one provider's alone, of a name, of how many it takes, or of when: another may do otherwise
ITS_OWN = frozenset(
    {
        "caa", "ca_refused", "over_limit", "wildcard_unsupported", "rate_limited", "ca_paused", "ca_server",
        "ca_unreachable", "providers_down",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """How an account fares: CA-side faults in a row, and until when it is left alone because of them.

    `stopped` names the trouble that only the admin ends: `ca_account`, `ca_terms`, `ca_eab`.
    """

    faults: int = 0
    down_since: datetime | None = None
    down_until: datetime | None = None
    stopped: str = ""

    def down(self, now: datetime) -> bool:
        """Whether it is left alone at `now`."""
        return self.down_until is not None and self.down_until > now

    @property
    def half_open(self) -> bool:
        """Whether it has yet to show that it works again: one order at a time."""
        return self.faults >= FAULTS


@dataclass(frozen=True, slots=True)
class Candidate:
    """A provider that a site may be ordered from, and what stands against it now.

    `probing`: an order is under way there whose end tells whether it works again. `limited_until` and `paused` are
    what a limit of its CA, or the CA's pause for one of the names, means for this site.
    """

    provider: ProviderFacts
    health: ProviderHealth = ProviderHealth()
    probing: bool = False
    limited_until: datetime | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """The provider to order from, and why; without one, the reason to wait and until when (None: a person acts)."""

    provider: ProviderFacts | None
    reason: str
    until: datetime | None = None


def choose(
    candidates: Sequence[Candidate], now: datetime, *, installed: InstalledFacts | None = None, urgent: bool = False
) -> Choice:
    """The first candidate that works. `until` is after `now` wherever it is set.

    Back to the first as soon as its pause is over: one order at a time finds out. A limit is waited for unless it
    outlasts the certificate. A provider that waits for the admin (account, terms) is not passed over, unless the site
    is `urgent`: then a certificate matters more than whose it is.
    """
    waits: list[Choice] = []
    for place, candidate in enumerate(candidates):
        health = candidate.health
        if health.stopped:
            if place == 0 and not urgent:
                return Choice(None, health.stopped)
            continue
        if health.down_until is not None and health.down(now):
            waits.append(Choice(None, "providers_down", health.down_until))
        elif health.half_open and candidate.probing:
            waits.append(Choice(None, "providers_down", now + PAUSE))
        elif candidate.paused or _limited(candidate, now):
            if not _outlasts(candidate, installed, now):
                waits.append(Choice(None, "rate_limited", candidate.limited_until))
                break
            waits.append(_ask_again(candidate, installed, now))
        elif health.half_open:
            return Choice(candidate.provider, "provider_probe")
        else:
            return Choice(candidate.provider, "provider_own" if place == 0 else "provider_fallback")
    if not waits:
        return Choice(None, candidates[0].health.stopped if candidates else "no_provider")
    return min(waits, key=lambda choice: choice.until or datetime.max.replace(tzinfo=now.tzinfo))


def _limited(candidate: Candidate, now: datetime) -> bool:
    return candidate.limited_until is not None and candidate.limited_until > now


def _outlasts(candidate: Candidate, installed: InstalledFacts | None, now: datetime) -> bool:
    return candidate.paused or (
        candidate.limited_until is not None and outlasts(candidate.limited_until, installed, now)
    )


def outlasts(until: datetime, installed: InstalledFacts | None, now: datetime) -> bool:
    """Whether a limit until then lasts longer than the certificate; an hour, where there is none worth keeping."""
    if installed is None or installed.unprotected(now):
        return until - now > HOUR
    return until >= installed.not_after


def _ask_again(candidate: Candidate, installed: InstalledFacts | None, now: datetime) -> Choice:
    if candidate.paused or candidate.limited_until is None:
        return Choice(None, "ca_paused")
    return Choice(None, "rate_limited", probe_at(candidate.limited_until, installed, now))


def probe_at(until: datetime, installed: InstalledFacts | None, now: datetime) -> datetime:
    """When to ask in spite of a limit until then, where no other provider is left: at half the certificate's life.

    At least an hour from now, never after the limit ends. Never for a name that the CA has paused: that is no limit.
    Where there is nothing to lose any more, or the limit ends before the certificate, it is waited for.
    """
    if installed is None or installed.unprotected(now) or until < installed.not_after:
        return until
    return min(until, now + max(HOUR, (installed.not_after - now) / 2))


def fault(health: ProviderHealth, now: datetime) -> ProviderHealth:
    """The CA failed once more: from the third time in a row it is left alone, longer with each probe that fails.

    Whoever met the fault chooses anew at once: a probe that fails must not cost the site its turn at the next provider.
    Orders that began before the pause and fail in it say nothing new.
    """
    if health.down(now):
        return health
    faults = health.faults + 1
    since = health.down_since
    if faults < FAULTS:
        return replace(health, faults=faults)
    pause = min(LONGEST, PAUSE * 2 ** min(faults - FAULTS, 10))
    return replace(health, faults=faults, down_since=since or now, down_until=now + pause)


def recovered(health: ProviderHealth, at: datetime, now: datetime) -> ProviderHealth:
    """The CA did its work `at` that moment: its faults are forgotten.

    Work from before the pause, which a slow worker tells of in it, says nothing new either. A pause that began in the
    future was set by a wrong clock: any work ends it.
    """
    if health.down_since is not None and at <= health.down_since <= now:
        return health
    return ProviderHealth(stopped=health.stopped)


def stuck_at(since: datetime, *, another: bool) -> datetime:
    """When an order that the CA has had since then is given up; `another`: a further provider is at hand."""
    return since + (STUCK if another else STUCK_ALONE)


def instead(
    decided: Need | Plan,
    site: SiteFacts,
    own: ProviderFacts,
    candidates: Sequence[Candidate],
    now: datetime,
    *,
    tried: Collection[str] = (),
) -> ProviderFacts | None:
    """The candidate to ask next where `decided` (for provider `own`) costs coverage, or leaves a site that can wait
    no longer without an order, for reasons of that provider alone: one that takes all the names. None: leave it so.

    What comes of it is for `need` and `plan` to say with that provider's options; `tried` have been asked.
    """
    names = _names_wanted(decided, site, own, now)
    if not names:
        return None
    for candidate in candidates:
        name = candidate.provider.name
        if name != own.name and name not in tried and _takes(candidate, names, now):
            return candidate.provider
    return None


def _names_wanted(decided: Need | Plan, site: SiteFacts, own: ProviderFacts, now: datetime) -> list[NameFacts]:
    """The names that another provider would have to take; empty where another provider would be no help."""
    if isinstance(decided, Need):
        waits = decided.action in (Action.WAIT, Action.HOLD) and decided.reason in ITS_OWN
        if not waits or not _too_late(site, decided.until, now):
            return []
        return [name for name in site.names if name.wanted]
    codes = dict(decided.left_out)
    waits_too_long = decided.action == Action.DEFER and _too_late(site, decided.until, now)
    if decided.action == Action.ORDER or waits_too_long:
        suffer = decided.dropped
    elif decided.action == Action.FAIL and _too_late(site, None, now):
        suffer = tuple(codes)
    else:
        return []
    if not any(codes.get(name) in ITS_OWN for name in suffer):
        return []
    return [name for name in site.names if not name.ended and (name.name not in codes or codes[name.name] in ITS_OWN)]


def _too_late(site: SiteFacts, until: datetime | None, now: datetime) -> bool:
    """Whether waiting until then (without: from now on, for nobody knows how long) costs more than another CA would."""
    installed = site.installed
    if installed is None or installed.unprotected(now):
        return until is None or until - now > HOUR
    latest = defer_until(installed)
    return now >= latest or (until is not None and until > latest)


def _takes(candidate: Candidate, names: Sequence[NameFacts], now: datetime) -> bool:
    health, provider = candidate.health, candidate.provider
    if health.stopped or health.down(now) or (health.half_open and candidate.probing):
        return False
    if candidate.paused or _limited(candidate, now) or len(names) > provider.max_names:
        return False
    return all(
        provider.name not in name.barred
        and name.refused(provider.name, now) is None
        and (provider.wildcard or not is_wildcard(name.name))
        for name in names
    )
