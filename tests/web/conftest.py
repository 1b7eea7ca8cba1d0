"""A server with rows, and signed-in clients."""

from collections.abc import Callable

import pytest
from django.test import Client

from autossl_panel.people.models import User

from . import troubles
from .scene import Scene, build


@pytest.fixture
def scene(db: None) -> Scene:
    return build()


@pytest.fixture
def troubled(scene: Scene) -> Scene:
    """The same server with problems, sites that wait, and a history."""
    return troubles.add(scene)


@pytest.fixture
def signed_in() -> Callable[[User], Client]:
    def sign_in(person: User) -> Client:
        client = Client()
        client.force_login(person)
        return client

    return sign_in


@pytest.fixture
def as_root(scene: Scene, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(scene.root)


@pytest.fixture
def as_reseller(scene: Scene, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(scene.harborweb)
