"""Our own trouble: what is wrong with this server itself, worked out from many names' verdicts, told once. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from autossl_panel.autossl.policy.needs import CLOCK_TOLERANCE

# Of names that passed before: so many and more than such a part failing alike is our trouble, not theirs. Less than
# half: most sites are a domain and its www, and what fails at one of the two everywhere is no site's own.
ALIKE = 10
ALIKE_PART = 1 / 3
# ... and so many hosting users': what fails at one, however many names it has, is that user's own
ALIKE_USERS = 3
FAILING_ALIKE = "failing_alike"
# Verdicts older than this say nothing of today: whatever is unknown or fails is asked again within a day
LATELY = timedelta(hours=25)
# What begins to fail alike is in the minority of a day for hours; a reduction takes an hour between two failures
RECENTLY = timedelta(hours=2)
# What has failed for longer than this is the name's own trouble
BEGAN_WITHIN = timedelta(days=7)
# What a verdict “unknown” says of us, by its reason up to a colon; “stopped” says nothing
_CODES = {
    "resolver": "resolver_dead",
    "no_route": "no_route",
    "own_address_timeout": "own_address",
    "local": "local_fault",
    "helper": "helper_gone",
    "internal": "internal",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """How many names were found like this lately, of those that are looked at here.

    `reason`, `record` and `address` are of a verdict “unknown”; `passed_before` says that each had passed once, and if
    it fails, that it began within BEGAN_WITHIN; `recent`, that it was asked within RECENTLY rather than LATELY. `users`
    are the hosting users whose names they are, told of names that passed before and fail.
    """

    outcome: str
    code: str
    names: int
    reason: str = ""
    record: str = ""
    address: str = ""
    passed_before: bool = False
    recent: bool = False
    users: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """One thing that is wrong with this server, how many names could not be judged for it, and facts for advice."""

    code: str
    names: int = 0
    data: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same trouble as the last one: more names of it are no news."""
        return self.code, self.data.get("family", "")


def troubles(seen: Iterable[Seen], clock_offset: timedelta, users: int) -> tuple[ServerTrouble, ...]:
    """What these verdicts and the CA's clock say of this server, the clock first; empty where nothing is wrong.

    `users`: how many hosting users have names that are asked here, be it not lately; ALIKE_USERS stand for more.
    """
    seen = list(seen)
    found = []
    if abs(clock_offset) > CLOCK_TOLERANCE:
        found.append(ServerTrouble("clock", data={"seconds": str(round(clock_offset.total_seconds()))}))
    names: Counter[tuple[str, str]] = Counter()
    address: dict[tuple[str, str], str] = {}
    for one in seen:
        code = _CODES.get(one.reason.partition(":")[0]) if one.outcome == "unknown" else None
        if code is not None:
            family = ("IPv6" if one.record == "AAAA" else "IPv4") if code == "no_route" else ""
            names[code, family] += one.names
            address.setdefault((code, family), one.address)
    for (code, family), number in sorted(names.items()):
        data = {"family": family, "address": address[code, family]}
        found.append(ServerTrouble(code, number, {key: value for key, value in data.items() if value}))
    return (*found, *_alike(seen, users))


def suspend_reductions(seen: Iterable[Seen], users: int) -> bool:
    """Whether so many names fail alike that no failure may cost coverage now (rules §3); `users` as in `troubles`."""
    return bool(_alike(list(seen), users))


def _alike(seen: Sequence[Seen], users: int) -> list[ServerTrouble]:
    """Many users' names that passed before fail alike: the cause is more likely here, or at our resolver, than at each.

    On a server of few users, of each of them.
    """
    before = [one for one in seen if one.passed_before]
    enough = min(users, ALIKE_USERS)
    return _most_alike(before, enough) or _most_alike([one for one in before if one.recent], enough)


def _most_alike(seen: Sequence[Seen], enough: int) -> list[ServerTrouble]:
    total = sum(one.names for one in seen)
    failed: Counter[str] = Counter()
    users: dict[str, set[int]] = {}
    for one in seen:
        if one.outcome == "fail":
            failed[one.code] += one.names
            users.setdefault(one.code, set()).update(one.users)
    alike = [
        ServerTrouble(FAILING_ALIKE, number, {"code": code})
        for code, number in failed.most_common()
        if number >= ALIKE and number > total * ALIKE_PART and len(users[code]) >= enough
    ]
    return alike[:1]
