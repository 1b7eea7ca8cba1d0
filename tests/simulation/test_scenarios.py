"""Each scenario played at a small size: nothing expires that could be renewed, no limit refuses; and it did happen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from autossl_panel.simulation import capacity
from autossl_panel.simulation.play import Result, play
from autossl_panel.simulation.report import as_json, as_text, span
from autossl_panel.simulation.scenarios import HAPPENS, SCENARIOS, STARTS, YEAR, Setting
from autossl_panel.simulation.times import DAY, HOUR

LIFETIMES = [90 * DAY, 64 * DAY, 45 * DAY, 160 * HOUR]


def played(*scenarios: str, **given: object) -> Result:
    found = play(replace(Setting(hosts=400, days=120, scenarios=scenarios), **given))
    assert found.tally.faults == []
    assert found.good, as_text(found)
    assert (found.tally.expired, found.tally.refused, found.refused) == (0, 0, 0)
    return found


# In every run the longest with the CA's hints and the shortest without; all others with the slow tests
@pytest.mark.parametrize(
    ("lifetime", "ari"),
    [
        pytest.param(
            lifetime,
            ari,
            marks=() if (lifetime, ari) in ((LIFETIMES[0], True), (LIFETIMES[-1], False)) else pytest.mark.slow,
            id=f"{span(lifetime)}-{'ari' if ari else 'no-ari'}",
        )
        for lifetime in LIFETIMES
        for ari in (True, False)
    ],
)
def test_everything_at_once(lifetime: int, ari: bool) -> None:
    found = played(*YEAR, lifetime=lifetime, ari=ari, seed=2)
    tally = found.tally
    assert tally.certificates > 400
    assert tally.orders >= tally.certificates
    assert bool(tally.by_kind["ari"]) == ari
    assert sum(tally.by_day.values()) == tally.orders == sum(tally.by_kind.values())


@pytest.mark.parametrize("scenario", [*STARTS, *HAPPENS])
def test_each_alone_with_short_certificates(scenario: str) -> None:
    found = played(scenario, lifetime=45 * DAY)
    assert found.tally.certificates >= 400


@pytest.mark.parametrize(
    "lifetime",
    [pytest.param(one, marks=() if one == LIFETIMES[2] else pytest.mark.slow, id=span(one)) for one in LIFETIMES],
)
def test_all_sites_new_on_one_day(lifetime: int) -> None:
    found = played("migration", lifetime=lifetime, hosts=1000, days=30)
    tally = found.tally
    assert tally.first == 1000
    assert found.without == found.waiting == 0
    # Four fifths of the orders that a CA allows, less what is left to urgent ones: 216 in three hours.
    assert tally.by_day[0] == 1000
    assert 4 * 3 * HOUR < tally.first_latest < 24 * HOUR
    assert 4 * 3 * HOUR < tally.waited["orders"] <= tally.first_latest
    assert sum(tally.first_by_hour.values()) == 1000


def test_a_certificate_is_renewed_in_its_window_and_counts_for_no_limit() -> None:
    found = played("settled", days=90)
    assert found.tally.by_kind["ari"] == found.tally.orders
    assert found.tally.waited == {}


def test_who_waits_for_a_used_up_limit_is_not_forgotten_when_the_certificate_is_due() -> None:
    """Far more sites than the account may have in the time: orders for new names wait for months, renewals do not."""
    scenarios = ("migration", "dns", "windows", "revocation", "growth")
    few = (("orders", 1, 3 * HOUR, False),)
    found = play(Setting(hosts=2000, days=250, limits=few, scenarios=scenarios))
    assert found.waiting > 0
    assert (found.tally.expired, found.refused, found.tally.faults) == (0, 0, [])


def test_sites_that_come_from_another_provider_are_new_to_this_one() -> None:
    found = played("moved", days=90, ari=False)
    assert found.tally.by_kind["new"] == 400


def test_names_that_fail_cost_no_order() -> None:
    found = played("dns", days=365)
    tally = found.tally
    assert tally.failing_ordered == tally.reduced_early == 0
    assert tally.unrenewable > 0, "sites that went elsewhere do expire"


def test_names_that_the_ca_alone_refuses_use_up_few_orders() -> None:
    found = played("refusals", "settled", hosts=1500)
    tally = found.tally
    assert 0 < tally.orders - tally.certificates < 100


def test_a_ca_that_is_down_for_days_lets_nothing_expire() -> None:
    calm, stormy = played("settled", days=200), played("outages", "settled", days=200)
    assert stormy.tally.certificates >= calm.tally.certificates * 0.95


def test_a_slow_ca_gets_no_second_order_for_what_it_is_at() -> None:
    found = played("slow", "settled", days=200)
    assert found.tally.orders == found.tally.certificates


def test_revoked_in_masses_all_are_replaced_before() -> None:
    calm, hurried = played("settled", days=100), played("revocation", "settled", days=100)
    assert hurried.tally.unrenewable == 0
    assert hurried.tally.certificates >= calm.tally.certificates + 15


def test_another_key_type_for_all_in_its_turn() -> None:
    found = played("reissue", "settled", days=100)
    assert found.tally.by_kind["same_set"] > 250


def test_a_second_provider_takes_what_waits() -> None:
    alone, helped = played("migration", hosts=1000), played("migration", "fallback", hosts=1000)
    assert helped.tally.first_latest < alone.tally.first_latest


def test_two_accounts_share_the_limits_of_domains() -> None:
    one, two = played("migration", hosts=1000), played("migration", hosts=1000, accounts=2)
    assert two.tally.first_latest < one.tally.first_latest


def test_it_is_the_same_again_and_another_with_another_seed() -> None:
    setting = Setting(hosts=150, days=60)
    first, again, other = play(setting), play(setting), play(replace(setting, seed=7))
    assert first.tally == again.tally
    assert first.tally != other.tally


def test_looking_at_all_every_day_finds_nothing_more() -> None:
    setting = Setting(hosts=300, days=120, scenarios=("settled", "windows", "clock"))
    by_moment, daily = play(setting), play(replace(setting, daily=True))
    assert daily.good
    assert by_moment.good
    assert daily.tally.orders == by_moment.tally.orders


def test_one_line_for_programs() -> None:
    found = played("settled", days=10)
    line = as_json(found)
    assert "\n" not in line
    said = json.loads(line)
    assert list(said) == [
        "virtual_hosts", "days", "expired_while_renewable", "refused_429", "orders", "seconds",
    ]  # fmt: skip
    assert (said["virtual_hosts"], said["days"], said["orders"]) == (400, 10, found.tally.orders)
    text = as_text(found)
    for words in ("orders a day", "latest of a site", "longest wait for a permit", "expired while renewable"):
        assert words in text


def test_every_scenario_has_words() -> None:
    assert set(YEAR) <= set(SCENARIOS)
    assert all(SCENARIOS.values())


@pytest.mark.slow
def test_what_an_account_carries_is_found_by_playing() -> None:
    sizes = capacity.Sizes(new=(60,), steady=60, year=60, a_day=2, lifetimes=(160 * HOUR,))
    page = capacity.as_markdown(capacity.measure(sizes))
    assert page.startswith("# Capacity\n")
    rows = [line for line in page.splitlines() if line.startswith("| 160 h |")]
    assert len(rows) == 3  # carried with and without ARI, a year
    assert "| 60 |" in page
    assert "300 orders in 3 h" in page
