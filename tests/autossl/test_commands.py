"""Commands: what they print, and that what cannot be taken is one clear line with status 2."""

import io
import json
import os
import pwd
import re
import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

from autossl_panel.autossl import options, standing
from autossl_panel.autossl.management.base import Command
from autossl_panel.autossl.models import Options, Provider, ProviderChoice
from autossl_panel.helper.client import HelperGone, HelperProblem
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, FeatureList, HostingUser, SiteState, VirtualHost
from autossl_panel.people import factors
from autossl_panel.people.models import AuditEntry, Role, User

pytestmark = pytest.mark.django_db


def run(*argv, stdin=None):
    out = io.StringIO()
    call_command(*argv, stdout=out, stderr=out)
    return out.getvalue()


def refused(*argv):
    with pytest.raises(CommandError) as raised:
        run(*argv)
    return raised.value.returncode, str(raised.value)


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


def test_a_user_is_set(make_user):
    make_user("amber")
    User.objects.create(username="mine", role=Role.RESELLER)
    said = run("user", "set", "amber", "--autossl", "off", "--suspended", "yes", "--owner", "mine")
    assert said == "amber: AutoSSL off (off), suspended, owner mine\n"
    said = run("user", "set", "amber", "--autossl", "feature-list", "--suspended", "no", "--owner", "root")
    assert said == "amber: AutoSSL on (feature-list), not suspended, owner root\n"


def test_a_user_gets_login_feature_list_and_address(make_user):
    make_user("amber")
    User.objects.create(username="anna", role=Role.USER)
    run("feature_list", "set", "starter", "--autossl", "off")
    said = run("user", "set", "amber", "--login", "anna", "--feature-list", "starter", "--email", "a@b.example")
    assert said == "amber: AutoSSL off (feature-list), not suspended, owner root, login anna, e-mail a@b.example\n"
    said = run("user", "set", "amber", "--login", "none", "--email", "")
    assert said == "amber: AutoSSL off (feature-list), not suspended, owner root\n"


def test_a_user_gets_an_address(make_user):
    make_user("amber")
    assert run("user", "email", "amber", "anna@amber.example") == "amber: notifications go to anna@amber.example\n"
    assert HostingUser.objects.get().email == "anna@amber.example"
    status, text = refused("user", "email", "amber", "anna")
    assert (status, "email: “anna” is not an e-mail address" in text) == (2, True)
    assert refused("user", "email", "nobody", "a@b.example")[0] == 2
    assert run("user", "email", "amber", "") == "amber: notifications go to nobody\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("amber", "--autossl", "off", "--login", "nobody"), "There is no person “nobody”"),
        (("amber", "--autossl", "off", "--login", "mine"), "login: “mine” is a reseller"),
        (("amber", "--autossl", "off", "--feature-list", "x"), "There is no feature list “x”"),
        (("amber", "--autossl", "off", "--email", "a@"), "email: “a@” is not an e-mail address"),
        (("nobody", "--autossl", "on"), "There is no hosting user “nobody”"),
        (("amber",), "Nothing to set"),
        (("amber", "--autossl", "off", "--owner", "nobody"), "There is no person “nobody”"),
    ],
)
def test_a_wrong_user_is_usage_and_changes_nothing(make_user, argv, says):
    make_user("amber")
    User.objects.create(username="mine", role=Role.RESELLER)
    status, text = refused("user", "set", *argv)
    assert status == 2
    assert says in text
    assert HostingUser.objects.get().autossl == "feature-list"


def test_feature_lists(server):
    assert run("feature_list", "set", "starter", "--autossl", "off") == "starter: AutoSSL off\n"
    assert not FeatureList.objects.get(name="starter").autossl


