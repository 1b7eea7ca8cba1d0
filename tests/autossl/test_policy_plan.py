"""`plan`, row by row of rules §3, and what holds for any facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.policy import (
    Action,
    InstalledFacts,
    NameFacts,
    Need,
    PolicyOptions,
    Refused,
    SiteFacts,
    defer_until,
    need,
    plan,
)
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
    refused,
    site,
)

THREE = names(MAIN, WWW, BLOG)
DUE = installed(age=70 * DAY)  # expires in 20 days; defer_until is in 17
DEFER_UNTIL = NOW + 17 * DAY
LATE = installed(age=88 * DAY)
FOREIGN_WEAK = installed(defects=("weak",), ours=False)


def failing(text: str, since: timedelta) -> NameFacts:
    return name(text, first_failed_at=NOW - since, last_failed_at=NOW)


ROWS: list[tuple[str, SiteFacts, Mapping[str, Found], str, str, tuple[str, ...], datetime | None]] = [
    ("1-all-fail", site(installed=None), findings(main="fail", www="fail"), "fail", "dcv_all_failed", (), None),
    ("1-renew-all-fail", site(installed=DUE), findings(main="fail", www="fail"), "fail", "dcv_all_failed", (), None),
    ("1-renew-all-unknown", site(installed=DUE), findings(main="unknown", www="unknown"), "fail", "dcv_all_failed", (),
     None),
    ("1-first-unknown-is-tried", site(installed=None), findings(main="unknown", www="fail"), "order", "missing",
     (MAIN,), None),
    ("1-ca-refusal-over", site(refused(MAIN, NOW), installed=None), findings(main="pass"), "order",
     "missing", (MAIN,), None),
    ("2-nothing-new", site(*THREE), findings(main="pass", www="pass", blog="fail"), "keep", "dcv_nothing_new", (),
     None),
    ("2-unknown-is-not-new", site(*THREE), findings(main="pass", www="pass", blog="unknown"), "keep",
     "dcv_nothing_new", (), None),
    ("2-before-3", site(*THREE), findings(main="pass", www="fail", blog="fail"), "keep", "dcv_nothing_new", (), None),
    ("3-extend", site(*THREE), findings(main="pass", www="fail", blog="pass"), "keep", "dcv_would_reduce", (), None),
    ("3-extend-unknown", site(*THREE), findings(main="pass", www="unknown", blog="pass"), "keep", "dcv_would_reduce",
     (), None),
    ("3-not-wanted-now", site(name(MAIN), name(WWW, not_wanted="www_not_served"), name(BLOG)),
     findings(main="pass", blog="pass"), "keep", "dcv_would_reduce", (), None),
    ("3-excluded-does-not-block", site(name(MAIN), name(WWW, not_wanted="excluded", ended=True), name(BLOG)),
     findings(main="pass", blog="pass"), "order", "coverage", (MAIN, BLOG), None),
    ("4-renew", site(installed=DUE), findings(main="pass", www="fail"), "defer", "deferred", (), DEFER_UNTIL),
    ("4-renew-unknown", site(installed=DUE), findings(main="pass", www="unknown"), "defer", "deferred", (),
     DEFER_UNTIL),
    ("4-seen-often-is-not-enough", site(name(MAIN), failing(WWW, 9 * DAY), installed=DUE),
     findings(main="pass", www="fail"),
     "defer", "deferred", (), DEFER_UNTIL),
    ("4-new-weak", site(installed=installed(defects=("weak",))), findings(main="pass", www="fail"), "defer", "deferred",
     (), NOW + 57 * DAY),
    ("4-refused-by-the-ca", site(name(MAIN), refused(WWW, NOW + DAY), installed=DUE),
     findings(main="pass", www="pass"), "defer", "deferred", (), DEFER_UNTIL),
    ("4-not-if-self-signed", site(installed=installed(self_signed=True)), findings(main="pass", www="fail"), "order",
     "self_signed", (MAIN,), None),
    ("4-not-if-expired", site(installed=installed(age=91 * DAY)), findings(main="pass", www="fail"), "order",
     "expired", (MAIN,), None),
    ("4-not-if-revoked", site(installed=installed(revoked=True)), findings(main="pass", www="fail"), "order",
     "revoked", (MAIN,), None),
    ("5-seen-twice", site(name(MAIN), failing(WWW, HOUR), installed=LATE), findings(main="pass", www="fail"), "order",
     "reduced_coverage", (MAIN,), None),
    ("5-seen-once", site(installed=LATE), findings(main="pass", www="fail"), "defer", "deferred", (), NOW + HOUR),
    ("5-seen-too-close", site(name(MAIN), failing(WWW, 10 * MINUTE), installed=LATE), findings(main="pass", www="fail"),
     "defer", "deferred", (), NOW + 50 * MINUTE),
    ("5-no-time-to-see-twice", site(installed=installed(age=90 * DAY - 30 * MINUTE)), findings(main="pass", www="fail"),
     "order", "reduced_coverage", (MAIN,), None),
    ("5-short-life", site(name(MAIN), failing(WWW, 6 * MINUTE), installed=installed(age=150 * MINUTE, life=3 * HOUR)),
     findings(main="pass", www="fail"), "order", "reduced_coverage", (MAIN,), None),
    ("5-unknown-is-tried", site(installed=LATE), findings(main="pass", www="unknown"), "order", "due", (MAIN, WWW),
     None),
    ("5-not-wanted-now", site(name(MAIN), name(WWW, not_wanted="www_not_served"), installed=LATE),
     findings(main="pass"), "order", "reduced_coverage", (MAIN,), None),
    ("6-first", site(installed=None), findings(main="pass", www="fail"), "order", "missing", (MAIN,), None),
    ("6-extend", site(*THREE), findings(main="pass", www="pass", blog="pass"), "order", "coverage", (MAIN, WWW, BLOG),
     None),
    ("6-renew-takes-new-names", site(*THREE, installed=DUE), findings(main="pass", www="pass", blog="pass"), "order",
     "due",
     (MAIN, WWW, BLOG), None),
    ("6-uncovered-failure-does-not-block", site(*THREE, installed=DUE), findings(main="pass", www="pass", blog="fail"),
     "order", "due", (MAIN, WWW), None),
    ("6-name-without-finding-is-unknown", site(installed=None), findings(main="pass"), "order", "missing", (MAIN, WWW),
     None),
    ("loop",
     site(installed=None, recent_orders=((NOW - 2 * HOUR, "missing", (MAIN,)), (NOW - HOUR, "missing", (MAIN,)))),
     findings(main="pass", www="fail"), "hold", "loop", (), NOW + 22 * HOUR),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "found", "action", "reason", "ordered", "until"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_row(
    facts: SiteFacts,
    found: Mapping[str, Found],
    action: str,
    reason: str,
    ordered: tuple[str, ...],
    until: datetime | None,
) -> None:
    wanted = need(facts, options(), NOW)
    decided = plan(wanted, found, facts, options(), NOW)
    assert (decided.action, decided.reason, decided.names, decided.until) == (action, reason, ordered, until)


def test_row_1_a_refusal_that_comes_while_names_are_proven_counts() -> None:
    facts = site(refused(MAIN, NOW + DAY), installed=None)
    decided = plan(Need(Action.NEW, "missing"), findings(main="pass"), facts, options(), NOW)
    assert (decided.action, decided.reason, decided.left_out) == ("fail", "dcv_all_failed", ((MAIN, "ca_refused"),))
    elsewhere = site(refused(MAIN, NOW + DAY, provider="other"), installed=None)
    assert plan(need(elsewhere, options(), NOW), findings(main="pass"), elsewhere, options(), NOW).action == "order"


def test_row_3_key_type() -> None:
    settings = options(key_type="rsa2048", reissue_confirmed=True)
    wanted = need(site(), settings, NOW)
    assert plan(wanted, findings(main="pass", www="fail"), site(), settings, NOW).reason == "dcv_would_reduce"
    assert plan(wanted, findings(main="pass", www="pass"), site(), settings, NOW).reason == "key_type"


def test_row_4_replaces_anothers_certificate_only_without_loss() -> None:
    facts, settings = site(installed=FOREIGN_WEAK), options(replace_foreign=True)
    wanted = need(facts, settings, NOW)
    assert plan(wanted, findings(main="pass", www="fail"), facts, settings, NOW).action == "defer"
    assert plan(wanted, findings(main="pass", www="pass"), facts, settings, NOW).reason == "foreign_defective"


def test_what_is_deferred_says_which_names_will_be_dropped_and_why() -> None:
    facts = site(installed=DUE)
    decided = plan(need(facts, options(), NOW), findings(main="pass", www="fail"), facts, options(), NOW)
    assert (decided.dropped, decided.left_out) == ((WWW,), ((WWW, "elsewhere"),))


def test_many_alike_failures_suspend_reductions_until_time_is_up() -> None:
    found = findings(main="pass", www="fail")
    www = failing(WWW, DAY)
    early = site(name(MAIN), www, installed=LATE)
    decided = plan(need(early, options(), NOW), found, early, options(), NOW, reductions_suspended=True)
    assert (decided.action, decided.reason, decided.until) == ("defer", "reductions_suspended", NOW + HOUR)
    # Half of the three days is kept for orders.
    half = 36 * HOUR
    for left, until in ((half + HOUR, HOUR), (half + MINUTE, MINUTE), (half, None), (30 * MINUTE, None)):
        last = site(name(MAIN), www, installed=installed(age=90 * DAY - left))
        decided = plan(need(last, options(), NOW), found, last, options(), NOW, reductions_suspended=True)
        assert decided.until == (None if until is None else NOW + until)
        assert decided.reason == ("reduced_coverage" if until is None else "reductions_suspended")
    seen_once = site(name(MAIN), name(WWW), installed=installed(age=90 * DAY - half))
    decided = plan(need(seen_once, options(), NOW), found, seen_once, options(), NOW, reductions_suspended=True)
    assert (decided.action, decided.until) == ("defer", NOW + HOUR), "a failure is seen twice in any case"


def test_the_cut_keeps_main_domain_and_coverage_and_leaves_service_names_out_first() -> None:
    passed = ["mail.a.com", "b.com", "www.b.com", "old.a.com", "x.y.a.com", "www.a.com", MAIN, "webmail.a.com"]
    facts = site(
        name(MAIN),
        *names(*(one for one in passed if one != MAIN)),
        installed=installed("old.a.com", age=70 * DAY),
    )
    found, few = {one: Found("pass") for one in passed}, options(max_names=5)
    decided = plan(need(facts, few, NOW), found, facts, few, NOW)
    assert decided.names == (MAIN, "www.a.com", "old.a.com", "b.com", "www.b.com")
    assert decided.left_out == tuple((one, "over_limit") for one in ("x.y.a.com", "mail.a.com", "webmail.a.com"))


@settings(deadline=None)
@given(st.permutations([MAIN, WWW, BLOG, "b.com", "mail.b.com", "c.net"]), st.integers(1, 9))
def test_a_cut_loses_no_name_and_depends_on_no_order(passed: list[str], limit: int) -> None:
    few, found = options(max_names=limit), {one: Found("pass") for one in passed}
    facts = site(*(name(one) for one in passed), installed=None)
    decided = plan(need(facts, few, NOW), found, facts, few, NOW)
    over = [one for one, code in decided.left_out if code == "over_limit"]
    assert sorted([*decided.names, *over]) == sorted(passed)
    assert len(decided.names) == min(limit, len(passed))
    alike = site(*(name(one) for one in sorted(passed)), installed=None)
    assert plan(need(alike, few, NOW), found, alike, few, NOW).names == decided.names
    assert decided.names[0] == MAIN


def test_the_cut_comes_after_dcv_and_what_it_displaces_does_not_block() -> None:
    facts, settings = site(*THREE, installed=installed(MAIN, BLOG, age=70 * DAY)), options(max_names=2)
    decided = plan(need(facts, settings, NOW), findings(main="pass", www="pass", blog="pass"), facts, settings, NOW)
    assert (decided.action, decided.names) == ("order", (MAIN, WWW))
    assert (decided.left_out, decided.dropped) == (((BLOG, "over_limit"),), (BLOG,))
    first = site(*THREE, installed=None)
    decided = plan(need(first, settings, NOW), findings(main="pass", www="fail", blog="pass"), first, settings, NOW)
    assert decided.names == (MAIN, BLOG)


def test_an_extension_that_fits_nothing_new_is_none() -> None:
    facts, settings = site(*THREE), options(max_names=2)
    wanted = Need(Action.EXTEND, "coverage")
    decided = plan(wanted, findings(main="pass", www="pass", blog="pass"), facts, settings, NOW)
    assert (decided.action, decided.reason) == ("keep", "dcv_nothing_new")


@pytest.mark.parametrize("action", [Action.KEEP, Action.SKIP, Action.WAIT, Action.RESUME, Action.INSTALL, Action.HOLD])
def test_a_plan_follows_only_a_need_for_an_order(action: Action) -> None:
    with pytest.raises(ValueError, match="a plan follows a need for an order"):
        plan(Need(action, "ok"), {}, site(), options(), NOW)


# For any facts

TEXTS = (MAIN, WWW, BLOG, "b.com", "www.b.com", "mail.a.com")
near = st.integers(-100 * 24 * 60, 100 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes))
perhaps = st.none() | near


any_refusals = st.lists(
    st.builds(Refused, st.sampled_from(["ca", "other"]), near, near), max_size=2, unique_by=lambda one: one.provider
).map(tuple)


@st.composite
def any_name(draw: st.DrawFn, text: str) -> NameFacts:
    ended = draw(st.integers(0, 5)) == 0
    return NameFacts(
        text,
        main=text == MAIN,
        added=text.startswith("www."),
        not_wanted="excluded" if ended else draw(st.sampled_from([None, None, None, "www_not_served"])),
        retry_at=draw(perhaps),
        refusals=draw(any_refusals),
        first_failed_at=draw(perhaps),
        ended=ended,
    )


@st.composite
def any_installed(draw: st.DrawFn) -> InstalledFacts:
    start = NOW - timedelta(minutes=draw(st.integers(0, 120 * 24 * 60)))
    return InstalledFacts(
        tuple(draw(st.lists(st.sampled_from(TEXTS), unique=True, max_size=6))),
        start,
        start + timedelta(minutes=draw(st.integers(5, 120 * 24 * 60))),
        ours=draw(st.booleans()),
        self_signed=draw(st.integers(0, 4)) == 0,
        defects=tuple(draw(st.lists(st.sampled_from(["mismatch", "weak", "chain"]), unique=True, max_size=1))),
        revoked=draw(st.integers(0, 4)) == 0,
        key_type=draw(st.sampled_from(["p256", "rsa2048"])),
        renewal_at=draw(perhaps),
        ari_end=draw(perhaps),
    )


@st.composite
def any_site(draw: st.DrawFn) -> SiteFacts:
    texts = draw(st.lists(st.sampled_from(TEXTS), unique=True, max_size=6))
    order = st.tuples(near, st.sampled_from(["missing", "due", "coverage"]), st.just(tuple(texts)))
    return SiteFacts(
        off=draw(st.sampled_from([None, None, None, None, "disabled"])),
        names=tuple(draw(any_name(text)) for text in texts),
        installed=draw(st.none() | any_installed()),
        open_order=draw(st.sampled_from([None, None, None, "pending"])),
        stored_pair=draw(st.sampled_from([None, None, None, "staged"])),
        retry_at=draw(st.none() | perhaps),
        held_until=draw(st.none() | perhaps),
        takeover=draw(st.booleans()),
        first_seen_at=draw(perhaps),
        last_extend_at=draw(perhaps),
        recent_orders=tuple(draw(st.lists(order, max_size=3))),
        last_order_defect=draw(st.sampled_from([None, None, "weak", "expired"])),
    )


any_options = st.builds(
    options,
    max_names=st.integers(1, 6),
    renew_fraction=st.none() | st.floats(0, 1),
    replace_foreign=st.booleans(),
    key_type=st.sampled_from(["p256", "rsa2048"]),
    reissue_confirmed=st.booleans(),
    paused=st.sampled_from([False, False, False, True]),
)
any_findings = st.fixed_dictionaries(
    {
        text: st.sampled_from(["pass", "fail", "unknown"]).map(lambda outcome: Found(outcome, "elsewhere"))
        for text in TEXTS
    }
)


any_order_need = st.sampled_from(
    [
        Need(Action.NEW, "missing"),
        Need(Action.NEW, "weak"),
        Need(Action.NEW, "foreign_defective"),
        Need(Action.RENEW, "due"),
        Need(Action.RENEW, "key_type"),
        Need(Action.EXTEND, "coverage"),
    ]
)


@settings(deadline=None)
@given(any_site(), any_options)
def test_any_need_has_a_reason_and_a_moment_ahead(facts: SiteFacts, settings: PolicyOptions) -> None:
    wanted = need(facts, settings, NOW)
    assert wanted.until is None or wanted.until > NOW
    assert wanted.reason
    if settings.paused:
        assert wanted.action in ("skip", "hold", "wait", "keep")
    assert set(wanted.missing) <= set(wanted.names)


@settings(max_examples=400, deadline=None)
@given(any_order_need, any_site(), any_options, any_findings, st.booleans())
def test_any_plan_orders_only_what_may_be_ordered_and_costs_no_coverage_early(
    wanted: Need, facts: SiteFacts, settings: PolicyOptions, found: Mapping[str, Found], suspended: bool
) -> None:
    decided = plan(wanted, found, facts, settings, NOW, reductions_suspended=suspended)
    assert decided.until is None or decided.until > NOW
    _orders_nothing_that_failed(facts, found, decided.names)
    provider = settings.provider
    assert provider is not None
    assert len(decided.names) <= provider.max_names
    assert (decided.action == "order") == bool(decided.names)
    assert not (settings.paused and decided.names)
    if decided.action == "order":
        _costs_no_coverage(facts, decided.names, decided.left_out)


def _orders_nothing_that_failed(facts: SiteFacts, found: Mapping[str, Found], ordered: tuple[str, ...]) -> None:
    by_name = {one.name: one for one in facts.names}
    for text in ordered:
        assert found[text].outcome != "fail"
        assert by_name[text].wanted
        assert by_name[text].refused("ca", NOW) is None


def _costs_no_coverage(facts: SiteFacts, ordered: tuple[str, ...], left_out: tuple[tuple[str, str], ...]) -> None:
    """Before `defer_until` every covered and still wished name is ordered; only the provider's limit displaces."""
    now = facts.installed
    if now is None or now.unprotected(NOW) or defer_until(now) <= NOW:
        return
    over = {text for text, code in left_out if code == "over_limit"}
    for one in facts.names:
        if one.name in now.names and not one.ended:
            assert one.name in ordered or one.name in over
