"""The installer's turn: whoever wins the server's install lease puts everything live that is staged, each
`reload_gap` seconds at most, and ends the jobs that waited for it.
"""

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from autossl_panel.helper.client import HelperGone, HelperProblem

from .. import install, leases, log, policy, undecided
from ..facts import Action
from ..models import Job, JobOutcome, JobState, Level, LogLine, Options, Phase
from .claims import writing
from .endings import Ending, finish
from .work import Bench

LEASE = 60.0
EVERY = 1.0
# In one activation: bounds how long one set of handshakes takes
MOST = 2000
EVENTS = {
    "quarantined": "install:quarantined",
    "rolled_back": "install:rolled_back",
    "changed_meanwhile": "install:changed_meanwhile",
}
# Staged certificates wait; the sweep tries again
WAITS = {"foreign_broken", "busy"}
KEEPS = {"changed_meanwhile"}


class Installer(threading.Thread):
    """Works until `finish` is set and nothing it can do is left, or the bench stops."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(name="installer")
        self.bench = bench
        self.last = threading.Event()
        self.error: BaseException | None = None
        self._reloaded_at: float | None = None
        self._settled = False

    def run(self) -> None:
        """An unexpected error is kept for the runner to raise."""
        try:
            while not self.bench.stopping.is_set():
                if self.last.is_set() and not self._staged().exists():
                    return
                self.bench.staged.wait(EVERY)
                self.bench.staged.clear()
                self._turn()
        except BaseException as error:  # noqa: BLE001 - the runner raises it
            self.error = error
            self.bench.stopping.set()
        finally:
            connection.close()

    def _staged(self) -> QuerySet[Job]:
        return Job.objects.filter(server=self.bench.server, state=JobState.STAGED)

    def _turn(self) -> None:
        """Activate what is staged, if it is time and nobody else does."""
        if self._reloaded_at is not None and time.monotonic() - self._reloaded_at < self.bench.options.reload_gap:
            # Wait for the moment here: an event that is set again and again must not spin.
            left = self.bench.options.reload_gap - (time.monotonic() - self._reloaded_at)
            if self.bench.stopping.wait(min(left, EVERY)):
                return
            self.bench.staged.set()
            return
        if self._settled and not self._staged().exists():
            return
        name = install.lease(self.bench.server)
        if not leases.take(name, self.bench.holder, LEASE):
            return
        try:
            self._install()
        finally:
            leases.release(name, self.bench.holder)

    def _install(self) -> None:
        jobs = list(
            self._staged().select_related(
                "virtual_host", "virtual_host__server", "order", "order__certificate", "order__virtual_host"
            )[:MOST]
        )
        jobs = self._already_over(jobs)
        bench = self.bench
        try:
            if not self._settled:
                idents = {job.order.ident for job in jobs if job.order}
                found = install.settle(bench.server, bench.helper, idents, stop=bench.stopping.is_set)
                with writing():
                    install.record(found, timezone.now())
                self._settled = True
            if jobs and self._paused():
                self._put_off(jobs)
            elif jobs := self._wanted(jobs):
                self._activate(jobs)
        except HelperGone:
            # `serve` starts another; what was begun is settled then.
            self._settled = False
        except HelperProblem as problem:
            self._all_wait(jobs, problem)

    def _already_over(self, jobs: Sequence[Job]) -> list[Job]:
        """Jobs whose order was closed in the moment when their installer died, or is gone: they end now."""
        left, over = [], []
        for job in jobs:
            if job.order is not None and job.order.closed_at is None and job.order.certificate_id is not None:
                left.append(job)
                continue
            how = job.order.closed_as if job.order is not None else "given_up"
            good = how == "installed"
            over.append(
                Ending(None, job, JobOutcome.SECURED if good else JobOutcome.FAILED, how if not good else job.reason)
            )
        finish(self.bench.server, over)
        return left

    def _activate(self, jobs: Sequence[Job]) -> None:
        bench = self.bench
        Job.objects.filter(pk__in=[job.pk for job in jobs]).update(phase=Phase.VERIFY)
        orders = [job.order for job in jobs if job.order is not None]
        found = install.activate(bench.server, orders, bench.helper, stop=bench.stopping.is_set)
        self._reloaded_at = time.monotonic()
        by_order = {job.order_id: job for job in jobs}
        now = timezone.now()
        endings = [self._ending(by_order[one.order.pk], one) for one in found]
        finish(bench.server, endings, now=now, also=partial(install.record, found, now))

    def _paused(self) -> bool:
        """Whether somebody paused AutoSSL, this moment: nothing is installed then, what is staged waits."""
        return Options.objects.filter(server=self.bench.server, paused_at__isnull=False).exists()

    def _wanted(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs whose sites want it this moment. Of the others it stays staged for when they are back: the user was
        suspended meanwhile, or it was only to be finished. A virtual host may be gone altogether.
        """
        if not jobs:
            return []
        bench, now = self.bench, timezone.now()
        serve_www = bench.options.serve_www
        hosts = [job.virtual_host_id for job in jobs]
        found, errors = undecided.read(hosts, bench.policies, now, serve_www=serve_www)
        needs = undecided.of_each(found, lambda site: policy.need(site.facts, site.options, now), errors)
        left, over = [], []
        for job in jobs:
            need = needs.get(job.virtual_host_id)
            if (error := errors.get(job.virtual_host_id)) is not None:
                problem = undecided.problem_of(job.virtual_host.name, error)
                over.append(Ending(None, job, JobOutcome.FAILED, undecided.CODE, problem))
            elif need is None:
                over.append(Ending(None, job, JobOutcome.SKIPPED, "gone"))
            elif need.action == Action.SKIP and need.reason != "no_provider":
                line = _line(job, "install:stays_staged", Level.OUT, reason=need.reason, text="", where="")
                over.append(Ending(None, job, JobOutcome.SKIPPED, need.reason, lines=[line]))
            else:
                left.append(job)
        finish(bench.server, over)
        return left

    def _put_off(self, jobs: Sequence[Job]) -> None:
        """Certificates stay staged until AutoSSL goes on."""
        line = ("install:stays_staged", Level.WARN)
        endings = [
            Ending(
                None,
                job,
                JobOutcome.WAITING,
                "paused",
                lines=[_line(job, *line, reason="paused", text="", where="")],
            )
            for job in jobs
        ]
        finish(self.bench.server, endings)

    def _all_wait(self, jobs: Sequence[Job], problem: HelperProblem) -> None:
        """The helper cannot install now: no web server, a full disk. Certificates stay staged."""
        data = {"text": problem.text, "file": problem.file, "line": problem.line}
        stored = {"code": problem.code, "domain": "", "data": data}
        endings = []
        for job in jobs:
            line = _line(job, "install:failed", Level.FAILURE, reason=problem.code, text=problem.text, where="")
            endings.append(Ending(None, job, JobOutcome.FAILED, problem.code, stored, lines=[line]))
        finish(self.bench.server, endings)

    @staticmethod
    def _ending(job: Job, one: install.Installed) -> Ending:
        where = f"{one.file}:{one.line or '?'}" if one.file else ""
        if one.served:
            assert one.order.certificate is not None
            shown = sorted({f"{each['address']}:{each['port']}" for each in one.evidence})
            lines = [
                _line(
                    job, "install:verified", Level.OUT, serial=one.order.certificate.serial, addresses=", ".join(shown)
                )
            ]
            if one.remark:
                lines.append(_line(job, "install:remark", Level.WARN, text=one.remark))
            extended = one.order.reason == "coverage"
            return Ending(None, job, JobOutcome.SECURED, one.order.reason, extended=extended, lines=lines)
        level = Level.WARN if one.code in WAITS | KEEPS | {"no_such_site"} else Level.FAILURE
        event = EVENTS.get(one.code, "install:stays_staged" if one.stays else "install:given_up")
        line = _line(job, event, level, reason=one.code, text=one.text, where=where)
        if one.code == "no_such_site":
            return Ending(None, job, JobOutcome.SKIPPED, "gone", lines=[line])
        if one.code in KEEPS:
            return Ending(None, job, JobOutcome.KEPT, one.code, lines=[line])
        outcome = JobOutcome.WAITING if one.code in WAITS else JobOutcome.FAILED
        reason = "staged" if one.code in WAITS else one.code
        return Ending(None, job, outcome, reason, one.problem, lines=[line])


def _line(job: Job, event: str, level: Level, **data: Any) -> LogLine:
    return log.for_job(job).make(event, level, depth=3, **data)
