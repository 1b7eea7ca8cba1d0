"""What a simulated panel hears of its certificates: renewal information (RFC 9773), and which are revoked."""

from __future__ import annotations

from autossl_panel.autossl.policy import hints
from autossl_panel.autossl.policy.hints import Window

from .authorities import serial
from .panel import Panel
from .rows import HELD
from .times import HOUR, moment, second


class Hearing(Panel):
    """A panel that asks CAs about certificates that are there."""

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
                if self._waits(host):
                    self._end_waiting(host)
                self.look_at(host, self.agenda.local)
        if not ca.ari:
            return
        if ca.trouble(now) is not None:
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

    def _waits(self, host: int) -> bool:
        """Whether a host waits for a limit."""
        return HELD[self.rows.held_why[host]] == "rate_limited"

    def _end_waiting(self, host: int) -> None:
        self.rows.held_until[host] = self.rows.held_why[host] = 0

    def _bring_forward(self, host: int) -> None:
        """A host that would be looked at later than the hint wants is looked at then, unless something holds it."""
        rows = self.rows
        if rows.live[host]:
            return
        since, until = rows.not_before[host], rows.not_after[host]
        at = max(min(rows.renewal_at[host], until - (until - since) // 10), self.agenda.local)
        held = rows.held_until[host] > at
        if rows.next_at[host] > at and rows.retry_at[host] <= at and (not held or self._waits(host)):
            if held:
                self._end_waiting(host)
            self.look_at(host, at)
