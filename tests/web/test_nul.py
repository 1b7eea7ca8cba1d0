"""A NUL, wherever a request can carry one: refused in words, on both databases; never an exception."""

from __future__ import annotations

import pytest
from django.test import Client

from autossl_panel.people.models import Session, User
from tests.web.scene import Scene
from tests.web.test_access import CALLED, TABLE, url_for

SAYS = "has a NUL character (U+0000)"


@pytest.mark.parametrize("value", ["\x00", "root\x00", "a\x00b"])
def test_at_the_gate_the_field_is_named(scene: Scene, value: str) -> None:
    answer = Client().post("/sign-in/", {"username": value, "password": "x"})
    assert answer.status_code == 400
    assert f"The field “username” {SAYS}" in answer.content.decode()


def test_a_field_s_name_may_have_none_either(scene: Scene) -> None:
    answer = Client().post("/sign-in/", {"user\x00name": "root"})
    assert (answer.status_code, b"user?name" in answer.content, b"\0" in answer.content) == (400, True, False)


@pytest.mark.parametrize("kind", ["form", "multipart"])
def test_no_page_takes_one_in_its_query_or_form(scene: Scene, as_root: Client, kind: str) -> None:
    for name in sorted(set(TABLE) - CALLED):
        url = url_for(name, scene)
        if kind == "form":
            answer = as_root.get(url, {"q": "\0"})
            assert (answer.status_code, SAYS in answer.content.decode()) == (400, True), url
            answer = as_root.post(url, "q=%00", content_type="application/x-www-form-urlencoded")
        else:
            answer = as_root.post(url, {"next": "/", "name": "\0"})
        assert (answer.status_code, SAYS in answer.content.decode()) == (400, True), url
    assert User.objects.filter(pk=scene.root.pk).exists()


@pytest.mark.parametrize("path", ["/%00", "/runs/%00/", "/problems/a%00/", "/%00/../"])
def test_an_address_has_none(as_root: Client, path: str) -> None:
    assert as_root.get(path).status_code == 400


def test_nor_has_a_session_s_key(scene: Scene) -> None:
    client = Client(headers={"Cookie": r'sessionid="\00012345678901234567890"'})
    assert client.get("/users/").status_code == 400
    assert not Session.objects.exists()


def test_to_htmx_it_says_nothing(as_root: Client) -> None:
    answer = as_root.get("/users/?q=%00", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (400, b"")


@pytest.mark.parametrize("body", ["{}", '{"a": "\0"}'])
def test_a_body_that_is_no_form_is_not_read(as_root: Client, body: str) -> None:
    assert as_root.post("/sign-out/", body, content_type="application/json").status_code == 302


@pytest.mark.parametrize("path", ["/json-api/%00", "/json-api/get_autossl_preview", "/execute/SSL/%00", "/execute/%00"])
def test_the_api_answers_in_its_own_form(scene: Scene, path: str) -> None:
    for query in ("", "?user=%00", "?%00=1"):
        for header in ("whm root:x", "whm root:\0", "cpanel \0:x"):
            answer = Client().get(path + query, headers={"Authorization": header})
            assert (answer.status_code, answer["Content-Type"]) == (401, "application/json")
