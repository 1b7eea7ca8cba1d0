"""E-mail against a real mail server: taken, refused for now, refused for good, hung up on, down."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Channel, Message
from autossl_panel.autossl.notify import channels, post
from autossl_panel.autossl.notify.channels import Wish
from autossl_panel.people.models import AuditEntry
from tests.autossl.notify.rows import ADMIN, queued
from tests.helper.issuer import Issuer
from tests.support.receiver import Receiver
from tests.support.smtp import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def smtp(settings: Any) -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        use(settings, server)
        yield server


def use(settings: Any, server: SmtpServer, **more: object) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = server.host, server.port
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    settings.EMAIL_TIMEOUT = 10
    for name, value in more.items():
        setattr(settings, name, value)


def test_a_message_is_sent_once_with_both_forms_and_headers_that_hold_machines_off(server, smtp, now):
    message = queued(server, now, ADMIN)
    assert post.deliver(server, now=now).sent == 1
    assert post.deliver(server, now=now + DAY).sent == 0
    [mail] = smtp.postbox.taken
    assert (mail.sender, mail.recipient) == ("autossl@panel.example", ADMIN)
    headers = mail.message
    assert headers["Message-ID"] == f"<{message.ident}@panel.example>"
    assert headers["From"] == "AutoSSL <autossl@panel.example>"
    assert headers["To"] == ADMIN
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["List-Id"] == f"<autossl.{server.name}>"
    assert headers["Date"]
    assert str(make_header(decode_header(headers["Subject"]))) == f"[{server.name}] AutoSSL: a test message"
    assert headers.get_content_type() == "multipart/alternative"
    assert "This is a test." in mail.part("text/plain")
    assert "<p>This is a test." in mail.part("text/html")
    message.refresh_from_db()
    assert (message.state, message.attempts, message.problem, message.holder) == ("sent", 1, None, "")


def test_what_was_queued_by_a_clock_that_ran_ahead_is_sent_once_that_is_right(server, smtp, now):
    queued(server, now + 3650 * DAY, ADMIN)
    later = queued(server, now + HOUR, "later@example.org")
    assert post.deliver(server, now=now).sent == 1
    assert [mail.recipient for mail in smtp.postbox.taken] == [ADMIN]
    later.refresh_from_db()
    assert later.state == "queued", "an hour is as long as anything waits"


def test_many_go_over_one_connection(server, smtp, now):
    for n in range(25):
        queued(server, now, f"u{n}@example.org")
    assert post.deliver(server, now=now).sent == 25
    assert smtp.postbox.steps.count("EHLO") == 1
    assert sorted(mail.recipient for mail in smtp.postbox.taken) == sorted(f"u{n}@example.org" for n in range(25))


def test_refused_for_now_is_tried_again_later_and_then_sent(server, smtp, now):
    smtp.postbox.answers[ADMIN] = "451 4.7.1 Greylisted, try again later"
    message = queued(server, now, ADMIN)
    moments, moment = [], now
    for _try in range(6):
        assert post.deliver(server, now=moment).failed == 1
        message.refresh_from_db()
        text = "451 4.7.1 Greylisted, try again later"
        assert message.problem == {"code": "recipient", "text": text, "since": now.isoformat()}
        assert post.deliver(server, now=message.retry_at - MINUTE / 2).failed == 0, "not before its time"
        moments.append(message.retry_at - moment)
        moment = message.retry_at
    assert moments == [MINUTE, 5 * MINUTE, 15 * MINUTE, HOUR, HOUR, HOUR]
    del smtp.postbox.answers[ADMIN]
    assert post.deliver(server, now=moment).sent == 1
    assert len(smtp.postbox.taken) == 1


def test_a_mailbox_that_puts_off_for_ever_is_given_up_after_five_days(server, smtp, root, now, caplog):
    smtp.postbox.answers["full@example.org"] = "452 4.2.2 Mailbox full"
    message = queued(server, now, "full@example.org")
    moment = now
    while moment < now + 5 * DAY:
        assert post.deliver(server, now=moment).failed == 1
        message.refresh_from_db()
        assert message.state == "queued"
        moment = message.retry_at
    assert not caplog.records
    assert post.deliver(server, now=moment).failed == 1
    message.refresh_from_db()
    assert (message.state, message.problem["text"]) == ("failed", "452 4.2.2 Mailbox full")
    assert "full@example.org is given up after" in caplog.text
    assert [(one.to, one.number) for one in channels.undelivered(server)] == [("full@example.org", 1)]
    assert post.deliver(server, now=moment + 30 * DAY) == post.Tally()
    del smtp.postbox.answers["full@example.org"]
    assert channels.send_again(server, by=root, now=moment) == 1
    assert post.deliver(server, now=moment).sent == 1


def test_the_five_days_begin_with_the_first_refusal_not_while_the_server_is_down(server, smtp, now):
    smtp.postbox.answers[ADMIN] = "451 4.7.1 Greylisted, try again later"
    smtp.stop()
    message = queued(server, now, ADMIN)
    post.deliver(server, now=now)
    smtp.start()
    post.deliver(server, now=now + 9 * DAY)
    message.refresh_from_db()
    assert message.state == "queued"
    smtp.postbox.answers.clear()
    assert post.deliver(server, now=message.retry_at).sent == 1


@pytest.mark.parametrize(
    "answer", ["550 5.1.1 No such user here", "553 5.1.3 Bad destination mailbox", "552 5.2.2 Mailbox full"]
)
def test_refused_for_good_is_told_on_the_row_and_not_tried_again(server, smtp, now, answer):
    smtp.postbox.answers["gone@example.org"] = answer
    message = queued(server, now, "gone@example.org")
    queued(server, now, ADMIN)
    tally = post.deliver(server, now=now)
    assert (tally.sent, tally.failed) == (1, 1), "one bad address holds up nobody else"
    message.refresh_from_db()
    said = {"code": "recipient", "text": answer, "since": now.isoformat()}
    assert (message.state, message.problem) == ("failed", said)
    assert post.deliver(server, now=now + 30 * DAY) == post.Tally()
    assert smtp.postbox.steps.count("RCPT") == 2


@pytest.mark.parametrize(
    ("step", "answer", "code"),
    [
        ("rcpt", "554 5.7.1 Relay access denied", "recipient"),
        ("mail", "530 5.7.0 Authentication required", "sender"),
        ("mail", "550 5.7.1 Sender address not allowed", "sender"),
        ("data", "554 5.7.9 Message not accepted for policy reasons", "message"),
        ("data", "452 4.3.1 Out of disk space", "message"),
    ],
)
def test_what_the_administrator_can_mend_loses_nothing(server, smtp, now, step, answer, code):
    if step == "rcpt":
        smtp.postbox.answers[ADMIN] = answer
    elif step == "mail":
        smtp.postbox.mail_answer = answer
    else:
        smtp.postbox.data_answer = answer
    message = queued(server, now, ADMIN)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert (message.state, message.problem) == ("queued", {"code": code, "text": answer, "since": now.isoformat()})
    smtp.postbox.answers, smtp.postbox.mail_answer, smtp.postbox.data_answer = {}, "", ""
    assert post.deliver(server, now=message.retry_at).sent == 1


def test_a_message_that_the_server_will_not_have_is_given_up(server, smtp, now):
    smtp.postbox.data_answer = "554 5.6.0 Message content rejected"
    message = queued(server, now, ADMIN)
    other = queued(server, now, "other@example.org")
    post.deliver(server, now=now)
    for row in (message, other):
        row.refresh_from_db()
        assert (row.state, row.problem["code"]) == ("failed", "message")


@pytest.mark.parametrize("step", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_up_delays_and_loses_nothing(server, smtp, now, step):
    smtp.postbox.hang_up.add(step)
    rows = [queued(server, now, f"u{n}@example.org") for n in range(3)]
    tally = post.deliver(server, now=now)
    assert tally.sent == 0
    assert smtp.postbox.taken == []
    smtp.postbox.hang_up.clear()
    assert post.deliver(server, now=now + MINUTE).sent == 3
    assert {mail.ident for mail in smtp.postbox.taken} == {f"<{row.ident}@panel.example>" for row in rows}


def test_a_server_that_is_down_is_asked_once_a_go_and_loses_nothing(server, smtp, now):
    smtp.stop()
    rows = [queued(server, now, f"u{n}@example.org") for n in range(30)]
    for minute in range(4):
        assert post.deliver(server, now=now + minute * MINUTE).failed == 1, "one message asks for all"
    problems = [row.problem for row in Message.objects.exclude(problem=None)]
    assert {problem["code"] for problem in problems} == {"mail_server"}
    assert f"{smtp.host}:{smtp.port}: Connection refused" in problems[0]["text"]
    smtp.start()
    moment = now + 6 * MINUTE
    assert post.deliver(server, now=moment).sent >= 27
    assert post.deliver(server, now=moment).sent + len(smtp.postbox.taken) >= 30
    assert Message.objects.filter(state="sent").count() == 30, "what waited for its next try goes at once as well"
    assert len(smtp.postbox.taken) == len({mail.ident for mail in smtp.postbox.taken}) == len(rows)


def test_down_for_a_month_it_is_sent_all_the_same(server, smtp, now):
    smtp.stop()
    message = queued(server, now, ADMIN)
    for day in range(31):
        post.deliver(server, now=now + day * DAY)
    message.refresh_from_db()
    assert (message.state, message.attempts) == ("queued", 31)
    smtp.start()
    assert post.deliver(server, now=now + 32 * DAY).sent == 1


def test_channels_go_on_while_the_mail_server_is_down(server, smtp, now):
    smtp.stop()
    queued(server, now, ADMIN)
    channel = Channel.objects.create(server=server, kind="webhook", name="hook", target="https://h.invalid/", secret="")
    hook = queued(server, now, "", way="webhook", channel=channel)
    assert post.deliver(server, now=now).failed == 2
    hook.refresh_from_db()
    assert hook.problem["code"] == "dns"


def test_mail_that_waited_for_the_server_goes_at_once_though_a_webhook_went_first(server, smtp, now):
    with Receiver() as receiver:
        hook = channels.add(server, Wish("hook", "webhook", f"{receiver.url}/in", private=True), by=None)
        queued(server, now, "", way="webhook", channel=hook, retry_at=now - MINUTE)
        queued(server, now, ADMIN)
        down = {"code": "mail_server", "text": "Nobody listens."}
        queued(server, now, ADMIN, attempts=4, retry_at=now + HOUR, problem=down)
        assert post.deliver(server, now=now).sent == 3
        assert len(receiver.requests) == 1
    assert set(Message.objects.values_list("state", flat=True)) == {"sent"}
    assert len(smtp.postbox.taken) == 2


def test_without_a_mail_server_in_the_settings_mail_waits(server, settings, now):
    settings.AUTOSSL_MAIL_FROM = ""
    message = queued(server, now, ADMIN)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert message.state == "queued"
    assert message.problem == {"code": "mail_server", "text": "No mail server is set (AUTOSSL_SMTP_URL)."}


# --- TLS and login ----------------------------------------------------------------------------------------------------

SECRET = "correct horse battery"


@pytest.fixture
def secure(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpServer]:
    """A server that takes mail over STARTTLS from who has a password."""
    certificate, key = Issuer().pair("localhost")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with SmtpServer(tls=context, login=("panel", SECRET), host="127.0.0.1") as server:
        use(settings, server, EMAIL_USE_TLS=True, EMAIL_HOST_USER="panel", EMAIL_HOST_PASSWORD=SECRET)
        settings.EMAIL_HOST = "localhost"
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        yield server


def test_starttls_and_login(server, secure, now):
    queued(server, now, ADMIN)
    assert post.deliver(server, now=now).sent == 1
    assert len(secure.postbox.taken) == 1


def test_a_wrong_password_is_told_without_it_and_loses_nothing(server, secure, settings, now):
    settings.EMAIL_HOST_PASSWORD = "wrong secret"
    message = queued(server, now, ADMIN)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert (message.state, message.problem["code"]) == ("queued", "mail_server")
    assert "535" in message.problem["text"]
    assert "secret" not in str(message.problem)
    settings.EMAIL_HOST_PASSWORD = SECRET
    assert post.deliver(server, now=message.retry_at).sent == 1


def test_a_certificate_that_nobody_trusts_gets_no_mail(server, secure, monkeypatch, now):
    monkeypatch.delenv("SSL_CERT_FILE")
    message = queued(server, now, ADMIN)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert message.problem["code"] == "mail_server"
    assert "certificate verify failed" in message.problem["text"]
    assert secure.postbox.taken == []


# --- tests that people ask for ----------------------------------------------------------------------------------------


def test_a_test_goes_to_each_address_and_is_tried_once(server, smtp, root, now):
    options.change(server, {"admin_addresses": "a@example.org, b@example.org"}, by=None)
    smtp.postbox.answers["b@example.org"] = "450 4.2.0 Try again later"
    rows = channels.ask_mail_test(server, by=root, now=now, ring_bell=False)
    post.deliver(server, now=now)
    states = {row.address: row.state for row in Message.objects.all()}
    assert states == {"a@example.org": "sent", "b@example.org": "failed"}
    assert len(rows) == 2
    assert AuditEntry.objects.get(event="channel:tested").person == root


def test_what_was_given_up_can_be_sent_again(server, smtp, root, now):
    smtp.postbox.answers["gone@example.org"] = "550 5.1.1 No such user"
    queued(server, now, "gone@example.org")
    post.deliver(server, now=now)
    smtp.postbox.answers.clear()
    assert channels.send_again(server, by=root, now=now) == 1
    assert post.deliver(server, now=now).sent == 1
    assert channels.send_again(server, by=root, now=now) == 0
