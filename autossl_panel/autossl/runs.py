"""Runs: started once, joined by whoever asks again, cancelled, ended when none of their jobs lives."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import CharField, Count, Exists, Max, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from django_q.tasks import async_task

from autossl_panel.hosting import servers
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting import visible as hosting_visible
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from . import last_checks, log, trouble
from .models import Job, JobOutcome, JobState, Level, LogLine, Phase, Run, UntoldRun

ALL = "*"
DUE = "due"
# Where a run is asked from that somebody asked for; the rest is the panel's own routine.
BY_PERSONS = ("panel", "command", "api")
# Why a job or a site waits that a CA's limit holds
LIMITED = "rate_limited"
# Why work ended before its time: a person cancelled its run, or that could not go on, which nobody wished for
CANCELLED, RUN_FAILED = "cancelled", last_checks.RUN_FAILED
# What queues the work; named, not imported, because tasks stand above runs.
WORK = "autossl_panel.autossl.tasks.work"


def user_scope(name: str) -> str:
    return f"user:{name}"


def owner_scope(person: User) -> str:
    return f"owner:{person.username}"


def start(
    scope: str, *, by: User | None, asked_from: str, server: Server | None = None, now: datetime | None = None
) -> Run:
    """Start a run, or land on the live one of this scope. One transaction inserts it and rings the bell."""
    server = server or servers.this()
    now = now or timezone.now()
    while True:
        with transaction.atomic():
            joined = _run_at_work_on(server, scope)
            if joined is not None:
                return joined
            Run.objects.bulk_create(
                [Run(server=server, scope=scope, asked_by=by, asked_from=asked_from, started_at=now)],
                ignore_conflicts=True,
            )
            run = live(server, scope)
            # The live run that we would have joined may have ended between these two statements.
            if run is not None:
                ring(run)
                if run.started_at == now and asked_from in BY_PERSONS:
                    audit.record(by, "run:started", scope, after={"run": run.pk})
                return run


def ring(run: Run) -> None:
    """Put the run into the queue. It may come twice or never: the rows are the truth, the sweep rings again."""
    async_task(WORK, run.pk)


def _run_at_work_on(server: Server, scope: str) -> Run | None:
    """A live run for all that still has this user's work before it."""
    if not scope.startswith("user:"):
        return None
    name = scope.removeprefix("user:")
    mine = Job.objects.filter(run=OuterRef("pk"), user__name=name).exclude(state=JobState.ENDED)
    return (
        Run.objects.filter(server=server, ended_at__isnull=True, cancelled_at__isnull=True)
        .exclude(scope=scope)
        .filter(Exists(mine))
        .first()
    )


def cancel(run: Run, *, by: User | None) -> bool:
    """Take what is queued out of the run; what is claimed finishes its step. False where it had ended already."""
    now = timezone.now()
    with transaction.atomic():
        if not Run.objects.filter(pk=run.pk, ended_at__isnull=True, cancelled_at__isnull=True).update(cancelled_at=now):
            return False
        log.for_run(run.pk).warn("run:cancelled", by=by.username if by else "the system")
        audit.record(by, "run:cancelled", run.scope, after={"run": run.pk})
        queued = Job.objects.filter(run=run, state=JobState.QUEUED)
        _leave_to_the_daily_check(run, queued, now)
        queued.update(state=JobState.ENDED, outcome=JobOutcome.CANCELLED, outcome_reason=CANCELLED, ended_at=now)
    end_if_done(run.pk)
    return True


def hosts_of(run: Run) -> dict[str, Any]:
    """The virtual hosts that a run is for, as filters."""
    found: dict[str, Any] = {"server_id": run.server_id, "gone_at__isnull": True}
    kind, _colon, name = run.scope.partition(":")
    if kind == "user":
        found["user__name"] = name
    elif kind == "owner":
        found["user__owner__username"] = name
    elif run.scope == DUE:
        found["next_at__lte"] = run.started_at
    return found


def _leave_to_the_daily_check(run: Run, queued: QuerySet[Job], now: datetime) -> None:
    """Nobody wants now what a cancelled run had before it: else the sweep would begin it anew within a minute."""
    hosts = VirtualHost.objects.filter(pk__in=queued.values("virtual_host"))
    hosting_users.lock(hosts)
    hosts.update(next_at=None, next_reason=CANCELLED)
    if run.surveyed_at is None:
        due = VirtualHost.objects.filter(**hosts_of(run)).filter(next_at__lte=now)
        at_work = Job.objects.filter(virtual_host=OuterRef("pk")).exclude(state=JobState.ENDED)
        ids = sorted(due.exclude(Exists(at_work)).values_list("pk", flat=True))
        hosting_users.lock(VirtualHost.objects.filter(pk__in=ids))
        for first in range(0, len(ids), 500):
            VirtualHost.objects.filter(pk__in=ids[first : first + 500]).update(next_at=None, next_reason=CANCELLED)


