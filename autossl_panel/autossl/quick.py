"""Rows by the hundred thousand as the database driver gives them, for surveys and previews. Writes nothing."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, overload

from django.db import connection
from django.db.models import Count, QuerySet

CHUNK = 5000


def rows(query: QuerySet[Any, tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """The rows of a `values_list` without Django's conversions, which take longer than the database does.

    Text, numbers and booleans are as always, moments are for `moment`, JSON is text for `json.loads`.
    """
    sql, params = query.query.sql_with_params()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _own_moments(cursor)
        cursor.execute(sql, params)
        while found := cursor.fetchmany(CHUNK):
            yield from found


def portions(hosts: QuerySet[Any], users: int, sites: int) -> Iterator[list[int]]:
    """The hosting users of these virtual hosts, in order: at most `users` together, with at most `sites` of the virtual
    hosts between them. One that has more is alone.
    """
    part, held = list[int](), 0
    counted = hosts.order_by("user_id").values_list("user_id").annotate(n=Count("pk"))
    for user_id, n in list(counted):
        if part and (len(part) == users or held + n > sites):
            yield part
            part, held = [], 0
        part.append(user_id)
        held += n
    if part:
        yield part


@overload
def moment(value: datetime) -> datetime: ...
@overload
def moment(value: None) -> None: ...
def moment(value: datetime | None) -> datetime | None:
    """An aware moment; SQLite's come without their zone, which always is UTC."""
    return value if value is None or value.tzinfo is not None else value.replace(tzinfo=UTC)


def _own_moments(cursor: Any) -> None:
    """Have psycopg read moments by its own compiled loader; Django puts one in Python in its place."""
    import psycopg  # noqa: PLC0415 - not needed where SQLite is used

    kind = psycopg.adapters.types["timestamptz"].oid
    loader = psycopg.adapters.get_loader(kind, psycopg.pq.Format.TEXT)
    if loader is not None:
        cursor.adapters.register_loader(kind, loader)


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Rows by the hundred thousand, none of them in cycles: the collector would walk them over and over."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
