"""One ACME order for a virtual host, step by step (RFC 8555, section 7.1.6), each saved before the next begins.

    pending → prove · ready → finalize · processing → wait · valid → download · invalid → give up

A row alone is enough to go on after a crash. An order whose URL was never saved is harmless: it is asked for again,
and what the CA made of the lost request is never finalized.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any, Protocol, TypeVar

from django.utils import timezone

from autossl_panel import ca, pki
from autossl_panel.helper.client import Client as Helper
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import VirtualHost

from . import certificates, placing, policy, providers, registration
from .facts import InstalledFacts
from .models import Account, Level, Order, OrderStatus, Provider
from .patience import patiently

# How long a thread waits for the CA's validation or signature before it lets go; the order stays open
WAIT = timedelta(seconds=75)
# Without a word from the CA when to ask again
ASK_AGAIN = timedelta(minutes=10)
T = TypeVar("T")
Line = tuple[str, Level, Mapping[str, Any]]


class State(StrEnum):
    """Where `advance` left an order."""

    STAGED = "staged"  # its certificate waits for the installer
    WAITS = "waits"  # the CA is at it; open, to be resumed at `until`
    STOPPED = "stopped"  # we were asked to stop between two steps; open
    REFUSED = "refused"  # the CA refused names; closed
    LOST = "lost"  # of no use any more (expired, forgotten, malformed); closed
    UNWANTED = "unwanted"  # the certificate is not what was ordered; closed
    TROUBLE = "trouble"  # the CA, the network or the helper; open where the CA knows it


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an order stands: `refused` says what the CA said of which name, `problem` what else went wrong."""

    state: State
    until: datetime | None = None
    refused: Mapping[str, ca.CaProblem] = field(default_factory=dict)
    problem: ca.CaProblem | None = None
    code: str = ""
    text: str = ""


