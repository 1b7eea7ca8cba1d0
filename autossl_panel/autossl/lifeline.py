"""How `serve` tells its workers to drain: the reading end of a pipe that nobody writes to, at its end when `serve`
closes it, or dies. Signals would not do: a worker process must not get any.
"""

import os
import select

VARIABLE = "AUTOSSL_LIFELINE"


def ended() -> bool:
    """Whether this process shall take up nothing more; False for workers that `serve` did not start."""
    number = os.environ.get(VARIABLE)
    if number is None:
        return False
    poll = select.poll()
    poll.register(int(number), select.POLLIN)
    return bool(poll.poll(0))
