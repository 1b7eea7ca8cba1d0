"""What this process knows of refusals without asking the database: what it has just heard, and where it has just seen
that there are none. Nothing here is kept.
"""

import time

# By owner of the provider-wide buckets: when it is over, on this process's monotonic clock
_stops: dict[str, float] = {}


def stop(owner: str, seconds: float) -> None:
    """Nothing is asked of this provider for so long."""
    _stops[owner] = max(_stops.get(owner, 0.0), time.monotonic() + seconds)


def lift(owner: str) -> None:
    """It takes requests again."""
    _stops.pop(owner, None)


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


# For so long an account without limits is not looked up again: it would be all that its orders cost.
GLANCE = 1.0
# By account: until when there are none, as far as was seen
_free: dict[int, float] = {}


def seen_free(account_id: int) -> bool:
    """Whether there was no refusal of this account or its provider a moment ago, nor a limit there."""
    return _free.get(account_id, 0.0) > time.monotonic()


def note_free(account_id: int) -> None:
    """There is none now."""
    _free[account_id] = time.monotonic() + GLANCE


def look_again() -> None:
    """A refusal was heard."""
    _free.clear()
