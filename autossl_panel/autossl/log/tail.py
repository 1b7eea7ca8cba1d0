"""Reading a run's new lines, without missing one that committed late: a cursor for each writer."""

from dataclasses import dataclass, field

from ..models import LogLine
from .render import Line, line

# Rows of several writers commit out of order on PostgreSQL: look back this many ids
OVERLAP = 2000


@dataclass(slots=True)
class Tail:
    """New lines of a run at each `read`, each line once, every writer's lines in order."""

    run_id: int
    last_id: int = 0
    seen: dict[int, int] = field(default_factory=dict)

    def read(self, limit: int = 1000) -> list[Line]:
        """The lines that are new since the last call, oldest first, at most `limit`; none where all are read."""
        rows = LogLine.objects.filter(run_id=self.run_id).order_by("pk")
        keys = rows.filter(pk__gt=self.last_id - OVERLAP).values_list("pk", "job_id", "seq")[: limit + OVERLAP]
        new: set[int] = set()
        for pk, job, seq in keys:
            if seq > self.seen.get(job or 0, 0):
                self.seen[job or 0] = seq
                new.add(pk)
            self.last_id = max(self.last_id, pk)
            if len(new) == limit:
                break
        if not new:
            return []
        # What was read before and lies in between is read again only by its numbers.
        first, last = min(new), max(new)
        return [line(row) for row in rows.filter(pk__gte=first, pk__lte=last) if row.pk in new]
