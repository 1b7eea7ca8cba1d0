"""The first step of a run: look at every site it is for, say what needs nothing, and make jobs of what does.

It goes through the users in order and saves with each portion how far it is, so that a survey that died is taken up
where it stood.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import DatabaseError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from autossl_panel.helper.client import Client
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost

from . import due, holds, inventory, log, quick, runs, sites, standing, undecided
from . import options as option_rows
from .choosing import Outlook
from .facts import PolicyOptions
from .models import Job, JobState, Level, Run, Verdict
from .policies import Policies
from .portions import Portion
from .room import Room

logger = logging.getLogger("autossl_panel.survey")

# Users in one portion, and sites that they have between them: bounded memory, and one transaction each
PORTION, SITES = 1000, 5000


def survey(run: Run, helper: Client, *, now: datetime | None = None) -> None:
    """Look at the run's sites and queue jobs; may be called again after a crash. The caller holds the run's lease.

    `now`: the moment of a simulated clock; the clock's own where it is not given.
    """
    writer = log.for_run(run.pk)
    if run.surveyed_at is not None or run.ended_at is not None:
        return
    if not run.lines.exists():
        _begin(run, writer, now or timezone.now())
    server = run.server
    refreshed = inventory.refresh(server, helper, now=now or timezone.now())
    _tell_inventory(writer, server, refreshed, run)
    options = sites.policy_options(server)
    if options.provider is None:
        writer.failure("run:no_provider")
        _finish(run, {"code": "no_provider"}, now)
        return
    if options.default.paused:
        # How sites stand is still judged: what expires while nothing is done is seen.
        _tell_paused(writer, server)
        run.counts = {**run.counts, "paused": 1}
    with quick.no_garbage_collection():
        _all_portions(run, writer, now, told=options.default.paused)
    _finish(run, run.problem, now)


def _tell_paused(writer: log.Writer, server: Server) -> None:
    row = option_rows.current(server)
    since = f"{row.paused_at:%Y-%m-%d %H:%M} UTC" if row.paused_at else "?"
    writer.warn("run:paused", since=since, by=row.paused_by.username if row.paused_by else "the system")


def _begin(run: Run, writer: log.Writer, now: datetime) -> None:
    options = sites.policy_options(run.server)
    chosen = options.provider
    named = log.of_provider(chosen.name, chosen.title) if chosen else {"provider": "no provider"}
    with transaction.atomic():
        writer.out("run:started", scope=run.scope, **named)
        Run.objects.filter(pk=run.pk).update(provider_name=chosen.name if chosen else "")
        if run.asked_from in ("panel", "command", "api"):
            _clear_holds(run, now)


def _clear_holds(run: Run, now: datetime) -> None:
    hosts = VirtualHost.objects.filter(**runs.hosts_of(run))
    rows = Verdict.objects.filter(
        **{f"domain__virtual_host__{key}": value for key, value in runs.hosts_of(run).items()}
    )
    holds.clear(hosts, rows, now, by=run.asked_by)


def _tell_inventory(writer: log.Writer, server: Server, changes: inventory.Changes, run: Run) -> None:
    if changes.problem is not None:
        where = f"{changes.problem['file']}:{changes.problem['line']}: " if changes.problem["file"] else ""
        writer.failure("inventory:failed", where=where, text=changes.problem["text"])
        run.problem = {"code": "inventory", **changes.problem}
        return
    if changes.unchanged:
        if run.scope != runs.DUE:
            since = f"{server.inventory_at:%Y-%m-%d %H:%M:%S} UTC" if server.inventory_at else "?"
            writer.out("inventory:unchanged", since=since)
        return
    writer.out(
        "inventory:read",
        sites=changes.sites,
        users=changes.users,
        appeared=len(changes.appeared),
        changed=len(changes.changed),
        gone=len(changes.gone),
    )
    writer.lines([writer.make("inventory:told", Level.WARN, depth=1, **dict[str, Any](told)) for told in changes.told])


def _finish(run: Run, problem: Mapping[str, Any] | None, now: datetime | None) -> None:
    # One that was cancelled meanwhile has ended, and counted for itself.
    Run.objects.filter(pk=run.pk, ended_at__isnull=True).update(
        surveyed_at=now or timezone.now(), counts=run.counts, problem=problem
    )
    runs.end_if_done(run.pk, now=now)
    due.start_missed(run, now or timezone.now())


@dataclass(slots=True)
class _Latest:
    """The server's policies as they were read for the last portion: a survey takes long, and people change things."""

    server: Server
    policies: Policies = field(default_factory=lambda: Policies(PolicyOptions(provider=None)))

    def __call__(self, users: Collection[int]) -> Policies:
        self.policies = sites.policy_options(self.server, users)
        return self.policies


