"""The services of apprise, by the real package against a real receiver; and what is told where it is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from autossl_panel.autossl.models import Channel
from autossl_panel.autossl.notify import channels, post
from autossl_panel.autossl.notify.channels import ChannelProblem, Wish
from tests.autossl.notify.rows import queued
from tests.support.receiver import Receiver

pytestmark = [
    pytest.mark.django_db(transaction=True),
    # What apprise itself imports
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]
TOKEN = "s3cr3tt0ken"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as started:
        yield started


@pytest.fixture
def channel(server, receiver) -> Channel:
    target = f"json://user:{TOKEN}@{receiver.host}:{receiver.port}/{TOKEN}path"
    return channels.add(server, Wish("chat", "apprise", target), by=None)


def test_a_message_reaches_the_service(server, channel, receiver, now):
    receiver.status = 200
    message = queued(server, now, "", way="apprise", channel=channel)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert (message.state, message.problem) == ("sent", None)
    [request] = receiver.requests
    body = json.loads(request.body)
    assert body["title"] == f"[{server.name}] AutoSSL: a test message"
    assert "This is a test." in body["message"]


def test_a_service_that_refuses_is_told_without_its_secrets_and_tried_again(server, channel, receiver, now):
    receiver.status = 403
    message = queued(server, now, "", way="apprise", channel=channel)
    post.deliver(server, now=now)
    message.refresh_from_db()
    channel.refresh_from_db()
    assert (message.state, message.problem["code"]) == ("queued", "service")
    assert message.problem["text"]
    assert TOKEN not in json.dumps([message.problem, channel.problem])
    receiver.status = 200
    post.deliver(server, now=message.retry_at)
    message.refresh_from_db()
    assert message.state == "sent"


@pytest.mark.parametrize("target", ["nosuchservice://host/token", "slack://"])
def test_a_url_that_apprise_does_not_know_is_told(server, now, target):
    row = Channel.objects.create(server=server, kind="apprise", name="chat", target=target)
    message = queued(server, now, "", way="apprise", channel=row)
    post.deliver(server, now=now)
    message.refresh_from_db()
    assert message.problem["code"] == "url"


def test_what_is_no_url_is_refused_at_once(server):
    for text in ("", "slack", "slack:/x", "sl ack://x", "gotify://host/ token"):
        with pytest.raises(ChannelProblem) as raised:
            channels.add(server, Wish("chat", "apprise", text), by=None)
        assert raised.value.field == "target"


WITHOUT = """
import sys
sys.modules["apprise"] = None
import django
django.setup()
from autossl_panel.autossl.notify import apprising, extras, post
from autossl_panel.autossl.models import Channel, Message
try:
    print(extras.has_apprise())
    apprising.send(Message(payload={}), Channel(target="json://h"))
except Exception as error:
    print(type(error).__name__, error)
"""


def test_without_the_package_there_is_a_clear_problem_and_all_else_works():
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.splitlines()[-1] == (
        "Trouble The package “apprise” is not installed. Install it beside the panel: "
        "pip install 'autossl-panel[apprise]'."
    ), done.stdout + done.stderr


def test_it_is_not_loaded_until_it_is_needed():
    code = (
        "import sys, django; django.setup(); from autossl_panel.autossl.notify import post, channels; "
        "print('apprise' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"DJANGO_SETTINGS_MODULE": "tests.settings", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "False"
