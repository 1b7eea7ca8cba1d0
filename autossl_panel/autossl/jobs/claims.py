"""Claims on jobs: taken by priority with a lease, renewed, given back, taken from the dead. The fence of every write.

A claim is (job, attempt, holder). Whoever lost it learns so at its next write, which then does not happen.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce, Now

from autossl_panel.hosting.models import Server

from .. import leases, log
from ..models import Job, JobState, Level, LogLine, Order, Phase

# Seconds that a claim outlives its last renewal; renewed three times as often
LEASE = 45.0
# The third worker that dies at a job is the last
MOST_ATTEMPTS = 3

_writing = threading.RLock()


class ClaimLost(Exception):
    """Somebody else has the job now, or it has ended: stop working on it."""


@contextmanager
def writing() -> Iterator[None]:
    """One transaction. Threads of this process take turns on SQLite: queueing here is fair and does not sleep."""
    if connection.vendor != "sqlite":
        with transaction.atomic():
            yield
        return
    with _writing, transaction.atomic():
        yield


@dataclass(slots=True)
class Claim:
    """A job that this process works on; every write says which attempt it belongs to."""

    job: Job
    holder: str
    writer: log.Writer = field(init=False)

    def __post_init__(self) -> None:
        self.writer = log.for_job(self.job)

    @property
    def rows(self) -> Any:
        """The job's row, while the claim holds."""
        job = self.job
        return Job.objects.filter(pk=job.pk, attempt=job.attempt, holder=self.holder, state=JobState.RUNNING)

    def fence(self, **columns: Any) -> None:
        """Write columns of the job; raises ClaimLost where it is no longer ours. Inside `writing`, before all else."""
        if not self.rows.update(**(columns or {"attempt": F("attempt")})):
            raise ClaimLost(f"job {self.job.pk}, attempt {self.job.attempt}")
        for name, value in columns.items():
            setattr(self.job, name, value)

    def save(
        self,
        order: Order | None = None,
        fields: Iterable[str] = (),
        lines: Iterable[LogLine] = (),
        also: Callable[[], None] | None = None,
        **columns: Any,
    ) -> None:
        """In one transaction: the fence with columns of the job, `also`, an order (all of it where it is new), log
        lines.
        """
        if order is not None and order.pk is not None and self.job.order_id != order.pk:
            columns["order"] = order
        with writing():
            self.fence(**columns)
            if also is not None:
                also()
            if order is not None:
                if order.pk is None:
                    order.save(force_insert=True)
                    self.fence(order=order)
                else:
                    order.save(update_fields=list(fields))
            self.writer.lines(lines)

    def line(self, event: str, level: Level = Level.OUT, *, depth: int | None = None, **data: Any) -> None:
        """Append one line to the job's log."""
        self.save(lines=[self.writer.make(event, level, depth=depth, **data)])


def claim(server: Server, holder: str, most: int) -> list[Claim]:
    """Up to `most` queued jobs of `server`, by class, turn and expiry, with a lease."""
    with writing():
        queued = Job.objects.filter(server=server, state=JobState.QUEUED)
        ids = list(
            queued.order_by("job_class", "turn", F("not_after").asc(nulls_first=True), "pk")
            .select_for_update(skip_locked=True)
            .values_list("pk", flat=True)[:most]
        )
        if not ids:
            return []
        Job.objects.filter(pk__in=ids, state=JobState.QUEUED).update(
            state=JobState.RUNNING,
            holder=holder,
            lease_until=leases.later(LEASE),
            attempt=F("attempt") + 1,
            phase=Phase.SURVEY,
            started_at=Coalesce("started_at", Now()),
        )
    found = Job.objects.filter(pk__in=ids, holder=holder, state=JobState.RUNNING).select_related(
        "virtual_host", "order", "user"
    )
    place = {pk: number for number, pk in enumerate(ids)}
    return [Claim(job, holder) for job in sorted(found, key=lambda job: place[job.pk])]


def renew(server: Server, holder: str) -> None:
    """Keep every claim of `holder` for another while."""
    mine = Job.objects.filter(server=server, holder=holder, state=JobState.RUNNING)
    mine.filter(lease_until__gte=Now()).update(lease_until=leases.later(LEASE))


def release(claims: Iterable[Claim]) -> None:
    """Give jobs back unfinished: not an attempt that died, so it does not count."""
    with writing():
        for one in claims:
            one.rows.update(state=JobState.QUEUED, holder="", lease_until=None, attempt=F("attempt") - 1)


def to_staged(one: Claim, order: Order, fields: Iterable[str], lines: Iterable[LogLine], **columns: Any) -> None:
    """The order's certificate is staged: the job waits for the installer, and nobody holds it."""
    one.save(order, fields, lines, state=JobState.STAGED, holder="", lease_until=None, **columns)


def lost_jobs(server: Server) -> QuerySet[Job]:
    """Claimed jobs whose lease ran out or whose worker is surely dead."""
    running = Job.objects.filter(server=server, state=JobState.RUNNING)
    holders = running.order_by().values_list("holder", flat=True).distinct()
    dead = [holder for holder in holders if leases.gone(holder)]
    return running.filter(Q(lease_until__lt=Now()) | Q(lease_until__isnull=True) | Q(holder__in=dead))


def take_back(server: Server, holder: str) -> list[Claim]:
    """Put jobs whose worker died back into the queue. Those that a third worker died at come as claims, to be failed.

    A job that was claimed and not begun is not to blame: that death does not count.
    """
    lost = lost_jobs(server)
    if not lost.exists():
        return []
    with writing():
        rows = lost.select_for_update(skip_locked=True)
        begun: list[int] = []
        fresh: list[int] = []
        dead: list[int] = []
        for pk, attempt, phase in rows.values_list("pk", "attempt", "phase"):
            if phase == Phase.SURVEY:
                fresh.append(pk)
            else:
                (begun if attempt < MOST_ATTEMPTS else dead).append(pk)
        free: dict[str, Any] = {"state": JobState.QUEUED, "holder": "", "lease_until": None}
        if begun:
            Job.objects.filter(pk__in=begun).update(**free)
        if fresh:
            Job.objects.filter(pk__in=fresh).update(**free, attempt=F("attempt") - 1)
        if not dead:
            return []
        Job.objects.filter(pk__in=dead).update(holder=holder, lease_until=leases.later(LEASE), attempt=F("attempt") + 1)
    return [Claim(job, holder) for job in Job.objects.filter(pk__in=dead).select_related("virtual_host", "order")]
