"""The virtual hosts of a simulated server: users, names, registered domains, by the million in arrays.

A host is a number. Its names are made from it when somebody asks for them; all end in a registered domain of two
labels.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import IntEnum
from random import Random

# Names of a host are told apart by the bits of one number
MOST_NAMES = 60
LARGEST_USER = 1000
# Of a hundred users: how many have how many sites
_SIZES = ((55.0, 1, 1), (25.0, 2, 5), (15.0, 6, 30), (4.8, 31, 200), (0.2, LARGEST_USER, LARGEST_USER))
# Of a hundred further sites of a user
_ALIASES, _MANY, _SUBDOMAINS = 6, 2, 5


class Shape(IntEnum):
    """What a host's names are."""

    PLAIN = 0  # a domain, its www, perhaps subdomains
    ALIASES = 1  # and other domains with theirs
    SUBDOMAIN = 2  # of a domain that is another site of the user, and its www, which rarely works


class Estate:
    """All hosts. `counts` is how many names each has; `seen_at` when it appeared, in seconds."""

    __slots__ = ("counts", "domains", "seen_at", "shapes", "users")

    def __init__(self) -> None:
        self.users, self.domains, self.seen_at = array("I"), array("I"), array("I")
        self.shapes, self.counts = array("B"), array("B")

    def __len__(self) -> int:
        return len(self.users)

    def names(self, host: int) -> tuple[str, ...]:
        """Its names, the main domain first, www second."""
        count, shape = self.counts[host], self.shapes[host]
        base = f"d{self.domains[host]}.com"
        if shape == Shape.SUBDOMAIN:
            base = f"s{host}.{base}"
        if count == 2:
            return base, "www." + base
        if shape == Shape.ALIASES:
            rest = [f"{'www.' if k % 2 else ''}d{self.domains[host]}-{k // 2}.net" for k in range(2, count)]
        else:
            rest = [f"n{k}.{base}" for k in range(2, count)]
        return base, "www." + base, *rest

    def added(self, host: int, k: int) -> bool:
        """Whether its k-th name is a www. that the panel added."""
        return k == 1 and (self.shapes[host] == Shape.SUBDOMAIN or self.domains[host] % 4 == 0)

    def domains_of(self, host: int, mask: int) -> tuple[str, ...]:
        """The registered domains of the names whose bits are set."""
        own = f"d{self.domains[host]}.com"
        if self.shapes[host] != Shape.ALIASES:
            return (own,)
        found = dict.fromkeys(
            own if k < 2 else f"d{self.domains[host]}-{k // 2}.net" for k in range(self.counts[host]) if mask >> k & 1
        )
        return tuple(found)

    def whole(self, host: int) -> int:
        """The bits of all its names."""
        return (1 << self.counts[host]) - 1


def registered(name: str) -> str:
    """The registered domain of a name of these: its last two labels."""
    return ".".join(name.rsplit(".", 2)[-2:])


def build(hosts: int, seed: int, seen_at: int) -> Estate:
    """That many hosts of users small and large, all of them there from a moment on."""
    estate, random = Estate(), Random(f"estate {seed}")  # noqa: S311 - a simulated world
    user = domain = 0
    while len(estate) < hosts:
        user += 1
        size = min(_size(random, hosts), hosts - len(estate))
        first = domain + 1
        for shape, count in _sites(random, size):
            if shape == Shape.SUBDOMAIN:
                estate.domains.append(first)
            else:
                domain += 1
                estate.domains.append(domain)
            estate.users.append(user)
            estate.shapes.append(shape)
            estate.counts.append(count)
            estate.seen_at.append(seen_at)
    return estate


def _size(random: Random, hosts: int) -> int:
    draw = random.random() * 100
    for part, least, most in _SIZES:
        draw -= part
        if draw < 0:
            # A small estate has no user that is all of it.
            return min(random.randint(least, most), max(1, hosts // 4))
    return 1


def _sites(random: Random, size: int) -> Iterator[tuple[Shape, int]]:
    """The sites of a user: the first is a plain domain."""
    yield Shape.PLAIN, 2
    for _ in range(size - 1):
        draw = random.random() * 100
        if draw < _ALIASES:
            yield Shape.ALIASES, 2 + 2 * random.randint(1, 3)
        elif draw < _ALIASES + _MANY:
            yield Shape.PLAIN, random.randint(10, MOST_NAMES - 2)
        elif draw < _ALIASES + _MANY + _SUBDOMAINS:
            yield Shape.SUBDOMAIN, 2
        else:
            yield Shape.PLAIN, 2
