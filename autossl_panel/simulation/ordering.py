"""From a claimed job to a certificate: the choice of a provider, preflight, the plan, a permit, the order at a fake CA.

As the heart's ordering threads do it; every decision, choice and permit is the real one. Each request is made of the
CA at the second it is made, and what the CA says is heard there and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.autossl import policy, priority
from autossl_panel.autossl.facts import Action, Need, Plan, SiteFacts
from autossl_panel.autossl.ledger import (
    PROVIDER_WIDE,
    Asked,
    Granted,
    Purpose,
    Wait,
    Wish,
    order,
    order_kind,
    scopes,
)
from autossl_panel.autossl.policy import Candidate, hints
from autossl_panel.autossl.policy.hints import Predecessor, Window

from .accounts import Account
from .authorities import serial
from .oracle import Placed, Refusal
from .panel import Panel
from .proving import Prover
from .rows import DEFECTS, KEY_TYPES
from .times import DAY, HOUR, POSIX, moment, second

ASKS = frozenset({Action.NEW, Action.RENEW, Action.EXTEND})
# A first order, and one more for what the CA left of it
MOST_ORDERS = 2
# How long a thread waits for the CA before it lets go, and when somebody asks again
PATIENCE, ASK_AGAIN = 75, 600
# An open order that nobody worked on for so long is gone at the CA
PENDING_FOR = 7 * DAY


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
    nth: int
    ticket: int = 0  # what is under way for an earlier one is void
    probe: bool = False
    finalized: bool = False
    issued_at: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """A CA's “not now” (HTTP 503) with its Retry-After."""

    retry_after: datetime | None
    kind: str = "server"
    detail: str = "The service is down for maintenance"
    subproblems: tuple[()] = ()


@dataclass(slots=True)
class Task:
    """A claimed job on its way."""

    host: int
    site: SiteFacts
    wanted: Need
    account: Account
    job_class: int
    orders: int = 0
    asked: tuple[Account, tuple[str, ...], Wish, bool] | None = None  # what its limits were last asked for

    @property
    def purpose(self) -> Purpose:
        """How urgent its order is to the limits."""
        if self.job_class == priority.URGENT:
            return Purpose.URGENT
        if self.wanted.action == Action.EXTEND:
            return Purpose.EXTEND
        return Purpose.REISSUE if self.wanted.reason == "key_type" else Purpose.ORDINARY


