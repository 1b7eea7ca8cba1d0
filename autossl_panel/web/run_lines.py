"""Lines of a run as a whole, that no single site or user is told of: of many the first and the last are shown."""

from dataclasses import dataclass

from django.db.models import QuerySet

from autossl_panel.autossl import log
from autossl_panel.autossl.log import readers
from autossl_panel.autossl.models import LogLine, Run
from autossl_panel.people.models import User

ENDED = "run:ended"
# So many at the beginning, so many at the end: the run's text has them all
FIRST, LAST = 40, 10


@dataclass(frozen=True, slots=True)
class RunLines:
    """Lines of a run as a whole: the first ones, how many are left out, and the last ones, which say how it ended."""

    first: tuple[log.Line, ...] = ()
    left_out: int = 0
    last: tuple[log.Line, ...] = ()

    @property
    def ending(self) -> list[log.Line]:
        """How the run ended, which is told at the foot of its page."""
        return [line for line in (*self.first, *self.last) if line.event == ENDED]

    @property
    def last_seq(self) -> int:
        """The number of the last line; 0 where there is none."""
        return max((line.seq for line in (*self.first, *self.last)), default=0)


def of_the_whole(run: Run, person: User) -> QuerySet[LogLine]:
    """Lines of the run as a whole, for root: they name sites of everybody."""
    rows = LogLine.objects.filter(run=run, job__isnull=True, user__isnull=True).order_by("seq")
    return rows if person.is_root else rows.none()


def read(run: Run, person: User, after: int = 0) -> RunLines:
    """What there is to say of the run as a whole, after the line of that number."""
    rows = of_the_whole(run, person).filter(seq__gt=after)
    found = list(rows[: FIRST + LAST + 1])
    ends: list[LogLine] = []
    left_out = 0
    if len(found) > FIRST + LAST:
        found = found[:FIRST]
        ends = list(rows.order_by("-seq")[:LAST])[::-1]
        left_out = rows.filter(seq__gt=found[-1].seq, seq__lt=ends[0].seq).count()
    reader = readers.of(person)
    first, last = ([log.line(row, reader=reader) for row in part] for part in (found, ends))
    return RunLines(tuple(first), left_out, tuple(last))
