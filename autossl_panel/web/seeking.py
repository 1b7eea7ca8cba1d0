"""Finding sites by words, among very many of them: few are fetched by number, many are walked until a page is full."""

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from autossl_panel.autossl.models import Certificate, Installation
from autossl_panel.hosting import name_search
from autossl_panel.hosting.models import Domain, HostingUser, VirtualHost

# So many sites are found; whoever gets more has to say more
FEW = 1000
HEX = frozenset("0123456789abcdef")


def by_name(hosts: QuerySet[VirtualHost], q: str) -> QuerySet[VirtualHost]:
    """Those of `hosts` with `q` in one of their names, or in their user's."""
    return _found(hosts, q, ())


def by_anything(hosts: QuerySet[VirtualHost], q: str) -> QuerySet[VirtualHost]:
    """The same, or with a certificate whose issuer has `q` in its name, or whose serial begins so."""
    current = Installation.objects.filter(until__isnull=True).order_by()
    issued = [Certificate.objects.filter(one).order_by().values("pk") for one in _issued(q)]
    return _found(hosts, q, [current.filter(certificate__in=one) for one in issued])


def _found(hosts: QuerySet[VirtualHost], q: str, installed: Sequence[QuerySet[Installation]]) -> QuerySet[VirtualHost]:
    domains = Domain.objects.filter(name_search.has("name", q)).order_by()
    users = HostingUser.objects.filter(name__icontains=q).order_by()
    owned = VirtualHost.objects.filter(user__in=users.values("pk")).order_by().values_list("pk")
    parts = [owned, *(one.values_list("virtual_host_id") for one in installed)]
    few = [pk for (pk,) in domains.values_list("virtual_host_id").union(*parts, all=True)[: FEW + 1]]
    if len(few) <= FEW:
        return hosts.filter(pk__in=set(few))
    walked = Q(Exists(domains.filter(virtual_host=OuterRef("pk")))) | Q(Exists(users.filter(pk=OuterRef("user_id"))))
    for one in installed:
        walked |= Q(Exists(one.filter(virtual_host=OuterRef("pk"))))
    return hosts.filter(walked)


def _issued(q: str) -> list[Q]:
    """Certificates of an issuer with `q` in its name, and those with a serial that begins so; an index each."""
    serial = q.lower().replace(":", "").replace(" ", "").lstrip("0")
    found = [Q(issuer__icontains=q)]
    if len(serial) >= 4 and HEX.issuperset(serial):
        # By its place in the index, which a pattern would not use on every database
        found.append(Q(serial__gte=serial, serial__lt=f"{serial}g"))
    return found
