"""What is no longer renewed once AutoSSL stops for some users: how many certificates, and when the first expires."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min, QuerySet

from autossl_panel.hosting.models import HostingUser

from .models import Installation


@dataclass(frozen=True, slots=True)
class Lapse:
    """Certificates of ours that expire without a successor, the first at `first`."""

    certificates: int
    first: datetime | None


def of(users: QuerySet[HostingUser]) -> Lapse:
    """The certificates of these users' sites that AutoSSL installed and would have renewed."""
    found = Installation.objects.filter(
        virtual_host__user__in=users,
        virtual_host__gone_at__isnull=True,
        until__isnull=True,
        certificate__ours=True,
    ).aggregate(n=Count("pk"), first=Min("certificate__not_after"))
    return Lapse(found["n"], found["first"])
