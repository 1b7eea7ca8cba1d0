"""Time zones by their IANA names, as this machine knows them."""

from functools import cache
from zoneinfo import ZoneInfo, available_timezones


@cache
def known() -> tuple[str, ...]:
    """Every zone that a person may choose, sorted; those without a place (“EST5EDT”, “Etc/GMT+5”) are left out."""
    return tuple(sorted(name for name in available_timezones() if name == "UTC" or _has_a_place(name)))


def _has_a_place(name: str) -> bool:
    area, slash, _place = name.partition("/")
    return bool(slash) and area not in ("Etc", "SystemV", "US", "Brazil", "Canada", "Chile", "Mexico")


@cache
def _all() -> frozenset[str]:
    return frozenset(available_timezones())


def find(name: str) -> ZoneInfo | None:
    """The zone of this name, whoever says it; None where there is none. Never reads a file that is not a zone's."""
    return ZoneInfo(name) if name in _all() else None
