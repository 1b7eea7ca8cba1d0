"""Plays a world from its first second to its last, and says what came of it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time

from .judge import Tally
from .scenarios import Setting
from .times import DAY, START
from .world import World

# How often somebody is told how far it is: this part of all days
TOLD = 10


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a play. `without` hosts have no certificate yet, of which `waiting` wait for a permit.

    `refused` is what the CAs counted as HTTP 429; `seconds` is how long the play itself took, `worked` how many of them
    a processor was at it: all where it is alone there.
    """

    setting: Setting
    tally: Tally
    refused: int
    without: int
    waiting: int
    seconds: float
    worked: float = 0.0

    @property
    def good(self) -> bool:
        """Nothing happened that must never happen."""
        tally = self.tally
        return not (tally.expired or self.refused or tally.reduced_early or tally.failing_ordered)


def play(setting: Setting, tell: Callable[[int, Tally], None] = lambda day, tally: None) -> Result:
    """Play a setting; `tell` hears on some days how it stands."""
    began, worked = perf_counter(), process_time()
    world = World(setting)
    with _no_garbage_collection():
        for part in range(1, TOLD + 1):
            day = setting.days * part // TOLD
            world.panel.live(START + day * DAY)
            tell(day, world.judge.tally)
        world.judge.closes(world.ends)
    without = sum(1 for host, ended in enumerate(world.rows.not_after) if not ended)
    refused = sum(len(account.ca.oracle.refusals) for account in world.ordered_from())
    took, worked = perf_counter() - began, process_time() - worked
    return Result(setting, world.judge.tally, refused, without, len(world.judge.waiting), took, worked)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Facts by the million, none of them in cycles: the collector would walk them over and over."""
    gc.collect()
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
