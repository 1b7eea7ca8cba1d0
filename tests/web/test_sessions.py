"""Who is signed in, from where, since when; ending it works at once. And what the trail says of coming and going."""

from datetime import timedelta

import pytest
from django.contrib.sessions.backends.base import UpdateError
from django.test import Client
from django.utils import timezone

from autossl_panel.people import sessions
from autossl_panel.people.models import AuditEntry, Role, Session, User
from autossl_panel.web import browsers
from tests.web.scene import PASSWORD, person
from tests.web.test_pages import check

pytestmark = pytest.mark.django_db
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0"


@pytest.fixture
def root() -> User:
    return person("root", Role.ROOT)


def sign_in(username: str, address: str = "127.0.0.1", agent: str = FIREFOX) -> Client:
    client = Client(REMOTE_ADDR=address, headers={"User-Agent": agent})
    assert client.post("/sign-in/", {"username": username, "password": PASSWORD}).status_code == 302
    return client


def of(client: Client) -> Session:
    return Session.objects.get(pk=client.session.session_key)


def test_a_session_says_whose_from_where_and_since_when(root):
    client = sign_in("root", "198.51.100.9")
    row = of(client)
    assert (row.person, row.address, row.browser) == (root, "198.51.100.9", FIREFOX)
    assert timezone.now() - row.began_at < timedelta(minutes=1)


def test_signing_in_begins_a_session_of_its_own(root):
    """A key that was there before the password (somebody may have planted it) is worth nothing after."""
    client = Client()
    client.post("/passkey-options/")
    before = client.session.session_key
    ident = of(client).ident
    client.post("/sign-in/", {"username": "root", "password": PASSWORD})
    assert client.session.session_key != before
    assert of(client).ident != ident
    assert not Session.objects.filter(pk=before).exists()


def test_when_it_was_seen_is_noted_once_a_minute_and_where_at_once(root):
    client = sign_in("root")
    client.get("/users/")
    ago = timezone.now() - timedelta(seconds=50)
    Session.objects.update(seen_at=ago)
    client.get("/users/")
    assert of(client).seen_at == ago
    Session.objects.update(seen_at=ago - timedelta(seconds=20))
    client.get("/users/")
    assert timezone.now() - of(client).seen_at < timedelta(seconds=30)
    client.get("/users/", REMOTE_ADDR="203.0.113.5")
    assert of(client).address == "203.0.113.5"


def test_the_list_marks_this_one_and_ends_another_at_once(root):
    mine, other = sign_in("root"), sign_in("root", "198.51.100.9", "curl/8.5")
    html = mine.get("/security/sessions/").content.decode()
    check(html)
    assert html.count("This session") == 1
    assert "Firefox on Linux" in html
    assert "198.51.100.9" in html
    assert other.session.session_key not in html
    assert mine.session.session_key not in html
    assert other.get("/users/").status_code == 200
    mine.post(f"/security/sessions/{of(other).ident}/end/")
    assert other.get("/users/").status_code == 302
    assert mine.get("/users/").status_code == 200
    entry = AuditEntry.objects.get(event="session:ended")
    assert (entry.person, entry.before["address"], entry.before["browser"]) == (root, "198.51.100.9", "curl/8.5")


def test_a_request_under_way_does_not_bring_an_ended_session_back(root):
    client = sign_in("root")
    store = client.session
    store["toast"] = 1
    Session.objects.all().delete()
    with pytest.raises(UpdateError):
        store.save()
    assert not Session.objects.exists()


def test_the_own_one_is_ended_by_signing_out(root):
    client = sign_in("root")
    answer = client.post(f"/security/sessions/{of(client).ident}/end/", follow=True)
    assert "Sign out to end it." in answer.content.decode()
    client.post("/sign-out/")
    assert not Session.objects.filter(person=root).exists()


def test_all_others_are_ended_together(root):
    mine, *others = (sign_in("root") for _n in range(3))
    answer = mine.post("/security/sessions/end-others/", follow=True)
    assert "2 sessions have ended." in answer.content.decode()
    assert [client.get("/users/").status_code for client in others] == [302, 302]
    assert mine.get("/users/").status_code == 200


