"""Dangerous acts ask once more who one is, and what was typed meanwhile is taken up when the answer is right."""

import re
import time
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Channel, Provider
from autossl_panel.people import factors
from autossl_panel.people.models import AuditEntry, SignInTries
from autossl_panel.people.seal import cipher, unseal
from tests.people.test_factors import code
from tests.web.scene import PASSWORD, Scene
from tests.web.test_pages import check

HOUR = 3600
DRAFT = {"name": "Pebble", "directory_url": "https://127.0.0.1:14000/dir", "max_names": "77", "eab_kid": "kid-1",
         "eab_hmac_key": "c2VjcmV0LWtleQ"}  # fmt: skip


@pytest.fixture
def stale(scene: Scene, signed_in) -> Client:
    return signed_in(scene.root, ago=HOUR)


def kept_in(answer) -> str:
    return re.search(r'name="kept" value="([^"]+)"', answer.content.decode())[1]


def test_a_form_that_was_sent_too_late_is_asked_about_and_then_done(scene, stale):
    asked = stale.post("/providers/add/", DRAFT)
    html = asked.content.decode()
    check(html)
    assert asked.status_code == 200
    assert "Is it you?" in html
    assert 'action="/providers/add/"' in html
    assert not Provider.objects.filter(name="Pebble").exists()
    answer = stale.post("/providers/add/", {"kept": kept_in(asked), "password": PASSWORD})
    made = Provider.objects.get(name="Pebble")
    assert answer["Location"] == f"/providers/?choose={made.pk}"
    assert (made.max_names, made.eab_hmac_key) == (77, "c2VjcmV0LWtleQ")
    # Proven once, it holds for a while.
    assert stale.get("/providers/disable/").status_code == 200


def test_what_was_typed_travels_sealed(stale):
    html = stale.post("/providers/add/", DRAFT).content.decode()
    assert "c2VjcmV0LWtleQ" not in html
    assert "c2VjcmV0LWtleQ" not in str(dict(stale.session))


def test_a_wrong_password_asks_again_and_keeps_it_all(stale):
    asked = stale.post("/providers/add/", DRAFT)
    wrong = stale.post("/providers/add/", {"kept": kept_in(asked), "password": "wrong"})
    html = wrong.content.decode()
    assert "The password is wrong." in html
    check(html)
    assert not Provider.objects.filter(name="Pebble").exists()
    entry = AuditEntry.objects.latest("pk")
    assert (entry.event, entry.subject, entry.person_name) == ("person:confirm_failed", "root", "root")
    stale.post("/providers/add/", {"kept": kept_in(wrong), "password": PASSWORD})
    assert Provider.objects.filter(name="Pebble").exists()


def test_wrong_passwords_are_counted_as_at_sign_in(stale):
    asked = kept_in(stale.post("/providers/add/", DRAFT))
    for _try in range(5):
        assert stale.post("/providers/add/", {"kept": asked, "password": "wrong"}).status_code == 200
    answer = stale.post("/providers/add/", {"kept": asked, "password": PASSWORD})
    assert answer.status_code == 429
    assert "The panel takes the next try in" in answer.content.decode()
    SignInTries.objects.update(last_at=timezone.now() - timedelta(seconds=61))
    assert stale.post("/providers/add/", {"kept": asked, "password": PASSWORD}).status_code == 302


def test_a_mistake_in_the_form_itself_comes_back_with_what_was_typed(stale):
    asked = stale.post("/providers/add/", {**DRAFT, "directory_url": "http://ca.example/"})
    html = stale.post("/providers/add/", {"kept": kept_in(asked), "password": PASSWORD}).content.decode()
    assert "is not an https:// address" in html
    assert 'value="Pebble"' in html


@pytest.mark.parametrize("how", ["another page", "another person", "changed", "none", "old"])
def test_an_answer_holds_for_its_form_person_and_time_only(how, scene, stale, signed_in):
    asked = kept_in(stale.post("/providers/add/", DRAFT))
    client, url = stale, "/providers/add/"
    if how == "another page":
        url = "/providers/disable/"
    elif how == "another person":
        scene.harborweb.role = "root"
        scene.harborweb.save()
        client = signed_in(scene.harborweb, ago=HOUR)
    elif how == "changed":
        asked = asked[:-4] + "AAAA"
    elif how == "none":
        asked = ""
    else:
        text = unseal(asked, "confirmation").encode()
        asked = cipher("confirmation").encrypt_at_time(text, int(time.time()) - 31 * 60).decode()
    answer = client.post(url, {"kept": asked, "password": PASSWORD}, follow=True)
    assert "The form had waited too long." in answer.content.decode()
    assert not Provider.objects.filter(name="Pebble").exists()
    assert Provider.objects.filter(active=True).exists()


