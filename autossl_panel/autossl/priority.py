"""Which job comes first (rules §4). Pure. Between names over a provider's limit, `plan` cuts what `names` ranks."""

from __future__ import annotations

from datetime import datetime, timedelta

from autossl_panel.autossl.facts import Action, InstalledFacts, NameFacts, Need, SiteFacts

URGENT, NEW, DEFECTIVE, EXTEND, RENEW, HOPELESS = range(6)

_FIRST = frozenset({"missing", "self_signed"})
_DEFECTS = frozenset({"expired", "revoked", "mismatch", "weak", "chain", "foreign_defective"})
_LONG_EXPIRED = timedelta(days=7)
# Within its class what nobody needs comes last: behind the turns of any number of sites of one user
_LAST = 1 << 20


def job_class(need: Need, site: SiteFacts, now: datetime) -> int:
    """The class of a job, 0 (urgent) to 5 (long expired and failing); jobs are claimed in this order."""
    installed = site.installed
    if installed is None or installed.self_signed:
        return NEW
    if installed.not_after + _LONG_EXPIRED < now and all(_failing(name) for name in site.names if name.wanted):
        return HOPELESS
    if urgent(installed, now):
        return URGENT
    if need.action == Action.EXTEND:
        return EXTEND
    if need.reason in _FIRST:
        return NEW
    return DEFECTIVE if need.reason in _DEFECTS or installed.defects or installed.revoked else RENEW


def turn(nth: int, need: Need) -> int:
    """The turn of a user's `nth` job in its class: a re-issue for the key type alone waits for all that is due."""
    return nth + _LAST if need.reason == "key_type" else nth


def rank(job_class: int, nth: int) -> int:
    """The place of a class and turn among all that wait, the lowest first: as coarse as turns double."""
    return job_class << 5 | nth.bit_length()


def urgent(installed: InstalledFacts, now: datetime) -> bool:
    """Whether a certificate may not wait any more: past `defer_until`, or with less than a tenth of its life left."""
    return now >= installed.defer_until or installed.not_after - now < installed.lifetime / 10


def _failing(name: NameFacts) -> bool:
    failed, passed = name.last_failed_at, name.last_passed_at
    return failed is not None and (passed is None or passed < failed)
