"""What a run would do, worked out for a preview: the survey's own look at every site, then its jobs in their order,
each foreseen with what those before it would have used up of the CAs' limits.

Nothing is asked of DNS or a CA, and no row but the preview's own is written; the configuration is read, as each sweep
does. Names count as the last check found them. A site that nobody can decide has a row that says so.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import groupby

from django.utils import timezone

from autossl_panel.helper.client import Client
from autossl_panel.hosting.models import Server, VirtualHost

from . import (
    choosing,
    foresight,
    inventory,
    leases,
    policy,
    predecessors,
    preview,
    previewed,
    quick,
    runs,
    sites,
    trouble,
    turns,
    undecided,
)
from . import options as option_rows
from .choosing import Outlook
from .facts import Action, Need
from .models import Certificate, Job, JobOutcome, Preview, PreviewAction, PreviewSite, Run
from .room import Forecast
from .sites import Site
from .turns import Turn

log = logging.getLogger("autossl_panel.preview")

LEASE = 30.0
# Users in one portion of the first look, and their sites; sites in one of the second
USERS, FIRST, SITES = 1000, 5000, 250
# Places behind all jobs, in this order
REST = {Action.WAIT: 1, Action.HOLD: 1, Action.KEEP: 2, Action.SKIP: 3}
BEHIND = 100_000_000
# Runs and jobs that the pace is measured from; without any: seconds a site takes, with so many at once
MEASURED, MEASURED_JOBS = 20, 200
USUAL, IN_FLIGHT = 8.0, 8


class Stopped(Exception):
    """This process shall take up nothing more; somebody else begins anew."""


def work_out(
    preview_id: int,
    helper: Client,
    *,
    stop: Callable[[], bool] = lambda: False,
    now: datetime | None = None,
) -> None:
    """Work a preview out, unless somebody is at it; it ends in any case, with a problem where it could not be done.

    `now`: the moment that everything is decided at; the clock's own where it is not given.
    """
    found = Preview.objects.select_related("server").filter(pk=preview_id, ended_at__isnull=True).first()
    if found is None:
        return
    with leases.kept(preview.lease(found), leases.new_holder(), LEASE) as ours:
        if not ours:
            return
        found.refresh_from_db()
        if found.ended_at is not None:
            return
        found.attempts += 1
        if found.attempts > preview.MOST_ATTEMPTS:
            _end(found, {"code": "worker_died", "text": ""})
            return
        found.done = 0
        Preview.objects.filter(pk=found.pk).update(attempts=found.attempts, done=0)
        try:
            _Work(found, helper, stop, now or timezone.now()).do()
        except Stopped:
            return
        except Exception as error:
            # One that never ends would be shown as under way for ever.
            log.exception("preview %s of %s", found.pk, found.scope)
            _end(found, {"code": "internal", "text": f"{type(error).__name__}: {error}"[:500]})
    preview.forget(found.server, timezone.now())


def _end(found: Preview, problem: dict[str, str] | None = None) -> None:
    found.problem, found.ended_at = problem, timezone.now()
    found.save()


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a site takes from claim to handshake, and how long after it the next one is done, in seconds."""

    whole: float = USUAL
    each: float = USUAL / IN_FLIGHT

    def done_at(self, now: datetime, nth: int) -> datetime:
        """When the `nth` order would be done, 1 the first."""
        return now + timedelta(seconds=self.whole + self.each * (nth - 1))


