"""Claims: by priority, one holder each, fenced; and how jobs end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from autossl_panel.autossl import jobs, leases, options, orders, quick, runs, standing
from autossl_panel.autossl.jobs import claims, proving
from autossl_panel.autossl.jobs.installing import Installer
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.models import Job, JobOutcome, JobState, Lease, LogLine, Order, Phase, Provider, Run, Slot
from autossl_panel.helper.client import Client
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost
from autossl_panel.people.models import User

pytestmark = pytest.mark.django_db

Make = Callable[..., Any]


@pytest.fixture
def run(server: Server, provider: Provider) -> Run:
    found = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    Run.objects.filter(pk=found.pk).update(surveyed_at=timezone.now())
    return found


@pytest.fixture
def amber(make_user: Make) -> HostingUser:
    user: HostingUser = make_user("amber")
    return user


@pytest.fixture
def queue(run: Run, amber: HostingUser, make_site: Make) -> Callable[..., Job]:
    """Queue a job for a new site."""

    def make(name: str, **fields: Any) -> Job:
        host = make_site(amber, name)
        wish = {"action": "new", "reason": "missing", "job_class": 1, "queued_at": timezone.now()} | fields
        return Job.objects.create(run=run, server=run.server, virtual_host=host, user=amber, **wish)

    return make


def names(found: list[jobs.Claim]) -> list[str]:
    return [one.job.virtual_host.name for one in found]


def test_the_queue_is_taken_by_class_turn_and_expiry(server: Server, queue: Callable[..., Job]) -> None:
    soon = timezone.now() + timedelta(days=1)
    queue("renewal.example", job_class=4, not_after=soon)
    queue("second-of-its-user.example", turn=1)
    queue("later.example", job_class=2, not_after=soon + timedelta(days=5))
    queue("sooner.example", job_class=2, not_after=soon)
    queue("urgent.example", job_class=0, not_after=soon)
    queue("first.example")
    assert names(jobs.claim(server, "a", 2)) == ["urgent.example", "first.example"]
    assert names(jobs.claim(server, "b", 9)) == [
        "second-of-its-user.example",
        "sooner.example",
        "later.example",
        "renewal.example",
    ]
    assert jobs.claim(server, "c", 9) == []


def test_a_claim_says_who_and_which_attempt(server: Server, queue: Callable[..., Job]) -> None:
    job = queue("a.example")
    [one] = jobs.claim(server, "a", 5)
    job.refresh_from_db()
    assert (job.state, job.holder, job.attempt, one.job.attempt) == (JobState.RUNNING, "a", 1, 1)
    assert job.lease_until is not None
    assert job.lease_until > timezone.now() + timedelta(seconds=claims.LEASE / 2)


@pytest.mark.django_db(transaction=True)
def test_of_forty_jobs_eight_threads_get_each_once(server: Server, queue: Callable[..., Job]) -> None:
    for number in range(40):
        queue(f"s{number}.example")
    got: list[int] = []

    def take(holder: str) -> None:
        while found := jobs.claim(server, holder, 3):
            got.extend(one.job.pk for one in found)
        connection.close()

    threads = [threading.Thread(target=take, args=(f"h{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(Job.objects.values_list("pk", flat=True))


def test_who_lost_the_claim_writes_nothing(server: Server, queue: Callable[..., Job], provider: Provider) -> None:
    queue("a.example")
    [mine] = jobs.claim(server, "a", 1)
    Job.objects.update(lease_until=timezone.now() - timedelta(minutes=1))
    claims.take_back(server, "b")
    [theirs] = jobs.claim(server, "b", 1)
    order = Order(
        ident="o-1",
        virtual_host=mine.job.virtual_host,
        provider=provider,
        account=provider.accounts.get(),
        names=["a.example"],
        reason="missing",
        key_type="p256",
        created_at=timezone.now(),
    )
    with pytest.raises(jobs.ClaimLost):
        mine.save(order, lines=[mine.writer.make("order:placed")], phase=Phase.ORDER)
    assert not Order.objects.exists()
    assert not LogLine.objects.exists()
    theirs.save(phase=Phase.PROVE)
    assert Job.objects.get().phase == Phase.PROVE


def test_a_job_given_back_is_free_and_its_attempt_does_not_count(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    for _ in range(5):
        [one] = jobs.claim(server, "a", 1)
        assert one.job.attempt == 1
        jobs.release([one])
    job = Job.objects.get()
    assert (job.state, job.holder, job.attempt) == (JobState.QUEUED, "", 0)


def test_the_third_worker_that_dies_at_a_job_is_the_last(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    for attempt in (1, 2, 3):
        [one] = jobs.claim(server, f"w{attempt}", 1)
        one.save(phase=Phase.ORDER)
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        dead = jobs.take_back(server, "next")
        assert [each.job.attempt for each in dead] == ([4] if attempt == 3 else [])
    problem = {"code": "worker_died", "domain": "a.example", "data": {}}
    assert jobs.finish(server, [jobs.Ending(dead[0], dead[0].job, JobOutcome.FAILED, "worker_died", problem)])
    job = Job.objects.get()
    assert (job.state, job.outcome, job.outcome_reason) == (JobState.ENDED, JobOutcome.FAILED, "worker_died")
    assert VirtualHost.objects.get().problem == problem


def test_a_job_that_was_not_begun_is_not_blamed_for_its_worker(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    for number in range(5):
        jobs.claim(server, f"w{number}", 1)
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert jobs.take_back(server, "next") == []
    assert Job.objects.get().attempt == 0


def test_a_lease_that_is_renewed_keeps_the_claim(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    [one] = jobs.claim(server, "a", 1)
    Job.objects.update(lease_until=timezone.now() + timedelta(seconds=1))
    claims.renew(server, "a")
    assert jobs.take_back(server, "b") == []
    one.save(phase=Phase.PROVE)
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    claims.renew(server, "a")
    jobs.take_back(server, "b")
    assert Job.objects.get().state == JobState.QUEUED, "renewed too late: it may be another's"


def test_a_site_that_failed_waits_longer_each_time(server: Server, queue: Callable[..., Job]) -> None:
    job = queue("a.example")
    waits = []
    for _ in range(4):
        Job.objects.update(state=JobState.QUEUED, outcome="", attempt=0)
        VirtualHost.objects.update(retry_at=None)  # its moment has come
        [one] = jobs.claim(server, "a", 1)
        now = datetime.now(UTC)
        jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.FAILED, "ca_unreachable")], now=now)
        host = VirtualHost.objects.get(pk=job.virtual_host_id)
        assert host.next_at == host.retry_at
        assert host.next_at is not None
        waits.append((host.next_at - now).total_seconds() / 60)
    assert [round(wait, -1 if wait > 5 else 0) for wait in waits[:2]] == [1, 10]
    assert 100 <= waits[2] <= 110
    assert 1440 <= waits[3] <= 1584


def test_what_is_secured_forgets_its_failures_and_the_run_ends_with_its_last_job(
    server: Server, queue: Callable[..., Job], run: Run, make_installed: Make
) -> None:
    job = queue("a.example")
    VirtualHost.objects.update(attempts=3, retry_at=timezone.now() + timedelta(hours=1), held_reason="rate_limited")
    make_installed(job.virtual_host, "a.example")
    [one] = jobs.claim(server, "a", 1)
    line = one.writer.make("install:verified", depth=3, serial="1", addresses="x")
    jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.SECURED, "missing", extended=True, lines=[line])])
    host = VirtualHost.objects.get()
    assert (host.attempts, host.retry_at, host.held_reason, host.state) == (0, None, "", "secured")
    assert host.last_extend_at is not None
    assert list(LogLine.objects.filter(job=one.job).values_list("event", flat=True)) == [
        "install:verified",
        "job:secured",
    ]
    run.refresh_from_db()
    assert run.ended_at is not None


def test_a_cancelled_site_is_left_to_the_daily_check(server: Server, queue: Callable[..., Job], root: User) -> None:
    queue("a.example")
    [one] = jobs.claim(server, "a", 1)
    jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.CANCELLED, "cancelled")])
    host = VirtualHost.objects.get()
    assert (host.next_at, host.retry_at) == (None, None)


def test_what_is_in_hand_of_a_run_that_could_not_go_on_stays_due(
    server: Server, queue: Callable[..., Job], run: Run
) -> None:
    bench = Bench(server, Client("/nowhere"), "a")
    queue("a.example")
    due = timezone.now() - timedelta(hours=1)
    VirtualHost.objects.update(next_at=due, next_reason="renew")
    [one] = jobs.claim(server, "a", 1)
    runs.fail(run, "the helper does not answer")
    bench.look_for_cancelled()
    assert proving.begin(bench, [one], timezone.now()) == []
    ending = bench.ended.get_nowait()
    assert ending is not None
    jobs.finish(server, [ending])
    host, job = VirtualHost.objects.get(), Job.objects.get()
    assert (job.outcome, job.outcome_reason) == (JobOutcome.CANCELLED, "run_failed")
    assert (host.next_at, host.next_reason) == (due, "renew")
    run.refresh_from_db()
    assert run.ended_at is not None
    assert "job:stopped" in LogLine.objects.values_list("event", flat=True)


def test_the_moment_that_the_ca_gave_holds_the_site(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    [one] = jobs.claim(server, "a", 1)
    until = timezone.now().replace(microsecond=0) + timedelta(hours=7)
    ending = jobs.Ending(one, one.job, JobOutcome.WAITING, "rate_limited", until=until, held_by="pebble")
    jobs.finish(server, [ending])
    host = VirtualHost.objects.get()
    assert (host.held_until, host.next_at, host.next_reason) == (until, until, "rate_limited")
    assert host.held_provider == "pebble"
    assert Job.objects.get().until == until


@pytest.mark.parametrize("with_order", [True, False])
def test_what_ends_of_a_pause_that_is_over_by_then_is_due_at_once_and_climbs_no_rung(
    server: Server, provider: Provider, queue: Callable[..., Job], with_order: bool
) -> None:
    job = queue("a.example")
    now = datetime.now(UTC)
    VirtualHost.objects.update(attempts=2)
    if with_order:
        order = orders.new(
            "o-1", job.virtual_host, names=["a.example"], reason="missing", key_type="p256", provider=provider,
            account=provider.accounts.get(), installed=None, now=now,
        )  # fmt: skip
        order.url = "https://ca.example/order/1"
        order.save()
    [one] = jobs.claim(server, "a", 1)
    options.pause(server, by=None, now=now)
    options.resume(server, by=None, now=now)
    jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.WAITING, "paused")], now=now)
    host = VirtualHost.objects.get()
    assert (host.next_at, host.next_reason) == (now, "changed"), "the same that it is given where it was held by then"
    assert (host.attempts, host.retry_at) == (2, None)


@pytest.mark.parametrize("by_a_job", [True, False])
def test_autossl_that_goes_on_while_the_end_of_a_job_is_written_leaves_no_site_paused(
    server: Server, queue: Callable[..., Job], monkeypatch: pytest.MonkeyPatch, by_a_job: bool
) -> None:
    job = queue("a.example")
    now = datetime.now(UTC)
    [one] = jobs.claim(server, "a", 1)
    options.pause(server, by=None, now=now)
    real = quick.rows

    def rows(query: Any) -> list[tuple[Any, ...]]:
        found = list(real(query))
        # It misses this site, which nothing calls paused yet.
        options.resume(server, by=None, now=now)
        return found

    monkeypatch.setattr(quick, "rows", rows)
    if by_a_job:
        jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.FAILED, "ca_unreachable")], now=now)
    else:
        standing.record(server, [job.virtual_host_id], now)
    host = VirtualHost.objects.get()
    assert host.next_at is not None
    assert host.next_reason == ("ca_unreachable" if by_a_job else "missing")


def test_what_ends_of_a_pause_that_lasts_is_made_due_when_that_ends(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    [one] = jobs.claim(server, "a", 1)
    now = datetime.now(UTC)
    options.pause(server, by=None, now=now)
    jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.WAITING, "paused")], now=now)
    host = VirtualHost.objects.get()
    assert (host.next_at, host.next_reason, host.attempts) == (None, "paused", 0)
    options.resume(server, by=None, now=now)
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == (now, "changed")


def test_a_staged_job_whose_virtual_host_is_gone_leaves_the_others_to_the_installer(
    server: Server, queue: Callable[..., Job]
) -> None:
    gone, stays = queue("gone.example", state=JobState.STAGED), queue("stays.example", state=JobState.STAGED)
    installer = Installer(Bench(server, Client("/nowhere"), "w"))
    VirtualHost.objects.filter(pk=gone.virtual_host_id).delete()
    # They were read together, a moment before.
    assert installer._wanted([gone, stays]) == [stays]
    assert not installer.bench.stopping.is_set()
    assert list(Job.objects.values_list("pk", "state")) == [(stays.pk, JobState.STAGED)]


def test_a_pause_of_the_ca_holds_the_site_until_a_person_acts(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    [one] = jobs.claim(server, "a", 1)
    problem = {"code": "ca_paused", "domain": "a.example", "data": {"text": "too often", "link": "https://ca/unpause"}}
    jobs.finish(server, [jobs.Ending(one, one.job, JobOutcome.WAITING, "ca_paused", problem, held_by="pebble")])
    host = VirtualHost.objects.get()
    assert (host.held_until, host.held_reason, host.held_provider) == (None, "ca_paused", "pebble")
    assert (host.next_at, host.next_reason, host.problem) == (None, "ca_paused", problem)


def test_the_bell_is_rung_again_only_where_nobody_is_at_the_work(server: Server, queue: Callable[..., Job]) -> None:
    queue("a.example")
    assert jobs.ring_where_needed(server)
    assert not jobs.ring_where_needed(server), "it was rung a moment ago"
    Slot.objects.update(rung_at=leases.later(8 * 3600))
    assert jobs.ring_where_needed(server), "by a clock that was set back since"
    assert not jobs.ring_where_needed(server)


def test_a_run_that_began_before_the_clock_was_set_back_is_rung_for(server: Server) -> None:
    run = runs.start(runs.ALL, by=None, asked_from="schedule", server=server)
    assert not jobs.ring_where_needed(server), "its task may only be late"
    Run.objects.filter(pk=run.pk).update(started_at=leases.later(8 * 3600))
    leases.take(f"survey:{run.pk}", leases.new_holder(), 30)
    assert not jobs.ring_where_needed(server), "somebody is at it"
    leases.take(f"survey:{run.pk}", Lease.objects.get().holder, 8 * 3600)
    assert jobs.ring_where_needed(server)


def test_a_run_whose_last_worker_died_before_it_could_end_it_is_ended(
    server: Server, queue: Callable[..., Job], run: Run
) -> None:
    queue("a.example")
    Job.objects.update(state=JobState.ENDED, outcome=JobOutcome.SECURED)
    assert not jobs.ring_where_needed(server)
    run.refresh_from_db()
    assert run.ended_at is not None
