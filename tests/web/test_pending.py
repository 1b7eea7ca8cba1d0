"""The Pending tab: who waits for whom, since when, until when; and trying now, where the rules allow."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import log, runs, waiting
from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Job, JobState, Provider, Run
from autossl_panel.autossl.waiting import Kind
from autossl_panel.hosting.models import VirtualHost
from tests.web.scene import Scene
from tests.web.test_runs import rows as cells

LABELS = {
    "ca": "The CA",
    "limit": "A limit",
    "deferral": "A deferral",
    "retry": "A new try",
    "server": "This server",
}


def table(client, query: str = "") -> dict[str, list[str]]:
    html = client.get(f"/pending/?size=100&{query}").content.decode()
    if "<tbody>" not in html:
        return {}
    return {re.split(r"(?<=example)", row[0])[0]: row for row in cells(html)}


def chips(client) -> dict[str, int]:
    html = client.get("/pending/").content.decode()
    found = re.findall(r'<a class="chip"[^>]*>([^<]+) <span class="n">(\d+)</span>', html)
    return {label: int(n) for label, n in found}


def test_every_kind_is_counted_and_shown(as_root, troubled: Scene):
    found = chips(as_root)
    assert list(found) == ["All", "The CA", "A limit", "A deferral", "A new try", "This server"]
    assert found["All"] == sum(n for label, n in found.items() if label != "All") == len(table(as_root))
    for kind, label in LABELS.items():
        rows = table(as_root, f"for={kind}")
        assert len(rows) == found[label]
        assert all(row[1].startswith(label) for row in rows.values())


def test_tries_of_its_names_count_where_the_site_has_none_of_its_own(as_root, troubled: Scene):
    VirtualHost.objects.filter(user__name="northwind").update(attempts=0)
    rows = {name: row for name, row in table(as_root, "for=retry").items() if "northwind" in name}
    assert rows
    assert {row[4] for row in rows.values()} == {"4"}


def test_the_tab_counts_the_same(as_root, as_reseller, troubled: Scene):
    for client in (as_root, as_reseller):
        html = client.get("/users/").content.decode()
        count = re.search(
            r'Pending</span><span id="tab-pending" class="count"><span class="sr">: </span>(\d+)</span>', html
        )
        assert int(count[1]) == chips(client)["All"]


def test_a_row_says_why_since_when_and_until_when(as_root, troubled: Scene):
    rows = table(as_root)
    deferred = rows["lindner.example"]
    assert deferred[1] == (
        "A deferralRenewal waits, because a covered name fails. www.lindner.example: the connection timed out"
    )
    assert deferred[2].startswith(f"{(troubled.now - timedelta(days=9, hours=2)):%-d %b}")
    assert deferred[3].endswith("in 3 h")
    assert deferred[4] == "3"
    limited = rows["brandtlaw.example"]
    assert limited[1] == "A limitA limit of the CA"
    assert limited[3].endswith("in 2 h")


def test_live_jobs_that_wait_lead_to_their_run(as_root, troubled: Scene):
    staged = Job.objects.filter(run=troubled.live, state=JobState.STAGED).select_related("virtual_host").first()
    row = table(as_root, "for=server")[staged.virtual_host.name]
    assert row[1] == "This serverWaits for the reload"
    assert row[3] == f"Run {troubled.live.pk} has it"
    (at_ca,) = table(as_root, "for=ca").values()
    assert at_ca[1] == "The CAIts order is with the CA"


def test_what_comes_next_stands_first(as_root, troubled: Scene):
    waits = [name for name, row in table(as_root).items() if "Run" not in row[3]]
    moments = dict(VirtualHost.objects.values_list("name", "next_at"))
    assert [moments[name] for name in waits] == sorted(moments[name] for name in waits)


def test_live_jobs_stand_above_the_rest_whatever_their_old_moment(as_root, troubled: Scene):
    busy = Job.objects.filter(run=troubled.live, state=JobState.STAGED).select_related("virtual_host").first()
    VirtualHost.objects.filter(pk=busy.virtual_host_id).update(
        next_at=troubled.now + timedelta(days=60), next_reason="held_back"
    )
    moments = [row[3] for row in table(as_root, "size=100").values()]
    with_runs = [place for place, until in enumerate(moments) if "Run" in until]
    assert with_runs == list(range(len(with_runs)))
    assert with_runs
    # Over the edge of a page too: each site is on one page, in one order
    VirtualHost.objects.filter(user__name="greenmile").update(
        next_at=troubled.now + timedelta(hours=1), next_reason="held_back"
    )
    html = [as_root.get(f"/pending/?size=25&page={page}").content.decode() for page in (1, 2)]
    shown = [name for one in html for name in re.findall(r'class="who" href="/certificates/(\d+)/"', one)]
    assert len(shown) == len(set(shown)) == len(table(as_root, "size=100"))


def test_search_by_site_name_and_user(as_root, troubled: Scene):
    assert list(table(as_root, "q=www.lindner.example")) == ["lindner.example"]
    assert list(table(as_root, "q=brandtlaw&for=limit")) == ["brandtlaw.example"]
    html = as_root.get("/pending/?q=<nothing>").content.decode()
    assert "Nothing that waits matches “&lt;nothing&gt;”" in html


def test_a_reseller_sees_own_sites(as_reseller, troubled: Scene):
    assert "lindner.example" not in table(as_reseller)
    assert set(table(as_reseller)) == {
        name for name in VirtualHost.objects.filter(user__owner=troubled.harborweb).values_list("name", flat=True)
    } & set(table(as_reseller))


def test_trying_now_is_a_persons_check_of_that_site(as_root, troubled: Scene):
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=troubled.now)
    host = VirtualHost.objects.get(name="lindner.example")
    answer = as_root.post(f"/pending/{host.pk}/try/")
    run = Run.objects.get(ended_at=None)
    assert answer["Location"].partition("?")[0] == f"/runs/{run.pk}/"
    assert (run.scope, run.asked_from) == ("user:lindner", "recheck")
    host.refresh_from_db()
    assert (host.next_reason, host.retry_at) == ("recheck", None)


def test_a_limit_of_the_ca_is_not_to_be_hurried(as_root, troubled: Scene):
    html = as_root.get("/pending/?for=limit").content.decode()
    assert "Try now</button>" not in html
    host = VirtualHost.objects.get(name="brandtlaw.example")
    answer = as_root.post(f"/pending/{host.pk}/try/", follow=True)
    assert "A limit of the CA holds it." in answer.content.decode()
    host.refresh_from_db()
    assert host.next_reason == "rate_limited"


def test_while_autossl_is_paused_or_off_nothing_is_tried(as_root, troubled: Scene):
    host = VirtualHost.objects.get(name="lindner.example")
    troubled.server.options.paused_at = troubled.now
    troubled.server.options.save()
    html = as_root.get("/pending/").content.decode()
    assert "AutoSSL is paused." in html
    assert "Try now</button>" not in html
    assert "Nothing was tried." in as_root.post(f"/pending/{host.pk}/try/", follow=True).content.decode()
    troubled.server.options.paused_at = None
    troubled.server.options.save()
    Provider.objects.update(active=False)
    assert "No provider is chosen." in as_root.post(f"/pending/{host.pk}/try/", follow=True).content.decode()
    assert not Run.objects.filter(asked_from="recheck").exists()


def test_a_run_that_will_look_at_it_is_led_to(as_root, troubled: Scene):
    run = runs.start("user:lindner", by=None, asked_from="panel", server=troubled.server)
    host = VirtualHost.objects.get(name="lindner.example")
    answer = as_root.post(f"/pending/{host.pk}/try/")
    assert answer["Location"].startswith(f"/runs/{run.pk}/")


def test_a_run_that_looks_for_what_is_due_is_told(as_root, troubled: Scene):
    for scope in ("user:lindner", runs.DUE):
        log.for_run(runs.start(scope, by=None, asked_from="panel", server=troubled.server).pk).out("run:started")
    host = VirtualHost.objects.get(name="lindner.example")
    answer = as_root.post(f"/pending/{host.pk}/try/", follow=True)
    assert "what you asked for is checked right after" in answer.content.decode()


def test_nothing_waits(as_root, scene: Scene):
    Run.objects.all().delete()
    VirtualHost.objects.update(next_at=None)
    html = as_root.get("/pending/").content.decode()
    assert "Nothing waits" in html
    assert '<span class="count">' not in html


def test_every_reason_to_wait_is_found_by_one_filter(scene: Scene):
    host = VirtualHost.objects.first()
    VirtualHost.objects.update(next_at=None)
    for reason in sorted({*REASONS, "never_heard_of"}):
        VirtualHost.objects.filter(pk=host.pk).update(next_at=scene.now, next_reason=reason)
        found = [kind for kind in Kind if waiting.sites(VirtualHost.objects.all(), kind).exists()]
        waits = waiting.sites(VirtualHost.objects.all()).exists()
        assert waits is (reason not in waiting.NO_WAITING), reason
        assert found == ([waiting.kind(reason)] if waits else []), reason


@pytest.mark.parametrize("query", ["", "for=retry", "q=northwind"])
def test_it_asks_few_questions(query, as_root, as_reseller, troubled: Scene):
    for client in (as_root, as_reseller):
        # When a session was seen is noted once a minute
        client.get("/pending/")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/pending/?{query}&size=100")
        assert len(queries) <= 15
