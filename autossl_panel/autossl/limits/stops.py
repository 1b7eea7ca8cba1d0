"""Providers that this process has just heard "not now" from, for its threads to heed at once. Other processes read it
from the row at their next permit. Nothing here is kept.
"""

import time

# By owner of the provider-wide buckets: when it is over, on this process's monotonic clock
_stops: dict[str, float] = {}


def stop(owner: str, seconds: float) -> None:
    """Nothing is asked of this provider for so long."""
    _stops[owner] = max(_stops.get(owner, 0.0), time.monotonic() + seconds)


def left(owner: str) -> float:
    """Seconds that a stop still lasts; 0 where there is none."""
    if not _stops:
        return 0.0
    until = _stops.get(owner)
    if until is None:
        return 0.0
    seconds = until - time.monotonic()
    if seconds <= 0:
        _stops.pop(owner, None)
        return 0.0
    return seconds
