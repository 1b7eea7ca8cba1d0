"""Calls of a request find room on Python's stack, however deep they begin."""

import resource
from collections.abc import Callable

from django.conf import settings

from autossl_panel.web.roomy import roomy

DEPTHS, TIMES = range(400), 200


def leaf(number: int) -> int:
    return number + 1


# Larger than a step down, so that some depth leaves room for the loop and none for what it calls
leaf.__code__ = leaf.__code__.replace(co_stacksize=64)


def loop() -> int:
    return sum(map(leaf, range(TIMES)))


def down(depth: int) -> int:
    return down(depth - 1) if depth else loop()


def faults(call: Callable[[int], int], depth: int) -> int:
    """How many pages of memory the kernel had to bring while a call ran."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    assert call(depth) == sum(range(1, TIMES + 1))
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


def test_no_depth_makes_each_call_of_a_loop_ask_for_memory():
    """Without the room, a loop whose calls cross a chunk's end brings a page for each of them."""
    call = roomy(down)
    assert max(faults(call, depth) for depth in DEPTHS) < TIMES // 5


def test_what_it_calls_is_called_as_ever():
    assert roomy(divmod)(7, 2) == (3, 1)
    assert roomy(int)("ff", base=16) == 255


def test_every_request_has_it():
    assert settings.MIDDLEWARE[0] == "autossl_panel.web.roomy.Roomy"
