"""From verdict to staged certificate: what each plan, each end of an order and each trouble with the CA means for a
job. One thread, one client of the CA.
"""

import logging
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection
from django.utils import timezone

from autossl_panel import ca, dcv
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import VirtualHost

from .. import orders, policy, sites, verdicts
from ..facts import Action, Plan, ProviderFacts
from ..models import Account, JobOutcome, JobState, Level, LogLine, Order, OrderStatus, Phase, Verdict
from ..orders import State
from ..policy import Remedy
from ..registration import keys
from .calling import Caller
from .claims import ClaimLost, writing
from .proving import ENDS, withdrawn
from .work import Bench, Task

log = logging.getLogger("autossl_panel.jobs")

# A first order, and one more for what the CA left of it
MOST_ORDERS = 2
# So many failures of the CA in a row stop asking it, for so long
FAULTS = 3
PAUSE = timedelta(minutes=2)
LONG_PAUSE = timedelta(minutes=10)

# What a problem of the CA is called on a job and a virtual host
CODES: Mapping[str, str] = {
    "server": "ca_server",
    "unreachable": "ca_unreachable",
    "rate": "rate_limited",
    "account": "ca_account",
    "terms": "ca_terms",
    "eab": "ca_eab",
}
PLANNED = {
    Action.KEEP: (JobOutcome.KEPT, Level.OUT),
    Action.DEFER: (JobOutcome.DEFERRED, Level.WARN),
    Action.HOLD: (JobOutcome.WAITING, Level.WARN),
    Action.FAIL: (JobOutcome.FAILED, Level.FAILURE),
}


