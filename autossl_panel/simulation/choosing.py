"""Whom a simulated panel asks for a certificate: accounts as they stand, what a wish asks of their limits, the choice.

As the heart's `choosing` and `room` do it; every choice is the real one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from autossl_panel.autossl import policy, urgency
from autossl_panel.autossl.facts import Action, Need, Plan, SiteFacts
from autossl_panel.autossl.ledger import Purpose, Wait, Wish, order, order_kind
from autossl_panel.autossl.policy import Candidate, hints
from autossl_panel.autossl.policy.hints import Predecessor, Window

from .accounts import Account
from .panel import Panel
from .room import Room
from .times import POSIX, moment

ASKS = frozenset({Action.NEW, Action.RENEW, Action.EXTEND})


@dataclass(slots=True)
class Task:
    """A claimed job on its way; `rank` is its place among all that wait."""

    host: int
    site: SiteFacts
    wanted: Need
    account: Account
    rank: int
    orders: Counter[str] = field(default_factory=Counter)  # placed, by provider


class Choosing(Panel):
    """A panel that knows whom to ask."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.room = Room()

    def instead(
        self, host: int, decided: Need | Plan, wanted: Need, site: SiteFacts, at: Account, tried: Collection[str]
    ) -> Account | None:
        """The account to ask next where `at` costs names, or time that the host has not."""
        accounts = (self.own(host), *self.fallbacks)
        well = [account.candidate(None) for account in accounts]
        if policy.instead(decided, site, at.facts, well, self.moment, tried=tried) is None:
            return None  # whatever limits there are
        names = tuple([name.name for name in site.names if name.wanted])
        purpose = urgency.purpose_of(wanted, site, self.moment)
        judged = [self._judged(account, host, site, names, purpose, 0)[0] for account in accounts]
        found = policy.instead(decided, site, at.facts, judged, self.moment, tried=tried)
        return None if found is None else self.named(found.name)

    def _judged(
        self, account: Account, host: int, site: SiteFacts, names: Sequence[str], purpose: Purpose, rank: int
    ) -> tuple[Candidate, Wait | None]:
        """An account as a choice, and the limit that stands against it now."""
        if account.health.down(self.moment):
            return account.candidate(None), None
        now = POSIX + self.agenda.now
        wish, _replaces = self._wish(account, host, names, self._mask(host, names), purpose)
        held = self.room.wait(account, wish, rank, now)
        if held is None:
            return account.candidate(None), None
        if held.until is None:
            return account.candidate(None, paused=True), held
        if self._probes(site, held):
            return account.candidate(None), None
        return account.candidate(self._told(held)), held

    def _probes(self, site: SiteFacts, held: Wait) -> bool:
        """Whether a CA's refusal outlasts the certificate, so that it is found out now whether it still holds."""
        if not held.detail or held.until is None:
            return False
        asked = None if held.asked is None else self._ours(held.asked)
        return urgency.probe_is_due(site, self._told(held), asked, self.moment)

    def _told(self, held: Wait) -> datetime:
        """The moment of a wait by the panel's clock."""
        assert held.until is not None
        return self._ours(held.until)

    def _ours(self, at: float) -> datetime:
        return moment(-int(-(at - POSIX) // 1) + self.agenda.ahead)

    def _choose(self, task: Task, names: tuple[str, ...]) -> bool:
        """Whom to ask for a certificate for these names; False where the job has ended, for nobody can be."""
        host, site = task.host, task.site
        candidates: list[Candidate] = []
        limits: list[tuple[Account, Wait]] = []
        purpose = urgency.purpose_of(task.wanted, site, self.moment)
        for account in (self.own(host), *self.fallbacks):
            candidate, held = self._judged(account, host, site, names, purpose, task.rank)
            candidates.append(candidate)
            if held is not None:
                limits.append((account, held))
            elif not account.health.down(self.moment):
                break  # nobody behind it matters
        late = urgency.late(site, self.moment)
        choice = policy.choose(candidates, self.moment, installed=site.installed, urgent=late)
        if choice.provider is None:
            self._nobody(task, choice, limits)
            return False
        if choice.provider.name == task.account.facts.name:
            return True
        task.account = self.named(choice.provider.name)
        task.wanted = policy.need(site, task.account.options, self.moment)
        if task.wanted.action in ASKS:
            return True
        self.end(host, task.wanted.until)
        return False

    def _nobody(self, task: Task, choice: policy.Choice, limits: Sequence[tuple[Account, Wait]]) -> None:
        """A job that nobody can be asked for: it waits, held at its own provider."""
        now = self.agenda.now
        if choice.reason in ("rate_limited", "ca_paused") and limits:
            account, held = limits[0]
            self.judge.waits(task.host, held.kind, now)
            if choice.until is not None and choice.until == self._told(held):
                self.room.promise(account, held, task.rank, POSIX + now)
        until = choice.until
        if until is not None:
            until = urgency.latest(task.site, task.account.options.provider, until, self.moment)
        self.hold(task.host, self.own(task.host), choice.reason, until)

    # --- what an order asks of the limits -----------------------------------------------------------------------------

    def _mask(self, host: int, names: Sequence[str]) -> int:
        texts = self.rows.names(host)
        if len(names) == len(texts):
            return (1 << len(texts)) - 1
        mine = set(names)
        return sum(1 << k for k, text in enumerate(texts) if text in mine)

    def _wish(
        self, account: Account, host: int, names: Sequence[str], mask: int, purpose: Purpose, *, probe: bool = False
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
        return order(kind, names, purpose=purpose, probe=probe, domains=domains, subject=f"{host}.{mask}"), replaces
