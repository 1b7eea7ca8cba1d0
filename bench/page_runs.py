"""The runs of a large panel: a month of them, yesterday's with its jobs, and one that lives."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from autossl_panel.autossl.models import Job, JobOutcome, JobState, Level, LogLine, Phase, Provider, Run
from autossl_panel.hosting.models import Server, VirtualHost
from bench.bulk import saved, write

LINES, DAYS = 5, 30
# How some of the jobs end, and why; all others bring a certificate
OUTCOMES = {
    0: (JobOutcome.FAILED, "elsewhere"),
    1: (JobOutcome.WAITING, "rate_limited"),
    2: (JobOutcome.DEFERRED, "deferred"),
}


def fill(server: Server, provider: Provider, hosts: list[VirtualHost], jobs: int, now: datetime) -> None:
    """Three runs a day, the first of `hosts` at work in the last."""
    outcomes = {"secured": 3, "renewed": 700, "failed": 12, "deferred": 4, "kept": len(hosts) - 719}
    for day in range(DAYS, 0, -1):
        at = now - timedelta(days=day)
        for scope in ("*", "due", f"user:u{day:05d}"):
            run = _run(server, provider, scope, at)
            Run.objects.filter(pk=run.pk).update(ended_at=at + timedelta(minutes=4), counts={"outcomes": outcomes})
        if day == 1:
            _work(run, hosts[-1000:], at, live=False)
    # The first users come last in it, so that something is still to be done for the login.
    _work(_run(server, provider, "*", now), hosts[:jobs][::-1], now, live=True)


def _run(server: Server, provider: Provider, scope: str, at: datetime) -> Run:
    return Run.objects.create(
        server=server,
        scope=scope,
        asked_from="schedule",
        provider_name=provider.name,
        started_at=at,
        surveyed_at=at + timedelta(seconds=3),
        counts={"kept": 40_000},
    )


def _work(run: Run, hosts: list[VirtualHost], at: datetime, *, live: bool) -> None:
    """Jobs with their lines; of a live run, the last twelfth is queued and thirty are in hand."""
    queued = len(hosts) * 11 // 12 if live else len(hosts)
    made = saved(_job(run, host, n, queued, at, live=live) for n, host in enumerate(hosts))
    write(
        LogLine(
            run=run,
            job=job,
            user_id=job.user_id,
            seq=seq,
            at=at,
            level=Level.FAILURE if job.outcome == JobOutcome.FAILED and seq == LINES else Level.OUT,
            depth=2,
            event="dcv:passed",
            data={"name": f"s{seq}.crowd.example", "addresses": "203.0.113.10"},
        )
        for job in made
        if job.state != JobState.QUEUED
        for seq in range(1, LINES + 1)
    )


def _job(run: Run, host: VirtualHost, n: int, queued: int, at: datetime, *, live: bool) -> Job:
    state, phase = JobState.ENDED, Phase.VERIFY
    if n >= queued:
        state, phase = JobState.QUEUED, Phase.ATTACH
    elif live and n >= queued - 30:
        state, phase = (JobState.RUNNING, Phase.ORDER) if n % 3 else (JobState.STAGED, Phase.INSTALL)
    ended = state == JobState.ENDED
    outcome, reason = OUTCOMES.get(n % 200, (JobOutcome.SECURED, "")) if ended else ("", "")
    failed = outcome == JobOutcome.FAILED
    return Job(
        run=run,
        server=run.server,
        virtual_host=host,
        user_id=host.user_id,
        action="renew",
        reason="due",
        job_class=4,
        turn=n,
        state=state,
        phase=Phase.PROVE if failed else phase,
        outcome=outcome,
        outcome_reason=reason,
        until=at + timedelta(hours=1) if reason == "rate_limited" else None,
        problem={"code": reason, "domain": host.name, "data": facts_of(reason)} if failed else None,
        queued_at=at,
        started_at=None if state == JobState.QUEUED else at,
        ended_at=at - timedelta(minutes=1) if ended else None,
    )


def facts_of(code: str) -> dict[str, Any]:
    return {"address": "198.51.100.7", "zone": "crowd.example", "status": 403} if code else {}