def _all_portions(run: Run, writer: log.Writer, moment: datetime | None, *, told: bool) -> None:
    """`told`: the log says already that AutoSSL is paused."""
    hosts = runs.hosts_of(run)
    wanted = VirtualHost.objects.filter(**hosts)
    if run.scope == runs.DUE:
        # A long run of what was due before may have thousands in hand: nothing of that is news here
        wanted = wanted.exclude(Exists(Job.objects.filter(virtual_host=OuterRef("pk")).exclude(state=JobState.ENDED)))
    wanted = wanted.filter(user_id__gt=run.counts.get("surveyed_to", 0))
    looks = _Looks(run, writer, moment, hosts, told=told)
    for part in quick.portions(wanted, PORTION, SITES):
        # It keeps nothing of it: the next portion is read without this one in memory.
        if not looks.at(part):
            return


@dataclass(slots=True)
class _Looks:
    """The portions of a survey, one after the other."""

    run: Run
    writer: log.Writer
    moment: datetime | None
    hosts: Mapping[str, Any]
    told: bool
    latest: _Latest = field(init=False)
    room: Room = field(default_factory=lambda: Room({}))

    def __post_init__(self) -> None:
        self.latest = _Latest(self.run.server)

    def at(self, users: list[int]) -> bool:
        """Look at the sites of these users, in order; False where the run was cancelled meanwhile.

        A site that raises ends as a failure of its own, and the others go on. What the database says is of no single
        site, nor is what keeps the server's own options from being read: both are raised.
        """
        try:
            return self._write(self._portion(users))
        except DatabaseError:
            raise
        except Exception as error:  # noqa: BLE001 - it is raised again where it is no single site's
            logger.warning("of %d users something raised %s", len(users), repr(error))
        sites.policy_options(self.run.server, ())
        if len(users) == 1:
            return self._without_the_broken(users)
        half = len(users) // 2
        return self.at(users[:half]) and self.at(users[half:])

    def _without_the_broken(self, users: list[int]) -> bool:
        """The sites of one user, at which something raised: it was no site's own, if none raises it by itself."""
        ids = list(VirtualHost.objects.filter(**self._between(users)).values_list("pk", flat=True))
        broken = self._broken(users, ids)
        if not broken:
            # It may have passed; else it is raised once more.
            return self._write(self._portion(users))
        portion = self._portion(users, [pk for pk in ids if pk not in broken])
        portion.broken = broken
        return self._write(portion)

    def _broken(self, users: list[int], ids: list[int]) -> dict[int, Exception]:
        """Those of a user's sites that nobody can decide, and why: tried in halves, and nothing of that stays."""
        try:
            portion = self._portion(users, ids)
            with transaction.atomic():
                hosting_users.lock(HostingUser.objects.filter(pk__in=users))
                portion.decide()
                transaction.set_rollback(True)
        except DatabaseError:
            raise
        except Exception as error:
            if len(ids) == 1:
                logger.exception("virtual host %s cannot be decided", ids[0])
                return {ids[0]: undecided.bare(error)}
        else:
            return {}
        half = len(ids) // 2
        return self._broken(users, ids[:half]) | self._broken(users, ids[half:])

    def _between(self, users: list[int]) -> dict[str, Any]:
        return {**self.hosts, "user_id__gte": users[0], "user_id__lte": users[-1]}

    def _portion(self, users: list[int], ids: list[int] | None = None) -> Portion:
        """The sites of these users, or those of them that `ids` names, as they are read now."""
        now = self.moment or timezone.now()
        hosts = self._between(users) | ({} if ids is None else {"pk__in": ids})
        serve_www = option_rows.current(self.run.server).serve_www
        found = sites.read(hosts, self.latest, now, serve_www=serve_www) if ids != [] else {}
        self.room.accounts = self.latest.policies.accounts
        outlook = Outlook(self.latest.policies, self.room, serve_www=serve_www)
        names = dict(HostingUser.objects.filter(pk__in=users).values_list("pk", "name"))
        # Not of others between them, who had nothing to look at when the users were listed
        mine = [site for site in found.values() if site.row["user_id"] in names]
        return Portion(self.run, self.writer, now, names, outlook, users, mine)

    def _write(self, portion: Portion) -> bool:
        """Decide a portion, and save with it how far the survey is; False where the run was cancelled meanwhile."""
        run = self.run
        if portion.outlook.policies.default.paused and not self.told:
            _tell_paused(self.writer, run.server)
            self.told = True
        with transaction.atomic():
            # With the row locked: a run that is cancelled in this moment has no jobs after its end.
            mine = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, cancelled_at__isnull=True)
            if not mine.exists():
                return False
            hosting_users.lock(HostingUser.objects.filter(pk__in=portion.users))
            portion.decide()
            counts = {**portion.counts, "surveyed_to": portion.users[-1]}
            Run.objects.filter(pk=run.pk).update(counts=counts)
        run.counts = counts
        return True


def record_state(virtual_host_id: int, now: datetime) -> None:
    """Work out and write how one virtual host stands."""
    server = VirtualHost.objects.select_related("server").get(pk=virtual_host_id).server
    standing.record(server, [virtual_host_id], now)
