"""What a runner's parts share: the tools of one server, and one job on its way through them."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from autossl_panel import dcv
from autossl_panel.helper.client import Client as Helper
from autossl_panel.hosting.models import Server

from .. import options as option_rows
from .. import runs, sites, trouble, undecided
from ..choosing import Chosen, Outlook
from ..facts import Action, Need, ProviderFacts
from ..models import Account, Job, JobOutcome, JobState, Level, LogLine, Options, Run
from ..policies import Policies
from ..policy import ProviderHealth
from ..room import Room
from ..sites import Site
from .claims import Claim
from .endings import Ending
from .stops import Stops

# Seconds that an answer holds for which all verdicts of the server are gone through
ANSWER_HOLDS = 30.0
# The columns of a job whose certificate waits for the installer
STAGED: Mapping[str, Any] = {"state": JobState.STAGED, "holder": "", "lease_until": None}


@dataclass(slots=True)
class Task:
    """A claimed job with what has been found out about its site, as the provider sees it that is asked.

    `tried`: the providers that it was decided with. `pinned`: it is with one that is not the first choice, because that
    one takes all its names or the first never signs. `told`: the provider that its log says is asked. `recorded`: its
    findings stand on rows. `probe`: the lease, and its holder, under which it finds out whether a provider works again.
    """

    claim: Claim
    site: Site
    need: Need
    looked_at: datetime
    chosen: Chosen | None = None
    findings: dict[str, dcv.Finding] = field(default_factory=dict)
    waiting_for: set[str] = field(default_factory=set)
    orders: Counter[str] = field(default_factory=Counter)
    tried: set[str] = field(default_factory=set)
    pinned: bool = False
    told: str = ""
    recorded: bool = False
    probe: tuple[str, str] | None = None

    @property
    def job(self) -> Job:
        return self.claim.job

    @property
    def name(self) -> str:
        """What people call the site."""
        name: str = self.claim.job.virtual_host.name
        return name

    @property
    def provider(self) -> ProviderFacts:
        """The provider that is asked: without one there is no need."""
        provider = self.site.options.provider
        assert provider is not None
        return provider

    @property
    def takes_up(self) -> bool:
        """Whether there is an order that it goes on with: no name need be asked."""
        return self.need.action in (Action.RESUME, Action.INSTALL) or self.need.finishes

    def line(self, event: str, level: Level = Level.OUT, *, depth: int = 3, **data: Any) -> LogLine:
        """A line of its log, not yet written."""
        return self.claim.writer.make(event, level, depth=depth, **data)


@dataclass(slots=True)
class Bench:
    """The tools of one server, and the belts between a runner's parts."""

    server: Server
    helper: Helper
    holder: str
    stopping: threading.Event = field(default_factory=threading.Event)
    ready: "queue.PriorityQueue[tuple[int, int, Task | None]]" = field(default_factory=queue.PriorityQueue)
    prove_again: "queue.SimpleQueue[Task]" = field(default_factory=queue.SimpleQueue)
    ended: "queue.SimpleQueue[Ending | None]" = field(default_factory=queue.SimpleQueue)
    staged: threading.Event = field(default_factory=threading.Event)
    stops: Stops = field(default_factory=Stops)
    policies: Policies = field(init=False)
    options: Options = field(init=False)
    room: Room = field(init=False)
    # Runs that do not go on, and why their jobs end
    cancelled: Mapping[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _alive: dict[int, Claim] = field(default_factory=dict)
    _places: dict[int, threading.BoundedSemaphore] = field(default_factory=dict)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _suspended: tuple[float, bool] | None = None

    def __post_init__(self) -> None:
        self.room = Room({})
        self.look()

    def look(self) -> None:
        """Read options, providers and how they fare anew: all of it may change while the runner works."""
        self.options = option_rows.current(self.server)
        self.policies = sites.policy_options(self.server)
        self.room.accounts = self.policies.accounts
        self.stops.look(self.policies.accounts)

    @property
    def outlook(self) -> Outlook:
        """What a provider is chosen by now."""
        return Outlook(self.policies, self.room, stopped=self.stops.code, serve_www=self.options.serve_www)

    def reductions_suspended(self, now: datetime) -> bool:
        """Whether many names fail alike by the server's verdicts, so that no failure may cost coverage now."""
        # One asks, for all threads that decide at once.
        with self._asking:
            if self._suspended is None or time.monotonic() - self._suspended[0] >= ANSWER_HOLDS:
                suspended = trouble.reductions_suspended(self.server, now)
                self._suspended = time.monotonic(), suspended
            return self._suspended[1]

    @property
    def width(self) -> int:
        """How many orders this runner has in hand at the provider in use."""
        active = self.policies.provider
        return self._share(self.policies.accounts[active.account]) if active is not None else 1

    @staticmethod
    def _share(account: Account) -> int:
        return max(1, account.provider.max_in_flight // settings.AUTOSSL_RUNNERS)

    @contextmanager
    def place_at(self, account: Account) -> Iterator[None]:
        """One of the orders that the account's CA takes at once from this runner, whichever thread has it."""
        with self._lock:
            place = self._places.get(account.pk)
            if place is None:
                place = self._places[account.pk] = threading.BoundedSemaphore(self._share(account))
        with place:
            yield

    def settings_for(self, provider: ProviderFacts) -> dcv.Settings:
        """How names are proven that this provider is to certify."""
        return dcv.Settings(
            resolvers=tuple(self.options.resolvers),
            server_addresses=tuple(self.options.server_addresses),
            http_port=settings.AUTOSSL_HTTP_PORT,
            https_port=settings.AUTOSSL_HTTPS_PORT,
            private_ca=provider.private_ca,
            caa_identities=provider.caa_identities,
        )

    def fares(self, account: Account, health: ProviderHealth, problem: dict[str, Any] | None) -> None:
        """What was just found out of a provider: nobody need wait for the next look."""
        with self._lock:
            self.policies = self.policies.faring(account.provider.name, health)
            known = self.policies.accounts.get(account.pk)
            if known is not None:
                known.down_problem = problem if health.down_until is not None else None

    def look_for_cancelled(self) -> None:
        """Which live runs were cancelled or could not go on: what is claimed of them finishes its step."""
        stopped = Run.objects.filter(server=self.server, ended_at__isnull=True, cancelled_at__isnull=False)
        self.cancelled = {pk: runs.why_stopped(problem) for pk, problem in stopped.values_list("pk", "problem")}

    def stopped(self, task: Task) -> bool:
        """Whether this job shall not take another step: the runner ends, the run was cancelled, AutoSSL is paused."""
        return self.stopping.is_set() or task.job.run_id in self.cancelled or self.options.paused_at is not None

    def began(self, claims: list[Claim]) -> None:
        """Note jobs that are in hand now."""
        with self._lock:
            self._alive |= {one.job.pk: one for one in claims}

    def left(self, claim: Claim) -> None:
        """A job is out of hand: ended, staged, given back or lost."""
        with self._lock:
            self._alive.pop(claim.job.pk, None)

    @property
    def in_hand(self) -> list[Claim]:
        """Every claim that is neither ended nor staged."""
        with self._lock:
            return list(self._alive.values())

    def to_installer(self, task: Task) -> None:
        """A job's certificate is staged: nobody holds it until the installer takes it."""
        self.left(task.claim)
        self.staged.set()

    def end(
        self,
        task: Task,
        outcome: JobOutcome,
        reason: str,
        *lines: LogLine,
        problem: Mapping[str, Any] | None = None,
        until: datetime | None = None,
        held_by: str | None = None,
    ) -> None:
        """Hand a job over to be ended. `held_by`: see Ending."""
        ending = Ending(task.claim, task.job, outcome, reason, problem, until=until, held_by=held_by, lines=lines)
        ending.proven = any(finding.outcome == dcv.Outcome.PASS for finding in task.findings.values())
        self.ended.put(ending)

    def fail(self, claim: Claim, error: Exception) -> None:
        """Hand a job over to be ended by an error of ours: given back, it would be claimed first again and again."""
        problem = undecided.problem_of(claim.job.virtual_host.name, error)
        self.ended.put(Ending(claim, claim.job, JobOutcome.FAILED, undecided.CODE, problem))
