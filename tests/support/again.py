"""Rows that hundreds of tests begin with: made once in a process by what makes them, then put in again as they were,
every moment of theirs as long ago as it was then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django.apps import apps
from django.db import connection, models

# A moment that stands in JSON, as isoformat() writes it
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\+00:00")

Row = tuple[Any, ...]


@dataclass(slots=True)
class _Table:
    """New rows of one table; of which columns the values move with the time, and how."""

    insert: str
    rows: list[Row]
    moving: dict[int, Callable[[Any, timedelta, int], Any]]

    def put(self, by: timedelta, days: int) -> None:
        rows = self.rows
        if self.moving:
            rows = [
                tuple(
                    self.moving[n](value, by, days) if value is not None and n in self.moving else value
                    for n, value in enumerate(row)
                )
                for row in rows
            ]
        with connection.cursor() as cursor:
            cursor.executemany(self.insert, rows)


class Again:
    """What `make` makes in a database without such rows, and returns the moment of, as often as it is wanted.

    SQLite only: over another database it is made each time, whose sequences would not know of the rows.
    """

    def __init__(self, make: Callable[[], datetime]) -> None:
        self._make = make
        self._made_at: datetime | None = None
        self._tables: list[_Table] = []

    def put(self) -> datetime:
        """Have the rows in the database; the moment that they are of."""
        if connection.vendor != "sqlite":
            return self._make()
        if self._made_at is None:
            before = {model: set(_rows(model)) for model in _models()}
            self._made_at = self._make()
            self._tables = [table for model in before if (table := _new(model, before[model])) is not None]
            return self._made_at
        now = datetime.now(UTC)
        by, days = now - self._made_at, (now.date() - self._made_at.date()).days
        for table in self._tables:
            table.put(by, days)
        return now


def _models() -> Iterator[type[models.Model]]:
    """One for each table."""
    yield from (model for model in apps.get_models(include_auto_created=True) if not model._meta.proxy)


def _rows(model: type[models.Model]) -> list[Row]:
    columns = ", ".join(f'"{field.column}"' for field in model._meta.local_concrete_fields)
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT {columns} FROM "{model._meta.db_table}"')
        return list(cursor.fetchall())


def _new(model: type[models.Model], before: set[Row]) -> _Table | None:
    after = _rows(model)
    assert before <= set(after), f"a {model._meta.label} that was there before is another now"
    # What the database's module reads as a time of day it does not take as one
    rows = [tuple(str(one) if isinstance(one, time) else one for one in row) for row in after if row not in before]
    if not rows:
        return None
    fields = model._meta.local_concrete_fields
    columns = ", ".join(f'"{field.column}"' for field in fields)
    places = ", ".join(["%s"] * len(fields))
    moving: dict[int, Callable[[Any, timedelta, int], Any]] = {}
    for n, field in enumerate(fields):
        if isinstance(field, models.DateTimeField):
            moving[n] = _moment
        elif isinstance(field, models.DateField):
            moving[n] = _day
        elif isinstance(field, models.JSONField) and any(MOMENT.search(row[n] or "") for row in rows):
            moving[n] = _text
    return _Table(f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({places})', rows, moving)


def _moment(value: datetime, by: timedelta, days: int) -> str:
    # As Django writes it: without a zone, which is UTC
    return str(value + by)


def _day(value: date, by: timedelta, days: int) -> str:
    return str(value + timedelta(days=days))


def _text(value: str, by: timedelta, days: int) -> str:
    def later(found: re.Match[str]) -> str:
        spec = "microseconds" if "." in found[0] else "seconds"
        return (datetime.fromisoformat(found[0]) + by).isoformat(timespec=spec)

    return MOMENT.sub(later, value)