class Orders(Panel):
    """A panel that orders. `order_seconds`: how long an order takes about, from newOrder to the handshake."""

    def __init__(self, *given: Any, order_seconds: float = 5.0, **more: Any) -> None:
        super().__init__(*given, **more)
        self.order_seconds = order_seconds
        self.prover = Prover(self.rows, self.weather)
        self.orders: dict[int, Order] = {}  # open ones, by host
        self.key_type = KEY_TYPES[0]

    def new_round(self) -> None:
        """Another runner takes over."""
        super().new_round()
        self.prover.new_round()

    # --- choice ------------------------------------------------------------------------------------------------------

    def candidates(self, host: int, site: SiteFacts, own: Account) -> list[Candidate]:
        """What can be chosen from for a host, as its limits stand."""
        names = tuple([name.name for name in site.names])
        purpose = Purpose.URGENT if _urgent(site, self.moment) else Purpose.ORDINARY
        return [self._candidate(one, host, names, purpose) for one in (own, *self.fallbacks)]

    def _candidate(self, account: Account, host: int, names: Sequence[str], purpose: Purpose) -> Candidate:
        wish, _replaces = self._wish(account, host, names, self._mask(host, names), purpose)
        return self._limited(account, wish, account.ledger.look(wish, POSIX + self.agenda.now))

    def _limited(self, account: Account, wish: Wish, wait: Wait | None) -> Candidate:
        if wait is None:
            return account.candidate(None)
        if wait.until is None:
            return account.candidate(None, paused=True)
        return account.candidate(self._told(self.line.next(account.ledger, wish, wait, owner=_owner(account, wait))))

    def _told(self, wait: Wait) -> datetime:
        """The moment of a wait by the panel's clock."""
        assert wait.until is not None
        return moment(-int(-(wait.until - POSIX) // 1) + self.agenda.ahead)

    def work(self, host: int, site: SiteFacts, wanted: Need, account: Account, job_class: int) -> None:
        """Take up a claimed job."""
        if wanted.action == Action.RESUME:
            self._resume(self.orders[host])
            return
        task = Task(host, site, wanted, account, job_class)
        if account is self.own(host):
            self._choose(task)
        else:
            self._prove(task)

    def _choose(self, task: Task) -> None:
        host, site, own = task.host, task.site, task.account
        names, mask = task.wanted.names, self._mask(host, task.wanted.names)
        wish, replaces = self._wish(own, host, names, mask, task.purpose)
        task.asked = own, names, wish, replaces
        wait = own.ledger.look(wish, POSIX + self.agenda.now)
        candidates = [self._limited(own, wish, wait)]
        if wait is not None or own.health.faults:
            candidates += [self._candidate(one, host, names, task.purpose) for one in self.fallbacks]
        urgent = site.installed is None or _urgent(site, self.moment)
        choice = policy.choose(candidates, self.moment, installed=site.installed, urgent=urgent)
        if choice.provider is None:
            if wait is not None and choice.reason == "rate_limited":
                self._stand(host, own, wish, wait)
            self.hold(host, own, choice.reason, choice.until)
            return
        if choice.provider.name != own.facts.name:
            task.account = self.named(choice.provider.name)
            task.wanted = policy.need(site, task.account.options, self.moment)
            if task.wanted.action not in ASKS:
                self.end(host, task.wanted.until)
                return
        self._prove(task)

    def _stand(self, host: int, account: Account, wish: Wish, wait: Wait) -> Wait:
        self.judge.waits(host, wait.kind, self.agenda.now)
        return self.line.stand(account.ledger, wish, wait, owner=_owner(account, wait))

    # --- proof and plan ----------------------------------------------------------------------------------------------

    def _prove(self, task: Task) -> None:
        host, tried = task.host, set[str]()
        while True:
            plan = self._planned(task)
            if not self.fallbacks or len(tried) > len(self.fallbacks):
                break
            candidates = self.candidates(host, task.site, self.own(host))
            own = task.account.facts
            another = policy.instead(plan, task.site, own, candidates, self.moment, tried=tried)
            if another is None:
                break
            tried.add(own.name)
            account = self.named(another.name)
            wanted = policy.need(task.site, account.options, self.moment)
            if wanted.action not in ASKS:
                break
            task.account, task.wanted = account, wanted
        if plan.action == Action.ORDER:
            self._place(task, plan)
        else:
            self.end(host, plan.until)

    def _planned(self, task: Task) -> Plan:
        host, prover, site = task.host, self.prover, task.site
        found = prover.ask(host, task.wanted.names, self.agenda.now)
        if prover.record(host, found, site.installed, self.moment, self.draw(host, 2)):
            task.site = site = self.rows.facts(host, self.moment)
            suspended = prover.suspended
        else:
            suspended = False
        options = task.account.options
        return policy.plan(task.wanted, found, site, options, self.moment, reductions_suspended=suspended)

    # --- order -------------------------------------------------------------------------------------------------------

    def _mask(self, host: int, names: Sequence[str]) -> int:
        texts = self.rows.names(host)
        if len(names) == len(texts):
            return (1 << len(texts)) - 1
        mine = set(names)
        return sum(1 << k for k, text in enumerate(texts) if text in mine)

    def _wish(
        self, account: Account, host: int, names: Sequence[str], mask: int, purpose: Purpose
    ) -> tuple[Wish, bool]:
        """What an order asks of the limits, and whether it says that it replaces the certificate that is there."""
        rows, replaces, issued_at = self.rows, False, None
        if rows.not_after[host]:
            by = self.everywhere[rows.account[host]]
            if rows.ari_end[host] and by is account:
                window = Window(moment(rows.ari_start[host]), moment(rows.ari_end[host]))
                whole = rows.covered[host] == mask
                covered = names if whole else rows.certified(host)
                old = Predecessor("ari", tuple(covered), 1, by.number, window, bool(rows.replaced[host]))
                now = self.moment
                replaces = hints.replaces_free(old, names, provider=1, account=account.number, now=now)
            if by.ca is account.ca and rows.covered[host] == mask:
                issued_at = POSIX + rows.not_before[host]
        kind = order_kind(replaces=replaces, issued_at=issued_at, now=POSIX + self.agenda.now)
        domains = self.rows.estate.domains_of(host, mask)
        return order(kind, names, purpose=purpose, domains=domains, subject=f"{host}.{mask}"), replaces

    def _place(self, task: Task, plan: Plan) -> None:
        host, account, now = task.host, task.account, self.agenda.now
        mask = self._mask(host, plan.names)
        if task.asked is not None and task.asked[0] is account and set(task.asked[1]) == set(plan.names):
            _account, _names, wish, replaces = task.asked
        else:
            wish, replaces = self._wish(account, host, plan.names, mask, task.purpose)
        granted = account.ledger.ask(wish, POSIX + now)
        if isinstance(granted, Wait):
            told = self._stand(host, account, wish, granted)
            self.hold(host, account, "rate_limited", self._told(told) if told.until is not None else None)
            return
        self.judge.permitted(host, now)
        if not account.ca.up(now):
            self._down(task)
            return
        placed = account.ca.oracle.new_order(account.facts.name, plan.names, now, replaces=replaces)
        refused = isinstance(placed, Refusal)
        self.judge.ordered(host, mask, str(wish.kind), now, refused=refused)
        if isinstance(placed, Refusal):
            self.hold(host, account, "rate_limited", self.moment + timedelta(hours=1))
            return
        if replaces:
            self.rows.replaced[host] = 1
        task.orders += 1
        key = KEY_TYPES.index(account.options.key_type)
        one = Order(host, account, plan.names, mask, plan.reason, key, granted, placed, now, task.orders)
        self.orders[host] = one
        self._begin(one)

    def _begin(self, one: Order) -> None:
        """A thread works on an order until it is through, or takes too long."""
        now, account = self.agenda.now, one.account
        if account.health.half_open:
            one.probe = True
            account.probing += 1
        self.slots -= 1
        one.ticket += 1
        ticket, takes = one.ticket, account.ca.takes(one.host, now, self.order_seconds)
        if takes > PATIENCE:
            self.agenda.at(now + PATIENCE, lambda: self._let_go(one, ticket, now + takes))
        else:
            self.agenda.at(now + takes, lambda: self._finish(one, ticket))

    def _finish(self, one: Order, ticket: int) -> None:
        if one.ticket == ticket and self._leave(one) and self._validated(one):
            self._issue(one)
            self._installed(one)
        self.pump()

    def _let_go(self, one: Order, ticket: int, done_at: int) -> None:
        """The CA is at it for longer than a thread waits."""
        if one.ticket == ticket and self._leave(one) and self._validated(one):
            one.finalized = True
            self.agenda.at(done_at, lambda: self._issue(one))
            self._left_open(one, self.agenda.local + ASK_AGAIN)
        self.pump()

    def _leave(self, one: Order) -> bool:
        """The thread is free again; whether the CA answers."""
        account = one.account
        self.slots += 1
        if one.probe:
            one.probe = False
            account.probing -= 1
        if account.ca.up(self.agenda.now):
            account.worked()
            return True
        self._busy(account)
        if account.failed(self.moment) and self._elsewhere(one):
            return False
        self._left_open(one, 0)
        return False

    def _elsewhere(self, one: Order) -> bool:
        """Whether the order is given up because another provider can be asked."""
        site = self.rows.facts(one.host, self.moment)
        own = self.own(one.host)
        choice = policy.choose(self.candidates(one.host, site, own), self.moment, installed=site.installed, urgent=True)
        if choice.provider is None or choice.provider.name == one.account.facts.name:
            return False
        self._close(one)
        self._again(one)
        return True

    def _left_open(self, one: Order, at: int) -> None:
        """The job ends with its order open: it is resumed at a moment, or when the ladder says so."""
        self.rows.opened[one.host] = "processing" if one.finalized else "pending"
        if at:
            self.rows.live[one.host] = 0
            self.look_at(one.host, at)
        else:
            self.end(one.host)

    def _validated(self, one: Order) -> bool:
        """Whether the CA validates all names; where it refuses some, what is left is ordered once more."""
        now, account = self.agenda.now, one.account
        kept = account.ledger.keep(one.granted, POSIX + now)
        if isinstance(kept, Wait):
            self._left_open(one, second(self._told(kept)))
            return False
        one.granted = kept
        oracle, host = account.ca.oracle, one.host
        bad = self.weather.refused(host, now) & one.mask
        if not bad:
            for name in one.names:
                oracle.prove(one.placed, name)
            return True
        texts = self.rows.names(host)
        failed = [text for k, text in enumerate(texts) if bad >> k & 1]
        proven = [name for name in one.names if name not in failed]
        for name in failed:
            oracle.fail(one.placed, name, now)
        for name in proven:
            oracle.prove(one.placed, name)
        account.ledger.settle(kept, POSIX + now, proven=proven, failed=failed)
        self._close(one)
        self.prover.refused(host, bad, account.facts.name, self.moment)
        self._again(one)
        return False

    def _again(self, one: Order) -> None:
        """An order is over without a certificate: at most one further, where the rules still want one."""
        if one.nth < MOST_ORDERS:
            site, wanted, account = self.look(one.host)
            if wanted.action in ASKS:
                job_class = priority.job_class(wanted, site, self.moment)
                task = Task(one.host, site, wanted, account, job_class, one.nth)
                if account is self.own(one.host):
                    self._choose(task)
                else:
                    self._prove(task)
                return
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

    def _resume(self, one: Order) -> None:
        """A job with an open order goes on with it."""
        now, account = self.agenda.now, one.account
        if one.issued_at and account.ca.up(now):
            self._installed(one)
        elif account.health.down(self.moment) and self._elsewhere(one):
            return
        elif not account.ca.up(now):
            self._busy(account)
            if not (account.failed(self.moment) and self._elsewhere(one)):
                self._left_open(one, 0)
        elif one.finalized:
            if self.moment >= policy.stuck_at(moment(one.at + self.agenda.ahead), another=bool(self.fallbacks)):
                self._close(one)
                self._again(one)
            else:
                self._left_open(one, self.agenda.local + ASK_AGAIN)
        elif now - one.at > PENDING_FOR:
            self._close(one)
            self._again(one)
        else:
            self._begin(one)

    # --- a CA that fails ---------------------------------------------------------------------------------------------

    def _busy(self, account: Account) -> None:
        """Where it says until when, all requests wait for that."""
        now = self.agenda.now
        end = account.ca.asks_later.end_of(now)
        if end:
            for scope in scopes(Busy(moment(end)), Asked.NEW_ORDER, (), POSIX + now):
                account.ledger.block(scope.kind, scope.subject, scope.block)

    def _down(self, task: Task) -> None:
        """No answer to newOrder: who is next? Without another the ladder says when to try again."""
        host, account = task.host, task.account
        self._busy(account)
        down = account.failed(self.moment)
        if down and self.fallbacks:
            own = self.own(host)
            urgent = task.site.installed is None or _urgent(task.site, self.moment)
            candidates = self.candidates(host, task.site, own)
            choice = policy.choose(candidates, self.moment, installed=task.site.installed, urgent=urgent)
            if choice.provider is not None and choice.provider.name != account.facts.name:
                task.account = self.named(choice.provider.name)
                task.wanted = policy.need(task.site, task.account.options, self.moment)
                if task.wanted.action in ASKS:
                    self._prove(task)
                    return
        self.end(host)

    # --- certificates ------------------------------------------------------------------------------------------------

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

    def hear(self, host: int) -> None:
        """Ask the CA what it says of a host's certificate (RFC 9773), and look at its lists of revoked ones."""
        rows, now = self.rows, self.agenda.now
        since, until = rows.not_before[host], rows.not_after[host]
        ca = self.everywhere[rows.account[host]].ca
        number = serial(host, since)
        revoked_at = ca.revoked_at(number, since) if ca.moves else 0
        if revoked_at and revoked_at <= now and not rows.revoked[host]:
            rows.revoked[host] = 1
            if not rows.live[host]:
                self.look_at(host, self.agenda.local)
        if not ca.ari:
            return
        if not ca.up(now):
            again = ca.outages.end_of(now) + int(self.draw(host, 4) * HOUR)
            self.agenda.at(again, lambda: self._hear_of(host, since))
            return
        start, end = ca.window(number, since, until, now)
        if (start, end) == (rows.ari_start[host], rows.ari_end[host]):
            return
        window = Window(moment(start), moment(end))
        earlier = None
        if rows.ari_end[host]:
            earlier = Window(moment(rows.ari_start[host]), moment(rows.ari_end[host]))
        forward = rows.forward_until[host]
        last = moment(forward) if forward else None
        forward_until = hints.forward_until(window, earlier, last, moment(since), moment(until))
        rows.ari_start[host], rows.ari_end[host] = start, end
        rows.renewal_at[host] = second(hints.draw_at(window, self.draw(host, 5)))
        rows.forward_until[host] = second(forward_until) if forward_until is not None else 0
        self._bring_forward(host)

    def _hear_of(self, host: int, since: int) -> None:
        if not self.on:
            self.agenda.at(self.agenda.now + HOUR, lambda: self._hear_of(host, since))
        elif self.rows.not_before[host] == since:
            self.hear(host)

    def hear_by_and_by(self, host: int, within: int) -> None:
        """Have a host's certificate asked for when its turn comes within so many seconds."""
        at, since = self.agenda.now + int(self.draw(host, 6) * within), self.rows.not_before[host]
        self.agenda.at(at, lambda: self._hear_of(host, since))

    def _bring_forward(self, host: int) -> None:
        """A host that would be looked at later than the hint wants is looked at then, unless something else holds it."""
        rows = self.rows
        if rows.live[host]:
            return
        since, until = rows.not_before[host], rows.not_after[host]
        at = max(min(rows.renewal_at[host], until - (until - since) // 10), self.agenda.local)
        if rows.next_at[host] > at and rows.held_until[host] <= at and rows.retry_at[host] <= at:
            self.look_at(host, at)

    # --- the panel itself --------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Everything of the panel is killed: threads, runners, sweeps."""
        self.on = False
        for one in list(self.orders.values()):
            if one.host not in self.rows.opened:
                one.ticket += 1
                self.slots += 1
                if one.probe:
                    one.probe, one.account.probing = False, one.account.probing - 1
                self._left_open(one, self.agenda.local)

    def start(self) -> None:
        """The panel is back: what is queued goes on, what is due is surveyed with the next minute."""
        self.on = True
        self.new_round()
        self.pump()


def _urgent(site: SiteFacts, now: datetime) -> bool:
    installed = site.installed
    return installed is not None and now >= installed.defer_until


def _owner(account: Account, wait: Wait) -> str:
    return account.ca.name if wait.kind in PROVIDER_WIDE else account.facts.name
