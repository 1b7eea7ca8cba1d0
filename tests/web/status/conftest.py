"""The login of lindner, and its page."""

from collections.abc import Callable

import pytest
from django.test import Client

from autossl_panel.people.models import User
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import Scene


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


@pytest.fixture
def client_of(own: Own, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(own.login)


@pytest.fixture
def url(own: Own) -> str:
    return f"/status/{own.user.pk}/"
