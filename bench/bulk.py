"""Rows straight into the tables, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

from django.db.models import Model

Row = TypeVar("Row", bound=Model)


def saved(rows: Iterable[Row], size: int = 5000) -> Iterator[Row]:
    """The rows with their keys, written in batches."""
    rest = iter(rows)
    while batch := list(islice(rest, size)):
        yield from type(batch[0])._default_manager.bulk_create(batch, 1000)


def write(rows: Iterable[Row]) -> None:
    """The same where nobody needs them afterwards."""
    for _row in saved(rows):
        pass
