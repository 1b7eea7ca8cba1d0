"""Options by command, and the question before every certificate is issued anew."""

import io
import re
import sys

import pytest
from django.core.management import CommandError, call_command

from autossl_panel.autossl import options, standing
from autossl_panel.autossl.models import Options
from autossl_panel.hosting.models import VirtualHost
from tests.autossl.commands.calls import refused, run

pytestmark = pytest.mark.django_db


def test_options_are_set_together_and_shown(server):
    said = run("options", "set", "resolvers=192.0.2.53,127.0.0.1:8053", "daily_at=04:05")
    assert said == "resolvers=192.0.2.53,127.0.0.1:8053\ndaily_at=04:05\n"
    assert "key_type=p256" in run("options", "get")
    assert run("options", "get", "log_days") == "log_days=30\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("set", "log_days=3", "resolvers=x"), "resolvers: “x” is not a resolver"),
        (("set", "log_days"), "“log_days” is not KEY=VALUE"),
        (("set", "log_days=3", "colour=red"), "There is no option “colour”"),
        (("get", "colour"), "There is no such option"),
    ],
)
def test_a_wrong_option_is_usage_and_saves_nothing(server, argv, says):
    status, text = refused("options", *argv)
    assert status == 2
    assert says in text
    assert not Options.objects.filter(log_days=3).exists()


class Terminal(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def others(provider, make_user, make_site, make_installed, server, now):
    """Two sites with P-256 certificates."""
    amber = make_user("amber")
    for name in ("a.example", "b.example"):
        make_installed(make_site(amber, name), name, provider=provider)
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)


TOLD = re.compile(
    r"2 certificates have another key type than p384: issued anew after everything that is due, within the CA's "
    r"limits; the last one not before \d{4}-\d\d-\d\d \d\d:\d\d UTC\."
)


def test_a_reissue_says_how_many_and_until_when_and_wants_yes(server, others, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"reissue: .* --yes") as raised:
        call_command("options", "set", "key_type=p384", "reissue=yes", stdout=out)
    assert raised.value.returncode == 2
    assert TOLD.match(out.getvalue())
    row = options.current(server)
    assert (row.key_type, row.reissue) == ("p256", False), "nothing was changed"
    said = run("options", "set", "key_type=p384", "reissue=yes", "--yes")
    assert TOLD.match(said)
    assert said.endswith("key_type=p384\nreissue=yes\n")
    assert options.current(server).reissue


@pytest.mark.parametrize(
    ("typed", "done"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_on_a_terminal_a_reissue_is_asked_for(server, others, monkeypatch, typed, done):
    options.change(server, {"key_type": "p384"}, by=None)
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    out = io.StringIO()
    if done:
        call_command("options", "set", "reissue=yes", stdout=out)
    else:
        with pytest.raises(CommandError, match=r"Nothing was changed\.") as raised:
            call_command("options", "set", "reissue=yes", stdout=out)
        assert raised.value.returncode == 1
    assert TOLD.match(out.getvalue())
    assert "Issue them anew? [y/N] " in out.getvalue()
    assert options.current(server).reissue is done


def test_a_reissue_of_nothing_or_one_under_way_is_not_asked_for(server, others, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert run("options", "set", "reissue=yes") == "reissue=yes\n", "every certificate has this key type"
    assert "reissue=no" in run("options", "set", "reissue=no", "key_type=p384")
    run("options", "set", "reissue=yes", "--yes")
    assert run("options", "set", "reissue=yes", "log_days=9") == "reissue=yes\nlog_days=9\n"
    assert refused("options", "set", "reissue=yes", "key_type=rsa2048")[0] == 2, "that is another one"


def test_a_wrong_value_beside_a_reissue_is_told_before_anything_is_asked(server, others, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    status, text = refused("options", "set", "key_type=p384", "reissue=yes", "log_days=x")
    assert (status, "log_days" in text) == (2, True)
    assert not options.current(server).reissue
