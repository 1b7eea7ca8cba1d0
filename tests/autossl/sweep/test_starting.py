"""What the minute sweep starts and gives up."""

from __future__ import annotations

from datetime import date, time, timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from autossl_panel.autossl import leases, options, runs, sweep, tasks
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Beat,
    Job,
    JobState,
    Lease,
    Options,
    Order,
    Provider,
    Run,
)
from autossl_panel.hosting.models import Server, Setting, VirtualHost
from tests.autossl.sweep.world import NOON, queue, swept

pytestmark = pytest.mark.django_db


def test_it_is_made_once_a_minute_whoever_asks(server: Server) -> None:
    assert sweep.sweep(server, now=NOON)
    assert not sweep.sweep(server, now=NOON)


def test_it_is_made_within_a_minute_after_the_clock_is_set_back(server: Server) -> None:
    assert sweep.sweep(server, now=NOON)
    ahead = Lease.objects.filter(name__in=[sweep.sweep_lease(server), f"lists:{server.pk}"])
    assert ahead.update(until=leases.later(8 * 3600)) == 2, "taken by a clock that was eight hours ahead"
    assert not sweep.sweep(server, now=NOON)
    assert Lease.objects.filter(name=sweep.sweep_lease(server), until__lte=leases.later(sweep.PAUSE)).exists()
    Lease.objects.filter(name=sweep.sweep_lease(server)).update(until=leases.later(-1))
    assert sweep.sweep(server, now=NOON)
    assert not ahead.filter(until__gt=leases.later(sweep.LISTS_EVERY)).exists()


