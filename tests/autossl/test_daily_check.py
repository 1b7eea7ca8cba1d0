"""When the daily check of all users begins."""

from datetime import UTC, date, datetime, time

import pytest

from autossl_panel.autossl import options, sweep
from autossl_panel.autossl.models import Options, Run
from autossl_panel.autossl.schedule import next_check

pytestmark = pytest.mark.django_db


@pytest.fixture
def daily(server):
    """Sweep at a moment of July 2030, with the check due at a time of day and last done on a day of that month."""
    row = options.current(server)

    def at(day: int, hour: int, minute: int, *, due: time, done: int) -> bool:
        Options.objects.filter(pk=row.pk).update(daily_at=due, daily_done_on=date(2030, 7, done))
        Run.objects.all().delete()
        return sweep._start_daily(server, datetime(2030, 7, day, hour, minute, tzinfo=UTC))

    return at


def test_it_begins_once_a_day_from_its_minute_on(daily):
    assert not daily(2, 2, 59, due=time(3, 0), done=1)
    assert daily(2, 3, 0, due=time(3, 0), done=1)
    assert Options.objects.get().daily_done_on == date(2030, 7, 2)
    assert not daily(2, 3, 1, due=time(3, 0), done=2)
    assert daily(2, 23, 0, due=time(3, 0), done=1)


def test_done_on_a_day_to_come_it_begins_once_and_then_daily(server, daily):
    """The clock ran ahead by days, and is right again."""
    assert daily(2, 12, 0, due=time(3, 0), done=9)
    assert Options.objects.get().daily_done_on == date(2030, 7, 2)
    began = []
    for hour in range(12, 12 + 72):
        at = datetime(2030, 7, 2 + hour // 24, hour % 24, tzinfo=UTC)
        if sweep._start_daily(server, at):
            began.append((at.day, at.hour))
    assert began == [(3, 3), (4, 3), (5, 3)]


def test_before_its_minute_it_makes_up_for_the_day_before(daily):
    assert daily(2, 1, 0, due=time(3, 0), done=9)
    assert Options.objects.get().daily_done_on == date(2030, 7, 1)


def test_a_minute_that_is_moved_to_later_brings_no_second_check_of_the_day(daily):
    assert not daily(2, 4, 0, due=time(23, 0), done=2)
    assert not daily(2, 23, 0, due=time(23, 0), done=2)


@pytest.mark.parametrize(
    ("hour", "done", "said"),
    [
        (12, 1, (2, 3)), (2, 1, (2, 3)), (2, 2, (3, 3)), (12, 2, (3, 3)),
        # The next sweep begins it, which is now or late already.
        (2, 9, (2, 2)), (12, 9, (2, 3)),
    ],
)  # fmt: skip
def test_what_is_told_of_the_next_one(server, hour, done, said):
    row = options.current(server)
    row.daily_at, row.daily_done_on = time(3, 0), date(2030, 7, done)
    at = next_check(row, datetime(2030, 7, 2, hour, tzinfo=UTC))
    assert (at.day, at.hour) == said


def test_a_minute_before_midnight_that_no_sweep_met_is_made_up_for(daily):
    assert daily(3, 0, 0, due=time(23, 59), done=1)
    assert Options.objects.get().daily_done_on == date(2030, 7, 2)
    assert not daily(3, 0, 1, due=time(23, 59), done=2)
