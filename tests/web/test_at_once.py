"""Two at once want the same name: one gets it, the other is told at the field and keeps what was typed."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from django.http import HttpResponse

from autossl_panel.autossl.models import Channel, Provider
from autossl_panel.hosting import feature_lists
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser
from autossl_panel.people.models import AuditEntry, User
from tests.support.at_once import at_once
from tests.web import scene as scenes
from tests.web.scene import PASSWORD, Scene
from tests.web.test_pages import check as check_html

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return scenes.build()


def both(signed_in: Any, scene: Scene, name: str, *posts: tuple[str, dict[str, str]]) -> tuple[str, str]:
    """Post by two of root's browsers; where the first that got it was sent, and the other's page."""
    works = [partial(signed_in(scene.root).post, url, data) for url, data in posts]
    answers: list[HttpResponse] = at_once(name, works)
    for answer in answers:
        assert isinstance(answer, HttpResponse), answer
    (done,) = (answer for answer in answers if answer.status_code == 302)
    (told,) = (answer for answer in answers if answer.status_code == 200)
    html = told.content.decode()
    check_html(html)
    return done["Location"], html


def test_a_person(signed_in, scene: Scene):
    other = PASSWORD + "2"
    data = {"username": "anna", "role": "reseller", "hosting_users": "", "email": ""}
    posts = [("/people/add/", {**data, "password": password}) for password in (PASSWORD, other)]
    where, html = both(signed_in, scene, "anna", *posts)
    assert where == "/people/"
    assert "There is a person “anna” already. Nothing was saved." in html
    assert 'value="anna"' in html
    assert AuditEntry.objects.filter(subject="anna").values_list("event", flat=True).get() == "person:added"
    anna = User.objects.get(username="anna")
    assert anna.check_password(PASSWORD) != anna.check_password(other)


def test_the_login_of_a_hosting_user(signed_in, scene: Scene):
    data = {"role": "user", "hosting_users": "amberfield", "email": "", "password": PASSWORD}
    posts = [("/people/add/", {**data, "username": name}) for name in ("anna", "berta")]
    _where, html = both(signed_in, scene, "amberfield", *posts)
    login = HostingUser.objects.get(name="amberfield").login
    assert login is not None
    assert f"“amberfield” has the login “{login.username}” already. Nothing was saved." in html
    assert User.objects.filter(username__in=["anna", "berta"]).get() == login


def test_a_feature_list_is_added(signed_in, scene: Scene):
    posts = [("/people/lists/add/", {"name": "basic", "autossl": on}) for on in ("on", "off")]
    where, html = both(signed_in, scene, "basic", *posts)
    assert where == "/people/lists/"
    assert "There is a feature list “basic” already. Nothing was saved." in html
    assert FeatureList.objects.filter(name="basic").count() == 1


def test_feature_lists_are_renamed(signed_in, scene: Scene):
    rows = [feature_lists.add(name, True, by=None) for name in ("first", "second")]
    posts = [(f"/people/lists/{row.pk}/", {"name": "basic", "autossl": "on"}) for row in rows]
    _where, html = both(signed_in, scene, "basic", *posts)
    assert "There is a feature list “basic” already. Nothing was saved." in html
    assert 'value="basic"' in html
    names = set(FeatureList.objects.filter(pk__in=[row.pk for row in rows]).values_list("name", flat=True))
    assert "basic" in names
    assert names & {"first", "second"}


def test_a_provider(signed_in, scene: Scene):
    data = {"name": "ours", "ca_bundle": "", "private_ca": "", "eab_kid": "", "eab_hmac_key": "", "max_names": "100"}
    posts = [
        ("/providers/add/", {**data, "directory_url": f"https://{host}.example/dir"}) for host in ("north", "south")
    ]
    where, html = both(signed_in, scene, "ours", *posts)
    row = Provider.objects.get(name="ours")
    assert where == f"/providers/?choose={row.pk}"
    assert "“ours” is in the list already. Nothing was saved." in html
    other = "south" if "north" in row.directory_url else "north"
    assert f"https://{other}.example/dir" in html, "what was typed stays"
    assert AuditEntry.objects.get(event="provider:added").after["directory_url"] == row.directory_url


def test_a_channel(signed_in, scene: Scene):
    data = {"name": "ops", "kind": "webhook", "target": "https://hooks.example.com/x", "level": "all", "enabled": "on"}
    secret = {"secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}
    _where, html = both(signed_in, scene, "ops", *[("/options/channels/add/", {**data, **secret})] * 2)
    assert "“ops” is the name of another channel." in html
    assert Channel.objects.filter(name="ops").count() == 1


def test_the_same_pattern_holds_once(signed_in, scene: Scene):
    data = {"pattern": "*.never.example", "whose": "server", "user": "", "sure": "*.never.example"}
    works = [partial(signed_in(scene.root).post, "/patterns/", data)] * 2
    answers = at_once("*.never.example", works)
    # The later one is told that it is there, unless both had looked before either was added.
    assert sorted(answer.status_code for answer in answers) in ([200, 302], [302, 302])
    assert ExclusionPattern.objects.get().pattern == "*.never.example"
    assert AuditEntry.objects.filter(event="pattern:added").count() == 1
