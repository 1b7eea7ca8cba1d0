"""Runs are started once, joined, cancelled and ended."""

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from autossl_panel.autossl import log, runs
from autossl_panel.autossl.models import Job, JobOutcome, JobState, LogLine, Run
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import Role, User

pytestmark = pytest.mark.django_db


def job(run, host, **fields):
    defaults = {"action": "new", "reason": "missing", "job_class": 1, "queued_at": timezone.now()}
    return Job.objects.create(run=run, server=run.server, virtual_host=host, user=host.user, **{**defaults, **fields})


def test_a_second_start_lands_on_the_live_run_and_rings_again(server, root):
    first = runs.start(runs.ALL, by=root, asked_from="panel")
    second = runs.start(runs.ALL, by=None, asked_from="command")
    assert first.pk == second.pk
    assert second.asked_by == root
    assert OrmQ.objects.count() == 2


def test_after_it_ended_a_start_opens_a_new_run(server):
    first = runs.start(runs.ALL, by=None, asked_from="command")
    Run.objects.filter(pk=first.pk).update(surveyed_at=timezone.now())
    assert runs.end_if_done(first.pk)
    assert runs.start(runs.ALL, by=None, asked_from="command").pk != first.pk


def test_runs_of_different_scopes_live_side_by_side(server):
    runs.start(runs.ALL, by=None, asked_from="command")
    runs.start(runs.user_scope("amber"), by=None, asked_from="command")
    assert Run.objects.count() == 2


def test_a_users_check_lands_on_the_run_that_still_has_that_users_work(server, make_user, make_site):
    everyone = runs.start(runs.ALL, by=None, asked_from="command")
    host = make_site(make_user("amber"), "amber.example")
    live = job(everyone, host)
    assert runs.start(runs.user_scope("amber"), by=None, asked_from="panel").pk == everyone.pk
    live.state = JobState.ENDED
    live.save()
    assert runs.start(runs.user_scope("amber"), by=None, asked_from="panel").pk != everyone.pk


