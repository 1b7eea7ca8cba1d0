"""A wrong resolver, no IPv6 route, a clock ten minutes off: nothing is lost or ordered in error, and it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl import jobs, options, runs, sweep
from autossl_panel.autossl.models import (
    Certificate,
    Job,
    JobOutcome,
    Kind,
    Lease,
    LogLine,
    Message,
    Notice,
    Order,
    Provider,
    Run,
)
from autossl_panel.autossl.notify import telling
from autossl_panel.dcv.fetch import Fetched, Fetcher, has_route
from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of
from tests.ca.authority import MiniCa
from tests.ca.rogue import Asked, RogueCa, answer
from tests.support import no_way_out
from tests.support.rogue_provider import asked_for, use

pytestmark = pytest.mark.django_db(transaction=True)

MAIN, WWW = "amber.example", "www.amber.example"
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN, WWW))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    settings.AUTOSSL_SMTP_URL, settings.AUTOSSL_MAIL_FROM = "smtp://127.0.0.1:1", "panel@harbor.example"
    with parts_of(box, settings) as found:
        options.change(found.server, {"admin_addresses": "ops@harbor.example"}, by=None)
        yield found


def due(parts: Parts) -> Run:
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def make_due(left: timedelta) -> None:
    """The site's certificate has so much of its 90 days left, and is to be renewed now."""
    now = datetime.now(UTC)
    Certificate.objects.update(not_before=now + left - 90 * DAY, not_after=now + left, renewal_at=now)
    VirtualHost.objects.update(next_at=now, retry_at=None)


def told(parts: Parts, run: Run) -> set[str]:
    """What the run and the server's row say is wrong with the server."""
    on_row = {one["code"] for one in Server.objects.get(pk=parts.server.pk).trouble}
    in_run = set(LogLine.objects.filter(run=run, event="run:trouble").values_list("data__reason", flat=True))
    assert on_row == in_run
    return on_row


def sent_to_admin(parts: Parts, run: Run) -> set[str]:
    """What a mail to the administrator says of the server, once it has lasted for an hour."""
    now = datetime.now(UTC)
    telling.after_run(run.pk, now=now)
    telling.look(parts.server, now=now + timedelta(minutes=61))
    assert Message.objects.filter(address="ops@harbor.example").exists()
    notices = Notice.objects.filter(kind=Kind.SERVER, admin_stage__gt=0)
    return {subject.removeprefix("server:") for subject in notices.values_list("subject", flat=True)}


@pytest.fixture
def secured(parts: Parts) -> Parts:
    parts.run()
    assert Order.objects.count() == 1
    make_due(20 * DAY)
    return parts


def renewed_when_mended(parts: Parts) -> None:
    VirtualHost.objects.update(next_at=datetime.now(UTC), retry_at=None)
    run = due(parts)
    assert parts.job(run, MAIN).outcome == JobOutcome.SECURED
    assert set(parts.order(MAIN).names) == {MAIN, WWW}
    assert told(parts, run) == set()


def test_a_resolver_that_does_not_answer_defers_and_is_told(secured: Parts) -> None:
    parts = secured
    options.change(parts.server, {"resolvers": f"{parts.box.silent}:53"}, by=None)
    run = due(parts)
    job = parts.job(run, MAIN)
    # No name could be judged: the certificate stays, and nothing is ordered.
    assert (job.outcome, job.outcome_reason) == (JobOutcome.FAILED, "dcv_all_failed")
    assert Order.objects.count() == 1
    assert parts.site(MAIN).state == SiteState.SECURED
    assert told(parts, run) == {"resolver_dead"}
    assert sent_to_admin(parts, run) == {"resolver"}
    options.change(parts.server, {"resolvers": parts.box.resolver}, by=None)
    renewed_when_mended(parts)


def test_a_family_without_a_route_defers_and_is_told(request: pytest.FixtureRequest) -> None:
    """The kernel itself says that it has no route, in a namespace without one; where nobody may make such a namespace,
    its answer is put in.
    """
    if not no_way_out.is_inside():
        if no_way_out.passes_inside(request.node):
            return
        _without_ipv6(request.getfixturevalue("monkeypatch"))
    parts: Parts = request.getfixturevalue("secured")
    assert not has_route("fd00:53::1") or not no_way_out.is_inside()
    parts.box.set_dns(WWW, a=[parts.box.address], aaaa=["fd00:53::1"])
    try:
        run = due(parts)
        job = parts.job(run, MAIN)
        assert (job.outcome, job.outcome_reason) == (JobOutcome.DEFERRED, "deferred")
        assert Order.objects.count() == 1
        assert told(parts, run) == {"no_route"}
        assert sent_to_admin(parts, run) == {"no_route"}
    finally:
        parts.box.set_dns(WWW, a=[parts.box.address])
    renewed_when_mended(parts)


def _without_ipv6(patch: pytest.MonkeyPatch) -> None:
    fetch = Fetcher.fetch

    async def without_ipv6(self: Fetcher, name: str, address: str, token: str, expected: bytes) -> Fetched:
        if ":" in address:
            return Fetched(address, "unknown", "no_route", hop_address=address)
        return await fetch(self, name, address, token, expected)

    patch.setattr(Fetcher, "fetch", without_ipv6)


class OffCa(RogueCa):
    """A CA whose clock and this host's differ: to the panel it is the same whose is wrong."""

    offset = timedelta(minutes=10)

    def nonce(self) -> dict[str, str]:
        return {**super().nonce(), "Date": self.date()}

    def date(self) -> str:
        return format_datetime(datetime.now(UTC) + self.offset, usegmt=True)

    def _scripted(self, asked: Asked) -> Any:
        if asked.path == "/dir":
            return answer(200, self.directory(), Date=self.date())
        return super()._scripted(asked)


def test_a_clock_ten_minutes_off_holds_and_is_told_and_goes_on_when_it_is_right(parts: Parts, tmp_path: Path) -> None:
    with OffCa(MiniCa(tmp_path)) as rogue:
        rogue.offset = timedelta(0)
        use(parts, rogue)
        # It was right when the provider was added; by now it is not, which the first request of the run shows.
        rogue.offset = timedelta(minutes=10)
        run = parts.run()
        job = parts.job(run, MAIN)
        assert (job.outcome, job.outcome_reason) == (JobOutcome.WAITING, "clock")
        assert asked_for(rogue) == []
        assert not Order.objects.exists()
        assert told(parts, run) == {"clock"}
        site = parts.site(MAIN)
        assert (site.next_at, site.next_reason) == (None, "clock")
        assert sent_to_admin(parts, run) == {"clock"}
        # Known by now: the next run does not even begin.
        run = parts.run()
        assert not Job.objects.filter(run=run).exists()
        assert told(parts, run) == {"clock"}
        # Still wrong, a sweep begins nothing.
        assert sweep.sweep(parts.server)
        assert not Run.objects.filter(scope=runs.DUE).exists()
        # Set right, the next one notices within a minute, and begins what the clock held.
        rogue.offset = timedelta(0)
        Lease.objects.filter(name=sweep.sweep_lease(parts.server)).delete()
        assert sweep.sweep(parts.server)
        assert abs(Provider.objects.get(name="rogue").clock_offset) < 5
        run = Run.objects.get(scope=runs.DUE)
        assert parts.site(MAIN).next_at == run.started_at
        jobs.work_through(run.pk, stop=threading.Event())
        assert asked_for(rogue) == [[MAIN, WWW]] * len(asked_for(rogue)) != []
