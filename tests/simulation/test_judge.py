"""The judge finds what is wrong: a panel that orders nothing, a ledger that counts nothing, rules that are broken."""

from __future__ import annotations

from typing import Any

import pytest

from autossl_panel.autossl.ledger import Ledger
from autossl_panel.simulation.authorities import Move
from autossl_panel.simulation.play import Result
from autossl_panel.simulation.scenarios import Setting
from autossl_panel.simulation.times import DAY, HOUR, START, Stretches
from autossl_panel.simulation.weather import for_good
from autossl_panel.simulation.world import World


def world_of(*scenarios: str, hosts: int = 60, days: int = 60, **given: object) -> World:
    return World(Setting(hosts=hosts, days=days, scenarios=scenarios, lifetime=45 * DAY, **given))  # type: ignore[arg-type]


def live(world: World) -> World:
    world.panel.live(world.ends)
    world.judge.closes(world.ends)
    return world


def test_a_panel_that_orders_nothing_lets_all_expire() -> None:
    world = world_of("settled")
    world.panel.slots = 0
    live(world)
    assert world.judge.tally.expired == 60
    assert {fault.what for fault in world.judge.tally.faults} == {"expired though it could be renewed"}


def test_a_ledger_that_counts_nothing_is_refused() -> None:
    world = world_of("migration", hosts=400, days=1)
    world.accounts[0].ledger = Ledger(())
    live(world)
    assert world.ca.oracle.refusals
    assert world.judge.tally.refused == len(world.ca.oracle.refusals)


def test_what_expires_because_its_names_fail_is_nobodys_fault() -> None:
    world = world_of("settled", hosts=20)
    world.weather.spells.update({host: (for_good((1 << 60) - 1),) for host in range(20)})
    live(world)
    assert (world.judge.tally.expired, world.judge.tally.unrenewable) == (0, 20)


@pytest.mark.parametrize(
    ("cause", "held"),
    [
        ("off", lambda world: {"off": Stretches([(0, 2**32 - 1)])}),
        ("resolver", lambda world: {"resolver": Stretches([(0, 2**32 - 1)])}),
        ("ca", lambda world: {"ca": Stretches([(0, 2**32 - 1)])}),
        # Most of the time counts: the last four days of a renewal that is due for fifteen are not it.
        (
            "ca",
            lambda world: {
                "off": Stretches([(world.rows.not_after[0] - 4 * DAY, 2**32 - 1)]),
                "ca": Stretches([(0, world.rows.not_after[0] - 4 * DAY)]),
            },
        ),
    ],
)
def test_what_nobody_could_renew_is_told_by_what_took_most_of_the_time(cause: str, held: Any) -> None:
    world = world_of("settled", hosts=1)
    world.panel.slots = 0
    world.judge.keeping |= held(world)
    world.judge.nobody = [stretch for one in world.judge.keeping.values() for stretch in one]
    live(world)
    tally = world.judge.tally
    assert (tally.expired, tally.unrenewable_by) == (0, {cause: 1})


def test_names_that_fail_are_a_cause_of_their_own_and_so_is_too_little_time() -> None:
    world = world_of("settled", hosts=2)
    world.panel.slots = 0
    world.weather.spells[0] = (for_good((1 << 60) - 1),)
    live(world)
    assert world.judge.tally.unrenewable_by == {"names": 1}
    world.rows.not_after[1] = START + 40 * DAY
    world.judge.issued(1, 3, START + DAY + 20 * HOUR, START + HOUR)
    assert world.judge.tally.unrenewable_by == {"names": 1, "short": 1}, "nineteen hours from a revocation that is seen"


@pytest.mark.parametrize(("gap", "expired"), [(20 * HOUR, 0), (40 * HOUR, 1)])
def test_a_stretch_of_good_weather_is_time_enough(gap: int, expired: int) -> None:
    world = world_of("settled", hosts=1)
    world.panel.slots = 0
    middle = world.rows.not_after[0] - 5 * DAY
    world.weather.spells[0] = ((0, middle, (1 << 60) - 1), (middle + gap, 2**32 - 1, (1 << 60) - 1))
    live(world)
    assert world.judge.tally.expired == expired
    assert world.judge.tally.unrenewable == 1 - expired


