"""Names that hosting users wish no certificate for. Whose names somebody may change is decided by who fetches them."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from autossl_panel import names
from autossl_panel.people import audit
from autossl_panel.people.models import User

from .changes import UserProblem, chunks, recheck
from .models import Domain, Exclusion, HostingUser, VirtualHost


def exclude_names(user: HostingUser, wished: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """End the wish for names (A-labels) of `user`'s sites; returns those that were not excluded before.

    Names that no site of the user has are left out. The sites are looked at within a minute.
    """
    with transaction.atomic():
        sites = _sites_of(user, wished)
        known = set(Exclusion.objects.filter(user=user).values_list("name", flat=True))
        new = [name for name in sites if name not in known]
        rows = [Exclusion(user=user, name=name, by=by, at=now) for name in new]
        Exclusion.objects.bulk_create(rows, batch_size=500, ignore_conflicts=True)
        _note(user, "user:excluded", new, sites, by=by, now=now)
    return new


def include_names(user: HostingUser, wished: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for names (A-labels) of `user` again; returns those that were excluded before."""
    with transaction.atomic():
        asked = set(wished)
        known = Exclusion.objects.filter(user=user).order_by("name").values_list("pk", "name")
        found = {name: pk for pk, name in known if name in asked}
        for part in chunks(list(found.values())):
            Exclusion.objects.filter(pk__in=part).delete()
        _note(user, "user:included", list(found), _sites_of(user, found), by=by, now=now)
    return list(found)


def exclude(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """End the wish for names, whoever has them; all of them or, with a problem, none. Returns them as A-labels."""
    wished = [_domain(text) for text in texts]
    with transaction.atomic():
        for domain in wished:
            exclude_names(domain.virtual_host.user, [domain.name], by=by, now=now)
    return [domain.name for domain in wished]


def include(texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for excluded names again, whoever has them; all of them or, with a problem, none."""
    wished = [_name(text) for text in texts]
    with transaction.atomic():
        for name in wished:
            users = list(HostingUser.objects.filter(exclusions__name=name))
            if not users:
                raise UserProblem("name", f"“{names.to_unicode(name)}” is not excluded.")
            for user in users:
                include_names(user, [name], by=by, now=now)
    return wished


def _sites_of(user: HostingUser, wished: Iterable[str]) -> dict[str, list[int]]:
    """Those of `wished` that a site of the user has, with the ids of the sites."""
    asked, found = set(wished), dict[str, list[int]]()
    rows = Domain.objects.filter(virtual_host__user=user, virtual_host__gone_at__isnull=True).order_by("name")
    for name, host in rows.values_list("name", "virtual_host_id"):
        if name in asked:
            found.setdefault(name, []).append(host)
    return found


def _note(
    user: HostingUser, event: str, done: list[str], sites: dict[str, list[int]], *, by: User | None, now: datetime
) -> None:
    """Record what was done, and have its sites looked at."""
    if not done:
        return
    for part in chunks(sorted({host for name in done for host in sites.get(name, ())})):
        recheck(VirtualHost.objects.filter(pk__in=part), now)
    audit.record(by, event, user.name, after={"names": done})


def _name(text: str) -> str:
    try:
        return names.normalize(text)
    except names.NameProblem as problem:
        raise UserProblem("name", problem.text) from problem


def _domain(text: str) -> Domain:
    name = _name(text)
    found = Domain.objects.filter(name=name, virtual_host__gone_at__isnull=True)
    domain = found.select_related("virtual_host__user").first()
    if domain is None:
        raise UserProblem("name", f"No site has the name “{names.to_unicode(name)}”. Run discover if it is new.")
    return domain
