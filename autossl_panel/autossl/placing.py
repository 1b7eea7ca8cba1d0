"""The step that opens an order at the CA (newOrder): what it asks for, and which certificate it says it replaces."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from autossl_panel import ca

from . import predecessors
from .models import Certificate, Order


@dataclass(frozen=True, slots=True)
class Wish:
    """What one newOrder request asks for. With `replaces` (an ARI id) it is free of the CA's limits (RFC 9773 §5)."""

    names: Sequence[str]
    profile: str = ""
    replaces: str = ""


def wish_of(order: Order, now: datetime) -> Wish:
    """What to ask for: what was decided, unless the window for the replacement has passed since."""
    replaces = order.replaces if order.replaces and replaced_freely(order, now) == order.replaces else ""
    return Wish(order.names, order.profile, replaces)


def ask_for(wish: Wish, client: ca.Client) -> ca.OrderState:
    """The one request that opens an order. Raises CaProblem; ReplacesRefused where `replaces` may be the reason."""
    return client.new_order(wish.names, profile=wish.profile or None, replaces=wish.replaces or None)


def replaced_freely(order: Order, now: datetime) -> str:
    """The ARI id of the installed certificate where this order may say that it replaces it, else ""."""
    old = predecessors.find(order.expect_fingerprint)
    return predecessors.replaces(old, order.names, provider=order.provider_id, account=order.account_id, now=now)


def of_the_same_kind(order: Order) -> bool:
    """Whether the installed certificate is of the order's provider and profile: only then must the new one live longer.

    Another profile's certificates may be made for six days where the last one had a month left.
    """
    kind = Certificate.objects.filter(fingerprint=order.expect_fingerprint).values_list("provider_id", "profile")
    return kind.first() in (None, (order.provider_id, order.profile))


def note_replaced(order: Order, ari_id: str, at: datetime | None) -> None:
    """Note that no other order may say that it replaces the installed certificate, or (None) that one may again.

    Before the order itself is saved: a crash between the two costs the freedom from limits, not an order.
    """
    Certificate.objects.filter(fingerprint=order.expect_fingerprint, ari_id=ari_id).update(replaced_at=at)
