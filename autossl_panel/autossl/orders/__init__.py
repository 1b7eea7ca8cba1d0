"""One ACME order for a virtual host, step by step (RFC 8555, section 7.1.6), each saved before the next begins.

A row alone is enough to go on after a crash. An order whose URL was never saved is harmless: it is asked for again,
with a permit of its own, and what the CA made of the lost request is never finalized.
"""

from .ends import ASK_AGAIN, close, give_up
from .permits import take
from .progress import Line, Progress, Record, State, Tools
from .steps import STEPS, advance, new

__all__ = [
    "ASK_AGAIN",
    "STEPS",
    "Line",
    "Progress",
    "Record",
    "State",
    "Tools",
    "advance",
    "close",
    "give_up",
    "new",
    "take",
]
