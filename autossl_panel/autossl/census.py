"""What the sites of a server add up to, for pages that say what a change costs before it is made. Reads only.

As the sites' rows say how they stand: those are written by every check.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from autossl_panel.hosting.models import Domain, Server, SiteState, VirtualHost

from . import policy

SOON = timedelta(days=30)
# Covered by a certificate of ours, in whole or in part
SECURED = frozenset({SiteState.SECURED, SiteState.PARTLY})


@dataclass(frozen=True, slots=True)
class Lapse:
    """Certificates of ours that expire without a successor: the first at `first`, so many within 30 days."""

    certificates: int
    first: datetime | None
    within_30_days: int


@dataclass(frozen=True, slots=True)
class Group:
    """Sites that are alike: `valid` of them have a certificate that has not expired, `soon` for less than 30 days."""

    state: str
    key_type: str
    names_covered: int
    sites: int
    valid: int
    soon: int
    first: datetime | None


@dataclass(frozen=True, slots=True)
class Census:
    """The sites of a server that are there, in groups."""

    groups: tuple[Group, ...]

    @property
    def sites(self) -> int:
        """Sites that AutoSSL looks after: it is on for their users."""
        return sum(group.sites for group in self.groups if group.state != SiteState.OFF)

    @property
    def lapse(self) -> Lapse:
        """What nobody would renew any more if AutoSSL stopped for all."""
        ours = [group for group in self.groups if group.state in SECURED]
        return Lapse(
            sum(group.valid for group in ours),
            min((group.first for group in ours if group.first is not None), default=None),
            sum(group.soon for group in ours),
        )

    @property
    def keys(self) -> Mapping[str, int]:
        """How many certificates of ours are installed, by key type, the most frequent first."""
        found: Counter[str] = Counter()
        for group in self.groups:
            if group.key_type:
                found[group.key_type] += group.sites
        return dict(found.most_common())

    def others(self, key_type: str) -> int:
        """How many certificates would be issued anew for this key type: of sites that AutoSSL looks after."""
        return sum(
            group.sites
            for group in self.groups
            if group.key_type not in ("", key_type) and group.state != SiteState.OFF
        )

    def over(self, limit: int) -> int:
        """How many sites would lose names that they are secured for now, if a certificate took only so many."""
        return sum(group.sites for group in self.groups if group.state in SECURED and group.names_covered > limit)


def count(server: Server, now: datetime) -> Census:
    """The census of a server: one query over an index of its own."""
    valid = Q(expires_at__gt=now)
    rows = (
        VirtualHost.objects.filter(server=server, gone_at__isnull=True)
        .order_by()
        .values_list("state", "key_type", "names_covered")
        .annotate(
            sites=Count("pk"),
            valid=Count("pk", filter=valid),
            soon=Count("pk", filter=valid & Q(expires_at__lt=now + SOON)),
            first=Min("expires_at", filter=valid),
        )
    )
    return Census(tuple(Group(*row) for row in rows))


def only_private(sites: QuerySet[VirtualHost]) -> int:
    """How many of these sites are secured now and have names that no public CA certifies: none would renew them."""
    unfit = Domain.objects.filter(virtual_host=OuterRef("pk"), unfit=policy.PUBLIC_ONLY)
    return sites.filter(Exists(unfit), state__in=SECURED, gone_at__isnull=True).count()
