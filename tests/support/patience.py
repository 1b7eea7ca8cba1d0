"""How long tests wait for what comes by itself: long enough for a machine that is busy, and no longer than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable

# By then a process has started or ended, and a web server has read its configuration, whatever else is at work.
SECONDS = 60.0


def within(true: Callable[[], bool], seconds: float = SECONDS) -> bool:
    """Whether something becomes true in that time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