def test_what_breaks_at_one_ca_is_told_and_stops_no_other_part(
    server: Server, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    """A draft that no code of ours wrote, an account whose registration was lost, and lists that are due."""
    long_ago = timezone.now() - timedelta(hours=1)
    Provider.objects.update(draft={}, asked_at=long_ago)
    Account.objects.update(status=AccountStatus.REGISTERING, asked_at=long_ago)
    with pytest.raises(KeyError):
        sweep.sweep(server, now=NOON)
    assert Account.objects.get().status != AccountStatus.REGISTERING, "it was tried"
    assert Lease.objects.filter(name=f"lists:{server.pk}").exists(), "and lists were looked for"
    assert "the directory of pebble" in caplog.text


def test_a_site_whose_moment_has_come_gets_a_run(server: Server, host: VirtualHost) -> None:
    assert swept(server) == [runs.DUE]
    assert OrmQ.objects.count() >= 1


def test_a_site_whose_moment_is_ahead_gets_none(server: Server, host: VirtualHost) -> None:
    VirtualHost.objects.update(next_at=NOON + timedelta(minutes=1))
    assert swept(server) == []


def test_without_a_provider_nothing_is_started(server: Server, host: VirtualHost) -> None:
    Provider.objects.update(active=False)
    assert swept(server) == []


def test_a_site_that_somebody_works_on_is_left_to_them(server: Server, host: VirtualHost) -> None:
    run = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    Run.objects.update(surveyed_at=NOON)
    queue(run, host)
    assert swept(server) == []


def test_what_a_person_cancelled_does_not_begin_again_a_minute_later(server: Server, host: VirtualHost) -> None:
    run = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    queue(run, host)
    runs.cancel(run, by=None)
    Job.objects.update(ended_at=NOON)
    assert swept(server) == []
    host.refresh_from_db()
    assert host.next_at is None
    VirtualHost.objects.update(next_at=NOON + timedelta(minutes=2))
    assert swept(server, NOON + timedelta(minutes=3)) == [runs.DUE], "its configuration changed since"


def test_what_a_person_cancelled_by_a_clock_ahead_begins_again_when_it_is_due(
    server: Server, host: VirtualHost
) -> None:
    run = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    queue(run, host)
    runs.cancel(run, by=None)
    Job.objects.update(ended_at=NOON + timedelta(days=3650))
    VirtualHost.objects.update(next_at=NOON - timedelta(minutes=1))
    assert swept(server) == [runs.DUE]


def test_what_a_run_that_could_not_go_on_had_before_it_is_tried_again_with_the_next_sweep(
    server: Server, host: VirtualHost
) -> None:
    """At the pace of sweeps, however often it fails."""
    for minute in range(3):
        now = NOON + timedelta(minutes=minute)
        assert swept(server, now) == [runs.DUE]
        run = Run.objects.get(ended_at=None)
        Job.objects.create(
            run=run, server=server, virtual_host=host, user=host.user, action="new", reason="missing", job_class=1,
            queued_at=now, state=JobState.QUEUED,
        )  # fmt: skip
        runs.fail(run, "the helper does not answer")
        Job.objects.update(ended_at=now)
        assert not sweep.sweep(server, now=now), "one was made in this minute"
        host.refresh_from_db()
        assert host.next_at == NOON - timedelta(minutes=1)


@pytest.mark.parametrize(
    ("done_on", "at", "started"),
    [
        (date(2026, 11, 22), time(3), [runs.ALL]),
        (date(2026, 11, 22), time(12), [runs.ALL]),
        (date(2026, 11, 22), time(12, 1), []),
        (date(2026, 11, 23), time(3), []),
        (date(2026, 11, 18), time(3), [runs.ALL]),
        (None, time(3), []),
        (None, time(15), []),
    ],
)
def test_the_daily_check_begins_once_when_its_minute_has_come(
    server: Server, done_on: date | None, at: time, started: list[str]
) -> None:
    Options.objects.update(daily_at=at, daily_done_on=done_on)
    assert swept(server) == started
    Run.objects.update(ended_at=NOON)
    assert swept(server) == [], "not twice"


def test_a_new_panel_whose_minute_is_still_ahead_begins_today(server: Server) -> None:
    Options.objects.update(daily_at=time(15), daily_done_on=None)
    assert swept(server) == []
    assert swept(server, NOON + timedelta(hours=3)) == [runs.ALL]


@pytest.mark.parametrize(
    ("status", "signed"), [("pending", False), ("ready", False), ("processing", True), ("valid", True)]
)
def test_an_open_order_of_a_disabled_user_is_given_up_or_if_it_is_being_signed_fetched(
    server: Server, host: VirtualHost, provider: Provider, status: str, signed: bool
) -> None:
    """How a job fetches it, and what becomes of it then, is in test_leftovers."""
    VirtualHost.objects.update(next_at=None)
    order = Order.objects.create(
        ident="o-1", virtual_host=host, provider=provider, account=provider.accounts.get(), names=["amber.example"],
        reason="missing", key_type="p256", created_at=NOON, status=status,
    )  # fmt: skip
    swept(server)
    order.refresh_from_db()
    assert order.closed_at is None, "the user is enabled"
    type(host.user).objects.update(autossl=Setting.OFF)
    Order.objects.update(retry_at=NOON + timedelta(minutes=5))
    assert swept(server) == []
    order.refresh_from_db()
    assert (order.closed_at is None) is signed
    # Where the CA said when to ask again, not before that
    later = NOON + timedelta(minutes=5)
    assert swept(server, later) == ([runs.DUE] if signed else [])
    # It forgets the order in the end, whatever came of it.
    Order.objects.update(expires=NOON + timedelta(days=7))
    swept(server, NOON + timedelta(days=7))
    order.refresh_from_db()
    assert order.closed_as == "given_up"


@pytest.mark.parametrize(("column", "value"), [("suspended", True), ("autossl", Setting.OFF)])
def test_an_order_that_no_ca_says_the_end_of_is_given_up_after_a_month(
    server: Server, host: VirtualHost, provider: Provider, column: str, value: object
) -> None:
    Order.objects.create(
        ident="o-1", virtual_host=host, provider=provider, account=provider.accounts.get(), names=["amber.example"],
        reason="missing", key_type="p256", created_at=NOON, status="processing",
    )  # fmt: skip
    type(host.user).objects.update(**{column: value})
    swept(server, NOON + timedelta(days=29))
    assert Order.objects.filter(closed_at__isnull=True).exists()
    swept(server, NOON + timedelta(days=30))
    assert not Order.objects.filter(closed_at__isnull=True).exists()


def test_while_paused_nothing_is_started_but_the_daily_look(server: Server, host: VirtualHost) -> None:
    options.pause(server, by=None, now=NOON)
    assert swept(server) == []
    Options.objects.update(daily_done_on=date(2026, 11, 22))
    assert swept(server) == [runs.ALL]
    Run.objects.update(ended_at=NOON)
    options.resume(server, by=None, now=NOON)
    assert swept(server) == [runs.DUE]


def test_what_was_found_paused_and_written_after_autossl_went_on_is_due(server: Server, host: VirtualHost) -> None:
    """A survey or a job that ends reads that AutoSSL is paused, and writes so when what was held is due already."""
    options.pause(server, by=None, now=NOON)
    options.resume(server, by=None, now=NOON)
    VirtualHost.objects.update(next_at=None, next_reason="paused")
    assert swept(server) == [runs.DUE]
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == (NOON, "changed")


@pytest.mark.django_db(transaction=True)
def test_a_beat_says_that_the_queue_is_alive_and_sweeps_in_passing(server: Server) -> None:
    tasks.beat(server.pk)
    first = Beat.objects.get(server=server).at
    assert abs(timezone.now() - first) < timedelta(seconds=5)
    assert Lease.objects.filter(name=sweep.sweep_lease(server), until__gt=timezone.now()).exists()
    tasks.beat(server.pk)
    assert Beat.objects.get(server=server).at >= first
    tasks.sweep()
    tasks.beat(0)


@pytest.mark.django_db(transaction=True)
def test_tasks_for_rows_that_are_gone_do_nothing() -> None:
    tasks.work(0)
    tasks.check_provider(0)
    tasks.register_account(0)
    assert not Run.objects.exists()