def test_feature_lists_are_renamed_listed_and_removed(make_user):
    make_user("amber")
    run("feature_list", "set", "starter", "--autossl", "off")
    run("user", "set", "amber", "--feature-list", "starter")
    assert run("feature_list", "rename", "starter", "basic") == "starter: is called basic now\n"
    assert "basic    off      1      1" in run("feature_list", "list")
    status, text = refused("feature_list", "remove", "basic")
    assert (status, text) == (2, "--move-to: “basic” has 1 user. Choose the list that it gets.")
    said = run("feature_list", "remove", "basic", "--move-to", "default")
    assert said == "basic: removed, 1 user moved to default\n"
    assert HostingUser.objects.get().feature_list.name == "default"
    status, text = refused("feature_list", "remove", "nosuch")
    assert "There is no feature list “nosuch”" in text


def test_exclusions_are_added_listed_and_removed(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example", "amber.example")
    assert run("exclude", "add", "bücher.example") == "bücher.example: excluded\n"
    assert run("exclude", "list") == "bücher.example  amber\n"
    status, text = refused("exclude", "add", "amber.example", "not a name")
    assert status == 2
    assert "not a name" in text
    assert Exclusion.objects.count() == 1
    assert run("exclude", "remove", "bücher.example") == "bücher.example: included again\n"
    assert run("exclude", "list") == ""


def test_patterns_are_tried_added_listed_and_removed(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example", "dev.amber.example")
    for number in range(12):
        make_site(make_user(f"u{number}"), f"dev{number}.example")
    said = run("exclude", "add", "--pattern", "DEV*", "--dry-run")
    assert said.startswith("dev* (server): 13 names would be excluded\n  dev.amber.example\n")
    assert said.endswith("  and 3 more\n")
    assert not ExclusionPattern.objects.exists()
    said = run("exclude", "add", "--pattern", "bü*", "--for", "user:amber")
    assert said == "bü* (user amber): 1 name excluded\n  bücher.example\n"
    assert run("exclude", "list") == "bü*  pattern, user amber\n"
    status, text = refused("exclude", "remove", "--pattern", "bü*")
    assert (status, "There is no pattern “bü*” (server)" in text) == (2, True)
    said = run("exclude", "remove", "--pattern", "bü*", "--for", "user:amber")
    assert said.startswith("bü* (user amber): 1 name no longer excluded by it\n")
    assert run("exclude", "list") == ""


def test_patterns_are_for_lists_and_resellers_too(make_user, make_site):
    amy = User.objects.create(username="amy", role=Role.RESELLER)
    make_site(make_user("amber", owner=amy), "dev.amber.example")
    assert "(reseller amy): 1 name excluded" in run("exclude", "add", "--pattern", "dev.*", "--for", "reseller:amy")
    said = run("exclude", "add", "--pattern", "dev.*", "--for", "feature-list:default")
    assert "(feature list default): 1 name excluded" in said


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("add",), "Give names, or one --pattern"),
        (("add", "a.example", "--pattern", "b*"), "Give names, or one --pattern"),
        (("add", "a.example", "--for", "server"), "--for and --dry-run are for a --pattern"),
        (("add", "--pattern", "a b"), "--pattern: “a b” is no pattern"),
        (("add", "--pattern", "a*", "--for", "everybody"), "--for: “everybody” is not server"),
        (("add", "--pattern", "a*", "--for", "user:nobody"), "There is no hosting user “nobody”"),
        (("add", "--pattern", "a*", "--for", "reseller:root"), "--for: There is no reseller “root”"),
        (("add", "--pattern", "a*", "--for", "feature-list:none"), "--for: There is no feature list “none”"),
    ],
)
def test_a_wrong_pattern_is_usage_and_adds_none(root, server, argv, says):
    status, text = refused("exclude", *argv)
    assert status == 2
    assert says in text
    assert not ExclusionPattern.objects.exists()


