"""A site that the rules cannot be asked about ends as a failure of its own: others go on, nobody rings for ever."""

from __future__ import annotations

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from django.db import OperationalError

from autossl_panel.autossl import due, jobs, leases, leftovers, log, options, runs, sites, standing, survey, sweep
from autossl_panel.autossl.jobs import claims, proving, through
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.models import Certificate as CertificateRow
from autossl_panel.autossl.models import (
    Job,
    JobOutcome,
    JobState,
    Kind,
    LogLine,
    Message,
    Options,
    Order,
    OrderStatus,
    Problem,
    Provider,
    Run,
    UntoldRun,
    Verdict,
)
from autossl_panel.helper.client import Client
from autossl_panel.hosting.models import HostingUser, Server, Setting, Severity, SiteState, VirtualHost
from tests.autossl.broken import undecidable, unreadable
from tests.autossl.surveys import Reads, look, surveyed

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
Make = Callable[..., Any]
Break = Callable[[VirtualHost], None]


@pytest.fixture
def hosts(provider: Provider, make_user: Make, make_site: Make, make_installed: Make) -> list[VirtualHost]:
    """Six sites of three users that are all due; three have a sound certificate."""
    made = []
    for name in ("amber", "birch", "cedar"):
        user = make_user(name)
        new = make_site(user, f"new.{name}.example", next_at=NOW, next_reason="retry")
        has = make_site(user, f"has.{name}.example", next_at=NOW, next_reason="renew", state=SiteState.SECURED)
        make_installed(has, has.name)
        made += [new, has]
    return made


BREAKS = pytest.mark.parametrize("breaks", [unreadable, undecidable])


@BREAKS
@pytest.mark.parametrize("scope", [runs.ALL, runs.DUE, runs.user_scope("birch")])
def test_the_others_go_on_and_it_is_told(hosts: list[VirtualHost], breaks: Break, scope: str) -> None:
    broken = hosts[3]
    breaks(broken)
    run = surveyed(scope)
    assert run.surveyed_at is not None
    mine = [host for host in hosts if host.user.name == "birch" or scope != runs.user_scope("birch")]
    queued = Job.objects.filter(run=run, state=JobState.QUEUED).values_list("virtual_host__name", flat=True)
    assert set(queued) == {host.name for host in mine if host.name.startswith("new.")}
    assert run.counts.get("kept", 0) == len(mine) // 2 - 1
    job = Job.objects.get(run=run, virtual_host=broken)
    assert (job.state, job.outcome, job.outcome_reason) == (JobState.ENDED, JobOutcome.FAILED, "internal")
    assert job.problem is not None
    assert "Error: " in job.problem["data"]["text"]
    line = log.line(LogLine.objects.get(job=job))
    assert (line.level, line.text) == ("failure", "has.birch.example failed: an error in the panel itself")
    said = LogLine.objects.filter(run=run, user=broken.user, job__isnull=True).values_list("event", "data")
    assert dict(said)["user:begins"] == {"user": "birch", "sites": 2, "todo": 2}
    # It ends with the run, and with that the users' last check says so
    Job.objects.filter(run=run, state=JobState.QUEUED).update(state=JobState.ENDED, outcome=JobOutcome.SECURED)
    assert runs.end_if_done(run.pk)
    run.refresh_from_db()
    assert (run.counts["outcomes"]["failed"], run.ended_at is not None) == (1, True)
    broken.user.refresh_from_db()
    assert (broken.user.last_check or {})["event"] == "check:failed"


@BREAKS
def test_a_problem_stands_until_the_site_can_be_decided_again(
    server: Server, hosts: list[VirtualHost], breaks: Break
) -> None:
    broken = hosts[3]
    breaks(broken)
    surveyed(runs.DUE)
    broken.refresh_from_db()
    assert (broken.problem or {})["code"] == "internal"
    assert (broken.state, broken.severity) == (SiteState.SECURED, Severity.HELD)
    row = Problem.objects.get(virtual_host=broken)
    assert (row.code, row.name, row.domain, row.covered) == ("internal", broken.name, None, True)
    began = row.since
    surveyed()
    assert Problem.objects.get(virtual_host=broken).since == began, "it goes on"
    Verdict.objects.all().delete()
    CertificateRow.objects.filter(fingerprint=f"{broken.pk:064x}").update(names=[broken.name])
    Run.objects.update(ended_at=NOW)
    surveyed()
    broken.refresh_from_db()
    assert (broken.problem, broken.severity, broken.next_reason) == (None, Severity.SECURED, "renew")
    assert not Problem.objects.filter(virtual_host=broken).exists()


