"""Signing in with a second factor: after the password, by code, recovery code or passkey; and setting one up."""

import json
import re
import time

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from autossl_panel.people import factors, persons
from autossl_panel.people.models import AuditEntry, Role, Session, User
from tests.people.test_factors import code
from tests.web.scene import PASSWORD, person
from tests.web.test_pages import check

pytestmark = pytest.mark.django_db


@pytest.fixture
def root() -> User:
    return person("root", Role.ROOT)


@pytest.fixture
def app(root: User) -> str:
    """Root's authenticator app, set up some time ago."""
    secret = factors.new_secret()
    factors.add_app(root, secret, code(secret), by=root)
    row = Authenticator.objects.get(type=factors.APP)
    row.data["spent"] = 0
    row.save()
    return secret


def password(client: Client, **more: str):
    return client.post("/sign-in/", {"username": "root", "password": PASSWORD, **more})


def second(client: Client, typed: str):
    return client.post("/sign-in/second-factor/", {"code": typed})


def events() -> list[str]:
    return list(AuditEntry.objects.order_by("pk").values_list("event", flat=True))


def test_the_code_of_the_app_leads_on_to_the_page_that_was_asked_for(root, app):
    client = Client()
    assert password(client, next="/options/")["Location"] == "/sign-in/second-factor/"
    assert client.get("/options/").status_code == 302, "the password alone opens nothing"
    page = client.get("/sign-in/second-factor/")
    check(page.content.decode())
    answer = second(client, code(app))
    assert (answer.status_code, answer["Location"]) == (302, "/options/")
    assert client.get("/options/").status_code == 200
    assert events()[-1] == "person:signed_in"


@pytest.mark.parametrize("change", ["password", "inactive"])
def test_a_sign_in_that_waits_for_its_code_ends_with_the_password(root, app, change):
    client = Client()
    password(client)
    if change == "password":
        persons.change_password(User.objects.get(pk=root.pk), "another-long-one-77", by=None)
    else:
        User.objects.filter(pk=root.pk).update(is_active=False)
    assert second(client, code(app))["Location"] == "/sign-in/"
    assert client.get("/users/").status_code == 302


def test_a_wrong_code_is_said_and_recorded(root, app):
    client = Client()
    password(client)
    answer = second(client, "000000" if code(app) != "000000" else "000001")
    html = answer.content.decode()
    assert answer.status_code == 200
    assert "This code is not valid now." in html
    assert 'role="alert"' in html
    assert client.get("/users/").status_code == 302
    assert events()[-1] == "person:second_factor_failed"
    assert AuditEntry.objects.latest("pk").subject == "root"


def test_five_wrong_codes_are_enough_for_a_while(root, app):
    client = Client()
    password(client)
    for _try in range(5):
        assert second(client, "nonsense").status_code == 200
    answer = second(client, code(app))
    assert answer.status_code == 429
    assert "Too many wrong codes." in answer.content.decode()
    elsewhere = Client(REMOTE_ADDR="198.51.100.9")
    password(elsewhere)
    assert second(elsewhere, code(app)).status_code == 429, "codes are counted for the person, whatever the address"
    assert events().count("person:second_factor_failed") == 5


def test_a_code_signs_in_once(root, app):
    shown = code(app)
    for place, expected in enumerate((302, 200)):
        client = Client()
        password(client)
        assert second(client, shown).status_code == expected, place


def test_a_recovery_code_signs_in_once(root, app):
    one = factors.codes(root)[0]
    for expected in (302, 200):
        client = Client()
        password(client)
        assert second(client, one).status_code == expected
    assert factors.of(root).codes_left == 9


def test_without_a_password_there_is_no_second_step(root, app):
    client = Client()
    assert client.get("/sign-in/second-factor/")["Location"] == "/sign-in/"
    assert second(client, code(app))["Location"] == "/sign-in/"
    password(client)
    session = client.session
    session["account_login"]["initiated_at"] = time.time() - 16 * 60
    session.save()
    assert second(client, code(app))["Location"] == "/sign-in/", "after a quarter of an hour it begins anew"