def test_providers_for_users_lists_and_failures(make_user, make_site, provider):
    amber = make_user("amber")
    make_site(amber, "amber.example")
    assert run("user", "set-provider", "amber", "pebble") == "amber: provider pebble\n"
    assert ProviderChoice.objects.get().user == amber
    assert run("user", "set-provider", "amber", "default") == "amber: provider default\n"
    said = run("feature_list", "set", "default", "--provider", "pebble", "--autossl", "on")
    assert said == "default: AutoSSL on, provider pebble\n"
    assert run("feature_list", "set", "default", "--provider", "default") == "default: AutoSSL on, provider default\n"
    assert not ProviderChoice.objects.exists()
    assert run("provider", "fallback", "pebble") == "Where a site's own provider fails: pebble\n"
    assert run("provider", "fallback") == "Where a site's own provider fails: pebble\n"
    assert run("provider", "fallback", "--none") == "Where a site's own provider fails: no other is asked\n"


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("user", "set-provider", "nobody", "pebble"), "There is no hosting user “nobody”"),
        (("user", "set-provider", "amber", "nosuch"), "There is no provider “nosuch”"),
        (("user", "set-provider", "amber", "letsencrypt"), "provider: “Let’s Encrypt” is not ready"),
        (("feature_list", "set", "default"), "Nothing to set: give --autossl or --provider"),
        (("feature_list", "set", "new", "--provider", "pebble"), "There is no feature list “new”"),
        (("feature_list", "set", "new", "--provider", "letsencrypt", "--autossl", "on"), "is not ready"),
        (("provider", "fallback", "letsencrypt"), "provider: “Let’s Encrypt” is not ready"),
        (("provider", "fallback", "pebble", "pebble"), "“pebble” is named twice"),
        (("provider", "fallback", "pebble", "--none"), "Give names or --none"),
    ],
)
def test_a_wrong_choice_of_provider_is_usage_and_chooses_none(make_user, provider, argv, says):
    make_user("amber")
    run("provider", "list")
    status, text = refused(*argv)
    assert status == 2
    assert says in text
    assert not ProviderChoice.objects.exists()
    assert not FeatureList.objects.filter(name="new").exists()
    assert not Provider.objects.filter(fallback__isnull=False).exists()


def test_a_pause_is_begun_shown_and_ended(server):
    assert run("pause") == "AutoSSL is not paused.\n"
    assert run("pause", "on").startswith("AutoSSL is paused since 20")
    assert run("pause").endswith("UTC by the command line.\n")
    assert run("pause", "off") == "AutoSSL is not paused.\n"


def test_a_site_is_taken_over_by_name(make_user, make_site):
    make_site(make_user("amber"), "xn--bcher-kva.example")
    assert run("takeover", "Bücher.example", "on") == "bücher.example: AutoSSL takes over: yes\n"
    assert VirtualHost.objects.get().takeover
    assert run("takeover", "bücher.example", "off") == "bücher.example: AutoSSL takes over: no\n"
    for name, says in (("other.example", "There is no site “other.example”"), ("no name", "SITE: “no name” is not")):
        status, text = refused("takeover", name, "on")
        assert (status, says in text) == (2, True)


def test_a_person_is_added_with_the_password_from_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert run("person", "add", "amy", "--role", "reseller", "--password-stdin") == "amy: reseller, added\n"
    assert User.objects.get().check_password("correct horse battery")
    monkeypatch.setattr(sys, "stdin", io.StringIO("short\n"))
    status, text = refused("person", "add", "ben", "--role", "root", "--password-stdin")
    assert status == 2
    assert text.startswith("password: ")


