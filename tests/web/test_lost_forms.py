"""A form that was sent after its session had ended: nothing is done; it comes back filled in, to its person alone."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils import timezone

from autossl_panel.autossl import options
from autossl_panel.people import sessions
from autossl_panel.people.models import Session, User
from autossl_panel.web import lost_forms, refill
from tests.web.scene import PASSWORD, Scene

WISHED = {"daily_at": "04:21", "log_days": "77", "key_type": "p384", "replace_foreign": "on", "resolvers": "192.0.2.99"}


@pytest.fixture
def ended(scene: Scene, as_root: Client) -> Client:
    """Root had the Options open while the session was ended elsewhere."""
    assert as_root.get("/options/").status_code == 200
    sessions.end_all(scene.root, by=None)
    return as_root


def send(client: Client, path: str, fields: dict[str, str], page: str = ""):
    return client.post(path, fields, headers={"Referer": f"http://testserver{page or path}"})


def sign_in(client: Client, username: str, following: str):
    return client.post("/sign-in/", {"username": username, "password": PASSWORD, "next": following})


def field(html: str, name: str) -> str:
    return re.search(rf'<(?:input|select)[^>]* name="{name}"[^>]*>', html)[0]


def test_it_is_said_and_it_comes_back_filled_in(scene, ended):
    factorless(scene)
    before = options.texts(options.current(scene.server))
    answer = send(ended, "/options/", WISHED)
    assert answer["Location"] == "/sign-in/?next=%2Foptions%2F"
    assert "Your session had ended, so nothing was saved." in ended.get(answer["Location"]).content.decode()
    assert sign_in(ended, "root", "/options/")["Location"] == "/options/"
    html = ended.get("/options/").content.decode()
    assert "nothing was saved yet" in html
    assert 'value="04:21"' in field(html, "daily_at")
    assert 'value="77"' in field(html, "log_days")
    assert re.search(r'<input[^>]*value="p384"[^>]*checked="checked"|<option[^>]*value="p384"[^>]*selected', html)
    assert 'checked="checked"' in field(html, "replace_foreign")
    assert options.texts(options.current(scene.server)) == before, "the person saves it, nobody else"
    assert "nothing was saved yet" not in ended.get("/options/").content.decode(), "once"


def factorless(scene: Scene) -> None:
    """Whoever has no second factor signs in by password alone."""
    from allauth.mfa.models import Authenticator

    Authenticator.objects.filter(user=scene.root).delete()


def test_nobody_else_gets_it(scene, ended):
    factorless(scene)
    User.objects.filter(username="brightpeak").update(role="root")
    ended.get(send(ended, "/options/", WISHED)["Location"])
    sign_in(ended, "brightpeak", "/options/")
    html = ended.get("/options/").content.decode()
    assert "04:21" not in html
    assert "had ended" not in html
    assert lost_forms.KEPT not in ended.session, "it is forgotten"


def test_what_waits_is_sealed_and_without_secrets(scene, ended):
    send(ended, "/providers/add/", {"name": "Pebble", "eab_hmac_key": "c2VjcmV0", "password": "hunter22222"})
    kept = ended.session[lost_forms.KEPT]
    assert "Pebble" not in kept
    opened = lost_forms.unseal(kept, lost_forms.KEPT)
    assert "Pebble" in opened
    assert "c2VjcmV0" not in opened
    assert "hunter" not in opened
    assert "csrf" not in opened


def test_it_waits_through_a_wrong_password(scene, ended):
    factorless(scene)
    send(ended, "/options/", WISHED)
    ended.post("/sign-in/", {"username": "root", "password": "no", "next": "/options/"})
    sign_in(ended, "root", "/options/")
    assert 'value="04:21"' in ended.get("/options/").content.decode()


def test_a_button_alone_is_told_and_not_pressed_again(scene, ended):
    factorless(scene)
    pk = scene.live.pk
    answer = send(ended, f"/runs/{pk}/cancel/", {}, page="/users/?q=a")
    assert answer["Location"] == "/sign-in/?next=%2Fusers%2F%3Fq%3Da"
    sign_in(ended, "root", "/users/?q=a")
    html = ended.get("/users/?q=a").content.decode()
    assert "nothing was done. Do it once more." in html
    scene.live.refresh_from_db()
    assert scene.live.cancelled_at is None


def test_a_stranger_keeps_nothing(scene):
    client = Client()
    answer = send(client, "/options/", WISHED)
    assert lost_forms.KEPT not in client.session
    assert "Sign in and do it again." in client.get(answer["Location"]).content.decode()


def test_who_signs_out_is_forgotten(scene):
    client = Client()
    client.force_login(scene.harborweb)
    client.get("/users/")
    assert client.cookies[lost_forms.WHOSE].value
    assert client.post("/sign-out/").status_code == 302
    assert client.cookies[lost_forms.WHOSE].value == ""
    assert client.get("/sign-in/").status_code == 200


@pytest.mark.parametrize("sent_from", ["https://elsewhere.example/x", "//elsewhere.example/x", ""])
def test_it_leads_to_no_other_site(scene, ended, sent_from: str):
    answer = ended.post("/options/", WISHED, headers={"Referer": sent_from})
    assert answer["Location"] == "/sign-in/?next=%2Foptions%2F"


def test_a_fragment_is_told_to_sign_in_and_keeps_nothing(scene, ended):
    answer = ended.post("/options/", WISHED, headers={"HX-Request": "true"})
    assert (answer.status_code, answer["X-Sign-In"]) == (401, "/sign-in/")
    assert Session.objects.filter(person__isnull=True, expire_date__gt=timezone.now()).count() == 0


def test_filling_in_touches_only_what_is_typed():
    page = (
        '<!DOCTYPE html><form action="/b/" method="post"><input name="a" value="x"></form>'
        '<form method="post"><input name="a" value="x&quot;"><input type="hidden" name="h" value="1">'
        '<input type="password" name="p"><input type="checkbox" name="c" value="1" checked>'
        '<input type="checkbox" name="c" value="2"><textarea name="t" rows="2">old &amp; gone</textarea>'
        '<select name="s"><option value="1" selected>One &mdash; 1<option value="2">Two</select></form><p>x &lt; y</p>'
    )
    html, filled = refill.fill(
        page, "/a/", "/a/", {"a": ['"><b>'], "h": ["2"], "p": ["no"], "c": ["2"], "t": ["<new>"], "s": ["2"]}
    )
    assert filled
    assert html == (
        '<!DOCTYPE html><form action="/b/" method="post"><input name="a" value="x"></form>'
        '<form method="post"><input name="a" value="&quot;&gt;&lt;b&gt;"><input type="hidden" name="h" value="1">'
        '<input type="password" name="p"><input type="checkbox" name="c" value="1">'
        '<input type="checkbox" name="c" value="2" checked="checked"><textarea name="t" rows="2">&lt;new&gt;</textarea>'
        '<select name="s"><option value="1">One &mdash; 1<option value="2" selected="selected">Two</select></form>'
        "<p>x &lt; y</p>"
    )
    assert refill.fill(page, "/a/", "/c/", {"a": ["z"]}) == (page, False)
