"""A CA's limits in a run: what has no permit waits for a stated moment, is told why, and goes on by itself."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from autossl_panel.autossl import jobs, limits, runs
from autossl_panel.autossl.models import Account, Bucket, Job, JobOutcome, LogLine, Order, Provider, Run
from autossl_panel.hosting.models import HostingUser, Setting, SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.limits_rows import row
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)

# Of three in so many seconds the panel uses two, and leaves two seconds more between them.
WINDOW, AT_ONCE = 3, 2
SITES = [Site(f"user{number}", (f"site{number}.example",)) for number in range(5)]
# Three of a domain that allows two
SUBDOMAINS = [Site("shop", (f"{label}.shop.example",)) for label in ("a", "b", "c")]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[*SITES, *SUBDOMAINS]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


def limited(parts: Parts, *rows: dict[str, Any]) -> None:
    Provider.objects.filter(pk=parts.provider.pk).update(limits=list(rows))


def only(parts: Parts, *users: str) -> None:
    """AutoSSL is on for these users."""
    parts.discover()
    HostingUser.objects.exclude(name__in=users).update(autossl=Setting.OFF)


def due(parts: Parts) -> Run:
    """What the sweep starts when the moment of a site has come."""
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def test_orders_beyond_the_limit_wait_for_their_turn_and_go_on_by_themselves(parts: Parts) -> None:
    limited(parts, row("orders", AT_ONCE + 1, WINDOW, continuous=False))
    only(parts, *(site.user for site in SITES))
    said = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("autossl_check", "--all", stdout=said)
    run = Run.objects.latest("pk")
    waiting = Job.objects.filter(run=run, outcome=JobOutcome.WAITING)
    assert waiting.count() == len(SITES) - AT_ONCE
    assert set(waiting.values_list("outcome_reason", flat=True)) == {"rate_limited"}

    # Each is told which limit, how much of it is used, and when its own turn comes: not all come at the same moment.
    turns = sorted(VirtualHost.objects.filter(held_reason="rate_limited").values_list("held_until", flat=True))
    assert len(turns) == len(SITES) - AT_ONCE
    assert turns[AT_ONCE] is not None
    assert turns[0] is not None
    assert turns[AT_ONCE] - turns[0] >= timedelta(seconds=WINDOW)
    host = VirtualHost.objects.filter(held_reason="rate_limited").first()
    assert host is not None
    assert host.problem is not None
    data = host.problem["data"]
    assert (data["limit"], data["used"], data["allowed"]) == ("orders", AT_ONCE, AT_ONCE)
    assert (host.state, host.held_provider, host.next_at) == (SiteState.UNSECURED, "pebble", host.held_until)
    told = LogLine.objects.filter(run=run, event="provider:limited").first()
    assert told is not None
    assert told.data["limit"] == "orders"

    # The run knows when the last of them is through.
    progress = runs.progress(run)
    assert (progress.limited, progress.limited_until) == (len(turns), turns[-1])
    assert runs.eta(run) == turns[-1]
    assert f"{len(turns)} sites must wait. AutoSSL goes on by itself; the last at" in said.getvalue()
    # Another check asks the CA nothing, and says the same.
    requests = parts.box.ca_requests()
    again = parts.run()
    assert parts.box.ca_requests() == requests
    assert again.counts["waiting"] == len(turns)

    deadline = time.monotonic() + 300
    mine = VirtualHost.objects.exclude(user__name="shop").exclude(state=SiteState.SECURED)
    while mine.exists():
        assert time.monotonic() < deadline, "somebody still waits"
        if mine.filter(next_at__lte=datetime.now(UTC)).exists():
            due(parts)
        time.sleep(0.1)
    placed = sorted(Order.objects.values_list("created_at", flat=True))
    assert len(placed) == len(SITES)
    # As the CA counts: never three within its window.
    for first, third in zip(placed, placed[AT_ONCE:], strict=False):
        assert third - first > timedelta(seconds=WINDOW)


def test_a_limit_of_one_domain_holds_its_sites_and_nobody_elses(parts: Parts) -> None:
    limited(parts, row("orders", 100, 3600), row("domain", 2, 3600, continuous=False))
    only(parts, "shop", "user0")
    run = parts.run()
    ended = {job.virtual_host.name: job for job in Job.objects.filter(run=run).select_related("virtual_host")}
    shop = [ended[site.name] for site in SUBDOMAINS]
    assert ended["site0.example"].outcome == JobOutcome.SECURED
    assert sorted(job.outcome for job in shop) == [JobOutcome.SECURED, JobOutcome.WAITING, JobOutcome.WAITING]
    waits = [job for job in shop if job.outcome == JobOutcome.WAITING]
    for job in waits:
        assert job.problem is not None
        assert (job.problem["data"]["limit"], job.problem["data"]["label"]) == ("domain", "shop.example")
    turns = sorted(job.until for job in waits if job.until is not None)
    assert turns[1] - turns[0] > timedelta(minutes=59), "one of them an hour"


def test_a_renewal_inside_its_window_is_free_where_all_else_is_used_up(parts: Parts) -> None:
    """The CA of this test knows no renewal information: the window is put on the row, as an answer would be."""
    limited(parts, row("orders", 1, 3600), row("set", 1, 3600), row("domain", 1, 3600))
    only(parts, "user0", "user1")
    run = parts.run()
    done = Job.objects.get(run=run, outcome=JobOutcome.SECURED).virtual_host
    assert Job.objects.get(run=run, outcome=JobOutcome.WAITING).outcome_reason == "rate_limited"
    now = datetime.now(UTC)
    order = Order.objects.get(virtual_host=done)
    assert order.certificate is not None
    certificate = order.certificate
    certificate.ari_start, certificate.ari_end = now - timedelta(hours=1), now + timedelta(hours=1)
    certificate.renewal_at = now
    # Issued a moment ago: else the next would expire in the same second, which no renewal may.
    certificate.not_after -= timedelta(days=1)
    certificate.save()
    VirtualHost.objects.filter(pk=done.pk).update(next_at=now)
    run = due(parts)
    job = Job.objects.get(run=run, virtual_host=done)
    assert (job.outcome, job.reason) == (JobOutcome.SECURED, "ari")
    latest = parts.order(done.name)
    assert latest.permit is not None
    assert latest.permit["kind"] == "ari"
    # Free, but what it issued counts for whoever asks next.
    assert Bucket.objects.get(kind="set", used__gt=0, label=done.name).used == 2
    account = Account.objects.select_related("provider").get()
    assert {str(one.kind): one.used for one in limits.usage(account, now=now).limits}["orders"] == 1