class Record(Protocol):
    """Where steps are saved: one transaction with the caller's fence, which raises where the claim is lost."""

    def __call__(self, order: Order, fields: Iterable[str], *lines: Line, staged: bool = False) -> None: ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What an order is worked with. `stop` is asked between steps and while waiting.

    `another`: a further provider is at hand, so that an order that the CA does not get through is given up soon.
    """

    client: ca.Client
    helper: Helper
    record: Record
    stop: Callable[[], bool]
    installed: InstalledFacts | None
    another: bool = False


def new(
    ident: str,
    host: VirtualHost,
    *,
    names: Sequence[str],
    reason: str,
    key_type: str,
    provider: Provider,
    account: Account,
    installed: InstalledFacts | None,
    now: datetime,
) -> Order:
    """A new order's row, not saved. It remembers what is installed, so that nothing newer is ever overwritten.

    The provider's profile goes with it, and what it replaces where it may say so.
    """
    order = Order(
        ident=ident,
        virtual_host=host,
        provider=provider,
        account=account,
        names=list(names),
        reason=reason,
        key_type=key_type,
        profile=providers.profile_in_use(provider),
        expect_fingerprint=installed.fingerprint if installed else "",
        created_at=now,
    )
    order.replaces = placing.replaced_freely(order, now)
    return order


def advance(order: Order, tools: Tools) -> Progress:
    """Take an open order as far as it goes; it is saved before each next step. Raises only what `record` raises."""
    if order.staged_at is not None:
        return Progress(State.STAGED)
    tokens: list[str] = []
    try:
        return _advance(order, tools, tokens)
    except ca.CaProblem as problem:
        return _trouble(order, tools, problem)
    except HelperGone as problem:
        return Progress(State.TROUBLE, code="helper_gone", text=str(problem))
    except HelperProblem as problem:
        return _helper_says_no(order, tools, problem)
    finally:
        # While it is pending the CA may still come and look, whether we wait for it or not; age removes what is left.
        if order.status != OrderStatus.PENDING or order.closed_at is not None:
            _forget(tokens, tools)


def _advance(order: Order, tools: Tools, tokens: list[str]) -> Progress:
    if not order.url:
        _place(order, tools)
    else:
        _save(order, tools.client.order(order.url), tools)
    while True:
        step = STEPS.get(order.status)
        if step is None:
            # A status that no RFC knows: wait, and see what becomes of it.
            step = _wait
        found = step(order, tools, tokens)
        if found is not None:
            return found
        if tools.stop():
            return Progress(State.STOPPED)


def _place(order: Order, tools: Tools) -> None:
    """Open the order at the CA. Where it refuses what the order replaces, once more without that, which is saved first:
    whoever goes on after a crash does not say it again.
    """
    now = timezone.now()
    wish = placing.wish_of(order, now)
    order.replaces = wish.replaces
    try:
        state = placing.ask_for(wish, tools.client)
    except ca.ReplacesRefused as refusal:
        order.replaces = ""
        tools.record(order, ["replaces"], ("order:replaces_refused", Level.OUT, {"text": refusal.detail}))
        state = placing.ask_for(replace(wish, replaces=""), tools.client)
        # Taken without it: so that was what the CA refused, and it would again.
        placing.note_replaced(order, wish.replaces, now)
    lines: list[Line] = [("order:placed", Level.OUT, {"names": order.names})]
    if order.replaces and state.replaces == order.replaces:
        placing.note_replaced(order, order.replaces, now)
        lines.append(("order:replaces", Level.OUT, {}))
    else:
        order.replaces = ""  # a CA that says nothing of it has taken an order like any other
    _save(order, state, tools, *lines)
    registration.heard_good(order.account)


def _save(order: Order, state: ca.OrderState, tools: Tools, *lines: Line) -> None:
    """Save what the CA says of the order, where it says something new."""
    said = {
        "url": state.url,
        "status": state.status[:16],
        "authorizations": list(state.authorizations),
        "finalize_url": state.finalize,
        "certificate_url": state.certificate or "",
        "expires": state.expires,
    }
    changed = [name for name, value in said.items() if getattr(order, name) != value]
    for name in changed:
        setattr(order, name, said[name])
    if changed or lines:
        tools.record(order, [*changed, "replaces"], *lines)
    if state.problem is not None:
        order.problem = {"type": state.problem.type, "text": state.problem.detail}


def _prove(order: Order, tools: Tools, tokens: list[str]) -> Progress | None:
    """pending: put the answer to each open challenge in place, tell the CA, wait for its verdict."""
    answers = []
    for url in order.authorizations:
        authorization = tools.client.authorization(url)
        challenge = authorization.http01
        if authorization.failed:
            return _invalid(order, tools, tokens)
        if authorization.status != "pending" or challenge is None:
            continue
        if challenge.status == "pending":
            answers.append(challenge)
        tokens.append(challenge.token)
        _ask(tools, partial(tools.helper.challenge_put, challenge.token, challenge.key_authorization))
    for challenge in answers:
        tools.client.answer(challenge.url)
    state = _poll(order, tools, lambda found: found.status != "pending")
    _save(order, state, tools)
    return _still(order, tools, state) if state.status == "pending" else None


def _finalize(order: Order, tools: Tools, tokens: list[str]) -> Progress | None:
    """ready: hand in the CSR, which is the same however often it is asked for."""
    csr = pki.csr_der(_csr(order, tools))
    _forget(tokens, tools)
    try:
        state = tools.client.finalize(order.finalize_url, csr, order_url=order.url)
    except ca.CaProblem as problem:
        if problem.kind not in (ca.ProblemKind.ORDER, ca.ProblemKind.UNREACHABLE):
            raise
        # It may have been handed in before: by us in the moment of a crash, or with an answer that got lost.
        state = tools.client.order(order.url)
        if state.status not in ("processing", "valid"):
            raise
    order.finalized_at = timezone.now()
    if state.status == "processing":
        # One save for both steps: being asked again for a finalized order does no harm, and it costs nothing.
        state = _poll(order, tools, lambda found: found.status != "processing", after=state.retry_after)
    _save(order, state, tools)
    return _still(order, tools, state) if state.status == "processing" else None


def _wait(order: Order, tools: Tools, _tokens: list[str]) -> Progress | None:
    """processing: wait for the signature, as long as the CA's own words or our patience last."""
    before = order.status
    state = _poll(order, tools, lambda found: found.status != before)
    _save(order, state, tools)
    return _still(order, tools, state) if state.status == before else None


