"""Channels: what is taken, what is refused and how it is told, and what never shows a secret."""

from __future__ import annotations

import base64
import io
import json
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django_q.models import OrmQ

from autossl_panel.autossl import options, tasks
from autossl_panel.autossl.models import Channel, Message
from autossl_panel.autossl.notify import channels
from autossl_panel.autossl.notify.channels import ChannelProblem, Wish
from autossl_panel.people.models import AuditEntry
from tests.autossl.notify.rows import ADMIN, queued
from tests.support.receiver import Receiver
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.django_db
URL = "https://hooks.example.com/in/t0ken?key=s3cret"
OWN = base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def test_a_webhook_gets_a_secret_that_nothing_shows_again(server, root):
    row = channels.add(server, Wish("ops", "webhook", URL), by=root)
    assert row.secret.startswith("whsec_")
    assert len(base64.b64decode(row.secret.removeprefix("whsec_"))) == 32
    other = channels.add(server, Wish("ops2", "webhook", URL), by=root)
    assert other.secret != row.secret
    said = run("list")
    audit = json.dumps(list(AuditEntry.objects.values_list("before", "after")))
    for secret in (row.secret, "t0ken", "s3cret"):
        assert secret not in said
        assert secret not in audit
    assert "https://hooks.example.com/…" in said
    assert AuditEntry.objects.first().person == root


@pytest.mark.parametrize(
    ("wish", "field", "says"),
    [
        (Wish("", "mail", "a@b.example"), "name", "Enter a name."),
        (Wish("x" * 65, "mail", "a@b.example"), "name", "at most 64"),
        (Wish("a\nb", "mail", "a@b.example"), "name", "is not a name"),
        (Wish("a", "pigeon", "a@b.example"), "kind", "mail, webhook, apprise"),
        (Wish("a", "mail", "nowhere"), "target", "is not an e-mail address"),
        (Wish("a", "mail", "a@b.example\nBcc: c@d.example"), "target", "is not an e-mail address"),
        (Wish("a", "mail", "a@b.example", level="loud"), "level", "all, warnings, failures, none"),
        (Wish("a", "mail", "a@b.example", secret=OWN), "secret", "Only a webhook"),
        (Wish("a", "webhook", ""), "target", "Enter a URL."),
        (Wish("a", "webhook", "hooks.example.com"), "target", "not a URL"),
        (Wish("a", "webhook", "https://hooks.example.com:99999/"), "target", "cannot be read"),
        (Wish("a", "webhook", "http://hooks.example.com/"), "target", "https"),
        (Wish("a", "webhook", "ftp://hooks.example.com/", private=True), "target", "https"),
        (Wish("a", "webhook", "file:///etc/passwd", private=True), "target", "not a URL"),
        (Wish("a", "webhook", "https://u:p@hooks.example.com/"), "target", "User and password"),
        (Wish("a", "webhook", "https://hooks.example.com/\r\nX: y"), "target", "not a URL"),
        (Wish("a", "webhook", "https://hooks.example.com/#x"), "target", "“#”"),
        (Wish("a", "webhook", "https://127.0.0.1/"), "target", "own network"),
        (Wish("a", "webhook", "https://localhost/"), "target", "own network"),
        (Wish("a", "webhook", "https://[::1]/"), "target", "own network"),
        (Wish("a", "webhook", URL, secret="short"), "secret", "base64"),
        (Wish("a", "webhook", URL, secret=base64.b64encode(b"short").decode()), "secret", "24 to 64 bytes"),
    ],
)
def test_what_cannot_be_taken_names_the_input_and_saves_nothing(server, wish, field, says):
    with pytest.raises(ChannelProblem) as raised:
        channels.add(server, wish, by=None)
    assert raised.value.field == field
    assert says in raised.value.text
    assert not Channel.objects.exists()
    assert not AuditEntry.objects.exists()


def test_a_name_is_taken_once(server):
    first = channels.add(server, Wish("ops", "mail", "a@b.example"), by=None)
    second = channels.add(server, Wish("other", "mail", "a@b.example"), by=None)
    with pytest.raises(ChannelProblem, match="another channel"):
        channels.add(server, Wish("ops", "mail", "c@d.example"), by=None)
    with pytest.raises(ChannelProblem, match="another channel"):
        channels.change(second, Wish("ops", "mail"), by=None)
    assert first.name == "ops"


def test_what_is_left_empty_stays_as_it_is(server, root):
    row = channels.add(server, Wish("ops", "webhook", URL, secret=OWN), by=root)
    channels.change(row, Wish("ops", "webhook", level="all"), by=root)
    row.refresh_from_db()
    assert (row.target, row.secret, row.level) == (URL, f"whsec_{OWN}", "all")
    entry = AuditEntry.objects.get(event="channel:changed")
    assert (entry.before, entry.after) == ({"level": "warnings"}, {"level": "all"})


def test_http_that_was_taken_as_ones_own_network_s_cannot_become_public(server):
    row = channels.add(server, Wish("lan", "webhook", "http://10.1.2.3/hook", private=True), by=None)
    with pytest.raises(ChannelProblem) as raised:
        channels.change(row, Wish("lan", "webhook", private=False), by=None)
    assert raised.value.field == "target"


