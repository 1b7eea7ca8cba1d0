"""What the panel knows of each host, as its database would: compact arrays, and small objects only for what fails.

The frozen facts of the decisions are built from it when something happens to a host, and not kept. Nothing is decided.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from autossl_panel.autossl.facts import InstalledFacts, NameFacts, Refused, SiteFacts

from .estate import Estate
from .times import moment

KEY_TYPES = ("p256", "p384", "rsa2048", "rsa4096")
HELD = ("", "rate_limited", "providers_down", "ca_paused", "ca_server")
DEFECTS = ("", "expired", "revoked", "mismatch", "weak", "chain")
_DAY = timedelta(days=1)
# Names of so many hosts are kept ready; most are asked for several times within seconds
_READY = 40_000


@dataclass(slots=True)
class NameRow:
    """The verdict of a name that does not simply pass, and what CAs said of it (since, until, times)."""

    code: str = ""
    attempts: int = 0
    retry_at: datetime | None = None
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_passed_at: datetime | None = None
    refusals: dict[str, tuple[datetime, datetime, int]] = field(default_factory=dict)


class Rows:
    """One entry a host; moments are seconds, 0 is none. `covered` are the bits of the names of its certificate."""

    def __init__(self, estate: Estate) -> None:
        self.estate = estate
        none = array("I", bytes(4 * len(estate)))
        small = array("B", bytes(len(estate)))
        self.not_before, self.not_after, self.last_passed = none[:], none[:], none[:]
        self.ari_start, self.ari_end, self.renewal_at, self.forward_until = none[:], none[:], none[:], none[:]
        self.retry_at, self.held_until, self.last_extend, self.next_at = none[:], none[:], none[:], none[:]
        self.attempts = array("H", bytes(2 * len(estate)))
        self.covered = array("Q", bytes(8 * len(estate)))
        self.account, self.key = small[:], small[:]  # by whom and of which type its certificate is
        self.held_why, self.held_by, self.caused = small[:], small[:], small[:]
        self.revoked, self.replaced, self.live = small[:], small[:], small[:]
        self.verdicts: dict[int, dict[int, NameRow]] = {}
        self.recent: dict[int, tuple[tuple[datetime, str, tuple[str, ...]], ...]] = {}
        self.opened: dict[int, str] = {}  # hosts with an open order, and its status
        self.accounts: list[str] = []  # names of the providers, by number
        self._ready: dict[int, tuple[tuple[str, ...], tuple[NameFacts, ...]]] = {}
        self._certificates: dict[int, tuple[tuple[int, ...], InstalledFacts]] = {}

    def facts(self, host: int, now: datetime) -> SiteFacts:
        """All that decisions look at."""
        retry, held, why = self.retry_at[host], self.held_until[host], self.held_why[host]
        extended = self.last_extend[host]
        texts, names = self._names(host)
        if host in self.verdicts:
            names = self._judged(host, names)
        recent = self.recent.get(host, ())
        if recent:
            recent = tuple([one for one in recent if one[0] > now - _DAY])
        return SiteFacts(
            None,
            names,
            self._installed(host, texts, now) if self.not_after[host] else None,
            self.opened.get(host),
            None,
            moment(retry) if retry else None,
            moment(held) if held else None,
            HELD[why] if why else None,
            self.accounts[self.held_by[host]] if why else "",
            False,
            moment(self.estate.seen_at[host]) if extended else None,
            moment(extended) if extended else None,
            recent,
            DEFECTS[self.caused[host]] or None,
        )

    def names(self, host: int) -> tuple[str, ...]:
        """Its wished names, the main domain first."""
        return self._names(host)[0]

    def _names(self, host: int) -> tuple[tuple[str, ...], tuple[NameFacts, ...]]:
        """The names, and the same as facts that nothing is known of."""
        found = self._ready.get(host)
        if found is None or len(found[0]) != self.estate.counts[host]:
            if len(self._ready) >= _READY:
                self._ready.clear()
            texts = self.estate.names(host)
            added = self.estate.added
            found = texts, tuple([NameFacts(text, k == 0, added(host, k)) for k, text in enumerate(texts)])
            self._ready[host] = found
        return found

    def _judged(self, host: int, names: tuple[NameFacts, ...]) -> tuple[NameFacts, ...]:
        """The names with their verdicts."""
        passed = self.last_passed[host]
        since = moment(passed) if passed else None
        found = list(names)
        for k, row in self.verdicts[host].items():
            refusals = tuple([Refused(who, first, until) for who, (first, until, _times) in row.refusals.items()])
            known = names[k]
            found[k] = NameFacts(
                known.name,
                known.main,
                known.added,
                None,
                row.retry_at,
                row.first_failed_at,
                row.last_failed_at,
                row.last_passed_at or since,
                False,
                refusals,
            )
        return tuple(found)

    def _installed(self, host: int, names: tuple[str, ...], now: datetime) -> InstalledFacts:
        until, since, covered = self.not_after[host], self.not_before[host], self.covered[host]
        renewal, forward, revoked = self.renewal_at[host], self.forward_until[host], self.revoked[host]
        known = self._certificates.get(host)
        said = since, renewal, forward, revoked, covered, until
        if known is not None and known[0] == said and known[1].not_after > now:
            return known[1]
        if covered != (1 << len(names)) - 1:
            names = tuple([name for k, name in enumerate(names) if covered >> k & 1])
        not_after = moment(until)
        found = InstalledFacts(
            names,
            moment(since),
            not_after,
            True,
            False,
            ("expired",) if not_after <= now else (),
            bool(revoked),
            KEY_TYPES[self.key[host]],
            "",
            "",
            moment(renewal) if renewal else None,
            moment(forward) if forward else None,
        )
        if len(self._certificates) >= _READY:
            self._certificates.clear()
        self._certificates[host] = said, found
        return found

    def certified(self, host: int) -> tuple[str, ...]:
        """The names of its certificate."""
        covered = self.covered[host]
        return tuple([name for k, name in enumerate(self.names(host)) if covered >> k & 1])
