"""What a runner's parts share: the tools of one server, and one job on its way through them."""

import queue
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from autossl_panel import dcv
from autossl_panel.helper.client import Client as Helper
from autossl_panel.hosting.models import Server

from .. import options as option_rows
from .. import providers, sites
from ..facts import Need
from ..models import Account, Job, JobOutcome, Level, LogLine, Provider, Run
from ..policies import Policies
from ..policy.trouble import ALIKE, ALIKE_PART
from ..sites import Site
from .claims import Claim
from .endings import Ending


@dataclass(slots=True)
class Task:
    """A claimed job with what has been found out about its site."""

    claim: Claim
    site: Site
    need: Need
    findings: dict[str, dcv.Finding] = field(default_factory=dict)
    waiting_for: set[str] = field(default_factory=set)
    orders_placed: int = 0

    @property
    def job(self) -> Job:
        return self.claim.job

    @property
    def name(self) -> str:
        """What people call the site."""
        name: str = self.claim.job.virtual_host.name
        return name

    def line(self, event: str, level: Level = Level.OUT, *, depth: int = 3, **data: Any) -> LogLine:
        """A line of its log, not yet written."""
        return self.claim.writer.make(event, level, depth=depth, **data)


class Suspicion:
    """Counts names that passed before and now fail alike: many of them suspend reductions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = 0
        self._failed: Counter[str] = Counter()

    def note(self, passed_before: bool, finding: dcv.Finding) -> None:
        """Take one finding into account."""
        if not passed_before:
            return
        with self._lock:
            self._seen += 1
            if finding.outcome != dcv.Outcome.PASS:
                self._failed[finding.code or ""] += 1

    @property
    def suspended(self) -> bool:
        """Whether no failure may cost coverage now."""
        most = max(self._failed.values(), default=0)
        return most >= ALIKE and most > self._seen * ALIKE_PART


class Breaker:
    """One problem that holds for every order at the CA: asked once, not once a site."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._problem: Any = None
        self._until: datetime | None = None
        self._faults = 0

    def trip(self, problem: Any, until: datetime) -> None:
        """No order is begun until then; each ends with this problem."""
        with self._lock:
            self._problem, self._until = problem, until

    def fault(self, problem: Any, until: datetime, *, most: int) -> None:
        """The CA failed once more; `most` times in a row are enough."""
        with self._lock:
            self._faults += 1
            if self._faults >= most:
                self._problem, self._until = problem, until

    def good(self) -> None:
        """The CA works."""
        with self._lock:
            self._faults = 0

    @property
    def problem(self) -> Any:
        """What holds now, None where nothing does."""
        with self._lock:
            if self._until is not None and self._until <= timezone.now():
                self._problem = self._until = None
            return self._problem


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
    suspicion: Suspicion = field(default_factory=Suspicion)
    breaker: Breaker = field(default_factory=Breaker)
    policy_options: Policies = field(init=False)
    serve_www: bool = field(init=False)
    reload_gap: int = field(init=False)
    found: tuple[Provider, Account] | None = None
    settings: dcv.Settings = field(init=False)
    cancelled: frozenset[int] = frozenset()
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _alive: dict[int, Claim] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.look()

    def look(self) -> None:
        """Read options and provider anew: they may change while the runner works."""
        row = option_rows.current(self.server)
        self.policy_options = sites.policy_options(self.server)
        self.serve_www, self.reload_gap = row.serve_www, row.reload_gap
        found = providers.active(self.server)
        if (found and found[1].pk) != (self.found and self.found[1].pk):
            # What one CA says stops no order at another.
            self.breaker = Breaker()
        self.found = found
        provider = self.found[0] if self.found else None
        self.settings = dcv.Settings(
            resolvers=tuple(row.resolvers),
            server_addresses=tuple(row.server_addresses),
            http_port=settings.AUTOSSL_HTTP_PORT,
            https_port=settings.AUTOSSL_HTTPS_PORT,
            private_ca=provider.private_ca if provider else False,
            caa_identities=tuple(provider.caa_identities) if provider else (),
        )

    def look_for_cancelled(self) -> None:
        """Which live runs were cancelled: what is claimed of them finishes its step."""
        self.cancelled = frozenset(
            Run.objects.filter(server=self.server, ended_at__isnull=True, cancelled_at__isnull=False).values_list(
                "pk", flat=True
            )
        )

    def stopped(self, task: Task) -> bool:
        """Whether this job shall not take another step."""
        return self.stopping.is_set() or task.job.run_id in self.cancelled

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

    def end(
        self,
        task: Task,
        outcome: JobOutcome,
        reason: str,
        *lines: LogLine,
        problem: Mapping[str, Any] | None = None,
        until: datetime | None = None,
        held: bool = False,
    ) -> None:
        """Hand a job over to be ended."""
        self.ended.put(Ending(task.claim, task.job, outcome, reason, problem, until=until, held=held, lines=lines))
