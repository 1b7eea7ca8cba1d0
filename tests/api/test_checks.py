"""Starting checks by the API: whose, joined, and why there is none."""

from __future__ import annotations

import pytest
from django_q.models import OrmQ

from autossl_panel.autossl import options, providers
from autossl_panel.autossl.models import Run
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import User

ALL = "/json-api/start_autossl_check_for_all_users"
ONE = "/json-api/start_autossl_check_for_one_user"
START = "/execute/SSL/start_autossl_check"
PROGRESS = "/execute/SSL/is_autossl_check_in_progress"


def test_root_starts_it_for_all_and_joins_what_runs(root, idle):
    pid = root.get(ALL).data["pid"]
    run = Run.objects.get(pk=pid)
    assert (run.scope, run.asked_by.username, run.asked_from) == ("*", "root", "api")
    assert OrmQ.objects.exists(), "the bell is rung"
    assert root.post(ALL).data == {"pid": pid}


def test_a_resellers_is_for_own_users(reseller, idle):
    run = Run.objects.get(pk=reseller.post(ALL).data["pid"])
    assert (run.scope, run.asked_by.username) == ("owner:harborweb", "harborweb")


def test_one_user(root, reseller, idle):
    run = Run.objects.get(pk=reseller.post(ONE, username="northwind").data["pid"])
    assert (run.scope, run.asked_from) == ("user:northwind", "api")
    assert root.get(ONE, username="northwind").data == {"pid": run.pk}
    assert reseller.get(ONE, username="lindner").reason == "username: there is no such user."
    assert root.get(ONE, username="lindner").ok


def test_a_user_of_a_live_run_joins_it(root, scene):
    """The run for all has northwind's sites before it."""
    assert root.post(ONE, username="northwind").data == {"pid": scene.live.pk}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"autossl": "off"}, "username: AutoSSL is off for “lindner”."),
        ({"suspended": True}, "username: “lindner” is suspended, so nothing is checked."),
    ],
)
def test_a_user_that_nothing_is_done_for(change, reason, root, user, idle):
    HostingUser.objects.filter(name="lindner").update(**change)
    for answer in (root.post(ONE, username="lindner"), user.post(START)):
        assert (answer.status, answer.reason) == (200, reason)
    assert not Run.objects.filter(asked_from="api").exists()


def test_a_user_that_is_gone_is_not_there(root, idle):
    HostingUser.objects.filter(name="lindner").update(gone_at=idle.now)
    assert root.post(ONE, username="lindner").reason == "username: there is no such user."


def test_while_autossl_is_paused_or_has_no_provider(root, user, idle):
    options.pause(idle.server, by=idle.root, now=idle.now)
    calls = (lambda: root.post(ALL), lambda: root.post(ONE, username="lindner"), lambda: user.post(START))
    assert {call().reason for call in calls} == {"AutoSSL is paused. Nothing was started."}
    options.resume(idle.server, by=idle.root, now=idle.now)
    providers.disable(by=idle.root)
    assert {call().reason for call in calls} == {"No provider is chosen. Nothing was started."}
    assert not Run.objects.filter(asked_from="api").exists()


# --- hosting users' logins --------------------------------------------------------------------------------------------


def test_a_login_starts_its_own_and_sees_it_work(user, idle):
    assert user.get(PROGRESS).data == 0
    run = Run.objects.get(pk=user.post(START).data["pid"])
    assert (run.scope, run.asked_by.username, run.asked_from) == ("user:lindner", "anna", "api")
    assert user.get(PROGRESS).data == 1
    assert user.post(START).data == {"pid": run.pk}


def test_a_login_of_several_says_which(login: User, user, idle):
    HostingUser.objects.filter(name="thistle").update(login=login)
    missing = "username: it is missing: this login is for several users."
    assert user.post(START).reason == missing
    assert user.get(PROGRESS).reason == missing
    assert Run.objects.get(pk=user.post(START, username="thistle").data["pid"]).scope == "user:thistle"
    assert user.get(PROGRESS, username="lindner").data == 0
    assert user.get(PROGRESS, username="thistle").data == 1
    for foreign in ("northwind", "nosuchuser"):
        assert user.post(START, username=foreign).reason == "username: there is no such user."


def test_a_login_of_nobody(user, idle):
    HostingUser.objects.filter(name="lindner").update(login=None)
    answer = user.post(START)
    assert (answer.status, answer.reason) == (200, "This login is for no hosting user of this server.")