@dataclass(slots=True)
class _Work:
    """One preview under way."""

    found: Preview
    helper: Client
    stop: Callable[[], bool]
    now: datetime
    counts: Counter[str] = field(default_factory=Counter)
    place: int = 0
    # What the sites in hand have installed, by its fingerprint
    known: dict[str, Certificate] = field(default_factory=dict)
    outlook: Outlook = field(init=False)
    room: Forecast = field(init=False)
    serve_www: bool = field(init=False)
    pace: Pace = field(init=False)
    suspended: bool = field(init=False)

    def do(self) -> None:
        """All of it; the preview's row is ended at the end."""
        found, server = self.found, self.found.server
        PreviewSite.objects.filter(preview=found).delete()
        if not Run.objects.filter(server=server, ended_at__isnull=True, surveyed_at__isnull=True).exists():
            inventory.refresh(server, self.helper, now=timezone.now())
        found.at = self.now
        policies = sites.policy_options(server)
        if policies.provider is None:
            _end(found, {"code": "no_provider", "text": ""})
            return
        self.serve_www = option_rows.current(server).serve_www
        self.room = Forecast(policies.accounts)
        self.outlook = Outlook(policies, self.room, serve_www=self.serve_www, predecessor=self.known.get)
        self.pace = pace(server)
        self.suspended = trouble.reductions_suspended(server, self.now)
        found.sites = VirtualHost.objects.filter(**self._hosts()).count()
        Preview.objects.filter(pk=found.pk).update(at=found.at, sites=found.sites)
        with quick.no_garbage_collection():
            self._foresee(self._look())
        found.counts = dict(self.counts)
        _end(found)

    def _hosts(self) -> dict[str, object]:
        return runs.hosts_of(Run(server_id=self.found.server_id, scope=self.found.scope, started_at=self.now))

    # --- the first look ----------------------------------------------------------------------------------------------

    def _look(self) -> list[int]:
        """What needs no job gets its row; the rest are returned as virtual hosts, in the order of their jobs."""
        hosts = self._hosts()
        todo: list[tuple[int, int, bool, float, int, int]] = []
        for part in quick.portions(VirtualHost.objects.filter(**hosts), USERS, FIRST):
            between = {**hosts, "user_id__gte": part[0], "user_id__lte": part[-1]}
            for one in self._portion(between):
                expiry = one.not_after.timestamp() if one.not_after is not None else 0.0
                todo.append((one.job_class, one.turn, one.not_after is not None, expiry, len(todo), one.site.row["pk"]))
        todo.sort()
        return [one[-1] for one in todo]

    def _portion(self, hosts: Mapping[str, object]) -> list[Turn]:
        """The jobs of some users' sites; what needs none is written."""
        read, errors = undecided.read_where(hosts, self.outlook.policies, self.now, serve_www=self.serve_www)
        busy = turns.busy([*read, *errors])
        looked = undecided.of_each(read, lambda site: self._first_look(site, busy.get(site.row["pk"])), errors)
        jobs: list[Turn] = []
        for _user, mine in groupby(looked.values(), key=lambda one: int(one[0].row["user_id"])):
            jobs += turns.turns([(site, need) for site, need, row in mine if row is None], self.now)
        rows = [row for _site, _need, row in looked.values() if row is not None]
        self._write([*rows, *self._undecided(errors, busy)])
        return jobs

    def _first_look(self, site: Site, run: int | None) -> tuple[Site, Need, PreviewSite | None]:
        """What a site needs, and its row where it needs no job; `run` has it in hand."""
        site = self._asked_by_person(site)
        need = turns.need(site, self.outlook, self.now)
        if run is not None:
            return site, need, self._row(previewed.in_hand(site, need, run), 1)
        if need.action in REST:
            return site, need, self._row(previewed.resting(site, need), REST[need.action])
        return site, need, None

    def _undecided(self, errors: Collection[int], busy: Mapping[int, int]) -> list[PreviewSite]:
        """The rows of sites that an error of ours keeps from being decided, before all that would be done."""
        if not errors:
            return []
        hosts = VirtualHost.objects.filter(pk__in=errors).order_by("user_id", "pk").values_list("pk", "user_id", "name")
        rows = [previewed.undecided(pk, user_id, name, busy.get(pk)) for pk, user_id, name in hosts]
        return [self._row(row, 1 if row.action == PreviewAction.BUSY else 0) for row in rows]

    # --- the second look ---------------------------------------------------------------------------------------------

    def _foresee(self, ids: Sequence[int]) -> None:
        """Each job as its turn comes: what it finds of the limits is what those before it leave."""
        for first in range(0, len(ids), SITES):
            part = ids[first : first + SITES]
            read, errors = undecided.read(part, self.outlook.policies, self.now, serve_www=self.serve_www)
            installed = [site.facts.installed for site in read.values()]
            self.known.clear()
            self.known |= predecessors.find_all(one.fingerprint for one in installed if one is not None and one.ours)
            in_turn = {pk: read[pk] for pk in part if pk in read}
            rows = undecided.of_each(in_turn, self._foreseen, errors)
            self._write([*rows.values(), *self._undecided(errors, {})])

    def _foreseen(self, site: Site) -> PreviewSite:
        """What would be done with a site now; what that takes of the limits is gone for the next."""
        found = foresight.foresee(
            self._asked_by_person(site), self.outlook, self.now, reductions_suspended=self.suspended
        )
        free = found.orders and self._is_free(found)
        row = previewed.foreseen(found, self.now)
        foresight.assume(found, self.outlook, self.room, self.now)
        self._row(row, 0)
        self._reckon(row, free=free)
        return row

    def _is_free(self, found: foresight.Foreseen) -> bool:
        """Whether the order counts towards no limit."""
        assert found.provider is not None
        purpose = choosing.purpose_of(found.need, found.site, self.now)
        return not self.outlook.wish(found.site, found.provider, found.names, purpose, self.now).asks

    def _reckon(self, row: PreviewSite, *, free: bool) -> None:
        """When it would be done: orders one after the other at the pace of the last runs, or when its turn comes."""
        preview_row = self.found
        if row.provider:
            preview_row.orders += 1
            preview_row.free_orders += free
            row.done_at = self.pace.done_at(self.now, preview_row.orders)
        elif row.limit is not None and row.until is not None:
            preview_row.limited += 1
            row.done_at = self.pace.done_at(row.until, 1)
        if row.done_at is not None:
            preview_row.last_at = max(row.done_at, preview_row.last_at or row.done_at)

    def _asked_by_person(self, site: Site) -> Site:
        """The site as a run finds it that a person starts: what our own retry ladder holds is held no longer, and what
        the CA has paused may be asked for once more.
        """
        facts = site.facts
        if facts.held_reason in policy.PERSON_ENDS:
            self.room.mend(facts.held_provider, [name.name for name in facts.names], self.now)
        elif facts.retry_at is None and not any(name.retry_at is not None or name.refusals for name in facts.names):
            return site
        failing = {name: one for name, one in site.failing.items() if one.code != "ca_refused"}
        return replace(site, facts=policy.cleared_by_person(facts), failing=failing)

    # --- rows --------------------------------------------------------------------------------------------------------

    def _row(self, row: PreviewSite, rank: int) -> PreviewSite:
        row.preview = self.found
        row.position = rank * BEHIND + self.place
        self.place += 1
        self.counts[row.action] += 1
        return row

    def _write(self, rows: Sequence[PreviewSite]) -> None:
        if self.stop():
            raise Stopped
        PreviewSite.objects.bulk_create(rows, batch_size=500)
        self.found.done += len(rows)
        Preview.objects.filter(pk=self.found.pk).update(done=self.found.done)


def pace(server: Server) -> Pace:
    """The pace of the last runs. A small run says how long one site takes, a large one how fast they follow."""
    jobs = Job.objects.filter(server=server, outcome=JobOutcome.SECURED, started_at__isnull=False)
    times = jobs.order_by("-pk").values_list("started_at", "ended_at")[:MEASURED_JOBS]
    taken = [(end - start).total_seconds() for start, end in times if start is not None and end is not None]
    if not taken:
        return Pace()
    whole = max(0.1, sum(taken) / len(taken))
    each = whole / IN_FLIGHT
    seconds = orders = 0.0
    ended = Run.objects.filter(server=server, ended_at__isnull=False, surveyed_at__isnull=False)
    for run in ended.filter(cancelled_at__isnull=True).order_by("-started_at")[:MEASURED]:
        outcomes = run.counts.get("outcomes", {})
        done = outcomes.get("secured", 0) + outcomes.get("renewed", 0)
        if done and run.ended_at is not None and run.surveyed_at is not None:
            orders += done
            seconds += (run.ended_at - run.surveyed_at).total_seconds()
    # Of few orders a run takes as long as one; of many each waits for others, and takes long itself.
    return Pace(whole, max(0.01, min(each, seconds / orders)) if orders else each)