class Orderer(threading.Thread):
    """Takes judged tasks from `ready` until it meets None."""

    def __init__(self, bench: Bench, number: int) -> None:
        super().__init__(name=f"orderer-{number}")
        self.bench = bench
        self.requests = 0
        self._caller = Caller(bench)
        self.error: BaseException | None = None

    def run(self) -> None:
        """Ends with its work; an unexpected error is kept for the runner to raise."""
        try:
            while (task := self.bench.ready.get()[2]) is not None:
                if not self.bench.stopping.is_set():
                    self._work(task)
        except BaseException as error:  # noqa: BLE001 - the runner raises it
            self.error = error
            self.bench.stopping.set()
        finally:
            self._caller.close()
            connection.close()

    def _work(self, task: Task) -> None:
        try:
            if task.job.run_id in self.bench.cancelled:
                self.bench.end(task, JobOutcome.CANCELLED, "cancelled")
            elif task.need.action == Action.RESUME:
                self._resume(task)
            elif task.need.action == Action.INSTALL:
                self._install(task)
            else:
                self._plan(task)
        except ClaimLost:
            self.bench.left(task.claim)
        except DatabaseError:
            raise
        except Exception as error:
            # One site's trouble: given back, it would be claimed first again and again, and no other ever worked.
            log.exception("job %s of %s", task.job.pk, task.name)
            problem = _problem("internal", task.name, f"{type(error).__name__}: {error}"[:500])
            self.bench.end(task, JobOutcome.FAILED, "internal", problem=problem)

    # --- what the plan says ------------------------------------------------------------------------------------------

    def _plan(self, task: Task) -> None:
        bench, now = self.bench, timezone.now()
        installed = task.site.facts.installed
        passed = {name.name for name in task.site.facts.names if name.last_passed_at is not None}
        for finding in task.findings.values():
            bench.suspicion.note(finding.name in passed, finding)
        lines = [self._verdict_line(task, finding) for finding in task.findings.values()]
        host = task.job.virtual_host_id
        # Verdicts, plan and the order that follows from it are one step: one transaction.
        with writing():
            verdicts.record(host, task.findings.values(), installed, now, provider=_provider(task).name)
            over = withdrawn(task)
            if over:
                task.claim.save(lines=lines)
                order = None
            else:
                task.site = self._with_failures(task, now)
                order = self._follow(task, self._planned(task, now), lines, now)
        if over:
            # What ended the wish may be newer than the bench's last look.
            bench.policy_options = sites.policy_options(bench.server)
            self._again(task)
        elif order is not None:
            self._advance(task, order)

    def _planned(self, task: Task, now: datetime) -> Plan:
        site, suspended = task.site, self.bench.suspicion.suspended
        return policy.plan(task.need, task.findings, site.facts, site.options, now, reductions_suspended=suspended)

    def _follow(self, task: Task, plan: Plan, lines: list[LogLine], now: datetime) -> Order | None:
        """The order that a plan asks for, saved; None where the job ends instead."""
        told = {name for name, finding in task.findings.items() if finding.outcome != dcv.Outcome.PASS}
        lines += [
            task.line("site:name_left_out", _left_out_level(code), name=name, reason=code)
            for name, code in plan.left_out
            if name not in told
        ]
        if plan.action == Action.ORDER:
            return self._order(task, plan, lines, now)
        outcome, level = PLANNED[plan.action]
        data: dict[str, Any] = {"reason": plan.reason, "names": ", ".join(plan.dropped)}
        if plan.until is not None:
            data["until"] = f"{plan.until:%Y-%m-%d %H:%M} UTC"
        lines.append(task.line(f"plan:{plan.action}", level, **data))
        self.bench.end(task, outcome, plan.reason, *lines, until=plan.until)
        return None

    def _with_failures(self, task: Task, now: datetime) -> sites.Site:
        """The facts with the failures just found: whether one was seen twice depends on the first."""
        failed = [name for name, finding in task.findings.items() if finding.outcome == dcv.Outcome.FAIL]
        if not failed:
            return task.site
        first = dict(
            Verdict.objects.filter(
                domain__virtual_host_id=task.job.virtual_host_id, domain__name__in=failed
            ).values_list("domain__name", "first_failed_at")
        )
        names = tuple(
            replace(name, first_failed_at=first.get(name.name), last_failed_at=now) if name.name in first else name
            for name in task.site.facts.names
        )
        return replace(task.site, facts=replace(task.site.facts, names=names))

    @staticmethod
    def _verdict_line(task: Task, finding: dcv.Finding) -> LogLine:
        if finding.outcome == dcv.Outcome.PASS:
            return task.line("dcv:passed", name=finding.name, addresses=", ".join(finding.addresses))
        event = "dcv:failed" if finding.outcome == dcv.Outcome.FAIL else "dcv:unknown"
        added = any(name.name == finding.name and name.added for name in task.site.facts.names)
        installed = task.site.facts.installed
        quiet = added and (installed is None or finding.name not in installed.names)
        level = Level.OUT if quiet else Level.WARN
        code = finding.code or "unknown"
        data = dict(finding.data)
        data.pop("name", None)
        return task.line(event, level, name=finding.name, reason=code, found=data)

    # --- orders ------------------------------------------------------------------------------------------------------

    def _order(self, task: Task, plan: Plan, lines: list[LogLine], now: datetime) -> Order | None:
        if self.bench.breaker.problem is not None or self.bench.found is None:
            self._ca_trouble(task, self.bench.breaker.problem, None, lines)
            return None
        account = Account.objects.select_related("provider").get(pk=_provider(task).account)
        order = orders.new(
            f"o-{uuid.uuid4().hex}",
            task.job.virtual_host,
            names=plan.names,
            reason=plan.reason,
            key_type=task.site.options.key_type,
            provider=account.provider,
            account=account,
            installed=task.site.facts.installed,
            now=now,
        )
        lines.append(task.line("plan:order", names=", ".join(plan.names), reason=plan.reason))
        task.claim.save(order, lines=lines, phase=Phase.ORDER)
        task.orders_placed += 1
        return order

    def _resume(self, task: Task) -> None:
        order = (
            Order.objects.select_related("virtual_host", "provider", "account__provider", "certificate")
            .filter(virtual_host=task.job.virtual_host, closed_at__isnull=True)
            .first()
        )
        if order is None:
            self._again(task)
            return
        if _at_another_provider(task, order):
            orders.close(order, "given_up")
            line = task.line("order:given_up", Level.WARN, reason="provider_changed", text="")
            task.claim.save(order, ["closed_at", "closed_as"], [line])
            self._again(task)
            return
        now = timezone.now()
        if order.staged_at is None and order.retry_at is not None and order.retry_at > now:
            self.bench.end(task, JobOutcome.WAITING, "order_stuck", until=order.retry_at)
            return
        event = "order:staged_before" if order.staged_at is not None else "order:resumed"
        line = task.line(event, names=", ".join(order.names))
        task.claim.save(order, lines=[line], phase=Phase.ORDER)
        task.orders_placed += 1
        self._advance(task, order)

    def _install(self, task: Task) -> None:
        """Our store holds a sound pair that the web server no longer names: its order is installed again."""
        host = task.job.virtual_host
        order = (
            Order.objects.select_related("certificate")
            .filter(virtual_host=host, closed_as="installed")
            .filter(certificate__not_after__gt=timezone.now(), certificate__revoked_at__isnull=True)
            .order_by("-created_at")
            .first()
        )
        if order is None:
            VirtualHost.objects.filter(pk=host.pk).update(stored_pair="")
            self._again(task)
            return
        installed = task.site.facts.installed
        order.closed_at, order.closed_as, order.staged_at = None, "", timezone.now()
        order.expect_fingerprint = installed.fingerprint if installed else ""
        line = task.line("install:again", serial=order.certificate.serial if order.certificate else "?")
        task.claim.save(
            order,
            ["closed_at", "closed_as", "staged_at", "expect_fingerprint"],
            [line],
            phase=Phase.INSTALL,
            **STAGED,
        )
        self._to_installer(task)

    def _advance(self, task: Task, order: Order) -> None:
        order.virtual_host = task.job.virtual_host
        if order.staged_at is not None:
            task.claim.save(order=None, phase=Phase.INSTALL, **STAGED)
            self._to_installer(task)
            return
        if self.bench.breaker.problem is not None:
            self._ca_trouble(task, self.bench.breaker.problem, None, [])
            return
        with keys.in_use(order.account, stop=self.bench.stopping.is_set) as ours:
            progress = self._progress(task, order) if ours else orders.Progress(State.STOPPED)
        if progress is not None:
            self._after(task, order, progress)

    def _progress(self, task: Task, order: Order) -> orders.Progress | None:
        """Where the CA lets the order get to; None where it cannot even be asked, and the job has ended."""
        try:
            client = self._caller.client_of(order)
        except ca.CaProblem as problem:
            # The account's key is lost: nothing can be asked in its name.
            self._ca_trouble(task, problem, orders.Progress(State.TROUBLE, problem=problem), [])
            return None
        except (HelperGone, HelperProblem) as problem:
            code = "helper_gone" if isinstance(problem, HelperGone) else problem.code
            self._ca_trouble(task, None, orders.Progress(State.TROUBLE, code=code, text=str(problem)), [])
            return None
        before = client.requests
        try:
            tools = orders.Tools(
                client,
                self.bench.helper,
                lambda *given, staged=False: self._record(task, *given, staged=staged),
                lambda: self.bench.stopped(task),
                task.site.facts.installed,
            )
            return orders.advance(order, tools)
        finally:
            self.requests += client.requests - before

    def _record(
        self,
        task: Task,
        order: Order,
        fields: Iterable[str],
        *said: tuple[str, Level, Mapping[str, Any]],
        staged: bool = False,
    ) -> None:
        """Save a step of an order with its lines, under the fence."""
        lines = [task.line(event, level, **_told(data)) for event, level, data in said]
        columns: dict[str, Any] = {**STAGED, "phase": Phase.INSTALL} if staged else {}
        task.claim.save(order, fields, lines, **columns)

    def _after(self, task: Task, order: Order, progress: orders.Progress) -> None:
        """What an order's end means for its job."""
        bench = self.bench
        if progress.state == State.STAGED:
            bench.breaker.good()
            self._to_installer(task)
        elif progress.state == State.STOPPED:
            if task.job.run_id in bench.cancelled and not bench.stopping.is_set():
                bench.end(task, JobOutcome.CANCELLED, "cancelled")
        elif progress.state == State.WAITS:
            bench.end(task, JobOutcome.WAITING, progress.code, until=progress.until)
        elif progress.state == State.REFUSED:
            bench.breaker.good()
            refused = {name: (str(problem.kind), problem.detail) for name, problem in progress.refused.items()}
            verdicts.record_refused(task.job.virtual_host_id, refused, timezone.now(), provider=order.provider.name)
            self._once_more(task, "ca_refused", "")
        elif progress.state == State.LOST:
            self._once_more(task, progress.code, progress.text)
        elif progress.state == State.UNWANTED:
            problem = _problem(progress.code, task.name, progress.text)
            bench.end(task, JobOutcome.FAILED, progress.code, problem=problem)
        else:
            self._ca_trouble(task, progress.problem, progress, [])

    def _once_more(self, task: Task, code: str, text: str) -> None:
        """The order is over without a certificate: at most one further, where the rules still want one."""
        if task.orders_placed < MOST_ORDERS:
            self._again(task, code)
            return
        problem = _problem(code, task.name, text) if text else None
        self.bench.end(task, JobOutcome.FAILED, code, problem=problem)

    def _again(self, task: Task, code: str = "") -> None:
        """Ask the rules anew, with what is known by now; `code` says what went wrong before."""
        bench, now = self.bench, timezone.now()
        host = task.job.virtual_host_id
        found = sites.read_ids([host], bench.policy_options, now, serve_www=bench.serve_www)
        task.site = found[host]
        task.need = policy.need(task.site.facts, task.site.options, now)
        outcome = ENDS.get(task.need.action)
        if outcome is not None:
            # With every name refused or held, the job has failed, whatever its site waits for now.
            bench.end(task, JobOutcome.FAILED if code else outcome, code or task.need.reason, until=task.need.until)
        elif task.need.action in (Action.RESUME, Action.INSTALL):
            self._work(task)
        elif task.findings:
            task.findings = {name: task.findings[name] for name in task.need.names if name in task.findings}
            order = self._follow(task, self._planned(task, now), [], now)
            if order is not None:
                self._advance(task, order)
        else:
            bench.prove_again.put(task)

    def _to_installer(self, task: Task) -> None:
        self.bench.left(task.claim)
        self.bench.staged.set()

    # --- trouble -----------------------------------------------------------------------------------------------------

    def _ca_trouble(
        self, task: Task, problem: ca.CaProblem | None, progress: orders.Progress | None, lines: list[LogLine]
    ) -> None:
        """Rules §6: retry later, wait until the CA's own moment, or stop and tell."""
        if problem is None:
            code = progress.code if progress is not None else "no_provider"
            text = progress.text if progress is not None else ""
            if not (code == "helper_gone" and self.bench.stopping.is_set()):
                self.bench.end(task, JobOutcome.FAILED, code, *lines, problem=_problem(code, task.name, text))
            return
        now = timezone.now()
        code = CODES.get(str(problem.kind), "ca_order")
        remedy = policy.remedy(problem.kind)
        if progress is not None:
            if remedy == Remedy.STOP:
                self.bench.breaker.trip(problem, now + LONG_PAUSE)
            elif remedy == Remedy.NEXT_PROVIDER:
                self.bench.breaker.fault(problem, now + PAUSE, most=FAULTS)
            elif problem.retry_after is not None and _of_account(problem):
                self.bench.breaker.trip(problem, problem.retry_after)
        stored = _problem(code, task.name, problem.detail)
        if remedy == Remedy.RETRY_LATER and str(problem.kind) == "rate":
            until = problem.retry_after or now + timedelta(hours=1)
            self.bench.end(task, JobOutcome.WAITING, code, *lines, problem=stored, until=until, held=True)
        else:
            wait = problem.retry_after
            self.bench.end(task, JobOutcome.FAILED, code, *lines, problem=stored, until=wait, held=wait is not None)


def _provider(task: Task) -> ProviderFacts:
    """The provider of a task whose site is in need: without one there is no need."""
    provider = task.site.options.provider
    assert provider is not None
    return provider


def _at_another_provider(task: Task, order: Order) -> bool:
    """Whether it is unsigned at a provider that the site no longer uses, perhaps because it never signs."""
    unsigned = order.staged_at is None and order.status not in (OrderStatus.PROCESSING, OrderStatus.VALID)
    provider = task.site.options.provider
    return unsigned and provider is not None and order.account_id != provider.account


STAGED: Mapping[str, Any] = {"state": JobState.STAGED, "holder": "", "lease_until": None}


def _left_out_level(code: str) -> Level:
    """What somebody wished away is no news; what does not fit stays unsecured."""
    return Level.WARN if code == "over_limit" else Level.OUT


def _problem(code: str, domain: str, text: str) -> dict[str, Any]:
    return {"code": code, "domain": domain, "data": {"text": text} if text else {}}


def _told(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: ", ".join(value) if isinstance(value, list) else value for key, value in data.items()}


def _of_account(problem: ca.CaProblem) -> bool:
    """Whether a limit is of the account rather than of one site's names: it names none of them."""
    return not problem.subproblems
