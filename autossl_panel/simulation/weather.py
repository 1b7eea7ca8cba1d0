"""What is true of the names of simulated hosts, second by second: which fail, which a CA refuses, what is resolved.

The panel's preflight asks here, the CAs' validation too, and the judge: nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from .times import FOREVER, Stretches, mix

# From when on, until when, which names
Spell = tuple[int, int, int]


@dataclass(slots=True)
class Weather:
    """`spells`, by host: which names fail when. `flapping`, by host: names, seconds of a phase, a salt.

    `refusals`, by host: names that CAs refuse although our preflight passes. `dead`: our resolver answers nothing;
    `lying`: it says that no name exists.
    """

    spells: dict[int, tuple[Spell, ...]] = field(default_factory=dict)
    flapping: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    refusals: dict[int, tuple[Spell, ...]] = field(default_factory=dict)
    dead: Stretches = field(default_factory=Stretches)
    lying: Stretches = field(default_factory=Stretches)

    def failing(self, host: int, at: int) -> int:
        """The bits of its names that do not lead here."""
        found = 0
        for start, end, mask in self.spells.get(host, ()):
            if start <= at < end:
                found |= mask
        if host in self.flapping:
            mask, phase, salt = self.flapping[host]
            if mix(salt, at // phase) & 1:
                found |= mask
        return found

    def refused(self, host: int, at: int) -> int:
        """The bits of its names that a CA would not validate."""
        found = self.failing(host, at)
        for start, end, mask in self.refusals.get(host, ()):
            if start <= at < end:
                found |= mask
        return found

    def refused_within(self, host: int, start: int, end: int) -> int:
        """The bits of the names that a CA would not have validated at some second of that time."""
        found = 0
        for first, last, mask in (*self.spells.get(host, ()), *self.refusals.get(host, ())):
            if first <= end and last > start:
                found |= mask
        if host in self.flapping:
            mask, phase, salt = self.flapping[host]
            if any(mix(salt, nth) & 1 for nth in range(start // phase, end // phase + 1)):
                found |= mask
        return found

    def troubled(self, host: int) -> bool:
        """Whether any of its names ever fails."""
        return host in self.spells or host in self.flapping or host in self.refusals

    def without(self, host: int, whole: int, start: int, end: int) -> tuple[Stretches, Stretches]:
        """Within a span: when not one of its names could be certified, and when at least one could not."""
        edges = {start, end}
        for first, last, _mask in (*self.spells.get(host, ()), *self.refusals.get(host, ())):
            edges.update(edge for edge in (first, last) if start < edge < end)
        if host in self.flapping:
            phase = self.flapping[host][1]
            edges.update(range((start // phase + 1) * phase, end, phase))
        none, some = [], []
        steps = sorted(edges)
        for first, last in pairwise(steps):
            bad = self.refused(host, first) & whole
            if bad:
                some.append((first, last))
            if bad == whole:
                none.append((first, last))
        return Stretches(none), Stretches(some)


def for_good(mask: int, since: int = 0) -> Spell:
    """These names never work again."""
    return since, FOREVER, mask
