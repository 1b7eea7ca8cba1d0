"""Some users' sites of a survey: each is decided, and what comes of it written and told in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import VirtualHost

from . import last_checks, leftovers, log, policy, priority, runs, standing, turns, undecided
from .choosing import Outlook
from .facts import GIVE_UP, Action, Need
from .models import Job, JobOutcome, JobState, Level, LogLine, Run
from .sites import Site

# What the named actions mean for the counts of a run
REST = {Action.KEEP: "kept", Action.SKIP: "skipped", Action.WAIT: "waiting", Action.HOLD: "waiting"}
# A user's sites with something to say are named one by one up to this many
NAMED = 20


@dataclass(slots=True)
class Portion:
    """Some users' sites: decided, written, told. `broken`: those of a single user that nobody can decide, with why."""

    run: Run
    writer: log.Writer
    now: datetime
    names: Mapping[int, str]
    outlook: Outlook
    users: Sequence[int]
    found: Sequence[Site]
    broken: Mapping[int, Exception] = field(default_factory=dict)
    rest: Counter[str] = field(default_factory=Counter)
    lines: list[LogLine] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)
    standings: list[tuple[Site, standing.Standing]] = field(default_factory=list)
    checks: dict[tuple[str, str, int], list[int]] = field(default_factory=dict)
    busy: dict[int, int] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The run's counts with this portion's, for what needed no job."""
        before = self.run.counts
        return {**before, **{name: before.get(name, 0) + number for name, number in self.rest.items()}}

    def decide(self) -> None:
        """Write what becomes of each site: its job, or how it stands."""
        found, broken = self.found, dict(self.broken)
        self.busy = turns.busy([*(site.row["pk"] for site in found), *broken])
        if broken:
            # In one order, with those that stand as they are: `standing.save` knows only of these
            both = [*(site.row["pk"] for site in found), *broken]
            hosting_users.lock(VirtualHost.objects.filter(pk__in=both))
            self._leave([pk for pk in broken if pk in self.busy])
            broken = {pk: error for pk, error in broken.items() if pk not in self.busy}
        if self.run.scope == runs.DUE:
            found = [site for site in found if site.row["pk"] not in self.busy]
        grouped = {user: list(mine) for user, mine in groupby(found, key=lambda site: int(site.row["user_id"]))}
        if broken:
            grouped.setdefault(self.users[0], [])
        for user_id, mine in grouped.items():
            self._user(user_id, mine, len(broken))
        self._fail(broken)
        standing.save(self.standings, self.now)
        leftovers.give_up_unsigned(self.given_up, self.now)
        self.writer.lines(self.lines)
        Job.objects.bulk_create(self.jobs, batch_size=500, ignore_conflicts=True)
        for (event, reason, number), ids in self.checks.items():
            last_checks.set_for(ids, self.now, event, reason=reason, number=number)

    def _user(self, user_id: int, mine: list[Site], broken: int) -> None:
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
        self._tell_user(user_id, len(todo) + broken, counts, mine, worse, sites=len(mine) + broken)
        self.lines.extend(said)
        self._queue(user_id, todo)
        for name in ("kept", "skipped", "waiting"):
            if counts[name]:
                self.rest[name] += counts[name]

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

    def _leave(self, ids: Sequence[int]) -> None:
        """Sites that nobody can decide and that another run works on: their jobs end as they end."""
        if self.run.scope == runs.DUE:
            return
        for host in VirtualHost.objects.filter(pk__in=ids).order_by("pk"):
            data = {"site": host.name, "run": self.busy[host.pk]}
            self.lines.append(self.writer.make("site:busy", Level.OUT, depth=2, user_id=host.user_id, **data))

    def _fail(self, broken: Mapping[int, Exception]) -> None:
        """Jobs that end before they begin: there is nothing that could be done."""
        for host in VirtualHost.objects.filter(pk__in=broken).order_by("pk"):
            job = Job.objects.create(
                run=self.run,
                server_id=self.run.server_id,
                virtual_host=host,
                user_id=host.user_id,
                action=Action.HOLD,
                reason=undecided.CODE,
                job_class=priority.DEFECTIVE,
                state=JobState.ENDED,
                outcome=JobOutcome.FAILED,
                outcome_reason=undecided.CODE,
                problem=undecided.problem_of(host.name, broken[host.pk]),
                queued_at=self.now,
                started_at=self.now,
                ended_at=self.now,
            )
            log.for_job(job).failure("job:failed", site=host.name, reason=undecided.CODE)
        undecided.note(broken, self.now, since=self.run.started_at)

    def _tell_user(
        self, user_id: int, todo: int, counts: Counter[str], mine: list[Site], worse: list[str], *, sites: int
    ) -> None:
        """`worse`: why another's certificates that are kept here serve nobody well, or will not for long."""
        data: dict[str, Any] = {name: counts[name] for name in ("kept", "skipped", "waiting") if counts[name]}
        data |= {"user": self.names.get(user_id, "?"), "sites": sites}
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
