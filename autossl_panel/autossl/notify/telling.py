"""What is new: after a run has ended, and once a day. Finds it set-based, writes what was told and makes the messages,
in one transaction; sends nothing.

A run's end leaves a row (`UntoldRun`) in the transaction that ends it, so that whoever dies here is made up for by the
next sweep. One telling at a time on a server, under a lease that is looked at again before anything is written.
"""

import logging
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from django.db import transaction
from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone

from autossl_panel.hosting.models import Server, SiteState, VirtualHost

from .. import certain, leases, quick, runs, sites, undecided
from .. import options as option_rows
from ..models import Installation, Job, JobOutcome, JobState, Kind, Lease, Message, Notice, Options, Run, UntoldRun
from ..policies import Policies
from ..sites import Site
from . import conditions, digest, events, memory, outbox, recipients, troubles
from .conditions import LastJob
from .kinds import NATURES, SITE_STATES
from .matters import Matter
from .memory import Memory, Told

log = logging.getLogger("autossl_panel.notify")

LEASE = 120.0
# Runs of the sweep itself, and what only time brings, are told together: at most so often
GAP = timedelta(hours=1)
LOOK_EVERY = timedelta(days=1)
# A survey of all sites that takes longer does not keep the daily look waiting
LONG_RUN = timedelta(hours=6)
CHUNK = 1000
# How long it is remembered that something happened
REMEMBERED = timedelta(days=60)


def after_run(run_id: int, *, now: datetime | None = None) -> int:
    """Tell of one run that has ended, if nobody has; returns how many messages were made."""
    run = Run.objects.select_related("server").filter(pk=run_id, untold__isnull=False, ended_at__isnull=False).first()
    return _tell(run.server, [run_id], now or timezone.now()) if run is not None else 0


def sweep(server: Server, *, now: datetime | None = None, gathered: bool = True) -> int:
    """Tell of what has ended since; look at everything once a day, and at what its time has come for.

    With `gathered` the sweep's own runs wait until an hour has passed since the last of them was told.
    """
    now = now or timezone.now()
    untold = UntoldRun.objects.filter(run__server=server, run__ended_at__isnull=False)
    by_people = list(untold.exclude(run__scope=runs.DUE).order_by("run_id").values_list("run_id", flat=True))
    due = list(untold.filter(run__scope=runs.DUE).order_by("run_id").values_list("run_id", flat=True))
    free = not gathered or _is_free(_gap(server), GAP)
    told = by_people + (due if free or by_people else [])
    look = _look_is_due(server, now, free=free)
    return _tell(server, told, now, look=look) if told or look else 0


def look(server: Server, *, now: datetime | None = None) -> int:
    """Look at everything now; returns how many messages were made."""
    return _tell(server, [], now or timezone.now(), look=True)


def _look_is_due(server: Server, now: datetime, *, free: bool) -> bool:
    long_ago = now - LONG_RUN
    if Run.objects.filter(server=server, scope=runs.ALL, ended_at__isnull=True, started_at__gt=long_ago).exists():
        return False  # its end brings the look
    if _is_free(_daily(server), LOOK_EVERY):
        return True
    return free and Notice.objects.filter(server=server, next_at__lte=now).exists()


def _tell(server: Server, run_ids: Sequence[int], now: datetime, *, look: bool = False) -> int:
    name, holder = f"tell:{server.pk}", leases.new_holder()
    with leases.kept(name, holder, LEASE) as ours:
        if not ours:
            return 0
        ended = list(Run.objects.filter(pk__in=run_ids, server=server, untold__isnull=False).order_by("pk"))
        if not ended and not look:
            return 0
        whole = look or any(run.scope == runs.ALL for run in ended)
        server.refresh_from_db()
        options = option_rows.current(server)
        found = Memory(now, recipients.reach(server, options))
        if found.reach.user_kinds or found.reach.admin_kinds:
            _find(found, server, options, ended, whole=whole)
        messages = _messages(server, options, ended, found.told, now)
        with transaction.atomic():
            if not Lease.objects.select_for_update().filter(name=name, holder=holder).exists():
                log.warning("somebody else tells of runs %s", run_ids)
                return 0
            found.save(server)
            Message.objects.bulk_create(messages, batch_size=500)
            UntoldRun.objects.filter(run__in=ended).delete()
        if whole:
            _hold(_daily(server), LOOK_EVERY)
            _forget(server, options, certain.moment(server, now))
        if messages:
            _hold(_gap(server), GAP)
        return len(messages)


