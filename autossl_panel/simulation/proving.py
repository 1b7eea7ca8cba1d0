"""Preflight of a simulated panel: what it finds is what the weather is, as far as its resolver shows it; verdicts kept
as the heart keeps them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from autossl_panel.autossl import policy
from autossl_panel.autossl.facts import InstalledFacts
from autossl_panel.autossl.policy.trouble import Seen, troubles

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
NO_TIME = timedelta(0)


class Prover:
    """Asks names, and writes down what came of it."""

    def __init__(self, rows: Rows, weather: Weather) -> None:
        self.rows, self.weather = rows, weather
        self._seen = 0
        self._alike: Counter[str] = Counter()

    def new_round(self) -> None:
        """What the last runner saw is no longer looked at."""
        self._seen = 0
        self._alike.clear()

    @property
    def suspended(self) -> bool:
        """Whether so many names that passed before fail alike that no failure may cost coverage."""
        if not self._alike:
            return False
        failed = sum(self._alike.values())
        seen = [Seen("fail", code, number, passed_before=True) for code, number in self._alike.items()]
        seen.append(Seen("pass", "", self._seen - failed, passed_before=True))
        return any(trouble.code == "failing_alike" for trouble in troubles(seen, NO_TIME))

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
            self._seen += len(found)
            self._alike.update(one.code or "" for one in found.values() if one.outcome == "fail")
        return found

    def record(
        self, host: int, found: dict[str, Found], installed: InstalledFacts | None, now: datetime, draw: float
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
                    self._passed(known, k, row, now)
                continue
            if row is None:
                row = known[k] = NameRow()
            row.code = one.code or ""
            if one.outcome == "fail":
                row.first_failed_at = row.first_failed_at or now
                row.last_failed_at = now
            if row.retry_at is None or row.retry_at <= now:
                row.attempts += 1
                row.retry_at = policy.retry_at(
                    row.attempts,
                    installed,
                    now,
                    draw,
                    failing_since=row.first_failed_at,
                    points_here=row.code not in LEAD_AWAY,
                )
        if not known:
            del self.rows.verdicts[host]
        return bool(known)

    @staticmethod
    def _passed(known: dict[int, NameRow], k: int, row: NameRow, now: datetime) -> None:
        row.last_passed_at = now
        if any(until > now for _since, until, _times in row.refusals.values()):
            return  # the CA's word outranks ours
        row.first_failed_at, row.attempts, row.retry_at = None, 0, None
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
            row.first_failed_at, row.attempts, row.retry_at = None, 0, None
            if not row.refusals:
                del known[k]
        if not known:
            del self.rows.verdicts[host]
