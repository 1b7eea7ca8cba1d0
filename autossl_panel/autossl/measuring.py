"""How providers do on this server: how long their latest orders took, and how many came to nothing. For the sweep.

What is counted stands on the account's row, so that pages need not count.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from django.db.models import QuerySet

from autossl_panel.hosting.models import Server

from .models import Account, Order

# Of so many orders that were issued last the middle time is told
LATEST = 100
# More orders than this that came to nothing are not counted
MOST_LOST = 5000
# Ends of problem types (RFC 8555 §6.7, or none) that are the CA's own trouble; and those of ours that are not
FAULTS = frozenset({"serverInternal", "blank"})
OWN, OURS = "urn:autossl-panel:error", frozenset({"key", "paced", "url", "bundle"})
# Orders of so long ago say nothing of today
LATELY = timedelta(days=30)
# Where nothing is new it is still counted anew after this: what came to nothing is forgotten in time
EVERY = timedelta(days=1)


def measure(server: Server, now: datetime) -> None:
    """Bring what the accounts of a server say of their orders up to date, where there is something new."""
    for account in Account.objects.filter(server=server).exclude(url=""):
        if _is_due(account, now):
            Account.objects.filter(pk=account.pk).update(measured=_measured(account, now))


def _is_due(account: Account, now: datetime) -> bool:
    before = account.measured
    if before is None:
        return True
    at = datetime.fromisoformat(before["at"])
    return now - at >= EVERY or _issued(account).filter(staged_at__gt=at).exists() or _lost(account, at) > 0


def _measured(account: Account, now: datetime) -> dict[str, object]:
    """`issued` orders in all, the middle of the `seconds` that the latest `of` took; `failed` of `placed` lately.

    `seconds` are from newOrder to the certificate; the CA's work and ours at it.
    """
    issued = _issued(account)
    took = [
        (staged - created).total_seconds()
        for created, staged in issued.order_by("-staged_at").values_list("created_at", "staged_at")[:LATEST]
        if staged is not None
    ]
    failed = _lost(account, now - LATELY)
    return {
        "at": now.isoformat(),
        "issued": issued.count(),
        "seconds": round(median(took), 1) if took else None,
        "of": len(took),
        "failed": failed,
        "placed": issued.filter(staged_at__gt=now - LATELY).count() + failed,
    }


def _issued(account: Account) -> QuerySet[Order]:
    return Order.objects.filter(account=account, staged_at__isnull=False)


def _lost(account: Account, since: datetime) -> int:
    """Orders that came to nothing because the CA failed or could not be reached."""
    given_up = Order.objects.filter(account=account, closed_as="given_up", closed_at__gt=since, problem__isnull=False)
    return sum(_is_fault(problem) for problem in given_up.values_list("problem", flat=True)[:MOST_LOST])


def _is_fault(problem: Mapping[str, Any] | None) -> bool:
    """Whether it was the CA's side: it failed, did not answer, or never got through with the order."""
    if problem is None:
        return False
    if "code" in problem:
        return bool(problem["code"] == "order_stuck")
    prefix, _colon, short = str(problem.get("type", "")).rpartition(":")
    return short in FAULTS or (prefix == OWN and short not in OURS)
