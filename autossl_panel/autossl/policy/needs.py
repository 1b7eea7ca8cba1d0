"""`need`: is a certificate needed? Before any network. The numbers are the rows of rules §2."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from autossl_panel.autossl.facts import (
    DAY,
    FINISH,
    GIVE_UP,
    LONGEST_OF_A_SITE,
    Action,
    InstalledFacts,
    NameFacts,
    Need,
    PolicyOptions,
    ProviderFacts,
    SiteFacts,
    holds,
)
from autossl_panel.autossl.policy.loops import loop_ends_at
from autossl_panel.autossl.policy.times import HOUR, expiring_from, renewal
from autossl_panel.names import covers

CLOCK_TOLERANCE = timedelta(minutes=5)
# A hold of the CA that no time ends: a person has to act there
PERSON_ENDS = frozenset({"ca_paused"})
# Another's certificate is kept that serves nobody well, or will not for long; the worse first
FOREIGN_WORSE = ("foreign_defective", "foreign_expiring")
_DEFECTS = ("expired", "revoked", "mismatch", "weak", "chain")
# What comes over a certificate that had mended it: that the same befell the one before is no loop.
_COMES_LATER = frozenset({"expired", "revoked"})
_WORK = frozenset({Action.NEW, Action.RENEW, Action.EXTEND, Action.RESUME, Action.INSTALL})


def need(site: SiteFacts, options: PolicyOptions, now: datetime) -> Need:
    """Whether this virtual host needs a certificate at `now`, and why. `until` is after `now` wherever it is set.

    While AutoSSL is paused, what would be done is held; `detail` says what that is.
    """
    found = _need(site, options, now)
    if options.paused and found.action in _WORK:
        return Need(Action.HOLD, "paused", None, found.names, found.missing, found.reason)
    return replace(found, detail=None) if options.paused and found.finishes else found


def _need(site: SiteFacts, options: PolicyOptions, now: datetime) -> Need:
    names = [name for name in site.names if name.not_wanted is None and not name.ended]
    provider = options.provider
    if site.off is not None or provider is None or not names:  # 1
        return _skip(site, provider)
    wanted = tuple([name.name for name in names])
    stopped = _before_deciding(site, options, wanted, now)
    if stopped is not None:  # 2 to 5
        return stopped
    installed = site.installed
    if installed is None:  # 6
        return _new(site, names, None, "missing", provider, now)
    missing = _uncovered(names, installed.names)
    if installed.self_signed:  # 6
        return _new(site, names, missing, "self_signed", provider, now)
    if not installed.ours:  # 7, 8
        return _foreign(site, installed, options, names, missing, now)
    defect = _defect(installed, len(missing) == len(names), now)
    renews_at, reason = renewal(installed, provider)
    if defect is not None:  # 9
        found = _new(site, names, missing, defect, provider, now)
        if found.reason != "loop" or found.until is not None:
            return found
        # An order that does not mend the defect is not placed again for it; the renewal that is due is.
        if now < renews_at:
            return replace(found, until=renews_at)
    if now >= renews_at:  # 10
        return _order(site, Action.RENEW, reason, wanted, _texts(missing), now)
    if _reissues(installed, options, renews_at, now):  # 11
        return _order(site, Action.RENEW, "key_type", wanted, _texts(missing), now)
    if missing:  # 12, and 4 for its names
        return _coverage(site, installed, provider, wanted, missing, renews_at, now)
    return Need(Action.KEEP, "ok", renews_at, wanted)  # 13


def _before_deciding(site: SiteFacts, options: PolicyOptions, wanted: tuple[str, ...], now: datetime) -> Need | None:
    if abs(options.clock_offset) > CLOCK_TOLERANCE:  # 2
        return Need(Action.HOLD, "clock", None, wanted)
    if site.open_order is not None:  # 3
        return Need(Action.RESUME, "order_open", None, wanted, detail=site.open_order)
    if site.retry_at is not None or site.held_until is not None or site.held_reason is not None:  # 4
        held = _held(site, options.provider, wanted, now)
        if held is not None:
            return held
    if site.stored_pair is not None and not _foreign_stays(site, now):  # 5
        return Need(Action.INSTALL, site.stored_pair, None, wanted)
    return None


def _skip(site: SiteFacts, provider: ProviderFacts | None) -> Need:
    """Nothing is asked for. `detail` says what becomes of an open order: FINISH into staging, or GIVE_UP."""
    detail = None
    if site.open_order is not None and site.stored_pair != "staged":
        detail = FINISH if site.open_order in ("processing", "valid") else GIVE_UP
    if site.off is not None:
        reason = site.off
    elif provider is None:
        reason = "no_provider"
    else:
        reason = "all_excluded" if site.names and all(name.ended for name in site.names) else "no_names"
    return Need(Action.SKIP, reason, detail=detail)


def _held(site: SiteFacts, provider: ProviderFacts | None, wanted: tuple[str, ...], now: datetime) -> Need | None:
    """The later of the virtual host's own retry and the CA's limit, where one is ahead.

    What the CA of one provider asks for holds at no other.
    """
    until, reason = None, "held_back"
    if not site.held_provider or provider is None or site.held_provider == provider.name:
        until, reason = site.held_until, site.held_reason or "rate_limited"
        if until is None and reason in PERSON_ENDS:
            return Need(Action.HOLD, reason, _late_at(site, now), wanted)
    ladder = site.retry_at
    if ladder is not None and holds(ladder, now, LONGEST_OF_A_SITE) and (until is None or ladder > until):
        until, reason = ladder, "held_back"
    if until is None or until <= now:
        return None
    return Need(Action.WAIT, reason, until, wanted)


def _late_at(site: SiteFacts, now: datetime) -> datetime | None:
    """When a hold without an end is looked at again: another provider may take the site once it can wait no longer."""
    installed = site.installed
    if installed is None or installed.unprotected(now) or installed.defer_until <= now:
        return None
    return installed.defer_until


def _uncovered(names: list[NameFacts], covered: Collection[str]) -> list[NameFacts]:
    if len(covered) > 16:
        covered = frozenset(covered)
    return [name for name in names if name.name not in covered and not covers(covered, name.name)]


def _texts(names: list[NameFacts]) -> tuple[str, ...]:
    return tuple([name.name for name in names])


def _earliest_retry(names: list[NameFacts], provider: ProviderFacts, now: datetime) -> tuple[datetime, str] | None:
    """When the first of these names may be tried again, and who holds it, if none may be tried now."""
    earliest: tuple[datetime, str] | None = None
    for name in names:
        held = name.held(provider.name, now)
        if held is None:
            return None
        if earliest is None or held[0] < earliest[0]:
            earliest = held
    return earliest


def _new(
    site: SiteFacts,
    names: list[NameFacts],
    missing: list[NameFacts] | None,
    reason: str,
    provider: ProviderFacts,
    now: datetime,
) -> Need:
    """A first or a replacing order; it waits while every name is held back (4)."""
    wanted = _texts(names)
    lacking = wanted if missing is None else _texts(missing)
    retry = _earliest_retry(names, provider, now)
    if retry is not None:
        return Need(Action.WAIT, retry[1], retry[0], wanted, lacking, reason)
    return _order(site, Action.NEW, reason, wanted, lacking, now)


def _reissues(installed: InstalledFacts, options: PolicyOptions, renews_at: datetime, now: datetime) -> bool:
    """Whether its key type alone is a reason to order: confirmed, and its own renewal is not near anyway.

    A key type that has no name here is left alone: what is no choice cannot have been chosen away.
    """
    if not options.reissue_confirmed or installed.key_type is None or installed.key_type == options.key_type:
        return False
    return renews_at - now >= installed.lifetime / 6


def _order(
    site: SiteFacts, action: Action, reason: str, wanted: tuple[str, ...], missing: tuple[str, ...], now: datetime
) -> Need:
    """The order that is due, unless the loop breaker holds it."""
    if reason == site.last_order_defect and reason in _DEFECTS and reason not in _COMES_LATER:
        return Need(Action.HOLD, "loop", None, wanted, missing, reason)
    ends_at = loop_ends_at(site, reason, wanted, now)
    if ends_at is not None:
        return Need(Action.HOLD, "loop", ends_at, wanted, missing, reason)
    return Need(action, reason, None, wanted, missing)


def _foreign_defect(site: SiteFacts, installed: InstalledFacts, now: datetime) -> str | None:
    if installed.revoked:
        return "revoked"
    if installed.not_after <= now:
        return "expired"
    if installed.defects:
        return installed.defects[0]
    return None if covers(installed.names, site.main) else "mismatch"


def _foreign_stays(site: SiteFacts, now: datetime) -> bool:
    """Somebody put a sound certificate there: what we hold in store does not push it out."""
    installed = site.installed
    if installed is None or installed.ours or installed.self_signed:
        return False
    return now < expiring_from(installed) and _foreign_defect(site, installed, now) is None


def _foreign(
    site: SiteFacts,
    installed: InstalledFacts,
    options: PolicyOptions,
    names: list[NameFacts],
    missing: list[NameFacts],
    now: datetime,
) -> Need:
    """Another's certificate: kept while it is sound; replaced after that where somebody said so (7, 8)."""
    wanted = _texts(names)
    defect = _foreign_defect(site, installed, now)
    expiring = expiring_from(installed)
    if defect is None and now < expiring:
        return Need(Action.KEEP, "foreign", expiring, wanted, _texts(missing))
    reason = "foreign_expiring" if defect is None else "foreign_defective"
    if (options.replace_foreign or site.takeover) and options.provider is not None:
        return _new(site, names, missing, reason, options.provider, now)
    until = installed.not_after if defect is None else None
    return Need(Action.KEEP, reason, until, wanted, _texts(missing), defect)


