"""The map of an order (RFC 8555, section 7.1.6), and each step of it.

pending → prove · ready → finalize · processing → wait · valid → download · invalid → give up
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from autossl_panel import ca, pki
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import VirtualHost

from .. import certificates, placing, policy, profiles
from ..facts import InstalledFacts
from ..models import Account, Level, Order, OrderStatus, Provider
from . import ends, opening, permits
from .progress import Line, Progress, State, Tools

# How long a thread waits for the CA's validation or signature before it lets go; the order stays open
WAIT = timedelta(seconds=75)


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
        profile=profiles.profile_in_use(provider),
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
        return ends.trouble(order, tools, problem)
    except HelperGone as problem:
        return Progress(State.TROUBLE, code="helper_gone", text=str(problem))
    except HelperProblem as problem:
        return ends.helper_says_no(order, tools, problem)
    finally:
        # While it is pending the CA may still come and look, whether we wait for it or not; age removes what is left.
        if order.status != OrderStatus.PENDING or order.closed_at is not None:
            _forget(tokens, tools)


def _advance(order: Order, tools: Tools, tokens: list[str]) -> Progress:
    if not order.url:
        state = opening.place(order, tools)
        if isinstance(state, Progress):
            return state
        _save(order, state, tools, *opening.opened(order, tools, state))
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
            return ends.invalid(order, tools)
        if authorization.status != "pending" or challenge is None:
            continue
        if challenge.status == "pending":
            answers.append(challenge)
        tokens.append(challenge.token)
        tools.ask(partial(tools.helper.challenge_put, challenge.token, challenge.key_authorization))
    if answers and (held := permits.keep(order, tools)) is not None:
        return ends.held_back(order, tools, held)
    for challenge in answers:
        tools.client.answer(challenge.url)
    state = _poll(order, tools, lambda found: found.status != "pending")
    _save(order, state, tools)
    return ends.still(order, tools, state) if state.status == "pending" else None


def _finalize(order: Order, tools: Tools, tokens: list[str]) -> Progress | None:
    """ready: hand in the CSR, which is the same however often it is asked for."""
    csr = pki.csr_der(_csr(order, tools))
    _forget(tokens, tools)
    if (held := permits.keep(order, tools)) is not None:
        return ends.held_back(order, tools, held)
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
    return ends.still(order, tools, state) if state.status == "processing" else None


def _wait(order: Order, tools: Tools, _tokens: list[str]) -> Progress | None:
    """processing: wait for the signature, as long as the CA's own words or our patience last."""
    before = order.status
    state = _poll(order, tools, lambda found: found.status != before)
    _save(order, state, tools)
    return ends.still(order, tools, state) if state.status == before else None


def _download(order: Order, tools: Tools, _tokens: list[str]) -> Progress:
    """valid: fetch the chain, check that it is what was ordered, have the helper stage it."""
    chain = tools.client.download(order.certificate_url)
    try:
        facts = pki.read_chain(chain)
    except pki.PairProblem as problem:
        return ends.unwanted(order, tools, problem.code, problem.text)
    replaced = tools.installed if placing.of_the_same_kind(order) else None
    spki = pki.csr_spki(_csr(order, tools))
    refusal = policy.accept_issued(facts, names=order.names, spki=spki, replaced=replaced, reason=order.reason)
    if refusal is not None:
        return ends.unwanted(order, tools, str(refusal), "")
    tools.ask(lambda: tools.helper.stage(order.ident, chain))
    order.staged_at = timezone.now()
    order.certificate = certificates.record(facts, chain, order, now=order.staged_at)
    order.retry_at = None
    issued = {"serial": facts.serial, "names": list(facts.names), "not_after": f"{facts.not_after:%Y-%m-%d %H:%M} UTC"}
    tools.record(
        order,
        ["certificate", "staged_at", "finalized_at", "retry_at"],
        ("order:issued", Level.OUT, issued),
        staged=True,
        also=partial(permits.settle, order, tools, issued=True),
    )
    return Progress(State.STAGED)


def _invalid(order: Order, tools: Tools, _tokens: list[str]) -> Progress:
    """invalid: this order is over."""
    return ends.invalid(order, tools)


Step = Callable[[Order, Tools, list[str]], Progress | None]
STEPS: Mapping[str, Step] = {
    OrderStatus.PENDING: _prove,
    OrderStatus.READY: _finalize,
    OrderStatus.PROCESSING: _wait,
    OrderStatus.VALID: _download,
    OrderStatus.INVALID: _invalid,
}


def _poll(
    order: Order, tools: Tools, until: Callable[[ca.OrderState], bool], after: datetime | None = None
) -> ca.OrderState:
    deadline = timezone.now() + WAIT
    return tools.client.poll(order.url, until=until, deadline=deadline, stop=tools.stop, after=after)


def _csr(order: Order, tools: Tools) -> bytes:
    return tools.ask(lambda: tools.helper.gen_csr(order.ident, order.virtual_host.key, order.names, order.key_type))


def _forget(tokens: list[str], tools: Tools) -> None:
    """Take answered challenges away; a helper that is away loses them by age."""
    gone, tokens[:] = list(tokens), []
    if gone:
        try:
            tools.helper.challenge_del(gone)
        except (HelperGone, HelperProblem):
            return
