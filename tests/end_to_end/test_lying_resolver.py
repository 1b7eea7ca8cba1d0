"""A resolver that lies: names that passed before fail alike, at site after site. No covered name is given up for that,
it is told, and when it ends all goes on.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import jobs, options, runs
from autossl_panel.autossl.models import (
    Certificate,
    Job,
    JobOutcome,
    Kind,
    LogLine,
    Message,
    Notice,
    Order,
    Run,
    Verdict,
)
from autossl_panel.autossl.notify import telling
from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of
from tests.support.liar import LyingResolver

pytestmark = pytest.mark.django_db(transaction=True)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MAINS = [f"site{n}.example" for n in range(8)]


def names_of(main: str) -> set[str]:
    return {main, f"www.{main}", f"shop.{main}", f"www.shop.{main}"}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(
        sites=[
            Site(f"user{n}", (main, f"www.{main}", f"shop.{main}", f"www.shop.{main}")) for n, main in enumerate(MAINS)
        ]
    ) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    """Every site is covered, and its certificate has two days left: a renewal waits for no failing name any more."""
    settings.AUTOSSL_SMTP_URL, settings.AUTOSSL_MAIL_FROM = "smtp://127.0.0.1:1", "panel@harbor.example"
    with parts_of(box, settings) as found:
        options.change(found.server, {"admin_addresses": "ops@harbor.example"}, by=None)
        found.run()
        assert Order.objects.filter(closed_as="installed").count() == len(MAINS)
        now = datetime.now(UTC)
        Certificate.objects.update(not_before=now - 88 * DAY, not_after=now + 2 * DAY, renewal_at=now)
        yield found


def due(parts: Parts, *mains: str) -> Run:
    """A run for these sites, whose moment has come."""
    VirtualHost.objects.update(next_at=None, retry_at=None)
    VirtualHost.objects.filter(name__in=mains).update(next_at=datetime.now(UTC))
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def ends(run: Run) -> set[tuple[str, str]]:
    return set(Job.objects.filter(run=run).values_list("outcome", "outcome_reason"))


def covered(main: str) -> set[str]:
    [certificate] = Certificate.objects.filter(installations__virtual_host__name=main, installations__until=None)
    return set(certificate.names)


def an_hour_passes() -> None:
    """As far as rows tell: what failed was seen an hour ago for the first time."""
    for name in ("at", "first_failed_at", "last_failed_at", "retry_at"):
        for row in Verdict.objects.exclude(**{name: None}):
            Verdict.objects.filter(pk=row.pk).update(**{name: getattr(row, name) - HOUR})


def told(parts: Parts, run: Run) -> bool:
    """Whether server, run and a mail to the administrator say that names fail alike."""
    on_row = {one["code"] for one in Server.objects.get(pk=parts.server.pk).trouble}
    in_run = set(LogLine.objects.filter(run=run, event="run:trouble").values_list("data__reason", flat=True))
    telling.after_run(run.pk, now=datetime.now(UTC))
    assert Message.objects.filter(address="ops@harbor.example").exists()
    notices = Notice.objects.filter(kind=Kind.SERVER, admin_stage__gt=0).values_list("subject", flat=True)
    return on_row == in_run == {"failing_alike"} and list(notices) == ["server:reductions_suspended"]


def everything(_name: str) -> bool:
    return True


def all_but_main(name: str) -> bool:
    return name not in MAINS and name != "example"


@pytest.mark.parametrize(
    ("lies", "to_address", "end"),
    [
        (everything, False, (JobOutcome.FAILED, "dcv_all_failed")),
        (everything, True, (JobOutcome.FAILED, "dcv_all_failed")),
        (all_but_main, False, (JobOutcome.DEFERRED, "reductions_suspended")),
        (all_but_main, True, (JobOutcome.DEFERRED, "reductions_suspended")),
    ],
    ids=["no-name-exists", "all-lead-elsewhere", "most-do-not-exist", "most-lead-elsewhere"],
)
def test_no_coverage_is_lost_to_a_resolver_that_lies(
    parts: Parts, lies: Callable[[str], bool], to_address: bool, end: tuple[str, str]
) -> None:
    box = parts.box
    instead = box.elsewhere if to_address else ""
    with LyingResolver(box.address, box.resolver, lies, instead=instead) as liar:
        options.change(parts.server, {"resolvers": liar.resolver}, by=None)
        due(parts, *MAINS)
        assert liar.lied
        an_hour_passes()
        # Site by site, each in a run of its own: what a reduction would be decided by is all of them.
        for main in MAINS[:3]:
            run = due(parts, main)
            assert ends(run) == {end}
        # And in one batch
        run = due(parts, *MAINS)
        assert ends(run) == {end}
        assert told(parts, run)
    assert Order.objects.count() == len(MAINS)
    for main in MAINS:
        assert covered(main) == names_of(main)
        assert parts.site(main).state == SiteState.SECURED
    options.change(parts.server, {"resolvers": box.resolver}, by=None)
    run = due(parts, *MAINS)
    assert {outcome for outcome, _reason in ends(run)} == {JobOutcome.SECURED}
    assert Order.objects.count() == 2 * len(MAINS)
    for main in MAINS:
        assert covered(main) == names_of(main)
    assert Server.objects.get(pk=parts.server.pk).trouble == []