# --- finding what is so -----------------------------------------------------------------------------------------------


def _find(found: Memory, server: Server, options: Options, ended: Sequence[Run], *, whole: bool) -> None:
    """Have the memory look at everything that there may be to tell."""
    now, policies = found.now, sites.policy_options(server)
    found.known.update(memory.rows(server, kind__in=[Kind.SERVER, Kind.PROVIDER, Kind.RUN]))
    found.all_of(Kind.SERVER, troubles.of_server(server, now))
    found.all_of(Kind.PROVIDER, troubles.of_providers(server, now))
    _events(server, ended, found)
    ids = _hosts_to_look_at(server, now) if whole else set()
    for run in ended:
        ids |= set(run.jobs.values_list("virtual_host_id", flat=True))
    failing = _judge(
        server, options, sorted(ids), policies, found, began=min((run.started_at for run in ended), default=now)
    )
    if ended:
        of_all = any(run.scope == runs.ALL for run in ended)
        summary = troubles.of_failures(failing) if of_all else []
        found.all_of(Kind.RUN, [*troubles.of_runs(ended), *summary], whole=of_all)


def _events(server: Server, ended: Sequence[Run], found: Memory) -> None:
    good = Kind.RENEWED in found.reach.user_kinds | found.reach.admin_kinds
    happened = events.of_runs(ended, good=good) + events.revocations(server, found.now)
    subjects = [matter.subject for matter in happened]
    for first in range(0, len(subjects), CHUNK):
        once = [kind for kind, nature in NATURES.items() if nature.once]
        found.known.update(memory.rows(server, kind__in=once, subject__in=subjects[first : first + CHUNK]))
    for matter in happened:
        found.event(matter)


def _hosts_to_look_at(server: Server, now: datetime) -> set[int]:
    """The sites of which there may be something to tell: in trouble, near their end, or told of before."""
    hosts = VirtualHost.objects.filter(server=server, gone_at__isnull=True)
    in_trouble = hosts.filter(Q(problem__isnull=False) | Q(state__in=[SiteState.PARTLY, SiteState.UNSECURED]))
    ids = set(in_trouble.values_list("pk", flat=True))
    rows = Installation.objects.filter(
        until__isnull=True,
        virtual_host__server=server,
        virtual_host__gone_at__isnull=True,
        certificate__self_signed=False,
    ).values_list("virtual_host_id", "certificate__not_before", "certificate__not_after")
    for host, not_before, not_after in quick.rows(rows):
        since, until = quick.moment(not_before), quick.moment(not_after)
        if now >= until - (until - since) / conditions.IN_DANGER:
            ids.add(host)
    told = Notice.objects.filter(server=server, kind__in=SITE_STATES, virtual_host__isnull=False)
    return ids | set(told.values_list("virtual_host_id", flat=True))


def _judge(
    server: Server, options: Options, ids: Sequence[int], policies: Policies, found: Memory, *, began: datetime
) -> list[troubles.Failing]:
    """Look at these sites, a portion at a time. What somebody works on at this moment is not judged.

    Returns those that failed since the runs `began`, or before and to this day, if nothing is told of them alone.
    """
    failing: list[troubles.Failing] = []
    for first in range(0, len(ids), CHUNK):
        part = ids[first : first + CHUNK]
        read, errors = undecided.read(part, policies, found.now, serve_www=options.serve_www, whole=False)
        last = _last_jobs(part)
        live = Job.objects.filter(virtual_host__in=part).exclude(state=JobState.ENDED)
        at_work = set(live.values_list("virtual_host_id", flat=True))
        subjects = [_subject(pk) for pk in part]
        found.known.update(memory.rows(server, kind__in=SITE_STATES, subject__in=subjects))
        free = {pk: site for pk, site in read.items() if pk not in at_work}
        ask = partial(_judged, last=last, now=found.now)
        for pk, (judged, matter) in undecided.of_each(free, ask, errors).items():
            if judged:
                found.site(_subject(pk), matter)
                if matter is None and (code := _failed_of(read[pk], last.get(pk), began)):
                    failing.append(troubles.Failing(read[pk].row["name"], code))
        for host in VirtualHost.objects.filter(pk__in=errors).exclude(state=SiteState.OFF).order_by("pk"):
            matter = conditions.undecided(host, found.now)
            if matter is not None:
                found.site(_subject(host.pk), matter)
            else:
                # What was told of it before stands.
                failing.append(troubles.Failing(host.name, undecided.CODE))
    return failing