def _defect(installed: InstalledFacts, covers_nothing: bool, now: datetime) -> str | None:
    """The first defect of our own certificate, in the table's order."""
    if installed.not_after <= now:
        return "expired"
    if not (installed.defects or installed.revoked or covers_nothing):
        return None
    found = set(installed.defects)
    if installed.revoked:
        found.add("revoked")
    if covers_nothing:
        found.add("mismatch")
    return next((code for code in _DEFECTS if code in found), None)


def _coverage(
    site: SiteFacts,
    installed: InstalledFacts,
    provider: ProviderFacts,
    wanted: tuple[str, ...],
    missing: list[NameFacts],
    renews_at: datetime,
    now: datetime,
) -> Need:
    """Our sound certificate lacks wanted names: extend, or say until when that has to wait (12, 4, 13)."""
    lacking = _texts(missing)
    kept = sum(not name.ended and covers(installed.names, name.name) for name in site.names)
    if kept >= provider.max_names:
        return Need(Action.KEEP, "ok", renews_at, wanted, lacking, "over_limit")
    retry = _earliest_retry(missing, provider, now)
    if retry is not None:
        until = min(retry[0], renews_at)
        # A www. that the panel added and that does not work is left out quietly: the site itself waits for nothing.
        if all(name.added for name in missing):
            return Need(Action.KEEP, "ok", until, wanted, lacking)
        return Need(Action.WAIT, retry[1], until, wanted, lacking)
    rests = _extend_rests_until(site, now)
    if rests is not None:
        return Need(Action.KEEP, "ok", min(rests, renews_at), wanted, lacking)
    return _order(site, Action.EXTEND, "coverage", wanted, lacking, now)


def _extend_rests_until(site: SiteFacts, now: datetime) -> datetime | None:
    """After a site's first hour at most one extend a day."""
    if site.last_extend_at is None or not holds(site.last_extend_at + DAY, now, DAY):
        return None
    if site.first_seen_at is not None and now - site.first_seen_at <= HOUR:
        return None
    return site.last_extend_at + DAY
