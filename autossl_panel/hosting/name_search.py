"""Names found by any part of them, as they are read or as they are written."""

from django.db.models import Q, QuerySet

from autossl_panel.names import part_sought

from .models import Domain

# So many names are found first; of more, the database is asked once for all
FEW = 1000


def has(field: str, text: str) -> Q:
    """Of rows that keep a name in `field`: those with `text` in it. May ask which names are read otherwise.

    What has other than ASCII letters is in no written name: only the few that are read otherwise are looked through.
    """
    part = part_sought(text)
    if not part.isascii():
        return Q(**{f"{field}__in": read_as(text).values("name")})
    written = Q(**{f"{field}__contains": part})
    # They are few: mostly none, and then nothing more is asked of every row
    only_read = read_as(text).exclude(name__contains=part)
    # Made distinct here: asked for distinct names, SQLite walks through all in their order instead of those few
    few = list(only_read.values_list("name", flat=True)[: FEW + 1])
    if not few:
        return written
    return written | Q(**{f"{field}__in": set(few) if len(few) <= FEW else only_read.values("name")})


def of_few(field: str, text: str) -> Q:
    """The same where there are few rows: asks nothing by itself."""
    part = part_sought(text)
    read = Q(**{f"{field}__in": read_as(text).values("name")})
    return Q(**{f"{field}__contains": part}) | read if part.isascii() else read


def read_as(text: str) -> QuerySet[Domain]:
    """Names of those that are read otherwise than written, with `text` in what is read."""
    return Domain.objects.filter(read_as__isnull=False, read_as__contains=part_sought(text)).order_by()