@BREAKS
def test_no_sweep_begins_it_again_but_the_daily_check_does(
    server: Server, hosts: list[VirtualHost], breaks: Break
) -> None:
    broken = hosts[3]
    breaks(broken)
    VirtualHost.objects.exclude(pk=broken.pk).update(next_at=None)
    first = surveyed(runs.DUE)
    assert first.ended_at is not None
    broken.refresh_from_db()
    assert (broken.next_at, broken.next_reason) == (None, "internal")
    due.start(server, NOW + timedelta(hours=1))
    assert Run.objects.count() == 1
    daily = surveyed(runs.ALL)
    assert Job.objects.filter(run=daily, virtual_host=broken, outcome=JobOutcome.FAILED).exists()


@BREAKS
def test_one_that_is_in_hand_is_left_to_its_run(hosts: list[VirtualHost], breaks: Break) -> None:
    broken = hosts[1]
    first = runs.start(runs.DUE, by=None, asked_from="sweep")
    Run.objects.filter(pk=first.pk).update(surveyed_at=NOW)
    Job.objects.create(
        run=first, server=broken.server, virtual_host=broken, user=broken.user, action="renew", reason="due",
        job_class=4, state=JobState.RUNNING, queued_at=NOW,
    )  # fmt: skip
    breaks(broken)
    run = surveyed()
    assert run.surveyed_at is not None
    assert list(Job.objects.filter(virtual_host=broken).values_list("run", flat=True)) == [first.pk]
    busy = LogLine.objects.get(run=run, event="site:busy")
    assert busy.data == {"site": broken.name, "run": first.pk}


def test_every_site_of_a_user_may_be_broken(hosts: list[VirtualHost]) -> None:
    for host in hosts[2:4]:
        unreadable(host)
    run = surveyed()
    assert Job.objects.filter(run=run, outcome=JobOutcome.FAILED).count() == 2
    assert Job.objects.filter(run=run, state=JobState.QUEUED).count() == 2
    line = LogLine.objects.get(run=run, event="user:begins", user=hosts[2].user)
    assert (line.data["todo"], line.data["sites"]) == (2, 2)


