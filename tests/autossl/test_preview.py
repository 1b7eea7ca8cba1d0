"""Previews over rows: the same decisions as a run's, in its order, with what the CAs' limits leave; nothing else is
written. And how they are asked for, rung for again and forgotten."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django_q.models import OrmQ

from autossl_panel.autossl import leases, options, preview, preview_told, previewing, runs, survey
from autossl_panel.autossl.jobs import claims
from autossl_panel.autossl.models import (
    Job,
    Order,
    Outcome,
    Preview,
    PreviewAction,
    PreviewSite,
    Provider,
    Run,
    Verdict,
)
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Server, Setting, VirtualHost
from autossl_panel.people.models import Role, User
from tests.autossl.limits_rows import HOUR, row
from tests.autossl.test_survey import Helper

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def previewed(scope: str = runs.ALL, *, now: datetime | None = None, **more: Any) -> Preview:
    """A preview at its end."""
    made = preview.ask(scope, asked_by=None, server=Server.objects.get(), ring=False)
    previewing.work_out(made.pk, Helper(), now=now, **more)
    return Preview.objects.get(pk=made.pk)


def rows_of(found: Preview) -> dict[str, PreviewSite]:
    return {one.name: one for one in preview.sites(found, None)}


def verdict(host: VirtualHost, name: str, code: str = "", **more: Any) -> None:
    """What the last check found, two hours ago."""
    at = more.pop("at")
    domain = Domain.objects.get(virtual_host=host, name=name)
    seen = {"first_failed_at": at, "last_failed_at": at} if code else {"last_passed_at": at}
    outcome = Outcome.FAIL if code else Outcome.PASS
    Verdict.objects.create(domain=domain, at=at, outcome=outcome, code=code, **seen, **more)


# --- what stands in it ------------------------------------------------------------------------------------------------


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
    survey.survey(run, Helper())
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
    assert "pebble: 3 of 3 new orders of the account are used" in preview_told.why(waiting[0])
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
    survey.survey(run, Helper())
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


# --- the same as a run ------------------------------------------------------------------------------------------------


def scene(seed: int, make_user: Make, make_site: Make, make_installed: Make, now: datetime) -> None:
    """Users and sites as they happen to be: new, sound, due, expired, lacking names, held, another's, off."""
    draw = random.Random(seed)
    for u in range(4):
        user = make_user(f"user{u}", autossl=draw.choice([Setting.ON, Setting.ON, Setting.ON, Setting.OFF]))
        for s in range(draw.randrange(1, 9)):
            names = [f"{label}s{s}.u{u}.example" for label in ("", "www.", "mail.", "a.")[: draw.randrange(1, 5)]]
            held = {}
            if draw.random() < 0.2:
                held["retry_at"] = now + timedelta(hours=draw.randrange(-3, 5))
            if draw.random() < 0.1:
                held |= {"held_until": now + timedelta(hours=2), "held_reason": "rate_limited"}
            site = make_site(user, *names, takeover=draw.random() < 0.2, **held)
            if draw.random() < 0.75:
                covered = draw.sample(names, draw.randrange(1, len(names) + 1))
                left = draw.choice([-20, -1, 0.5, 2, 10, 29, 31, 60, 89])
                make_installed(site, *covered, days_left=left, ours=draw.random() < 0.8)
            for name in names:
                if draw.random() < 0.6:
                    code = draw.choice(["", "", "elsewhere", "caa"])
                    retry = now + timedelta(hours=draw.randrange(-3, 9)) if code and draw.random() < 0.5 else None
                    verdict(site, name, code, at=now - timedelta(hours=draw.randrange(1, 90)), retry_at=retry)
            if draw.random() < 0.15:
                Exclusion.objects.create(user=user, name=names[-1], at=now)


@pytest.mark.parametrize("seed", range(12))
def test_what_it_says_is_what_a_run_then_does(seed, provider, make_user, make_site, make_installed, now):
    """The same jobs, in the order in which they are claimed; the same sites left alone, for the same reasons."""
    scene(seed, make_user, make_site, make_installed, now)
    found = previewed(now=now)
    rows = preview.sites(found, None)
    run = runs.start(runs.ALL, by=None, asked_from="panel", now=now)
    survey.survey(run, Helper(), now=now)
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


def everything() -> dict[str, list[Any]]:
    mine = [model for model in apps.get_models() if model.__module__.startswith("autossl_panel.")]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in mine}


# --- asked for, looked after ------------------------------------------------------------------------------------------


def ask(server: Server, now: datetime, scope: str = runs.ALL, **more: Any) -> Preview:
    return preview.ask(scope, asked_by=None, server=server, now=now, **more)


def test_who_asks_again_gets_the_one_at_work_or_the_fresh_one(server, provider, now):
    first = ask(server, now)
    assert ask(server, now + timedelta(seconds=5)) == first
    assert OrmQ.objects.count() == 1, "the bell is rung once"
    previewing.work_out(first.pk, Helper(), now=now)
    assert ask(server, now + timedelta(seconds=30)) == first
    assert ask(server, now + timedelta(seconds=30), "user:amber") != first
    assert ask(server, now + timedelta(minutes=2)) != first


@pytest.mark.parametrize("what", ["option", "run"])
def test_what_changed_meanwhile_makes_it_stale(what, server, provider, root, now):
    first = ask(server, now, ring=False)
    previewing.work_out(first.pk, Helper(), now=now)
    if what == "option":
        options.change(server, {"key_type": "p384"}, by=root)
    else:
        runs.start(runs.ALL, by=None, asked_from="schedule", now=now + timedelta(seconds=1))
    assert ask(server, now + timedelta(seconds=2), ring=False) != first


