"""Moments and durations as a person says them. All times are UTC; the page's foot says so."""

from datetime import datetime, timedelta

from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import ngettext


def exact(at: datetime) -> str:
    """Mon 23 Nov 2026, 15:41:08 UTC."""
    return f"{formats.date_format(at, 'D j M Y')}, {at:%H:%M:%S} UTC"


def moment(at: datetime, now: datetime) -> str:
    """“just now”, “today, 03:14”, “yesterday, 18:20”, “Tue 24 Nov, 03:12”."""
    if timedelta(0) <= now - at < timedelta(seconds=60):
        return _("just now")
    days = (at.date() - now.date()).days
    time = f"{at:%H:%M}"
    if days == 0:
        return _("today, %(time)s") % {"time": time}
    if days == -1:
        return _("yesterday, %(time)s") % {"time": time}
    if days == 1:
        return _("tomorrow, %(time)s") % {"time": time}
    if -7 < days < 7:
        return f"{formats.date_format(at, 'D j M')}, {time}"
    return f"{day(at, now)}, {time}"


def day(at: datetime, now: datetime) -> str:
    """“2 Dec”, with the year where it is another one."""
    return formats.date_format(at, "j M" if at.year == now.year else "j M Y")


def away(at: datetime, now: datetime) -> str:
    """“in 11 h”, “2 s ago”."""
    left = (at - now).total_seconds()
    text = rough(abs(left))
    return _("in %(time)s") % {"time": text} if left > 0 else _("%(time)s ago") % {"time": text}


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
        return _("%(n).1f s") % {"n": seconds}
    whole = round(seconds)
    if whole < 60:
        return _("%(n)d s") % {"n": whole}
    if whole < 3600:
        return _("%(m)d min %(s)02d s") % {"m": whole // 60, "s": whole % 60}
    return _("%(h)d h %(m)02d min") % {"h": whole // 3600, "m": whole % 3600 // 60}
