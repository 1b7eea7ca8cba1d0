"""Waiting for a helper that is being restarted: every verb is idempotent, so it is asked again."""

import time
from collections.abc import Callable
from typing import TypeVar

from autossl_panel.helper.client import HelperGone

# `serve` has a new helper up within seconds; past this nobody will come
PATIENCE = 40.0
T = TypeVar("T")


def patiently(call: Callable[[], T], *, stop: Callable[[], bool] = lambda: False, seconds: float = PATIENCE) -> T:
    """The answer of `call`, asked again while the helper is away; raises HelperGone when it stays away or on `stop`."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except HelperGone:
            if stop() or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
