"""A server with rows, and callers with tokens, as scripts have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import tokens
from autossl_panel.people.models import ApiToken, Role, User
from tests.api.schemas import Answer
from tests.web import troubles
from tests.web.scene import ONCE, Scene, at_rest, person

ADDRESS = "198.51.100.20"


@dataclass(frozen=True, slots=True)
class Caller:
    """A script with a token; each call is a client of its own, which keeps nothing."""

    username: str
    secret: str
    token: ApiToken
    scheme: str = "whm"

    @property
    def header(self) -> dict[str, str]:
        return {"Authorization": f"{self.scheme} {self.username}:{self.secret}"}

    def get(self, path: str, **parameters: Any) -> Answer:
        """A call by GET; `api.version` goes along where it has to."""
        return Answer(Client(REMOTE_ADDR=ADDRESS).get(path, self._with_version(path, parameters), headers=self.header))

    def post(self, path: str, **parameters: Any) -> Answer:
        """A call by POST with a form body."""
        client = Client(REMOTE_ADDR=ADDRESS, enforce_csrf_checks=True)
        body = "&".join(f"{name}={value}" for name, value in self._with_version(path, parameters).items())
        form = "application/x-www-form-urlencoded"
        return Answer(client.post(path, body, content_type=form, headers=self.header))

    @staticmethod
    def _with_version(path: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"api.version": 1, **parameters} if path.startswith("/json-api/") else parameters


@pytest.fixture
def scene(request: pytest.FixtureRequest, db: None) -> Scene:
    return (troubles.ONCE if "troubled" in request.fixturenames else ONCE).put()


@pytest.fixture
def troubled(scene: Scene) -> Scene:
    """The same server with problems, sites that wait, and a history."""
    return scene


@pytest.fixture
def idle(scene: Scene) -> Scene:
    return at_rest(scene)


@pytest.fixture
def caller(scene: Scene) -> Callable[..., Caller]:
    """Makes a token of a person, and who calls with it."""

    def make(whose: User, *, read_only: bool = False, name: str = "script") -> Caller:
        token, secret = tokens.make(whose, name, expires_at=None, read_only=read_only, by=whose, now=scene.now)
        scheme = "cpanel" if whose.role == Role.USER else "whm"
        return Caller(whose.username, secret, token, scheme)

    return make


@pytest.fixture
def root(scene: Scene, caller: Callable[..., Caller]) -> Caller:
    return caller(scene.root)


@pytest.fixture
def reseller(scene: Scene, caller: Callable[..., Caller]) -> Caller:
    return caller(scene.harborweb)


@pytest.fixture
def login(scene: Scene) -> User:
    """Who signs in for lindner."""
    made = person("anna", Role.USER)
    HostingUser.objects.filter(name="lindner").update(login=made)
    return made


@pytest.fixture
def user(login: User, caller: Callable[..., Caller]) -> Caller:
    return caller(login)
