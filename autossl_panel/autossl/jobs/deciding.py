"""From verdicts to an order: what a plan means for its job, whom it is ordered from, and the permit for it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils import timezone

from autossl_panel import dcv

from .. import choosing, log, orders, policy, sites, verdicts
from ..choosing import Chosen
from ..facts import Action, Plan
from ..limits import StampProblem, Wait
from ..models import Account, JobOutcome, Level, LogLine, Phase, Verdict
from ..policy import Choice
from . import trouble, waiting
from .calling import Caller, Unready
from .claims import writing
from .moves import Advance, Again, Decide, Elsewhere, Move, TakeUp
from .probing import may_probe
from .proving import ENDS, withdrawn
from .work import Bench, Task

PLANNED = {
    Action.KEEP: (JobOutcome.KEPT, Level.OUT),
    Action.DEFER: (JobOutcome.DEFERRED, Level.WARN),
    Action.HOLD: (JobOutcome.WAITING, Level.WARN),
    Action.FAIL: (JobOutcome.FAILED, Level.FAILURE),
}


@dataclass(slots=True)
class _Step:
    """One decision while it is made: inside one transaction, with lines that are saved with what comes of it."""

    bench: Bench
    task: Task
    caller: Caller
    account: Account
    now: datetime
    unready: Unready | None
    lines: list[LogLine]

    def decide(self) -> Move | Unready:
        """Verdicts, plan and the order that follows from it are one step."""
        task, bench = self.task, self.bench
        if not task.recorded:
            verdicts.record(
                task.job.virtual_host_id,
                task.findings.values(),
                task.site.facts.installed,
                self.now,
                provider=task.provider.name,
            )
            task.recorded = True
        if withdrawn(task):
            task.claim.save(lines=self.lines)
            return Again()
        task.site = _with_failures(task, self.now)
        plan = self._plan()
        task.tried.add(task.provider.name)
        purpose = choosing.purpose_of(task.need, task.site, self.now)
        other = bench.outlook.instead(plan, task.site, purpose, self.now, tried=task.tried)
        if other is not None:
            task.claim.save(lines=self.lines)
            return Elsewhere(other, Chosen(Choice(other, "provider_instead")), pinned=True)
        return self._follow(plan)

    def _plan(self) -> Plan:
        """What the verdicts mean. Before one costs coverage, those of all the server's names are looked at."""
        task = self.task
        given = task.need, task.findings, task.site.facts, task.site.options, self.now
        plan = policy.plan(*given)
        if plan.reason != policy.REDUCED or not self.bench.reductions_suspended(self.now):
            return plan
        return policy.plan(*given, reductions_suspended=True)

    def _follow(self, plan: Plan) -> Move | Unready:
        task = self.task
        told = {name for name, finding in task.findings.items() if finding.outcome != dcv.Outcome.PASS}
        self.lines += [
            task.line("site:name_left_out", _left_out_level(code), name=name, reason=code)
            for name, code in plan.left_out
            if name not in told
        ]
        if plan.action == Action.ORDER:
            return self._choose(plan, {})
        outcome, level = PLANNED[plan.action]
        data: dict[str, Any] = {"reason": plan.reason, "names": ", ".join(plan.dropped)}
        if plan.until is not None:
            data["until"] = f"{plan.until:%Y-%m-%d %H:%M} UTC"
        self.lines.append(task.line(f"plan:{plan.action}", level, **data))
        self.bench.end(task, outcome, plan.reason, *self.lines, until=plan.until)
        return None

    def _choose(self, plan: Plan, known: Mapping[str, Wait]) -> Move | Unready:
        """Once more, with the names that passed and with what has come out since: may it be ordered here and now?"""
        task, bench = self.task, self.bench
        purpose = choosing.purpose_of(task.need, task.site, self.now)
        before = task.tried | (task.chosen.passed_over if task.chosen is not None else set())

        def settled() -> Chosen:
            return bench.outlook.settled(
                task.site, plan.names, purpose, self.now, before=before, pinned=task.pinned, known=known
            )

        chosen = settled()
        here = chosen.provider is not None and chosen.provider.account == self.account.pk
        if here and chosen.choice.reason == "provider_probe" and not may_probe(task, self.account.pk):
            chosen = settled()
        provider = chosen.provider
        if provider is None:
            waiting.for_a_provider(bench, task, chosen, self.now, *self.lines)
            return None
        if provider.account != task.provider.account:
            task.claim.save(lines=self.lines)
            return Elsewhere(provider, chosen)
        if self.unready is not None:
            task.claim.save(lines=self.lines)
            return self.unready
        return self._order(plan, chosen, known)

    def _order(self, plan: Plan, chosen: Chosen, known: Mapping[str, Wait]) -> Move | Unready:
        task, own = self.task, self.bench.outlook.own(self.task.site)
        order = orders.new(
            f"o-{uuid.uuid4().hex}",
            task.job.virtual_host,
            names=plan.names,
            reason=plan.reason,
            key_type=own.key_type,
            provider=self.account.provider,
            account=self.account,
            installed=task.site.facts.installed,
            now=self.now,
        )
        purpose = choosing.purpose_of(task.need, task.site, self.now)
        ca_time = self.caller.ca_time(self.account)
        held = orders.take(order, purpose=purpose, now=ca_time, probe=chosen.despite)
        if held is not None:
            # Others were faster by a moment, or the CA's clock goes otherwise than we thought.
            return self._choose(plan, {**known, task.provider.name: self.caller.by_our_clock(self.account, held)})
        names, provider = ", ".join(plan.names), self.account.provider
        self.lines += waiting.chosen_lines(self.bench, task, chosen)
        self.lines.append(
            task.line("plan:order", names=names, reason=plan.reason, **log.of_provider(provider.name, str(provider)))
        )
        task.claim.save(order, lines=self.lines, phase=Phase.ORDER)
        task.orders[task.provider.name] += 1
        return Advance(order, fresh=True)


