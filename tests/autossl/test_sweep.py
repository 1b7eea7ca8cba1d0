"""What the minute sweep starts, gives up and forgets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from autossl_panel.autossl import certain, leases, options, registration, runs, sweep, tasks, waiting
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Beat,
    Bucket,
    Job,
    JobState,
    Lease,
    LogLine,
    Options,
    Order,
    Provider,
    ProviderState,
    Run,
)
from autossl_panel.hosting.models import Server, Setting, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import AuditEntry, Session, User

pytestmark = pytest.mark.django_db
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


@pytest.fixture(autouse=True)
def _daily_is_done(server: Server) -> None:
    options.current(server)
    Options.objects.update(daily_at=time(3), daily_done_on=NOON.date())


@pytest.fixture
def host(provider: Provider, make_user: Make, make_site: Make) -> VirtualHost:
    made: VirtualHost = make_site(make_user("amber"), "amber.example", next_at=NOON - timedelta(minutes=1))
    return made


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


def test_a_clock_that_was_set_right_makes_what_it_held_due_within_a_minute(
    server: Server, host: VirtualHost, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's certificate cannot wait for the daily check."""
    asked = []

    def look(of: Server) -> None:
        asked.append(of)

    monkeypatch.setattr(registration, "look_at_clock", look)
    assert swept(server) == [runs.DUE]
    Run.objects.update(ended_at=NOON)
    assert asked == []
    VirtualHost.objects.update(next_at=None, next_reason="clock")
    Provider.objects.update(clock_offset=600)
    assert swept(server) == []
    Provider.objects.update(clock_offset=1)
    assert swept(server) == [runs.DUE]
    assert asked == [server, server]


AHEAD = NOON + timedelta(days=400)


@pytest.mark.parametrize(
    ("reason", "ahead", "righted"),
    [
        ("changed", timedelta(hours=8), True),
        ("recheck", timedelta(hours=8), True),
        ("changed", timedelta(minutes=1), False),
        ("dcv_all_failed", timedelta(days=400), True),
        ("internal", timedelta(days=2), True),
        ("internal", timedelta(days=1), False),
        ("held_back", timedelta(days=400), True),
        ("held_back", timedelta(days=3), False),
        ("ca_refused", timedelta(days=9), True),
        ("ca_refused", timedelta(days=7), False),
        ("coverage", timedelta(days=9), True),
        ("renew", timedelta(days=60), False),
        ("ari", timedelta(days=60), False),
        ("loop", timedelta(days=60), False),
        ("foreign", timedelta(days=300), False),
        ("rate_limited", timedelta(days=30), False),
        ("ca_server", timedelta(days=30), False),
    ],
)
def test_a_moment_that_a_clock_ahead_has_set_is_righted(
    server: Server, host: VirtualHost, reason: str, ahead: timedelta, righted: bool
) -> None:
    """What may lie so far off by its certificate or the CA's word is left alone."""
    VirtualHost.objects.update(next_at=NOON + ahead, next_reason=reason)
    assert swept(server) == ([runs.DUE] if righted else [])
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == ((NOON, "changed") if righted else (NOON + ahead, reason))


def test_a_sites_own_retry_is_known_by_its_row(server: Server, host: VirtualHost) -> None:
    later = NOON + timedelta(days=3)
    VirtualHost.objects.update(next_at=later, next_reason="held_back", retry_at=later)
    assert swept(server) == [runs.DUE]


def test_a_moment_is_not_righted_by_a_clock_that_is_wrong(server: Server, host: VirtualHost) -> None:
    VirtualHost.objects.update(next_at=AHEAD, next_reason="dcv_all_failed")
    Provider.objects.update(clock_offset=600)
    assert swept(server) == []
    Provider.objects.update(clock_offset=0)
    assert swept(server) == [runs.DUE]


def test_a_site_whose_order_waits_by_its_own_moment_is_left_to_it(
    server: Server, host: VirtualHost, provider: Provider
) -> None:
    """Else each minute would begin it, and each time it would wait."""
    VirtualHost.objects.update(next_at=AHEAD, next_reason="internal")
    order = Order.objects.create(
        ident="o-1", virtual_host=host, provider=provider, account=provider.accounts.get(), names=["amber.example"],
        reason="missing", key_type="p256", created_at=NOON, status="pending", retry_at=AHEAD,
    )  # fmt: skip
    assert swept(server) == []
    Order.objects.filter(pk=order.pk).update(retry_at=None)
    assert swept(server) == [runs.DUE]


