"""An order's permit: taken before each newOrder, kept before what the CA counts later, settled with the outcome."""

from collections.abc import Collection
from datetime import datetime, timedelta

from autossl_panel import ca

from .. import ledger, limits, predecessors
from ..ledger import Asked, Purpose
from ..limits import Permit, Wait
from ..models import Order, OrderStatus
from .progress import Line, Tools

# Past this status every name was proven
PROVEN = (OrderStatus.READY, OrderStatus.PROCESSING, OrderStatus.VALID)


def take(order: Order, *, purpose: Purpose, now: datetime, probe: bool = False) -> Wait | None:
    """Take the permit for one newOrder and put it on the order, which the caller saves in the same transaction.

    `now`: the CA's time. `probe`: in spite of what the CA refused until a moment that has not come, to find out whether
    it still does. Where there is none: what is waited for. Call it late in a transaction, and send nothing before its
    commit. Raises StampProblem.
    """
    account = order.account
    wish = ledger.order(ledger.OrderKind.NEW, order.names, probe=probe)
    if limits.limits_at(account.provider):
        old = predecessors.find(order.expect_fingerprint)
        kind = predecessors.kind(old, order.names, provider=order.provider_id, replacing=bool(order.replaces), now=now)
        wish = ledger.order(kind, order.names, purpose=purpose, probe=probe)
    answer = limits.take(account, wish, now=now)
    if isinstance(answer, Wait):
        return answer
    order.permit = answer.as_json()
    return None


def take_again(order: Order, tools: Tools, *lines: Line, unused: bool) -> Wait | None:
    """Another permit, before newOrder is sent (again). What the first one was for stays spent, unless `unused`."""
    held: Wait | None = None

    def change() -> None:
        nonlocal held
        if unused:
            limits.give_back(order.account, permit_of(order))
        held = take(order, purpose=tools.purpose, now=tools.ca_time)

    tools.record(order, ["permit", "replaces"], *lines, also=change)
    return held


def keep(order: Order, tools: Tools) -> Wait | None:
    """Before challenges are answered and before finalize: what the CA counts then is dated anew, where it took long."""
    permit = permit_of(order)
    if permit.granted is None or tools.ca_time.timestamp() <= permit.granted.until:
        return None
    held: Wait | None = None

    def move() -> None:
        nonlocal held
        answer = limits.keep(order.account, permit, now=tools.ca_time)
        if isinstance(answer, Wait):
            held = answer
        else:
            order.permit = answer.as_json()

    tools.record(order, ["permit"], also=move)
    return held


def taken(order: Order) -> None:
    """The CA has taken newOrder: who waits to hear whether it still refuses goes on.

    A refusal of names does not say it: a CA may look at the names before its limits.
    """
    limits.taken(order.account, permit_of(order))


def settle(order: Order, tools: Tools, *, failed: Collection[str] = (), issued: bool = False) -> None:
    """What became of the order, inside the transaction that saves it: all but `failed` are proven."""
    proven = () if issued else [name for name in order.names if name not in failed]
    limits.settle(order.account, permit_of(order), now=tools.ca_time, proven=proven, failed=failed, issued=issued)


def settle_unfinished(order: Order, tools: Tools) -> None:
    """An order that comes to nothing: its names were proven, where it got as far as that."""
    if order.status in PROVEN:
        settle(order, tools)


def settle_refused(order: Order, problem: ca.CaProblem) -> None:
    """newOrder came to nothing: what surely was not used is given back.

    Where no answer came, too: a CA that is silent for a day would use up what a site may have in a week.
    """
    limits.give_back(order.account, permit_of(order), sent=problem.sent)


def heard(order: Order, tools: Tools, problem: ca.CaProblem) -> None:
    """Note what the CA refused although our count said it would not: just that waits from now on."""
    if not problem.sent:
        return  # our own gate: nothing new was heard
    asked = Asked.OTHER if order.url else Asked.NEW_ORDER
    skew = tools.client.date_offset or limits.NO_SKEW
    limits.heard(
        order.account.provider,
        problem,
        asked,
        account=order.account,
        names=order.names,
        now=tools.ca_time,
        skew=skew,
    )


def ours(moment: datetime | None, offset: timedelta | None) -> datetime | None:
    """A moment of the CA's clock by this host's."""
    return moment if moment is None or offset is None else moment - offset


def permit_of(order: Order) -> Permit:
    """The order's permit as it is saved."""
    return Permit.of(order.permit, order.names)