def _may_order(task: Task) -> bool:
    """Whether an order can come of the verdicts: where names are to be added, one of them must not have failed."""
    added = set(task.need.missing) if task.need.action == Action.EXTEND else None
    return any(
        finding.outcome != dcv.Outcome.FAIL and (added is None or name in added)
        for name, finding in task.findings.items()
    )


def decide(bench: Bench, caller: Caller, task: Task) -> Move:
    """What the verdicts on a task's names mean. The CA is spoken to before anything is written, to hear its time."""
    now = timezone.now()
    account = bench.policies.accounts.get(task.provider.account)
    if account is None:
        return without_it(bench, task) if removed(task) else Again()
    lines = [] if task.recorded else _verdict_lines(task)
    unready = None
    if _may_order(task):
        unready = caller.ready(account)
    step = _Step(bench, task, caller, account, now, unready, lines)
    try:
        with writing():
            move = step.decide()
    except StampProblem as problem:
        bench.end(task, JobOutcome.FAILED, "ledger", problem=trouble.problem_of("ledger", task.name, str(problem)))
        return None
    if isinstance(move, Unready):
        return trouble.unready(bench, task, account, move)
    if isinstance(move, Again):
        # What ended the wish may be newer than the bench's last look.
        bench.look()
    return move


def removed(task: Task) -> bool:
    """Whether the provider that it was decided with has been taken out of the list since."""
    provider = task.site.options.provider
    return provider is not None and not Account.objects.filter(pk=provider.account).exists()


def without_it(bench: Bench, task: Task) -> Move:
    """Say that its provider was removed, and ask the rules anew: the provider in use or a fallback takes its place."""
    # What was written with that provider was not saved.
    task.recorded = False
    bench.look()
    named = log.of_provider(task.provider.name, task.provider.title)
    said = task.line("provider:passed_over", Level.WARN, **named, reason="provider_removed")
    task.claim.save(lines=[said])
    return Again()


def again(bench: Bench, task: Task, code: str) -> Move:
    """Ask the rules anew, with what is known by now; `code` says what went wrong before."""
    now = timezone.now()
    host = task.job.virtual_host_id
    found = sites.read_ids([host], bench.policies, now, serve_www=bench.options.serve_www)
    decision = choosing.decide(found[host], bench.outlook, now)
    before = bench.settings_for(task.provider)
    task.site, task.need, task.chosen, task.pinned = decision.site, decision.need, decision.chosen, False
    task.looked_at = now
    if task.takes_up:
        return TakeUp()
    return _go_on(bench, task, before, now, code=code)