def test_moments_are_righted_without_a_walk_over_all_sites(server: Server, host: VirtualHost) -> None:
    """Nearly all sites wait for their renewal."""
    VirtualHost.objects.bulk_create(
        VirtualHost(
            server=server, user=host.user, key=f"k{n}", name=f"s{n}.example", appeared_at=NOON, next_at=AHEAD,
            next_reason="renew",
        )
        for n in range(3000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE hosting_virtualhost" if connection.vendor == "postgresql" else "SELECT 1")
    for part in waiting.beyond(NOON):
        assert "hosting_vh_next" in part.values_list("pk", "server_id").explain()


def test_moments_of_another_server_are_left_to_its_own_sweep(server: Server, host: VirtualHost) -> None:
    VirtualHost.objects.update(next_at=AHEAD, next_reason="dcv_all_failed")
    other = Server.objects.create(name="other")
    VirtualHost.objects.update(server=other)
    swept(server)
    host.refresh_from_db()
    assert host.next_at == AHEAD


def test_runs_older_than_the_log_is_kept_are_forgotten(server: Server, host: VirtualHost) -> None:
    old = Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON - timedelta(days=32), surveyed_at=NOON,
        ended_at=NOON - timedelta(days=31),
    )  # fmt: skip
    young = Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON - timedelta(days=30), surveyed_at=NOON,
        ended_at=NOON - timedelta(days=29),
    )  # fmt: skip
    Job.objects.create(
        run=old, server=server, virtual_host=host, user=host.user, action="new", reason="missing", job_class=1,
        queued_at=NOON, state=JobState.ENDED,
    )  # fmt: skip
    LogLine.objects.create(run=old, seq=1, at=NOON, level="out", event="run:ended")
    swept(server)
    assert not Run.objects.filter(pk=old.pk).exists()
    assert not LogLine.objects.filter(run_id=old.pk).exists()
    assert Run.objects.filter(pk=young.pk).exists()


def test_what_a_limit_no_longer_counts_is_forgotten(server: Server, provider: Provider) -> None:
    owner = f"a:{provider.accounts.get().pk}"
    for subject, empty_at in (("old.example", NOON - timedelta(hours=1)), ("new.example", NOON + timedelta(hours=1))):
        Bucket.objects.create(
            owner=owner, kind=Kind.SET, subject=subject, used=1, empty_at=empty_at,
            entries=[[empty_at.timestamp(), 1]], mark=NOON.timestamp(),
        )  # fmt: skip
    swept(server)
    assert list(Bucket.objects.values_list("subject", flat=True)) == ["new.example"]


def test_a_clock_that_runs_ahead_removes_nothing_that_is_kept_for_a_time(
    server: Server, provider: Provider, host: VirtualHost
) -> None:
    """It is removed once the CA has said that the time has come."""
    ahead = NOON + timedelta(days=500)
    Provider.objects.update(state=ProviderState.READY, checked_at=NOON - timedelta(hours=9), clock_offset=0)
    Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON, surveyed_at=NOON, ended_at=NOON
    )  # fmt: skip
    audit.record(None, "options:changed", "today")
    AuditEntry.objects.filter(subject="today").update(at=NOON)
    Options.objects.update(daily_done_on=ahead.date())

    def kept() -> tuple[bool, bool]:
        swept(server, ahead)
        return Run.objects.filter(started_at=NOON).exists(), AuditEntry.objects.filter(subject="today").exists()

    assert kept() == (True, True)
    Provider.objects.update(checked_at=ahead, clock_offset=-500 * 86400)
    assert kept() == (True, True), "the CA said how far ahead it is"
    Provider.objects.update(state=ProviderState.REFUSED, clock_offset=0)
    Provider.objects.create(
        name="heard", directory_url="https://other.example/dir", state=ProviderState.READY, checked_at=ahead
    )
    Provider.objects.filter(name="heard").update(fallback=2)
    Account.objects.create(provider=Provider.objects.get(name="heard"), server=server, status=AccountStatus.VALID)
    assert kept() == (False, False)


@pytest.mark.parametrize(
    ("of_the_ca", "said"),
    [
        ({}, 0),
        ({"checked_at": None}, 0),
        ({"active": False}, 0),
        ({"state": ProviderState.REFUSED}, 0),
        ({"checked_at": NOON - timedelta(days=3)}, -3),
        ({"checked_at": NOON, "clock_offset": -86400.0}, -1),
        ({"checked_at": NOON - timedelta(days=3), "clock_offset": 2 * 86400.0}, -1),
        ({"checked_at": NOON, "clock_offset": 86400.0}, 0),
        ({"checked_at": NOON + timedelta(days=7)}, 0),
    ],
)
def test_what_has_certainly_come_is_what_a_ca_in_use_said_last(
    server: Server, provider: Provider, of_the_ca: dict[str, Any], said: int
) -> None:
    known = {"state": ProviderState.READY, "checked_at": NOON - timedelta(days=9), "clock_offset": 0.0}
    Provider.objects.update(**({**known, **of_the_ca} if of_the_ca else {"checked_at": None}))
    assert certain.moment(server, NOON) == NOON + timedelta(days=said)


def test_sessions_that_ran_out_and_entries_of_the_trail_that_are_old_are_forgotten(server: Server) -> None:
    person = User.objects.create(username="amy", role="root")
    for key, days in (("out", -1), ("in", 1)):
        Session.objects.create(
            session_key=key, person=person, began_at=NOON, seen_at=NOON, expire_date=NOON + timedelta(days=days)
        )
    for days in (399, 401, 450):
        audit.record(None, "options:changed", f"{days} days ago")
        AuditEntry.objects.filter(subject=f"{days} days ago").update(at=NOON - timedelta(days=days))
    swept(server)
    assert [session.pk for session in Session.objects.all()] == ["in"]
    assert [entry.subject for entry in AuditEntry.objects.all()] == ["399 days ago"]
    # In a shared database the longest wish holds.
    options.change(server, {"audit_days": "366"}, by=None)
    other = Server.objects.create(name="web04")
    options.change(other, {"audit_days": "4000"}, by=None)
    swept(server)
    assert AuditEntry.objects.filter(subject="399 days ago").exists()


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
