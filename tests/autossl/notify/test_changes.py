"""When something is told, as a table, and for any history: never twice without a change, never silent about news."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autossl_panel.autossl.notify.changes import Condition, Known, Stage, look

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
A, B, C = ("a.example", "dns"), ("b.example", "dns"), ("a.example", "caa")


def told(
    history: list[tuple[timedelta, set[tuple[str, str]] | None]],
    *,
    not_after: datetime | None = None,
    patience: timedelta | None = timedelta(0),
) -> list[str]:
    """What the administrator is told at each of these looks: "-" nothing, else the stage."""
    known: Known | None = None
    said = []
    for after, facts in history:
        condition = Condition(frozenset(facts), not_after, None, patience) if facts else None
        change = look(known, condition, NOW + after)
        known = change.known
        assert change.user is None
        said.append(change.admin.name.lower() if change.admin else "-")
    return said


@pytest.mark.parametrize(
    ("history", "said"),
    [
        pytest.param([(0 * DAY, {A}), (1 * DAY, {A}), (2 * DAY, {A})], ["first", "-", "-"], id="told once"),
        pytest.param([(0 * DAY, {A}), (1 * DAY, {A, B})], ["first", "first"], id="another name fails: told"),
        pytest.param([(0 * DAY, {A}), (1 * DAY, {C})], ["first", "first"], id="another cause: told"),
        pytest.param([(0 * DAY, {A, B}), (1 * DAY, {A})], ["first", "-"], id="better, not over: silent"),
        pytest.param([(0 * DAY, {A}), (HOUR, None), (23 * HOUR, {A})], ["first", "-", "-"], id="back within a day"),
        pytest.param([(0 * DAY, {A}), (HOUR, None), (26 * HOUR, {A})], ["first", "-", "first"], id="back after a day"),
        pytest.param(
            [(0 * DAY, {A, B}), (DAY, {A}), (3 * DAY, {A, B})],
            ["first", "-", "first"],
            id="a name that was good for a day fails again: told, though the other failed all along",
        ),
        pytest.param(
            [(0 * DAY, {A}), (DAY, {C}), (1.5 * DAY, {A}), (2 * DAY, {C})],
            ["first", "first", "-", "-"],
            id="to and fro between two causes: each told once",
        ),
        pytest.param([(0 * DAY, None), (DAY, None)], ["-", "-"], id="nothing is wrong"),
    ],
)
def test_on_change_only(history, said):
    assert told(history) == said


@pytest.mark.parametrize(
    ("days", "said"),
    [
        ([0, 14, 15, 16, 26, 27, 29], ["first", "-", "half", "-", "-", "tenth", "-"]),
        # The panel was off for weeks: what was missed is told once
        ([0, 28, 29], ["first", "tenth", "-"]),
        # After the end nothing more comes of this state
        ([0, 31, 90], ["first", "tenth", "-"]),
    ],
)
def test_again_at_half_and_at_a_tenth_of_the_remaining_life(days, said):
    assert told([(day * DAY, {A}) for day in days], not_after=NOW + 30 * DAY) == said


def test_a_change_does_not_make_the_half_come_again():
    history = [(0 * DAY, {A}), (16 * DAY, {A}), (17 * DAY, {A, B}), (18 * DAY, {A, B}), (27 * DAY, {A, B})]
    assert told(history, not_after=NOW + 30 * DAY) == ["first", "half", "first", "-", "tenth"]


def test_back_within_a_day_the_half_that_has_come_meanwhile_is_told():
    history = [(0 * DAY, {A}), (14.8 * DAY, None), (15.2 * DAY, {A}), (16 * DAY, {A})]
    assert told(history, not_after=NOW + 30 * DAY) == ["first", "-", "half", "-"]


@pytest.mark.parametrize(
    ("history", "not_after", "said"),
    [
        ([(0 * DAY, {A}), (23 * HOUR, {A}), (25 * HOUR, {A}), (3 * DAY, {A})], None, ["-", "-", "first", "-"]),
        # It mended itself
        ([(0 * DAY, {A}), (12 * HOUR, None), (40 * HOUR, None)], None, ["-", "-", "-"]),
        # It changes every few hours: that it lasts is what counts
        ([(0 * DAY, {A}), (12 * HOUR, {C}), (25 * HOUR, {B})], None, ["-", "-", "first"]),
        # Half of a life that is nearly over comes before any patience ends
        ([(0 * DAY, {A}), (6 * HOUR, {A}), (13 * HOUR, {A})], NOW + DAY, ["-", "-", "half"]),
    ],
)
def test_patience(history, not_after, said):
    assert told(history, not_after=not_after, patience=DAY) == said


def test_whom_nobody_can_tell_is_told_when_that_is_possible():
    first = look(None, Condition(frozenset({A}), None, None, None), NOW)
    assert (first.user, first.admin) == (None, None)
    assert first.known is not None
    assert first.known.next_at is None, "nothing to wake up for"
    later = look(first.known, Condition(frozenset({A})), NOW + 5 * DAY)
    assert (later.user, later.admin) == (Stage.FIRST, Stage.FIRST)


def test_the_next_moment_is_the_earliest_of_both_audiences():
    condition = Condition(frozenset({A}), NOW + 30 * DAY, user_patience=DAY)
    first = look(None, condition, NOW)
    assert (first.user, first.admin) == (None, Stage.FIRST)
    assert first.known is not None
    assert first.known.next_at == NOW + DAY
    second = look(first.known, condition, NOW + DAY)
    assert second.known is not None
    assert (second.user, second.known.next_at) == (Stage.FIRST, NOW + 15 * DAY)
    last = look(second.known, condition, NOW + 28 * DAY)
    assert last.known is not None
    assert last.known.next_at is None


def test_what_is_long_over_is_forgotten():
    known = look(None, Condition(frozenset({A})), NOW).known
    known = look(known, None, NOW + HOUR).known
    assert known is not None
    assert look(known, None, NOW + 2 * DAY).known is None


FACTS = st.sets(st.sampled_from([A, B, C]))
STEPS = st.lists(st.tuples(st.integers(min_value=1, max_value=60), FACTS), min_size=1, max_size=30)


@given(steps=STEPS, life=st.one_of(st.none(), st.integers(min_value=1, max_value=2000)))
def test_for_any_history(steps, life):
    """`steps` are (hours since the step before, what is so then)."""
    not_after = NOW + life * HOUR if life is not None else None
    known: Known | None = None
    now = NOW
    last_so: dict[tuple[str, str], datetime] = {}  # when each fact was last seen to be so, or still
    open_since: dict[tuple[str, str], datetime | None] = {}  # when it was seen to be gone, None while it is so
    stages: list[Stage] = []
    for hours, facts in steps:
        now += hours * HOUR
        lately = {fact for fact in last_so if open_since[fact] is None or now - (open_since[fact] or now) < DAY}
        news = facts - lately
        change = look(known, Condition(frozenset(facts), not_after) if facts else None, now)
        if not lately:
            stages = []
        if news:
            assert change.admin is not None, "never silent about what is new"
        if not facts:
            assert change.admin is None
        if change.admin is not None and not news:
            assert change.admin in (Stage.HALF, Stage.TENTH), "without news only the half and the tenth are told"
            assert not_after is not None
            assert change.admin not in stages, "each once"
            assert all(change.admin > earlier for earlier in stages)
        if change.admin is not None and change.admin != Stage.FIRST:
            stages.append(change.admin)
        assert change.user == change.admin
        for fact in last_so:
            if fact not in facts and open_since[fact] is None:
                open_since[fact] = now
        for fact in facts:
            last_so[fact], open_since[fact] = now, None
        if change.known is not None and change.known.next_at is not None:
            assert change.known.next_at > now
        known = change.known
