"""Channels on the Options tab: added, changed, tested, removed; what is a secret is shown once."""

import re
from datetime import timedelta

import pytest
from django_q.models import OrmQ

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Channel, Message
from autossl_panel.people.models import AuditEntry
from tests.autossl.notify.rows import queued
from tests.web.scene import Scene
from tests.web.test_pages import check

NEW = {
    "name": "ops",
    "kind": "webhook",
    "target": "https://hooks.example.com/in?key=t0ken",
    "level": "failures",
    "enabled": "yes",
}


@pytest.fixture(autouse=True)
def _mail_is_set(settings) -> None:
    settings.AUTOSSL_MAIL_FROM = "autossl@panel.example"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail.example.org", 587


def test_a_webhook_s_secret_is_shown_in_the_answer_and_never_again(as_root, scene: Scene):
    html = as_root.post("/options/channels/add/", NEW).content.decode()
    check(html)
    row = Channel.objects.get(name="ops")
    assert row.secret in html
    for url in ("/options/", f"/options/channels/{row.pk}/", f"/options/channels/{row.pk}/state/"):
        shown = as_root.get(url).content.decode()
        assert row.secret not in shown
        assert "t0ken" not in shown
    assert "https://hooks.example.com/…" in as_root.get("/options/").content.decode()
    entry = AuditEntry.objects.get(event="channel:added")
    assert entry.person == scene.root


