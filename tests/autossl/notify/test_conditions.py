"""Which state of a site is told, as a table: facts in, a kind with its cause and names out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl.facts import InstalledFacts, NameFacts, PolicyOptions, ProviderFacts, SiteFacts
from autossl_panel.autossl.notify.conditions import LastJob, judge
from autossl_panel.autossl.sites import Failing, Site

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OPTIONS = PolicyOptions(provider=ProviderFacts("pebble", 100))
A, B = "a.example.com", "b.example.com"


def installed(days_left: float, *names: str, **fields: Any) -> InstalledFacts:
    end = NOW + days_left * DAY
    return InstalledFacts(names or (A, B), end - 90 * DAY, end, **{"ours": True, "key_type": "p256", **fields})


def site(certificate: InstalledFacts | None, *, fails: dict[str, str] | None = None, **fields: Any) -> Site:
    """Two names; `fails` are the verdicts of those that fail."""
    problem = fields.pop("problem", None)
    fails = fails or {}
    if problem is None and fails:
        name, code = next(iter(fails.items()))
        problem = {"code": code, "domain": name, "data": {"name": name}}
    names = tuple(
        NameFacts(
            name,
            main=name == A,
            first_failed_at=NOW - DAY if name in fails else None,
            retry_at=NOW + DAY if name in fails else None,
        )
        for name in (A, B)
    )
    facts = SiteFacts(**{"off": None, "names": names, "installed": certificate, **fields})
    row = {"pk": 7, "user_id": 3, "name": A, "problem": problem, "next_at": NOW + DAY}
    failing = {name: Failing(code, "unknown" if code == "unknown" else "fail", {}) for name, code in fails.items()}
    return Site(row, facts, OPTIONS, failing)


def last(outcome: str, reason: str, code: str = "", *, hours_ago: float = 1) -> LastJob:
    problem = {"code": code, "domain": A, "data": {}} if code else None
    return LastJob(outcome, reason, problem, NOW - timedelta(hours=hours_ago))


EXPIRED = installed(-1)
DUE = installed(29)
DANGER = installed(5)
SOUND = installed(80)
PART = installed(80, A)
FOREIGN_SOON = installed(2, ours=False)
NO_PROVIDER = replace(OPTIONS, provider=None)
REPLACE = replace(OPTIONS, replace_foreign=True)

CASES: dict[str, tuple[Site, LastJob | None, PolicyOptions, tuple[str, str, tuple[str, ...]] | None]] = {
    "all is well": (site(SOUND), None, OPTIONS, None),
    "off: nobody wants to know": (site(EXPIRED, off="disabled"), None, OPTIONS, None),
    "suspended": (site(EXPIRED, off="suspended"), None, OPTIONS, None),
    # expired
    "expired": (site(EXPIRED), None, OPTIONS, ("expired", "expired", ())),
    "expired, because a name fails": (
        site(EXPIRED, fails={A: "nxdomain", B: "nxdomain"}), last("failed", "dcv_all_failed", "nxdomain"), OPTIONS,
        ("expired", "nxdomain", ()),
    ),
    "expired without a provider": (site(EXPIRED), None, NO_PROVIDER, ("expired", "expired", ())),
    "another's has expired": (site(installed(-1, ours=False)), None, OPTIONS, ("expired", "foreign_defective", ())),
    # another's certificate
    "another's, sound": (site(installed(60, ours=False)), None, OPTIONS, None),
    "another's, about to expire": (site(FOREIGN_SOON), None, OPTIONS, ("foreign", "foreign_expiring", ())),
    "another's, weak": (
        site(installed(60, ours=False, defects=("weak",))), None, OPTIONS, ("foreign", "foreign_defective", ())
    ),
    "another's, to be replaced, and nobody has tried yet": (site(FOREIGN_SOON), None, REPLACE, None),
    "another's, replaced in vain": (
        site(FOREIGN_SOON, fails={A: "caa", B: "caa"}), last("failed", "dcv_all_failed", "caa"), REPLACE,
        ("expiring", "caa", ()),
    ),
    # install
    "the web server refuses it": (
        site(DUE), last("failed", "quarantined", "quarantined"), OPTIONS, ("install", "quarantined", ())
    ),
    "staged behind somebody's broken file": (
        site(None, open_order="valid", problem={"code": "foreign_broken", "domain": A, "data": {}}),
        last("waiting", "staged"), OPTIONS, ("install", "foreign_broken", ()),
    ),
    # no certificate
    "a new site that nobody has looked at": (site(None), None, OPTIONS, None),
    "a new site that fails": (
        site(None, fails={A: "nxdomain", B: "nxdomain"}), last("failed", "dcv_all_failed", "nxdomain"), OPTIONS,
        ("unsecured", "nxdomain", (A, B)),
    ),
    "a placeholder is no certificate": (
        site(installed(300, self_signed=True), fails={A: "caa", B: "caa"}), None, OPTIONS, ("unsecured", "caa", (A, B))
    ),
    "a new site waits for a limit": (
        site(None, held_until=NOW + DAY, held_reason="rate_limited",
             problem={"code": "rate_limited", "domain": A, "data": {}}),
        last("waiting", "rate_limited"), OPTIONS, None,
    ),
    "a revoked one is none": (
        site(installed(60, revoked=True), fails={A: "caa", B: "caa"}), last("failed", "dcv_all_failed", "caa"),
        OPTIONS, ("unsecured", "caa", (A, B)),
    ),
    # renewal
    "renewal is due, nobody has tried": (site(DUE), None, OPTIONS, None),
    "deferred": (
        site(DUE, fails={B: "elsewhere"}), last("deferred", "deferred", "elsewhere"), OPTIONS,
        ("deferred", "elsewhere", (B,)),
    ),
    "cannot renew": (
        site(DUE, fails={A: "caa", B: "caa"}), last("failed", "dcv_all_failed", "caa"), OPTIONS, ("expiring", "caa", ())
    ),
    "cannot renew, the CA is down": (
        site(DUE), last("waiting", "ca_unreachable", "ca_unreachable"), OPTIONS, ("expiring", "ca_unreachable", ())
    ),
    "renewal waits for a limit": (
        site(DUE, held_until=NOW + DAY, held_reason="rate_limited"), last("waiting", "rate_limited"), OPTIONS, None
    ),
    "it waits for a limit, and there is little time": (
        site(DANGER, held_until=NOW + DAY, held_reason="rate_limited"), last("waiting", "rate_limited"), OPTIONS,
        ("expiring", "rate_limited", ()),
    ),
    "little time, but the next run takes it up": (site(DANGER), None, OPTIONS, None),
    "little time, and no provider": (site(DANGER), None, NO_PROVIDER, ("expiring", "no_provider", ())),
    "much time, and no provider": (site(DUE), None, NO_PROVIDER, None),
    "an extension failed before the renewal was due": (
        site(installed(29.5, A), fails={B: "nxdomain"}), last("failed", "dcv_all_failed", "nxdomain", hours_ago=30),
        OPTIONS, ("uncovered", "nxdomain", (B,)),
    ),
    # coverage
    "a name is not covered": (
        site(PART, fails={B: "nxdomain"}), last("kept", "dcv_nothing_new"), OPTIONS, ("uncovered", "nxdomain", (B,))
    ),
    "a name is not covered, the CA is down": (
        site(PART), last("waiting", "ca_server", "ca_server"), OPTIONS, ("uncovered", "ca_server", (B,))
    ),
    "a name that came a moment ago": (site(PART), None, OPTIONS, None),
    "a covered name fails long before the renewal": (site(SOUND, fails={B: "nxdomain"}), None, OPTIONS, None),
    "over the limit": (
        site(PART, problem={"code": "over_limit", "domain": B, "data": {}}), last("secured", "coverage"), OPTIONS,
        ("uncovered", "over_limit", (B,)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_state_of_a_site(case):
    about, job, options, expected = CASES[case]
    judged, matter = judge(about, job, options, NOW)
    assert judged
    if expected is None:
        assert matter is None
        return
    assert matter is not None
    assert (matter.kind, matter.code, matter.names) == expected
    assert (matter.subject, matter.site, matter.user_id, matter.host_id) == ("site:7", A, 3, 7)
    assert matter.facts


def test_a_paused_panel_renews_nothing():
    judged, matter = judge(site(DANGER), None, OPTIONS, NOW, paused=True)
    assert judged
    assert matter is not None
    assert (matter.kind, matter.code) == ("expiring", "paused")


def test_with_a_wrong_clock_nothing_is_judged():
    wrong = replace(OPTIONS, clock_offset=timedelta(minutes=10))
    for certificate in (EXPIRED, DUE, SOUND):
        assert judge(site(certificate), None, wrong, NOW) == (False, None)


def test_a_deferral_says_until_when():
    _judged, matter = judge(site(DUE, fails={B: "caa"}), last("deferred", "deferred", "caa"), OPTIONS, NOW)
    assert matter is not None
    assert matter.until == DUE.not_after - 3 * DAY
    assert matter.facts == frozenset({(B, "caa")})


def test_past_that_moment_it_says_when_it_is_looked_at_again():
    late = site(installed(2), fails={B: "caa"})
    _judged, matter = judge(late, last("deferred", "deferred", "caa"), OPTIONS, NOW)
    assert matter is not None
    assert matter.until == NOW + DAY


@pytest.mark.parametrize(
    ("code", "users", "admin"),
    [
        ("nxdomain", 0, 0),
        ("ca_refused", 0, 0),
        ("over_limit", 0, 0),
        ("ca_server", 1, 1),
        ("ca_terms", 1, 1),
        ("internal", 1, 0),
        ("worker_died", 1, 0),
        ("unknown", 1, 0),
    ],
)
def test_who_is_spared_what_is_not_theirs(code, users, admin):
    _judged, matter = judge(site(DUE), last("failed", code, code), OPTIONS, NOW)
    assert matter is not None
    assert (matter.user_patience, matter.admin_patience) == (users * DAY, admin * DAY)
    _judged, matter = judge(site(EXPIRED), last("failed", code, code), OPTIONS, NOW)
    assert matter is not None
    assert (matter.user_patience, matter.admin_patience) == (0 * DAY, 0 * DAY), "nobody is spared an expiry"


def test_causes_of_one_family_are_one_fact():
    facts = []
    for code in ("dns_timeout", "dns_servfail"):
        _judged, matter = judge(site(PART, fails={B: code}), None, OPTIONS, NOW)
        assert matter is not None
        facts.append(matter.facts)
    assert facts[0] == facts[1]
