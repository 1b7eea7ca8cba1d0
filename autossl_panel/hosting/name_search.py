"""Names found by any part of them, as they are read or as they are written."""

from django.db.models import Q, QuerySet

from autossl_panel.names import part_sought

from .models import Domain


def has(field: str, text: str) -> Q:
    """Of rows that keep a name in `field`: those with `text` in it.

    What has other than ASCII letters is in no written name: only the few that are read otherwise are looked through.
    """
    part = part_sought(text)
    read = Q(**{f"{field}__in": read_as(text).values("name")})
    return Q(**{f"{field}__contains": part}) | read if part.isascii() else read


def read_as(text: str) -> QuerySet[Domain]:
    """Names of those that are read otherwise than written, with `text` in what is read."""
    return Domain.objects.filter(read_as__isnull=False, read_as__contains=part_sought(text)).order_by()
