"""Who waits for a limit, as the rows say: `ledger.Queue` with what is used up by now. Nothing here is kept."""

from collections.abc import Iterable
from datetime import datetime

from ..ledger import Kind, Queue
from ..models import Account
from . import rows


def queue(
    account: Account, kind: Kind, subject: str, *, now: datetime, promised: Iterable[tuple[datetime, int]]
) -> Queue | None:
    """The queue of a limit as the rows say, with the moments and ranks that were `promised`; None: none is counted."""
    limit = next((limit for limit in rows.limits_at(account.provider) if limit.kind is kind), None)
    if limit is None or not limit.seconds:
        return None
    paper = rows.sheet(account)
    paper.read([(kind, subject)], lock=False)
    log = paper.ledger.books[kind].log(subject, rows.seconds(now))
    return Queue(limit, log or (), ((moment.timestamp(), rank) for moment, rank in promised))
