"""What all tests share; see tests/support/."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.utils import timezone, translation
from hypothesis import HealthCheck, settings
from pytest_django import DjangoDbBlocker

pytest_plugins = ["tests.support.fixtures"]

# The same examples in every run, whose failure is then of what was changed; `make test-slow` draws them anew. How long
# one takes is a matter of what else the machine does.
for name, same in (("same", True), ("anew", False)):
    settings.register_profile(
        name, derandomize=same, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("same")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """A database that may be emptied between tests: the audit trail would refuse. tests/people/test_append_only.py
    makes its triggers anew, and looks at a database as an installation has it.

    Django would make content types and permissions again whenever it has been emptied, which nothing here asks for.
    """
    from django.contrib.auth.management import create_permissions
    from django.contrib.contenttypes.management import create_contenttypes
    from django.db import connection
    from django.db.models.signals import post_migrate

    from autossl_panel.people import append_only

    with django_db_blocker.unblock():
        append_only.remove(connection)
    auths = "django.contrib.auth.management.create_permissions"
    assert post_migrate.disconnect(create_permissions, dispatch_uid=auths)
    assert post_migrate.disconnect(create_contenttypes)


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
