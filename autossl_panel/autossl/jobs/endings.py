"""How jobs end: outcome, log, and what stands on the virtual host from then on. Many at once, in one transaction.

Whatever went wrong, a site that is still in need gets a moment for its next try: nothing is asked for in a hot loop.
"""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, VirtualHost

from .. import log, policy, runs, sites, standing, undecided
from .. import options as option_rows
from .. import waiting as waits_for
from ..facts import Action, Need
from ..models import Job, JobOutcome, JobState, Level, LogLine, Phase
from ..sites import Site
from .claims import Claim, writing

# Needs that somebody could act on at once
ACTIONABLE = (Action.NEW, Action.RENEW, Action.EXTEND, Action.RESUME, Action.INSTALL)
BEFORE_ORDERS = (Phase.SURVEY, Phase.ATTACH, Phase.PROVE)
# Whom a job waits for that has nothing left to prove
AT_A_CA = (waits_for.Kind.CA, waits_for.Kind.LIMIT)
WITH_CAUSE = (JobOutcome.FAILED, JobOutcome.DEFERRED)
LEVELS = {
    JobOutcome.SECURED: Level.SUCCESS,
    JobOutcome.FAILED: Level.FAILURE,
    JobOutcome.DEFERRED: Level.WARN,
    JobOutcome.WAITING: Level.WARN,
    JobOutcome.CANCELLED: Level.WARN,
}


@dataclass(slots=True)
class Ending:
    """How one job ended. `until` is when to try again where somebody else says so (the CA, the plan).

    `held_by` is the provider whose CA holds the site until then, or (no `until`) until a person acts: at others it is
    free; None: nobody does. `problem` is {"code", "domain", "data"} of what went wrong beyond a name's own verdict.
    `proven`: a name of it passed in this run.
    """

    claim: Claim | None
    job: Job
    outcome: JobOutcome
    reason: str
    problem: Mapping[str, Any] | None = None
    until: datetime | None = None
    held_by: str | None = None
    extended: bool = False
    proven: bool = False
    lines: Sequence[LogLine] = field(default_factory=list)


def finish(
    server: Server,
    endings: Iterable[Ending],
    *,
    now: datetime | None = None,
    also: Callable[[], None] = lambda: None,
) -> list[Ending]:
    """End jobs, with what is `also` written in the same transaction, before them; returns those that were ours to end.

    Runs that have no other live job end with them, in transactions of their own: these lock users, which comes before
    sites. So a caller has no transaction open.
    """
    now = now or timezone.now()
    with writing():
        also()
        mine = [one for one in endings if _end(one, now)]
        if not mine:
            return []
        _stand(server, mine, now)
    for run_id in {one.job.run_id for one in mine}:
        runs.end_if_done(run_id)
    return mine


def _end(one: Ending, now: datetime) -> bool:
    job = one.job
    rows = (
        one.claim.rows
        if one.claim is not None
        else Job.objects.filter(pk=job.pk, state=JobState.STAGED, attempt=job.attempt)
    )
    problem = dict(one.problem) if one.problem else None
    columns: dict[str, Any] = {}
    if one.proven and job.phase in BEFORE_ORDERS and waits_for.kind(one.reason) in AT_A_CA:
        # Its names are proven; what it ended of is its order
        columns["phase"] = Phase.ORDER
    ended = rows.update(
        **columns,
        state=JobState.ENDED,
        outcome=one.outcome,
        outcome_reason=one.reason[:32],
        until=one.until,
        problem=problem,
        holder="",
        lease_until=None,
        ended_at=now,
    )
    if not ended:
        return False
    writer = one.claim.writer if one.claim is not None else log.for_job(job)
    data: dict[str, Any] = {"site": job.virtual_host.name, "reason": one.reason}
    if one.until is not None:
        data["until"] = f"{one.until:%Y-%m-%d %H:%M} UTC"
    event = "job:stopped" if one.reason == runs.RUN_FAILED else f"job:{one.outcome}"
    last = writer.make(event, LEVELS.get(one.outcome, Level.OUT), **data)
    writer.lines([*one.lines, last])
    return True