def test_an_order_for_a_name_that_fails_is_a_fault() -> None:
    world = world_of("settled", hosts=2)
    world.weather.spells[0] = ((0, 2**32 - 1, 2),)
    world.judge.ordered(0, 1, "new", START, refused=False)
    assert world.judge.tally.failing_ordered == 0
    world.judge.ordered(0, 3, "new", START, refused=False)
    assert world.judge.tally.failing_ordered == 1


@pytest.mark.parametrize(("before", "early"), [(10 * DAY, 1), (12 * HOUR, 0)])
def test_coverage_may_go_shortly_before_the_end_alone(before: int, early: int) -> None:
    world = world_of("settled", hosts=2)
    world.weather.spells[0] = ((0, 2**32 - 1, 2),)
    world.rows.covered[0] = 3
    world.judge.issued(0, 1, world.rows.not_after[0] - before, 0)
    assert (world.judge.tally.reduced, world.judge.tally.reduced_early) == (1, early)


def test_a_name_that_fails_for_good_is_dropped_in_its_time_by_the_rules() -> None:
    world = world_of("settled", hosts=10)
    host = next(host for host in range(10) if not world.estate.added(host, 1))
    world.weather.spells[host] = (for_good(2, START + DAY),)
    live(world)
    tally = world.judge.tally
    assert (tally.reduced, tally.reduced_early, tally.expired, tally.unrenewable) == (1, 0, 0, 0)
    assert world.rows.covered[host] & 3 == 1


def test_coverage_may_not_go_for_names_that_work() -> None:
    world = world_of("settled", hosts=2)
    world.rows.covered[0] = 3
    world.judge.issued(0, 1, world.rows.not_after[0] - HOUR, 0)
    assert world.judge.tally.reduced_early == 1


def test_a_certificate_is_due_by_the_window_that_the_ca_says() -> None:
    world = world_of("settled", hosts=2)
    since, until = world.rows.not_before[0], world.rows.not_after[0]
    usual = world.judge._due(0)
    assert usual == max(since + int(45 * DAY * (2 / 3 + 0.01)), START)
    world.ca.moves = [Move(since + 1, 1.0, 5 * DAY)]
    assert world.judge._due(0) == since + int(45 * DAY * (2 / 3 + 0.01)) + 5 * DAY
    world.ca.moves = [Move(since + 1, 1.0, 30 * DAY)]
    assert world.judge._due(0) == until - int(4.5 * DAY), "no hint counts in the last tenth"
    world.ca.moves = [Move(START + DAY, 1.0, hurry=True)]
    assert world.judge._due(0) == START + 2 * DAY


def test_a_revoked_certificate_that_stays_is_a_fault() -> None:
    world = world_of("settled", hosts=1)
    world.judge.issued(0, 3, START + 2 * DAY, START + HOUR)
    assert world.judge.tally.expired == 0, "a day to notice, and time enough to act"
    world.rows.not_after[0] = START + 40 * DAY
    world.judge.issued(0, 3, START + 6 * DAY, START + HOUR)
    assert world.judge.tally.expired == 1


def test_waits_are_measured_till_the_permit_or_the_end() -> None:
    world = world_of("settled", hosts=3)
    for host in range(3):
        world.judge.waits(host, "orders", START)
    world.judge.waits(0, "domain", START + HOUR)  # it waits since before
    world.judge.permitted(0, START + 2 * HOUR)
    world.judge.rests(1)
    assert world.judge.tally.waited == {"orders": 2 * HOUR}
    world.judge.closes(START + 5 * HOUR)
    assert world.judge.tally.waited == {"orders": 5 * HOUR}


def test_a_result_is_good_only_where_nothing_happened_that_must_not() -> None:
    for field in ("expired", "reduced_early", "failing_ordered"):
        world = world_of("settled", hosts=1)
        setattr(world.judge.tally, field, 1)
        assert not Result(world.setting, world.judge.tally, 0, 0, 0, 0.0).good
    tally = world_of("settled", hosts=1).judge.tally
    assert Result(world.setting, tally, 0, 0, 0, 0.0).good
    assert not Result(world.setting, tally, 1, 0, 0, 0.0).good