def _judged(site: Site, *, last: Mapping[int, LastJob], now: datetime) -> tuple[bool, Matter | None]:
    # A pause is told as what it is; what stands behind it is judged all the same.
    running = replace(site.options, paused=False) if site.options.paused else site.options
    return conditions.judge(site, last.get(site.row["pk"]), running, now, paused=site.options.paused)


def _failed_of(site: Site, last: LastJob | None, began: datetime) -> str:
    """What the newest job of a site failed of, where that is for a run's summary to tell; else ""."""
    if last is None or last.outcome != JobOutcome.FAILED or site.row["state"] == SiteState.OFF:
        return ""
    if site.row["problem"] is None and last.ended_at < began:
        return ""  # it needed nothing since
    code = str(last.problem["code"]) if last.problem else last.reason
    return code if troubles.is_summed_up(code) else ""


def _subject(pk: int) -> str:
    return f"site:{pk}"


def _last_jobs(ids: Iterable[int]) -> dict[int, LastJob]:
    """How the newest ended job of each site ended."""
    newest = Job.objects.filter(virtual_host=OuterRef("pk"), state=JobState.ENDED).order_by("-pk").values("pk")[:1]
    hosts = VirtualHost.objects.filter(pk__in=list(ids)).annotate(newest=Subquery(newest))
    jobs = Job.objects.filter(pk__in=hosts.filter(newest__isnull=False).values("newest"), ended_at__isnull=False)
    return {
        host: LastJob(outcome, reason, problem, ended_at)
        for host, outcome, reason, problem, ended_at in jobs.values_list(
            "virtual_host_id", "outcome", "outcome_reason", "problem", "ended_at"
        )
        if ended_at is not None
    }


# --- making messages --------------------------------------------------------------------------------------------------


def _messages(
    server: Server, options: Options, ended: Sequence[Run], told: Iterable[Told], now: datetime
) -> list[Message]:
    """One message for each recipient who is told anything."""
    news = list(_without_echo(told))
    users = recipients.owners(one.matter.user_id for one in news if one.matter.user_id is not None)
    frame = digest.Frame(server.name, now, tuple(ended), {pk: owner.name for pk, owner in users.items()})
    return [
        Message(
            server=server,
            ident=uuid.uuid4().hex,
            way=recipient.way,
            channel=recipient.channel,
            address=recipient.address,
            payload=digest.build(recipient.entries.values(), recipient.audience, frame),
            made_at=now,
            retry_at=now,
        )
        for recipient in recipients.who(news, server, options, users)
    ]


def _without_echo(told: Iterable[Told]) -> Iterator[Told]:
    """Names that a renewal has just dropped are told as dropped, not as uncovered too."""
    told = list(told)
    dropped = {one.matter.host_id: set(one.matter.names) for one in told if one.matter.kind == Kind.REDUCED}
    for one in told:
        names = dropped.get(one.matter.host_id)
        if one.matter.kind != Kind.UNCOVERED or names is None or not names.issuperset(one.matter.names):
            yield one


# --- moments ----------------------------------------------------------------------------------------------------------


def _gap(server: Server) -> str:
    return f"told:{server.pk}"


def _daily(server: Server) -> str:
    return f"looked:{server.pk}"


def _is_free(name: str, pause: timedelta) -> bool:
    """Whether the time of a lease that is never given back has run out, or the clock was set back since it was held
    for `pause`.
    """
    ends = leases.later(0), leases.later(pause.total_seconds() + leases.SPARE)
    return not Lease.objects.filter(name=name, until__gt=ends[0], until__lte=ends[1]).exists()


def _hold(name: str, pause: timedelta) -> None:
    Lease.objects.update_or_create(name=name, defaults={"holder": "told", "until": leases.later(pause.total_seconds())})


def _forget(server: Server, options: Options, now: datetime) -> None:
    """Remove old messages, and the memory of what happened once, long before a moment that has certainly come."""
    outbox.forget(server, now, options.log_days)
    once = [kind for kind, nature in NATURES.items() if nature.once]
    Notice.objects.filter(server=server, kind__in=once, since__lt=now - REMEMBERED).delete()
