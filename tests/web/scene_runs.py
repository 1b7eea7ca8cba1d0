"""The runs of the scene: jobs and lines as workers would have left them."""

from datetime import datetime, timedelta

from autossl_panel.autossl import log
from autossl_panel.autossl.models import (
    Job,
    JobOutcome,
    JobState,
    Level,
    LogLine,
    Phase,
    Provider,
    Run,
)
from autossl_panel.hosting.models import HostingUser, Server, SiteState, VirtualHost
from autossl_panel.people.models import User

FACTS = {
    "address": "198.51.100.7",
    "addresses": ["198.51.100.7"],
    "server_addresses": ["203.0.113.10"],
    "status": 403,
    "server": "openresty",
    "zone": "example",
    "ca": "letsencrypt.org",
}
# What people call the provider of the scene
TITLE = "Let’s Encrypt"
WHY = ("elsewhere", "caa", "ipv6_elsewhere", "http_status", "nxdomain", "connect_timeout")


def run_of(
    server: Server,
    by: User | None,
    at: datetime,
    provider: Provider,
    source: str,
    *,
    ended: timedelta | None,
    scope: str = "*",
) -> Run:
    return Run.objects.create(
        server=server,
        scope=scope,
        asked_by=by,
        asked_from=source,
        provider_name=provider.name,
        started_at=at,
        surveyed_at=at + timedelta(seconds=0.6),
        ended_at=at + ended if ended else None,
        counts={"kept": 19, "skipped": 3},
    )


def work(run: Run, at: datetime, *, live: bool) -> None:
    """Jobs and lines, as the workers would have left them."""
    since = f"{at:%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        _line(run, None, None, 1, at, Level.OUT, "run:started", 0, scope=run.scope, **_provider(run)),
        _line(run, None, None, 2, at, Level.OUT, "inventory:unchanged", 0, since=since),
    ]
    seq = 2
    for user in HostingUser.objects.filter(last_check__event="check:nothing_to_do"):
        seq += 1
        n = user.virtual_hosts.count()
        kept = _line(run, None, user, seq, at, Level.OUT, "user:nothing_to_do", 1, user=user.name, kept=n, sites=n)
        lines.append(kept)
    hosts = VirtualHost.objects.exclude(user__last_check__event="check:nothing_to_do").select_related("user")
    for n, host in enumerate(hosts.exclude(state=SiteState.OFF).order_by("pk")):
        lines += _job(run, host, n, at + timedelta(seconds=n / 2), live=live)
    # All at once: there are hundreds, and hundreds of tests have them made
    LogLine.objects.bulk_create(lines)
    if not live:
        outcomes: dict[str, int] = {}
        for outcome in run.jobs.values_list("outcome", flat=True):
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        run.counts = {**run.counts, "outcomes": {**outcomes, "kept": 19, "skipped": 3}}
        run.save()


def _job(run: Run, host: VirtualHost, n: int, at: datetime, *, live: bool) -> list[LogLine]:
    """A job, and its lines, which are not saved yet."""
    failed = host.state == SiteState.UNSECURED
    outcome: str = (
        JobOutcome.FAILED if failed else JobOutcome.DEFERRED if host.user.name == "lindner" else JobOutcome.SECURED
    )
    state, phase = JobState.ENDED, Phase.PROVE if outcome != JobOutcome.SECURED else Phase.VERIFY
    renew = host.user.name == "amberfield"
    if live and n >= 48:
        state, outcome, phase = JobState.QUEUED, "", Phase.SURVEY
    elif live and n >= 42:
        state = JobState.STAGED if n >= 46 else JobState.RUNNING
        outcome = ""
        phase = (Phase.ORDER, Phase.PROVE, Phase.ORDER, Phase.VERIFY, Phase.INSTALL, Phase.INSTALL)[n - 42]
    why = WHY[n % len(WHY)]
    job = Job.objects.create(
        run=run,
        server=run.server,
        virtual_host=host,
        user=host.user,
        action="renew" if renew else "new",
        reason="due" if renew else "missing",
        job_class=4 if renew else 1,
        state=state,
        phase=phase,
        outcome=outcome,
        outcome_reason=why if outcome == JobOutcome.FAILED else "deferred" if outcome == JobOutcome.DEFERRED else "",
        problem={"code": why, "domain": host.name, "data": FACTS} if outcome == JobOutcome.FAILED else None,
        queued_at=at,
        started_at=None if state == JobState.QUEUED else at,
        ended_at=at + timedelta(seconds=3) if state == JobState.ENDED else None,
    )
    return _job_lines(job, host, at, why, n) if state != JobState.QUEUED else []


def _job_lines(job: Job, host: VirtualHost, at: datetime, why: str, n: int) -> list[LogLine]:
    names = f"{host.name}, www.{host.name}"
    steps: list[tuple[str, str, dict[str, object]]]
    if job.outcome == JobOutcome.FAILED:
        steps = [
            (Level.FAILURE, "dcv:failed", {"name": host.name, "reason": why}),
            (Level.FAILURE, "job:failed", {"site": host.name, "reason": "dcv_all_failed"}),
        ]
    elif job.outcome == JobOutcome.DEFERRED:
        steps = [
            (Level.SUCCESS, "dcv:passed", {"name": host.name, "addresses": "203.0.113.10"}),
            (Level.WARN, "plan:defer", {"until": "2026-12-02 03:12 UTC", "names": names}),
        ]
    else:
        steps = [(Level.SUCCESS, "dcv:passed", {"name": host.name, "addresses": "203.0.113.10"})]
        if n % 5 == 0:
            steps.append((Level.WARN, "dcv:failed", {"name": f"www.{host.name}", "reason": "nxdomain"}))
        steps += [
            (Level.OUT, "plan:order", {"names": names, **_provider(job.run)}),
            (Level.OUT, "order:placed", {}),
        ]
        if job.outcome:
            issued = {"serial": f"{host.pk:036x}", "not_after": "2027-02-21 02:44 UTC", "names": names}
            steps += [
                (Level.SUCCESS, "order:issued", issued),
                (Level.SUCCESS, "install:verified", {"addresses": "203.0.113.10:443"}),
                (Level.SUCCESS, "job:secured", {"site": host.name}),
            ]
    return [
        _line(job.run, job, host.user, seq, at + timedelta(seconds=seq / 3), level, event, 2, **data)
        for seq, (level, event, data) in enumerate(steps, 1)
    ]


def _provider(run: Run) -> dict[str, str]:
    return log.of_provider(run.provider_name, TITLE)


def _line(
    run: Run,
    job: Job | None,
    whose: HostingUser | None,
    seq: int,
    at: datetime,
    level: str,
    event: str,
    depth: int,
    **data: object,
) -> LogLine:
    return LogLine(run=run, job=job, user=whose, seq=seq, at=at, level=level, depth=depth, event=event, data=data)
