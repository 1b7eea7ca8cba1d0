"""The toast: it undoes the change that it tells of and no other, stays on its page, and goes with the next act."""

import re
from datetime import timedelta

from django.test import Client
from django.utils import timezone

from autossl_panel.hosting.models import HostingUser
from tests.web.scene import Scene


def set_autossl(client: Client, name: str, value: str) -> str:
    """Save a row's radio as a browser does; returns the id of the change, as the toast's form has it."""
    pk = HostingUser.objects.get(name=name).pk
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/users/?q=a"}
    html = client.post(f"/users/{pk}/autossl/", {f"autossl-{pk}": value}, headers=headers).content.decode()
    assert 'name="next" value="/users/?q=a"' in html
    return re.findall(r'name="change" value="([^"]+)"', html)[0]


def setting(name: str) -> str:
    return HostingUser.objects.get(name=name).autossl


def test_undo_in_one_tab_never_undoes_what_another_tab_did(as_root):
    first = set_autossl(as_root, "amberfield", "off")
    second = set_autossl(as_root, "amberfield", "on")
    as_root.post("/users/undo/", {"change": first})
    assert setting("amberfield") == "on"
    html = as_root.get("/users/").content.decode()
    assert "This was not undone: something else was changed since. Nothing was changed now." in html
    assert f'name="change" value="{second}"' in html, "the other tab’s change can still be undone"
    as_root.post("/users/undo/", {"change": second})
    assert setting("amberfield") == "off"


def test_undo_without_the_id_of_a_change_undoes_nothing(as_root):
    set_autossl(as_root, "amberfield", "off")
    as_root.post("/users/undo/")
    assert setting("amberfield") == "off"


def test_a_toast_stays_on_its_page_whatever_is_asked_of_it(as_root):
    set_autossl(as_root, "amberfield", "off")
    for page in ("/certificates/", "/people/", "/runs/"):
        assert 'id="undo"' not in as_root.get(page).content.decode()
    assert 'id="undo"' in as_root.get("/users/?state=disabled").content.decode()


def test_a_toast_goes_with_the_next_act(as_root):
    set_autossl(as_root, "amberfield", "off")
    as_root.post("/people/lists/add/", {"name": "basic", "autossl": "on"})
    assert "“basic” is added." in as_root.get("/people/lists/").content.decode()
    assert 'id="undo"' not in as_root.get("/users/").content.decode()


def test_a_second_click_keeps_the_undo_of_the_first(as_root):
    one = HostingUser.objects.get(name="amberfield").pk
    for _click in range(2):
        as_root.post("/users/", {"bulk": "off", "users": [one], "shown": [one]})
    html = as_root.get("/users/").content.decode()
    assert "Nothing changes: it is set so already." in html
    assert 'id="undo"' in html


def test_it_closes_without_script(as_root):
    change = set_autossl(as_root, "amberfield", "off")
    html = as_root.get("/users/?q=a").content.decode()
    assert 'formaction="/toast/close/"' in html
    answer = as_root.post("/toast/close/", {"change": "another", "next": "/users/?q=a"})
    assert answer["Location"] == "/users/?q=a"
    assert 'id="undo"' in as_root.get("/users/").content.decode(), "that of another tab stays"
    as_root.post("/toast/close/", {"change": change, "next": "https://elsewhere.example/"})
    assert 'id="undo"' not in as_root.get("/users/").content.decode()
    assert setting("amberfield") == "off", "what was done stays done"
    assert as_root.post("/toast/close/", {"next": "https://elsewhere.example/"})["Location"] == "/"


def test_what_a_release_before_kept_in_the_session_is_no_toast(as_root, scene: Scene):
    session = as_root.session
    until = (timezone.now() + timedelta(seconds=30)).timestamp()
    session["toast"] = {"text": "old", "until": until, "undo": {"changes": []}}
    session.save()
    assert 'id="undo"' not in as_root.get("/users/").content.decode()
    assert as_root.post("/users/undo/").status_code == 302
