"""Open orders of sites that want nothing more (rules §2, row 1): what is not signed yet is given up, what is goes on as
far as staging, so that it is there when the site is back; and it is closed once its certificate is of no use.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, VirtualHost

from .facts import UNDECIDED
from .models import Job, JobState, Order, OrderStatus

UNSIGNED = (OrderStatus.PENDING, OrderStatus.READY)
SIGNED = (OrderStatus.PROCESSING, OrderStatus.VALID)
# A CA that never said when it forgets an order has by then (RFC 8555 §7.1.3: `expires`)
FORGOTTEN_AFTER = timedelta(days=30)
MOST = 500


def give_up_unsigned(hosts: Iterable[int], now: datetime) -> int:
    """Give up what no CA signs yet of these virtual hosts; how many orders."""
    return _close(_open().filter(virtual_host__in=list(hosts), staged_at__isnull=True, status__in=UNSIGNED), now)


def look(server: Server, now: datetime) -> None:
    """Close what is staged and serves nobody any more. Of sites that AutoSSL is off for also what is not signed or was
    forgotten, and make those due whose order is signed.
    """
    mine = _open().filter(virtual_host__server=server)
    _close(mine.filter(staged_at__isnull=False).filter(_useless(now)), now)
    unstaged = mine.filter(hosting_users.off("virtual_host__"), staged_at__isnull=True)
    forgotten = Q(expires__lte=now) | Q(expires__isnull=True, created_at__lte=now - FORGOTTEN_AFTER)
    _close(unstaged.filter(Q(status__in=UNSIGNED) | forgotten), now)
    signed = unstaged.filter(Q(retry_at__isnull=True) | Q(retry_at__lte=now), status__in=SIGNED)
    hosts = list(signed.filter(virtual_host__gone_at__isnull=True).values_list("virtual_host_id", flat=True)[:MOST])
    if hosts:
        unseen = VirtualHost.objects.filter(pk__in=hosts, next_at__isnull=True)
        # What nobody can decide is the daily check's.
        hosting_users.make_due(unseen.exclude(next_reason=UNDECIDED), now)


def _useless(now: datetime) -> Q:
    """Filter of staged orders: their certificate can serve nobody any more."""
    return Q(certificate__not_after__lte=now) | Q(certificate__revoked_at__isnull=False)


def _open() -> QuerySet[Order]:
    """Open orders that nobody works on."""
    live = Job.objects.filter(order=OuterRef("pk")).exclude(state=JobState.ENDED)
    return Order.objects.filter(closed_at__isnull=True).exclude(Exists(live))


def _close(orders: QuerySet[Order], now: datetime) -> int:
    ids = list(orders.values_list("pk", flat=True)[:MOST])
    return Order.objects.filter(pk__in=ids, closed_at__isnull=True).update(closed_at=now, closed_as="given_up")
