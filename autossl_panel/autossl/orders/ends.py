"""The ways in which an order gets no further, for now or for good, and what is saved of each."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from autossl_panel import ca
from autossl_panel.helper.client import HelperProblem

from .. import ledger, placing, policy, registration
from ..limits import Wait
from ..models import Level, Order
from . import permits
from .progress import Line, Progress, State, Tools

# Without a word from the CA when to ask again
ASK_AGAIN = timedelta(minutes=10)
# Of names wherever it is said; other kinds, said of an order, may mean that it is not (or no longer) this account's
_OF_NAMES = (ca.ProblemKind.CAA, ca.ProblemKind.REJECTED_IDENTIFIER)


def close(order: Order, how: str, *, now: datetime | None = None) -> None:
    """Mark an order as closed; the caller saves `closed_at` and `closed_as`."""
    order.closed_at = now or timezone.now()
    order.closed_as = how


def give_up(
    order: Order, tools: Tools, code: str, text: str = "", *, also: Callable[[], None] | None = None
) -> Progress:
    """Nothing more is done with this order, for the reason `code`."""
    close(order, "given_up")
    order.problem = {"code": code, "text": text}
    tools.record(
        order,
        ["closed_at", "closed_as", "problem"],
        ("order:given_up", Level.WARN, {"reason": code, "text": text}),
        also=also or partial(permits.settle_unfinished, order, tools),
    )
    return Progress(State.LOST, code=code, text=text)


def unwanted(order: Order, tools: Tools, code: str, text: str) -> Progress:
    """The certificate is not what was ordered: it is never staged."""
    close(order, "refused")
    order.problem = {"code": code, "text": text}
    tools.record(
        order,
        ["closed_at", "closed_as", "problem", "finalized_at"],
        ("order:unwanted", Level.FAILURE, {"reason": code, "text": text}),
        also=partial(permits.settle, order, tools, issued=True),
    )
    return Progress(State.UNWANTED, code=code, text=text)


def invalid(order: Order, tools: Tools) -> Progress:
    """invalid: find out which names the CA refused and why; this order is over."""
    refused: dict[str, ca.CaProblem] = {}
    for url in order.authorizations:
        authorization = tools.client.authorization(url)
        if authorization.failed and authorization.problem is not None:
            refused[authorization.identifier] = authorization.problem
    if not refused and order.problem:
        # All were proven: what the CA found later, it says of the order (RFC 8555 §7.1.3).
        said = tools.client.order(order.url).problem
        refused |= _refused_names(order, said) if said is not None and said.kind in _OF_NAMES else {}
    text = (order.problem or {}).get("text", "")
    close(order, "refused" if refused else "given_up")
    if order.replaces:
        # RFC 9773 §5: what became invalid replaces nothing.
        placing.note_replaced(order, order.replaces, None)
    lines = _refused_lines(refused) if refused else [("order:invalid", Level.WARN, {"text": text})]
    also = partial(permits.settle, order, tools, failed=tuple(refused)) if refused else None
    tools.record(order, ["status", "closed_at", "closed_as", "problem"], *lines, also=also)
    return Progress(State.REFUSED if refused else State.LOST, refused=refused, code="ca_order", text=text)


def still(order: Order, tools: Tools, state: ca.OrderState) -> Progress:
    """The CA is not through with it: let go of it until it may be asked again."""
    now = timezone.now()
    if tools.stop():
        return Progress(State.STOPPED)
    ends_at = stuck_at(order, tools)
    if now >= ends_at:
        return give_up(order, tools, "order_stuck")
    # Not later than its end: some CAs say “in a day” of every order.
    until = max(min(state.retry_after or now + ASK_AGAIN, ends_at), now + timedelta(seconds=10))
    order.retry_at, order.problem = until, {"code": "order_stuck", "text": ""}
    told = {"until": f"{until:%Y-%m-%d %H:%M} UTC"}
    tools.record(order, ["retry_at", "finalized_at", "problem"], ("order:waits", Level.WARN, told))
    return Progress(State.WAITS, until=until, code="order_stuck")


def stuck_at(order: Order, tools: Tools) -> datetime:
    """When the CA has had it long enough: where another one is at hand, with its last step; else with all of it."""
    step = policy.stuck_at(order.finalized_at or order.created_at, another=tools.another)
    return min(step, policy.stuck_at(order.created_at, another=False))


def held_back(order: Order, tools: Tools, held: Wait) -> Progress:
    """A limit was used up by others while it lay about: it stays open until there is room."""
    until = permits.ours(held.until, tools.client.date_offset)
    order.retry_at, order.problem = until, {"code": "rate_limited", "text": ""}
    tools.record(order, ["retry_at", "problem"])
    return Progress(State.WAITS, until=until, code="rate_limited", held=held)


def no_permit(order: Order, tools: Tools, held: Wait) -> Progress:
    """There is no room for it (any more): it is not asked for, and the CA knows nothing of it."""
    close(order, "given_up")
    order.problem = {"code": "rate_limited", "text": ""}
    tools.record(order, ["closed_at", "closed_as", "problem", "replaces"])
    until = permits.ours(held.until, tools.client.date_offset)
    return Progress(State.NO_PERMIT, until=until, code="rate_limited", held=held)


def helper_says_no(order: Order, tools: Tools, problem: HelperProblem) -> Progress:
    """A pair that does not fit is the CA's or our fault and never used; what else the helper refuses is trouble."""
    if problem.code.startswith("pair_") or problem.code in ("unknown_order", "conflict"):
        return unwanted(order, tools, problem.code, problem.text)
    return Progress(State.TROUBLE, code=problem.code, text=problem.text)


