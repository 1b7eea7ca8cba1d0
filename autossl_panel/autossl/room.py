"""What room the CAs' limits leave for an order, and when the turn of one that has to wait would come.

Takes and writes nothing: what is found here is asked for again when the permit is taken. Moments are this host's.
"""

import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

from autossl_panel.hosting.models import VirtualHost

from . import limits, priority, runs
from .facts import ProviderFacts
from .ledger import Granted, Kind, Ledger, Limit, Purpose, Queue, Wish
from .limits import Wait
from .models import Account

# Seconds for which a queue goes on as it was read: what others promise meanwhile is not in it
KEPT = 20.0
HELD = runs.LIMITED

Key = tuple[int, Kind, str]
# Who comes first among those who wait for a limit, by what an order is for
CLASSES = {purpose: place for place, purpose in enumerate(Purpose)}


class Line(NamedTuple):
    """A queue that holds until then, and how many of each user stand in it."""

    until: float
    queue: Queue | None
    users: Counter[int]


class Room:
    """What the rows say now, for many sites. Threads may share it."""

    def __init__(self, accounts: Mapping[int, Account]) -> None:
        self.accounts = accounts
        self._lines: dict[Key, Line] = {}
        self._known: dict[int, tuple[Account, tuple[Limit, ...]]] = {}
        self._lock = threading.Lock()

    def counts(self, provider: ProviderFacts) -> bool:
        """Whether anything is limited there, so that it matters what kind of order it is."""
        account = self.accounts.get(provider.account)
        return account is not None and bool(self._limits(account))

    def _limits(self, account: Account) -> tuple[Limit, ...]:
        """What the account goes by, as it was when that was read."""
        known = self._known.get(account.pk)
        if known is None or known[0] is not account:
            known = self._known[account.pk] = account, limits.limits_at(account.provider)
        return known[1]

    def wait(
        self, provider: ProviderFacts, wish: Wish, now: datetime, *, user: int = 0, purpose: Purpose = Purpose.URGENT
    ) -> Wait | None:
        """What holds the wish; None where it may be had now. `until` is its turn, behind those who come first: what may
        wait less, then sites of users of whom fewer wait already, then who was first.
        """
        account = self.accounts.get(provider.account)
        if account is None:
            return None
        offset = timedelta(seconds=account.provider.clock_offset)
        found = self._look(account, wish, now + offset)
        if found is None or found.until is None:
            return found
        turn, rank = found.until.timestamp(), 0
        with self._lock:
            line = self._line(account, found.kind, found.subject, now + offset)
            if line.queue is not None:
                rank = priority.rank(CLASSES[purpose], line.users[user])
                turn = line.queue.turn(turn, headroom=wish.headroom, rank=rank)
        until = found.until + timedelta(seconds=turn - found.until.timestamp()) - offset
        return replace(found, until=until, rank=rank, asked=found.asked and found.asked - offset)

    def promise(self, provider: ProviderFacts, wait: Wait, now: datetime, *, user: int = 0) -> None:
        """A site of `user` waits for the turn that `wait` names."""
        account = self.accounts.get(provider.account)
        if account is None or wait.until is None:
            return
        offset = timedelta(seconds=account.provider.clock_offset)
        with self._lock:
            line = self._line(account, wait.kind, wait.subject, now + offset)
            if line.queue is not None:
                line.queue.promise((wait.until + offset).timestamp(), rank=wait.rank)
                line.users[user] += 1

    def _look(self, account: Account, wish: Wish, now: datetime) -> Wait | None:
        return limits.look(account, wish, now=now)

    def _line(self, account: Account, kind: Kind, subject: str, now: datetime) -> Line:
        key, clock = (account.pk, kind, subject), time.monotonic()
        known = self._lines.get(key)
        if known is None or known.until < clock:
            promised = waiting(account, kind, subject, now)
            moments = [(moment, rank) for moment, rank, _user in promised]
            queue = limits.queue(account, kind, subject, now=now, promised=moments)
            known = self._lines[key] = Line(clock + KEPT, queue, Counter(user for _moment, _rank, user in promised))
        return known


class Forecast(Room):
    """The same in memory, to try a whole run on: what is placed is spent here, and written nowhere."""

    def __init__(self, accounts: Mapping[int, Account]) -> None:
        super().__init__(accounts)
        self._ledgers: dict[int, Ledger] = {}

    def place(self, provider: ProviderFacts, wish: Wish, now: datetime) -> None:
        """An order is placed there: it uses up what it asks for."""
        account = self.accounts.get(provider.account)
        if account is None:
            return
        now += timedelta(seconds=account.provider.clock_offset)
        book = self._ledger(account, now)
        answer = book.ask(wish, now.timestamp())
        if isinstance(answer, Granted):
            book.taken(answer)
        for kind, subject in wish.spends:
            known = self._lines.get((account.pk, kind, subject))
            if known is not None and known.queue is not None:
                known.queue.promise(now.timestamp())

    def mend(self, provider: str, names: Iterable[str], now: datetime) -> None:
        """A person's run comes: names that this provider's CA has paused are asked for once more."""
        for account in self.accounts.values():
            if account.provider.name == provider:
                for name in names:
                    self._ledger(account, now).mend(name)

    def _ledger(self, account: Account, now: datetime) -> Ledger:
        found = self._ledgers.get(account.pk)
        if found is None:
            found = self._ledgers[account.pk] = limits.forecast(account, now=now)
        return found

    def _look(self, account: Account, wish: Wish, now: datetime) -> Wait | None:
        held = self._ledger(account, now).look(wish, now.timestamp())
        return None if held is None else limits.told(held, wish)

    def _line(self, account: Account, kind: Kind, subject: str, now: datetime) -> Line:
        key = account.pk, kind, subject
        if key not in self._lines:
            limit = next((one for one in self._limits(account) if one.kind is kind and one.seconds), None)
            log = self._ledger(account, now).books[kind].log(subject, now.timestamp())
            promised = waiting(account, kind, subject, now)
            moments = [(moment.timestamp(), rank) for moment, rank, _user in promised]
            queue = Queue(limit, log or (), moments) if limit is not None else None
            self._lines[key] = Line(0.0, queue, Counter(user for _moment, _rank, user in promised))
        return self._lines[key]


def waiting(account: Account, kind: Kind, subject: str, now: datetime) -> list[tuple[datetime, int, int]]:
    """When those come who were promised a turn by a limit, with what rank, and of which user. Whatever they wait for,
    they will place an order then.
    """
    hosts = VirtualHost.objects.filter(
        server_id=account.server_id, held_provider=account.provider.name, held_reason=HELD, held_until__gt=now
    )
    if kind is not Kind.ORDERS:
        hosts = hosts.filter(problem__data__limit=str(kind), problem__data__subject=subject)
    found = hosts.values_list("held_until", "problem__data__rank", "user_id")
    return [(moment, rank or 0, user) for moment, rank, user in found if moment is not None]
