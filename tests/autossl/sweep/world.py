"""What tests of the minute sweep share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from autossl_panel.autossl import sweep
from autossl_panel.autossl.models import (
    Job,
    JobState,
    Lease,
    Run,
)
from autossl_panel.hosting.models import Server, VirtualHost

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Make = Callable[..., Any]


def swept(server: Server, now: datetime = NOON) -> list[str]:
    """The scopes of the runs that a sweep starts."""
    before = set(Run.objects.values_list("pk", flat=True))
    Lease.objects.all().delete()
    assert sweep.sweep(server, now=now)
    return sorted(Run.objects.exclude(pk__in=before).values_list("scope", flat=True))


def queue(run: Run, host: VirtualHost) -> None:
    """A job of the run, that nobody has begun with."""
    Job.objects.create(
        run=run, server=host.server, virtual_host=host, user=host.user, action="new", reason="missing", job_class=1,
        queued_at=NOON, state=JobState.QUEUED,
    )  # fmt: skip
