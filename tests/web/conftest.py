"""A server with rows, and signed-in clients."""

import time
from collections.abc import Callable

import pytest
from django.test import Client

from autossl_panel.people.adapter import PROVED_AT
from autossl_panel.people.models import User
from autossl_panel.web.requirement import LOOKED

from . import troubles
from .scene import ONCE, Scene


@pytest.fixture
def scene(request: pytest.FixtureRequest, db: None) -> Scene:
    return (troubles.ONCE if "troubled" in request.fixturenames else ONCE).put()


@pytest.fixture
def troubled(scene: Scene) -> Scene:
    """The same server with problems, sites that wait, and a history."""
    return scene


@pytest.fixture
def signed_in() -> Callable[..., Client]:
    """A client of a person who signed in just now, or so many seconds ago."""

    def sign_in(person: User, ago: float = 0) -> Client:
        client = Client()
        client.force_login(person)
        session = client.session
        session[PROVED_AT] = time.time() - ago
        session[LOOKED] = time.time() + 60
        session.save()
        return client

    return sign_in


@pytest.fixture
def as_root(scene: Scene, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(scene.root)


@pytest.fixture
def as_reseller(scene: Scene, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(scene.harborweb)
