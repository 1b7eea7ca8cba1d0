"""Webhooks against a real receiver that checks the signature on its own, as the documents tell to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl.models import Channel, Message
from autossl_panel.autossl.notify import channels, post, webhook
from autossl_panel.autossl.notify.channels import Wish
from tests.autossl.notify.rows import queued
from tests.helper.issuer import Issuer
from tests.support.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
PAGE = Path(__file__).resolve().parents[3] / "docs" / "notifications.md"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
def hook(server, receiver) -> Channel:
    wish = Wish("hook", "webhook", f"{receiver.url}/in/autossl?from=panel", private=True)
    return channels.add(server, wish, by=None)


def sent(server: Any, channel: Channel, now: Any) -> Message:
    """A message for the channel, after one try."""
    message = queued(server, now, "", way="webhook", channel=channel)
    post.deliver(server, now=now)
    message.refresh_from_db()
    channel.refresh_from_db()
    return message


def is_genuine(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Written from the specification, not from our code."""
    key = base64.b64decode(secret.split("_", 1)[1])
    text = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    right = base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
    return any(hmac.compare_digest(one, f"v1,{right}") for one in headers["webhook-signature"].split(" "))


def test_it_is_signed_over_name_moment_and_body(server, hook, receiver, now):
    message = sent(server, hook, now)
    assert message.state == "sent"
    assert (hook.sent_at, hook.problem) == (now, None)
    [request] = receiver.requests
    assert request.path == "/in/autossl?from=panel"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["webhook-id"] == message.ident
    assert request.headers["webhook-timestamp"] == str(int(now.timestamp()))
    assert is_genuine(hook.secret, request.headers, request.body)
    assert not is_genuine(hook.secret, request.headers, request.body + b" ")
    later = {**request.headers, "webhook-timestamp": str(int(now.timestamp()) + 1)}
    assert not is_genuine(hook.secret, later, request.body)
    other = "whsec_" + base64.b64encode(b"x" * 32).decode()
    assert not is_genuine(other, request.headers, request.body)
    body = json.loads(request.body)
    assert (body["version"], body["type"], body["id"], body["server"]) == (1, "test", message.ident, server.name)


def test_the_example_of_the_documents_tells_genuine_from_forged(server, hook, receiver, now):
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(r"```python\n(def verify.*?|import .*?def verify.*?)```", text, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(found.group(1), names)
    sent(server, hook, now)
    [request] = receiver.requests
    moment = now.timestamp()
    assert names["verify"](hook.secret, request.headers, request.body, moment + 10)
    assert not names["verify"](hook.secret, request.headers, request.body + b"x", moment + 10)
    assert not names["verify"](hook.secret, request.headers, request.body, moment + 600), "replayed"


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429, 500, 503])
def test_what_is_not_taken_is_tried_again_with_the_same_body_and_a_new_timestamp(server, hook, receiver, now, status):
    receiver.status = status
    message = sent(server, hook, now)
    assert message.state == "queued"
    assert hook.problem == {"code": "status", "text": f"{receiver.host} answered {status}."}
    receiver.status = 200
    later = message.retry_at
    post.deliver(server, now=later)
    message.refresh_from_db()
    hook.refresh_from_db()
    assert (message.state, hook.problem) == ("sent", None)
    first, second = receiver.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert is_genuine(hook.secret, second.headers, second.body)


def test_after_three_days_it_is_given_up(server, hook, receiver, now):
    receiver.status = 500
    message = sent(server, hook, now)
    post.deliver(server, now=now + 2.9 * DAY)
    message.refresh_from_db()
    assert message.state == "queued"
    post.deliver(server, now=now + 3 * DAY)
    message.refresh_from_db()
    assert message.state == "failed"
    assert post.deliver(server, now=now + 4 * DAY) == post.Tally()
    assert len(receiver.requests) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(server, hook, receiver, now, status):
    receiver.status, receiver.location = status, f"{receiver.url}/elsewhere"
    message = sent(server, hook, now)
    assert message.problem["code"] == "redirect"
    assert len(receiver.requests) == 1


def test_a_receiver_that_answers_for_ever_is_cut_off(server, hook, receiver, now, monkeypatch):
    monkeypatch.setattr(webhook, "LONGEST", 1.0)
    receiver.drip = True
    message = sent(server, hook, now)
    assert (message.state, message.problem["code"]) == ("queued", "connection")


def test_nobody_listens(server, now):
    with Receiver() as gone:
        url = gone.url
    hook = channels.add(server, Wish("hook", "webhook", url, private=True), by=None)
    message = sent(server, hook, now)
    assert message.problem["code"] == "connection"
    assert "Connection refused" in message.problem["text"]


# --- where it may go --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "private", "said"),
    [
        ("https://127.0.0.1:1/", False, "not public"),
        ("https://169.254.169.254/latest/meta-data/", True, "not public"),
        ("https://[::ffff:169.254.169.254]/", True, "not public"),
        ("https://[64:ff9b::a9fe:a9fe]/", True, "not public"),
        ("http://8.8.8.8/", True, "needs https"),
        ("https://10.0.0.1:1/", False, "not public"),
        ("https://0.0.0.0/", True, "not public"),
    ],
)
def test_addresses_that_are_not_gone_to(server, now, target, private, said):
    # Past the form's own look at what was typed: a name may lead anywhere by the time it is sent.
    hook = Channel.objects.create(
        server=server, kind="webhook", name="hook", target=target, private=private, secret="whsec_" + "QUFB" * 11
    )
    message = sent(server, hook, now)
    assert message.problem["code"] == "address"
    assert said in message.problem["text"]


def test_no_proxy_of_the_environment_is_used(server, hook, receiver, now, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert sent(server, hook, now).state == "sent"


@pytest.fixture
def https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    certificate, key = Issuer().pair("localhost")
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    with Receiver(tls=context, host="127.0.0.1") as started:
        yield started


def test_over_tls_the_name_is_checked_though_the_address_is_pinned(server, https, now):
    good = channels.add(server, Wish("good", "webhook", f"https://localhost:{https.port}/", private=True), by=None)
    assert sent(server, good, now).state == "sent"
    assert https.requests[0].headers["host"] == f"localhost:{https.port}"
    bad = channels.add(server, Wish("bad", "webhook", f"https://127.0.0.1:{https.port}/", private=True), by=None)
    message = sent(server, bad, now)
    assert message.problem["code"] == "connection"
    assert "its certificate is not trusted" in message.problem["text"]
    assert len(https.requests) == 1


def test_a_certificate_that_nobody_trusts(server, https, now, monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE")
    hook = channels.add(server, Wish("hook", "webhook", f"https://localhost:{https.port}/", private=True), by=None)
    assert "not trusted" in sent(server, hook, now).problem["text"]
    assert https.requests == []
