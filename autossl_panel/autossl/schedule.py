"""When the daily check begins. The sweep begins it; here is only what is told of it."""

from datetime import datetime, timedelta

from .models import Options


def next_check(row: Options, now: datetime) -> datetime:
    """When the daily check begins next; it is over for today once it has begun."""
    at = datetime.combine(now.date(), row.daily_at, tzinfo=now.tzinfo)
    if row.daily_done_on is not None and row.daily_done_on > now.date():
        # By a clock that ran ahead: the next sweep makes up for it.
        at = min(at, now)
    elif row.daily_done_on == now.date():
        at += timedelta(days=1)
    elif at < now and row.daily_done_on is None:
        # Never ran: a panel that was set up today begins tomorrow.
        at += timedelta(days=1)
    return at
