"""What each new connection to the database is told; over PostgreSQL, too, see tests/autossl/test_on_postgresql.py."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.mark.django_db
def test_postgresql_is_told_of_near_indexes_and_short_questions() -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for name, value in (("random_page_cost", "1.1"), ("jit", "off")):
                cursor.execute(f"SHOW {name}")
                assert cursor.fetchone() == (value,)
        else:
            # Nothing of PostgreSQL's was said to it: its own settings stand
            cursor.execute("PRAGMA journal_mode")
            assert cursor.fetchone()[0] in ("wal", "memory")
