"""What all tests share; see tests/support/."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.utils import timezone, translation
from pytest_django import DjangoDbBlocker

pytest_plugins = ["tests.support.fixtures"]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """A database that may be emptied between tests: the audit trail would refuse. tests/people/test_append_only.py
    makes its triggers anew, and looks at a database as an installation has it."""
    from django.db import connection

    from autossl_panel.people import append_only

    with django_db_blocker.unblock():
        append_only.remove(connection)


@pytest.fixture(autouse=True)
def no_limit_is_left_over() -> Iterator[None]:
    """How often an address tried to sign in is forgotten with each test."""
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def no_viewer_is_left_over() -> Iterator[None]:
    """The language and zone of the last page stay active for what is streamed after it; not for the next test."""
    yield
    translation.deactivate()
    timezone.deactivate()
