"""`need`, row by row of rules §2."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl.policy import NameFacts, Need, PolicyOptions, SiteFacts, need
from tests.autossl.policy_facts import (
    BLOG,
    DAY,
    HOUR,
    MAIN,
    MINUTE,
    NOW,
    WWW,
    installed,
    name,
    names,
    options,
    refused,
    site,
)

EXPIRY = NOW + 60 * DAY
RENEWS = NOW + 30 * DAY
# Further ahead than anything of ours holds: written while this host's clock ran ahead
YEARS = 3650 * DAY
HELD = names(MAIN, WWW, retry_at=NOW + HOUR)
FOREIGN: dict[str, Any] = {"ours": False, "key_type": None}
THREE = names(MAIN, WWW, BLOG)


def twice(reason: str, *ordered: str) -> tuple[tuple[datetime, str, tuple[str, ...]], ...]:
    return ((NOW - 20 * HOUR, reason, ordered), (NOW - 2 * HOUR, reason, ordered))


ROWS: list[tuple[str, SiteFacts, PolicyOptions, str, str, datetime | None]] = [
    ("1-disabled", site(off="disabled"), options(), "skip", "disabled", None),
    ("1-suspended", site(off="suspended", installed=None), options(), "skip", "suspended", None),
    ("1-gone", site(off="gone"), options(), "skip", "gone", None),
    ("1-no-provider", site(installed=None), options(provider=None), "skip", "no_provider", None),
    ("1-off-before-no-provider", site(off="disabled"), options(provider=None), "skip", "disabled", None),
    ("1-all-excluded", site(*names(not_wanted="excluded", ended=True)), options(), "skip", "all_excluded", None),
    ("1-no-names", site(*names(not_wanted="not_public")), options(), "skip", "no_names", None),
    ("1-off-before-everything", site(off="disabled", open_order="pending"), options(), "skip", "disabled", None),
    ("2-clock-fast", site(), options(clock_offset=timedelta(minutes=-6)), "hold", "clock", None),
    ("2-clock-judges-no-expiry", site(installed=installed(age=99 * DAY)), options(clock_offset=HOUR), "hold", "clock",
     None),
    ("2-clock-within", site(), options(clock_offset=5 * MINUTE), "keep", "ok", RENEWS),
    ("2-before-an-open-order", site(open_order="pending"), options(clock_offset=HOUR), "hold", "clock", None),
    ("0-paused-new", site(installed=None), options(paused=True), "hold", "paused", None),
    ("0-paused-renew", site(installed=installed(age=61 * DAY)), options(paused=True), "hold", "paused", None),
    ("0-paused-extend", site(*THREE), options(paused=True), "hold", "paused", None),
    ("0-paused-open-order", site(open_order="processing"), options(paused=True), "hold", "paused", None),
    ("0-paused-staged", site(stored_pair="staged", installed=None), options(paused=True), "hold", "paused", None),
    ("0-paused-off", site(off="disabled"), options(paused=True), "skip", "disabled", None),
    ("0-paused-gone", site(off="gone"), options(paused=True), "skip", "gone", None),
    ("0-paused-nothing-to-do", site(), options(paused=True), "keep", "ok", RENEWS),
    ("0-paused-waits-anyway", site(held_until=NOW + HOUR), options(paused=True), "wait", "rate_limited", NOW + HOUR),
    ("3-open", site(open_order="pending", retry_at=NOW + HOUR), options(), "resume", "order_open", None),
    ("4-site", site(retry_at=NOW + HOUR, installed=None), options(), "wait", "held_back", NOW + HOUR),
    ("4-rate", site(held_until=NOW + HOUR), options(), "wait", "rate_limited", NOW + HOUR),
    ("4-reason", site(held_until=NOW + HOUR, held_reason="ca_busy"), options(), "wait", "ca_busy", NOW + HOUR),
    ("4-later", site(held_until=NOW + HOUR, retry_at=NOW + DAY), options(), "wait", "held_back", NOW + DAY),
    ("4-over", site(retry_at=NOW, held_until=NOW - HOUR, installed=None), options(), "new", "missing", None),
    ("4-site-by-a-clock-ahead", site(retry_at=NOW + YEARS, installed=None), options(), "new", "missing", None),
    ("4-names-by-a-clock-ahead", site(*names(MAIN, WWW, retry_at=NOW + YEARS), installed=None), options(), "new",
     "missing", None),
    ("4-refused-by-a-clock-ahead", site(refused(MAIN, NOW + YEARS), installed=None), options(), "new", "missing", None),
    ("4-domain-by-a-clock-ahead", site(*names(), name(BLOG, retry_at=NOW + YEARS)), options(), "extend", "coverage",
     None),
    ("4-the-last-rung", site(retry_at=NOW + 1.1 * DAY, installed=None), options(), "wait", "held_back",
     NOW + 1.1 * DAY),
    ("4-the-last-rung-of-a-name", site(*names(MAIN, WWW, retry_at=NOW + 7.7 * DAY), installed=None), options(), "wait",
     "held_back", NOW + 7.7 * DAY),
    ("4-names", site(*HELD, installed=None), options(), "wait", "held_back", NOW + HOUR),
    ("4-one-name-free", site(HELD[0], name(WWW), installed=None), options(), "new", "missing", None),
    ("4-missing-domain", site(*names(), name(BLOG, retry_at=NOW + HOUR)), options(), "wait", "held_back", NOW + HOUR),
    ("4-added-www-is-quiet", site(name(MAIN), HELD[1], installed=installed(MAIN)), options(), "keep", "ok", NOW + HOUR),
    ("4-held-name-blocks-no-renewal", site(name(MAIN), HELD[1], installed=installed(MAIN, age=70 * DAY)), options(),
     "renew", "due", None),
    ("4-limit-of-this-provider", site(held_until=NOW + HOUR, held_provider="ca", installed=None), options(), "wait",
     "rate_limited", NOW + HOUR),
    ("4-limit-of-another-provider", site(held_until=NOW + HOUR, held_provider="other", installed=None), options(),
     "new", "missing", None),
    ("4-own-retry-holds-everywhere",
     site(held_until=NOW + DAY, held_provider="other", retry_at=NOW + HOUR, installed=None), options(),
     "wait", "held_back", NOW + HOUR),
    ("4-paused-by-the-ca", site(held_reason="ca_paused", held_provider="ca"), options(), "hold", "ca_paused",
     NOW + 57 * DAY),
    ("4-paused-by-the-ca-for-a-day", site(held_reason="ca_paused", held_provider="ca",
     installed=installed(age=10 * HOUR, life=24 * HOUR)), options(), "hold", "ca_paused", NOW + 10 * HOUR),
    ("4-paused-by-the-ca-late", site(held_reason="ca_paused", held_provider="ca", installed=installed(age=88 * DAY)),
     options(), "hold", "ca_paused", None),
    ("4-paused-by-the-ca-without-certificate", site(held_reason="ca_paused", held_provider="ca", installed=None),
     options(), "hold", "ca_paused", None),
    ("4-paused-by-another-ca", site(held_reason="ca_paused", held_provider="other"), options(), "keep", "ok", RENEWS),
    ("4-refused", site(refused(MAIN, NOW + DAY), installed=None), options(), "wait", "ca_refused", NOW + DAY),
    ("4-refused-elsewhere", site(refused(MAIN, NOW + DAY, provider="other"), installed=None), options(), "new",
     "missing", None),
    ("4-refused-and-held", site(refused(MAIN, NOW + HOUR, retry_at=NOW + DAY), installed=None), options(), "wait",
     "held_back", NOW + DAY),
    ("4-refusal-over", site(refused(MAIN, NOW), installed=None), options(), "new", "missing", None),
    ("4-barred-by-caa", site(name(MAIN, retry_at=NOW + HOUR, barred=("ca",)), installed=None), options(), "wait",
     "held_back", NOW + HOUR),
    ("4-barred-elsewhere", site(name(MAIN, retry_at=NOW + HOUR, barred=("other",)), installed=None), options(), "new",
     "missing", None),
    ("4-missing-domain-refused", site(*names(), refused(BLOG, NOW + DAY)), options(), "wait", "ca_refused", NOW + DAY),
    ("5-staged", site(stored_pair="staged", installed=None), options(), "install", "staged", None),
    ("5-detached", site(stored_pair="detached", installed=installed(self_signed=True, ours=False)), options(),
     "install", "detached", None),
    ("5-not-over-a-sound-foreign", site(stored_pair="detached", installed=installed(**FOREIGN)), options(),
     "keep", "foreign", EXPIRY - 3 * DAY),
    ("5-over-a-broken-foreign", site(stored_pair="staged", installed=installed(age=99 * DAY, **FOREIGN)), options(),
     "install", "staged", None),
    ("6-missing", site(installed=None), options(), "new", "missing", None),
    ("6-self-signed", site(installed=installed(self_signed=True, **FOREIGN)), options(), "new", "self_signed", None),
    ("6-self-signed-ten-years", site(installed=installed(self_signed=True, life=3650 * DAY, **FOREIGN)), options(),
     "new", "self_signed", None),
    ("7-foreign", site(installed=installed(**FOREIGN)), options(replace_foreign=True), "keep", "foreign",
     EXPIRY - 3 * DAY),
    ("7-foreign-long", site(installed=installed(life=396 * DAY, **FOREIGN)), options(), "keep", "foreign",
     NOW + 363 * DAY),
    ("7-foreign-lacks-names", site(*THREE, installed=installed(MAIN, **FOREIGN)), options(), "keep", "foreign",
     EXPIRY - 3 * DAY),
    ("7-foreign-short", site(installed=installed(age=DAY, life=6 * DAY, **FOREIGN)), options(), "keep", "foreign",
     NOW + 5 * DAY - 6 * DAY / 30),
    ("8-expired-off", site(installed=installed(age=99 * DAY, **FOREIGN)), options(), "keep", "foreign_defective", None),
    ("8-expired-on", site(installed=installed(age=99 * DAY, **FOREIGN)), options(replace_foreign=True),
     "new", "foreign_defective", None),
    ("8-takeover", site(installed=installed(defects=("weak",), **FOREIGN), takeover=True), options(),
     "new", "foreign_defective", None),
    ("8-without-main", site(installed=installed(WWW, **FOREIGN)), options(), "keep", "foreign_defective", None),
    ("8-revoked", site(installed=installed(revoked=True, **FOREIGN)), options(), "keep", "foreign_defective", None),
    ("8-expiring-off", site(installed=installed(age=88 * DAY, **FOREIGN)), options(), "keep", "foreign_expiring",
     NOW + 2 * DAY),
    ("8-expiring-on", site(installed=installed(age=88 * DAY, **FOREIGN)), options(replace_foreign=True),
     "new", "foreign_expiring", None),
    ("8-held", site(*HELD, installed=installed(age=99 * DAY, **FOREIGN), takeover=True), options(),
     "wait", "held_back", NOW + HOUR),
    ("9-expired", site(installed=installed(age=90 * DAY)), options(), "new", "expired", None),
    ("9-expired-held", site(*HELD, installed=installed(age=90 * DAY)), options(), "wait", "held_back", NOW + HOUR),
    ("9-revoked", site(installed=installed(revoked=True)), options(), "new", "revoked", None),
    ("9-mismatch", site(installed=installed(defects=("mismatch", "weak"))), options(), "new", "mismatch", None),
    ("9-covers-nothing", site(installed=installed("b.com")), options(), "new", "mismatch", None),
    ("9-weak", site(installed=installed(defects=("weak", "chain"))), options(), "new", "weak", None),
    ("9-chain", site(installed=installed(defects=("chain",))), options(), "new", "chain", None),
    ("9-order", site(installed=installed(defects=("chain",), revoked=True)), options(), "new", "revoked", None),
    ("10-due", site(installed=installed(age=60 * DAY)), options(), "renew", "due", None),
    ("10-not-yet", site(installed=installed(age=60 * DAY - MINUTE)), options(), "keep", "ok", NOW + MINUTE),
    ("10-ari", site(installed=installed(renewal_at=NOW)), options(), "renew", "ari", None),
    ("10-ari-ahead", site(installed=installed(age=61 * DAY, renewal_at=NOW + DAY)), options(), "keep", "ok", NOW + DAY),
    ("10-ari-too-late", site(installed=installed(age=81 * DAY, renewal_at=NOW + DAY)), options(), "renew", "due", None),
    ("11-key-type", site(), options(key_type="rsa2048", reissue_confirmed=True), "renew", "key_type", None),
    ("11-unknown-key-type", site(installed=installed(key_type=None)), options(key_type="p384", reissue_confirmed=True),
     "keep", "ok", RENEWS),
    ("11-renewal-is-near", site(installed=installed(age=46 * DAY)),
     options(key_type="p384", reissue_confirmed=True), "keep", "ok", NOW + 14 * DAY),
    ("11-a-sixth-of-the-life-before", site(installed=installed(age=45 * DAY)),
     options(key_type="p384", reissue_confirmed=True), "renew", "key_type", None),
    ("11-short-life", site(installed=installed(age=60 * HOUR, life=160 * HOUR)),
     options(key_type="p384", reissue_confirmed=True), "keep", "ok", NOW + 20 * HOUR),
    ("11-near-renewal-lets-names-come", site(*THREE, installed=installed(age=46 * DAY)),
     options(key_type="p384", reissue_confirmed=True), "extend", "coverage", None),
    ("11-not-twice-without-effect", site(recent_orders=twice("key_type", MAIN, WWW)),
     options(key_type="p384", reissue_confirmed=True), "hold", "loop", NOW + 4 * HOUR),
    ("11-due-comes-first", site(installed=installed(age=61 * DAY)), options(key_type="p384", reissue_confirmed=True),
     "renew", "due", None),
    ("11-unconfirmed", site(), options(key_type="rsa2048"), "keep", "ok", RENEWS),
    ("12-coverage", site(*THREE), options(), "extend", "coverage", None),
    ("12-retry-come", site(*names(), name(BLOG, retry_at=NOW)), options(), "extend", "coverage", None),
    ("12-no-room", site(*THREE), options(max_names=2), "keep", "ok", RENEWS),
    ("12-one-a-day", site(*THREE, last_extend_at=NOW - 2 * HOUR), options(), "keep", "ok", NOW + 22 * HOUR),
    ("12-by-a-clock-ahead", site(*THREE, last_extend_at=NOW + 300 * DAY), options(), "extend", "coverage", None),
    ("12-a-day-later", site(*THREE, last_extend_at=NOW - DAY), options(), "extend", "coverage", None),
    ("12-first-hour", site(*THREE, last_extend_at=NOW - MINUTE, first_seen_at=NOW - HOUR), options(),
     "extend", "coverage", None),
    ("13-ok", site(), options(), "keep", "ok", RENEWS),
    ("13-surplus", site(name(MAIN), installed=installed(MAIN, WWW, "gone.a.com")), options(), "keep", "ok", RENEWS),
    ("13-wildcard-covers", site(installed=installed(MAIN, "*.a.com")), options(), "keep", "ok", RENEWS),
    ("loop-defect", site(installed=installed(defects=("weak",)), last_order_defect="weak"), options(), "hold", "loop",
     RENEWS),
    ("loop-defect-lets-the-renewal-through",
     site(installed=installed(age=61 * DAY, defects=("weak",)), last_order_defect="weak"), options(), "renew", "due",
     None),
    ("loop-other-defect", site(installed=installed(defects=("weak",)), last_order_defect="chain"), options(),
     "new", "weak", None),
    ("loop-expired-again", site(installed=installed(age=99 * DAY), last_order_defect="expired"), options(),
     "new", "expired", None),
    ("loop-revoked-again", site(installed=installed(revoked=True), last_order_defect="revoked"), options(),
     "new", "revoked", None),
    ("loop-revoked-twice",
     site(installed=installed(revoked=True), last_order_defect="revoked", recent_orders=twice("revoked", MAIN, WWW)),
     options(), "hold", "loop", NOW + 4 * HOUR),
    ("loop-twice", site(installed=None, recent_orders=twice("missing", WWW, MAIN)), options(), "hold", "loop",
     NOW + 4 * HOUR),
    ("loop-other-reason", site(installed=None, recent_orders=twice("expired", MAIN, WWW)), options(), "new", "missing",
     None),
    ("loop-other-names", site(installed=None, recent_orders=twice("missing", MAIN)), options(), "new", "missing", None),
    ("loop-short-life", site(installed=installed(age=40 * MINUTE, life=HOUR), recent_orders=twice("due", MAIN, WWW)),
     options(), "renew", "due", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "settings", "action", "reason", "until"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_row(facts: SiteFacts, settings: PolicyOptions, action: str, reason: str, until: datetime | None) -> None:
    decided = need(facts, settings, NOW)
    assert (decided.action, decided.reason, decided.until) == (action, reason, until)


def test_a_pause_says_what_it_holds() -> None:
    held = need(site(*THREE), options(paused=True), NOW)
    assert (held.detail, held.missing) == ("coverage", (BLOG,))


@pytest.mark.parametrize(
    ("status", "detail"),
    [("pending", "give_up"), ("ready", "give_up"), ("processing", "finish"), ("valid", "finish"), (None, None)],
)
def test_an_open_order_of_a_stopped_site(status: str | None, detail: str | None) -> None:
    found = need(site(off="disabled", open_order=status), options(), NOW)
    assert (found.action, found.detail, found.finishes) == ("skip", detail, detail == "finish")


def test_an_order_of_a_stopped_site_that_is_staged_already_or_paused_rests() -> None:
    assert not need(site(off="suspended", open_order="valid", stored_pair="staged"), options(), NOW).finishes
    assert not need(site(off="suspended", open_order="valid"), options(paused=True), NOW).finishes


@pytest.mark.parametrize(
    ("facts", "missing"),
    [
        (site(installed=None), (MAIN, WWW)),
        (site(*THREE), (BLOG,)),
        (site(*THREE, installed=installed(MAIN, **FOREIGN)), (WWW, BLOG)),
        (site(), ()),
        (site(name(MAIN), name(BLOG, not_wanted="not_public"), installed=None), (MAIN,)),
    ],
)
def test_a_need_says_which_wanted_names_are_missing(facts: SiteFacts, missing: tuple[str, ...]) -> None:
    decided: Need = need(facts, options(), NOW)
    assert decided.missing == missing
    assert decided.names == tuple(one.name for one in facts.names if one.wanted)


def test_many_names_are_matched_against_many() -> None:
    many = [f"n{number}.a.com" for number in range(60)]
    facts = site(*(NameFacts(text) for text in [MAIN, *many]), installed=installed(MAIN, *many[:50]))
    assert need(facts, options(), NOW).missing == tuple(many[50:])
