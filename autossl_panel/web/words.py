"""Moments and durations as a person says them, in the zone that is active; the page's foot says which. Distances are
taken in UTC: between two moments of one zone Python counts by the clock on the wall, wrong when that is put forward."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from django.utils import formats, timezone
from django.utils.translation import get_language, ngettext, pgettext
from django.utils.translation import gettext as _


@lru_cache(maxsize=4096)
def _written(day: date, pattern: str, _language: str | None) -> str:
    return formats.date_format(day, pattern)


def _date(day: date, pattern: str) -> str:
    """A day as the language writes it. The rows of a table are of few days, and each of them is written once."""
    return _written(day, pattern, get_language())


def exact(at: datetime) -> str:
    """Mon 23 Nov 2026, 15:41:08 UTC, whatever zone is active."""
    at = at.astimezone(UTC)
    text = _date(at.date(), pgettext("date format", "D j M Y"))
    return f"{text}, {at:%H:%M:%S} UTC"


def zone(now: datetime) -> str:
    """“UTC”, “Europe/Berlin (UTC+1)”: the zone that is active, and how far it is off UTC now."""
    name, offset = str(timezone.get_current_timezone()), timezone.localtime(now).utcoffset() or timedelta()
    if name == "UTC":
        return name
    minutes = round(offset.total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    off = f"{hours}:{rest:02d}" if rest else f"{hours}"
    return f"{name} (UTC{'+' if minutes >= 0 else '−'}{off})"


def moment(at: datetime, now: datetime) -> str:
    """“just now”, “today, 03:14”, “yesterday, 18:20”, “Tue 24 Nov, 03:12”."""
    if is_now(at, now):
        return _("just now")
    here = timezone.localtime(at)
    days = (here.date() - timezone.localtime(now).date()).days
    time = f"{here:%H:%M}"
    if days == 0:
        return _("today, %(time)s") % {"time": time}
    if days == -1:
        return _("yesterday, %(time)s") % {"time": time}
    if days == 1:
        return _("tomorrow, %(time)s") % {"time": time}
    if -7 < days < 7:
        text = _date(here.date(), pgettext("date format", "D j M"))
        return f"{text}, {time}"
    return f"{day(at, now)}, {time}"


def is_now(at: datetime, now: datetime) -> bool:
    """Whether a moment is said to be just now, so that how far off it is says nothing more."""
    return timedelta(0) <= _between(at, now) < timedelta(seconds=60)


def day(at: datetime, now: datetime) -> str:
    """“2 Dec”, with the year where it is another one."""
    here = timezone.localtime(at)
    if here.year == timezone.localtime(now).year:
        return _date(here.date(), pgettext("date format", "j M"))
    return _date(here.date(), pgettext("date format", "j M Y"))


def date_of(day: date) -> str:
    """“2 Dec”: a day that has no moment."""
    return _date(day, pgettext("date format", "j M"))


def whole_date(day: date) -> str:
    """“2 Dec 2026”."""
    return _date(day, pgettext("date format", "j M Y"))


def taken_over() -> str:
    """What there is to do about another's certificate that AutoSSL may replace: nothing."""
    return _("Nothing more: AutoSSL may take it over, and replaces this certificate when it looks at the site next.")


def clock(at: datetime) -> str:
    """“15:41:08”."""
    return f"{timezone.localtime(at):%H:%M:%S}"


def away(at: datetime, now: datetime) -> str:
    """“in 11 h”, “2 s ago”."""
    left = -_between(at, now).total_seconds()
    text = rough(abs(left))
    return _("in %(time)s") % {"time": text} if left > 0 else _("%(time)s ago") % {"time": text}


def _between(at: datetime, now: datetime) -> timedelta:
    return now.astimezone(UTC) - at.astimezone(UTC)


def rough(seconds: float) -> str:
    """One unit: 2 s, 6 min, 11 h, 3 days."""
    if seconds < 90:
        return _("%(n)d s") % {"n": round(seconds)}
    if seconds < 90 * 60:
        return _("%(n)d min") % {"n": round(seconds / 60)}
    if seconds < 48 * 3600:
        return _("%(n)d h") % {"n": round(seconds / 3600)}
    days = round(seconds / 86400)
    return ngettext("%(n)d day", "%(n)d days", days) % {"n": days}


def duration(seconds: float) -> str:
    """“0.6 s”, “8 s”, “4 min 06 s”, “2 h 10 min”."""
    if seconds < 2:
        # Rounded here: what writes a number with one place cuts off the others
        return _("%(n)s s") % {"n": formats.number_format(round(seconds, 1), 1)}
    whole = round(seconds)
    if whole < 60:
        return _("%(n)d s") % {"n": whole}
    if whole < 3600:
        return _("%(m)d min %(s)02d s") % {"m": whole // 60, "s": whole % 60}
    return _("%(h)d h %(m)02d min") % {"h": whole // 3600, "m": whole % 3600 // 60}


def number(n: int) -> str:
    """“12”, “9800”, “10,000”: from five digits on, grouped as the language does it."""
    return str(n) if abs(n) < 10_000 else formats.number_format(n, force_grouping=True)