def test_a_run_ends_once_and_only_without_live_jobs(server, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    host = make_site(make_user("amber"), "amber.example")
    live = job(run, host)
    assert not runs.end_if_done(run.pk), "it is not surveyed yet"
    Run.objects.filter(pk=run.pk).update(surveyed_at=timezone.now())
    assert not runs.end_if_done(run.pk), "a job lives"
    Job.objects.filter(pk=live.pk).update(state=JobState.ENDED, outcome=JobOutcome.FAILED, outcome_reason="elsewhere")
    assert runs.end_if_done(run.pk)
    assert not runs.end_if_done(run.pk)
    run.refresh_from_db()
    assert run.counts["outcomes"]["failed"] == 1
    assert LogLine.objects.get(run=run, event="run:ended").level == "failure"
    host.user.refresh_from_db()
    assert host.user.last_check == {"event": "check:failed", "data": {"reason": "elsewhere", "number": 1}}


def test_cancel_ends_what_is_queued_and_leaves_what_is_claimed(server, root, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    user = make_user("amber")
    queued = job(run, make_site(user, "one.example"))
    claimed = job(run, make_site(user, "two.example"), state=JobState.RUNNING)
    assert runs.cancel(run, by=root)
    assert not runs.cancel(run, by=root)
    queued.refresh_from_db()
    claimed.refresh_from_db()
    run.refresh_from_db()
    assert (queued.state, queued.outcome) == (JobState.ENDED, JobOutcome.CANCELLED)
    assert claimed.state == JobState.RUNNING
    assert run.ended_at is None
    assert LogLine.objects.get(run=run, event="run:cancelled").data == {"by": "root"}
    Job.objects.filter(pk=claimed.pk).update(state=JobState.ENDED, outcome=JobOutcome.SECURED)
    assert runs.end_if_done(run.pk)


def test_progress_counts_jobs_and_what_needed_none(server, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    run.counts = {"kept": 5, "skipped": 2}
    user = make_user("amber")
    job(run, make_site(user, "a.example"))
    job(run, make_site(user, "b.example"), state=JobState.RUNNING, phase="prove")
    ended = {"state": JobState.ENDED}
    job(run, make_site(user, "c.example"), outcome=JobOutcome.SECURED, **ended)
    job(run, make_site(user, "d.example"), outcome=JobOutcome.SECURED, action="renew", **ended)
    job(run, make_site(user, "e.example"), outcome=JobOutcome.FAILED, **ended)
    found = runs.progress(run)
    assert (found.queued, found.running, found.secured, found.renewed, found.failed) == (1, 1, 1, 1, 1)
    assert (found.kept, found.skipped, found.done, found.total) == (5, 2, 10, 12)
    assert found.phases == {"survey": 1, "prove": 1}


def test_a_reseller_sees_common_runs_and_those_of_own_users(server, make_user):
    mine, other = (User.objects.create(username=name, role=Role.RESELLER) for name in ("mine", "other"))
    make_user("amber", owner=mine)
    make_user("birch", owner=other)
    started = {
        scope: runs.start(scope, by=None, asked_from="command")
        for scope in (runs.ALL, runs.owner_scope(mine), runs.owner_scope(other), "user:amber", "user:birch")
    }
    seen = set(runs.visible(mine))
    assert seen == {started[runs.ALL], started[runs.owner_scope(mine)], started["user:amber"]}


def test_a_run_that_cannot_go_on_says_why(server, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    queued = job(run, make_site(make_user("amber"), "amber.example"))
    runs.fail(run, "the helper does not answer")
    run.refresh_from_db()
    queued.refresh_from_db()
    assert isinstance(run.ended_at, datetime)
    assert run.problem["text"] == "the helper does not answer"
    assert (queued.outcome, queued.outcome_reason) == (JobOutcome.CANCELLED, "run_failed")
    last = HostingUser.objects.get().last_check
    assert log.render(last["event"], last["data"]) == "1 stopped: the run could not go on"


def test_a_run_that_a_person_cancelled_before_it_could_not_go_on_stays_cancelled(server, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    at_work = job(run, make_site(make_user("amber"), "amber.example"), state=JobState.RUNNING)
    runs.cancel(run, by=None)
    Job.objects.update(state=JobState.QUEUED)
    runs.fail(run, "the helper does not answer")
    run.refresh_from_db()
    at_work.refresh_from_db()
    assert (run.problem, at_work.outcome_reason) == (None, "cancelled")
    assert run.ended_at is not None


def test_a_cancelled_run_that_still_finishes_does_not_hold_up_the_next(server, make_user, make_site):
    first = runs.start(runs.ALL, by=None, asked_from="command")
    job(first, make_site(make_user("amber"), "amber.example"), state=JobState.RUNNING)
    runs.cancel(first, by=None)
    second = runs.start(runs.ALL, by=None, asked_from="command")
    assert second.pk != first.pk


def test_what_a_cancelled_run_had_before_it_is_left_to_the_daily_check(server, make_user, make_site, now):
    run = runs.start(runs.ALL, by=None, asked_from="panel")
    user = make_user("amber")
    queued, at_work, later = (
        make_site(user, f"{name}.example", next_at=when, next_reason="changed")
        for name, when in (("queued", now), ("working", now), ("later", now + timedelta(days=1)))
    )
    job(run, queued)
    job(run, at_work, state=JobState.RUNNING)
    Run.objects.filter(pk=run.pk).update(surveyed_at=now)
    runs.cancel(run, by=None)
    for host in (queued, at_work, later):
        host.refresh_from_db()
    # Else the sweep would begin it all anew within a minute.
    assert (queued.next_at, queued.next_reason) == (None, "cancelled")
    assert at_work.next_at == now
    assert later.next_at == now + timedelta(days=1)


def test_a_run_cancelled_before_its_survey_leaves_what_it_was_for(server, make_user, make_site, now):
    mine = make_site(make_user("amber"), "amber.example", next_at=now)
    other = make_site(make_user("birch"), "birch.example", next_at=now)
    runs.cancel(runs.start(runs.user_scope("amber"), by=None, asked_from="panel"), by=None)
    mine.refresh_from_db()
    other.refresh_from_db()
    assert (mine.next_at, other.next_at) == (None, now)


def test_a_login_reads_the_runs_that_its_users_had_a_part_in(server, make_user, make_site):
    login = User.objects.create(username="anna", role=Role.USER)
    reseller, other = (User.objects.create(username=name, role=Role.RESELLER) for name in ("mine", "other"))
    amber, birch = make_user("amber", login=login, owner=reseller), make_user("birch", owner=other)
    mine, strange = make_site(amber, "amber.example"), make_site(birch, "birch.example")
    made = {
        scope: runs.start(scope, by=None, asked_from="command")
        for scope in (runs.ALL, "user:amber", "user:birch", "owner:mine", "owner:other", "owner:anna", runs.DUE)
    }
    assert {run.scope for run in runs.visible(login)} == {runs.ALL, "user:amber", "owner:mine"}
    job(made[runs.DUE], strange)
    assert made[runs.DUE] not in runs.visible(login)
    job(made[runs.DUE], mine)
    assert made[runs.DUE] in runs.visible(login)
    nobody = User.objects.create(username="nobody", role=Role.USER)
    assert not runs.visible(nobody).exists()


def test_a_run_of_the_same_name_on_another_server_is_not_read(make_user):
    from autossl_panel.hosting.models import Server

    login = User.objects.create(username="anna", role=Role.USER)
    make_user("amber", login=login)
    elsewhere = Server.objects.create(name="web99.example")
    runs.start("user:amber", by=None, asked_from="command", server=elsewhere)
    runs.start(runs.ALL, by=None, asked_from="command", server=elsewhere)
    assert not runs.visible(login).exists()


def test_what_works_on_users_now_is_their_own_run_first(server, make_user, make_site):
    from autossl_panel.hosting.models import HostingUser

    amber, birch = make_user("amber"), make_user("birch")
    everyone = runs.start(runs.ALL, by=None, asked_from="command")
    mine = HostingUser.objects.filter(pk=amber.pk)
    assert not runs.at_work_on(mine).exists()
    live = job(everyone, make_site(amber, "amber.example"))
    job(everyone, make_site(birch, "birch.example"))
    assert list(runs.at_work_on(mine)) == [everyone]
    alone = Run.objects.create(server=server, scope="user:amber", asked_from="panel", started_at=timezone.now())
    assert list(runs.at_work_on(mine)) == [alone, everyone]
    Job.objects.filter(pk=live.pk).update(state=JobState.ENDED, outcome=JobOutcome.SECURED)
    Run.objects.filter(pk=alone.pk).update(ended_at=timezone.now())
    assert not runs.at_work_on(mine).exists()


def test_a_check_that_secured_some_does_not_hide_what_it_kept_though_it_is_bad(server, make_user, make_site):
    run = runs.start(runs.ALL, by=None, asked_from="command")
    user = make_user("amber")
    ended = {"state": JobState.ENDED, "outcome": JobOutcome.SECURED}
    job(run, make_site(user, "one.example"), **ended)
    bad = {"code": "foreign_defective", "domain": "two.example", "data": {"defects": ["expired"]}}
    make_site(user, "two.example", state="foreign", problem=bad)
    make_site(user, "three.example", state="foreign")
    job(run, make_site(make_user("birch"), "four.example"), **ended)
    Run.objects.filter(pk=run.pk).update(surveyed_at=timezone.now())
    assert runs.end_if_done(run.pk)
    found = dict(HostingUser.objects.values_list("name", "last_check"))
    assert found["amber"] == {"event": "check:kept", "data": {"reason": "foreign_defective", "number": 1}}
    assert found["birch"] == {"event": "check:secured", "data": {"reason": "", "number": 1}}


def test_a_check_of_what_was_due_says_of_how_many_sites_it_is(server, make_user, make_site):
    run = runs.start(runs.DUE, by=None, asked_from="sweep")
    ended = {"state": JobState.ENDED, "outcome": JobOutcome.SECURED}
    for name, sites in (("amber", 3), ("birch", 1)):
        user = make_user(name)
        hosts = [make_site(user, f"{name}{number}.example") for number in range(sites)]
        job(run, hosts[0], **ended)
    Run.objects.filter(pk=run.pk).update(surveyed_at=timezone.now())
    assert runs.end_if_done(run.pk)
    found = dict(HostingUser.objects.values_list("name", "last_check"))
    assert found["amber"]["data"] == {"reason": "", "number": 1, "worked_on": 1, "sites": 3}
    assert found["birch"]["data"] == {"reason": "", "number": 1}
