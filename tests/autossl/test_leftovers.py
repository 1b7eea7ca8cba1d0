"""The open order of a site whose user is suspended: what the CA signs is fetched and staged, never installed, and used
when the user comes back while it is valid.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autossl_panel import ca
from autossl_panel.autossl import jobs, leftovers, runs, sweep
from autossl_panel.autossl.models import Certificate, Job, JobOutcome, Lease, LogLine, Order, Run
from autossl_panel.hosting import users
from autossl_panel.hosting.models import HostingUser, SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)

MAIN = "amber.example"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN,))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


def suspend(suspended: bool = True) -> None:
    users.set_suspended(HostingUser.objects.get(name="amber"), suspended, by=None, now=datetime.now(UTC))


def interrupted(parts: Parts, happens: Callable[[], None], *, then_breaks: bool) -> Run:
    """A run in which something happens as the certificate is downloaded, which then fails or not."""
    download = ca.Client.download

    def then(client: ca.Client, url: str) -> bytes:
        happens()
        if then_breaks:
            raise ca.CaProblem(ca.ProblemKind.SERVER, type="urn:x", detail="busy", status=503)
        return download(client, url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ca.Client, "download", then)
        return parts.run()


def due(parts: Parts, now: datetime) -> list[tuple[str, str]]:
    """What a sweep starts, worked through: how its jobs end."""
    Lease.objects.all().delete()
    before = set(Run.objects.values_list("pk", flat=True))
    sweep.sweep(parts.server, now=now)
    ends: list[tuple[str, str]] = []
    for run in Run.objects.exclude(pk__in=before).filter(scope=runs.DUE):
        jobs.work_through(run.pk, stop=threading.Event())
        ends += Job.objects.filter(run=run).values_list("outcome", "outcome_reason")
    return ends


@pytest.fixture
def signed(parts: Parts) -> Parts:
    """The CA has signed it, its user is suspended, and it could not be fetched."""
    interrupted(parts, suspend, then_breaks=True)
    order = Order.objects.get()
    assert (order.status, order.staged_at, order.closed_at) == ("valid", None, None)
    assert parts.site(MAIN).state == SiteState.OFF
    return parts


def comes_back(parts: Parts) -> None:
    suspend(False)
    assert due(parts, datetime.now(UTC)) == [(JobOutcome.SECURED, "missing")]
    assert parts.shown(MAIN) == Certificate.objects.get().serial
    assert Order.objects.get().closed_as == "installed", "nothing was ordered a second time"


def test_what_is_signed_is_fetched_and_staged_and_used_when_the_user_is_back(signed: Parts) -> None:
    parts = signed
    assert due(parts, datetime.now(UTC)) == [(JobOutcome.SKIPPED, "suspended")]
    order = Order.objects.get()
    assert (order.staged_at is None, order.closed_at) == (False, None)
    assert list(parts.helper.status().staged) == [order.ident]
    assert parts.shown(MAIN) is None
    said = LogLine.objects.get(event="install:stays_staged")
    assert said.data["reason"] == "suspended"
    # Nothing is left to do: no sweep and no daily check begins again.
    assert due(parts, datetime.now(UTC)) == []
    assert not Job.objects.filter(run=parts.run()).exists()
    comes_back(parts)


def test_who_is_suspended_while_it_is_staged_gets_nothing_installed(parts: Parts) -> None:
    run = interrupted(parts, suspend, then_breaks=False)
    assert (parts.job(run, MAIN).outcome, parts.job(run, MAIN).outcome_reason) == (JobOutcome.SKIPPED, "suspended")
    assert Order.objects.get().staged_at is not None
    assert parts.shown(MAIN) is None
    comes_back(parts)


def test_a_staged_certificate_that_has_expired_is_closed_and_its_key_removed(signed: Parts) -> None:
    parts, now = signed, datetime.now(UTC)
    due(parts, now)
    [ident] = parts.helper.status().staged
    leftovers.look(parts.server, now)
    assert Order.objects.get().closed_at is None
    Certificate.objects.update(not_after=now)
    leftovers.look(parts.server, now)
    assert Order.objects.get().closed_as == "given_up"
    # An order is left alone for an hour: its row may not be written yet.
    folder = parts.folder / "helper" / "staged" / ident
    os.utime(folder, (now.timestamp() - 7200,) * 2)
    assert parts.helper.prune(Order.objects.filter(closed_at=None).values_list("ident", flat=True)).orders == 1
    assert not folder.exists()


def test_what_is_signed_for_a_site_without_a_wanted_name_is_staged_and_closed_in_the_end(parts: Parts) -> None:
    interrupted(parts, lambda: None, then_breaks=True)
    users.exclude([MAIN], by=None, now=datetime.now(UTC))
    run = parts.run()
    assert (parts.job(run, MAIN).outcome, parts.job(run, MAIN).outcome_reason) == (JobOutcome.SKIPPED, "all_excluded")
    assert Order.objects.get().staged_at is not None
    assert parts.shown(MAIN) is None
    Certificate.objects.update(not_after=datetime.now(UTC))
    due(parts, datetime.now(UTC))
    assert Order.objects.get().closed_as == "given_up"


def test_a_ca_that_is_down_is_asked_again_later_and_nobody_in_its_place(signed: Parts) -> None:
    parts, now = signed, datetime.now(UTC)
    url = Order.objects.get().url
    Order.objects.update(url=f"https://{parts.box.silent}:1/order")
    assert due(parts, now) == [(JobOutcome.WAITING, "order_open")]
    order = Order.objects.get()
    assert order.retry_at is not None
    assert timedelta(minutes=9) < order.retry_at - now < timedelta(minutes=12)
    assert due(parts, now) == []
    Order.objects.update(url=url, retry_at=now)
    assert due(parts, now) == [(JobOutcome.SKIPPED, "suspended")]
    comes_back(parts)


def test_an_order_that_the_ca_has_forgotten_is_over(signed: Parts) -> None:
    parts = signed
    Order.objects.update(url=Order.objects.get().url + "0")
    assert due(parts, datetime.now(UTC)) == [(JobOutcome.SKIPPED, "suspended")]
    assert Order.objects.get().closed_as == "given_up"
    assert due(parts, datetime.now(UTC)) == []
    suspend(False)
    assert due(parts, datetime.now(UTC)) == [(JobOutcome.SECURED, "missing")]
    assert parts.issued(MAIN)


def test_an_unsigned_order_of_a_site_without_a_wanted_name_is_given_up(parts: Parts) -> None:
    interrupted(parts, lambda: None, then_breaks=True)
    Order.objects.update(status="pending")
    users.exclude([MAIN], by=None, now=datetime.now(UTC))
    run = parts.run()
    assert not Job.objects.filter(run=run).exists()
    assert Order.objects.get().closed_as == "given_up"
    assert VirtualHost.objects.get().next_reason == "all_excluded"
