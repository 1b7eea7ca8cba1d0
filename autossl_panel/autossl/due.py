"""Runs for the sites whose moment has come: begun by the sweep, and where something cannot wait for that."""

from datetime import datetime

from django.db.models import Exists, OuterRef

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, VirtualHost

from . import options as option_rows
from . import providers, runs
from .models import Job, JobOutcome, JobState, Run

# Runs of what is due that are at work at once
MOST_DUE = 5


def start(server: Server, now: datetime) -> None:
    """Start a run for the sites whose moment has come and that nobody works on; none while AutoSSL is paused."""
    if providers.active(server) is None or option_rows.current(server).paused_at is not None:
        return
    # Judged while AutoSSL was paused, and written after it had gone on: nobody else would look at these.
    paused = VirtualHost.objects.filter(server=server, next_reason="paused", next_at__isnull=True)
    if paused.exists():
        hosting_users.make_due(paused, now)
    _heed_cancelling(server, now)
    live = Job.objects.filter(virtual_host=OuterRef("pk")).exclude(state=JobState.ENDED)
    found = VirtualHost.objects.filter(server=server, gone_at__isnull=True, next_at__lte=now).exclude(Exists(live))
    unsurveyed = Run.objects.filter(server=server, scope=runs.ALL, ended_at__isnull=True, surveyed_at__isnull=True)
    # Those at work with what was due before: who comes due now does not wait for their end, unless there are many
    at_work = Run.objects.filter(server=server, scope=runs.DUE, ended_at__isnull=True)
    if found.exists() and not unsurveyed.exists() and at_work.count() < MOST_DUE:
        runs.start(runs.DUE, by=None, asked_from="sweep", server=server, now=now)


def start_missed(run: Run, now: datetime) -> None:
    """Begin with what has come due since a run of what was due began, which has just looked: nobody joined another.

    What was due before that and still is, is the next sweep's: nothing goes round without a pause.
    """
    since = VirtualHost.objects.filter(
        server_id=run.server_id, gone_at__isnull=True, next_at__gt=run.started_at, next_at__lte=now
    )
    if run.scope == runs.DUE and since.exists():
        start(run.server, now)


def _heed_cancelling(server: Server, now: datetime) -> None:
    """Sites whose work a person cancelled wait for the next daily check, unless something new came up since."""
    cancelled = Job.objects.filter(
        virtual_host=OuterRef("pk"),
        outcome=JobOutcome.CANCELLED,
        # Not what ended with a run that could not go on
        outcome_reason=runs.CANCELLED,
        ended_at__gte=OuterRef("next_at"),
        # Nor what was cancelled in days to come, by a clock that ran ahead
        ended_at__lte=now,
    )
    due = VirtualHost.objects.filter(server=server, next_at__lte=now)
    due.filter(Exists(cancelled)).update(next_at=None, next_reason=runs.CANCELLED)
