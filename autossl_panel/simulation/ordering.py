"""From a claimed job to a certificate: the choice of a provider, preflight, the plan, a permit, the order at a fake CA.

As the heart's ordering threads do it; every decision, choice and permit is the real one. Each request is made of the
CA at the second it is made, and what the CA says is heard there and then.
"""

from __future__ import annotations

from datetime import timedelta

from autossl_panel.autossl import policy, urgency
from autossl_panel.autossl.facts import Action, Need, Plan, SiteFacts
from autossl_panel.autossl.ledger import Wait

from .accounts import Account
from .authorities import Trouble
from .choosing import ASKS, Task
from .oracle import Refusal
from .orders import Ends, Order
from .rows import KEY_TYPES
from .times import DAY, POSIX, moment, second

# A first order at each provider, and one more for what the CA left of it
MOST_ORDERS = 2
# How long a thread waits for the CA before it lets go
PATIENCE = 75
# An open order that nobody worked on for so long is gone at the CA
PENDING_FOR = 7 * DAY


class Orders(Ends):
    """A panel that orders."""

    def work(self, host: int, site: SiteFacts, wanted: Need, account: Account, rank: int) -> None:
        """Take up a claimed job."""
        if wanted.action == Action.RESUME:
            self._resume(self.orders[host], rank)
            return
        task = Task(host, site, wanted, account, rank)
        if account is not self.own(host) or self._choose(task, wanted.names):
            self._prove(task)

    # --- proof and plan ----------------------------------------------------------------------------------------------

    def _prove(self, task: Task) -> None:
        """Ask its names, and do what the plan says."""
        tried = set[str]()
        while True:
            plan = self._planned(task)
            if not self.fallbacks:
                break
            tried.add(task.account.facts.name)
            another = self.instead(task.host, plan, task.wanted, task.site, task.account, tried)
            if another is None:
                break
            wanted = policy.need(task.site, another.options, self.moment)
            if wanted.action not in ASKS:
                break
            task.account, task.wanted = another, wanted
        if plan.action == Action.ORDER:
            self._place(task, plan)
        else:
            self.end(task.host, plan.until)

    def _planned(self, task: Task) -> Plan:
        host, prover, site = task.host, self.prover, task.site
        found = prover.ask(host, task.wanted.names, self.agenda.now)
        if prover.record(host, found, site.installed, self.moment, self.draw(host, 2), self.agenda.now):
            task.site = site = self.rows.facts(host, self.moment)
        given = task.wanted, found, site, task.account.options, self.moment
        plan = policy.plan(*given)
        if plan.reason != policy.REDUCED or not prover.suspended(self.agenda.now, self.moment):
            return plan
        return policy.plan(*given, reductions_suspended=True)

    # --- order -------------------------------------------------------------------------------------------------------

    def _place(self, task: Task, plan: Plan) -> None:
        """Take a permit and place the order; a CA that cannot even be spoken to costs none."""
        host, account, now = task.host, task.account, self.agenda.now
        trouble = account.ca.trouble(now)
        if trouble in (Trouble.DARK, Trouble.TOLD):
            self._down(task, trouble)
            return
        mask = self._mask(host, plan.names)
        purpose = urgency.purpose_of(task.wanted, task.site, self.moment)
        wish, replaces = self._wish(account, host, plan.names, mask, purpose)
        granted = account.ledger.ask(wish, POSIX + now)
        if isinstance(granted, Wait) and self._probes(task.site, granted):
            wish, replaces = self._wish(account, host, plan.names, mask, purpose, probe=True)
            granted = account.ledger.ask(wish, POSIX + now)
        if isinstance(granted, Wait):
            # Not all names passed: what is left of them has another limit in its way.
            if account is self.own(host) and self._choose(task, plan.names):
                self.end(host)
            elif account is not self.own(host):
                self.hold(host, account, "rate_limited", self._told(granted) if granted.until is not None else None)
            return
        self.judge.permitted(host, now)
        if trouble is not None:
            # It counts as an order, perhaps; no certificate comes of it.
            account.ledger.lost(granted)
            self._down(task, trouble)
            return
        placed = account.ca.oracle.new_order(account.facts.name, plan.names, now, replaces=replaces)
        refused = isinstance(placed, Refusal)
        self.judge.ordered(host, mask, str(wish.kind), now, refused=refused)
        if isinstance(placed, Refusal):
            self.hold(host, account, "rate_limited", self.moment + timedelta(hours=1))
            return
        account.ledger.taken(granted)
        if replaces:
            self.rows.replaced[host] = 1
        task.orders[account.facts.name] += 1
        key = KEY_TYPES.index(account.options.key_type)
        one = Order(host, account, plan.names, mask, plan.reason, key, granted, placed, now, task.rank, task.orders)
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
        ticket, takes = one.ticket, account.ca.takes(one.host, now, self.manner.order_seconds)
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
            self._wait_for(one)
        self.pump()

    def _leave(self, one: Order) -> bool:
        """The thread is free again; whether the CA answers."""
        account = one.account
        self.slots += 1
        if one.probe:
            one.probe = False
            account.probing -= 1
        trouble = account.ca.trouble(self.agenda.now)
        if trouble is None:
            account.worked(self.moment)
            return True
        self._faulty(account, trouble)
        if not self._elsewhere(one):
            self._left_open(one, 0)
        return False

    def _elsewhere(self, one: Order) -> bool:
        """Whether the order is given up because another provider is asked."""
        host = one.host
        if not self.fallbacks:
            return False
        site = self.rows.facts(host, self.moment)
        wanted = policy.need(site, one.account.options, self.moment)
        accounts = (self.own(host), *self.fallbacks)
        purpose = urgency.purpose_of(wanted, site, self.moment)
        judged = [self._judged(account, host, site, one.names, purpose, one.rank)[0] for account in accounts]
        late = urgency.late(site, self.moment)
        choice = policy.choose(judged, self.moment, installed=site.installed, urgent=late)
        if choice.provider is None or choice.provider.name == one.account.facts.name:
            return False
        self._close(one)
        self._once_more(one, self.named(choice.provider.name))
        return True

    def _once_more(self, one: Order, account: Account) -> None:
        """Go on elsewhere: by the rules of that provider."""
        site = self.rows.facts(one.host, self.moment)
        wanted = policy.need(site, account.options, self.moment)
        if wanted.action in ASKS:
            self._prove(Task(one.host, site, wanted, account, one.rank, one.before))
        else:
            self.end(one.host, wanted.until)

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
        installed = self.rows.facts(host, self.moment).installed
        self.prover.refused(host, bad, account.facts.name, installed, self.moment)
        self._again(one)
        return False

    def _again(self, one: Order) -> None:
        """An order is over without a certificate: at most one further, where the rules still want one."""
        if one.before[one.account.facts.name] < MOST_ORDERS:
            site, wanted, account = self.look(one.host)
            if wanted.action in ASKS:
                task = Task(one.host, site, wanted, account, one.rank, one.before)
                if account is not self.own(one.host) or self._choose(task, wanted.names):
                    self._prove(task)
                return
        self.end(one.host)

    def _resume(self, one: Order, rank: int) -> None:
        """A job with an open order goes on with it."""
        now, account = self.agenda.now, one.account
        one.rank = rank
        trouble = account.ca.trouble(now)
        if self.agenda.local < one.again_at:
            self._left_open(one, one.again_at)
        elif one.issued_at and trouble is None:
            self._installed(one)
        elif account.health.down(self.moment) and self._elsewhere(one):
            return
        elif trouble is not None:
            self._faulty(account, trouble)
            if not self._elsewhere(one):
                self._left_open(one, 0)
        elif one.finalized:
            if self.moment >= policy.stuck_at(moment(one.at + self.agenda.ahead), another=bool(self.fallbacks)):
                account.failed(self.moment)
                self._close(one)
                if self.fallbacks:
                    self._once_more(one, self.fallbacks[0])
                else:
                    self.end(one.host)
            else:
                self._wait_for(one)
        elif now - one.at > PENDING_FOR:
            self._close(one)
            self._again(one)
        else:
            self._begin(one)

    # --- a CA that fails ---------------------------------------------------------------------------------------------

    def _down(self, task: Task, trouble: Trouble) -> None:
        """No good answer to newOrder: the next provider at once, else when the CA says, else as the ladder does."""
        host, account, site = task.host, task.account, task.site
        until = self._faulty(account, trouble)
        if self.fallbacks:
            accounts = (self.own(host), *self.fallbacks)
            purpose = urgency.purpose_of(task.wanted, site, self.moment)
            names = task.wanted.names
            judged = [self._judged(one, host, site, names, purpose, task.rank)[0] for one in accounts]
            late = urgency.late(site, self.moment)
            choice = policy.choose(judged, self.moment, installed=site.installed, urgent=late)
            if choice.provider is not None and choice.provider.name != account.facts.name:
                task.account = self.named(choice.provider.name)
                task.wanted = policy.need(site, task.account.options, self.moment)
                if task.wanted.action in ASKS:
                    self._prove(task)
                    return
        if until is not None:
            self.hold(host, account, "ca_server", until)
        else:
            self.end(host)

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
        self.pump()
