"""SSL/TLS Status: whose account it is, what is off or paused, the check of it with its log."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl import log, options
from autossl_panel.autossl.models import Job, JobState, Provider, Run
from autossl_panel.hosting.models import HostingUser, Setting, VirtualHost
from tests.web.own_scene import Own
from tests.web.scene import Scene
from tests.web.status.world import pk, rows, text
from tests.web.test_pages import check as check_html


def test_manage_users_leads_to_the_page(as_root, url):
    assert f'href="{url}">lindner</a>' in as_root.get("/users/?q=lindner").content.decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"suspended": True}, "This account is suspended."),
        ({"autossl": Setting.OFF}, "AutoSSL is off for this account."),
    ],
)
def test_what_is_off_says_so_what_follows_and_who_can_change_it(change, says, client_of, as_root, own: Own, url):
    HostingUser.objects.filter(pk=own.user.pk).update(**change)
    html = client_of.get(url).content.decode()
    check_html(html)
    assert says in html
    assert re.search(r"4 certificates stay in use; the first expires on \d+ \w+", text(html))
    assert "Your host can change this." in html
    assert f"/status/{own.user.pk}/run/" not in html
    assert rows(html)["farm3.lindner.example"][0] == "Off"
    assert "You can change this:" in as_root.get(url).content.decode()


def test_a_feature_list_that_says_off_and_no_provider_say_so(client_of, own: Own, url, scene: Scene):
    own.user.feature_list.autossl = False
    own.user.feature_list.save()
    assert "by its feature list “business”" in client_of.get(url).content.decode()
    own.user.feature_list.autossl = True
    own.user.feature_list.save()
    Provider.objects.update(active=False)
    html = client_of.get(url).content.decode()
    assert "AutoSSL is disabled on this server." in html
    assert rows(html)["new.lindner.example"][0] == "Unsecured"


def test_a_pause_says_so_and_who_ends_it(client_of, as_root, as_reseller, own: Own, url, scene: Scene):
    options.pause(scene.server, by=scene.root, now=scene.now)
    HostingUser.objects.filter(pk=own.user.pk).update(owner=scene.harborweb)
    VirtualHost.objects.filter(user=own.user).update(next_reason="paused", next_at=None)
    html = client_of.get(url).content.decode()
    check_html(html)
    assert "AutoSSL is paused on this server." in html
    assert "Your host can change this." in html
    assert rows(html)["new.lindner.example"] == ("Waiting", "No certificate Waits until AutoSSL is resumed.")
    assert "Root can change this." in as_reseller.get(url).content.decode()
    html = as_root.get(url).content.decode()
    assert 'href="/pause/"' in html
    assert html.count("AutoSSL is paused on this server.") == 1, "told once, with what it means for this user"


def test_run_starts_a_check_of_the_own_account_and_joins_it(client_of, own: Own, url, scene: Scene):
    Run.objects.filter(ended_at=None).update(ended_at=timezone.now())
    assert client_of.post(f"{url}run/")["Location"] == url
    run = Run.objects.get(ended_at=None)
    assert (run.scope, run.asked_by, run.asked_from) == ("user:lindner", own.login, "panel")
    client_of.post(f"{url}run/")
    assert Run.objects.filter(ended_at=None).count() == 1
    html = client_of.get(url).content.decode()
    assert "Checking your sites" in html
    assert "This check" in html
    assert "Cancel" in html, "what it asked for, it may cancel"
    assert client_of.post(f"/runs/{run.pk}/cancel/").status_code == 302
    run.refresh_from_db()
    assert run.cancelled_at is not None


def test_a_check_that_others_asked_for_is_not_a_logins_to_cancel(client_of, as_root, own: Own, url, scene: Scene):
    Run.objects.filter(ended_at=None).update(ended_at=timezone.now())
    as_root.post(f"/users/{own.user.pk}/check/")
    run = Run.objects.get(ended_at=None)
    assert client_of.get(f"/runs/{run.pk}/cancel/").status_code == 404
    assert client_of.post(f"/runs/{run.pk}/cancel/").status_code == 404
    assert "your host" in client_of.get(f"/runs/{run.pk}/").content.decode()
    assert client_of.post("/runs/").status_code == 404, "there is no run for all users behind a login's button"


def test_the_page_follows_the_own_part_of_a_run_for_all(client_of, own: Own, url, scene: Scene):
    job = Job.objects.filter(run=scene.live, user=own.user).first()
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, outcome="", ended_at=None)
    html = client_of.get(url).content.decode()
    assert f"{url}live/?run={scene.live.pk}" in html
    cursor = re.search(r'id="cursor" name="cursor" value="([^"]*)"', html)[1]
    quiet = client_of.get(f"{url}live/", {"run": scene.live.pk, "cursor": cursor})
    assert quiet.status_code == 200
    assert "<li" not in quiet.content.decode()
    log.for_job(job).success("check:secured", number=4711)
    fresh = client_of.get(f"{url}live/", {"run": scene.live.pk, "cursor": cursor}).content.decode()
    assert fresh.count("4711 secured") == 1
    assert "northwind" not in fresh
    Job.objects.filter(pk=job.pk).update(state=JobState.ENDED, outcome="secured")
    assert client_of.get(f"{url}live/", {"run": scene.live.pk}).status_code == 286
    assert "Last check" in client_of.get(url).content.decode(), "the rest of the run is not this account's"


@pytest.mark.parametrize("run", ["", "x", "999999", "9" * 40])
def test_a_run_that_is_none_is_not_followed(run, client_of, url):
    assert client_of.get(f"{url}live/", {"run": run}).status_code == 404


def test_the_cells_are_kept_fresh_until_the_work_is_done(client_of, own: Own, url, scene: Scene):
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.QUEUED, outcome="", ended_at=None)
    asked = {"shown": [pk("farm3.lindner.example"), pk("amberfield.example")]}
    answer = client_of.get(url, asked, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert re.findall(r'id="st-(\d+)"', answer.content.decode()) == [str(pk("farm3.lindner.example"))]
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.ENDED, outcome="secured")
    assert client_of.get(url, asked, headers={"HX-Request": "true"}).status_code == 200, "a site is looked at soon"
    VirtualHost.objects.filter(user=own.user).update(next_at=scene.now + timedelta(days=1))
    HostingUser.objects.filter(pk=own.user.pk).update(last_check_at=timezone.now())
    last = client_of.get(url, asked, headers={"HX-Request": "true"})
    assert last.status_code == 286
    html = last.content.decode()
    assert 'id="last-check" hx-swap-oob="true"><time' in html
    assert "just now" in html.split('id="last-check"')[1].split("</dd>")[0]
    assert 'id="n-secured" hx-swap-oob="true">' in html
    page = client_of.get(url).content.decode()
    assert 'id="fresh"></div>' in page
    assert 'id="last-check"' in page


def test_a_login_of_several_accounts_chooses_at_the_top(client_of, own: Own, url):
    second = HostingUser.objects.get(name="amberfield")
    HostingUser.objects.filter(pk=second.pk).update(login=own.login)
    assert client_of.get("/status/")["Location"] == f"/status/{second.pk}/"
    html = client_of.get(url).content.decode()
    check_html(html)
    chooser = html.split('aria-label="Account"')[1].split("</nav>")[0]
    assert re.findall(r'href="(/status/\d+/)"(?: aria-current="page")?>(\w+)', chooser) == [
        (f"/status/{second.pk}/", "amberfield"),
        (url, "lindner"),
    ]
    assert f'action="/status/{own.user.pk}/run/"' in html
    assert "run-now" not in client_of.get("/runs/").content.decode(), "which of them, the log does not know"


def test_a_login_that_is_for_nobody_is_told_so(own: Own, signed_in):
    client = signed_in(own.other)
    assert client.get("/status/").status_code == 200
    check_html(client.get("/status/").content.decode())
    assert "No account is yours yet" in client.get("/status/").content.decode()
    assert client.get("/runs/").status_code == 200
    assert "No runs yet" in client.get("/runs/").content.decode()


def test_an_account_that_is_gone_is_not_shown(client_of, own: Own, url):
    HostingUser.objects.filter(pk=own.user.pk).update(gone_at=timezone.now())
    assert client_of.get(url).status_code == 404


def test_polls_cost_few_questions(client_of, own: Own, url, scene: Scene):
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.RUNNING, outcome="", ended_at=None)
    for address, most in ((f"{url}live/?run={scene.live.pk}", 10), (f"/runs/slot/?user={own.user.pk}", 10), (url, 15)):
        with CaptureQueriesContext(connection) as queries:
            client_of.get(address)
        assert len(queries) <= most, (address, len(queries))


def test_the_log_of_a_login_costs_few_questions(client_of, scene: Scene):
    for page in ("/runs/", f"/runs/{scene.past.pk}/", f"/runs/{scene.live.pk}/"):
        with CaptureQueriesContext(connection) as queries:
            client_of.get(page)
        assert len(queries) <= 20, (page, len(queries))
