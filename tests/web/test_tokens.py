"""API tokens on pages: made and shown once, listed, revoked after a question; root sees everybody's."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from autossl_panel.people import tokens
from autossl_panel.people.models import ApiToken, AuditEntry, Role, User
from tests.web.scene import PASSWORD, Scene, person
from tests.web.test_pages import check

SECRET = re.compile(rf'<code id="secret">({tokens.PREFIX}[A-Za-z0-9]{{44}})</code>')
FORM = {"name": "billing", "expires": "90"}


def make(whose: User, name: str, *, days: int | None = None, ago: int = 0) -> ApiToken:
    at = timezone.now() - timedelta(days=ago)
    until = at + timedelta(days=days) if days else None
    return tokens.make(whose, name, expires_at=until, read_only=False, by=whose, now=at)[0]


def page(client: Client, path: str) -> str:
    html = client.get(path).content.decode()
    check(html)
    return html


def test_without_any_the_page_says_what_they_are_for(as_reseller):
    html = page(as_reseller, "/security/tokens/")
    assert "No token yet" in html
    assert "/security/tokens/add/" in html


def test_it_is_shown_once_and_works(as_root, scene: Scene):
    answer = as_root.post("/security/tokens/add/", FORM)
    html = answer.content.decode()
    check(html)
    secret = SECRET.search(html)
    assert secret
    assert "no-store" in answer["Cache-Control"]
    token = ApiToken.objects.get()
    assert (token.person, token.name, token.read_only) == (scene.root, "billing", False)
    assert timedelta(days=89) < token.expires_at - timezone.now() <= timedelta(days=90)
    call = Client().get(
        "/json-api/get_autossl_preview", {"api.version": 1}, headers={"Authorization": f"whm root:{secret[1]}"}
    )
    assert call.json()["metadata"]["result"] == 1
    for path in ("/security/tokens/", "/people/tokens/", "/people/audit/", "/security/"):
        assert secret[1].removeprefix(tokens.PREFIX) not in page(as_root, path)
    entry = AuditEntry.objects.get(event="token:added")
    assert (entry.person_name, entry.subject, entry.source) == ("root", "root", "panel")


def test_one_that_only_reads_without_end(as_reseller):
    html = as_reseller.post(
        "/security/tokens/add/", {"name": "m", "expires": "never", "read_only": "yes"}
    ).content.decode()
    token = ApiToken.objects.get()
    assert (token.expires_at, token.read_only) == (None, True)
    assert "Valid until it is revoked. It only reads." in html
    assert "only reads" in page(as_reseller, "/security/tokens/")


def test_a_login_is_told_its_own_form(scene: Scene, signed_in):
    html = signed_in(person("anna", Role.USER)).post("/security/tokens/add/", FORM).content.decode()
    assert "Authorization: cpanel anna:" in html
    assert "/execute/SSL/is_autossl_check_in_progress" in html


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"name": "", "expires": "90"}, "Say what the token is for, such as “backup script”. Nothing was saved."),
        ({"name": "x" * 65, "expires": "90"}, "A name has at most 64 characters. Nothing was saved."),
        ({"name": "taken", "expires": "90"}, "There is a token “taken” already. Nothing was saved."),
        ({"name": "new", "expires": "7"}, "Choose one of the times. Nothing was saved."),
        ({"name": "new"}, "Choose one of the times. Nothing was saved."),
    ],
)
def test_what_is_wrong_is_told_at_its_field_and_kept(sent, told, as_root, scene):
    make(scene.root, "taken")
    html = as_root.post("/security/tokens/add/", {**sent, "read_only": "yes"}).content.decode()
    check(html)
    assert told in html
    assert html.count('aria-invalid="true"') == 1
    assert f'value="{sent["name"]}"' in html
    assert re.search(r'name="read_only" value="yes" checked', html)
    assert ApiToken.objects.count() == 1


def test_making_one_asks_again_who_it_is_and_keeps_what_was_typed(scene: Scene, signed_in):
    client = signed_in(scene.harborweb, ago=3600)
    asked = client.post("/security/tokens/add/", FORM).content.decode()
    assert "Is it you?" in asked
    assert not ApiToken.objects.exists()
    kept = re.search(r'name="kept" value="([^"]+)"', asked)
    assert kept
    html = client.post("/security/tokens/add/", {"kept": kept[1], "password": PASSWORD}).content.decode()
    assert SECRET.search(html)
    assert ApiToken.objects.get().name == "billing"


def test_the_list_says_when_it_was_used_and_when_it_ends(as_reseller, scene: Scene):
    used = make(scene.harborweb, "used", days=10)
    tokens.used(used, "203.0.113.9", timezone.now())
    make(scene.harborweb, "over", days=30, ago=31)
    make(scene.brightpeak, "foreign")
    html = page(as_reseller, "/security/tokens/")
    assert html.count("<tr>") == 3
    assert "203.0.113.9" in html
    assert "Expired" in html
    assert "never" in html
    assert "foreign" not in html


def test_revoking_asks_first(as_reseller, scene: Scene):
    token = make(scene.harborweb, "old")
    url = f"/security/tokens/{token.pk}/revoke/"
    html = page(as_reseller, url)
    assert "Revoke “old” of harborweb?" in html
    assert "It was never used." in html
    assert ApiToken.objects.exists()
    answer = as_reseller.post(url, follow=True)
    assert "The token “old” is revoked and opens nothing any more." in answer.content.decode()
    assert not ApiToken.objects.exists()
    assert AuditEntry.objects.get(event="token:revoked").person == scene.harborweb
    assert as_reseller.post(url).status_code == 404


def test_nobody_else_revokes_it_but_root(scene: Scene, as_root, signed_in: Callable[..., Client]):
    token = make(scene.harborweb, "script")
    url = f"/security/tokens/{token.pk}/revoke/"
    assert signed_in(scene.brightpeak).post(url).status_code == 404
    html = page(as_root, f"{url}?whose=everybody")
    assert "Revoke “script” of harborweb?" in html
    answer = as_root.post(f"{url}?whose=everybody")
    assert answer["Location"] == "/people/tokens/"
    assert not ApiToken.objects.exists()


def test_root_finds_everybodys(as_root, scene: Scene):
    assert "Nobody has a token" in page(as_root, "/people/tokens/")
    make(scene.harborweb, "monitoring")
    make(scene.brightpeak, "nightly")
    User.objects.filter(pk=scene.brightpeak.pk).update(is_active=False)
    html = page(as_root, "/people/tokens/")
    assert "monitoring" in html
    assert "deactivated" in html
    assert page(as_root, "/people/tokens/?q=harbor").count("<tr>") == 2
    assert page(as_root, "/people/tokens/?q=nightly").count("<tr>") == 2
    assert "Nothing matches “zzz”" in page(as_root, "/people/tokens/?q=zzz")
    assert "1 token" in page(as_root, f"/people/{scene.harborweb.pk}/")


def test_another_role_says_that_tokens_are_gone(as_root, scene: Scene):
    make(scene.harborweb, "monitoring")
    sent = {"role": "root", "email": "", "hosting_users": "", "confirmed": "yes"}
    answer = as_root.post(f"/people/{scene.harborweb.pk}/", sent, follow=True)
    assert "1 API token is revoked." in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_pages_are_few_questions(as_root, scene: Scene, django_assert_max_num_queries):
    for n in range(30):
        make(scene.harborweb, f"script {n}")
    for path in ("/people/tokens/", "/security/tokens/"):
        with django_assert_max_num_queries(8):
            as_root.get(path)
