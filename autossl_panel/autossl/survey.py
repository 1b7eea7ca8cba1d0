"""The first step of a run: look at every site it is for, say what needs nothing, and make jobs of what does.

It goes through the users in order and saves with each portion how far it is, so that a survey that died is taken up
where it stood.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from autossl_panel.helper.client import Client
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost

from . import holds, inventory, last_checks, leftovers, log, policy, quick, runs, sites, standing, turns
from . import options as option_rows
from .choosing import Outlook
from .facts import GIVE_UP, Action, Need, PolicyOptions
from .models import Job, JobState, Level, LogLine, Run, Verdict
from .policies import Policies
from .room import Room
from .sites import Site

# Users in one portion, and sites that they have between them: bounded memory, and one transaction each
PORTION, SITES = 1000, 5000
# What the named actions mean for the counts of a run
REST = {Action.KEEP: "kept", Action.SKIP: "skipped", Action.WAIT: "waiting", Action.HOLD: "waiting"}
# A user's sites with something to say are named one by one up to this many
NAMED = 20


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
    name = options.provider.name if options.provider else "no provider"
    with transaction.atomic():
        writer.out("run:started", scope=run.scope, provider=name)
        Run.objects.filter(pk=run.pk).update(provider_name=name if options.provider else "")
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
    latest, room = _Latest(run.server), Room({})
    wanted = wanted.filter(user_id__gt=run.counts.get("surveyed_to", 0))
    for part in quick.portions(wanted, PORTION, SITES):
        now = moment or timezone.now()
        between = {**hosts, "user_id__gte": part[0], "user_id__lte": part[-1]}
        serve_www = option_rows.current(run.server).serve_www
        found = list(sites.read(between, latest, now, serve_www=serve_www).values())
        room.accounts = latest.policies.accounts
        outlook = Outlook(latest.policies, room, serve_www=serve_www)
        if latest.policies.default.paused and not told:
            _tell_paused(writer, run.server)
            told = True
        if not _decide(run, writer, part, found, now, outlook):
            return
        # The next portion is read without this one in memory.
        del found


def _decide(
    run: Run, writer: log.Writer, users: Sequence[int], found: Sequence[Site], now: datetime, outlook: Outlook
) -> bool:
    """Decide over the sites of these users, in one transaction; False where the run was cancelled meanwhile."""
    with transaction.atomic():
        # With the row locked: a run that is cancelled in this moment has no jobs after its end.
        mine = Run.objects.select_for_update(no_key=True).filter(pk=run.pk, cancelled_at__isnull=True)
        if not mine.exists():
            return False
        rows = HostingUser.objects.filter(pk__in=users)
        hosting_users.lock(rows)
        portion = _Portion(run, writer, now, dict(rows.values_list("pk", "name")), outlook)
        portion.decide(found)
        run.counts = {**portion.counts, "surveyed_to": users[-1]}
        Run.objects.filter(pk=run.pk).update(counts=run.counts)
    return True


@dataclass(slots=True)
class _Portion:
    """Some users' sites: decided, written, told."""

    run: Run
    writer: log.Writer
    now: datetime
    names: Mapping[int, str]
    outlook: Outlook
    lines: list[LogLine] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    standings: list[tuple[Site, standing.Standing]] = field(default_factory=list)
    checks: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)
    busy: dict[int, int] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The run's counts with this portion's, for what needed no job."""
        return dict(self.run.counts)

    def decide(self, found: Sequence[Site]) -> None:
        self.busy = turns.busy([site.row["pk"] for site in found])
        if self.run.scope == runs.DUE:
            found = [site for site in found if site.row["pk"] not in self.busy]
        for user_id, mine in groupby(found, key=lambda site: int(site.row["user_id"])):
            self._user(user_id, list(mine))
        standing.save(self.standings, self.now)
        leftovers.give_up_unsigned(self.given_up, self.now)
        self.writer.lines(self.lines)
        Job.objects.bulk_create(self.jobs, batch_size=500, ignore_conflicts=True)
        for (event, reason, number), ids in self.checks.items():
            last_checks.set_for(ids, self.now, event, reason=reason, number=number)

    def _user(self, user_id: int, mine: list[Site]) -> None:
        counts: Counter[str] = Counter()
        said: list[LogLine] = []
        todo: list[tuple[Site, Need]] = []
        worse: list[str] = []
        for site in mine:
            need = turns.need(site, self.outlook, self.now)
            if site.row["pk"] in self.busy:
                counts["busy"] += 1
                said.append(self._line("site:busy", user_id, Level.OUT, 2, site, run=self.busy[site.row["pk"]]))
                continue
            if need.detail == GIVE_UP:
                self.given_up.append(site.row["pk"])
            rest = REST.get(need.action)
            if rest is None or need.finishes:
                todo.append((site, need))
                continue
            counts[rest] += 1
            self.standings.append((site, standing.of(site, need)))
            line = self._worth_a_line(user_id, site, need)
            if line is not None and len(said) < NAMED:
                said.append(line)
            if need.reason in policy.FOREIGN_WORSE:
                worse.append(need.reason)
        self._tell_user(user_id, len(todo), counts, mine, worse)
        self.lines.extend(said)
        self._queue(user_id, todo)
        for name in ("kept", "skipped", "waiting"):
            if counts[name]:
                self.run.counts[name] = self.run.counts.get(name, 0) + counts[name]

    def _worth_a_line(self, user_id: int, site: Site, need: Need) -> LogLine | None:
        """A site's own line, where its user's line does not say it all."""
        if need.action == Action.KEEP:
            if need.reason == "ok":
                return None
            installed = site.facts.installed
            if installed is None or need.reason not in policy.FOREIGN_WORSE:
                return self._line("site:kept", user_id, Level.OUT, 2, site, reason=need.reason)
            found = standing.foreign_facts(installed, need)
            return self._line("site:kept", user_id, Level.WARN, 2, site, reason=need.reason, found=found)
        if need.action == Action.SKIP:
            if need.reason in ("disabled", "suspended"):
                return None
            return self._line("site:skipped", user_id, Level.OUT, 2, site, reason=need.reason)
        if need.reason in turns.SAID_ONCE:
            return None
        until = f"{need.until:%Y-%m-%d %H:%M} UTC" if need.until else "?"
        return self._line("site:waits", user_id, Level.OUT, 2, site, reason=need.reason, until=until)

    def _line(self, event: str, user_id: int, level: Level, depth: int, site: Site, **data: Any) -> LogLine:
        return self.writer.make(event, level, depth=depth, user_id=user_id, site=site.row["name"], **data)

    def _tell_user(self, user_id: int, todo: int, counts: Counter[str], mine: list[Site], worse: list[str]) -> None:
        """`worse`: why another's certificates that are kept here serve nobody well, or will not for long."""
        data: dict[str, Any] = {name: counts[name] for name in ("kept", "skipped", "waiting") if counts[name]}
        data |= {"user": self.names.get(user_id, "?"), "sites": len(mine)}
        if todo:
            event, data["todo"] = "user:begins", todo
        elif mine[0].facts.off is not None:
            event, data["reason"] = "user:skipped", mine[0].facts.off
            self._check(user_id, "check:skipped", mine[0].facts.off, 0)
        elif counts["waiting"]:
            event, data["kept"] = "user:waits", counts["kept"]
        else:
            event, data["kept"] = "user:nothing_to_do", counts["kept"]
            foreign = sum(1 for site in mine if site.facts.installed and not site.facts.installed.ours)
            if worse:
                self._check(user_id, "check:kept", min(worse), worse.count(min(worse)))
            else:
                self._check(user_id, "check:foreign" if foreign else "check:nothing_to_do", "", foreign)
        self.lines.append(self.writer.make(event, Level.OUT, depth=1, user_id=user_id, **data))

    def _check(self, user_id: int, event: str, reason: str, number: int) -> None:
        self.checks.setdefault((event, reason, number), []).append(user_id)

    def _queue(self, user_id: int, todo: list[tuple[Site, Need]]) -> None:
        for one in turns.turns(todo, self.now):
            self.jobs.append(
                Job(
                    run=self.run,
                    server_id=self.run.server_id,
                    virtual_host_id=one.site.row["pk"],
                    user_id=user_id,
                    action=Action.RESUME if one.need.finishes else one.need.action,
                    reason=one.need.reason,
                    job_class=one.job_class,
                    turn=one.turn,
                    not_after=one.not_after,
                    queued_at=self.now,
                )
            )


def record_state(virtual_host_id: int, now: datetime) -> None:
    """Work out and write how one virtual host stands."""
    server = VirtualHost.objects.select_related("server").get(pk=virtual_host_id).server
    standing.record(server, [virtual_host_id], now)