def end_if_done(run_id: int, *, now: datetime | None = None) -> bool:
    """End a run that is surveyed (or cancelled) and has no live job; True for the one caller that ended it."""
    now = now or timezone.now()
    live = Job.objects.filter(run=OuterRef("pk")).exclude(state=JobState.ENDED)
    with transaction.atomic():
        ended = (
            Run.objects.filter(pk=run_id, ended_at__isnull=True)
            .filter(Q(surveyed_at__isnull=False) | Q(cancelled_at__isnull=False))
            .filter(~Exists(live))
            .update(ended_at=now)
        )
        if not ended:
            return False
        run = Run.objects.get(pk=run_id)
        done = progress(run)
        run.counts = {**run.counts, "outcomes": done.outcomes()}
        # Paused on the way: what was not begun was held, as it is where a run begins while AutoSSL is paused
        if done.waiting and Job.objects.filter(run=run, outcome_reason="paused").exists():
            run.counts["paused"] = 1
        run.save(update_fields=["counts"])
        # Before the users: whoever reads the configuration locks the server first, too
        troubled = bool(trouble.record(run, now))
        last_checks.note(run, now, partial=run.scope == DUE)
        warns = troubled or run.cancelled_at is not None or "paused" in run.counts
        level = Level.FAILURE if done.failed or run.problem else Level.WARN if warns else Level.SUCCESS
        seconds = round((now - run.started_at).total_seconds(), 1)
        log.for_run(run_id).line("run:ended", level, seconds=seconds, summary=done.summary())
        # The sweep tells of it (`notify.telling`), whoever dies here.
        UntoldRun.objects.create(run=run)
    return True


@dataclass(slots=True)
class Progress:
    """How far a run is, in virtual hosts."""

    queued: int = 0
    running: int = 0
    staged: int = 0
    secured: int = 0
    renewed: int = 0
    kept: int = 0
    skipped: int = 0
    deferred: int = 0
    waiting: int = 0
    failed: int = 0
    cancelled: int = 0
    phases: dict[str, int] = field(default_factory=dict)
    # Its jobs: (state, outcome, phase, number)
    groups: list[tuple[str, str, str, int]] = field(default_factory=list)
    seconds_left: int | None = None
    # Sites that wait for a limit of a CA, and when the last of them would have its turn
    limited: int = 0
    limited_until: datetime | None = None

    def outcomes(self) -> dict[str, int]:
        """How many virtual hosts ended in which way."""
        return {name: getattr(self, name) for name in OUTCOMES}

    @property
    def done(self) -> int:
        return sum(self.outcomes().values())

    @property
    def through(self) -> int:
        """How many were worked through: what was cancelled is left as it was."""
        return self.done - self.cancelled

    @property
    def total(self) -> int:
        return self.done + self.queued + self.running + self.staged

    def summary(self) -> str:
        """“2 secured, 1 failed”: what is not zero, or “nothing to do”."""
        return ", ".join(f"{n} {name}" for name, n in self.outcomes().items() if n) or "no sites"


OUTCOMES = ("failed", "deferred", "waiting", "cancelled", "secured", "renewed", "kept", "skipped")


def progress(run: Run, users: QuerySet[HostingUser] | None = None) -> Progress:
    """Count a run's virtual hosts by how they stand; of `users` only where given."""
    jobs = Job.objects.filter(run=run)
    if users is None:
        rest = run.counts
    else:
        jobs = jobs.filter(user__in=users)
        rest = _rest_of(run, users)
    found = Progress(kept=rest.get("kept", 0), skipped=rest.get("skipped", 0), waiting=rest.get("waiting", 0))
    # All of it, not the rows' numbers: so the index on progress says it by itself
    rows = jobs.values_list("state", "outcome", "phase", "action").annotate(n=Count("*"))
    for state, outcome, phase, action, n in rows.order_by():
        found.groups.append((state, outcome, phase, n))
        if state == JobState.ENDED:
            name = "renewed" if last_checks.is_renewal(outcome, action) else outcome
        else:
            name = state
            found.phases[phase] = found.phases.get(phase, 0) + n
        setattr(found, name, getattr(found, name) + n)
    found.seconds_left = _seconds_left(run, found)
    if found.waiting:
        found.limited, found.limited_until = _limited(run, jobs, users)
    return found


def eta(run: Run, users: QuerySet[HostingUser] | None = None) -> datetime | None:
    """When the last site of a run that waits for a limit of a CA would have its turn, as it was foreseen when it began
    to wait; None where none waits for that.
    """
    return progress(run, users).limited_until


def _limited(run: Run, jobs: QuerySet[Job], users: QuerySet[HostingUser] | None) -> tuple[int, datetime | None]:
    """How many sites wait for a limit, and when the last has its turn: those whose jobs found that out and, while the
    run lives, those that had waited before and needed no job.
    """
    ended = jobs.filter(state=JobState.ENDED, outcome=JobOutcome.WAITING)
    found = ended.filter(outcome_reason=LIMITED, until__isnull=False)
    # Both are counted by one question
    asked = found.order_by().values("run").annotate(n=Count("pk"), last=Max("until")).values_list("n", "last")
    if run.ended_at is None:
        held = VirtualHost.objects.filter(**hosts_of(run), held_reason=LIMITED, held_until__gt=timezone.now())
        if users is not None:
            held = held.filter(user__in=users)
        held = held.exclude(pk__in=found.values("virtual_host"))
        more = held.order_by().values("server").annotate(n=Count("pk"), last=Max("held_until"))
        asked = asked.union(more.values_list("n", "last"), all=True)
    counted: list[tuple[int, datetime]] = list(asked)
    return sum(n for n, _last in counted), max((last for _n, last in counted), default=None)


