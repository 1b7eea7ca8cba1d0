"""Writing lines. A job has one writer, the holder of its claim; a run's own lines may come from several processes."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Max

from ..models import Job, Level, LogLine

COLUMNS = ("run_id", "job_id", "user_id", "seq", "at", "level", "depth", "event", "data")
# From here on rows are written past Django's preparation of each value
MANY = 100


class Writer:
    """Appends lines to a run or to one job of it, each at once."""

    def __init__(self, run_id: int, job_id: int | None = None, user_id: int | None = None, depth: int = 0) -> None:
        self.run_id = run_id
        self.job_id = job_id
        self.user_id = user_id
        self.depth = depth
        self._seq: int | None = None

    def out(self, event: str, **data: Any) -> None:
        self.line(event, Level.OUT, **data)

    def success(self, event: str, **data: Any) -> None:
        self.line(event, Level.SUCCESS, **data)

    def warn(self, event: str, **data: Any) -> None:
        self.line(event, Level.WARN, **data)

    def failure(self, event: str, **data: Any) -> None:
        self.line(event, Level.FAILURE, **data)

    def line(
        self, event: str, level: Level = Level.OUT, *, depth: int | None = None, user_id: int | None = None, **data: Any
    ) -> None:
        """Append one line. `depth` is the indent, `user_id` whose line it is where it is not the writer's."""
        self.lines([self.make(event, level, depth=depth, user_id=user_id, **data)])

    def make(
        self, event: str, level: Level = Level.OUT, *, depth: int | None = None, user_id: int | None = None, **data: Any
    ) -> LogLine:
        """A line not yet written; `lines` writes many at once."""
        return LogLine(
            run_id=self.run_id,
            job_id=self.job_id,
            user_id=user_id or self.user_id,
            at=datetime.now(UTC),
            level=level,
            depth=self.depth if depth is None else depth,
            event=event,
            data=data,
        )

    def lines(self, rows: Iterable[LogLine]) -> None:
        """Append `rows` in order, numbered without a gap."""
        rows = list(rows)
        if not rows:
            return
        if self.job_id is not None:
            first = self._last() + 1 if self._seq is None else self._seq + 1
            self._insert(rows, first)
            self._seq = first + len(rows) - 1
            return
        for attempt in range(20):
            try:
                with transaction.atomic():
                    self._insert(rows, self._last() + 1)
                return
            except IntegrityError:
                # Another process wrote to this run in the same moment: number again.
                if attempt == 19:
                    raise

    def _last(self) -> int:
        mine = LogLine.objects.filter(run_id=self.run_id)
        mine = mine.filter(job__isnull=True) if self.job_id is None else mine.filter(job_id=self.job_id)
        found = mine.aggregate(last=Max("seq"))["last"]
        return int(found or 0)

    @staticmethod
    def _insert(rows: list[LogLine], first: int) -> None:
        for number, row in enumerate(rows, first):
            row.seq = number
        if len(rows) == 1:
            rows[0].save(force_insert=True)
        elif len(rows) < MANY:
            LogLine.objects.bulk_create(rows)
        else:
            _insert_many(rows)


def _insert_many(rows: list[LogLine]) -> None:
    """A survey's thousands of lines, in a third of the time that bulk_create takes to prepare them."""
    quote, moment = connection.ops.quote_name, connection.ops.adapt_datetimefield_value
    columns = ", ".join(quote(column) for column in COLUMNS)
    marks = ", ".join(["%s"] * len(COLUMNS))
    values = [
        (
            row.run_id,
            row.job_id,
            row.user_id,
            row.seq,
            moment(row.at),
            str(row.level),
            row.depth,
            row.event,
            json.dumps(row.data),
        )
        for row in rows
    ]
    table = quote(LogLine._meta.db_table)
    with connection.cursor() as cursor:
        if connection.vendor != "postgresql":
            # Names of our own only
            cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", values)  # noqa: S608
            return
        # COPY takes a third of the time again. Django does not know it, so its errors are made Django's here.
        with connection.wrap_database_errors, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
            for value in values:
                copy.write_row(value)


def for_run(run_id: int) -> Writer:
    """The writer of a run's own lines."""
    return Writer(run_id)


def for_job(job: Job) -> Writer:
    """The writer of a job's lines; only the holder of its claim may use it."""
    return Writer(job.run_id, job.pk, job.user_id, depth=2)
