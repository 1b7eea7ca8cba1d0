"""Whatever happens to a site over weeks: nothing that failed is ordered, no coverage is lost early, nothing expires.

A little world of one site: its clock, what DNS and two CAs would say, and the moments at which somebody looks. It keeps
the facts as the rows would, and asks the real decisions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.policy import (
    Action,
    Candidate,
    InstalledFacts,
    NameFacts,
    Need,
    Plan,
    PolicyOptions,
    ProviderFacts,
    ProviderHealth,
    Refused,
    SiteFacts,
    choose,
    defer_until,
    fault,
    instead,
    need,
    plan,
    recovered,
    refused_until,
    retry_at,
)
from autossl_panel.names import covers
from tests.autossl.policy_facts import BLOG, DAY, HOUR, MAIN, MINUTE, NOW, WWW, Found

TEXTS = (MAIN, WWW, BLOG)
ASKS = (Action.NEW, Action.RENEW, Action.EXTEND)
OWN, OTHER = ProviderFacts("ca", 100), ProviderFacts("other", 100)


@dataclass(frozen=True)
class Weather:
    """What the world is like for a while."""

    hours: int = 24
    outcomes: Mapping[str, str] = field(default_factory=dict)  # where a name does not pass
    refuses: frozenset[tuple[str, str]] = frozenset()  # (provider, name)
    faulty: frozenset[str] = frozenset()  # providers
    limited: timedelta | None = None  # what its own CA answers to every order
    clock: timedelta = timedelta(0)
    key_type: str = "p256"
    paused: bool = False
    hint: float | None = None  # where in its life the CA would have a certificate renewed
    excluded: frozenset[str] = frozenset()


class World:
    """One site, from its first moment on."""

    def __init__(self, life: timedelta, fraction: float | None, fallback: bool) -> None:
        self.now = NOW
        self.life = life
        self.own = replace(OWN, renew_fraction=fraction)
        self.fallback = fallback
        self.names = {text: NameFacts(text, main=text == MAIN) for text in TEXTS}
        self.attempts: dict[str, int] = {}
        self.refusals: dict[tuple[str, str], int] = {}
        self.health = {"ca": ProviderHealth(), "other": ProviderHealth()}
        self.site = SiteFacts(off=None, names=(), first_seen_at=NOW)
        self.site_attempts = 0
        self.next_at: datetime | None = NOW
        self.daily_at = NOW + DAY
        self.weather = Weather()
        self.loops = 0
        self.orders: list[datetime] = []

    def live(self, weather: Weather) -> None:
        """Let time pass."""
        self.weather = weather
        end = self.now + weather.hours * HOUR
        if self.next_at is None and not weather.paused:
            self.next_at = self.now  # resumed: what was held is due at once
        while True:
            moment = min(self.daily_at, self.next_at or self.daily_at)
            if moment > end:
                break
            assert moment >= self.now
            self.now = moment
            if moment == self.daily_at:
                self.daily_at += DAY
            self._look()
        self.now = end

    def facts(self) -> SiteFacts:
        names = []
        for text in TEXTS:
            ended = text in self.weather.excluded
            names.append(replace(self.names[text], ended=ended, not_wanted="excluded" if ended else None))
        recent = tuple(one for one in self.site.recent_orders if one[0] > self.now - DAY)
        return replace(self.site, names=tuple(names), recent_orders=recent)

    def options(self, provider: ProviderFacts) -> PolicyOptions:
        weather = self.weather
        return PolicyOptions(
            provider, key_type=weather.key_type, reissue_confirmed=True, clock_offset=weather.clock,
            paused=weather.paused,
        )  # fmt: skip

    def candidates(self) -> list[Candidate]:
        both = [self.own, OTHER] if self.fallback else [self.own]
        return [Candidate(one, self.health[one.name]) for one in both]

    # --- one look, as a run and its job take it ---------------------------------------------------------------------

    def _look(self) -> None:
        facts = self.facts()
        own = need(facts, self.options(self.own), self.now)
        assert own.until is None or own.until > self.now
        if abs(self.weather.clock) > 5 * MINUTE or self.weather.paused:
            assert own.action not in (*ASKS, Action.RESUME, Action.INSTALL)
        self.loops += own.reason == "loop"
        current = facts.installed
        urgent = current is None or self.now >= defer_until(current)
        choice = choose(self.candidates(), self.now, installed=current, urgent=urgent)
        assert choice.until is None or choice.until > self.now
        provider = choice.provider
        wanted = own
        if own.action in ASKS and provider is None:
            self._later(choice.until)
            return
        if provider is not None and provider != self.own:
            wanted = need(facts, self.options(provider), self.now)
        elif (another := instead(own, facts, self.own, self.candidates(), self.now)) is not None:
            provider, wanted = another, need(facts, self.options(another), self.now)
        if wanted.action not in ASKS or provider is None:
            self.next_at = wanted.until
            return
        self._prove_and_order(wanted, provider)
        if self.health[provider.name].down(self.now):
            # It failed just now, once too often: who is next?
            again = choose(self.candidates(), self.now, installed=current, urgent=urgent).provider
            if again is not None:
                self.site = replace(self.site, retry_at=None)
                wanted = need(self.facts(), self.options(again), self.now)
                if wanted.action in ASKS:
                    self._prove_and_order(wanted, again)

    def _prove_and_order(self, wanted: Need, provider: ProviderFacts) -> None:
        tried: set[str] = set()
        for _ in range(3):
            found = self._proven(wanted)
            decided = self._decide(wanted, found, provider)
            another = instead(decided, self.facts(), provider, self.candidates(), self.now, tried=tried)
            if another is None:
                break
            tried.add(provider.name)
            again = need(self.facts(), self.options(another), self.now)
            if again.action not in ASKS:
                break
            wanted, provider = again, another
        else:
            decided = self._decide(wanted, found, provider)
        if decided.action != Action.ORDER:
            self._later(decided.until)
            return
        self._order(decided, provider)

    def _decide(self, wanted: Need, found: Mapping[str, Found], provider: ProviderFacts) -> Plan:
        facts = self.facts()
        decided = plan(wanted, found, facts, self.options(provider), self.now)
        assert decided.until is None or decided.until > self.now
        for text in decided.names:
            assert found[text].outcome != "fail"
            assert text not in self.weather.excluded
            assert self.names[text].refused(provider.name, self.now) is None
        current = facts.installed
        guarded = current is not None and not current.unprotected(self.now) and self.now < defer_until(current)
        if decided.action == Action.ORDER and guarded and current is not None:
            kept = {text for text in TEXTS if covers(current.names, text)} - self.weather.excluded
            assert kept <= set(decided.names), "coverage was reduced early"
        return decided

    def _proven(self, wanted: Need) -> dict[str, Found]:
        found = {}
        for text in wanted.names:
            outcome = self.weather.outcomes.get(text, "pass")
            found[text] = Found(outcome, None if outcome == "pass" else "elsewhere")
            name = self.names[text]
            if outcome == "pass":
                self.attempts[text] = 0
                name = replace(name, retry_at=None, first_failed_at=None, last_passed_at=self.now)
            else:
                if outcome == "fail":
                    since = name.first_failed_at or self.now
                    name = replace(name, first_failed_at=since, last_failed_at=self.now)
                if name.retry_at is None or name.retry_at <= self.now:
                    self.attempts[text] = self.attempts.get(text, 0) + 1
                    again = retry_at(self.attempts[text], self.site.installed, self.now, 0.5)
                    name = replace(name, retry_at=again)
            self.names[text] = name
        return found

    def _order(self, decided: Plan, provider: ProviderFacts) -> None:
        weather = self.weather
        if provider.name in weather.faulty:
            self.health[provider.name] = fault(self.health[provider.name], self.now)
            self._later(None)
            return
        if weather.limited is not None and provider.name == "ca":
            until = self.now + weather.limited
            self.site = replace(self.site, held_until=until, held_reason="rate_limited", held_provider=provider.name)
            self.next_at = until
            return
        # A name that does not pass is refused by any CA, whatever we could not see.
        bad = [
            text
            for text in decided.names
            if weather.outcomes.get(text) == "unknown" or (provider.name, text) in weather.refuses
        ]
        self.health[provider.name] = recovered(self.health[provider.name], self.now, self.now)
        if bad:
            for text in bad:
                self._refused(text, provider)
            self._later(None)
            return
        self._issue(decided, provider)

    def _refused(self, text: str, provider: ProviderFacts) -> None:
        times = self.refusals[provider.name, text] = self.refusals.get((provider.name, text), 0) + 1
        old = [one for one in self.names[text].refusals if one.provider == provider.name]
        others = tuple(one for one in self.names[text].refusals if one.provider != provider.name)
        since = old[0].since if old else self.now
        current = self.site.installed
        covering = current if current is not None and covers(current.names, text) else None
        new = Refused(provider.name, since, refused_until(times, self.now, covering=covering))
        self.names[text] = replace(self.names[text], refusals=(*others, new))

    def _issue(self, decided: Plan, provider: ProviderFacts) -> None:
        hint = None if self.weather.hint is None else self.now + self.life * self.weather.hint
        current = InstalledFacts(
            decided.names, self.now, self.now + self.life, ours=True, key_type=self.weather.key_type, renewal_at=hint
        )
        extended = self.now if decided.reason == "coverage" else self.site.last_extend_at
        self.site = replace(
            self.site, installed=current, retry_at=None, held_until=None, held_reason=None, last_extend_at=extended,
            recent_orders=(*self.site.recent_orders, (self.now, decided.reason, decided.names)),
        )  # fmt: skip
        for text in decided.names:
            others = tuple(one for one in self.names[text].refusals if one.provider != provider.name)
            self.names[text] = replace(self.names[text], refusals=others, retry_at=None, first_failed_at=None)
        self.site_attempts = 0
        self.orders.append(self.now)
        again = need(self.facts(), self.options(self.own), self.now)
        self.next_at = again.until if again.action not in ASKS else self.now + MINUTE

    def _later(self, until: datetime | None) -> None:
        """The ladder's next rung, never later than what was said."""
        self.site_attempts += 1
        rung = retry_at(self.site_attempts, self.site.installed, self.now, 0.5)
        moment = rung if until is None else min(until, rung)
        assert moment > self.now
        self.site = replace(self.site, retry_at=moment)
        self.next_at = moment

    @property
    def valid(self) -> bool:
        current = self.site.installed
        return current is not None and current.not_after > self.now