def test_one_without_a_provider_is_never_fresh(server, now):
    first = ask(server, now, ring=False)
    previewing.work_out(first.pk, Helper(), now=now)
    assert ask(server, now + timedelta(seconds=1), ring=False) != first


def test_a_lost_task_is_rung_for_again_and_the_third_dead_worker_ends_it(server, provider, now):
    first = ask(server, now)
    OrmQ.objects.all().delete()
    assert not preview.ring_where_needed(server, now + timedelta(seconds=5)), "it may only be late"
    assert preview.ring_where_needed(server, now + timedelta(seconds=21))
    assert not preview.ring_where_needed(server, now + timedelta(seconds=25)), "rung a moment ago"
    assert leases.take(preview.lease(first), "somebody", 30)
    assert not preview.ring_where_needed(server, now + timedelta(seconds=60)), "somebody is at it"
    previewing.work_out(first.pk, Helper())
    assert Preview.objects.get(pk=first.pk).ended_at is None, "and nobody else takes it up"
    leases.release(preview.lease(first), "somebody")
    Preview.objects.filter(pk=first.pk).update(attempts=preview.MOST_ATTEMPTS)
    previewing.work_out(first.pk, Helper())
    first.refresh_from_db()
    assert (first.problem["code"], first.ended_at is not None) == ("worker_died", True)


def test_a_worker_that_is_told_to_stop_leaves_it_to_the_next(provider, make_user, make_site):
    make_site(make_user("amber"), "new.example")
    found = previewed(stop=lambda: True)
    assert found.ended_at is None
    assert not preview.sites(found, None).exists(), "nobody sees half of one"
    previewing.work_out(found.pk, Helper())
    found.refresh_from_db()
    assert (found.counts, found.attempts, found.done) == ({"order": 1}, 2, 1)


def test_an_error_of_ours_ends_it_and_is_told(provider, make_user, make_site, monkeypatch):
    make_site(make_user("amber"), "new.example")

    class Broken(Helper):
        def inventory(self, *, unless=None):
            raise RuntimeError("a wall fell down")

    made = preview.ask(runs.ALL, asked_by=None, server=Server.objects.get(), ring=False)
    previewing.work_out(made.pk, Broken())
    made.refresh_from_db()
    assert made.problem == {"code": "internal", "text": "RuntimeError: a wall fell down"}


def test_old_ones_are_forgotten(server, provider, make_user, make_site, now):
    make_site(make_user("amber"), "new.example")
    first = previewed()
    Preview.objects.filter(pk=first.pk).update(ended_at=now - timedelta(minutes=5), asked_at=now - timedelta(minutes=5))
    other = previewed(runs.user_scope("amber"))
    second = previewed()
    assert set(Preview.objects.values_list("pk", flat=True)) == {other.pk, second.pk}
    assert set(PreviewSite.objects.values_list("preview", flat=True)) == {other.pk, second.pk}
    preview.forget(server, now + timedelta(days=2))
    assert not Preview.objects.exists()


def test_who_may_see_which(server, provider, root, make_user, make_site):
    reseller = User.objects.create(username="harborweb", role=Role.RESELLER)
    login = User.objects.create(username="amber", role=Role.USER)
    amber = make_user("amber", owner=reseller, login=login)
    birch = make_user("birch")
    make_site(amber, "mine.example")
    make_site(birch, "other.example")
    everybodys = previewed()
    own = previewed(runs.owner_scope(reseller))
    one = previewed(runs.user_scope("amber"))
    foreign = previewed(runs.user_scope("birch"))
    assert set(preview.visible(root)) == {everybodys, own, one, foreign}
    assert set(preview.visible(reseller)) == {own, one}
    assert not preview.visible(login).exists()
    assert preview.sites(own, reseller).count() == 1
    HostingUser.objects.filter(pk=amber.pk).update(owner=None)
    assert not preview.sites(own, reseller).exists(), "whose users they are now counts"
    assert preview.scope_of(reseller, server, user="amber") is None
    assert preview.scope_of(reseller, server) == "owner:harborweb"
    assert preview.scope_of(reseller, server, owner="somebody") is None
    assert preview.scope_of(root, server) == "*"
    assert preview.scope_of(root, server, user="birch") == "user:birch"
    assert preview.scope_of(root, server, owner="nobody") is None


def test_as_data(provider, make_user, make_site):
    make_site(make_user("amber"), "new.example", "www.new.example")
    found = previewed()
    data = preview_told.as_data(found, preview.sites(found, None).select_related("user"))
    assert (data["scope"], data["orders"], data["counts"]["order"]) == ("*", 1, 1)
    (site,) = data["sites"]
    assert (site["virtual_host"], site["user"], site["action"], site["provider"]) == (
        "new.example", "amber", "order", "pebble",
    )  # fmt: skip
    assert site["names"]["added"] == ["new.example", "www.new.example"]


def test_what_stays_says_what_it_lacks_and_an_expired_certificate_covers_nothing(
    provider, make_user, make_site, make_installed, now
):
    Provider.objects.filter(pk=provider.pk).update(max_names=1)
    user = make_user("amber")
    full = make_site(user, "full.example", "blog.full.example")
    make_installed(full, "full.example")
    Domain.objects.create(virtual_host=full, name="www.full.example", added=True, position=2)
    verdict(full, "www.full.example", "nxdomain", at=now - timedelta(hours=2))
    make_installed(make_site(user, "bought.example"), "bought.example", days_left=-3, ours=False)
    rows = rows_of(previewed())
    assert (rows["full.example"].action, preview_told.covered(rows["full.example"])) == (PreviewAction.KEEP, (1, 2))
    why = preview_told.why(rows["full.example"])
    assert "blog.full.example: more names than the provider takes in one certificate" in why
    assert preview_told.covered(rows["bought.example"]) == (0, 1)
