"""The pace of requests: threads pass a gate, processes share a row by blocks. No write a request.

A process draws a block of permits, good for a short while, and dates it at its end; when it draws the next it dates
the last one at now and gives back what it did not use. So a lone process has nearly the whole pace to itself. Time here
is the database's clock: it has fractions, which the CA's Date has not, and only differences count.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from autossl_panel import ca

from .ledger import Kind, Limit
from .limits import limits_at, rows, stops
from .models import Bucket, Provider

LARGEST_BLOCK = 16
LONGEST_BLOCK = 5.0
# What a thread waits at most; a refusal that lasts longer is raised, so that its job can wait instead
PATIENCE = 5.0
# A database's clock that is so far behind what was written down has been set back
SET_BACK = 60.0


# Refusals that last until then or longer do not stop this thread
_despite: ContextVar[datetime | None] = ContextVar("despite", default=None)


@contextmanager
def in_spite_of(lasting_until: datetime | None) -> Iterator[None]:
    """Meanwhile this thread's requests pass a refusal of all requests that lasts until then or longer; None: no one.

    For who is to find out whether it still holds (rules §5); the pace itself is kept.
    """
    before = _despite.set(lasting_until)
    try:
        yield
    finally:
        _despite.reset(before)


def _holds(seconds: float) -> bool:
    """Whether a refusal that lasts so much longer stops this thread."""
    limit = _despite.get()
    return limit is None or timezone.now() + timedelta(seconds=seconds) < limit


@dataclass(frozen=True, slots=True)
class Block:
    """Permits drawn at once: `number` of them, dated `moment` in the row."""

    moment: float
    number: int


class Pace:
    """The gate of one provider in this process, called before each request by any thread.

    Waits until the request may go. Raises CaProblem (RATE) where the CA has refused all requests for longer than that.
    """

    def __init__(
        self,
        owner: str,
        limit: Limit | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._owner = owner
        self.limit = limit
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._left = 0
        self._ends = 0.0
        self._block: Block | None = None

    def __call__(self, resource: str = "") -> None:
        if self.limit is None and not stops.left(self._owner):
            return
        while (wait := self._pass()) > 0:
            if wait > PATIENCE:
                raise _refused(wait)
            self._sleep(wait)

    def _pass(self) -> float:
        """0 and one permit less, or how long to wait before asking again."""
        if (left := stops.left(self._owner)) > 0 and _holds(left):
            return left
        limit = self.limit
        if limit is None:
            return 0.0
        with self._lock:
            now = self._clock()
            if not self._left or now >= self._ends:
                wait = self._draw(limit, now)
                if wait > 0:
                    return wait
            self._left -= 1
            return 0.0

    def _draw(self, limit: Limit, now: float) -> float:
        """Draw the next block; 0 or how long to wait. What this process waits for, others may get."""
        good_for = min(limit.seconds / 2, LONGEST_BLOCK)
        wanted = max(1, min(LARGEST_BLOCK, limit.allowed // 2))
        # A permit has to be committed before its request: inside a caller's transaction it would not be.
        with transaction.atomic(durable=True):
            row = self._row()
            at = _database_time()
            if row.blocked_until is not None and (left := row.blocked_until.timestamp() - at) > 0:
                if _holds(left):
                    return left
                # For this thread alone
                wanted = 1
            log = [moment for moment, number in row.entries for _ in range(number)]
            if row.mark - at > SET_BACK:
                # How long ago they were is not known: as if they were all of this moment.
                log = [at] * len(log)
            else:
                at = max(at, row.mark)
            log = self._without_last(log, at)
            log = sorted(moment for moment in log if moment > at - limit.span)
            number = min(wanted, limit.allowed - len(log))
            if number > 0:
                log += [at + good_for] * number
                self._block = Block(at + good_for, number)
                self._left, self._ends = number, now + good_for
                wait = 0.0
            else:
                self._block, self._left = None, 0
                wait = max(0.001, log[len(log) - limit.allowed] + limit.span - at)
            row.entries = [[moment, len(list(same))] for moment, same in groupby(log)]
            row.used, row.mark, row.empty_at = len(log), at, rows.moment(log[-1] + limit.span)
            row.save(update_fields=["entries", "used", "mark", "empty_at"])
        return wait

    def _without_last(self, log: list[float], at: float) -> list[float]:
        """The log with this process's last block as it really was: what was used of it, dated now at the latest."""
        last = self._block
        if last is None:
            return log
        used = last.number - self._left
        for _ in range(last.number):
            if last.moment not in log:
                # Dated anew, as after a clock that was set back: it stays as it is.
                return log
            log.remove(last.moment)
        return [*log, *[min(last.moment, at)] * used]

    def _row(self) -> Bucket:
        mine = Bucket.objects.select_for_update(no_key=True).filter(owner=self._owner, kind=Kind.REQUESTS, subject="")
        row = mine.first()
        if row is None:
            fresh = Bucket(owner=self._owner, kind=Kind.REQUESTS)
            Bucket.objects.bulk_create([fresh], ignore_conflicts=True)
            row = mine.get()
        return row


_paces: dict[str, Pace] = {}
_paces_lock = threading.Lock()


def pace(provider: Provider) -> Pace:
    """The gate for `ca.Client(gate=…)`, one for all threads of this process. Without such a limit it costs nothing."""
    owner = rows.shared_owner(provider)
    limit = next((limit for limit in limits_at(provider) if limit.kind is Kind.REQUESTS), None)
    with _paces_lock:
        known = _paces.get(owner)
        if known is None:
            known = _paces[owner] = Pace(owner, limit)
        known.limit = limit
    return known


def _database_time() -> float:
    """The database's clock after the lock was got: the time of the statement that waited for it is too early."""
    now = Bucket.objects.annotate(clock=Now()).values_list("clock", flat=True)[:1]
    found: datetime = now[0]
    return found.timestamp()


def _refused(seconds: float) -> ca.CaProblem:
    until = timezone.now() + timedelta(seconds=seconds)
    return ca.CaProblem(
        ca.ProblemKind.RATE,
        type="urn:autossl-panel:error:paced",
        detail="The CA has asked to be left alone for a while.",
        retry_after=until,
    )
