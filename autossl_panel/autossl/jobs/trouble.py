"""What goes wrong with a CA, the helper or this host's clock, and what it means for a job (rules §6): another provider
at once where there is one; else retry later, wait until the CA's own moment, or stop and tell.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from autossl_panel import ca

from .. import choices, choosing, log, orders, policy
from ..choosing import Chosen
from ..limits import Wait
from ..models import Account, JobOutcome, Level, LogLine, Order, Provider
from ..policy import Remedy
from ..room import HELD
from . import waiting
from .calling import Unready
from .moves import Elsewhere, Move
from .stops import Stop
from .work import Bench, Task

# What the admin has to act for is asked for again after this
STOPPED_FOR = timedelta(minutes=10)
# A limit that does not say for how long
AN_HOUR = timedelta(hours=1)
# What a problem of the CA is called on a job and a virtual host
CODES: Mapping[str, str] = {
    "server": "ca_server",
    "unreachable": "ca_unreachable",
    "rate": HELD,
    "account": "ca_account",
    "terms": "ca_terms",
    "eab": "ca_eab",
}
# What is the CA's own fault and passes by itself: its sites wait, nothing of theirs has failed (rules §6, “retry later”
# and “next provider” where there is none). What a person has to act for, and an order that was refused, fails.
PASSING = frozenset({"ca_server", "ca_unreachable"})


def unready(bench: Bench, task: Task, account: Account, why: Unready) -> Move:
    """A CA could not even be asked."""
    if why.problem is not None:
        return met(bench, task, account, why.problem)
    if why.code == "stopped" or (why.code == "helper_gone" and bench.stopping.is_set()):
        return None
    if why.code == "clock":
        _clock(bench, task)
        return None
    bench.end(task, JobOutcome.FAILED, why.code, problem=problem_of(why.code, task.name, why.text))
    return None


def _clock(bench: Bench, task: Task) -> None:
    """This host's clock and the CA's differ too much to judge any expiry: hold. A provider that is not the one in use
    may be wrong itself; it is asked again like after any failure.
    """
    bench.look()
    active = bench.policies.provider
    ours = active is not None and active.name == task.provider.name
    outcome = JobOutcome.WAITING if ours else JobOutcome.FAILED
    bench.end(task, outcome, "clock", problem=problem_of("clock", task.name, ""))


def met(
    bench: Bench, task: Task, account: Account, problem: ca.CaProblem, order: Order | None = None, *lines: LogLine
) -> Move:
    """A CA's problem that is of more than one order. An `order` that is open there is given up where another provider
    takes its place, else it is resumed later.
    """
    kind, remedy = str(problem.kind), policy.remedy(problem.kind)
    code = CODES.get(kind, "ca_order")
    if remedy == Remedy.STOP:
        bench.stops.stop(account.pk, Stop(code, problem, timezone.now() + STOPPED_FOR))
    elif remedy == Remedy.NEXT_PROVIDER:
        faulty(bench, account, code, problem.detail)
    if remedy in (Remedy.STOP, Remedy.NEXT_PROVIDER) or kind == "rate":
        chosen = _chosen_anew(bench, task, order)
        move = _to_another(task, order, chosen, *lines)
        if move is not None:
            return move
        if kind == "rate" and chosen.provider is None:
            waiting.for_a_provider(bench, task, chosen, timezone.now(), *lines)
            return None
    until, now = problem.retry_after, timezone.now()
    outcome = JobOutcome.WAITING if code in PASSING else JobOutcome.FAILED
    if kind == "rate":
        # Said of something that no limit of ours is about
        outcome, until = JobOutcome.WAITING, until or now + AN_HOUR
    if until is not None:
        # What lasts longer than the certificate is not waited for to its end.
        until = policy.probe_at(until, task.site.facts.installed, now)
        if order is not None and order.closed_at is None and order.retry_at is not None:
            until = min(until, order.retry_at)
    stored = problem_of(code, task.name, problem.detail, provider=account.provider)
    held_by = account.provider.name if until is not None else None
    bench.end(task, outcome, code, *lines, problem=stored, until=until, held_by=held_by)
    return None


def stuck(bench: Bench, task: Task, order: Order, text: str) -> Move:
    """The CA had an order for too long: the next provider is asked, where there is one."""
    account = order.account
    faulty(bench, account, "order_stuck", text)
    chosen = _chosen_anew(bench, task, order, skip=(account.provider.name,))
    other = chosen.provider
    if other is not None:
        return Elsewhere(other, replace(chosen, choice=replace(chosen.choice, reason="order_stuck")), pinned=True)
    problem = problem_of("order_stuck", task.name, text, provider=account.provider)
    bench.end(task, JobOutcome.WAITING, "order_stuck", problem=problem)
    return None


def no_permit(bench: Bench, task: Task, order: Order, held: Wait) -> Move:
    """There was no room for it any more when it was to be sent (again)."""
    known = {order.account.provider.name: held}
    chosen = _chosen_anew(bench, task, order, known=known)
    move = _to_another(task, None, chosen)
    if move is None:
        waiting.for_a_provider(bench, task, chosen, timezone.now())
    return move


def faulty(bench: Bench, account: Account, code: str, text: str) -> None:
    """The CA failed on its own side once more."""
    problem = {"code": code, "text": text}
    bench.fares(account, choices.record_fault(account, problem, now=timezone.now()), problem)


def good(bench: Bench, account: Account, at: datetime) -> None:
    """The CA did its work `at` that moment: nothing older is said against it any more."""
    health = bench.policies.health.get(account.provider.name)
    if account.faults or (health is not None and health.faults):
        after = choices.record_recovery(account, at=at, now=timezone.now())
        if not after.faults:
            bench.fares(account, after, None)


def _chosen_anew(
    bench: Bench,
    task: Task,
    order: Order | None,
    *,
    skip: Collection[str] = (),
    known: Mapping[str, Wait] = choosing.NOTHING,
) -> Chosen:
    """Who is asked now that this has come out, in the same job: it must not cost the site its turn."""
    now = timezone.now()
    names = order.names if order is not None else task.need.names
    purpose = choosing.purpose_of(task.need, task.site, now)
    return bench.outlook.choose(task.site, names, purpose, now, skip=skip, known=known)


def _to_another(task: Task, order: Order | None, chosen: Chosen, *lines: LogLine) -> Move:
    """On to the provider that was chosen, where it is another one; what is open here is given up."""
    provider = chosen.provider
    if provider is None or provider.account == task.provider.account:
        return None
    if order is not None and order.closed_at is None:
        orders.close(order, "given_up")
        given_up = task.line("order:given_up", Level.WARN, reason="replaced_elsewhere", text="")
        task.claim.save(order, ["closed_at", "closed_as"], [*lines, given_up])
    elif lines:
        task.claim.save(lines=lines)
    return Elsewhere(provider, chosen)


def problem_of(code: str, domain: str, text: str, *, provider: Provider | None = None) -> dict[str, Any]:
    """A problem as it stands on a job or virtual host."""
    data = {"text": text, **(log.of_provider(provider.name, str(provider)) if provider is not None else {})}
    return {"code": code, "domain": domain, "data": {key: value for key, value in data.items() if value}}
