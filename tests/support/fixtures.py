"""Fixtures for every test: a box of the module's own, a PostgreSQL of the session's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autossl_panel.autossl.limits import stops
from autossl_panel.sandbox.box import Box
from tests.support.postgresql import PostgreSQL


@pytest.fixture(autouse=True)
def nothing_heard() -> None:
    """What this process knows of refusals is of another database than this test's."""
    stops._stops.clear()
    stops.look_again()


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    """An empty box: Pebble, DNS, nginx with no site but the catch-all."""
    with Box() as started:
        yield started


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A started PostgreSQL; `postgresql.url("name")` makes a database."""
    with PostgreSQL() as started:
        yield started