LIVES = [90 * DAY, 45 * DAY, 160 * HOUR, 24 * HOUR, HOUR]
outcomes = st.dictionaries(st.sampled_from(TEXTS), st.sampled_from(["fail", "unknown"]), max_size=3)
both = st.sampled_from(["ca", "other"])
weathers = st.builds(
    Weather,
    hours=st.integers(1, 24 * 12),
    outcomes=st.just({}) | outcomes,
    refuses=st.frozensets(st.tuples(both, st.sampled_from(TEXTS)), max_size=2),
    faulty=st.frozensets(both, max_size=2),
    limited=st.none() | st.none() | st.integers(1, 24 * 8).map(lambda hours: hours * HOUR),
    clock=st.sampled_from([timedelta(0), timedelta(0), timedelta(0), 10 * MINUTE, -400 * DAY]),
    key_type=st.sampled_from(["p256", "rsa2048"]),
    paused=st.sampled_from([False, False, False, True]),
    hint=st.none() | st.floats(0.3, 1.2),
    excluded=st.frozensets(st.sampled_from([WWW, BLOG]), max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(LIVES[:4]),
    st.none() | st.floats(0.1, 0.9),
    st.booleans(),
    st.lists(weathers, max_size=8),
    st.none() | st.floats(0.3, 1.2),
)
def test_after_any_history_a_site_recovers_and_never_expires_again(
    life: timedelta, fraction: float | None, fallback: bool, history: list[Weather], hint: float | None
) -> None:
    world = World(life, fraction, fallback)
    for weather in history:
        world.live(weather)
    # What a CA refused it refuses for a week at most; its limits here end after eight days, the ladder after one.
    world.live(Weather(hours=24 * 10, hint=hint))
    assert world.valid
    assert world.site.installed is not None
    assert set(world.site.installed.names) == set(TEXTS), "a wish was forgotten"
    for _ in range(40):
        world.live(Weather(hours=max(1, int(life / HOUR / 12)), hint=hint))
        assert world.valid
        assert world.site.installed.not_after - world.now >= life / 10, "renewed too late"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LIVES),
    st.none() | st.floats(0.1, 0.9),
    st.none() | st.floats(0.3, 1.2),
    st.lists(st.sampled_from(["p256", "rsa2048"]), min_size=1, max_size=3),
)
def test_the_loop_breaker_blocks_no_renewal_of_any_life(
    life: timedelta, fraction: float | None, hint: float | None, key_types: list[str]
) -> None:
    world = World(life, fraction, fallback=False)
    for _ in range(12):
        for key_type in key_types[:1]:
            world.live(Weather(hours=max(1, int(life / HOUR / 3)), hint=hint, key_type=key_type))
            assert world.valid
    assert world.loops == 0
    assert len(world.orders) >= 3


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(LIVES[:3]), st.frozensets(st.sampled_from(TEXTS), min_size=1, max_size=2), st.booleans())
def test_what_one_ca_refuses_another_takes_before_coverage_is_lost(
    life: timedelta, refused: frozenset[str], fallback: bool
) -> None:
    world = World(life, None, fallback)
    world.live(Weather(hours=1))
    forever = frozenset(("ca", text) for text in refused)
    for _ in range(20):
        world.live(Weather(hours=max(1, int(life / HOUR / 10)), refuses=forever))
        assert world.valid
    assert world.site.installed is not None
    covered = {text for text in TEXTS if covers(world.site.installed.names, text)}
    assert covered == (set(TEXTS) if fallback else set(TEXTS) - refused)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(LIVES[:3]), st.integers(1, 20))
def test_a_ca_that_is_down_for_good_lets_nothing_expire_where_there_is_another(life: timedelta, after: int) -> None:
    world = World(life, None, fallback=True)
    world.live(Weather(hours=after))
    for _ in range(30):
        world.live(Weather(hours=max(1, int(life / HOUR / 10)), faulty=frozenset({"ca"})))
        assert world.valid


@pytest.mark.parametrize("life", LIVES[:3])
def test_a_limit_that_never_ends_lets_nothing_expire_where_there_is_another(life: timedelta) -> None:
    world = World(life, None, fallback=True)
    world.live(Weather(hours=1))
    for _ in range(30):
        world.live(Weather(hours=max(1, int(life / HOUR / 10)), limited=life))
        assert world.valid
