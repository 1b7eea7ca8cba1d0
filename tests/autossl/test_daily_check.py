"""When the daily check of all users begins."""

from datetime import UTC, date, datetime, time

import pytest

from autossl_panel.autossl import options, sweep
from autossl_panel.autossl.models import Options, Run

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


def test_a_minute_before_midnight_that_no_sweep_met_is_made_up_for(daily):
    assert daily(3, 0, 0, due=time(23, 59), done=1)
    assert Options.objects.get().daily_done_on == date(2030, 7, 2)
    assert not daily(3, 0, 1, due=time(23, 59), done=2)
