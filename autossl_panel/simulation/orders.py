"""An order at a fake CA, and its ends: left open for the CA, signed, installed, closed; what a CA's trouble stops.

What leads to an order is in `ordering`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.autossl.ledger import Asked, Granted, scopes

from .accounts import Account
from .authorities import Trouble, serial
from .choosing import Choosing
from .hearing import Hearing
from .oracle import Placed
from .proving import Prover
from .rows import DEFECTS, KEY_TYPES
from .times import POSIX, moment

# When somebody asks again for an order that the CA is at
ASK_AGAIN = 600


@dataclass(slots=True)
class Order:
    """An order that the CA has taken, and what the panel knows of it."""

    host: int
    account: Account
    names: tuple[str, ...]
    mask: int
    reason: str
    key: int
    granted: Granted
    placed: Placed
    at: int
    rank: int
    before: Counter[str]  # orders of the same job, by provider, this one among them
    ticket: int = 0  # what is under way for an earlier one is void
    probe: bool = False
    finalized: bool = False
    issued_at: int = 0
    again_at: int = 0  # by the panel's clock, where the CA is waited for


@dataclass(frozen=True, slots=True)
class Busy:
    """A CA's “not now” (HTTP 503) with its Retry-After."""

    retry_after: datetime | None
    kind: str = "server"
    detail: str = "The service is down for maintenance"
    subproblems: tuple[()] = ()


class Ends(Choosing, Hearing):
    """A panel that has orders at CAs."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.prover = Prover(self.rows, self.weather)
        self.orders: dict[int, Order] = {}  # open ones, by host
        self.key_type = KEY_TYPES[0]

    def _wait_for(self, one: Order) -> None:
        """The CA is at it: somebody looks again by and by."""
        one.again_at = self.agenda.local + ASK_AGAIN
        self._left_open(one, one.again_at)

    def _left_open(self, one: Order, at: int) -> None:
        """The job ends with its order open: it is resumed at a moment, or when the ladder says so."""
        self.rows.opened[one.host] = "processing" if one.finalized else "pending"
        if at:
            self.rows.live[one.host] = 0
            self.look_at(one.host, at)
        else:
            self.end(one.host)

    def _close(self, one: Order) -> None:
        one.ticket += 1
        self.orders.pop(one.host, None)
        self.rows.opened.pop(one.host, None)

    def _issue(self, one: Order) -> None:
        """The CA signs."""
        now = self.agenda.now
        end = one.account.ca.outages.end_of(now)
        if end:
            self.agenda.at(end, lambda: self._issue(one))
            return
        one.account.ca.oracle.issue(one.placed, now)
        one.issued_at = now

    def _faulty(self, account: Account, trouble: Trouble) -> datetime | None:
        """The CA failed on its own side once more; until when it wants to be left alone, where it said so."""
        account.failed(self.moment)
        if trouble is not Trouble.TOLD:
            return None
        now = self.agenda.now
        busy = Busy(moment(account.ca.outages.end_of(now)))
        for scope in scopes(busy, Asked.NEW_ORDER, (), POSIX + now):
            account.ledger.block(scope.kind, scope.subject, scope.block)
        return busy.retry_after

    def _installed(self, one: Order) -> None:
        """Its certificate is in place and shown by a handshake."""
        host, rows, account, now = one.host, self.rows, one.account, self.agenda.now
        account.ledger.settle(one.granted, POSIX + now, issued=True)
        self._close(one)
        old = serial(host, rows.not_before[host])
        by = self.everywhere[rows.account[host]]
        revoked_at = by.ca.revoked_at(old, rows.not_before[host]) if rows.not_after[host] else 0
        self.judge.issued(host, one.mask, now, revoked_at)
        rows.not_before[host], rows.not_after[host] = one.issued_at, one.issued_at + account.ca.lifetime
        rows.covered[host], rows.account[host], rows.key[host] = one.mask, account.number, one.key
        rows.caused[host] = DEFECTS.index(one.reason) if one.reason in DEFECTS else 0
        rows.revoked[host] = rows.replaced[host] = 0
        rows.ari_start[host] = rows.ari_end[host] = rows.renewal_at[host] = rows.forward_until[host] = 0
        rows.last_passed[host] = self.agenda.local
        mine = [done for done in rows.recent.get(host, ()) if done[0] > self.moment - timedelta(days=1)]
        rows.recent[host] = (*mine, (moment(one.at + self.agenda.ahead), one.reason, one.names))
        self.prover.accepted(host, one.mask, account.facts.name)
        self.hear(host)
        self.secured(host, extended=one.reason == "coverage")