def trouble(order: Order, tools: Tools, problem: ca.CaProblem) -> Progress:
    """What a CA's problem means for this order; what it means for the site is the caller's."""
    registration.heard_problem(order.account, problem)
    permits.heard(order, tools, problem)
    remedy = policy.remedy(problem.kind)
    order.problem = {"type": problem.type, "text": problem.detail}
    unplaced = not order.url
    also = partial(permits.settle_refused, order, problem) if unplaced else None
    refused = _refused_names(order, problem) if remedy == policy.Remedy.FIX_NEEDED else {}
    if refused:
        close(order, "refused")
        also = also or partial(permits.settle, order, tools, failed=tuple(refused))
        tools.record(order, ["closed_at", "closed_as", "problem"], *_refused_lines(refused), also=also)
        return Progress(State.REFUSED, refused=refused, problem=problem)
    if remedy in (policy.Remedy.NEW_ORDER, policy.Remedy.FIX_NEEDED):
        return give_up(order, tools, "ca_order", problem.detail, also=also)
    now, ends_at = timezone.now(), stuck_at(order, tools)
    if unplaced or now >= ends_at:
        close(order, "given_up")
    # Not later than its end: then it is given up, and the site is free.
    later = problem.retry_after
    order.retry_at = min(later, ends_at) if later is not None and order.closed_at is None else later
    line: Line = ("order:trouble", Level.WARN, {"kind": str(problem.kind), "text": problem.detail})
    tools.record(order, ["closed_at", "closed_as", "problem", "retry_at"], line, also=also)
    return Progress(State.TROUBLE, until=problem.retry_after, problem=problem)


def _refused_names(order: Order, problem: ca.CaProblem) -> Mapping[str, ca.CaProblem]:
    """Which names a refusal of the order is about: those of its parts, else those in its words, else all of them."""
    parts = {
        part.identifier: ca.CaProblem(part.kind, type=part.type, detail=part.detail)
        for part in problem.subproblems
        if part.identifier in order.names
    }
    if parts or (order.url and problem.kind not in _OF_NAMES):
        return parts
    return dict.fromkeys(ledger.named(problem.detail, order.names) or order.names, problem)


def _refused_lines(refused: Mapping[str, ca.CaProblem]) -> list[Line]:
    return [
        ("order:name_refused", Level.WARN, {"name": name, "kind": str(problem.kind), "text": problem.detail})
        for name, problem in refused.items()
    ]
