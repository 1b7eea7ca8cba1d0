"""The first step of an order: newOrder, with a permit for each time that it is sent."""

from dataclasses import replace

from autossl_panel import ca

from .. import placing, registration
from ..models import Level, Order
from . import ends, permits
from .progress import Line, Progress, Tools


def place(order: Order, tools: Tools) -> ca.OrderState | Progress:
    """Open the order at the CA; what it then says, or where that ended for want of a permit. Raises CaProblem.

    Where the CA refuses what the order replaces, it is asked once more without that, which is saved first: whoever goes
    on after a crash does not say it again. Nor does anybody send twice on one permit.
    """
    now = tools.ca_time
    wish = placing.wish_of(order, now)
    if not tools.permitted or wish.replaces != order.replaces:
        order.replaces = wish.replaces
        held = permits.take_again(order, tools, unused=tools.permitted)
        if held is not None:
            return ends.no_permit(order, tools, held)
    try:
        return placing.ask_for(wish, tools.client)
    except ca.ReplacesRefused as refusal:
        order.replaces = ""
        line: Line = ("order:replaces_refused", Level.OUT, {"text": refusal.detail})
        held = permits.take_again(order, tools, line, unused=True)
        if held is not None:
            return ends.no_permit(order, tools, held)
        state = placing.ask_for(replace(wish, replaces=""), tools.client)
        # Taken without it: so that was what the CA refused, and it would again.
        placing.note_replaced(order, wish.replaces, now)
        return state


def opened(order: Order, tools: Tools, state: ca.OrderState) -> list[Line]:
    """What to tell of an order that the CA has taken, before it is saved."""
    lines: list[Line] = [("order:placed", Level.OUT, {"names": order.names})]
    if order.replaces and state.replaces == order.replaces:
        placing.note_replaced(order, order.replaces, tools.ca_time)
        lines.append(("order:replaces", Level.OUT, {}))
    else:
        order.replaces = ""  # a CA that says nothing of it has taken an order like any other
    registration.heard_good(order.account)
    permits.taken(order)
    return lines
