"""What room the limits leave for an order, and whose turn comes when: as the heart's `room` has it, in memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import replace

from autossl_panel.autossl.ledger import PROVIDER_WIDE, Kind, Queue, Wait, Wish

from .accounts import Account
from .times import MINUTE

# A queue goes on as it was read for so long, in seconds; one of very many for longer
KEPT = MINUTE
MANY = 10


class _Line:
    """The queue of one limit and subject, and who was promised a moment, by rank."""

    __slots__ = ("promised", "queue", "until")

    def __init__(self) -> None:
        self.promised: dict[int, array[float]] = {}
        self.queue: Queue | None = None
        self.until = 0.0

    def still(self, now: float) -> Iterator[tuple[float, int]]:
        """Who has yet to come."""
        for rank in list(self.promised):
            left = array("d", [moment for moment in self.promised[rank] if moment > now])
            if left:
                self.promised[rank] = left
            else:
                del self.promised[rank]
        return ((moment, rank) for rank, moments in self.promised.items() for moment in moments)


class Room:
    """The queues of all limits. Moments are POSIX seconds by the CA's clock."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, Kind, str], _Line] = {}

    def wait(self, account: Account, wish: Wish, rank: int, now: float) -> Wait | None:
        """What holds a wish; None where it may be had now. `until` is its turn, behind those who come first."""
        held = account.ledger.look(wish, now)
        if held is None or held.until is None or held.detail:
            return held
        queue = self._queue(account, held, now)
        if queue is None:
            return held
        return replace(held, until=queue.turn(held.until, headroom=wish.headroom, rank=rank))

    def promise(self, account: Account, held: Wait, rank: int, now: float) -> None:
        """Somebody waits for the turn that `held` names."""
        queue = self._queue(account, held, now)
        if queue is not None and held.until is not None and not held.detail:
            queue.promise(held.until, rank=rank)
            line = self._lines[self._key(account, held)]
            line.promised.setdefault(rank, array("d")).append(held.until)

    def forget(self, now: float) -> None:
        """Drop the queues that nobody stands in any more."""
        for key in [key for key, line in self._lines.items() if line.until <= now and not any(line.still(now))]:
            del self._lines[key]

    @staticmethod
    def _key(account: Account, held: Wait) -> tuple[str, Kind, str]:
        owner = account.ca.name if held.kind in PROVIDER_WIDE else account.facts.name
        return owner, held.kind, held.subject

    def _queue(self, account: Account, held: Wait, now: float) -> Queue | None:
        line = self._lines.setdefault(self._key(account, held), _Line())
        if line.queue is None or line.until <= now:
            book = account.ledger.books[held.kind]
            if book.limit is None or not book.limit.seconds:
                return None
            line.queue = Queue(book.limit, book.log(held.subject, now) or (), line.still(now))
            many = sum(len(moments) for moments in line.promised.values())
            line.until = now + max(KEPT, many / MANY)
        return line.queue
