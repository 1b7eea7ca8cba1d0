"""When to renew, defer and retry: fractions of the lifetime."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel.autossl.policy import ProviderFacts, defer_until, refused_until, renew_at, retry_at
from tests.autossl.policy_facts import DAY, HOUR, MINUTE, NOW, installed


@pytest.mark.parametrize(
    ("life", "fraction", "before_expiry"),
    [
        (90 * DAY, None, 30 * DAY),
        (90 * DAY, 1 / 3, 30 * DAY),
        (45 * DAY, None, 15 * DAY),
        (160 * HOUR, None, 80 * HOUR),
        (160 * HOUR, 1 / 3, 80 * HOUR),
        (160 * HOUR, 0.25, 40 * HOUR),
        (90 * DAY, 0.5, 45 * DAY),
        (90 * DAY, 0.01, 9 * DAY),
        (90 * DAY, 1.0, 81 * DAY),
    ],
)
def test_renew_at(life: timedelta, fraction: float | None, before_expiry: timedelta) -> None:
    ours = installed(age=timedelta(0), life=life)
    moment = renew_at(ours, ProviderFacts("ca", 100, renew_fraction=fraction), NOW)
    assert abs(ours.not_after - moment - before_expiry) < timedelta(seconds=1)


def test_a_hint_of_the_ca_counts_unless_it_lets_the_certificate_expire() -> None:
    hinted = installed(age=timedelta(0), renewal_at=NOW + 70 * DAY)
    assert renew_at(hinted, None, NOW) == NOW + 70 * DAY
    late = installed(age=timedelta(0), renewal_at=NOW + 85 * DAY)
    assert renew_at(late, None, NOW) == NOW + 81 * DAY


@pytest.mark.parametrize(
    ("life", "before_expiry"),
    [(90 * DAY, 3 * DAY), (45 * DAY, 36 * HOUR), (20 * DAY, DAY), (160 * HOUR, DAY), (60 * HOUR, 10 * HOUR)],
)
def test_defer_until(life: timedelta, before_expiry: timedelta) -> None:
    ours = installed(life=life)
    assert ours.not_after - defer_until(ours) == before_expiry


def test_a_window_that_was_brought_forward_ends_the_deferral() -> None:
    assert defer_until(installed(ari_end=NOW + DAY)) == NOW + DAY
    assert defer_until(installed(ari_end=NOW + 80 * DAY)) == NOW + 57 * DAY


@pytest.mark.parametrize(
    ("attempts", "left", "pause"),
    [
        (0, 60 * DAY, MINUTE),
        (1, 60 * DAY, MINUTE),
        (2, 60 * DAY, 10 * MINUTE),
        (3, 60 * DAY, 100 * MINUTE),
        (4, 60 * DAY, DAY),
        (99, 60 * DAY, DAY),
        (4, 2 * DAY, 12 * HOUR),
        (4, 2 * HOUR, HOUR),
        (4, -DAY, DAY),
        (4, None, DAY),
    ],
)
def test_retry_ladder(attempts: int, left: timedelta | None, pause: timedelta) -> None:
    current = None if left is None else installed(age=90 * DAY - left)
    assert retry_at(attempts, current, NOW, 0.0) == NOW + pause
    assert retry_at(attempts, current, NOW, 1.0) == NOW + pause * 1.1


def test_a_name_that_has_failed_for_a_month_and_points_elsewhere_is_asked_weekly() -> None:
    ages = [(30 * DAY, False, 7 * DAY), (29 * DAY, False, DAY), (40 * DAY, True, DAY)]
    for since, here, pause in ages:
        assert retry_at(50, None, NOW, 0.0, failing_since=NOW - since, points_here=here) == NOW + pause


@settings(deadline=None)
@given(st.integers(-5, 500), st.floats(allow_nan=False), st.integers(-1000, 5000))
def test_a_retry_is_always_ahead_and_never_given_up(attempts: int, draw: float, hours_left: int) -> None:
    moment = retry_at(attempts, installed(age=90 * DAY - hours_left * HOUR), NOW, draw)
    assert NOW + MINUTE <= moment <= NOW + 1.2 * DAY


@pytest.mark.parametrize(("times", "days"), [(1, 1), (2, 2), (3, 4), (4, 7), (9, 7)])
def test_refused_until(times: int, days: int) -> None:
    assert refused_until(times, NOW) == NOW + timedelta(days=days)
    assert isinstance(refused_until(times, NOW), datetime)


@pytest.mark.parametrize(
    ("life", "left", "times", "until"),
    [
        (90 * DAY, 40 * DAY, 4, 7 * DAY),
        (90 * DAY, 8 * DAY, 4, 5 * DAY),  # when it may be dropped, and not before it was tried once more
        (90 * DAY, 8 * DAY, 2, 2 * DAY),
        (90 * DAY, 3 * DAY, 4, 1.5 * DAY),
        (90 * DAY, DAY, 1, 12 * HOUR),
        (90 * DAY, HOUR, 1, HOUR),
        (90 * DAY, 3 * DAY + MINUTE, 1, HOUR),
        (160 * HOUR, 40 * HOUR, 3, 16 * HOUR),
        (90 * DAY, -DAY, 4, DAY),  # expired: daily
    ],
)
def test_refused_until_where_a_certificate_hangs_on_it(
    life: timedelta, left: timedelta, times: int, until: timedelta
) -> None:
    covering = installed(age=life - left, life=life)
    assert refused_until(times, NOW, covering=covering) == NOW + until
    assert refused_until(times, NOW, covering=replace(covering, ours=False)) == refused_until(times, NOW)
    assert refused_until(times, NOW, covering=replace(covering, revoked=True)) == NOW + DAY, "no browser takes it"
