"""The runs of the scene: jobs and lines as workers would have left them, and the counts that follow from these."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from autossl_panel.autossl import log, runs
from autossl_panel.autossl.models import (
    Certificate,
    Installation,
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

HERE, OLD = "203.0.113.10", "198.51.100.7"
# user: code and facts of its failing names; several are dealt out in turn
TROUBLES: Mapping[str, Sequence[tuple[str, dict[str, object]]]] = {
    "northwind": [
        (
            "elsewhere",
            {"from": [OLD], "to": [HERE], "record": "A", "address": OLD, "status": 404, "server": "oldhost"},
        )
    ],
    "brandtlaw": [
        ("caa", {"zone": "", "records": ['0 issue "sectigo.com"'], "identities": ["letsencrypt.org"]}),
    ],
    "hallsteadt": [
        ("ipv6_elsewhere", {"address": "2001:db8:5::7", "record": "AAAA", "ours": False, "seen": "http_status"}),
        ("http_status", {"address": HERE, "record": "A", "status": 403, "server": "openresty", "ours": True}),
    ],
    "bluefjord": [("nxdomain", {"detail": "", "zone": "example"})],
}
# The covered name that holds back its site's renewal, and why
AT_RISK = "www.lindner.example"
SILENT: tuple[str, dict[str, object]] = (
    "connect_timeout",
    {"address": "198.51.100.44", "hop_address": "198.51.100.44", "reason": "connect"},
)
# What people call the provider of the scene
TITLE = "Let’s Encrypt"
# How many of the live run's sites have ended, and how many are in hand beside them
DONE, IN_HAND = 32, 6


def trouble_of(user: str, host: int, name: str) -> tuple[str, dict[str, object]]:
    """The code of a failing name and its facts."""
    found = TROUBLES[user]
    code, data = found[host % len(found)]
    told = {"zone": name.removeprefix("www.")} if code == "caa" else {}
    return code, {"name": name, **data, **told}


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
    )


def work(
    run: Run, hosts: Collection[VirtualHost], at: datetime, *, live: bool = False, held: Collection[int] = ()
) -> None:
    """What a run did that had work for `hosts`, one after the other: its lines, its jobs, its counts. `held` are sites
    that wait for their next try; all others of its users are kept as they are. Of a live run some are still to come.
    """
    since = f"{at - timedelta(days=1):%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        _line(run, None, None, 1, at, Level.OUT, "run:started", 0, scope=run.scope, **_provider(run)),
        _line(run, None, None, 2, at, Level.OUT, "inventory:unchanged", 0, since=since),
    ]
    todo: dict[int, int] = {}
    for host in hosts:
        todo[host.user_id] = todo.get(host.user_id, 0) + 1
    counts = {"kept": 0, "skipped": 0, "waiting": 0}
    kind, _colon, name = run.scope.partition(":")
    users = HostingUser.objects.filter(pk__in=todo) if run.scope == "due" else HostingUser.objects.order_by("pk")
    for user in users.filter(name=name) if kind == "user" else users:
        said = _surveyed(user, todo.get(user.pk, 0), held, counts, whole=run.scope != "due")
        if said is not None:
            event, data = said
            lines.append(_line(run, None, user, len(lines) + 1, at, Level.OUT, event, 1, user=user.name, **data))
    step = timedelta(seconds=0.5) if live or run.ended_at is None else (run.ended_at - at) / (len(hosts) + 8)
    for n, host in enumerate(hosts):
        lines += _job(run, host, n, at + n * step, live=live)
    run.counts = {name: number for name, number in counts.items() if number}
    if run.ended_at is not None:
        progress = runs.progress(run)
        run.counts["outcomes"] = progress.outcomes()
        seconds = round((run.ended_at - run.started_at).total_seconds(), 1)
        level = Level.FAILURE if progress.failed else Level.SUCCESS
        summary = progress.summary()
        last = _line(run, None, None, 9000, run.ended_at, level, "run:ended", 0, seconds=seconds, summary=summary)
        lines.append(last)
    run.save()
    # All at once: there are hundreds, and hundreds of tests have them made
    LogLine.objects.bulk_create(lines)


def installed(run: Run) -> None:
    """The certificates that a run brought are there since."""
    ended = run.jobs.filter(state=JobState.ENDED, outcome=JobOutcome.SECURED)
    for host, at in ended.values_list("virtual_host", "ended_at"):
        assert at is not None
        mine = Installation.objects.filter(virtual_host=host, until__isnull=True)
        end = at + timedelta(days=90)
        Certificate.objects.filter(installations__in=mine).update(not_before=at, not_after=end)
        mine.update(since=at)
        VirtualHost.objects.filter(pk=host).update(expires_at=end)


def _surveyed(
    user: HostingUser, todo: int, held: Collection[int], counts: dict[str, int], *, whole: bool
) -> tuple[str, dict[str, object]] | None:
    """What the survey says of a user, and adds to the counts; None where there is nothing to say."""
    mine = list(user.virtual_hosts.values_list("pk", flat=True)) if whole else []
    sites = len(mine) or todo
    if not sites:
        return None
    if (user.last_check or {}).get("event") == "check:skipped":
        counts["skipped"] += sites
        return "user:skipped", {"sites": sites, "reason": "disabled"}
    waiting = sum(pk in held for pk in mine)
    kept = sites - todo - waiting
    counts["kept"] += kept
    counts["waiting"] += waiting
    told = {name: number for name, number in (("kept", kept), ("waiting", waiting)) if number}
    if todo:
        return "user:begins", {**told, "sites": sites, "todo": todo}
    return "user:waits" if waiting else "user:nothing_to_do", {**told, "kept": kept, "sites": sites}


def _job(run: Run, host: VirtualHost, n: int, at: datetime, *, live: bool) -> list[LogLine]:
    """A job, and its lines, which are not saved yet."""
    failed = host.state == SiteState.UNSECURED
    deferred = AT_RISK.endswith(f".{host.name}")
    outcome: str = JobOutcome.FAILED if failed else JobOutcome.DEFERRED if deferred else JobOutcome.SECURED
    state, phase = JobState.ENDED, Phase.PROVE if outcome != JobOutcome.SECURED else Phase.VERIFY
    if live and n >= DONE + IN_HAND:
        state, outcome, phase = JobState.QUEUED, "", Phase.SURVEY
    elif live and n >= DONE:
        state = JobState.STAGED if n >= DONE + 4 else JobState.RUNNING
        outcome = ""
        phase = (Phase.ORDER, Phase.PROVE, Phase.ORDER, Phase.VERIFY, Phase.INSTALL, Phase.INSTALL)[n - DONE]
    code, facts = trouble_of(host.user.name, host.pk, host.name) if outcome == JobOutcome.FAILED else ("", {})
    job = Job.objects.create(
        run=run,
        server=run.server,
        virtual_host=host,
        user=host.user,
        action="new" if failed else "renew",
        # A CA may have all its certificates renewed at any age (RFC 9773)
        reason="missing" if failed else "ari" if live else "due",
        job_class=1 if failed else 4,
        state=state,
        phase=phase,
        outcome=outcome,
        outcome_reason=code or ("deferred" if outcome == JobOutcome.DEFERRED else ""),
        problem={"code": code, "domain": host.name, "data": facts} if code else None,
        queued_at=at,
        started_at=None if state == JobState.QUEUED else at,
        ended_at=at + timedelta(seconds=3) if state == JobState.ENDED else None,
    )
    return _job_lines(job, host, at) if state != JobState.QUEUED else []


def _job_lines(job: Job, host: VirtualHost, at: datetime) -> list[LogLine]:
    names = f"{host.name}, www.{host.name}"
    passed = (Level.SUCCESS, "dcv:passed", {"name": host.name, "addresses": HERE})
    steps: list[tuple[str, str, dict[str, object]]]
    if job.problem is not None:
        failed = {"name": host.name, "reason": job.problem["code"], "found": job.problem["data"]}
        steps = [
            (Level.FAILURE, "dcv:failed", failed),
            (Level.FAILURE, "job:failed", {"site": host.name, "reason": "dcv_all_failed"}),
        ]
    elif job.outcome == JobOutcome.DEFERRED:
        code, facts = SILENT
        until = f"{at + timedelta(days=3):%Y-%m-%d %H:%M} UTC"
        steps = [
            passed,
            (Level.WARN, "dcv:failed", {"name": AT_RISK, "reason": code, "found": facts}),
            (Level.WARN, "plan:defer", {"until": until, "names": AT_RISK}),
            (Level.WARN, "job:deferred", {"site": host.name, "reason": "deferred", "until": until}),
        ]
    else:
        steps = [passed]
        if host.state == SiteState.PARTLY:
            code, facts = trouble_of(host.user.name, host.pk, f"www.{host.name}")
            steps.append((Level.WARN, "dcv:failed", {"name": f"www.{host.name}", "reason": code, "found": facts}))
            names = host.name
        steps += [
            (Level.OUT, "plan:order", {"names": names, **_provider(job.run)}),
            (Level.OUT, "order:placed", {}),
        ]
        if job.outcome:
            end = f"{at + timedelta(days=90):%Y-%m-%d %H:%M} UTC"
            steps += [
                (Level.SUCCESS, "order:issued", {"serial": f"{host.pk:036x}", "not_after": end, "names": names}),
                (Level.SUCCESS, "install:verified", {"addresses": f"{HERE}:443"}),
                (Level.SUCCESS, "job:secured", {"site": host.name}),
            ]
    return [
        _line(job.run, job, host.user, seq, at + timedelta(seconds=seq / 3), level, event, 2, **data)
        for seq, (level, event, data) in enumerate(steps, 1)
    ]


def _provider(run: Run) -> dict[str, object]:
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
