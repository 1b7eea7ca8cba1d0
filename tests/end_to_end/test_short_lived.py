"""Certificates of half a minute, made by the CA's own setting: renewal, deferral and its end, coverage reduced and
regained, a name that the CA refuses. No clock is touched: every moment is waited for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import jobs, options, runs
from autossl_panel.autossl.models import Certificate, Installation, Job, JobOutcome, LogLine, Order, Run, Verdict
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.sandbox.addresses import free_port
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.nameserver import NameServer
from autossl_panel.sandbox.processes import Processes
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of

# It waits for the ends of real certificates.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

LIFE = 30
MAIN, WWW = "amber.example", "www.amber.example"
# The CA sees it elsewhere than we do
SEEN, UNSEEN = "birch.example", "shop.birch.example"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    sites = [Site("amber", (MAIN, WWW)), Site("birch", (SEEN, UNSEEN))]
    with Box(sites=sites, validity_seconds=LIFE) as started:
        yield started


@pytest.fixture(scope="module")
def resolver(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NameServer]:
    """What this server's resolver says; the CA asks the box's own."""
    processes = Processes()
    server = NameServer(
        processes,
        tmp_path_factory.mktemp("as"),
        address=box.address,
        port=free_port(box.address, 8153),
        management_port=free_port(box.address, 8155),
    )
    try:
        server.wait()
        for name in (MAIN, WWW, SEEN, UNSEEN):
            server.set_addresses(name, a=[box.address])
        box.set_dns(UNSEEN, a=[box.elsewhere])
        yield server
    finally:
        server.close()
        processes.stop()


@pytest.fixture
def parts(box: Box, resolver: NameServer, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        values = {"resolvers": f"{resolver.address}:{resolver.port}"}
        options.change(found.server, values, by=None)
        yield found


def when_due(parts: Parts, *names: str) -> Run:
    """What the sweep starts when the moment of these sites has come."""
    for name in names:
        host = parts.site(name)
        assert host.next_at is not None
        left = (host.next_at - datetime.now(UTC)).total_seconds()
        assert left < LIFE
        time.sleep(max(0.0, left))
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def current(name: str) -> Certificate:
    return Installation.objects.get(virtual_host__name=name, until__isnull=True).certificate


def end(run: Run, name: str) -> tuple[str, str]:
    job = Job.objects.get(run=run, virtual_host__name=name)
    return job.outcome, job.outcome_reason


def test_the_life_of_a_site_in_certificates_of_half_a_minute(parts: Parts, resolver: NameServer, box: Box) -> None:
    run = parts.run()
    assert end(run, MAIN) == (JobOutcome.SECURED, "missing")
    _refused_by_the_ca(run)
    first, other = current(MAIN), current(SEEN)
    assert first.not_after - first.not_before <= timedelta(seconds=LIFE)

    # Half of its life: it is renewed, and where a name fails that is put off.
    for server in (resolver, box.dns):
        server.set_addresses(WWW)
    run = when_due(parts, MAIN, SEEN)
    assert end(run, SEEN) == (JobOutcome.SECURED, "due")
    assert current(SEEN).not_after > other.not_after
    assert parts.shown(SEEN) == current(SEEN).serial
    assert end(run, MAIN) == (JobOutcome.DEFERRED, "deferred")
    assert parts.shown(MAIN) == first.serial
    deferred = LogLine.objects.get(run=run, event="plan:defer")
    assert deferred.data["names"] == WWW
    until = parts.site(MAIN).next_at
    assert until is not None
    assert abs(until - (first.not_after - timedelta(seconds=LIFE / 6))) < timedelta(seconds=1)

    # The end of the deferral: the failure was seen twice, and the site is renewed without the name.
    run = when_due(parts, MAIN)
    assert end(run, MAIN) == (JobOutcome.SECURED, "reduced_coverage")
    assert datetime.now(UTC) < first.not_after, "before the old one expired"
    second = current(MAIN)
    assert (second.names, parts.shown(MAIN)) == ([MAIN], second.serial)
    assert parts.site(MAIN).state == SiteState.PARTLY

    # It passes again: a person's check brings it back at once.
    for server in (resolver, box.dns):
        server.set_addresses(WWW, a=[box.address])
    run = parts.run(runs.user_scope("amber"))
    assert end(run, MAIN) == (JobOutcome.SECURED, "coverage")
    third = current(MAIN)
    assert set(third.names) == {MAIN, WWW}
    assert parts.site(MAIN).state == SiteState.SECURED
    assert parts.shown(WWW) == third.serial


def _refused_by_the_ca(run: Run) -> None:
    """Our preflight passed it, the CA did not: left out of one further order, and not asked for again for a day."""
    assert end(run, SEEN) == (JobOutcome.SECURED, "missing")
    assert current(SEEN).names == [SEEN]
    orders = Order.objects.filter(virtual_host__name=SEEN).order_by("pk")
    assert [set(order.names) for order in orders] == [{SEEN, UNSEEN}, {SEEN}]
    verdict = Verdict.objects.get(domain__name=UNSEEN)
    assert verdict.code == "ca_refused"
    refusal = (verdict.refusals or {})["pebble"]
    assert datetime.fromisoformat(refusal["until"]) > datetime.now(UTC) + timedelta(hours=23)
    host = VirtualHost.objects.get(name=SEEN)
    assert host.state == SiteState.PARTLY
    assert host.problem is not None
    assert (host.problem["code"], host.problem["domain"]) == ("ca_refused", UNSEEN)