def _download(order: Order, tools: Tools, _tokens: list[str]) -> Progress:
    """valid: fetch the chain, check that it is what was ordered, have the helper stage it."""
    chain = tools.client.download(order.certificate_url)
    try:
        facts = pki.read_chain(chain)
    except pki.PairProblem as problem:
        return _unwanted(order, tools, problem.code, problem.text)
    replaced = tools.installed if placing.of_the_same_kind(order) else None
    refusal = policy.accept_issued(facts, names=order.names, spki=pki.csr_spki(_csr(order, tools)), replaced=replaced)
    if refusal is not None:
        return _unwanted(order, tools, str(refusal), "")
    _ask(tools, lambda: tools.helper.stage(order.ident, chain))
    order.staged_at = timezone.now()
    order.certificate = certificates.record(facts, chain, order, now=order.staged_at)
    order.retry_at = None
    issued = {"serial": facts.serial, "names": list(facts.names), "not_after": f"{facts.not_after:%Y-%m-%d %H:%M} UTC"}
    tools.record(
        order,
        ["certificate", "staged_at", "finalized_at", "retry_at"],
        ("order:issued", Level.OUT, issued),
        staged=True,
    )
    return Progress(State.STAGED)


def _invalid(order: Order, tools: Tools, _tokens: list[str]) -> Progress:
    """invalid: find out which names the CA refused and why; this order is over."""
    refused: dict[str, ca.CaProblem] = {}
    for url in order.authorizations:
        authorization = tools.client.authorization(url)
        if authorization.failed and authorization.problem is not None:
            refused[authorization.identifier] = authorization.problem
    text = (order.problem or {}).get("text", "")
    close(order, "refused" if refused else "given_up")
    if order.replaces:
        # RFC 9773 §5: what became invalid replaces nothing.
        placing.note_replaced(order, order.replaces, None)
    lines = [
        ("order:name_refused", Level.WARN, {"name": name, "kind": str(problem.kind), "text": problem.detail})
        for name, problem in refused.items()
    ]
    if not refused:
        lines = [("order:invalid", Level.WARN, {"text": text})]
    tools.record(order, ["status", "closed_at", "closed_as", "problem"], *lines)
    return Progress(State.REFUSED if refused else State.LOST, refused=refused, code="ca_order", text=text)


Step = Callable[[Order, Tools, list[str]], Progress | None]
STEPS: Mapping[str, Step] = {
    OrderStatus.PENDING: _prove,
    OrderStatus.READY: _finalize,
    OrderStatus.PROCESSING: _wait,
    OrderStatus.VALID: _download,
    OrderStatus.INVALID: _invalid,
}


def close(order: Order, how: str, *, now: datetime | None = None) -> None:
    """Mark an order as closed; the caller saves `closed_at` and `closed_as`."""
    order.closed_at = now or timezone.now()
    order.closed_as = how


def _poll(
    order: Order, tools: Tools, until: Callable[[ca.OrderState], bool], after: datetime | None = None
) -> ca.OrderState:
    deadline = timezone.now() + WAIT
    return tools.client.poll(order.url, until=until, deadline=deadline, stop=tools.stop, after=after)


def _still(order: Order, tools: Tools, state: ca.OrderState) -> Progress:
    """The CA is not through with it: let go of it until it may be asked again."""
    now = timezone.now()
    if tools.stop():
        return Progress(State.STOPPED)
    ends_at = _stuck_at(order, tools)
    if now >= ends_at:
        return _give_up(order, tools, "order_stuck", "")
    # Not later than its end: some CAs say “in a day” of every order.
    until = max(min(state.retry_after or now + ASK_AGAIN, ends_at), now + timedelta(seconds=10))
    order.retry_at = until
    told = {"until": f"{until:%Y-%m-%d %H:%M} UTC"}
    tools.record(order, ["retry_at", "finalized_at"], ("order:waits", Level.WARN, told))
    return Progress(State.WAITS, until=until, code="order_stuck")


