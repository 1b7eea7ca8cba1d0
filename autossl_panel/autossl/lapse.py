"""What is no longer renewed once AutoSSL stops for some users: how many certificates, and when the first expires.

As the sites' rows say how they stand: those are written by every check.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, Q, QuerySet

from autossl_panel.hosting.models import HostingUser, Setting, Severity, VirtualHost

from .census import SECURED


@dataclass(frozen=True, slots=True)
class Lapse:
    """Certificates of ours that expire without a successor, the first at `first`."""

    certificates: int = 0
    first: datetime | None = None


def of(users: QuerySet[HostingUser], now: datetime) -> Lapse:
    """The certificates of these users' sites that AutoSSL installed and would renew, or would have: it may be off
    already.
    """
    found = _ours(now).filter(user__in=users).aggregate(n=Count("pk"), first=Min("expires_at"))
    return Lapse(found["n"], found["first"])


def by_feature_list(now: datetime) -> dict[int, Lapse]:
    """The same of those for whom a feature list decides, by its id."""
    followed = _ours(now).filter(user__autossl=Setting.FEATURE_LIST, user__gone_at__isnull=True, user__suspended=False)
    rows = followed.order_by().values_list("user__feature_list").annotate(n=Count("pk"), first=Min("expires_at"))
    return {pk: Lapse(n, first) for pk, n, first in rows}


def _ours(now: datetime) -> QuerySet[VirtualHost]:
    """Sites with a certificate of ours that has not expired."""
    ours = Q(state__in=SECURED) | Q(severity=Severity.LAPSING)
    return VirtualHost.objects.filter(ours, gone_at__isnull=True, expires_at__gt=now)