def _rest_of(run: Run, users: QuerySet[HostingUser]) -> Counter[str]:
    """What needed no job, of some users: from the lines that say so."""
    rest: Counter[str] = Counter()
    rows = LogLine.objects.filter(run=run, job__isnull=True, user__in=users).values_list("data", flat=True)
    for data in rows:
        for name in ("kept", "skipped", "waiting"):
            rest[name] += data.get(name, 0)
    return rest


def _seconds_left(run: Run, found: Progress) -> int | None:
    """At the pace so far; None while too little is done to say."""
    left = found.queued + found.running + found.staged
    through = found.secured + found.renewed + found.failed + found.deferred
    if run.ended_at or run.surveyed_at is None or through < 5 or not left:
        return None
    return round((timezone.now() - run.surveyed_at).total_seconds() / through * left)


def fail(run: Run, text: str) -> None:
    """End a run that cannot go on: its queued jobs end with it, and it says why. What was due stays due."""
    now = timezone.now()
    with transaction.atomic():
        row = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, ended_at__isnull=True).first()
        if row is None:
            return
        if row.cancelled_at is None:
            row.problem, row.cancelled_at = {"code": "failed", "text": text}, now
            row.save(update_fields=["problem", "cancelled_at"])
        log.for_run(run.pk).failure("run:failed", text=text)
        Job.objects.filter(run=run, state=JobState.QUEUED).update(
            state=JobState.ENDED, outcome=JobOutcome.CANCELLED, outcome_reason=why_stopped(row.problem), ended_at=now
        )
    end_if_done(run.pk)


def why_stopped(problem: Mapping[str, Any] | None) -> str:
    """Why the jobs of a run with this problem end before their time, once it has a `cancelled_at`."""
    return RUN_FAILED if problem is not None and problem["code"] == "failed" else CANCELLED


def is_hosting_user(server: Server, name: str) -> bool:
    return HostingUser.objects.filter(server=server, name=name).exists()


def visible(person: User) -> QuerySet[Run]:
    """The runs that `person` may read: root all; a reseller the common ones (own part only) and those of own users.

    A hosting user's login reads those that its users had a part in.
    """
    if person.is_root:
        return Run.objects.all()
    users = hosting_visible.users(person)
    if not person.is_reseller:
        return with_a_part_of(users)
    own = users.values_list(Concat(Value(user_scope("")), "name"), flat=True)
    return Run.objects.filter(Q(scope__in=[ALL, DUE, owner_scope(person)]) | Q(scope__in=own))


def with_a_part_of(users: QuerySet[HostingUser]) -> QuerySet[Run]:
    """The runs that were for all, for `users` or for those of their owners, or that had work for them."""
    server = Concat(Cast("server_id", CharField()), Value(" "))
    alone = users.values_list(Concat(server, Value(user_scope("")), "name"), flat=True)
    owned = users.filter(owner__isnull=False).values_list(Concat(server, Value("owner:"), "owner__username"), flat=True)
    work = Job.objects.filter(user__in=users).order_by().values("run")
    # A scope means something on its own server only.
    runs = Run.objects.annotate(place=Concat(server, "scope"))
    everybody = Q(scope=ALL, server__in=users.order_by().values("server"))
    return runs.filter(everybody | Q(place__in=alone) | Q(place__in=owned) | Q(pk__in=work))


def at_work_on(users: QuerySet[HostingUser]) -> QuerySet[Run]:
    """The live runs that are for one of `users`, or still have work for them; one for a user alone first."""
    mine = Job.objects.filter(run=OuterRef("pk"), user__in=users).exclude(state=JobState.ENDED)
    alone = users.annotate(alone=Concat(Value(user_scope("")), "name")).filter(
        server=OuterRef("server"), alone=OuterRef("scope")
    )
    found = Run.objects.filter(Exists(mine) | Exists(alone), ended_at__isnull=True)
    return found.order_by("-scope")


def live(server: Server, scope: str) -> Run | None:
    """The live run of a scope, for whoever asks for the same; a cancelled one that finishes its last steps is none.

    Of what is due, one that still looks for it: what comes due after that is not in it, and would wait for its end.
    """
    found = Run.objects.select_related("asked_by").filter(
        server=server, scope=scope, ended_at__isnull=True, cancelled_at__isnull=True
    )
    if scope == DUE:
        found = found.filter(surveyed_at__isnull=True)
    return found.first()


PHASES = (Phase.ATTACH, Phase.PROVE, Phase.ORDER, Phase.INSTALL, Phase.VERIFY)
