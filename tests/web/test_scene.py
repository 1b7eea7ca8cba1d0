"""The scene agrees with itself: what counts on one page is what the rows of another say."""

from collections import Counter

from django.db.models import Count, F

from autossl_panel.autossl import runs
from autossl_panel.autossl.models import DailyShare, Installation, Job, JobOutcome, JobState, LogLine, Problem, Run
from autossl_panel.hosting.models import HostingUser, Setting, SiteState, VirtualHost
from tests.web.scene import Scene


def test_a_runs_counts_are_what_its_lines_and_jobs_say(troubled: Scene):
    for run in Run.objects.all():
        told: Counter[str] = Counter()
        begun = {}
        for line in LogLine.objects.filter(run=run, event__startswith="user:"):
            told["skipped" if line.event == "user:skipped" else "kept"] += (
                line.data["sites"] if line.event == "user:skipped" else line.data.get("kept", 0)
            )
            told["waiting"] += line.data.get("waiting", 0)
            if "todo" in line.data:
                begun[line.user_id] = line.data["todo"]
        for name in ("kept", "skipped", "waiting"):
            assert run.counts.get(name, 0) == told[name], (run.scope, name)
        jobs = run.jobs.values("user").annotate(n=Count("pk")).values_list("user", "n")
        assert dict(jobs) == begun, run.scope
        progress = runs.progress(run)
        if run.scope == runs.ALL:
            assert progress.total == VirtualHost.objects.count()
        if run.ended_at is not None:
            assert run.counts["outcomes"] == progress.outcomes()
            assert not run.jobs.exclude(state=JobState.ENDED).exists()
            assert not run.jobs.filter(ended_at__gt=run.ended_at).exists()
            ended = LogLine.objects.get(run=run, event="run:ended")
            assert ended.data["summary"] == progress.summary()


def test_the_last_check_of_each_user_is_what_the_last_run_for_all_did(scene: Scene):
    for user in HostingUser.objects.exclude(last_check=None):
        jobs = Job.objects.filter(run=scene.past, user=user)
        assert scene.past.started_at <= user.last_check_at <= scene.past.ended_at
        event, data = user.last_check["event"], user.last_check["data"]
        if event in ("check:failed", "check:deferred"):
            assert data["number"] == jobs.filter(outcome=event.partition(":")[2]).count()
            assert data["reason"] in {job.problem["code"] if job.problem else job.outcome_reason for job in jobs}
        elif event == "check:renewed":
            assert data["number"] == jobs.filter(outcome=JobOutcome.SECURED, action="renew").count()
        else:
            assert not jobs.exists(), user.name
        if event == "check:skipped":
            assert user.autossl == Setting.OFF


def test_what_failed_is_the_problem_that_is_told(troubled: Scene):
    failed = Job.objects.filter(outcome=JobOutcome.FAILED, run__in=[troubled.live, troubled.past])
    assert failed.count() > 10
    for job in failed:
        [line] = LogLine.objects.filter(job=job, event="dcv:failed")
        known = Problem.objects.filter(virtual_host=job.virtual_host, name=line.data["name"]).get()
        assert known.code == job.problem["code"] == line.data["reason"] == job.outcome_reason


def test_what_a_run_issued_is_installed_since(troubled: Scene):
    secured = Job.objects.filter(outcome=JobOutcome.SECURED, run__in=[troubled.live, troubled.past])
    assert secured.count() > 10
    for job in secured:
        mine = Installation.objects.get(virtual_host=job.virtual_host, until=None)
        assert mine.since == mine.certificate.not_before == job.ended_at
    # What was issued by a run before is not looked at by one that renews what is due
    assert not secured.values("virtual_host").annotate(n=Count("pk")).filter(n__gt=1).exists()


def test_todays_share_is_what_the_tiles_say(troubled: Scene):
    last = DailyShare.objects.order_by("-day")[0]
    states = Counter(VirtualHost.objects.values_list("state", flat=True))
    assert last.secured == states[SiteState.SECURED]
    assert last.sites == sum(states.values()) - states[SiteState.OFF]
    assert not DailyShare.objects.filter(secured__gt=F("sites")).exists()
