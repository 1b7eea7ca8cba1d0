"""When the daily check begins."""

from autossl_panel.autossl import schedule
from autossl_panel.autossl.preview_told import stamp

from . import schema
from .functions import OPERATORS, Call, Data, function

SCHEDULE = schema.obj(
    {
        "cron": schema.array(schema.text(), "Minute, hour, day, month and weekday, in UTC"),
        "next_time": schema.moment(),
    }
)


@function(*OPERATORS, answers=SCHEDULE)
def get_autossl_check_schedule(call: Call) -> Data:
    """Says when the daily check begins. It is the panel's own: there is no cron entry to look for."""
    row = call.options
    at = row.daily_at
    return {
        "cron": [str(at.minute), str(at.hour), "*", "*", "*"],
        "next_time": stamp(schedule.next_check(row, call.now)),
    }