def _stuck_at(order: Order, tools: Tools) -> datetime:
    """When the CA has had it long enough: where another one is at hand, with its last step; else with all of it."""
    step = policy.stuck_at(order.finalized_at or order.created_at, another=tools.another)
    return min(step, policy.stuck_at(order.created_at, another=False))


def _csr(order: Order, tools: Tools) -> bytes:
    return _ask(tools, lambda: tools.helper.gen_csr(order.ident, order.virtual_host.key, order.names, order.key_type))


def _ask(tools: Tools, call: Callable[[], T]) -> T:
    return patiently(call, stop=tools.stop)


def _forget(tokens: list[str], tools: Tools) -> None:
    """Take answered challenges away; a helper that is away loses them by age."""
    gone, tokens[:] = list(tokens), []
    if gone:
        try:
            tools.helper.challenge_del(gone)
        except (HelperGone, HelperProblem):
            return


def _unwanted(order: Order, tools: Tools, code: str, text: str) -> Progress:
    """The certificate is not what was ordered: it is never staged."""
    close(order, "refused")
    order.problem = {"code": code, "text": text}
    tools.record(
        order,
        ["closed_at", "closed_as", "problem", "finalized_at"],
        ("order:unwanted", Level.FAILURE, {"reason": code, "text": text}),
    )
    return Progress(State.UNWANTED, code=code, text=text)


def _give_up(order: Order, tools: Tools, code: str, text: str) -> Progress:
    close(order, "given_up")
    order.problem = {"code": code, "text": text}
    tools.record(
        order, ["closed_at", "closed_as", "problem"], ("order:given_up", Level.WARN, {"reason": code, "text": text})
    )
    return Progress(State.LOST, code=code, text=text)


def _helper_says_no(order: Order, tools: Tools, problem: HelperProblem) -> Progress:
    """A pair that does not fit is the CA's or our fault and never used; what else the helper refuses is trouble."""
    if problem.code.startswith("pair_") or problem.code in ("unknown_order", "conflict"):
        return _unwanted(order, tools, problem.code, problem.text)
    return Progress(State.TROUBLE, code=problem.code, text=problem.text)


def _trouble(order: Order, tools: Tools, problem: ca.CaProblem) -> Progress:
    """What a CA's problem means for this order; what it means for the site is the caller's."""
    registration.heard_problem(order.account, problem)
    remedy = policy.remedy(problem.kind)
    order.problem = {"type": problem.type, "text": problem.detail}
    if remedy == policy.Remedy.FIX_NEEDED and not order.url:
        refused = _refused_names(order, problem)
        close(order, "refused")
        lines = [
            ("order:name_refused", Level.WARN, {"name": name, "kind": str(one.kind), "text": one.detail})
            for name, one in refused.items()
        ]
        tools.record(order, ["closed_at", "closed_as", "problem"], *lines)
        return Progress(State.REFUSED, refused=refused, problem=problem)
    # Said of an order rather than of a name, "unauthorized" means that it is not (or no longer) this account's.
    if remedy in (policy.Remedy.NEW_ORDER, policy.Remedy.FIX_NEEDED):
        return _give_up(order, tools, "ca_order", problem.detail)
    now = timezone.now()
    if not order.url or now >= _stuck_at(order, tools):
        close(order, "given_up")
    order.retry_at = problem.retry_after
    tools.record(
        order,
        ["closed_at", "closed_as", "problem", "retry_at"],
        ("order:trouble", Level.WARN, {"kind": str(problem.kind), "text": problem.detail}),
    )
    return Progress(State.TROUBLE, until=problem.retry_after, problem=problem)


def _refused_names(order: Order, problem: ca.CaProblem) -> Mapping[str, ca.CaProblem]:
    """Which names a refused newOrder is about: those it names, else all of them."""
    parts = {
        part.identifier: ca.CaProblem(part.kind, type=part.type, detail=part.detail)
        for part in problem.subproblems
        if part.identifier in order.names
    }
    return parts or dict.fromkeys(order.names, problem)