def test_a_persons_life(monkeypatch, make_user):
    make_user("amber"), make_user("birch")
    User.objects.create(username="root", role=Role.ROOT)
    said = run(
        "person", "add", "anna", "--role", "user", "--for", "amber,birch", "--generate", "--email", "a@b.example"
    )
    password = said.strip().removeprefix("anna: user, added, password ")
    anna = User.objects.get(username="anna")
    assert anna.check_password(password)
    assert anna.hosting_logins.count() == 2
    said = run("person", "list")
    assert re.search(r"anna +user +a@b\.example +active +never +amber, birch", said)
    assert run("person", "set", "anna", "--for", "amber", "--email", "") == "anna: user, no e-mail address\n"
    assert list(anna.hosting_logins.values_list("name", flat=True)) == ["amber"]
    assert run("person", "deactivate", "anna") == "anna: is signed out everywhere and may not sign in\n"
    assert run("person", "deactivate", "anna").endswith("(it was so already)\n")
    assert run("person", "reactivate", "anna") == "anna: may sign in\n"
    monkeypatch.setattr(sys, "stdin", io.StringIO("correct horse battery\n"))
    assert run("person", "password", "anna", "--password-stdin") == "anna: password set, sessions ended\n"
    assert run("person", "reset-factors", "anna") == "anna: had none\n"
    said = run("person", "set", "anna", "--role", "reseller")
    assert said == "anna: reseller, no e-mail address; 1 hosting user is without login\n"
    run("user", "set", "amber", "--owner", "anna")
    status, text = refused("person", "remove", "anna")
    assert (status, text) == (2, "“anna” is not removed without --yes; 1 hosting user would be root's.")
    assert run("person", "remove", "anna", "--yes") == "anna: removed; 1 hosting user is root's\n"
    assert HostingUser.objects.get(name="amber").owner is None


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("set", "root", "--role", "reseller"), "role: “root” is the only active root"),
        (("deactivate", "root"), "person: “root” is the only active root"),
        (("remove", "root"), "person: “root” is the only active root"),
        (("set", "root"), "Nothing to set"),
        (("set", "root", "--for", "amber"), "only a person with the role user is a login"),
        (("set", "nobody", "--email", "a@b.example"), "There is no person “nobody”"),
        (("set", "root", "--email", "a@"), "email: “a@” is not an e-mail address"),
        (("add", "anna", "--role", "user", "--generate", "--for", "amber"), "There is no hosting user “amber”"),
        (("add", "root", "--role", "user", "--generate"), "role: “root” is the only active root"),
    ],
)
def test_what_cannot_be_done_to_a_person_is_usage_and_changes_nothing(server, argv, says):
    User.objects.create(username="root", role=Role.ROOT)
    status, text = refused("person", *argv)
    assert status == 2
    assert says in text
    row = User.objects.get()
    assert (row.role, row.is_active, row.email) == (Role.ROOT, True, "")


def test_who_lost_the_second_factor_is_helped():
    amy = User.objects.create(username="amy", role=Role.ROOT)
    factors.add_passkey(amy, "Laptop", {"response": {}}, by=amy)
    assert run("person", "reset-factors", "amy") == "amy: 2 second factors removed\n"
    assert not factors.has_any(amy)
    assert run("person", "reset-factors", "amy") == "amy: had none\n"
    assert refused("person", "reset-factors", "bob") == (2, "There is no person “bob”.")


def test_what_a_command_changes_is_in_the_trail_with_the_account_that_ran_it(server, monkeypatch):
    run("options", "set", "log_days=60")
    entry = AuditEntry.objects.get()
    account = pwd.getpwuid(os.getuid()).pw_name
    assert (entry.event, entry.source, entry.address, entry.person) == ("options:changed", "command", account, None)
    monkeypatch.setenv("SUDO_USER", "anna")
    run("options", "set", "log_days=61")
    assert AuditEntry.objects.latest("pk").address == ("anna" if os.getuid() == 0 else account)


def test_a_refused_directory_is_in_the_trail_as_added_and_taken_back(server):
    status, _text = refused("provider", "add", "Nobody", "--directory", "https://127.0.0.1:1/dir")
    assert status == 1
    assert list(AuditEntry.objects.order_by("pk").values_list("event", "subject")) == [
        ("provider:added", "Nobody"),
        ("provider:removed", "Nobody"),
    ]


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


def manage(*argv, **environment):
    return subprocess.run(
        [sys.executable, "manage.py", *argv],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", **environment},
    )


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