def test_a_page_is_reached_by_way_of_the_question(scene, stale):
    answer = stale.get("/providers/disable/?x=1")
    assert answer["Location"] == "/confirm/?next=%2Fproviders%2Fdisable%2F%3Fx%3D1"
    page = stale.get(answer["Location"]).content.decode()
    check(page)
    assert "Code of the authenticator app" not in page
    answer = stale.post("/confirm/", {"password": PASSWORD, "next": "/providers/disable/?x=1"})
    assert answer["Location"] == "/providers/disable/?x=1"
    assert stale.get("/providers/disable/").status_code == 200
    away = stale.post("/confirm/", {"password": PASSWORD, "next": "https://evil.example/"})
    assert away["Location"] == "/"


def test_a_second_factor_answers_as_well(scene, stale):
    secret = factors.new_secret()
    factors.add_app(scene.root, secret, code(secret), by=scene.root)
    row = Authenticator.objects.get(type=factors.APP)
    row.data["spent"] = 0
    row.save()
    asked = stale.post("/providers/add/", DRAFT)
    assert "Code of the authenticator app" in asked.content.decode()
    wrong = stale.post("/providers/add/", {"kept": kept_in(asked), "code": "nonsense"})
    assert "This code is not valid now." in wrong.content.decode()
    assert AuditEntry.objects.latest("pk").event == "person:confirm_failed"
    stale.post("/providers/add/", {"kept": kept_in(wrong), "code": code(secret)})
    assert Provider.objects.filter(name="Pebble").exists()


def test_an_act_of_htmx_leads_the_whole_page_to_the_question(stale):
    answer = stale.post(
        "/providers/add/",
        DRAFT,
        headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/providers/?choose=1"},
    )
    assert (answer.status_code, answer["HX-Redirect"]) == (204, "/confirm/?next=%2Fproviders%2F%3Fchoose%3D1")


def test_who_signed_in_just_now_is_not_asked(as_root):
    assert as_root.get("/providers/disable/").status_code == 200


def test_it_holds_for_a_quarter_of_an_hour(scene, signed_in):
    assert signed_in(scene.root, ago=14 * 60).get("/providers/disable/").status_code == 200
    assert signed_in(scene.root, ago=15 * 60 + 1).get("/providers/disable/").status_code == 302


def test_a_session_from_before_there_was_such_a_thing_is_asked(scene):
    client = Client()
    client.force_login(scene.root)
    assert client.get("/providers/disable/").status_code == 302


def test_posts_still_need_the_token(scene):
    client = Client(enforce_csrf_checks=True)
    client.force_login(scene.root)
    session = client.session
    session["proved_at"] = time.time() - HOUR
    session.save()
    assert client.post("/providers/add/", DRAFT).status_code == 403


def test_the_seal_names_its_purpose(stale):
    """What is kept for a question opens as nothing else."""
    token = kept_in(stale.post("/providers/add/", DRAFT))
    assert '"path": "/providers/add/"' in unseal(token, "confirmation")
    with pytest.raises(ValueError, match="second factor"):
        unseal(token, "second factor")


def options_form(client: Client, **changed: str) -> dict[str, str]:
    """What the Options form would send."""
    fields = client.get("/options/").context["fields"]
    values = {name: field.value for name, field in fields.items()}
    ticked = {name: "on" for name in ("replace_foreign", "serve_www") if values.pop(name) == "yes"}
    values.pop("reissue")
    return {**values, **ticked, **changed}


def test_who_has_to_have_a_second_factor_is_set_by_who_is_really_there(scene, stale):
    options.change(scene.server, {"second_factor": "root"}, by=None)
    factors.add_app(scene.root, secret := factors.new_secret(), code(secret), by=None)
    assert stale.post("/options/", options_form(stale, log_days="31"))["Location"] == "/options/"
    asked = stale.post("/options/", options_form(stale, second_factor="nobody"))
    assert "Is it you?" in asked.content.decode()
    assert options.current(scene.server).second_factor == "root"
    assert stale.post("/options/", {"kept": kept_in(asked), "password": PASSWORD})["Location"] == "/options/"
    assert options.current(scene.server).second_factor == "nobody"


def test_where_notifications_go_is_set_by_who_is_really_there(scene, stale):
    form = {"name": "hook", "kind": "webhook", "target": "https://hooks.example.com/a", "level": "all"}
    asked = stale.post("/options/channels/add/", form)
    assert "Is it you?" in asked.content.decode()
    assert not Channel.objects.filter(name="hook").exists()
    shown = stale.post("/options/channels/add/", {"kept": kept_in(asked), "password": PASSWORD})
    assert Channel.objects.get(name="hook").secret in shown.content.decode()
