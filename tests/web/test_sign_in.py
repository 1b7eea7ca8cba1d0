"""Signing in and out, with the pause after wrong passwords."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from autossl_panel.people.models import Role, SignInTries, User
from tests.web.scene import PASSWORD, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return person("root", Role.ROOT)


def try_to(client: Client, username: str = "root", password: str = PASSWORD, **more: str):
    return client.post("/sign-in/", {"username": username, "password": password, **more})


def test_the_right_password_leads_on_to_the_page_that_was_asked_for(root):
    client = Client()
    asked = client.get("/options/")
    assert asked["Location"] == "/sign-in/?next=/options/"
    answer = try_to(client, next="/options/")
    assert (answer.status_code, answer["Location"]) == (302, "/options/")
    assert client.get("/options/").status_code == 200


@pytest.mark.parametrize("place", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_it_never_leads_elsewhere(place, root):
    assert try_to(Client(), next=place)["Location"] == "/"


def test_a_wrong_password_is_said_and_the_name_kept(root):
    answer = try_to(Client(), password="wrong")
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "User name or password is wrong." in html
    assert 'role="alert"' in html
    assert 'value="root"' in html
    assert "wrong" not in html.split('name="password"')[1].split(">")[0]


def test_an_unknown_name_is_told_the_same(root):
    assert "User name or password is wrong." in try_to(Client(), username="nobody").content.decode()


def test_after_five_wrong_passwords_even_the_right_one_waits_a_minute(root):
    client = Client()
    for _attempt in range(5):
        assert try_to(client, password="wrong").status_code == 200
    answer = try_to(client)
    assert answer.status_code == 429
    assert "Too many wrong passwords." in answer.content.decode()
    elsewhere = Client(REMOTE_ADDR="198.51.100.9")
    assert try_to(elsewhere).status_code == 302, "another address is not held back"
    SignInTries.objects.update(last_at=timezone.now() - timedelta(seconds=61))
    assert try_to(client).status_code == 302
    assert not SignInTries.objects.exists()


def test_a_pause_that_is_over_begins_a_new_count(root):
    SignInTries.objects.create(
        username="root", address="127.0.0.1", wrong=5, last_at=timezone.now() - timedelta(minutes=2)
    )
    assert try_to(Client(), password="wrong").status_code == 200
    assert SignInTries.objects.get().wrong == 1


def test_a_hosting_users_login_signs_in_to_pages_of_its_own():
    person("amber", Role.USER)
    client = Client()
    assert try_to(client, username="amber")["Location"] == "/"
    own = client.get(client.get("/")["Location"])
    assert own.status_code == 200
    assert client.get("/users/").status_code == 404


def test_an_inactive_person_is_not_let_in(root):
    User.objects.update(is_active=False)
    assert "wrong" in try_to(Client()).content.decode()


def test_signing_out_ends_the_session(root):
    client = Client()
    try_to(client)
    assert client.post("/sign-out/")["Location"] == "/sign-in/"
    assert client.get("/users/").status_code == 302


def test_a_poll_without_a_session_is_told_so_and_where_to_sign_in(root):
    answer = Client().get("/runs/slot/", headers={"HX-Request": "true"})
    assert (answer.status_code, answer["X-Sign-In"], answer.content) == (401, "/sign-in/", b"")


def test_posts_need_the_token(root):
    client = Client(enforce_csrf_checks=True)
    assert try_to(client).status_code == 403
    client.force_login(root)
    assert client.post("/runs/").status_code == 403


def test_the_theme_is_the_persons_own(root):
    client = Client()
    try_to(client)
    assert "data-theme" not in client.get("/users/").content.decode().split(">")[1]
    assert client.post("/theme/", {"theme": "dark", "next": "/users/"})["Location"] == "/users/"
    assert 'data-theme="dark"' in client.get("/users/").content.decode()
    assert client.post("/theme/", {"theme": "pink"}).status_code == 400
