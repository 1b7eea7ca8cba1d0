"""Our own trouble: a dead resolver, no route, a wrong clock. Nothing is reduced or ordered in error, and it is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import product

import pytest

from autossl_panel.autossl.policy import Action, InstalledFacts, Need, Plan, need, plan
from autossl_panel.autossl.policy.trouble import Seen, ServerTrouble, suspend_reductions, troubles
from autossl_panel.names import covers
from tests.autossl.policy_facts import (
    BLOG,
    DAY,
    HOUR,
    MAIN,
    MINUTE,
    NOW,
    WWW,
    Found,
    findings,
    installed,
    name,
    names,
    options,
    site,
)

USERS = 3
OUTCOMES = ("pass", "fail", "unknown")
BOTH = (MAIN, WWW)
EARLY, LATE, OVER = installed(*BOTH, age=70 * DAY), installed(*BOTH, age=88 * DAY), installed(*BOTH, age=91 * DAY)
SEEN_LONG = {"first_failed_at": NOW - DAY, "last_failed_at": NOW}


def decided(current: InstalledFacts | None, outcomes: tuple[str, ...], *, suspended: bool = False) -> Plan:
    """The plan for MAIN, WWW and BLOG with these outcomes, the failures seen long ago as well."""
    facts = site(*(name(text, **SEEN_LONG) for text in (MAIN, WWW, BLOG)), installed=current)
    found = dict(zip((MAIN, WWW, BLOG), (Found(one, "elsewhere") for one in outcomes), strict=True))
    return plan(need(facts, options(), NOW), found, facts, options(), NOW, reductions_suspended=suspended)


@pytest.mark.parametrize("current", [None, EARLY, LATE, OVER], ids=["first", "early", "late", "expired"])
@pytest.mark.parametrize("outcomes", list(product(OUTCOMES, repeat=3)), ids="-".join)
def test_no_mixture_with_unknown_reduces_coverage(current: InstalledFacts | None, outcomes: tuple[str, ...]) -> None:
    found = decided(current, outcomes)
    by_name = dict(zip((MAIN, WWW, BLOG), outcomes, strict=True))
    for text, outcome in by_name.items():
        assert outcome != "fail" or text not in found.names
        covered = current is not None and covers(current.names, text)
        if found.action == Action.ORDER and outcome == "unknown":
            # Before the last moment a covered name that cannot be judged keeps the order from being placed at all;
            # from then on, and where there is nothing to lose, the CA is asked.
            assert text in found.names or (current is EARLY and not covered)
    if current is EARLY and "unknown" in (by_name[MAIN], by_name[WWW]):
        assert found.action != Action.ORDER
    if "pass" not in outcomes and current is EARLY:
        assert (found.action, found.reason) == ("fail", "dcv_all_failed")


ROWS: list[tuple[str, InstalledFacts | None, tuple[str, ...], str, str, tuple[str, ...], datetime | None]] = [
    ("dead-resolver-first", None, ("unknown",) * 3, "order", "missing", (MAIN, WWW, BLOG), None),
    ("dead-resolver-early", EARLY, ("unknown",) * 3, "fail", "dcv_all_failed", (), None),
    ("dead-resolver-late", LATE, ("unknown",) * 3, "order", "due", (MAIN, WWW, BLOG), None),
    ("dead-resolver-expired", OVER, ("unknown",) * 3, "order", "expired", (MAIN, WWW, BLOG), None),
    ("no-route-for-one-early", EARLY, ("pass", "unknown", "pass"), "defer", "deferred", (), NOW + 17 * DAY),
    ("no-route-for-one-late", LATE, ("pass", "unknown", "pass"), "order", "due", (MAIN, WWW, BLOG), None),
    ("no-route-for-an-uncovered-one-early", EARLY, ("pass", "pass", "unknown"), "order", "due", (MAIN, WWW), None),
    ("unknown-beside-failing-late", LATE, ("pass", "fail", "unknown"), "order", "reduced_coverage", (MAIN, BLOG),
     None),
    ("only-failing-and-unknown-early", EARLY, ("unknown", "fail", "fail"), "fail", "dcv_all_failed", (), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("current", "outcomes", "action", "reason", "ordered", "until"), [row[1:] for row in ROWS], ids=[r[0] for r in ROWS]
)
def test_row(
    current: InstalledFacts | None,
    outcomes: tuple[str, ...],
    action: str,
    reason: str,
    ordered: tuple[str, ...],
    until: datetime | None,
) -> None:
    found = decided(current, outcomes)
    assert (found.action, found.reason, found.until) == (action, reason, until)
    assert set(found.names) == set(ordered)


def test_a_resolver_that_denies_every_name_reduces_nothing_while_certificates_last() -> None:
    """It answers wrongly, so names fail alike rather than stay unknown: that is what suspends reductions."""
    for outcomes in (("pass", "fail", "pass"), ("fail", "pass", "pass")):
        found = decided(LATE, outcomes, suspended=True)
        assert (found.action, found.reason, found.until) == ("defer", "reductions_suspended", NOW + HOUR)
    assert decided(LATE, ("fail",) * 3, suspended=True).action == "fail"


@pytest.mark.parametrize("offset", [timedelta(minutes=10), timedelta(minutes=-10), 400 * DAY])
@pytest.mark.parametrize(
    "current", [None, EARLY, LATE, OVER, installed(self_signed=True, ours=False), installed(revoked=True)]
)
def test_with_a_wrong_clock_no_expiry_is_judged_and_nothing_ordered(
    current: InstalledFacts | None, offset: timedelta
) -> None:
    for status in (None, "pending", "processing"):
        facts = site(*names(), installed=current, open_order=status, stored_pair=None if status else "staged")
        found: Need = need(facts, options(clock_offset=offset), NOW)
        assert (found.action, found.reason, found.until) == ("hold", "clock", None)


def test_unknown_names_are_asked_for_within_the_ladder() -> None:
    """Past the last moment too, a name that was tried without success waits for its own next turn."""
    facts = site(*names(MAIN, WWW, retry_at=NOW + HOUR), installed=OVER)
    assert need(facts, options(), NOW).action == "wait"
    facts = site(*names(), installed=LATE, retry_at=NOW + MINUTE)
    assert (need(facts, options(), NOW).action, need(facts, options(), NOW + MINUTE).action) == ("wait", "renew")
    assert plan(
        need(facts, options(), NOW + MINUTE), findings(main="unknown", www="unknown"), facts, options(), NOW
    ).names == (MAIN, WWW)


def unknown(reason: str, number: int = 1, **facts: str) -> Seen:
    return Seen("unknown", "unknown", number, reason, **facts)  # type: ignore[arg-type]


def fails(code: str, number: int) -> Seen:
    return Seen("fail", code, number, passed_before=True, users=frozenset(range(USERS)))


def passes(number: int) -> Seen:
    return Seen("pass", "", number, passed_before=True)


TOLD: list[tuple[str, list[Seen], timedelta, list[ServerTrouble]]] = [
    ("nothing", [passes(9), fails("elsewhere", 3)], timedelta(0), []),
    ("clock", [], timedelta(minutes=6), [ServerTrouble("clock", 0, {"seconds": "360"})]),
    ("clock-within", [], timedelta(minutes=5), []),
    ("resolver", [unknown("resolver", 3), unknown("resolver: timed out", 2)], timedelta(0),
     [ServerTrouble("resolver_dead", 5)]),
    ("no-ipv6", [unknown("no_route", 4, record="AAAA", address="2001:db8::1")], timedelta(0),
     [ServerTrouble("no_route", 4, {"family": "IPv6", "address": "2001:db8::1"})]),
    ("no-route-of-either-kind", [unknown("no_route", 4, record="AAAA"), unknown("no_route", 2, record="A")],
     timedelta(0),
     [ServerTrouble("no_route", 2, {"family": "IPv4"}), ServerTrouble("no_route", 4, {"family": "IPv6"})]),
    ("own-address", [unknown("own_address_timeout", 1, address="203.0.113.1")], timedelta(0),
     [ServerTrouble("own_address", 1, {"address": "203.0.113.1"})]),
    ("out-of-files", [unknown("local: EMFILE", 2)], timedelta(0), [ServerTrouble("local_fault", 2)]),
    ("helper", [unknown("helper", 2)], timedelta(0), [ServerTrouble("helper_gone", 2)]),
    ("stopped-says-nothing", [unknown("stopped", 9)], timedelta(0), []),
    ("alike", [fails("nxdomain", 10), passes(9)], timedelta(0),
     [ServerTrouble("failing_alike", 10, {"code": "nxdomain"})]),
    ("alike-but-few", [fails("nxdomain", 9)], timedelta(0), []),
    ("alike-each-www", [fails("http_status", 10), passes(10)], timedelta(0),
     [ServerTrouble("failing_alike", 10, {"code": "http_status"})]),
    ("alike-but-not-a-third", [fails("nxdomain", 10), passes(20)], timedelta(0), []),
    ("alike-by-the-hour", [fails("nxdomain", 3), passes(90), replace(fails("nxdomain", 10), recent=True)], timedelta(0),
     [ServerTrouble("failing_alike", 10, {"code": "nxdomain"})]),
    ("never-passed-says-nothing", [Seen("fail", "nxdomain", 50)], timedelta(0), []),
]  # fmt: skip


@pytest.mark.parametrize(("seen", "offset", "told"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_what_is_wrong_with_the_server(seen: list[Seen], offset: timedelta, told: list[ServerTrouble]) -> None:
    assert list(troubles(seen, offset, USERS)) == told
    assert suspend_reductions(seen, USERS) == any(one.code == "failing_alike" for one in told)


@pytest.mark.parametrize(
    ("failing", "users", "suspended"),
    [
        ([{1}], 3, False), ([{1}, {1, 2}], 3, False), ([{1}, {2}, {3}], 3, True), ([{1}], 1, True), ([{1}], 2, False),
        ([{1, 2}], 2, True), ([{1, 2, 3, 4}], 3, True),
    ],
)  # fmt: skip
def test_many_names_fail_alike_at_several_users_or_at_all_there_are(
    failing: list[set[int]], users: int, suspended: bool
) -> None:
    seen = [replace(fails("nxdomain", 10), users=frozenset(one)) for one in failing]
    assert suspend_reductions(seen, users) == suspended


def test_one_users_many_failures_do_not_hide_what_fails_at_all() -> None:
    seen = [replace(fails("elsewhere", 14), users=frozenset({1})), fails("nxdomain", 12), passes(4)]
    assert troubles(seen, timedelta(0), USERS) == (ServerTrouble("failing_alike", 12, {"code": "nxdomain"}),)
