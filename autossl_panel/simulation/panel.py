"""The panel at work on its hosts: sweeps by the minute, jobs in the order of their priority, what each end means.

The work between the decisions, as the heart's survey, claims and endings do it; every decision is the real one. Hosts
wake at the moments that decisions return: nothing here goes through all of them.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from autossl_panel.autossl import policy, priority
from autossl_panel.autossl.facts import Action, Need, Plan, SiteFacts

from .accounts import Account
from .agenda import Agenda
from .judge import Judge
from .rows import HELD, Rows
from .times import DAY, MINUTE, moment, second, share
from .weather import Weather

WORK = frozenset({Action.NEW, Action.RENEW, Action.EXTEND, Action.RESUME, Action.INSTALL})
# Of the hosts of a sweep so many are claimed at once with the facts that they were surveyed by
FRESH = 64
_HOST, _TURN, _EXPIRY = 24, 32, 32


@dataclass(frozen=True, slots=True)
class Manner:
    """How a panel works: what it draws comes from `seed`; so many orders at once, of about so many seconds each.

    `daily`: every host is looked at every day, to compare with.
    """

    seed: int = 1
    in_flight: int = 8
    order_seconds: float = 5.0
    daily: bool = False


class Panel:
    """Subclassed by what places the orders: `work` takes up one claimed job. `former` accounts are asked no more."""

    def __init__(
        self,
        rows: Rows,
        weather: Weather,
        agenda: Agenda,
        accounts: list[Account],
        fallbacks: list[Account],
        judge: Judge,
        *,
        former: list[Account],
        manner: Manner,
    ) -> None:
        self.rows, self.weather, self.agenda, self.judge = rows, weather, agenda, judge
        self.accounts, self.fallbacks = accounts, fallbacks
        # Where certificates came from, by number
        self.everywhere = [*accounts, *fallbacks, *former]
        rows.accounts = [account.facts.name for account in self.everywhere]
        self.manner, self.slots = manner, manner.in_flight
        self.on = True
        self.moment = moment(agenda.local)
        self.asked = 0
        self.surveyed = 0
        self._queue: list[int] = []
        self._fresh: dict[int, tuple[SiteFacts, Need, Account]] = {}
        self._rest: set[int] = set()  # without a moment of their own: the daily check looks at them

    # --- time --------------------------------------------------------------------------------------------------------

    def live(self, until: int) -> None:
        """Go on from one thing that happens to the next."""
        agenda = self.agenda
        while True:
            event, sweep = agenda.next_event(), agenda.next_sweep() if self.on else until
            if min(event, sweep) >= until:
                break
            if event <= sweep:
                happens = agenda.pop_event()
                self._tick()
                happens()
            else:
                agenda.go_to(sweep)
                self._tick()
                self.survey(agenda.pop_due())
        agenda.go_to(until)
        self._tick()

    def _tick(self) -> None:
        self.moment = moment(self.agenda.local)

    def draw(self, host: int, salt: int) -> float:
        """What would be drawn at random here, alike in every play of the same seed."""
        return share(self.manner.seed, host, self.agenda.now, salt)

    def check_daily(self) -> None:
        """The daily check: hosts without a moment of their own, and those with an open order, which any check goes on
        with. All others would be told what they know; all of them are looked at where somebody asks for that.
        """
        early = -self.agenda.local % MINUTE
        if early:  # by the panel's clock it comes with a minute, like every sweep
            self.agenda.at(self.agenda.now + early, self.check_daily)
            return
        hosts: Iterable[int] = (
            range(len(self.rows.next_at)) if self.manner.daily else sorted(self._rest | self.rows.opened.keys())
        )
        self._rest = set()
        if self.on:
            seen, now = self.rows.estate.seen_at, self.agenda.now
            self.survey([host for host in hosts if seen[host] <= now], all_of_them=True)
        self.agenda.at(self.agenda.now + DAY, self.check_daily)

    def make_due(self, hosts: Iterable[int]) -> None:
        """Have hosts looked at in the next sweep."""
        now = self.agenda.local
        for host in hosts:
            self.look_at(host, now)

    def look_at(self, host: int, at: int) -> None:
        """Have a host looked at from a moment of the panel's clock on."""
        self.rows.next_at[host] = at
        self.agenda.wait(host, at)

    # --- survey and claims -------------------------------------------------------------------------------------------

    def survey(self, hosts: list[int], *, all_of_them: bool = False) -> None:
        """Look at hosts whose moment has come; jobs for those in need, in the order of user, class, turn, expiry."""
        rows, now = self.rows, self.agenda.local
        next_at, live, not_after = rows.next_at, rows.live, rows.not_after
        jobs = []
        for host in hosts:
            if live[host] or not (all_of_them or 0 < next_at[host] <= now):
                continue
            self.surveyed += 1
            site, wanted, account = self.look(host)
            if wanted.action not in WORK:
                if wanted.action != Action.WAIT:
                    self.judge.rests(host)
                self.rest(host, wanted)
                continue
            live[host] = 1
            job_class = priority.job_class(wanted, site, self.moment)
            jobs.append((rows.estate.users[host], job_class, not_after[host] or now, host, wanted.reason == "key_type"))
            if len(self._fresh) < FRESH:
                self._fresh[host] = site, wanted, account
        if jobs:
            jobs.sort()
            self._queue_up(jobs)
        self.pump()
        self._fresh.clear()

    def _queue_up(self, jobs: list[tuple[int, int, int, int, bool]]) -> None:
        user = nth = 0
        for owner, job_class, _expiry, host, reissue in jobs:
            user, nth = owner, nth + 1 if owner == user else 0
            turn = priority.turn(nth, REISSUE if reissue else OTHER)
            key = ((job_class << _TURN | turn) << _EXPIRY | self.rows.not_after[host]) << _HOST | host
            heapq.heappush(self._queue, key)

    def look(self, host: int) -> tuple[SiteFacts, Need, Account]:
        """The facts of a host, what it needs, and at which account: another than its own where that one cannot."""
        site = self.rows.facts(host, self.moment)
        own = self.own(host)
        self.asked += 1
        wanted = policy.need(site, own.options, self.moment)
        if wanted.action in WORK or not self.fallbacks:
            return site, wanted, own
        another = self.instead(host, wanted, wanted, site, own, ())
        if another is None:
            return site, wanted, own
        there = policy.need(site, another.options, self.moment)
        return (site, there, another) if there.action in WORK else (site, wanted, own)

    def own(self, host: int) -> Account:
        """The account of a host's user."""
        accounts = self.accounts
        return accounts[self.rows.estate.users[host] % len(accounts)] if len(accounts) > 1 else accounts[0]

    def named(self, name: str) -> Account:
        """The account at the provider of that name."""
        return next(account for account in self.everywhere if account.facts.name == name)

    def instead(
        self, host: int, decided: Need | Plan, wanted: Need, site: SiteFacts, at: Account, tried: Collection[str]
    ) -> Account | None:
        """The account to ask next where `at` costs names, or time that the host has not."""
        raise NotImplementedError

    def pump(self) -> None:
        """Take up jobs while there is a place to work on an order."""
        while self._queue and self.slots > 0 and self.on:
            key = heapq.heappop(self._queue)
            host = key & (1 << _HOST) - 1
            fresh = self._fresh.pop(host, None)
            site, wanted, account = fresh if fresh is not None else self.look(host)
            if wanted.action in WORK:
                key >>= _HOST + _EXPIRY
                self.work(host, site, wanted, account, priority.rank(key >> _TURN, key & (1 << _TURN) - 1))
            else:
                self.end(host)

    def work(self, host: int, site: SiteFacts, wanted: Need, account: Account, rank: int) -> None:
        """Take up a claimed job."""
        raise NotImplementedError

    # --- how jobs end ------------------------------------------------------------------------------------------------

    def rest(self, host: int, wanted: Need) -> None:
        """Nothing is done now: when it is looked at again."""
        if wanted.until is None:
            self.rows.next_at[host] = 0
            self._rest.add(host)
        else:
            self.look_at(host, second(wanted.until))

    def end(self, host: int, until: datetime | None = None) -> None:
        """A job has ended without a certificate: what is still in need climbs the ladder, no longer than `until`."""
        rows = self.rows
        rows.live[host] = 0
        self.judge.rests(host)
        site, wanted, _account = self.look(host)
        if wanted.action not in WORK:
            self.rest(host, wanted)
            return
        rows.attempts[host] = attempts = min(rows.attempts[host] + 1, 60000)
        rung = policy.retry_at(attempts, site.installed, self.moment, self.draw(host, 1))
        at = second(rung if until is None or until <= self.moment else min(until, rung))
        if wanted.action != Action.RESUME:
            rows.retry_at[host] = at
        self.look_at(host, at)

    def hold(self, host: int, account: Account, why: str, until: datetime | None) -> None:
        """A job ends because a CA or a limit holds its host at a provider until then (None: until somebody acts)."""
        rows = self.rows
        rows.live[host] = 0
        rows.held_why[host], rows.held_by[host] = HELD.index(why), account.number
        rows.held_until[host] = second(until) if until is not None else 0
        _site, wanted, _account = self.look(host)
        if wanted.action in WORK:
            # Another provider takes it, or it is no hold to the rules: at the next sweep.
            self.look_at(host, self.agenda.local + MINUTE)
        else:
            self.rest(host, wanted)

    def secured(self, host: int, *, extended: bool) -> None:
        """A job has ended with a certificate: nothing holds its host any more."""
        rows = self.rows
        rows.attempts[host] = rows.retry_at[host] = rows.held_until[host] = rows.held_why[host] = 0
        if extended:
            rows.last_extend[host] = self.agenda.local
        self.end(host)


OTHER = Need(Action.RENEW, "due")
REISSUE = Need(Action.RENEW, "key_type")
