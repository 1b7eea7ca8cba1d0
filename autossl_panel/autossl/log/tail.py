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

    def read(self, limit: int = 5000) -> list[Line]:
        """The lines that are new since the last call, oldest first; at most `limit` rows are looked at."""
        rows = LogLine.objects.filter(run_id=self.run_id, pk__gt=self.last_id - OVERLAP).order_by("pk")[
            : limit + OVERLAP
        ]
        found = []
        for row in rows:
            writer = row.job_id or 0
            if row.seq > self.seen.get(writer, 0):
                self.seen[writer] = row.seq
                found.append(line(row))
            self.last_id = max(self.last_id, row.pk)
        return found
