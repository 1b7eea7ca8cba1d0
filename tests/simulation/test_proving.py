"""Preflight of a simulated panel: what is suspended and when names are asked again, as the heart does it."""

from __future__ import annotations

from datetime import timedelta

from autossl_panel.simulation.estate import build
from autossl_panel.simulation.proving import Prover
from autossl_panel.simulation.rows import Rows
from autossl_panel.simulation.times import DAY, HOUR, Stretches, moment
from autossl_panel.simulation.weather import Weather, for_good

HOSTS = 40
NOW = 100 * DAY


def prover(weather: Weather) -> Prover:
    """Of hosts that are all covered and have passed before."""
    rows = Rows(build(HOSTS, 1, 0))
    for host in range(HOSTS):
        rows.last_passed[host], rows.covered[host] = DAY, rows.estate.whole(host)
        rows.not_before[host], rows.not_after[host] = DAY, NOW + 60 * DAY
    return Prover(rows, weather)


def ask(one: Prover, host: int, at: int) -> None:
    now = moment(at)
    found = one.ask(host, one.rows.names(host), at)
    one.record(host, found, one.rows.facts(host, now).installed, now, 0.0, at)


def test_a_lying_resolver_suspends_reductions_until_names_pass_again() -> None:
    one = prover(Weather(lying=Stretches([(NOW, NOW + 5 * HOUR)])))
    for host in range(20):
        ask(one, host, NOW - 3 * HOUR)
    assert not one.suspended(NOW, moment(NOW))
    for n, host in enumerate(range(20, HOSTS)):
        ask(one, host, NOW + 60 * n)
    at = NOW + HOUR
    assert one.suspended(at, moment(at))
    assert not one.suspended(NOW + 26 * HOUR, moment(NOW + 26 * HOUR))
    for host in range(20, HOSTS):
        ask(one, host, NOW + 6 * HOUR)
    assert not one.suspended(NOW + 6 * HOUR, moment(NOW + 6 * HOUR))


def test_names_that_have_failed_for_weeks_suspend_nothing() -> None:
    one = prover(Weather(spells={host: (for_good(1),) for host in range(HOSTS)}))
    for at in (NOW - 8 * DAY, NOW):
        for host in range(HOSTS):
            ask(one, host, at)
    assert not one.suspended(NOW, moment(NOW))


def test_only_an_uncovered_name_is_asked_weekly() -> None:
    one = prover(Weather(spells={host: (for_good(1),) for host in (0, 1, 2)}))
    one.rows.covered[1] = 0
    one.rows.not_after[2] = NOW - DAY
    for at in (NOW - 31 * DAY, NOW):
        for host in (0, 1, 2):
            if at == NOW:
                row = one.rows.verdicts[host][0]
                row.attempts, row.retry_at = 9, None
            ask(one, host, at)
    waits = []
    for host in (0, 1, 2):
        retry_at = one.rows.verdicts[host][0].retry_at
        assert retry_at is not None
        waits.append(retry_at - moment(NOW))
    assert waits == [timedelta(days=1), timedelta(days=7), timedelta(days=1)]
