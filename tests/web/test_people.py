"""People: the list of persons, adding one."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import AuditEntry, Role, User
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import PASSWORD, Scene
from tests.web.test_pages import check as check_html

GOOD = {"username": "anna", "role": "user", "hosting_users": "", "email": "", "password": PASSWORD}


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


def named(html: str) -> list[str]:
    return re.findall(r'class="who"[^>]*>([^<]+)<', html)


def shown(client: Client, query: str = "") -> list[str]:
    return named(client.get(f"/people/{query}").content.decode())


def test_the_list_says_who_is_what_and_sees_what(as_root, own: Own):
    html = as_root.get("/people/").content.decode()
    check_html(html)
    assert named(html) == ["brightpeak", "harborweb", "lindner", "nobody", "root"]
    assert "office@harborweb.example" in html
    assert 'href="/people/users/?owner=harborweb">5 hosting users</a>' in html
    row = html.split(">nobody</a>")[1].split("</tr>", maxsplit=1)[0]
    assert "no hosting user" in row
    assert "never" in row


def test_root_finds_it_at_the_top_and_a_reseller_does_not(as_root, as_reseller):
    assert 'href="/people/"' in as_root.get("/users/").content.decode()
    assert 'href="/people/"' not in as_reseller.get("/users/").content.decode()


def test_filters_search_and_chips(as_root, own: Own):
    assert shown(as_root, "?state=reseller") == ["brightpeak", "harborweb"]
    assert shown(as_root, "?state=user") == ["lindner", "nobody"]
    User.objects.filter(username="nobody").update(is_active=False)
    assert shown(as_root, "?state=inactive") == ["nobody"]
    assert shown(as_root, "?q=office") == ["harborweb"], "by e-mail"
    HostingUser.objects.filter(name="amberfield").update(login=own.other)
    assert shown(as_root, "?q=amberf") == ["nobody"], "by a hosting user"
    html = as_root.get("/people/?q=zzz").content.decode()
    check_html(html)
    assert "Nothing matches “zzz”" in html
    chips = dict(re.findall(r'class="chip"[^>]*>(\w[\w ]*?) <span class="n">(\d+)<', html))
    assert chips == {"All": "5", "Root": "1", "Resellers": "2", "Logins": "2", "Deactivated": "1"}


def test_a_person_is_added_with_a_typed_password(as_root, scene: Scene):
    answer = as_root.post("/people/add/", {**GOOD, "hosting_users": "amberfield, ateliermo", "email": "a@b.example"})
    assert answer["Location"] == "/people/"
    anna = User.objects.get(username="anna")
    assert (anna.role, anna.email, anna.check_password(PASSWORD)) == (Role.USER, "a@b.example", True)
    assert set(anna.hosting_logins.values_list("name", flat=True)) == {"amberfield", "ateliermo"}
    assert "“anna” is added and may sign in." in as_root.get("/people/").content.decode()
    assert {entry.event for entry in AuditEntry.objects.all()} == {"person:added", "user:login_set"}
    assert all(entry.person == scene.root for entry in AuditEntry.objects.all())
    client = Client()
    client.post("/sign-in/", {"username": "anna", "password": PASSWORD})
    assert client.get("/status/").status_code == 302


def test_a_password_that_the_panel_made_is_shown_once(as_root):
    answer = as_root.post("/people/add/", {**GOOD, "password": ""})
    html = answer.content.decode()
    check_html(html)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    password = re.search(r'<code class="whole">([^<]+)</code><button[^>]* data-copy', html)[1]
    assert User.objects.get(username="anna").check_password(password)
    assert password not in as_root.get("/people/").content.decode()
    assert password not in str(list(AuditEntry.objects.values()))


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"username": "a b"}, "username", "is not a login name"),
        ({"username": ""}, "username", "Enter a user name."),
        ({"username": "harborweb"}, "username", "There is a person “harborweb” already."),
        ({"role": "king"}, "role", "is not a role"),
        ({"hosting_users": "amberfield nobodys"}, "hosting_users", "There is no hosting user “nobodys”"),
        ({"email": "anna"}, "email", "“anna” is not an e-mail address: "),
        ({"password": "2short!"}, "password", "too short"),
    ],
)
def test_what_cannot_be_taken_is_told_at_its_field_and_what_was_typed_stays(wrong, field, says, as_root):
    typed = {**GOOD, "email": "kept@b.example", **wrong}
    html = as_root.post("/people/add/", typed).content.decode()
    check_html(html)
    assert says in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert typed["email"] in html
    assert typed["password"] not in html, "a password is never sent back"
    assert not User.objects.filter(username="anna").exists()


def test_all_that_is_wrong_is_told_at_once(as_root, own: Own):
    wrong = {"username": "harborweb", "hosting_users": "lindner", "email": "x", "password": "short"}
    html = as_root.post("/people/add/", {**GOOD, **wrong}).content.decode()
    check_html(html)
    for said in ("There is a person “harborweb” already.", "has the login “lindner”", "not an e-mail", "too short"):
        assert said in html
    assert html.count('aria-invalid="true"') == 4


def test_a_password_that_was_typed_is_asked_for_again(as_root):
    html = as_root.post("/people/add/", {**GOOD, "email": "x"}).content.decode()
    assert "Enter the password once more." in html
    assert (
        "Enter the password once more."
        not in as_root.post("/people/add/", {**GOOD, "email": "x", "password": ""}).content.decode()
    )
    assert "At least 10 characters" in html, "the rule stands there beforehand"


def test_a_hosting_user_that_has_a_login_keeps_it(as_root, own: Own):
    html = as_root.post("/people/add/", {**GOOD, "hosting_users": "lindner"}).content.decode()
    assert "“lindner” has the login “lindner” already." in html
    assert not User.objects.filter(username="anna").exists()


def test_ten_thousand_logins_are_few_questions_and_pages(as_root, scene: Scene):
    User.objects.bulk_create(User(username=f"u{n:05}", role=Role.USER, password="!") for n in range(10_000))
    for query in ("", "?state=user&page=300", "?q=u09", "?size=100"):
        with CaptureQueriesContext(connection) as queries:
            assert as_root.get(f"/people/{query}").status_code == 200
        assert len(queries) <= 15, query
    assert len(shown(as_root, "?size=50")) == 50