def _stand(server: Server, mine: Sequence[Ending], now: datetime) -> None:
    """Write what the endings mean for their virtual hosts."""
    by_host = {one.job.virtual_host_id: one for one in mine}
    hosting_users.lock(VirtualHost.objects.filter(pk__in=by_host))
    for host, one in by_host.items():
        columns: dict[str, Any] = {}
        if one.outcome == JobOutcome.SECURED:
            columns = {"attempts": 0, "retry_at": None, "held_until": None, "held_reason": "", "held_provider": ""}
            if one.extended:
                columns["last_extend_at"] = now
        elif one.held_by is not None and (one.until is not None or one.reason in policy.PERSON_ENDS):
            columns = {"held_until": one.until, "held_reason": one.reason[:32], "held_provider": one.held_by[:64]}
        if columns:
            VirtualHost.objects.filter(pk=host).update(**columns)
    serve_www = option_rows.current(server).serve_www
    found, errors = undecided.read(by_host, partial(sites.policy_options, server), now, serve_www=serve_www)
    judged = undecided.of_each(found, lambda site: _standing(site, by_host[site.row["pk"]], now), errors)
    stands = list(judged.values())
    standing.save(stands, now)
    undecided.note(errors, now)
    for site, stand in stands:
        one = by_host[site.row["pk"]]
        if one.problem is None and stand.problem is not None and one.outcome in WITH_CAUSE:
            # “No name passed” is not a cause: the job says what the first of them showed.
            Job.objects.filter(pk=one.job.pk).update(problem=stand.problem)


def _standing(site: Site, one: Ending, now: datetime) -> tuple[Site, standing.Standing]:
    need = policy.need(site.facts, site.options, now)
    if one.outcome == JobOutcome.CANCELLED:
        stands = standing.of(site, need)
        if one.reason == runs.RUN_FAILED:
            # Nobody stopped it: what was due stays due.
            return site, replace(stands, next_at=site.row["next_at"], next_reason=site.row["next_reason"])
        # A person did: the next daily check takes it up, not the sweep a minute later.
        return site, replace(stands, next_at=None, next_reason=runs.CANCELLED)
    moment, reason = None, None
    if need.action in ACTIONABLE:
        # What is tried next: after a failure the same again, else what is left to do.
        reason = need.reason if one.outcome in (JobOutcome.SECURED, JobOutcome.KEPT) else one.reason
        if one.reason == "paused":
            # AutoSSL went on before the job had ended, and made due what was held by then: this one is due as well.
            moment, reason = now, "changed"
        else:
            site, need, moment = _hold(site, need, one, now)
    stands = standing.of(site, need)
    if moment is None and one.until is not None and need.until is not None and need.until <= one.until:
        reason = one.reason
    return site, replace(
        stands,
        next_at=moment or stands.next_at,
        next_reason=(reason or stands.next_reason)[:32],
        problem=one.problem if one.problem is not None and one.outcome != JobOutcome.SECURED else stands.problem,
    )


def _hold(site: Site, need: Need, one: Ending, now: datetime) -> tuple[Site, Need, datetime]:
    """The next try of a site that is still in need: what was said, else the ladder's next rung."""
    row = VirtualHost.objects.filter(pk=site.row["pk"])
    attempts = (row.values_list("attempts", flat=True).first() or 0) + 1
    rung = policy.retry_at(attempts, site.facts.installed, now, random.random())  # noqa: S311 - spreads load
    moment = one.until if one.until is not None and one.until > now else rung
    if need.action in (Action.NEW, Action.RENEW, Action.EXTEND):
        # "Deferred" is tried at every check till then, so the ladder holds, never longer than what was said.
        moment = min(moment, rung)
        row.update(attempts=attempts, retry_at=moment)
        site = replace(site, facts=replace(site.facts, retry_at=moment))
        need = policy.need(site.facts, site.options, now)
    else:
        row.update(attempts=attempts)
    return site, need, moment
