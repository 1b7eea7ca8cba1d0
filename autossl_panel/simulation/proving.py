"""Preflight of a simulated panel: what it finds is what the weather is, as far as its resolver shows it; verdicts kept
as the heart keeps them.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from autossl_panel.autossl import policy
from autossl_panel.autossl.facts import InstalledFacts
from autossl_panel.autossl.policy.trouble import ALIKE_USERS, BEGAN_WITHIN, LATELY, RECENTLY, Seen, suspend_reductions

from .rows import NameRow, Rows
from .weather import Weather


@dataclass(frozen=True, slots=True)
class Found:
    """What preflight found for a name."""

    outcome: str
    code: str | None = None


PASS, AWAY, BROKEN = Found("pass"), Found("fail", "elsewhere"), Found("fail", "http_status")
UNKNOWN, LIE = Found("unknown", "unknown"), Found("fail", "nxdomain")
# Names with these lead to another server: after a month they are asked once a week
LEAD_AWAY = frozenset({"elsewhere", "nxdomain"})
# Passes of so many seconds are counted together
STEP = 300
LATELY_SECONDS, RECENT_SECONDS = int(LATELY.total_seconds()), int(RECENTLY.total_seconds())


class Prover:
    """Asks names, and writes down what came of it."""

    def __init__(self, rows: Rows, weather: Weather) -> None:
        self.rows, self.weather = rows, weather
        # What the verdicts of all names say of the last day: how many passed that had before, by the moment; which
        # fail, in the order in which they were asked.
        self._passes: deque[list[int]] = deque()
        self._failing: dict[tuple[int, int], int] = {}

    def suspended(self, at: int, now: datetime) -> bool:
        """Whether so many names that passed before fail alike that no failure may cost coverage."""
        while self._passes and self._passes[0][0] <= at - LATELY_SECONDS:
            self._passes.popleft()
        passed = Counter[bool]()
        for moment, number in self._passes:
            passed[moment > at - RECENT_SECONDS] += number
        seen = [Seen("pass", "", number, passed_before=True, recent=recent) for recent, number in passed.items()]
        failed = Counter[tuple[str, bool]]()
        users: dict[tuple[str, bool], set[int]] = {}
        for (host, k), moment in reversed(self._failing.items()):
            if moment <= at - LATELY_SECONDS:
                break
            row = self.rows.verdicts[host][k]
            if row.first_failed_at is not None and row.first_failed_at > now - BEGAN_WITHIN:
                found = row.code, moment > at - RECENT_SECONDS
                failed[found] += 1
                users.setdefault(found, set()).add(self.rows.estate.users[host])
        seen += [
            Seen("fail", code, number, passed_before=True, recent=recent, users=frozenset(users[code, recent]))
            for (code, recent), number in failed.items()
        ]
        return suspend_reductions(seen, self._users())

    def _users(self) -> int:
        """How many users have names that are asked, counted up to what matters."""
        found: set[int] = set()
        for user, passed in zip(self.rows.estate.users, self.rows.last_passed, strict=False):
            if passed:
                found.add(user)
            if len(found) == ALIKE_USERS:
                break
        return len(found)

    def ask(self, host: int, names: Collection[str], at: int) -> dict[str, Found]:
        """What preflight finds for these names of a host."""
        weather = self.weather
        if weather.dead.end_of(at):
            found = dict.fromkeys(names, UNKNOWN)
        elif weather.lying.end_of(at):
            found = dict.fromkeys(names, LIE)
        else:
            found = dict.fromkeys(names, PASS)
            bad = weather.failing(host, at)
            if bad:
                texts = self.rows.names(host)
                fault = BROKEN if host in weather.flapping else AWAY
                found |= {name: fault for k, name in enumerate(texts) if bad >> k & 1 and name in found}
        if self.rows.last_passed[host]:
            passed = sum(one is PASS for one in found.values())
            if self._passes and at < self._passes[-1][0] + STEP:
                self._passes[-1][1] += passed
            elif passed:
                self._passes.append([at, passed])
        return found

    def record(
        self, host: int, found: dict[str, Found], installed: InstalledFacts | None, now: datetime, draw: float, at: int
    ) -> bool:
        """Write verdicts; whether anything stands against any of these names now."""
        known = self.rows.verdicts.get(host)
        if known is None:
            if all(one is PASS for one in found.values()):
                return False
            known = self.rows.verdicts[host] = {}
        texts = self.rows.names(host)
        for k, name in enumerate(texts):
            one = found.get(name)
            if one is None:
                continue
            row = known.get(k)
            if one is PASS:
                if row is not None:
                    self._passed(host, known, k, row, now)
                continue
            if row is None:
                row = known[k] = NameRow()
            row.code = one.code or ""
            if one.outcome == "fail":
                row.first_failed_at = row.first_failed_at or now
                row.last_failed_at = now
                if self.rows.last_passed[host]:
                    self._failing.pop((host, k), None)
                    self._failing[host, k] = at
            if row.retry_at is None or row.retry_at <= now:
                row.attempts += 1
                row.retry_at = policy.retry_at(
                    row.attempts,
                    installed,
                    now,
                    draw,
                    failing_since=row.first_failed_at if not self.rows.covered[host] >> k & 1 else None,
                    points_here=row.code not in LEAD_AWAY,
                )
        if not known:
            del self.rows.verdicts[host]
        return bool(known)

    def _passed(self, host: int, known: dict[int, NameRow], k: int, row: NameRow, now: datetime) -> None:
        row.last_passed_at = now
        if any(until > now for _since, until, _times in row.refusals.values()):
            return  # the CA's word outranks ours
        row.first_failed_at, row.attempts, row.retry_at = None, 0, None
        self._failing.pop((host, k), None)
        if not row.refusals:
            del known[k]

    def refused(self, host: int, bad: int, provider: str, installed: InstalledFacts | None, now: datetime) -> None:
        """Write down which names the CA of a provider refused."""
        covered = self.rows.covered[host]
        known = self.rows.verdicts.setdefault(host, {})
        for k in range(self.rows.estate.counts[host]):
            if bad >> k & 1:
                row = known.setdefault(k, NameRow())
                since, _until, times = row.refusals.get(provider, (now, now, 0))
                row.code, row.last_failed_at = "ca_refused", now
                covering = installed if covered >> k & 1 else None
                row.refusals[provider] = since, policy.refused_until(times + 1, now, covering=covering), times + 1

    def accepted(self, host: int, mask: int, provider: str) -> None:
        """A provider issued a certificate for these names: proven what we doubted, and taken what it once refused."""
        known = self.rows.verdicts.get(host)
        if known is None:
            return
        for k in [k for k in known if mask >> k & 1]:
            row = known[k]
            row.refusals.pop(provider, None)
            self._failing.pop((host, k), None)
            row.first_failed_at, row.attempts, row.retry_at = None, 0, None
            if not row.refusals:
                del known[k]
        if not known:
            del self.rows.verdicts[host]
