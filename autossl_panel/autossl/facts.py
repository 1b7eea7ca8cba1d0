"""The frozen facts that AutoSSL decides over, and the decisions themselves. No Django, no clock, no I/O.

`policy` and `priority` both stand on these; whoever reads rows builds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

ZERO = timedelta(0)
DAY = timedelta(days=1)
# No try is put off for longer by us, of a site or of a name (`policy.times`), nor does a refusal of a name hold longer
LONGEST_OF_A_SITE, LONGEST_OF_A_NAME = 1.2 * DAY, 8 * DAY


class Action(StrEnum):
    """What is to be done with a virtual host. SKIP to KEEP are answers of `need`; `plan` adds ORDER, DEFER, FAIL."""

    SKIP = "skip"
    HOLD = "hold"
    WAIT = "wait"
    RESUME = "resume"
    INSTALL = "install"
    NEW = "new"
    RENEW = "renew"
    EXTEND = "extend"
    KEEP = "keep"
    ORDER = "order"
    DEFER = "defer"
    FAIL = "fail"


def holds(until: datetime, now: datetime, longest: timedelta) -> bool:
    """Whether what holds until then does so now: what would for longer than anything is put off was written while this
    host's clock ran ahead, and says nothing.
    """
    return now < until <= now + longest


@dataclass(frozen=True, slots=True)
class Refused:
    """A provider's CA refused a name although our preflight passed: its word stands from `since` to `until`."""

    provider: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class ExcludedBy:
    """The pattern that ends a wish, and whose it is: `server`, `reseller`, `feature_list` or `user`."""

    level: str
    pattern: str


@dataclass(frozen=True, slots=True)
class NameFacts:
    """One wished name and what happened to it; `first_failed_at` opens its present row of failures.

    `barred` are the providers that CAA forbids, as preflight saw it last: where it says any, that was what failed, and
    `retry_at` holds at those only.
    """

    name: str
    main: bool = False
    added: bool = False  # a www. that the panel added
    not_wanted: str | None = None  # why it cannot be asked for now (rules §1)
    retry_at: datetime | None = None
    first_failed_at: datetime | None = None
    last_failed_at: datetime | None = None
    last_passed_at: datetime | None = None
    ended: bool = False  # excluded: no longer wished
    refusals: tuple[Refused, ...] = ()
    barred: tuple[str, ...] = ()
    excluded_by: ExcludedBy | None = None  # None where its hosting user excluded it by name

    @property
    def wanted(self) -> bool:
        """Wished, and it can be asked for now."""
        return self.not_wanted is None and not self.ended

    def refused(self, provider: str, now: datetime) -> Refused | None:
        """The refusal of this provider's CA that stands at `now`."""
        for one in self.refusals:
            if one.provider == provider and holds(one.until, now, LONGEST_OF_A_NAME):
                return one
        return None

    def held(self, provider: str, now: datetime) -> tuple[datetime, str] | None:
        """Until when it is not asked for at this provider, and whether we or its CA hold it; None where it may be."""
        found: tuple[datetime, str] | None = None
        ours = self.retry_at
        if ours is not None and holds(ours, now, LONGEST_OF_A_NAME) and (not self.barred or provider in self.barred):
            found = ours, "held_back"
        refused = self.refused(provider, now) if self.refusals else None
        if refused is not None and (found is None or refused.until >= found[0]):
            found = refused.until, "ca_refused"
        return found


@dataclass(frozen=True, slots=True)
class InstalledFacts:
    """The certificate that the web server's configuration names for a virtual host."""

    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    ours: bool
    self_signed: bool = False
    defects: tuple[str, ...] = ()  # of pki.defects
    revoked: bool = False
    key_type: str | None = None
    serial: str = ""
    fingerprint: str = ""
    renewal_at: datetime | None = None  # the moment drawn inside the ARI window
    ari_end: datetime | None = None  # the end of an ARI window that the CA brought forward

    @property
    def lifetime(self) -> timedelta:
        """From the first to the last moment of validity."""
        return self.not_after - self.not_before

    @property
    def defer_until(self) -> datetime:
        """How long a renewal may wait for failing names: shortly before expiry (3 days of 90, 24 h of 160)."""
        lifetime = self.lifetime
        moment = self.not_after - min(max(lifetime / 30, DAY), lifetime / 6)
        return min(moment, self.ari_end) if self.ari_end is not None else moment

    def unprotected(self, now: datetime) -> bool:
        """Nothing to lose: expired, revoked, or a placeholder nobody trusts."""
        return self.not_after <= now or self.revoked or self.self_signed


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """What a provider takes. `renew_fraction` is the part of the lifetime left when it is renewed.

    `row` and `account` are the ids of its rows, for whoever places an order; no decision looks at them, nor at `title`.
    """

    name: str
    max_names: int
    wildcard: bool = False
    renew_fraction: float | None = None  # None: the rules' own third (a half of short lives)
    private_ca: bool = False
    profile: str = ""  # "" leaves the choice to the CA
    lifetime: timedelta | None = None  # of what it issued last, else as it states
    caa_identities: tuple[str, ...] = ()
    row: int = 0
    account: int = 0
    title: str = ""  # what people call it, where a line or a problem names it


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """The settings that a site is decided with, its provider among them; sites that are alike share one."""

    provider: ProviderFacts | None
    replace_foreign: bool = False
    key_type: str = "p256"
    reissue_confirmed: bool = False
    clock_offset: timedelta = ZERO  # the CA's Date minus ours
    paused: bool = False  # nothing is ordered or installed until somebody resumes


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """A virtual host before any network is touched.

    `recent_orders` are those that ended in a certificate within the last day, as (moment, reason, names): failures
    have the retry ladder. `last_order_defect` is the defect that caused the newest certificate, where that
    certificate came from a defect.
    """

    off: str | None
    names: tuple[NameFacts, ...]
    installed: InstalledFacts | None = None
    open_order: str | None = None  # its RFC 8555 status
    stored_pair: str | None = None  # 'staged' or 'detached'
    retry_at: datetime | None = None
    held_until: datetime | None = None
    held_reason: str | None = None
    held_provider: str = ""  # whose CA holds it; "" holds at every provider
    takeover: bool = False
    first_seen_at: datetime | None = None
    last_extend_at: datetime | None = None
    recent_orders: tuple[tuple[datetime, str, tuple[str, ...]], ...] = ()
    last_order_defect: str | None = None

    @property
    def main(self) -> str:
        """The main domain: the marked one, else the first name; '' without names."""
        for name in self.names:
            if name.main:
                return name.name
        return self.names[0].name if self.names else ""


# What becomes of the open order of a site that is skipped: signed, it is taken as far as staging; unsigned, given up
FINISH, GIVE_UP = "finish", "give_up"
# Why a site waits for the daily check: an error of our own keeps it from being decided
UNDECIDED = "internal"


@dataclass(frozen=True, slots=True)
class Need:
    """Whether a certificate is needed. `names` are the wanted names, `missing` those the certificate lacks."""

    action: Action
    reason: str
    until: datetime | None = None
    names: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    detail: str | None = None

    @property
    def finishes(self) -> bool:
        """Nothing is wanted any more, but what a CA has signed is fetched."""
        return self.action == Action.SKIP and self.detail == FINISH


@dataclass(frozen=True, slots=True)
class Plan:
    """Whether an order may be placed, and for which names, main domain first.

    `left_out` says why for every wished name that is not in it; `dropped` are the covered ones among them that this
    order loses, or will lose at `until` if nothing changes.
    """

    action: Action
    reason: str
    names: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    until: datetime | None = None
    dropped: tuple[str, ...] = ()
