"""Commands about providers and status, and in processes of their own: one clear line for what cannot be."""

import json

import pytest
from django.core.management import CommandError

from autossl_panel.autossl.management.base import Command
from autossl_panel.autossl.models import Provider
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import SiteState
from tests.autossl.commands.calls import manage, refused, run

pytestmark = pytest.mark.django_db


def test_providers_are_listed_with_those_that_come_along(server, provider):
    said = run("provider", "list")
    assert "letsencrypt" in said
    assert any(line.startswith("*") and "pebble" in line for line in said.splitlines())


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (
            ("add", "x", "--directory", "http://ca.example/dir"),
            2,
            "--directory: “http://ca.example/dir” is not an https",
        ),
        (("add", "x", "--directory", "https://127.0.0.1:1/dir"), 1, "127.0.0.1"),
        (("add", "x", "--directory", "https://127.0.0.1:1/dir", "--ca-bundle", "/nowhere"), 2, "--ca-bundle /nowhere"),
        (("add", "x", "--directory", "https://127.0.0.1:1/dir", "--eab-kid", "k"), 2, "--eab-hmac-key: "),
        (("add", "x", "--directory", "https://127.0.0.1:1/dir", "--max-names", "0"), 2, "--max-names: "),
        (("add", "../x", "--directory", "https://127.0.0.1:1/dir"), 2, "name: "),
        (("use", "nobody"), 2, "There is no provider “nobody”"),
    ],
)
def test_a_provider_that_cannot_be_is_not_added(server, argv, status, says):
    code, text = refused("provider", *argv)
    assert code == status
    assert says in text
    assert not Provider.objects.filter(name="x").exists()


def test_status_as_json_has_the_promised_form(provider, make_user, make_site, make_installed):
    host = make_site(
        make_user("amber"),
        "amber.example",
        "www.amber.example",
        state=SiteState.PARTLY,
        problem={"code": "no_address", "domain": "www.amber.example", "data": {}},
    )
    make_installed(host, "amber.example", provider=provider)
    found = json.loads(run("autossl_status", "--json"))
    assert found["summary"] == {"partly": 1}
    row = found["virtual_hosts"][0]
    assert row["user"] == "amber"
    assert row["wanted"] == ["amber.example", "www.amber.example"]
    assert row["covered"] == ["amber.example"]
    assert row["provider"] == "pebble"
    fix = "www.amber.example has no address in DNS. Create an A record for it in its DNS zone."
    assert row["problem"] == {"code": "no_address", "domain": "www.amber.example", "text": fix}
    assert set(row) == {
        "user", "name", "wanted", "covered", "state", "provider", "not_after", "problem", "next_at", "next_reason",
    }  # fmt: skip
    text = run("autossl_status")
    assert "www.amber.example: the name has no address in DNS" in text
    assert f"What to do\n  {fix}" in text


def test_a_state_directory_that_cannot_be_written_is_one_clear_line(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    done = manage("autossl_status", AUTOSSL_STATE_DIR=str(blocked / "state"))
    assert done.returncode == 2
    assert done.stderr.startswith(f"autossl-panel: AUTOSSL_STATE_DIR {blocked}/state: Not a directory.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("AUTOSSL_HTTP_PORT", "eighty", "AUTOSSL_HTTP_PORT must be a port from 1 to 65535, not “eighty”."),
        ("AUTOSSL_URL", "panel.example", "AUTOSSL_URL must be like https://panel.example:2087"),
        ("AUTOSSL_HOMES", "home", "AUTOSSL_HOMES must be an absolute path"),
        ("AUTOSSL_PROXIES", "all", "AUTOSSL_PROXIES must be how many proxies stand in front, 0 to 9, not “all”."),
    ],
)
def test_a_wrong_environment_names_the_variable(tmp_path, name, value, says):
    done = manage("autossl_status", **{"AUTOSSL_STATE_DIR": str(tmp_path), name: value})
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_is_not_set_up_says_how(tmp_path):
    done = manage("autossl_status", AUTOSSL_STATE_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "Set it up with: autossl-panel migrate" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        ((), 2, "feature-list    what a feature list says"),
        (("help",), 0, "autossl_check   run AutoSSL now"),
        (("nosuch",), 2, "There is no command “nosuch”."),
        (("user", "set", "--help"), 0, "a reseller's login, or root"),
        (("serve", "--bind", "nonsense"), 2, "--bind: “nonsense” is not ADDRESS:PORT"),
        (("person", "add", "ann", "--role", "root"), 2, "give it in a line with --password-stdin"),
    ],
)
def test_the_console_script_says_what_there_is(tmp_path, argv, status, says):
    done = manage(*argv, AUTOSSL_STATE_DIR=str(tmp_path))
    assert done.returncode == status
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "--pythonpath" not in done.stdout


class Asking(Command):
    """A command whose helper answers with a problem."""

    def __init__(self, problem):
        super().__init__()
        self.problem = problem

    def work(self, **_):
        raise self.problem


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (HelperProblem("nginx_missing", "There is no program /x/nginx.", None, None), "There is no program /x/nginx."),
        (HelperProblem("config", "unexpected “}”", "/etc/nginx/a.conf", 3), "unexpected “}” (/etc/nginx/a.conf:3)"),
        (HelperGone("it ended at once"), "The helper does not answer: it ended at once"),
    ],
)
def test_a_helper_that_refuses_is_one_clear_line(problem, says):
    with pytest.raises(CommandError) as raised:
        Asking(problem).handle()
    assert (raised.value.returncode, str(raised.value)) == (1, says)