def test_what_the_database_says_is_of_no_site_and_tries_the_portion_again(
    hosts: list[VirtualHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = standing.save
    tries = []

    def once_locked(*given: Any) -> int:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("database is locked")
        return save(*given)

    monkeypatch.setattr(standing, "save", once_locked)
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    with pytest.raises(OperationalError):
        look(run)
    run.refresh_from_db()
    assert (run.surveyed_at, run.ended_at, Job.objects.count()) == (None, None, 0)
    look(run)
    assert Job.objects.filter(state=JobState.QUEUED).count() == 3
    assert not Job.objects.filter(outcome=JobOutcome.FAILED).exists()


def test_an_error_that_is_no_sites_own_ends_the_run(hosts: list[VirtualHost], monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_given: Any) -> None:
        raise KeyError("tripped")

    monkeypatch.setattr(survey, "_tell_inventory", trips)
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    through._survey(run, cast(Client, Reads()), beat=False)
    assert run.ended_at is not None
    assert run.problem == {"code": "failed", "text": "KeyError: 'tripped'"}


@BREAKS
def test_a_site_that_breaks_after_the_survey_fails_its_own_job(
    server: Server, hosts: list[VirtualHost], breaks: Break
) -> None:
    """Between survey and claim; the end of the job cannot judge the site either."""
    VirtualHost.objects.filter(pk=hosts[1].pk).update(state=SiteState.UNSECURED)
    CertificateRow.objects.update(not_after=NOW + timedelta(days=1))
    run = surveyed()
    assert Job.objects.filter(run=run, state=JobState.QUEUED).count() == 6
    breaks(hosts[1])
    claimed = claims.claim(server, leases.new_holder(), 9)
    bench = Bench(server, cast(Client, Reads()), claimed[0].holder)
    tasks = proving.begin(bench, claimed, NOW)
    assert {task.name for task in tasks} == {host.name for host in hosts} - {hosts[1].name}
    ending = bench.ended.get_nowait()
    assert ending is not None
    assert jobs.finish(server, [ending])
    job = Job.objects.get(virtual_host=hosts[1])
    assert (job.outcome, job.outcome_reason) == (JobOutcome.FAILED, "internal")
    host = VirtualHost.objects.get(pk=hosts[1].pk)
    assert (host.next_at, (host.problem or {})["code"]) == (None, "internal")


def test_what_was_found_in_the_configuration_is_shown_beside_it(server: Server, hosts: list[VirtualHost]) -> None:
    unreadable(hosts[0])
    undecidable(hosts[1])
    standing.show(server, [host.pk for host in hosts], NOW)
    assert VirtualHost.objects.get(pk=hosts[5].pk).names_covered == 1


@BREAKS
def test_the_sweep_has_its_turn_with_everything_else(
    server: Server, hosts: list[VirtualHost], settings: Any, monkeypatch: pytest.MonkeyPatch, breaks: Break
) -> None:
    settings.AUTOSSL_MAIL_FROM = "panel@panel.example"
    row = options.current(server)
    Options.objects.filter(pk=row.pk).update(daily_done_on=NOW.date(), admin_addresses=["root@x.example"])
    VirtualHost.objects.filter(pk=hosts[3].pk).update(expires_at=NOW + timedelta(days=60))
    breaks(hosts[3])
    surveyed(runs.ALL)
    Job.objects.filter(state=JobState.QUEUED).update(state=JobState.ENDED, outcome=JobOutcome.SECURED, ended_at=NOW)
    assert runs.end_if_done(Run.objects.get().pk)
    asked: list[bool] = []
    monkeypatch.setattr(sweep.registration, "carry_out_all", lambda _server: asked.append(True))
    assert sweep.sweep(server)
    assert asked == [True]
    assert not UntoldRun.objects.exists()
    told = str([message.payload for message in Message.objects.all()])
    assert "1 × an error in the panel itself (has.birch.example)" in told


def test_whose_visitors_get_no_certificate_is_told_by_itself(
    server: Server, hosts: list[VirtualHost], settings: Any
) -> None:
    settings.AUTOSSL_MAIL_FROM = "panel@panel.example"
    row = options.current(server)
    Options.objects.filter(pk=row.pk).update(daily_done_on=NOW.date(), admin_addresses=["a@x.example"])
    unreadable(hosts[2])
    surveyed(runs.ALL)
    Job.objects.filter(state=JobState.QUEUED).update(state=JobState.ENDED, outcome=JobOutcome.SECURED, ended_at=NOW)
    assert runs.end_if_done(Run.objects.get().pk)
    assert sweep.sweep(server)
    groups = [group for message in Message.objects.all() for group in message.payload["groups"]]
    mine = [group for group in groups if group["kind"] == Kind.UNSECURED]
    assert [(group["code"], [one["site"] for one in group["notices"]]) for group in mine] == [
        ("internal", ["new.birch.example"])
    ]
    assert "still holds" not in str(groups)


def test_what_fails_in_telling_keeps_the_sweep_from_nothing(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def trips(*_given: Any, **_named: Any) -> int:
        raise KeyError("tripped")

    asked: list[bool] = []
    monkeypatch.setattr(sweep.telling, "sweep", trips)
    monkeypatch.setattr(sweep.registration, "carry_out_all", lambda _server: asked.append(True))
    with pytest.raises(KeyError, match="tripped"):
        sweep.sweep(server)
    assert asked == [True]


@pytest.mark.parametrize("broken", [False, True], ids=["sound", "broken"])
def test_no_portion_stays_in_memory(hosts: list[VirtualHost], broken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # What pytest keeps of the log has the frames in it.
    monkeypatch.setattr(survey.logger, "disabled", True)
    if broken:
        unreadable(hosts[3])
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    looks = survey._Looks(run, log.for_run(run.pk), None, runs.hosts_of(run), told=True)
    users = sorted({host.user_id for host in hosts})
    gc.collect()
    # Other tests have theirs.
    before = [one for one in gc.get_objects() if isinstance(one, sites.Site)]
    gc.disable()
    try:
        assert looks.at(users)
        alive = [one for one in gc.get_objects() if isinstance(one, sites.Site)]
    finally:
        gc.enable()
    assert len(alive) == len(before)
    assert Job.objects.filter(outcome=JobOutcome.FAILED).exists() is broken


def test_what_keeps_the_options_from_being_read_is_no_sites_own(
    hosts: list[VirtualHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = sites.policy_options

    def bad(server: Server, *users: Any) -> Any:
        if users:
            raise ValueError("a pattern that cannot be read")
        return real(server)

    monkeypatch.setattr(sites, "policy_options", bad)
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    with pytest.raises(ValueError, match="a pattern"):
        look(run)
    assert not Job.objects.exists()
    assert VirtualHost.objects.filter(next_at=NOW).count() == 6


def test_an_error_that_passes_costs_no_run(hosts: list[VirtualHost], monkeypatch: pytest.MonkeyPatch) -> None:
    real = sites.read
    tries: list[int] = []

    def once(*given: Any, **named: Any) -> Any:
        tries.append(1)
        if len(tries) == 1:
            raise OSError("too many open files")
        return real(*given, **named)

    monkeypatch.setattr(sites, "read", once)
    run = surveyed(runs.user_scope("birch"))
    assert run.surveyed_at is not None
    assert not Job.objects.filter(outcome=JobOutcome.FAILED).exists()
    assert Job.objects.get(run=run).virtual_host.name == "new.birch.example"


def test_one_that_is_off_and_has_a_signed_order_is_left_to_the_daily_check(
    server: Server, hosts: list[VirtualHost], provider: Provider
) -> None:
    broken = hosts[3]
    VirtualHost.objects.exclude(pk=broken.pk).update(next_at=None)
    HostingUser.objects.filter(pk=broken.user_id).update(autossl=Setting.OFF)
    Order.objects.create(
        ident="o-1", virtual_host=broken, provider=provider, account=provider.accounts.get(), names=[broken.name],
        reason="due", key_type="p256", created_at=NOW, status=OrderStatus.PROCESSING, expires=NOW + timedelta(days=7),
    )  # fmt: skip
    unreadable(broken)
    assert surveyed(runs.DUE).ended_at is not None
    for _ in range(2):
        leftovers.look(server, NOW + timedelta(minutes=1))
        due.start(server, NOW + timedelta(minutes=1))
    assert Run.objects.count() == 1


def test_once_it_can_be_decided_nothing_is_left_of_the_error(hosts: list[VirtualHost]) -> None:
    """Even where it has to wait: what a job met stays for so long, and this no job has met."""
    broken = hosts[3]
    unreadable(broken)
    surveyed(runs.ALL)
    Verdict.objects.all().delete()
    Run.objects.update(ended_at=NOW)
    later = NOW + timedelta(days=5)
    CertificateRow.objects.filter(fingerprint=f"{broken.pk:064x}").update(renewal_at=NOW - timedelta(days=1))
    VirtualHost.objects.filter(pk=broken.pk).update(held_until=later, held_reason="rate_limited")
    surveyed(runs.ALL)
    broken.refresh_from_db()
    assert (broken.next_reason, broken.problem) == ("rate_limited", None)


def test_one_that_is_made_due_meanwhile_stays_due(hosts: list[VirtualHost]) -> None:
    broken = hosts[3]
    unreadable(broken)
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    moment = run.started_at + timedelta(microseconds=1)
    VirtualHost.objects.filter(pk=broken.pk).update(next_at=moment, next_reason="changed")
    look(run)
    broken.refresh_from_db()
    assert (broken.next_at, broken.next_reason) == (moment, "changed")
