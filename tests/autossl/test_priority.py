"""Between jobs (rules §4); between names, see test_policy_plan and tests/test_names.py."""

from __future__ import annotations

import pytest

from autossl_panel.autossl.policy import PolicyOptions, SiteFacts, need
from autossl_panel.autossl.priority import job_class, turn
from tests.autossl.policy_facts import BLOG, DAY, MAIN, NOW, WWW, installed, name, names, options, site

FAILING = names(MAIN, WWW, last_failed_at=NOW, last_passed_at=NOW - DAY)
PASSING = names(MAIN, WWW, last_failed_at=NOW - DAY, last_passed_at=NOW)

ROWS: list[tuple[str, SiteFacts, PolicyOptions, int]] = [
    ("0-past-defer-until", site(installed=installed(age=88 * DAY)), options(), 0),
    ("0-under-a-tenth", site(installed=installed(age=82 * DAY)), options(), 0),
    ("0-expired-lately", site(*FAILING, installed=installed(age=92 * DAY)), options(), 0),
    ("0-expired-long-but-passing", site(*PASSING, installed=installed(age=120 * DAY)), options(), 0),
    ("0-foreign-expiring", site(installed=installed(age=88 * DAY, ours=False)), options(replace_foreign=True), 0),
    ("1-missing", site(installed=None), options(), 1),
    ("1-self-signed", site(installed=installed(self_signed=True, age=89 * DAY)), options(), 1),
    ("2-weak", site(installed=installed(defects=("weak",))), options(), 2),
    ("2-covers-nothing", site(installed=installed("b.com")), options(), 2),
    ("2-foreign", site(installed=installed(defects=("chain",), ours=False), takeover=True), options(), 2),
    ("3-extend", site(*names(), name(BLOG)), options(), 3),
    ("4-renew", site(installed=installed(age=61 * DAY)), options(), 4),
    ("4-key-type", site(), options(key_type="p384", reissue_confirmed=True), 4),
    ("4-resume", site(open_order="pending"), options(), 4),
    ("5-long-expired-and-failing", site(*FAILING, installed=installed(age=98 * DAY)), options(), 5),
]


@pytest.mark.parametrize(("facts", "settings", "group"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_class(facts: SiteFacts, settings: PolicyOptions, group: int) -> None:
    assert job_class(need(facts, settings, NOW), facts, NOW) == group


def test_a_reissue_for_the_key_type_waits_for_all_that_is_due() -> None:
    """Whatever turn the last due renewal of a user with very many sites has."""
    settings, due = options(key_type="p384", reissue_confirmed=True), site(installed=installed(age=61 * DAY))
    first_reissue = turn(0, need(site(), settings, NOW))
    assert turn(0, need(due, settings, NOW)) == 0
    assert turn(100_000, need(due, settings, NOW)) < first_reissue < turn(1, need(site(), settings, NOW))
