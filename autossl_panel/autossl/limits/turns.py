"""Who waits for a limit: each next one is told a later moment, so that not all come when the first place is free.

Moments are POSIX seconds by the CA's clock. Nothing here is kept, and nobody is bound by it: who comes asks again.
"""

from bisect import bisect_right, insort
from collections.abc import Iterable
from datetime import datetime

from ..ledger import Kind, Limit
from ..models import Account
from . import rows


class Queue:
    """The places of one limit and subject: what is used up by now, and who was promised a moment."""

    def __init__(self, limit: Limit, log: Iterable[float], promised: Iterable[float] = ()) -> None:
        self._limit = limit
        self._log = sorted([*log, *(limit.moment(moment) for moment in promised)])

    def turn(self, now: float, *, headroom: float = 0.0) -> float:
        """When there is a place, at `now` the earliest, for somebody who leaves `headroom` to others."""
        log, limit = self._log, self._limit
        span, room = limit.span, limit.room(headroom)
        # What is spent now is entered as if it were so much later.
        ahead = limit.lag + limit.grain
        while True:
            gone = bisect_right(log, now, key=lambda moment: moment + span)
            come = bisect_right(log, now + ahead)
            if come - gone < room:
                return now
            now = log[come - room] + span

    def promise(self, moment: float) -> None:
        """Somebody comes at that moment."""
        insort(self._log, self._limit.moment(moment))


def queue(account: Account, kind: Kind, subject: str, *, now: datetime, promised: Iterable[datetime]) -> Queue | None:
    """The queue of a limit as the rows say, with the moments that were `promised`; None where nothing is counted."""
    limit = next((limit for limit in rows.limits_of(account.provider) if limit.kind is kind), None)
    if limit is None or not limit.seconds:
        return None
    paper = rows.sheet(account)
    paper.read([(kind, subject)], lock=False)
    log = paper.ledger.books[kind].log(subject, rows.seconds(now))
    return Queue(limit, log or (), (moment.timestamp() for moment in promised))
