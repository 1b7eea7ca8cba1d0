"""Renewal information: the draw, windows brought forward, and what an order may say it replaces."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autossl_panel.autossl.policy.hints import (
    Predecessor,
    Window,
    brought_forward,
    draw_at,
    forward_until,
    replaces_free,
    usual_renewal,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

moments = st.timedeltas(-2000 * DAY, 2000 * DAY).map(lambda away: NOON + away)
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=400))
windows = st.builds(lambda start, span: Window(start, start + span), moments, spans)
lives = st.builds(lambda start, span: (start, start + span), moments, st.timedeltas(HOUR, 400 * DAY))


@given(windows, st.floats(allow_nan=False))
def test_a_draw_never_leaves_the_window(window: Window, fraction: float) -> None:
    assert window.contains(draw_at(window, fraction))


@given(windows, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_draw_is_no_earlier(window: Window, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert draw_at(window, low) <= draw_at(window, high)


@given(windows)
def test_draws_reach_from_end_to_end(window: Window) -> None:
    assert (draw_at(window, 0), draw_at(window, 1)) == (window.start, window.end)


@given(lives, windows, st.none() | windows)
def test_the_same_window_again_is_not_brought_forward_by_itself(
    life: tuple[datetime, datetime], window: Window, earlier: Window | None
) -> None:
    first = brought_forward(window, None, *life)
    assert brought_forward(window, window, *life) == first
    # Whatever was seen earlier only ever adds to what the usual renewal says.
    assert brought_forward(window, earlier, *life) or not first


@given(lives, windows, windows, st.timedeltas(timedelta(0), 400 * DAY))
def test_an_earlier_end_is_never_less_urgent(
    life: tuple[datetime, datetime], window: Window, earlier: Window, sooner: timedelta
) -> None:
    hurried = Window(window.start - sooner, window.end - sooner)
    assert brought_forward(hurried, earlier, *life) or not brought_forward(window, earlier, *life)


@given(lives, windows, st.none() | windows, st.none() | moments)
def test_a_deferral_ends_with_the_window_or_does_not_change(
    life: tuple[datetime, datetime], window: Window, earlier: Window | None, until: datetime | None
) -> None:
    found = forward_until(window, earlier, until, *life)
    assert found in (None, window.end)
    if brought_forward(window, earlier, *life):
        assert found == window.end


@given(lives)
def test_a_window_around_the_usual_renewal_is_no_hurry(life: tuple[datetime, datetime]) -> None:
    moment, slack = usual_renewal(*life), (life[1] - life[0]) / 100
    assert not brought_forward(Window(moment - slack, moment + slack), None, *life)


BORN, DIES = NOON, NOON + 90 * DAY  # usually renewed on day 60, a twentieth of its life is 4.5 days
NORMAL = Window(NOON + 59 * DAY, NOON + 61 * DAY)


@pytest.mark.parametrize(
    ("window", "earlier", "expected"),
    [
        (NORMAL, None, False),
        (Window(NOON + 55 * DAY, NOON + 55.6 * DAY), None, False),  # a little before the usual day is no hurry
        (Window(NOON + 55 * DAY, NOON + 55.4 * DAY), None, True),
        (Window(NOON - DAY, NOON), None, True),  # mass revocation: at once
        (Window(NOON + 60 * DAY, NOON + 63 * DAY), Window(NOON + 70 * DAY, NOON + 72 * DAY), True),
        (Window(NOON + 60 * DAY, NOON + 66 * DAY), Window(NOON + 70 * DAY, NOON + 72 * DAY), False),
        (Window(NOON + 80 * DAY, NOON + 85 * DAY), NORMAL, False),  # put off
    ],
)
def test_what_is_brought_forward(window: Window, earlier: Window | None, expected: bool) -> None:
    assert brought_forward(window, earlier, BORN, DIES) == expected


def test_a_window_brought_forward_stays_so_while_it_only_moves_a_little() -> None:
    late = Window(NOON + 76 * DAY, NOON + 90 * DAY)  # a CA that asks for renewal late
    hurried = Window(NOON + 60 * DAY, NOON + 61 * DAY)
    until = forward_until(hurried, late, None, BORN, DIES)
    assert until == hurried.end
    moved = Window(hurried.start + HOUR, hurried.end + HOUR)
    assert forward_until(moved, hurried, until, BORN, DIES) == moved.end
    assert forward_until(late, moved, moved.end, BORN, DIES) is None
    assert forward_until(moved, hurried, None, BORN, DIES) is None


OLD = Predecessor("aki.serial", ("a.example", "www.a.example"), provider=1, account=2, window=NORMAL)


@pytest.mark.parametrize(
    ("old", "names", "now", "expected"),
    [
        (OLD, ["a.example"], NORMAL.start, True),
        (OLD, ["www.a.example", "b.example"], NORMAL.end, True),
        (OLD, ["a.example"], NORMAL.start - HOUR, False),
        (OLD, ["a.example"], NORMAL.end + HOUR, False),
        (OLD, ["b.example"], NORMAL.start, False),
        (OLD, [], NORMAL.start, False),
        (replace(OLD, provider=3), ["a.example"], NORMAL.start, False),
        (replace(OLD, account=3), ["a.example"], NORMAL.start, False),
        (replace(OLD, account=None), ["a.example"], NORMAL.start, False),
        (replace(OLD, replaced=True), ["a.example"], NORMAL.start, False),
        (replace(OLD, window=None), ["a.example"], NORMAL.start, False),
        (replace(OLD, ari_id=""), ["a.example"], NORMAL.start, False),
    ],
)
def test_which_order_replaces_freely(old: Predecessor, names: list[str], now: datetime, expected: bool) -> None:
    assert replaces_free(old, names, provider=1, account=2, now=now) == expected
