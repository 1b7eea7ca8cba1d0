"""Names that one hosting user wishes no certificate for, changed one by one or as a list. Permissions are the caller's.

All names of a call are taken, or none: a problem says which.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from autossl_panel import names
from autossl_panel.people import audit
from autossl_panel.people.models import User

from .models import Domain, Exclusion, HostingUser, VirtualHost
from .users import UserProblem, make_due

CHUNK = 500


def user_excluded(user: HostingUser) -> list[str]:
    """The names (A-labels) that are excluded by name for a hosting user, sorted."""
    return sorted(user.exclusions.values_list("name", flat=True))


def exclude_names(user: HostingUser, texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """End the wish for names of this user's sites; returns those that were not excluded before. Raises UserProblem."""
    return _change(user, _own(user, texts), (), by=by, now=now)[0]


def include_names(user: HostingUser, texts: Iterable[str], *, by: User | None, now: datetime) -> list[str]:
    """Wish for names again that are excluded for this user. Raises UserProblem."""
    wished = _names(texts)
    known = set(user_excluded(user))
    for name in wished:
        if name not in known:
            raise UserProblem("name", _("“%(name)s” is not excluded.") % {"name": names.to_unicode(name)})
    return _change(user, (), wished, by=by, now=now)[1]


def set_names(
    user: HostingUser, texts: Iterable[str], *, by: User | None, now: datetime
) -> tuple[list[str], list[str]]:
    """Exclude exactly these names for this user; returns (excluded now, included again). Raises UserProblem."""
    known = set(user_excluded(user))
    wanted = _names(texts)
    fresh = _own(user, [name for name in wanted if name not in known])
    return _change(user, fresh, sorted(known.difference(wanted)), by=by, now=now)


def _names(texts: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[names.normalize(text)] = None
        except names.NameProblem as problem:
            raise UserProblem("name", problem.text) from problem
    return list(found)


def _own(user: HostingUser, texts: Iterable[str]) -> list[str]:
    """Names that are excluded already, or that a site of this user has."""
    wished = _names(texts)
    known = set(user_excluded(user))
    for chunk in (wished[start : start + CHUNK] for start in range(0, len(wished), CHUNK)):
        mine = Domain.objects.filter(virtual_host__user=user, virtual_host__gone_at__isnull=True, name__in=chunk)
        known.update(mine.values_list("name", flat=True))
    for name in wished:
        if name not in known:
            raise UserProblem(
                "name",
                _("No site of %(user)s has the name “%(name)s”.") % {"user": user.name, "name": names.to_unicode(name)},
            )
    return wished


def _change(
    user: HostingUser, end: Sequence[str], again: Sequence[str], *, by: User | None, now: datetime
) -> tuple[list[str], list[str]]:
    with transaction.atomic():
        # Two at once take turns: what each of them changed is what its audit entry says.
        HostingUser.objects.select_for_update(no_key=True).get(pk=user.pk)
        before = user_excluded(user)
        ended = [name for name in end if name not in before]
        wished = [name for name in again if name in before]
        Exclusion.objects.bulk_create([Exclusion(user=user, name=name, by=by, at=now) for name in ended])
        for start in range(0, len(wished), CHUNK):
            user.exclusions.filter(name__in=wished[start : start + CHUNK]).delete()
        changed = [*ended, *wished]
        for start in range(0, len(changed), CHUNK):
            sites = VirtualHost.objects.filter(user=user, domains__name__in=changed[start : start + CHUNK])
            make_due(VirtualHost.objects.filter(pk__in=sites.values("pk")), now)
        if changed:
            event = "name:changed" if ended and wished else "name:excluded" if ended else "name:included"
            audit.record(by, event, user.name, before={"excluded": before}, after={"excluded": user_excluded(user)})
    return ended, wished
