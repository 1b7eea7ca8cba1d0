"""What room the CAs' limits leave for an order, and when the turn of one that has to wait would come.

Takes and writes nothing: what is found here is asked for again when the permit is taken. Moments are this host's.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from autossl_panel.hosting.models import VirtualHost

from . import limits, runs
from .facts import ProviderFacts
from .ledger import Kind, Ledger, Queue, Wish
from .limits import Wait
from .models import Account

# Seconds for which a queue goes on as it was read: what others promise meanwhile is not in it
KEPT = 20.0
HELD = runs.LIMITED

Key = tuple[int, Kind, str]


class Room:
    """What the rows say now, for many sites. Threads may share it."""

    def __init__(self, accounts: Mapping[int, Account]) -> None:
        self.accounts = accounts
        self._queues: dict[Key, tuple[float, Queue | None]] = {}
        self._lock = threading.Lock()

    def counts(self, provider: ProviderFacts) -> bool:
        """Whether anything is limited there, so that it matters what kind of order it is."""
        account = self.accounts.get(provider.account)
        return account is not None and bool(limits.limits_of(account.provider))

    def wait(self, provider: ProviderFacts, wish: Wish, now: datetime) -> Wait | None:
        """What holds the wish; None where it may be had now. `until` is its turn, behind those who wait already."""
        account = self.accounts.get(provider.account)
        if account is None:
            return None
        offset = timedelta(seconds=account.provider.clock_offset)
        found = self._look(account, wish, now + offset)
        if found is None or found.until is None:
            return found
        turn = found.until.timestamp()
        with self._lock:
            queue = self._queue(account, found.kind, found.subject, now + offset)
            if queue is not None:
                turn = queue.turn(turn, headroom=wish.headroom)
        return replace(found, until=found.until + timedelta(seconds=turn - found.until.timestamp()) - offset)

    def promise(self, provider: ProviderFacts, wait: Wait, now: datetime) -> None:
        """Somebody waits for the turn that `wait` names."""
        account = self.accounts.get(provider.account)
        if account is None or wait.until is None:
            return
        offset = timedelta(seconds=account.provider.clock_offset)
        with self._lock:
            queue = self._queue(account, wait.kind, wait.subject, now + offset)
            if queue is not None:
                queue.promise((wait.until + offset).timestamp())

    def _look(self, account: Account, wish: Wish, now: datetime) -> Wait | None:
        return limits.look(account, wish, now=now)

    def _queue(self, account: Account, kind: Kind, subject: str, now: datetime) -> Queue | None:
        key, clock = (account.pk, kind, subject), time.monotonic()
        known = self._queues.get(key)
        if known is None or known[0] < clock:
            promised = waiting(account, kind, subject, now)
            known = clock + KEPT, limits.queue(account, kind, subject, now=now, promised=promised)
            self._queues[key] = known
        return known[1]


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
        self._ledger(account, now).ask(wish, now.timestamp())
        for kind, subject in wish.spends:
            known = self._queues.get((account.pk, kind, subject))
            if known is not None and known[1] is not None:
                known[1].promise(now.timestamp())

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

    def _queue(self, account: Account, kind: Kind, subject: str, now: datetime) -> Queue | None:
        key = account.pk, kind, subject
        if key not in self._queues:
            limit = next((one for one in limits.limits_of(account.provider) if one.kind is kind and one.seconds), None)
            log = self._ledger(account, now).books[kind].log(subject, now.timestamp())
            promised = [(moment.timestamp(), 0) for moment in waiting(account, kind, subject, now)]
            self._queues[key] = 0.0, Queue(limit, log or (), promised) if limit is not None else None
        return self._queues[key][1]


def waiting(account: Account, kind: Kind, subject: str, now: datetime) -> list[datetime]:
    """When those come who were promised a turn by a limit. Whatever they wait for, they will place an order then."""
    hosts = VirtualHost.objects.filter(
        server_id=account.server_id, held_provider=account.provider.name, held_reason=HELD, held_until__gt=now
    )
    if kind is not Kind.ORDERS:
        hosts = hosts.filter(problem__data__limit=str(kind), problem__data__subject=subject)
    return [moment for moment in hosts.values_list("held_until", flat=True) if moment is not None]
