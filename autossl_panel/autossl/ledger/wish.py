"""What somebody wants of a CA, and which limits that asks and spends. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from autossl_panel.names import registered_domain

from .limit import Kind

DAY = 86400.0
# An order for the names of a certificate that is not older is a renewal. Let's Encrypt looks back 120 days.
KNOWN_FOR = 100 * DAY

Key = tuple[Kind, str]


class OrderKind(StrEnum):
    """What an order is to the CA's limits (rules §5)."""

    ARI = "ari"  # replaces, inside its window, of the same account, not yet replaced, the same names: free of all
    ARI_CHANGED = "ari_changed"  # the same with other names: as free, but counted for domains whose turn comes later
    SAME_SET = "same_set"  # renews a set of names without `replaces`: free of the account's and the domains' limits
    NEW = "new"


class Purpose(StrEnum):
    """What an order is for: how much of an allowance it leaves to what may not wait."""

    URGENT = "urgent"  # past defer_until, or little life left
    ORDINARY = "ordinary"  # new and defective sites, and due renewals where they are counted
    EXTEND = "extend"  # the site works, a name is to come
    REISSUE = "reissue"  # the site works, its key type is to change


# The part of each allowance that stays free. A tenth of an account's 240 in three hours are 192 urgent orders a day
# even while every new site waits; an extension can wait a little longer; re-issues of a whole server leave half to
# everything else. An allowance of up to nine is too small to be divided by ten: there what comes first is served.
HEADROOM = {Purpose.URGENT: 0.0, Purpose.ORDINARY: 0.1, Purpose.EXTEND: 0.25, Purpose.REISSUE: 0.5}


@dataclass(frozen=True, slots=True)
class Wish:
    """What has to have room (`asks`) and what is used up (`spends`); made by `order` and `registration`, to be kept."""

    kind: OrderKind | None
    names: tuple[str, ...]
    asks: tuple[Key, ...]
    spends: tuple[Key, ...]
    headroom: float = 0.0
    # Try although the CA has refused it for a time; pauses and the ledger's own counts hold
    probe: bool = False


def digest(names: Iterable[str]) -> str:
    """The subject that stands for exactly these names."""
    return hashlib.sha256("\n".join(sorted(set(names))).encode()).hexdigest()[:32]


def order_kind(*, replaces: bool, issued_at: float | None, now: float) -> OrderKind:
    """What an order is: `replaces` will be sent and is free; `issued_at`: when this CA last certified these names."""
    if replaces:
        return OrderKind.ARI if issued_at is not None else OrderKind.ARI_CHANGED
    return OrderKind.SAME_SET if issued_at is not None and now - issued_at < KNOWN_FOR else OrderKind.NEW


def order(
    kind: OrderKind,
    names: Sequence[str],
    *,
    purpose: Purpose = Purpose.URGENT,
    probe: bool = False,
    domains: Sequence[str] | None = None,
    subject: str | None = None,
) -> Wish:
    """The wish for an order of `names`. `probe`: in spite of refusals that end by themselves.

    `domains` and `subject` spare who knows them finding out: registered domains, and the names' `digest` or the like.
    """
    ours = tuple(dict.fromkeys(names))
    failures = tuple([(Kind.FAILURES, name) for name in ours])
    whole = (Kind.SET, digest(ours) if subject is None else subject)
    if kind is OrderKind.SAME_SET:
        spends: tuple[Key, ...] = (whole, *failures)
        return Wish(kind, ours, spends, spends, HEADROOM[purpose], probe)
    if kind is OrderKind.ARI:
        # Free, yet the certificate counts for whoever asks next.
        return Wish(kind, ours, (), (whole, *failures), 0.0, probe)
    found = dict.fromkeys(registered_domain(name) for name in ours) if domains is None else domains
    counted = tuple([(Kind.DOMAIN, domain) for domain in found])
    if kind is OrderKind.ARI_CHANGED:
        return Wish(kind, ours, (), (*counted, whole, *failures), 0.0, probe)
    spends = ((Kind.ORDERS, ""), *counted, whole, *failures)
    return Wish(kind, ours, spends, spends, HEADROOM[purpose], probe)


def heeded(wish: Wish) -> Iterator[Key]:
    """Where refusals may stand that stop a wish, also of what it is free of; names that the CA has paused aside."""
    yield Kind.REQUESTS, ""
    if wish.names:
        yield Kind.ACCOUNT, ""
    yield from wish.asks


_REGISTRATION = ((Kind.REGISTRATIONS, ""),)


def registration() -> Wish:
    """The wish for a new account."""
    return Wish(None, (), _REGISTRATION, _REGISTRATION)
