"""Names that one hosting user wishes no certificate for. Whose names somebody may change is decided by the fetch."""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction

from autossl_panel.people import audit
from autossl_panel.people.models import User

from .changes import chunks, make_due
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
        _note(user, "exclusion:add", new, sites, by=by, now=now)
    return new


def include_names(user: HostingUser, wished: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for names (A-labels) of `user` again; returns those that were excluded before."""
    with transaction.atomic():
        asked = set(wished)
        known = Exclusion.objects.filter(user=user).order_by("name").values_list("pk", "name")
        found = {name: pk for pk, name in known if name in asked}
        for part in chunks(list(found.values())):
            Exclusion.objects.filter(pk__in=part).delete()
        _note(user, "exclusion:remove", list(found), _sites_of(user, found), by=by, now=now)
    return list(found)


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
        make_due(VirtualHost.objects.filter(pk__in=part), now)
    said = {"names": done}
    audit.record(by, event, user.name, **({"after": said} if event == "exclusion:add" else {"before": said}))
