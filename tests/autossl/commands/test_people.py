"""Commands about who signs in, and what they leave in the trail."""

import io
import os
import pwd
import re
import sys

import pytest

from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import factors
from autossl_panel.people.models import AuditEntry, Role, User
from tests.autossl.commands.calls import refused, run

pytestmark = pytest.mark.django_db


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