def test_with_a_secret_of_ones_own_there_is_nothing_to_show(as_root, scene: Scene):
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    answer = as_root.post("/options/channels/add/", {**NEW, "secret": secret})
    assert answer["Location"] == "/options/"
    assert Channel.objects.get(name="ops").secret == secret


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("name", "", "Enter a name."),
        ("name", "on call", "is the name of another channel"),
        ("kind", "", "Choose one of: mail, webhook, apprise."),
        ("target", "http://hooks.example.com/", "A webhook is https"),
        ("level", "", "Choose one of: all"),
        ("level", "loud", "is none of"),
        ("secret", "sn0rk", "base64"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_what_was_typed_stays(field, value, said, as_root, scene: Scene):
    answer = as_root.post("/options/channels/add/", {**NEW, field: value})
    html = answer.content.decode()
    check(html)
    assert answer.status_code == 200
    assert said in html
    assert "Nothing was saved." in html
    assert html.count('aria-invalid="true"') == 1
    assert html.count("autofocus") == 1
    assert f'id="{field}-e"' in html
    assert field == "target" or 'value="https://hooks.example.com/in?key=t0ken"' in html
    assert "sn0rk" not in re.sub(r"“sn0rk”", "", html) or field != "secret", "a secret is not shown again"
    assert Channel.objects.count() == 1


def test_all_that_is_wrong_is_told_at_once_and_a_secret_is_asked_for_again(as_root, scene: Scene):
    wrong = {
        "name": "on call",
        "target": "",
        "level": "loud",
        "secret": "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    }
    html = as_root.post("/options/channels/add/", {**NEW, **wrong}).content.decode()
    check(html)
    told = {"name": "is the name of another channel", "target": "Enter a URL.", "level": "is none of"}
    for field, said in {**told, "secret": "Enter the secret once more."}.items():
        assert re.search(rf'id="{field}-e"[^>]*>(?:(?!</p>).)*{said}', html, re.S), field
    assert html.count('aria-invalid="true"') == 4
    assert re.search(r'<input id="name"[^>]* autofocus', html)
    assert html.count("autofocus") == 1
    nothing = as_root.post("/options/channels/add/", {}).content.decode()
    assert all(f'id="{field}-e"' in nothing for field in ("name", "kind", "level"))
    assert "once more" not in nothing
    assert Channel.objects.count() == 1


def test_of_a_channel_that_is_there_all_is_told_too(as_root, scene: Scene):
    url = f"/options/channels/{scene.channel.pk}/"
    html = as_root.post(url, {"name": "", "level": "all", "target": "http://x.example/", "secret": "sn0rk"})
    html = html.content.decode()
    assert all(f'id="{field}-e"' in html for field in ("name", "target", "secret"))
    assert 'value="http://x.example/"' in html
    assert Channel.objects.get() == scene.channel
    assert Channel.objects.get().name == "on call"


def test_a_channel_is_changed_and_what_is_left_empty_stays(as_root, scene: Scene):
    before = scene.channel
    url = f"/options/channels/{before.pk}/"
    answer = as_root.post(url, {"name": "night", "level": "all", "target": "", "secret": ""})
    assert answer["Location"] == "/options/"
    row = Channel.objects.get(pk=before.pk)
    assert (row.name, row.level, row.enabled) == ("night", "all", False)
    assert (row.target, row.secret) == (before.target, before.secret)
    assert "Switched off" in as_root.get("/options/").content.decode()


def test_a_test_is_a_row_and_the_bell_and_the_page_asks_until_it_is_over(as_root, scene: Scene):
    url = f"/options/channels/{scene.channel.pk}/"
    assert "hx-get" not in as_root.get(f"{url}state/").content.decode()
    before = OrmQ.objects.count()
    assert as_root.post(f"{url}test/")["Location"] == f"/options/#test-{scene.channel.pk}"
    assert OrmQ.objects.count() == before + 1
    html = as_root.get("/options/").content.decode()
    assert f'hx-get="{url}state/"' in html
    assert "A test is on its way" in html
    Message.objects.update(state="failed")
    Channel.objects.update(problem={"code": "status", "text": "it answered <500>"}, problem_at=scene.now)
    shown = as_root.get(f"{url}state/").content.decode()
    assert "hx-get" not in shown
    assert "it answered &lt;500&gt;" in shown


def test_a_test_by_e_mail(as_root, scene: Scene, settings):
    as_root.post("/options/mail/test/")
    assert [message.address for message in Message.objects.all()] == ["certs@harbor-hosting.example"]
    assert 'hx-get="/options/mail/state/"' in as_root.get("/options/mail/state/").content.decode()
    Message.objects.update(state="failed", problem={"code": "recipient", "text": "550 No such user"})
    shown = as_root.get("/options/mail/state/").content.decode()
    assert "certs@harbor-hosting.example: 550 No such user" in shown
    queued(scene.server, scene.now + timedelta(hours=1), "certs@harbor-hosting.example", test=True, state="sent",
           sent_at=scene.now)  # fmt: skip
    assert "Sent" in as_root.get("/options/mail/state/").content.decode()
    options.change(scene.server, {"admin_addresses": ""}, by=None)
    as_root.post("/options/mail/test/")
    assert "No address is set" in as_root.get("/options/").content.decode()
    settings.AUTOSSL_MAIL_FROM = ""
    assert "No mail server is set." in as_root.get("/options/").content.decode()


def test_what_was_not_delivered_is_told_once_an_address_and_can_be_sent_again(as_root, scene: Scene):
    problem = {"code": "recipient", "text": "550 <No> such user"}
    for _n in range(3):
        queued(scene.server, scene.now, "gone@example.org", state="failed", problem=problem)
    queued(scene.server, scene.now, "", way="webhook", channel=scene.channel, state="failed", problem=problem)
    html = as_root.get("/options/").content.decode()
    check(html)
    assert html.count("gone@example.org") == 1
    assert "3 messages to gone@example.org" in html
    assert "1 message to on call" in html
    assert "550 &lt;No&gt; such user" in html
    assert as_root.post("/options/messages/again/")["Location"] == "/options/"
    assert not Message.objects.filter(state="failed").exists()
    html = as_root.get("/options/").content.decode()
    assert "4 messages wait to be sent." in html
    assert "undelivered" not in html


def test_a_channel_is_removed_after_a_question(as_root, scene: Scene):
    queued(scene.server, scene.now, "", way="webhook", channel=scene.channel)
    url = f"/options/channels/{scene.channel.pk}/remove/"
    html = as_root.get(url).content.decode()
    assert "1 message that waits is dropped." in html
    assert as_root.post(url)["Location"] == "/options/"
    assert not Channel.objects.exists()
    assert not Message.objects.exists()