def elsewhere(bench: Bench, task: Task, move: Elsewhere) -> Move:
    """Go on with another provider: by its rules, and with its view of the names."""
    now = timezone.now()
    outlook, before = bench.outlook, bench.settings_for(task.provider)
    site = outlook.seen_by(task.site, outlook.options_of(task.site, move.provider), now)
    # What was open at the one before has been given up.
    site = replace(site, facts=replace(site.facts, open_order=None))
    task.site, task.need = site, policy.need(site.facts, site.options, now)
    task.chosen, task.pinned = None, move.pinned
    task.claim.save(lines=waiting.chosen_lines(bench, task, move.chosen))
    return _go_on(bench, task, before, now)


def _go_on(bench: Bench, task: Task, before: dcv.Settings, now: datetime, *, code: str = "") -> Move:
    """To the decision with the verdicts that there are, where they say the same of this provider; else by new ones."""
    outcome = ENDS.get(task.need.action)
    if outcome is not None:
        # With every name refused or held, the job has failed, whatever its site waits for now.
        bench.end(task, JobOutcome.FAILED if code else outcome, code or task.need.reason, until=task.need.until)
        return None
    if task.chosen is not None and task.chosen.provider is None:
        waiting.for_a_provider(bench, task, task.chosen, now)
        return None
    if _serve(task, before, bench.settings_for(task.provider)):
        task.findings = {name: task.findings[name] for name in task.need.names}
        return Decide()
    bench.prove_again.put(task)
    return None


def _serve(task: Task, before: dcv.Settings, after: dcv.Settings) -> bool:
    """Whether the verdicts on its names hold for a provider with other settings too."""
    found = [task.findings.get(name) for name in task.need.names]
    if not all(found) or before.private_ca != after.private_ca:
        return False
    if before.caa_identities == after.caa_identities:
        return True
    return all(
        finding is not None
        and finding.outcome == dcv.Outcome.PASS
        and (not after.caa_identities or finding.caa is not None)
        and dcv.caa_allows(finding.caa or (), after.caa_identities)
        for finding in found
    )


def _verdict_lines(task: Task) -> list[LogLine]:
    return [_verdict_line(task, finding) for finding in task.findings.values()]


def _verdict_line(task: Task, finding: dcv.Finding) -> LogLine:
    if finding.outcome == dcv.Outcome.PASS:
        return task.line("dcv:passed", name=finding.name, addresses=", ".join(finding.addresses))
    event = "dcv:failed" if finding.outcome == dcv.Outcome.FAIL else "dcv:unknown"
    added = any(name.name == finding.name and name.added for name in task.site.facts.names)
    installed = task.site.facts.installed
    quiet = added and (installed is None or finding.name not in installed.names)
    level = Level.OUT if quiet else Level.WARN
    data = dict(finding.data)
    data.pop("name", None)
    return task.line(event, level, name=finding.name, reason=finding.code or "unknown", found=data)


def _with_failures(task: Task, now: datetime) -> sites.Site:
    """The facts with the failures just found: whether one was seen twice depends on the first."""
    failed = [name for name, finding in task.findings.items() if finding.outcome == dcv.Outcome.FAIL]
    if not failed:
        return task.site
    first = dict(
        Verdict.objects.filter(domain__virtual_host_id=task.job.virtual_host_id, domain__name__in=failed).values_list(
            "domain__name", "first_failed_at"
        )
    )
    names = tuple(
        replace(name, first_failed_at=first.get(name.name), last_failed_at=now) if name.name in first else name
        for name in task.site.facts.names
    )
    return replace(task.site, facts=replace(task.site.facts, names=names))


def _left_out_level(code: str) -> Level:
    """What somebody wished away is no news; what does not fit stays unsecured."""
    return Level.WARN if code == "over_limit" else Level.OUT