def test_somebody_who_was_removed_meanwhile_is_not_let_in(root, app):
    client = Client()
    password(client)
    User.objects.update(is_active=False)
    second(client, code(app))
    assert client.get("/users/").status_code == 302


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "x",
        "null",
        "[]",
        "1",
        "{}",
        '{"response": 1}',
        '{"response": {}}',
        '{"id": "a", "rawId": "b", "response": {}, "type": "public-key"}',
        '{"id": "AA", "rawId": "AA", "response": {"userHandle": "MQ"}, "type": "public-key"}',
        json.dumps({"id": "AA", "rawId": "AA", "type": "x", "response": {"userHandle": 5, "signature": []}}),
        json.dumps(
            {
                "id": "AA",
                "rawId": "AA",
                "type": "public-key",
                "response": {"clientDataJSON": "AA", "authenticatorData": "AA", "signature": "AA", "userHandle": "MQ"},
            }
        ),
        "[" * 5000,
        '{"response": {"a": ' + "[" * 900 + "]" * 900 + "}}",
    ],
)
def test_what_is_no_passkey_is_refused_not_tripped_over(credential, root):
    client = Client(SERVER_NAME="localhost")
    client.post("/passkey-options/")
    answer = client.post("/sign-in/passkey/", {"credential": credential})
    assert answer.status_code == 200
    assert "This passkey does not open this account." in answer.content.decode()
    factors.add_passkey(root, "Laptop", {"response": {}}, by=root)
    Authenticator.objects.filter(type="webauthn").delete()
    client.force_login(root)
    session = client.session
    session["proved_at"] = time.time()
    session.save()
    client.post("/security/passkeys/options/")
    answer = client.post("/security/passkeys/add/", {"credential": credential})
    assert answer.status_code == 200
    assert "was not taken" in answer.content.decode()
    assert not factors.has_any(root)


def test_asking_for_passkeys_and_passwords_has_an_end(root):
    client = Client()
    answers = [client.post("/passkey-options/").status_code for _try in range(31)]
    assert answers == [200] * 30 + [429]
    assert password(client).status_code == 429
    assert password(Client(REMOTE_ADDR="198.51.100.9")).status_code == 302


# --- setting up -------------------------------------------------------------------------------------------------------


@pytest.fixture
def fresh(root: User) -> Client:
    client = Client()
    password(client)
    return client


def test_an_app_is_set_up_by_scanning_and_typing(root, fresh):
    page = fresh.get("/security/app/").content.decode()
    check(page)
    assert '<svg class="qr"' in page
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
    draft = re.search(r'name="draft" value="([^"]+)"', page)[1]
    assert secret not in draft
    wrong = fresh.post("/security/app/", {"draft": draft, "code": "nonsense"}).content.decode()
    assert 'aria-describedby="code-e"' in wrong
    assert secret[:4] in wrong, "the same key still"
    answer = fresh.post("/security/app/", {"draft": draft, "code": code(secret)})
    assert answer["Location"] == "/security/recovery-codes/"
    shown = fresh.get("/security/recovery-codes/").content.decode()
    check(shown)
    codes = re.findall(r"<li><code>(\d+)</code></li>", shown)
    assert codes == factors.codes(root)
    link = re.search(r'href="(/security/recovery-codes\.txt)" download>.*?Download as text</a>', shown)
    assert link, "as long as they are shown"
    text = fresh.get(link[1])
    assert text["Content-Disposition"] == 'attachment; filename="autossl-recovery-codes.txt"'
    assert set(codes) <= set(text.content.decode().split())
    assert "second_factor:added" in events()