def test_root_sees_everybodys_and_others_their_own(root):
    person("harborweb", Role.RESELLER)
    mine, theirs = sign_in("root"), sign_in("harborweb", "198.51.100.9")
    assert "harborweb" not in mine.get("/security/sessions/").content.decode()
    html = mine.get("/security/sessions/?whose=everybody").content.decode()
    check(html)
    assert "harborweb" in html
    own = theirs.get("/security/sessions/?whose=everybody").content.decode()
    assert own.count("<tr>") == 2
    assert theirs.post(f"/security/sessions/{of(mine).ident}/end/").status_code == 404
    answer = mine.post(f"/security/sessions/{of(theirs).ident}/end/", {"whose": "everybody"})
    assert answer["Location"] == "/security/sessions/?whose=everybody"
    assert theirs.get("/").status_code == 302


def test_what_has_run_out_is_neither_listed_nor_kept(root):
    client = sign_in("root")
    now = timezone.now()
    Session.objects.create(
        session_key="old", session_data="", person=root, began_at=now, seen_at=now, expire_date=now - timedelta(days=1)
    )
    assert sessions.of(root, now).count() == 1
    assert sessions.forget(now) == 1
    assert client.get("/users/").status_code == 200


def test_a_removed_persons_sessions_go_along(root):
    client = sign_in("root")
    root.delete()
    assert not Session.objects.exists()
    assert client.get("/users/").status_code == 302


@pytest.mark.parametrize(
    ("agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "
         "Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
         "Safari/605.1.15", "Safari on macOS"),
        ("Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile "
         "Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 "
         "Safari/604.1", "Safari on iPhone"),
        ("curl/8.5.0", "curl"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("", "Unknown browser"),
    ],
)  # fmt: skip
def test_browsers_in_words(agent, name):
    assert browsers.name(agent) == name


# --- coming and going in the audit trail ------------------------------------------------------------------------------


def trail() -> list[tuple[str, str, str, str]]:
    rows = AuditEntry.objects.order_by("pk")
    return list(rows.values_list("event", "person_name", "subject", "address"))


def test_coming_and_going_are_recorded(root):
    client = sign_in("root", "198.51.100.9")
    client.post("/sign-out/")
    client.post("/sign-out/")
    assert trail() == [
        ("person:signed_in", "root", "root", "198.51.100.9"),
        ("person:signed_out", "root", "root", "198.51.100.9"),
    ]


def test_wrong_passwords_are_recorded_as_nobodys_act_and_without_what_was_typed(root):
    client = Client(REMOTE_ADDR="198.51.100.9")
    client.post("/sign-in/", {"username": "root", "password": "wrong"})
    client.post("/sign-in/", {"username": PASSWORD, "password": "root"})
    assert trail() == [
        ("person:sign_in_failed", "", "root", "198.51.100.9"),
        ("person:sign_in_failed", "", "", "198.51.100.9"),
    ]
    assert PASSWORD not in str(AuditEntry.objects.values_list())
    for _try in range(8):
        client.post("/sign-in/", {"username": "root", "password": "wrong"})
    assert len(trail()) == 6, "what is not even tried is not recorded: the trail cannot be flooded"


def test_behind_a_proxy_the_trail_has_the_clients_address(root, settings):
    settings.AUTOSSL_PROXIES = 1
    client = Client(REMOTE_ADDR="127.0.0.1", headers={"X-Forwarded-For": "203.0.113.66"})
    client.post("/sign-in/", {"username": "root", "password": PASSWORD})
    assert trail()[0][3] == "203.0.113.66"
    assert of(client).address == "203.0.113.66"


def test_one_address_cannot_try_name_after_name(root):
    client = Client(REMOTE_ADDR="198.51.100.9")
    answers = [client.post("/sign-in/", {"username": f"user{n}", "password": "wrong"}).status_code for n in range(32)]
    assert answers == [200] * 30 + [429, 429]
    assert sign_in("root"), "another address is not held back"
