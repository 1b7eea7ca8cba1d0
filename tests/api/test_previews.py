"""The preview by the API: the same data as the command's and the page's, worked out by a worker."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from autossl_panel.autossl import previewing
from autossl_panel.autossl.models import Beat, Preview, PreviewSite
from autossl_panel.hosting import ownership
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import AuditEntry
from tests.web import foreseen
from tests.web.scene import Scene

PREVIEW = "/json-api/get_autossl_preview"


@pytest.fixture
def previewed(idle: Scene) -> Scene:
    return foreseen.add(idle)


def test_it_is_asked_for_worked_out_and_answered(root, idle):
    answer = root.get(PREVIEW, username="northwind")
    assert answer.data == {"state": "working", "ask_again_in": 2, "preview": None}
    made = Preview.objects.get()
    assert (made.scope, made.asked_by) == ("user:northwind", idle.root)
    assert OrmQ.objects.count() == 1
    assert root.get(PREVIEW, username="northwind").data["state"] == "working"
    assert Preview.objects.count() == 1
    previewing.work_out(made.pk, foreseen.Helper())  # type: ignore[arg-type]
    data = root.get(PREVIEW, username="northwind").data
    assert (data["state"], data["ask_again_in"]) == ("ready", None)
    assert {site["user"] for site in data["preview"]["sites"]} == {"northwind"}
    assert AuditEntry.objects.filter(source="api").count() == 0, "looking changes nothing"


def test_it_is_the_commands_and_the_pages_data(root, previewed, signed_in_as):
    # The panel's own JSON; and the command's, of a preview that is fresh still
    data = root.get(PREVIEW).data["preview"]
    assert len(data["sites"]) > 50
    page = signed_in_as(previewed.root).get("/preview/preview.json")
    assert json.loads(b"".join(page)) == data
    Preview.objects.filter(scope="*").update(at=previewed.now + timedelta(days=1))
    Beat.objects.update(at=previewed.now + timedelta(days=1))
    out = StringIO()
    call_command("autossl_check", "--all", "--preview", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert {**told, "at": data["at"]} == data


def test_a_new_one_is_asked_for(root, previewed):
    # Somebody has changed something since it was made.
    AuditEntry.objects.create(at=previewed.now + timedelta(days=1), source="system", event="options:changed")
    before = Preview.objects.filter(scope="*").get().pk
    assert root.get(PREVIEW).data["state"] == "ready"
    assert root.get(PREVIEW, fresh=1).data["state"] == "working"
    assert Preview.objects.filter(scope="*").latest("pk").pk > before
    assert root.get(PREVIEW, fresh="perhaps").reason == "fresh: “perhaps” is neither 1 nor 0."


def test_a_reseller_sees_own_users(root, reseller, previewed):
    data = reseller.get(PREVIEW).data["preview"]
    assert data["scope"] == "owner:harborweb"
    owned = set(HostingUser.objects.filter(owner=previewed.harborweb).values_list("name", flat=True))
    assert {site["user"] for site in data["sites"]} <= owned
    assert reseller.get(PREVIEW, username="northwind").data["state"] == "ready"
    for foreign in ("lindner", "nosuchuser"):
        assert reseller.get(PREVIEW, username=foreign).reason == "username: there is no such user."


def test_after_a_user_changed_hands_no_number_tells_of_it(reseller, previewed):
    ownership.set_owner(HostingUser.objects.get(name="northwind"), previewed.brightpeak, by=previewed.root)
    assert reseller.get(PREVIEW, username="northwind").reason == "username: there is no such user."
    assert reseller.get(PREVIEW).data == {"state": "working", "ask_again_in": 2, "preview": None}


def test_one_that_failed_says_why(root, idle):
    root.get(PREVIEW)
    problem = {"code": "worker_died", "text": ""}
    Preview.objects.update(problem=problem, ended_at=idle.now)
    answer = root.get(PREVIEW)
    assert answer.data["state"] == "failed"
    assert answer.data["preview"]["problem"] == problem


def test_many_sites_are_few_questions_and_never_whole_in_memory(root, previewed):
    response = Client().get(PREVIEW, {"api.version": 1}, headers=root.header)
    assert response.streaming
    with CaptureQueriesContext(connection) as asked:
        root.get(PREVIEW)
    assert len(asked) <= 15
    assert PreviewSite.objects.filter(preview__scope="*").count() > 50


@pytest.fixture
def signed_in_as():
    def sign_in(person) -> Client:
        client = Client()
        client.force_login(person)
        return client

    return sign_in