def test_another_persons_draft_is_not_taken(root, fresh):
    page = fresh.get("/security/app/").content.decode()
    draft = re.search(r'name="draft" value="([^"]+)"', page)[1]
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
    bob = Client()
    person("bob", Role.RESELLER)
    bob.post("/sign-in/", {"username": "bob", "password": PASSWORD})
    answer = bob.post("/security/app/", {"draft": draft, "code": code(secret)})
    assert "Scan the new code." in answer.content.decode()
    assert not Authenticator.objects.exists()


def test_codes_are_shown_in_the_session_that_made_them_and_for_ten_minutes(root, app, fresh):
    fresh = Client()
    password(fresh)
    second(fresh, code(app))
    page = fresh.get("/security/recovery-codes/").content.decode()
    assert not re.search(r"<li><code>", page)
    assert "recovery-codes.txt" not in page
    assert fresh.get("/security/recovery-codes.txt").status_code == 404
    fresh.post("/security/recovery-codes/")
    assert re.search(r"<li><code>", fresh.get("/security/recovery-codes/").content.decode())
    session = fresh.session
    session["recovery_codes_until"] = timezone.now().timestamp() - 1
    session.save()
    assert not re.search(r"<li><code>", fresh.get("/security/recovery-codes/").content.decode())


def test_removing_says_what_is_left(root, app):
    client = Client()
    password(client)
    second(client, code(app))
    assert "Set up on" in client.get("/security/").content.decode()
    page = client.get("/security/app/remove/").content.decode()
    check(page)
    assert "The password alone signs in from then on." in page
    assert client.post("/security/app/remove/")["Location"] == "/security/"
    assert not Authenticator.objects.exists()
    assert password(Client())["Location"] == "/"


def test_the_last_one_stays_where_one_is_required(root, app):
    from autossl_panel.autossl import options
    from autossl_panel.hosting import servers

    client = Client()
    password(client)
    second(client, code(app))
    options.change(servers.this(), {"second_factor": "root"}, by=None)
    assert "one is required" in client.get("/security/app/remove/").content.decode()
    assert client.post("/security/app/remove/").status_code == 200
    assert factors.has_any(root)
    factors.add_passkey(root, "Laptop", {"response": {}}, by=root)
    assert client.post("/security/app/remove/").status_code == 302


def test_who_is_required_to_is_led_to_set_one_up_and_then_let_in(root, fresh):
    from autossl_panel.autossl import options
    from autossl_panel.hosting import servers

    options.change(servers.this(), {"second_factor": "operators"}, by=None)
    client = Client()
    password(client)
    answer = client.get("/users/", follow=True)
    assert answer.request["PATH_INFO"] == "/security/"
    assert "A second factor is required." in answer.content.decode()
    page = client.get("/security/app/").content.decode()
    secret = re.search(r'<code class="secret">([A-Z2-7 ]+)</code>', page)[1].replace(" ", "")
    draft = re.search(r'name="draft" value="([^"]+)"', page)[1]
    client.post("/security/app/", {"draft": draft, "code": code(secret)})
    assert client.get("/users/").status_code == 200


def test_another_secret_key_is_told_and_reset_by_root(root, app, settings):
    client = Client()
    password(client)
    settings.SECRET_KEY = "another" * 10
    client = Client()
    password(client)
    html = second(client, code(app)).content.decode()
    assert "The second factor cannot be read." in html
    assert "reset-factors" in html


def test_the_password_is_changed_and_other_sessions_end(root, fresh):
    other = Client()
    password(other)
    assert (
        "not the same" in fresh.post("/security/password/", {"password": PASSWORD + "2", "again": ""}).content.decode()
    )
    short = fresh.post("/security/password/", {"password": "short", "again": "short"}).content.decode()
    assert "too short" in short
    check(short)
    assert other.get("/users/").status_code == 200
    new = PASSWORD + " two"
    assert fresh.post("/security/password/", {"password": new, "again": new})["Location"] == "/security/"
    assert fresh.get("/users/").status_code == 200
    assert other.get("/users/").status_code == 302
    assert Session.objects.filter(person=root).count() == 1
    assert password(Client()).status_code == 200
    assert "person:password_changed" in events()
