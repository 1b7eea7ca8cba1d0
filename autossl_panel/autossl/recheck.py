"""A person's check of some sites: they are due at once, and what `holds` lets a person end holds them no longer."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from . import holds, policy, runs
from .models import Run, Verdict

CHUNK = 500
# Where a run comes from that somebody started for some sites alone
SOURCE = "recheck"


@dataclass(frozen=True, slots=True)
class Asked:
    """How many sites are looked at now, how many a limit of the CA holds, and the run that looks at them.

    `run` is None where what is due is being looked for already: another one begins as soon as that is through.
    """

    sites: int
    held: int
    run: Run | None


def ask(server: Server, hosts: QuerySet[VirtualHost], *, by: User, now: datetime) -> Asked:
    """Make these sites due at once and start a run: for their user, or for what is due where they are several's."""
    present = hosts.filter(gone_at__isnull=True, server=server).exclude(state=SiteState.OFF)
    with transaction.atomic():
        columns = ("pk", "name", "user__name", "held_until", "held_reason")
        found = list(present.order_by("user_id", "name").values_list(*columns))
        free = [row for row in found if row[3] is None or row[3] <= now or row[4] in policy.PERSON_ENDS]
        if not free:
            return Asked(0, len(found), None)
        for start in range(0, len(free), CHUNK):
            _make_due([row[0] for row in free[start : start + CHUNK]], now, by)
        names = [row[1] for row in free]
        audit.record(by, "site:rechecked", names[0], after={"sites": len(names), "first": names[:20]})
    users = {row[2] for row in free}
    scope = runs.user_scope(users.pop()) if len(users) == 1 else runs.DUE
    run = runs.start(scope, by=by, asked_from=SOURCE, server=server)
    if scope != runs.DUE and _has_looked(run):
        # It may have passed these sites already, and has its own work to do.
        run = runs.start(runs.DUE, by=by, asked_from=SOURCE, server=server)
    waits = run.scope == runs.DUE and run.started_at < now
    return Asked(len(free), len(found) - len(free), None if waits else run)


def _has_looked(run: Run) -> bool:
    """Whether a run has begun to look at sites: its first line comes before that."""
    return run.surveyed_at is not None or run.lines.exists()


def _make_due(ids: list[int], now: datetime, by: User) -> None:
    hosts = VirtualHost.objects.filter(pk__in=ids)
    holds.clear(hosts, Verdict.objects.filter(domain__virtual_host__in=ids), now, by=by)
    hosts.update(next_at=now, next_reason="recheck")