def test_switched_off_or_removed_nothing_that_waits_is_sent(server, now):
    row = channels.add(server, Wish("ops", "webhook", URL), by=None)
    queued(server, now, "", way="webhook", channel=row)
    channels.change(row, Wish("ops", "webhook", enabled=False), by=None)
    assert not Message.objects.exists()
    queued(server, now, "", way="webhook", channel=row)
    channels.remove(row, by=None)
    assert not Message.objects.exists()
    assert AuditEntry.objects.filter(event="channel:removed", subject="ops").exists()


@pytest.mark.django_db(transaction=True)
def test_a_test_rings_the_bell_and_a_worker_sends_it(server, root, now):
    with Receiver() as receiver:
        row = channels.add(server, Wish("ops", "webhook", receiver.url, private=True, level="none"), by=root)
        message = channels.ask_test(row, by=root, now=now)
        assert OrmQ.objects.count() == 1
        tasks.deliver(server.pk)
        tasks.deliver(0)
        message.refresh_from_db()
        row.refresh_from_db()
        assert message.state == "sent"
        assert row.sent_at is not None
        receiver.status = 500
        channels.ask_test(row, by=root, now=now)
        tasks.deliver(server.pk)
        row.refresh_from_db()
        assert row.problem["text"].endswith("answered 500.")
        assert Message.objects.filter(state="failed").count() == 1, "a test is tried once"


# --- the command ------------------------------------------------------------------------------------------------------


def run(*argv: str) -> str:
    out = io.StringIO()
    call_command("notify", *argv, stdout=out, stderr=out)
    return out.getvalue()


def refused(*argv: str) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        run(*argv)
    return raised.value.returncode, str(raised.value)


def test_channels_on_the_command_line(server, monkeypatch):
    said = run("add", "ops", "--kind", "webhook", "--target", URL, "--level", "failures")
    secret = Channel.objects.get().secret
    assert said.endswith(f"Its secret, shown only now: {secret}\n")
    assert run("set", "ops", "--level", "all", "--enabled", "no") == "ops: all, switched off\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{OWN}\n"))
    run("set", "ops", "--secret-stdin", "--enabled", "yes")
    assert Channel.objects.get().secret == f"whsec_{OWN}"
    monkeypatch.setattr(sys, "stdin", io.StringIO("gotify://host/t0ken\n"))
    run("add", "chat", "--kind", "apprise", "--target", "-")
    said = run("list")
    assert "gotify://…" in said
    assert "t0ken" not in said
    assert "never used" in said
    assert run("remove", "ops") == "ops: removed\n"


def test_the_list_says_what_was_not_sent(server, settings, now):
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail.example.org", 587
    options.change(server, {"admin_addresses": ADMIN}, by=None)
    queued(server, now, ADMIN)
    queued(server, now, "gone@example.org", state="failed", problem={"code": "recipient", "text": "550 No such user"})
    assert run("list") == (
        f"Mail server: mail.example.org:587. Administrator: {ADMIN} (warnings)\n1 message waiting\n"
        "Not sent to gone@example.org: 550 No such user\n"
    )
    assert run("again") == "1 message to be sent again\n"
    settings.AUTOSSL_MAIL_FROM = ""
    assert run("list").startswith("Mail server: none is set.")


def test_a_test_on_the_command_line_is_sent_then_and_there(server, settings, now):
    options.change(server, {"admin_addresses": f"{ADMIN},gone@example.org"}, by=None)
    with SmtpServer() as smtp:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = smtp.host, smtp.port
        smtp.postbox.answers["gone@example.org"] = "550 5.1.1 No such user"
        with pytest.raises(SystemExit) as raised:
            run("test")
        assert raised.value.code == 1
        assert [mail.recipient for mail in smtp.postbox.taken] == [ADMIN]
        channels.add(server, Wish("desk", "mail", "desk@example.org"), by=None)
        assert run("test", "desk") == "desk: sent\n"
    Channel.objects.update(sent_at=now - timedelta(days=1))
    with pytest.raises(SystemExit):
        run("test", "desk")
    assert "Connection refused" in run("list")


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("add", "a", "--kind", "webhook", "--target", "http://x.example/"), "--target: A webhook is https"),
        (("add", "a b\n", "--kind", "mail", "--target", "a@b.example"), "name: "),
        (("set", "nobody", "--level", "all"), "There is no channel “nobody”. There are: none."),
        (("remove", "nobody"), "There is no channel"),
        (("test", "nobody"), "There is no channel"),
        (("test",), "channel: No address is set"),
    ],
)
def test_a_wrong_command_is_usage(server, argv, says):
    status, text = refused(*argv)
    assert status == 2
    assert says in text


def test_without_a_mail_server_a_test_says_what_to_set(server, settings):
    settings.AUTOSSL_MAIL_FROM = ""
    status, text = refused("test")
    assert (status, "AUTOSSL_SMTP_URL" in text) == (2, True)
