"""What a preview says of each site, and that it is what a run then does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from autossl_panel.autossl import options, preview, preview_told, previewing, runs, survey
from autossl_panel.autossl.jobs import claims
from autossl_panel.autossl.models import (
    Job,
    Order,
    Preview,
    PreviewAction,
    Provider,
    Run,
)
from autossl_panel.hosting.models import Setting, VirtualHost
from autossl_panel.people.models import Role, User
from tests.autossl.limits_rows import HOUR, row
from tests.autossl.preview.world import everything, previewed, rows_of, scene, verdict
from tests.autossl.surveys import Reads

pytestmark = pytest.mark.django_db


def test_each_site_says_what_would_be_done_with_which_names_and_why(
    provider, make_user, make_site, make_installed, now
):
    amber, birch = make_user("amber"), make_user("birch", autossl=Setting.OFF)
    before = now - timedelta(hours=2)
    new = make_site(amber, "new.example", "www.new.example")
    verdict(new, "new.example", at=before)
    verdict(new, "www.new.example", "nxdomain", at=before)
    due = make_site(amber, "due.example", "mail.due.example")
    make_installed(due, "due.example", "mail.due.example", days_left=20)
    verdict(due, "mail.due.example", "elsewhere", at=before)
    wider = make_site(amber, "wider.example", "shop.wider.example")
    make_installed(wider, "wider.example", days_left=60)
    kept = make_site(amber, "kept.example")
    make_installed(kept, "kept.example")
    make_site(birch, "off.example")
    found = previewed()
    rows = rows_of(found)
    assert found.problem is None
    assert found.counts == {"order": 1, "defer": 1, "extend": 1, "keep": 1, "skip": 1}
    assert (found.sites, found.done, found.orders) == (5, 5, 2)
    assert rows["new.example"].names == {"added": ["new.example"], "left_out": [["www.new.example", "nxdomain"]]}
    assert rows["new.example"].provider == "pebble"
    assert preview_told.why(rows["new.example"]) == (
        "No certificate yet. www.new.example: the name does not exist in DNS"
    )
    deferred = rows["due.example"]
    assert (deferred.action, deferred.reason) == (PreviewAction.DEFER, "deferred")
    assert deferred.names["dropped"] == ["mail.due.example"]
    assert deferred.until is not None
    assert preview_told.why(deferred) == (
        "Renewal waits, because a covered name fails. mail.due.example: points to another server"
    )
    assert rows["wider.example"].names == {
        "kept": ["wider.example"],
        "added": ["shop.wider.example"],
        "unproven": ["wider.example", "shop.wider.example"],
    }
    assert rows["kept.example"].until is not None
    assert (rows["off.example"].action, rows["off.example"].reason) == (PreviewAction.SKIP, "disabled")
    assert preview_told.covered(rows["off.example"]) == (0, 1)
    assert [one.name for one in preview.sites(found, None)][-1] == "off.example", "the work stands first"


def test_while_many_names_fail_alike_no_coverage_would_be_lost(provider, make_user, make_site, make_installed, now):
    user, before = make_user("amber"), now - timedelta(hours=2, minutes=-1)
    late = make_site(user, "late.example", "mail.late.example")
    make_installed(late, "late.example", "mail.late.example", days_left=2)
    verdict(late, "mail.late.example", "elsewhere", at=before, last_passed_at=before - timedelta(days=30))
    assert rows_of(previewed())["late.example"].reason == "reduced_coverage"
    Preview.objects.all().delete()
    for n in range(9):
        other = make_site(user, f"other{n}.example")
        verdict(other, other.name, "elsewhere", at=before, last_passed_at=before - timedelta(days=30))
    row = rows_of(previewed())["late.example"]
    assert (row.action, row.reason) == (PreviewAction.DEFER, "reductions_suspended")
    assert row.names["dropped"] == ["mail.late.example"]


def test_what_a_persons_run_clears_is_held_no_longer(provider, make_user, make_site, now):
    """The blue button ends what our own ladder holds; what the CA asked for stands."""
    user = make_user("amber")
    before = now - timedelta(hours=2)
    own = make_site(user, "own.example", retry_at=now + timedelta(hours=5))
    refused = make_site(user, "refused.example")
    standing = {
        "pebble": {"since": before.isoformat(), "until": (now + timedelta(days=1)).isoformat(), "kind": "dns",
                   "text": "no", "times": 1}
    }  # fmt: skip
    verdict(refused, "refused.example", at=before, refusals=standing)
    limited = make_site(
        user, "limited.example", held_until=now + timedelta(hours=3), held_reason="rate_limited", held_provider="pebble"
    )
    rows = rows_of(previewed())
    assert {rows[one.name].action for one in (own, refused)} == {PreviewAction.ORDER}
    assert (rows[limited.name].action, rows[limited.name].until) == (PreviewAction.WAIT, limited.held_until)
    run = runs.start(runs.ALL, by=None, asked_from="panel")
    survey.survey(run, Reads())
    assert set(run.jobs.values_list("virtual_host__name", flat=True)) == {own.name, refused.name}


def test_a_limit_says_what_is_used_and_when_the_turn_comes(provider, make_user, make_site, now):
    """The CA takes few: the first get through, the rest one after the other; the last moment is told."""
    Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 4, 3 * HOUR)])
    user = make_user("amber")
    for n in range(6):
        make_site(user, f"site{n}.example")
    found = previewed()
    rows = list(preview.sites(found, None))
    ordered = [one for one in rows if one.provider]
    waiting = [one for one in rows if one.action == PreviewAction.WAIT]
    assert len(ordered) == found.orders > 0
    assert len(waiting) == found.limited == 6 - len(ordered)
    assert all(one.reason == "rate_limited" and one.limit["kind"] == "orders" for one in waiting)
    assert [one.until for one in waiting] == sorted(one.until for one in waiting)
    assert found.last_at == max(one.done_at for one in rows) > waiting[-1].until
    assert "pebble: 3 of 3 new orders of the account used" in preview_told.why(waiting[0])
    assert not Order.objects.exists()


def test_renewals_that_count_towards_no_limit_are_said_so(account, make_user, make_site, make_installed, now):
    site = make_site(make_user("amber"), "free.example")
    make_installed(
        site,
        "free.example",
        days_left=28,
        provider=account.provider,
        account=account,
        ari_id="a.b",
        ari_start=now - timedelta(days=1),
        ari_end=now + timedelta(days=1),
        renewal_at=now - timedelta(hours=1),
    )
    found = previewed()
    assert (found.orders, found.free_orders) == (1, 1)
    assert (rows_of(found)["free.example"].action, rows_of(found)["free.example"].reason) == ("renew", "ari")


def test_a_fallback_is_named_with_the_reason(server, provider, make_user, make_site, now):
    from autossl_panel.autossl.models import Account, AccountStatus, ProviderState

    second = Provider.objects.create(
        name="second", directory_url="https://127.0.0.1:2/dir", state=ProviderState.READY, private_ca=True, fallback=1
    )
    Account.objects.create(provider=second, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:2/a/1")
    Account.objects.filter(provider=provider).update(faults=4, down_since=now, down_until=now + timedelta(hours=1))
    make_site(make_user("amber"), "new.example")
    found = rows_of(previewed())["new.example"]
    assert (found.provider, found.provider_reason) == ("second", "provider_fallback")
    assert preview_told.why(found, {"second": "Second CA"}).endswith(
        "Second CA is asked: the next provider, because those before it fail"
    )


def test_paused_everything_waits(server, provider, make_user, make_site, root, now):
    make_site(make_user("amber"), "new.example")
    options.pause(server, by=root, now=now)
    found = previewed()
    assert (found.counts, found.orders) == ({"wait": 1}, 0)
    assert rows_of(found)["new.example"].reason == "paused"


def test_a_site_in_another_runs_hands_is_left_to_it(provider, make_user, make_site):
    make_site(make_user("amber"), "new.example")
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    survey.survey(run, Reads())
    found = rows_of(previewed())["new.example"]
    assert (found.action, found.reason) == (PreviewAction.BUSY, "busy")
    assert preview_told.why(found) == f"Run {run.pk} has it"


def test_an_open_order_would_go_on(provider, make_user, make_site, now):
    site = make_site(make_user("amber"), "new.example")
    Order.objects.create(
        ident="o-1", virtual_host=site, provider=provider, account=provider.accounts.get(), names=["new.example"],
        reason="missing", key_type="p256", created_at=now,
    )  # fmt: skip
    found = rows_of(previewed())["new.example"]
    assert (found.action, found.reason) == (PreviewAction.RESUME, "order_open")


def test_scopes_are_kept_to(provider, make_user, make_site):
    reseller = User.objects.create(username="harborweb", role=Role.RESELLER)
    mine, other = make_user("amber", owner=reseller), make_user("birch")
    make_site(mine, "mine.example")
    make_site(other, "other.example")
    assert set(rows_of(previewed(runs.user_scope("birch")))) == {"other.example"}
    assert set(rows_of(previewed(runs.owner_scope(reseller)))) == {"mine.example"}
    assert set(rows_of(previewed())) == {"mine.example", "other.example"}


def test_without_a_provider_it_says_so(server, make_user, make_site):
    make_site(make_user("amber"), "new.example")
    found = previewed()
    assert (found.problem["code"], found.counts) == ("no_provider", {})
    assert found.ended_at is not None


def test_the_moment_follows_the_pace_of_the_last_runs(server, provider, make_user, make_site, now):
    user = make_user("amber")
    hosts = [make_site(user, f"site{n}.example") for n in range(5)]
    assert previewing.pace(server) == previewing.Pace()
    start = now - timedelta(hours=1)
    run = Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=start, surveyed_at=start,
        ended_at=start + timedelta(seconds=100), counts={"outcomes": {"secured": 40, "renewed": 10}},
    )  # fmt: skip
    Job.objects.create(
        run=run, server=server, virtual_host=hosts[0], user=user, action="new", reason="missing", job_class=1,
        state="ended", outcome="secured", queued_at=start, started_at=start, ended_at=start + timedelta(seconds=24),
    )  # fmt: skip
    found = previewing.pace(server)
    assert (found.whole, found.each) == (24.0, 2.0), "many orders say how fast they follow"
    Run.objects.filter(pk=run.pk).update(counts={"outcomes": {"secured": 1}})
    assert previewing.pace(server).each == 3.0, "one order says nothing of that"
    told = previewed(now=now)
    assert told.last_at == now + timedelta(seconds=24 + 4 * 3)


@pytest.mark.parametrize("seed", range(12))
def test_what_it_says_is_what_a_run_then_does(seed, provider, make_user, make_site, make_installed, now):
    """The same jobs, in the order in which they are claimed; the same sites left alone, for the same reasons."""
    scene(seed, make_user, make_site, make_installed, now)
    found = previewed(now=now)
    rows = preview.sites(found, None)
    run = runs.start(runs.ALL, by=None, asked_from="panel", now=now)
    survey.survey(run, Reads(), now=now)
    run = Run.objects.get(pk=run.pk)
    claimed = [one.job.virtual_host_id for one in claims.claim(run.server, "me", 1000)]
    work = [one for one in rows if one.position < previewing.BEHIND]
    assert [one.virtual_host_id for one in work] == claimed
    jobs = {job.virtual_host_id: job for job in Job.objects.all()}
    for one in work:
        job = jobs[one.virtual_host_id]
        if one.provider:
            assert one.action == {"new": "order"}.get(job.action, job.action)
        assert one.urgent == (job.job_class == 0)
    rest = [one for one in rows if one.position >= previewing.BEHIND]
    counts = {name: sum(one.action == name for one in rest) for name in ("keep", "skip", "wait")}
    told = {
        "keep": run.counts.get("kept", 0),
        "skip": run.counts.get("skipped", 0),
        "wait": run.counts.get("waiting", 0),
    }
    assert counts == told
    hosts = {host.pk: host for host in VirtualHost.objects.all()}
    for one in rest:
        if one.action == PreviewAction.SKIP:
            assert one.reason == hosts[one.virtual_host_id].next_reason
        elif one.until is not None:
            assert one.until == hosts[one.virtual_host_id].next_at


def test_nothing_but_its_own_rows_is_written(server, provider, make_user, make_site, make_installed, now):
    options.current(server)
    scene(3, make_user, make_site, make_installed, now)
    before = everything()
    previewed(now=now)
    after = everything()
    own = {"autossl.Preview", "autossl.PreviewSite", "autossl.Lease"}
    assert {name for name in before if before[name] != after[name]} == own
