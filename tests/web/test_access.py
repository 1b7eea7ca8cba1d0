"""Who may open what: every URL by method, role and object. A URL that is not in the table fails the test."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import get_resolver

from autossl_panel.autossl.models import Installation, Problem, Provider
from autossl_panel.hosting.models import HostingUser, VirtualHost
from autossl_panel.people.models import Role, User
from tests.web.scene import Scene, person

OK, AWAY, NONE, NOT_SO = 200, 302, 404, 405
# An answer by role: nobody, a hosting user's login, a reseller with the object's user, another reseller, root.
ROLES = ("nobody", "login", "owner", "stranger", "root")
SIGN_IN = AWAY
# name of the URL: {method: answers in the order of ROLES}; a method that is left out is 405 for whom the page is there.
# A poll that has ended answers 286. Forms that are posted empty answer with what is wrong, or go back.
TABLE: dict[str, dict[str, tuple[int, ...]]] = {
    "home": {"get": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "sign-in": {"get": (OK, AWAY, AWAY, AWAY, AWAY), "post": (OK, OK, OK, OK, OK)},
    "sign-out": {"post": (AWAY, AWAY, AWAY, AWAY, AWAY)},
    "theme": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "providers": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "provider-add": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "providers-disable": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "provider-edit": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "provider-state": {"get": (SIGN_IN, NONE, NONE, NONE, 204)},
    "provider-check": {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "provider-register": {"post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
    "provider-remove": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "options": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, OK)},
    "users": {"get": (SIGN_IN, NONE, OK, OK, OK), "post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "users-undo": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "user-autossl": {"post": (SIGN_IN, NONE, 400, NONE, 400)},
    "user-check": {"post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
    "runs": {"get": (SIGN_IN, NONE, OK, OK, OK), "post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "run-slot": {"get": (SIGN_IN, NONE, OK, 286, OK)},
    "run": {"get": (SIGN_IN, NONE, OK, NONE, OK)},
    "run-live": {"get": (SIGN_IN, NONE, 286, NONE, 286)},
    "run-text": {"get": (SIGN_IN, NONE, OK, NONE, OK)},
    "run-cancel": {"get": (SIGN_IN, NONE, AWAY, NONE, AWAY), "post": (SIGN_IN, NONE, AWAY, NONE, AWAY)},
}
# The run for all is everybody's to read in part, and root's alone to cancel.
COMMON_RUN: dict[str, dict[str, tuple[int, ...]]] = {
    "run": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "run-live": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "run-text": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "run-cancel": {"get": (SIGN_IN, NONE, NONE, NONE, OK), "post": (SIGN_IN, NONE, NONE, NONE, AWAY)},
}
# ---------- certificates, pending, problems, history ----------
OWN = (SIGN_IN, NONE, OK, NONE, OK)
LEADS = (SIGN_IN, NONE, AWAY, NONE, AWAY)
TABLE |= {
    "certificates": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "certificate": {"get": OWN},
    "certificate-check": {"post": LEADS},
    "certificate-takeover": {"post": LEADS},
    "issued-pem": {"get": OWN},
    "issued-revoke": {"get": OWN, "post": OWN},
    "pending": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "pending-try": {"post": LEADS},
    "problems": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "problems-recheck": {"post": (SIGN_IN, NONE, AWAY, AWAY, AWAY)},
    "problem": {"get": OWN},
    "problem-recheck": {"post": LEADS},
    "history": {"get": (SIGN_IN, NONE, OK, OK, OK)},
    "run-ndjson": {"get": OWN},
}
COMMON_RUN["run-ndjson"] = {"get": (SIGN_IN, NONE, OK, OK, OK)}
METHODS = ("get", "post", "put", "patch", "delete")


def names() -> set[str]:
    return {str(name) for name in get_resolver().reverse_dict if isinstance(name, str)}


def test_the_table_is_complete():
    assert names() == set(TABLE)


@pytest.fixture
def clients(scene: Scene, signed_in: Callable[[User], Client]) -> dict[str, Client]:
    # The stranger's part of the run for all has ended.
    return {
        "nobody": Client(),
        "login": signed_in(person("amberfield", Role.USER)),
        "owner": signed_in(scene.harborweb),
        "stranger": signed_in(scene.brightpeak),
        "root": signed_in(scene.root),
    }


def object_of(name: str, scene: Scene) -> int | str:
    """Of a user that harborweb owns; of the provider in use."""
    if name.startswith("user-"):
        return HostingUser.objects.get(name="northwind").pk
    if name.startswith(("certificate", "pending-")):
        return VirtualHost.objects.get(name="northwind.example").pk
    if name.startswith("issued-"):
        return Installation.objects.get(virtual_host__name="northwind.example").certificate_id
    if name.startswith("problem"):
        return _problem(VirtualHost.objects.get(name="northwind.example"), scene).cause
    if name.startswith("run"):
        return scene.server.runs.get(scope="user:northwind").pk
    return Provider.objects.get(active=True).pk


def _problem(host: VirtualHost, scene: Scene) -> Problem:
    return Problem.objects.get_or_create(
        virtual_host=host, user=host.user, name=host.name, code="nxdomain", cause="nxdomain-0", since=scene.now
    )[0]


def url_of(name: str, pk: int | str) -> str:
    (pattern, arguments), *_more = get_resolver().reverse_dict.getlist(name)[0][0]
    return "/" + pattern % {argument: pk for argument in arguments}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_url_for_every_role_and_method(name, scene, clients):
    url = url_of(name, object_of(name, scene))
    for place, role in enumerate(ROLES):
        for method in METHODS:
            answer = getattr(clients[role], method)(url)
            answers = TABLE[name].get(method)
            if answers is not None:
                assert answer.status_code == answers[place], (role, method, url)
            else:
                assert answer.status_code in (AWAY, NONE, NOT_SO), (role, method, url)
            if role == "nobody" and name not in ("sign-in", "sign-out") and answer.status_code == AWAY:
                assert answer["Location"].startswith("/sign-in/?next="), (role, method, url)
        if name == "sign-out":
            assert clients[role].get("/users/").status_code == AWAY


@pytest.mark.parametrize("name", sorted(COMMON_RUN))
def test_the_run_for_all(name, scene, clients):
    url = url_of(name, scene.live.pk)
    for method, answers in COMMON_RUN[name].items():
        for place, role in enumerate(ROLES):
            assert getattr(clients[role], method)(url).status_code == answers[place], (role, method, url)


WITH_ID = sorted(name for name in TABLE if "/0/" in url_of(name, 0))


@pytest.mark.parametrize("name", WITH_ID)
def test_an_unknown_id_is_404_for_everybody_who_is_signed_in(name, clients):
    for role in ROLES[1:]:
        for method in TABLE[name]:
            assert getattr(clients[role], method)(url_of(name, 999_999)).status_code == NONE, (role, method)
