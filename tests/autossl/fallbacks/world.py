"""What tests of two providers share: sites, the trouble that a CA is made to have, what rows say afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from autossl_panel import ca
from autossl_panel.autossl import (
    jobs,
    runs,
)
from autossl_panel.autossl.choosing import probe_lease
from autossl_panel.autossl.models import (
    Account,
    Bucket,
    Job,
    Lease,
    LogLine,
    Order,
    Provider,
    Run,
)
from autossl_panel.ca.errors import ACME_PREFIX
from autossl_panel.hosting.models import VirtualHost
from tests.autossl.limits_rows import row
from tests.autossl.parts import Parts

MAIN, WWW, OTHER = "amber.example", "www.amber.example", "birch.example"


MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


NewOrder = Callable[..., ca.OrderState]


class Trouble:
    """Has newOrder raise, for one provider's account or for all; counts what it kept from the CA."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._new_order = ca.Client.new_order
        self.met: list[Sequence[str]] = []

    def at(self, provider: Provider | None, problem: Callable[[], ca.CaProblem] | None) -> None:
        url = provider.accounts.get().url if provider is not None else None
        new_order = self._new_order

        def asked(client: ca.Client, names: Sequence[str], **more: Any) -> ca.OrderState:
            if problem is not None and url in (None, client.account_url):
                self.met.append(names)
                raise problem()
            return new_order(client, names, **more)

        self._patch.setattr(ca.Client, "new_order", asked)


def fault() -> ca.CaProblem:
    return ca.CaProblem(ca.ProblemKind.SERVER, type=f"{ACME_PREFIX}serverInternal", detail="Out of order.", status=500)


def limit(detail: str, *, hours: float = 1) -> Callable[[], ca.CaProblem]:
    def problem() -> ca.CaProblem:
        until = datetime.now(UTC).replace(microsecond=0) + hours * HOUR
        return ca.CaProblem(
            ca.ProblemKind.RATE, type=f"{ACME_PREFIX}rateLimited", detail=detail, status=429, retry_after=until
        )

    return problem


def outcome(job: Job) -> tuple[str, str]:
    return job.outcome, job.outcome_reason


def lines(run: Run, name: str, event: str) -> list[dict[str, Any]]:
    found = LogLine.objects.filter(run=run, job__virtual_host__name=name, event=event)
    return [line.data for line in found.order_by("seq")]


def due(parts: Parts) -> Run:
    """A run of the sweep's, which clears no holds."""
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def ordered_from(name: str) -> list[str]:
    """The providers that a site was ordered from, in order."""
    found = Order.objects.filter(virtual_host__name=name).order_by("pk")
    return list(found.values_list("provider__name", flat=True))


PLENTY = [row("orders", 100, 3600), row("domain", 100, 3600), row("set", 20, 3600), row("failures", 20, 3600)]


def used(kind: str) -> int:
    return sum(Bucket.objects.filter(kind=kind).values_list("used", flat=True))


def limited(provider: Provider, *rows: dict[str, Any]) -> None:
    Provider.objects.filter(pk=provider.pk).update(limits=list(rows) or PLENTY)


def busy() -> ca.CaProblem:
    """Trouble of the CA's own that it asks to be left alone with."""
    problem = fault()
    problem.retry_after = datetime.now(UTC).replace(microsecond=0) + 20 * DAY
    return problem


def an_hour_passes() -> None:
    """Since somebody last asked whether a refusal still holds."""
    Bucket.objects.filter(blocked_asked__isnull=False).update(blocked_asked=F("blocked_asked") - 3600)


def slowly(problem: Callable[[], ca.CaProblem]) -> Callable[[], ca.CaProblem]:
    """The CA takes its time to say so: whoever is to come beside the first has come by then."""

    def said() -> ca.CaProblem:
        time.sleep(0.4)
        return problem()

    return said


def moments_come(now: datetime) -> None:
    """Of all sites that wait for something."""
    VirtualHost.objects.update(held_until=now - MINUTE, retry_at=None)


def probe_holder(account: Account) -> str:
    return Lease.objects.get(name=probe_lease(account.pk)).holder
