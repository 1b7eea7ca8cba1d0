"""How pressing an order is, and how long it may wait: what choosing a provider asks with. Pure.

Between the decisions, which know nothing of limits, and the ledger, which knows nothing of sites.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from . import policy, priority
from .facts import Action, Need, ProviderFacts, SiteFacts
from .ledger import ANSWERED as ANSWERED_WITHIN
from .ledger import APART as PROBES_APART
from .ledger import Purpose

# Why a site is held that its CA wants to be left alone by: a limit, or trouble of its own
REFUSALS = frozenset({"rate_limited", "ca_server"})
ANSWERED, APART = timedelta(seconds=ANSWERED_WITHIN), timedelta(seconds=PROBES_APART)


def late(site: SiteFacts, now: datetime) -> bool:
    """Whether a certificate matters more than whose it is."""
    installed = site.installed
    return installed is None or installed.unprotected(now) or now >= installed.defer_until


def purpose_of(need: Need, site: SiteFacts, now: datetime) -> Purpose:
    """What an order would be for: how much of the CA's allowance it leaves to what may not wait."""
    installed = site.installed
    if installed is not None and not installed.unprotected(now) and priority.urgent(installed, now):
        return Purpose.URGENT
    if need.reason == "key_type":
        return Purpose.REISSUE
    return Purpose.EXTEND if need.action == Action.EXTEND else Purpose.ORDINARY


def latest(site: SiteFacts, provider: ProviderFacts | None, until: datetime, now: datetime) -> datetime:
    """When a site that waits for a limit is looked at again.

    Before its turn where its certificate is due earlier, which limits may not count, or becomes urgent.
    """
    installed = site.installed
    if installed is None or installed.unprotected(now) or now >= installed.defer_until:
        return until
    due = policy.renew_at(installed, provider, now) if installed.ours else until
    return min(until, installed.defer_until, due if due > now else until)


def despite(site: SiteFacts, now: datetime) -> datetime | None:
    """Refusals of the CA that last until then or longer are to be tried: they outlast the certificate, the moment to
    try was set, and has come. None: it has not, or nothing is lost by waiting.
    """
    if site.held_reason not in REFUSALS or site.held_until is None or site.held_until > now:
        return None
    installed = site.installed
    return None if installed is None or installed.unprotected(now) else installed.not_after


def probe_is_due(site: SiteFacts, refused_until: datetime, asked: datetime | None, now: datetime) -> bool:
    """Whether a CA's refusal that outlasts the certificate is to be tried; `asked`: when somebody last did.

    Not within an hour of that, but while the answer is awaited: the ledger says until when.
    """
    limit = despite(site, now)
    if limit is None or refused_until < limit:
        return False
    return asked is None or now >= asked + APART or now < asked + ANSWERED
