"""A run from start to end: the survey, then a runner; from the queue, or in the foreground of a command."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from django.db import DatabaseError
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from autossl_panel.helper.client import Client as Helper
from autossl_panel.helper.client import HelperGone
from autossl_panel.hosting.models import Server

from .. import foreground, helpers, leases, registration, runs
from ..models import Beat, Job, JobState, Run, Slot
from ..survey import survey
from .claims import lost_jobs
from .runner import Runner

log = logging.getLogger("autossl_panel.jobs")

SURVEY_LEASE = 30.0
# Rung again at most so often for the same slot
RING_EVERY = 20.0
# The queue is read every second: a task that has not begun by then was lost, or waits behind others
LATE = timedelta(seconds=10)


def work(run_id: int, *, stop: Callable[[], bool]) -> None:
    """What a bell does: survey the run if that is due, then work for its server as long as there is something to do."""
    run = Run.objects.select_related("server").filter(pk=run_id).first()
    if run is None:
        return
    with helpers.client() as helper:
        _survey(run, helper, beat=True)
        _run(run.server, helper, stop)


def _run(server: Server, helper: Helper, stop: Callable[[], bool]) -> None:
    while True:
        runner = Runner(server, helper, stop=stop)
        if not runner.work():
            return
        if stop():
            return
        if runner.spent:
            # Its budget, not its work, is over: the next task goes on.
            run = Run.objects.filter(server=server, ended_at__isnull=True).first()
            if run is not None:
                runs.ring(run)
            return
        # Somebody may have queued jobs after this runner's last look and found its slot taken.
        if not has_work(server):
            return


def work_through(run_id: int, *, stop: threading.Event) -> None:
    """Work a run through in this process until it has ended or `stop` is set; starts a helper where none answers.

    Raises HelperGone where there is no helper to be had. What is in hand at `stop` finishes its step.
    """
    run = Run.objects.select_related("server").get(pk=run_id)

    def over() -> bool:
        return Run.objects.filter(pk=run_id, ended_at__isnull=False).exists()

    with foreground.helper() as helper:
        while not stop.is_set() and not over():
            _survey(run, helper, beat=False)
            if not over():
                Runner(run.server, helper, stop=stop.is_set, until=over).work()
            if not over() and not stop.is_set():
                time.sleep(0.3)


def _survey(run: Run, helper: Helper, *, beat: bool) -> None:
    """Survey a run that is not surveyed yet, unless somebody else does."""
    if run.surveyed_at is not None or run.ended_at is not None:
        return
    server = run.server

    def give_sign() -> None:
        Beat.objects.filter(server=server).update(at=Now())

    holder = leases.new_holder()
    with leases.kept(survey_lease(run), holder, SURVEY_LEASE, also=give_sign if beat else None) as ours:
        if not ours:
            return
        run.refresh_from_db()
        registration.look_at_clock(server)
        try:
            survey(run, helper)
        except HelperGone as problem:
            runs.fail(run, str(problem))
        except DatabaseError:
            raise
        except Exception as error:
            # Rung again, it would raise again, for ever; what the database says passes, and the survey goes on.
            log.exception("run %s could not be surveyed", run.pk)
            runs.fail(run, f"{type(error).__name__}: {error}"[:500])
    run.refresh_from_db()


def has_work(server: Server) -> bool:
    """Whether jobs wait, runs wait for their survey, or a dead worker's jobs wait to be taken up."""
    waiting = Job.objects.filter(server=server, state__in=[JobState.QUEUED, JobState.STAGED])
    return waiting.exists() or lost_jobs(server).exists()


def ring_where_needed(server: Server) -> bool:
    """Ring the bell where there is work and nobody at it; the task may have been lost with its worker."""
    for run_id in _ended_unnoticed(server):
        runs.end_if_done(run_id)
    if (run := _waits_for_its_survey(server)) is not None:
        return _ring(run)
    if not has_work(server) or _somebody_is_at_it(server):
        return False
    return ring(server)


def _somebody_is_at_it(server: Server) -> bool:
    holders = Slot.objects.filter(server=server, until__gte=Now()).values_list("holder", flat=True)
    return any(not leases.gone(holder) for holder in holders)


def _ended_unnoticed(server: Server) -> list[int]:
    """Live runs without a live job: their last worker died before it could end them."""
    live = Job.objects.filter(run=OuterRef("pk")).exclude(state=JobState.ENDED)
    done = Run.objects.filter(server=server, ended_at__isnull=True, surveyed_at__isnull=False)
    return list(done.exclude(Exists(live)).values_list("pk", flat=True))


def _waits_for_its_survey(server: Server) -> Run | None:
    """A run whose task should have come long ago, and that nobody surveys."""
    now = timezone.now()
    # Ahead of now where the clock was set back: how long ago that was is not known.
    late = Q(started_at__lt=now - LATE) | Q(started_at__gt=now)
    waiting = Run.objects.filter(late, server=server, ended_at__isnull=True, surveyed_at__isnull=True)
    for run in waiting.order_by("pk"):
        if not leases.held(survey_lease(run)):
            return run
    return None


def ring(server: Server) -> bool:
    """Put a live run into the queue again."""
    run = Run.objects.filter(server=server, ended_at__isnull=True, surveyed_at__isnull=False).order_by("pk").first()
    return run is not None and _ring(run)


def _ring(run: Run) -> bool:
    """Ring for a run, unless somebody did so a moment ago."""
    slot, _made = Slot.objects.get_or_create(server=run.server, n=0)
    recently = Now() - timedelta(seconds=RING_EVERY)
    rested = Q(rung_at__isnull=True) | Q(rung_at__lt=recently) | Q(rung_at__gt=Now())
    if not Slot.objects.filter(rested, pk=slot.pk).update(rung_at=Now()):
        return False
    log.warning("run %s has work and nobody at it: the bell is rung again", run.pk)
    runs.ring(run)
    return True


def survey_lease(run: Run) -> str:
    """The name of the right to survey a run."""
    return f"survey:{run.pk}"
