"""Which provider a site is ordered from: faults, limits, and what one CA will not take (rules §3, §5, §6)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.policy import (
    Action,
    Candidate,
    InstalledFacts,
    NameFacts,
    Need,
    Plan,
    ProviderFacts,
    ProviderHealth,
    SiteFacts,
    choose,
    fault,
    instead,
    outlasts,
    probe_at,
    recovered,
    stuck_at,
)
from tests.autossl.policy_facts import BLOG, DAY, HOUR, MAIN, MINUTE, NOW, WWW, installed, name, names, refused, site

OWN, OTHER, THIRD = (ProviderFacts(text, 100) for text in ("ca", "other", "third"))
FINE = Candidate(OWN)
DOWN = ProviderHealth(faults=3, down_since=NOW - HOUR, down_until=NOW + MINUTE)
OVER = ProviderHealth(faults=3, down_since=NOW - HOUR, down_until=NOW)
LATE = installed(age=88 * DAY)  # expires in two days; defer_until was yesterday
SOON = installed(age=80 * DAY)  # expires in ten days; defer_until is in seven


def other(**facts: object) -> Candidate:
    return Candidate(OTHER, **facts)  # type: ignore[arg-type]


CHOICES: list[tuple[str, list[Candidate], InstalledFacts | None, bool, str | None, str, datetime | None]] = [
    ("own", [FINE, other()], SOON, False, "ca", "provider_own", None),
    ("two-faults-are-none", [Candidate(OWN, ProviderHealth(2)), other()], SOON, False, "ca", "provider_own", None),
    ("down", [Candidate(OWN, DOWN), other()], SOON, False, "other", "provider_fallback", None),
    ("down-alone", [Candidate(OWN, DOWN)], SOON, False, None, "providers_down", NOW + MINUTE),
    ("both-down", [Candidate(OWN, DOWN), other(health=replace(DOWN, down_until=NOW + HOUR))], SOON, False, None,
     "providers_down", NOW + MINUTE),
    ("pause-over", [Candidate(OWN, OVER), other()], SOON, False, "ca", "provider_probe", None),
    ("one-probe-at-a-time", [Candidate(OWN, OVER, probing=True), other()], SOON, False, "other", "provider_fallback",
     None),
    ("probe-alone", [Candidate(OWN, OVER, probing=True)], SOON, False, None, "providers_down", NOW + 2 * MINUTE),
    ("limit-is-waited-for", [Candidate(OWN, limited_until=NOW + DAY), other()], SOON, False, None, "rate_limited",
     NOW + DAY),
    ("limit-is-over", [Candidate(OWN, limited_until=NOW), other()], SOON, False, "ca", "provider_own", None),
    ("limit-outlasts", [Candidate(OWN, limited_until=NOW + 11 * DAY), other()], SOON, False, "other",
     "provider_fallback", None),
    ("limit-outlasts-alone", [Candidate(OWN, limited_until=NOW + 11 * DAY)], SOON, False, None, "rate_limited",
     NOW + 5 * DAY),
    ("limit-for-a-first-certificate", [Candidate(OWN, limited_until=NOW + 2 * HOUR), other()], None, False, "other",
     "provider_fallback", None),
    ("short-limit-for-a-first-certificate", [Candidate(OWN, limited_until=NOW + MINUTE), other()], None, False, None,
     "rate_limited", NOW + MINUTE),
    ("limit-at-the-fallback-too", [Candidate(OWN, DOWN), other(limited_until=NOW + DAY)], SOON, False, None,
     "providers_down", NOW + MINUTE),
    ("name-paused", [Candidate(OWN, paused=True), other()], SOON, False, "other", "provider_fallback", None),
    ("name-paused-alone-is-never-probed", [Candidate(OWN, paused=True)], LATE, True, None, "ca_paused", None),
    ("terms-stop", [Candidate(OWN, ProviderHealth(stopped="ca_terms")), other()], SOON, False, None, "ca_terms", None),
    ("terms-do-not-let-a-site-expire", [Candidate(OWN, ProviderHealth(stopped="ca_terms")), other()], LATE, True,
     "other", "provider_fallback", None),
    ("terms-alone", [Candidate(OWN, ProviderHealth(stopped="ca_terms"))], LATE, True, None, "ca_terms", None),
    ("a-stopped-fallback-is-passed-over",
     [Candidate(OWN, DOWN), other(health=ProviderHealth(stopped="ca_account")), Candidate(THIRD)], SOON, False,
     "third", "provider_fallback", None),
    ("nobody", [], SOON, False, None, "no_provider", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("candidates", "current", "urgent", "chosen", "reason", "until"),
    [row[1:] for row in CHOICES],
    ids=[row[0] for row in CHOICES],
)
def test_choice(
    candidates: list[Candidate],
    current: InstalledFacts | None,
    urgent: bool,
    chosen: str | None,
    reason: str,
    until: datetime | None,
) -> None:
    found = choose(candidates, NOW, installed=current, urgent=urgent)
    assert (found.provider.name if found.provider else None, found.reason, found.until) == (chosen, reason, until)


def test_pauses_grow_with_each_probe_that_fails_and_end_with_the_first_success() -> None:
    health, now, pauses = ProviderHealth(), NOW, []
    for _ in range(10):
        health = fault(health, now)
        pauses.append(health.down_until - now if health.down_until else None)
        now = health.down_until or now
    minutes = [2, 4, 8, 16, 32, 60, 60, 60]
    assert pauses == [None, None, *(timedelta(minutes=number) for number in minutes)]
    assert health.down_since == NOW
    assert recovered(health, now, now) == ProviderHealth()
    assert recovered(replace(health, stopped="ca_terms"), now, now) == ProviderHealth(stopped="ca_terms")


def test_orders_that_began_before_the_pause_and_fail_in_it_say_nothing_new() -> None:
    assert fault(DOWN, NOW) is DOWN
    again = fault(DOWN, NOW + MINUTE)
    assert (again.faults, again.down_until) == (4, NOW + 5 * MINUTE)


def test_work_from_before_the_pause_ends_it_as_little_unless_a_wrong_clock_began_it() -> None:
    assert recovered(DOWN, NOW - HOUR, NOW) is DOWN
    assert recovered(DOWN, NOW - HOUR + MINUTE, NOW) == ProviderHealth()
    ahead = replace(DOWN, down_since=NOW + 400 * DAY, down_until=NOW + 401 * DAY)
    assert recovered(ahead, NOW, NOW) == ProviderHealth()


@pytest.mark.parametrize(
    ("until", "current", "expected"),
    [
        (NOW + 10 * DAY, SOON, True),
        (NOW + 10 * DAY - MINUTE, SOON, False),
        (NOW + 2 * HOUR, None, True),
        (NOW + HOUR, None, False),
        (NOW + 2 * HOUR, installed(age=99 * DAY), True),
        (NOW + 2 * HOUR, installed(self_signed=True), True),
        (NOW + 2 * HOUR, installed(revoked=True), True),
    ],
)
def test_outlasts(until: datetime, current: InstalledFacts | None, expected: bool) -> None:
    assert outlasts(until, current, NOW) is expected


@pytest.mark.parametrize(
    ("until", "current", "probe"),
    [
        (NOW + 20 * DAY, SOON, NOW + 5 * DAY),
        (NOW + 5 * DAY, SOON, NOW + 5 * DAY),
        (NOW + 3 * HOUR, installed(age=90 * DAY - HOUR), NOW + HOUR),
        (NOW + 50 * MINUTE, installed(age=90 * DAY - 40 * MINUTE), NOW + 50 * MINUTE),
        (NOW + 20 * DAY, None, NOW + 20 * DAY),
        (NOW + 20 * DAY, installed(age=99 * DAY), NOW + 20 * DAY),
    ],
)
def test_probe_at(until: datetime, current: InstalledFacts | None, probe: datetime) -> None:
    assert probe_at(until, current, NOW) == probe


def test_an_order_is_stuck_after_an_hour_where_another_provider_is_at_hand() -> None:
    assert stuck_at(NOW, another=True) == NOW + HOUR
    assert stuck_at(NOW, another=False) == NOW + DAY


# One provider's own reasons

THREE = names(MAIN, WWW, BLOG)
WIDE, NARROW = replace(OTHER, max_names=250), replace(OTHER, max_names=2)


def reduces(code: str, *lost: str) -> Plan:
    kept = tuple(text for text in (MAIN, WWW, BLOG) if text not in lost)
    return Plan(Action.ORDER, "reduced_coverage", kept, tuple((text, code) for text in lost), dropped=lost)


def defers(code: str, until: datetime) -> Plan:
    return Plan(Action.DEFER, "deferred", left_out=((BLOG, code),), until=until, dropped=(BLOG,))


def waits(reason: str, until: datetime | None) -> Need:
    return Need(Action.WAIT if until else Action.HOLD, reason, until, (MAIN, WWW, BLOG))


COVERED = installed(MAIN, WWW, BLOG, age=88 * DAY)
EARLY = installed(MAIN, WWW, BLOG, age=70 * DAY)
BARRED = (name(MAIN), name(WWW), name(BLOG, barred=("other",)))
MIXED = Plan(Action.ORDER, "reduced_coverage", (MAIN,), ((WWW, "elsewhere"), (BLOG, "caa")), dropped=(WWW, BLOG))

INSTEAD: list[tuple[str, Need | Plan, SiteFacts, list[Candidate], str | None]] = [
    ("caa", reduces("caa", BLOG), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("ca-refused", reduces("ca_refused", BLOG), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("over-limit", reduces("over_limit", BLOG), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("over-limit-there-too", reduces("over_limit", BLOG), site(*THREE, installed=COVERED), [FINE, Candidate(NARROW)],
     None),
    ("over-limit-the-next", reduces("over_limit", BLOG), site(*THREE, installed=COVERED),
     [FINE, Candidate(NARROW), Candidate(THIRD)], "third"),
    ("a-names-own-fault-is-everywhere", reduces("elsewhere", BLOG), site(*THREE, installed=COVERED), [FINE, other()],
     None),
    ("unknown-is-everywhere", reduces("unknown", BLOG), site(*THREE, installed=COVERED), [FINE, other()], None),
    ("its-own-beside-everywhere", MIXED, site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("its-own-beside-everywhere-needs-room-for-its-own-only", MIXED, site(*THREE, installed=COVERED),
     [FINE, Candidate(NARROW)], "other"),
    ("barred-there-too", reduces("caa", BLOG), site(*BARRED, installed=COVERED), [FINE, other()], None),
    ("refused-there-too", reduces("ca_refused", BLOG),
     site(name(MAIN), name(WWW), refused(BLOG, NOW + DAY, provider="other"), installed=COVERED), [FINE, other()],
     None),
    ("down-there", reduces("caa", BLOG), site(*THREE, installed=COVERED), [FINE, other(health=DOWN)], None),
    ("probing-there", reduces("caa", BLOG), site(*THREE, installed=COVERED), [FINE, other(health=OVER, probing=True)],
     None),
    ("stopped-there", reduces("caa", BLOG), site(*THREE, installed=COVERED),
     [FINE, other(health=ProviderHealth(stopped="ca_eab"))], None),
    ("limited-there", reduces("caa", BLOG), site(*THREE, installed=COVERED), [FINE, other(limited_until=NOW + HOUR)],
     None),
    ("paused-there", reduces("caa", BLOG), site(*THREE, installed=COVERED), [FINE, other(paused=True)], None),
    ("nothing-lost", Plan(Action.ORDER, "due", (MAIN, WWW), ((BLOG, "caa"),)), site(*THREE, installed=SOON),
     [FINE, other()], None),
    ("deferred-in-time", defers("caa", NOW + 17 * DAY), site(*THREE, installed=EARLY), [FINE, other()], None),
    ("deferred-too-late", defers("caa", NOW + HOUR), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("deferred-for-its-own-fault", defers("nxdomain", NOW + HOUR), site(*THREE, installed=COVERED), [FINE, other()],
     None),
    ("kept", Plan(Action.KEEP, "dcv_would_reduce", left_out=((BLOG, "caa"),)), site(*THREE, installed=COVERED),
     [FINE, other()], None),
    ("all-refused-first", Plan(Action.FAIL, "dcv_all_failed", left_out=((MAIN, "caa"), (WWW, "caa"))),
     site(installed=None), [FINE, other()], "other"),
    ("all-refused-in-time", Plan(Action.FAIL, "dcv_all_failed", left_out=((MAIN, "caa"), (WWW, "caa"))),
     site(installed=EARLY), [FINE, other()], None),
    ("limit-in-time", waits("rate_limited", NOW + DAY), site(*THREE, installed=EARLY), [FINE, other()], None),
    ("limit-past-the-last-moment", waits("rate_limited", NOW + 18 * DAY), site(*THREE, installed=EARLY),
     [FINE, other()], "other"),
    ("limit-too-late", waits("rate_limited", NOW + MINUTE), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("paused-by-the-ca-in-time", waits("ca_paused", None), site(*THREE, installed=EARLY), [FINE, other()], None),
    ("paused-by-the-ca-too-late", waits("ca_paused", None), site(*THREE, installed=COVERED), [FINE, other()], "other"),
    ("refused-first", waits("ca_refused", NOW + DAY), site(*THREE, installed=None), [FINE, other()], "other"),
    ("own-ladder", waits("held_back", NOW + DAY), site(*THREE, installed=COVERED), [FINE, other()], None),
    ("nothing-to-do", Need(Action.KEEP, "ok", NOW + DAY, (MAIN,)), site(*THREE, installed=COVERED), [FINE, other()],
     None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("decided", "facts", "candidates", "next_one"), [row[1:] for row in INSTEAD], ids=[row[0] for row in INSTEAD]
)
def test_instead(decided: Need | Plan, facts: SiteFacts, candidates: list[Candidate], next_one: str | None) -> None:
    found = instead(decided, facts, OWN, candidates, NOW)
    assert (found.name if found else None) == next_one


def test_none_is_asked_twice() -> None:
    candidates = [FINE, Candidate(OTHER), Candidate(THIRD)]
    decided, facts = reduces("caa", BLOG), site(*THREE, installed=COVERED)
    assert instead(decided, facts, OWN, candidates, NOW, tried=("other",)) == THIRD
    assert instead(decided, facts, OWN, candidates, NOW, tried=("other", "third")) is None


def test_a_wildcard_goes_where_wildcards_are_issued() -> None:
    star = NameFacts("*.a.com", not_wanted="wildcard_unsupported")
    decided = Plan(
        Action.ORDER, "reduced_coverage", (MAIN,), (("*.a.com", "wildcard_unsupported"),), dropped=("*.a.com",)
    )
    facts = site(name(MAIN), star, installed=installed(MAIN, "*.a.com", age=88 * DAY))
    assert instead(decided, facts, OWN, [FINE, Candidate(OTHER)], NOW) is None
    wild = replace(OTHER, wildcard=True)
    assert instead(decided, facts, OWN, [FINE, Candidate(wild)], NOW) == wild


moments = st.integers(-3000, 3000).map(lambda minutes: NOW + minutes * MINUTE)
any_candidate = st.builds(
    Candidate,
    st.sampled_from([OWN, OTHER, THIRD]),
    st.builds(
        ProviderHealth, st.integers(0, 9), st.none(), st.none() | moments, st.sampled_from(["", "", "", "ca_terms"])
    ),
    st.booleans(),
    st.none() | moments,
    st.booleans(),
)


@settings(deadline=None)
@given(st.lists(any_candidate, max_size=3), st.sampled_from([None, SOON, LATE]), st.booleans())
def test_any_choice_is_usable_or_says_when(
    candidates: list[Candidate], current: InstalledFacts | None, urgent: bool
) -> None:
    found = choose(candidates, NOW, installed=current, urgent=urgent)
    assert found.reason
    assert found.until is None or found.until > NOW
    if found.provider is not None:
        mine = [one for one in candidates if one.provider == found.provider]
        assert any(
            not one.health.down(NOW)
            and not one.health.stopped
            and not one.paused
            and not (one.health.half_open and one.probing)
            for one in mine
        )


@settings(deadline=None)
@given(st.lists(st.integers(0, 90), max_size=40))
def test_a_ca_that_fails_is_asked_less_and_less_but_never_given_up(minutes: list[int]) -> None:
    health, now = ProviderHealth(), NOW
    for passed in minutes:
        now += passed * MINUTE
        health = fault(health, now)
        assert health.down_until is None or health.down_until <= now + HOUR
        assert choose([Candidate(OWN, health)], now + HOUR).provider == OWN
