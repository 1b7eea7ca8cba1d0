"""What each new connection to the database is told; over PostgreSQL, too, see tests/autossl/test_on_postgresql.py."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.django_db
def test_postgresql_takes_indexes_for_near() -> None:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SHOW random_page_cost")
            assert cursor.fetchone() == ("1.1",)
    else:
        with connection.cursor() as cursor:
            # Nothing of PostgreSQL's was said to it: its own settings stand
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone()[0] in ("wal", "memory")
