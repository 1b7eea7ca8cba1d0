"""From a run's rows to messages: who is told what, once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import leases, options, runs
from autossl_panel.autossl.models import (
    Certificate,
    Channel,
    Installation,
    Job,
    JobOutcome,
    JobState,
    Kind,
    Lease,
    Message,
    MessageState,
    Notice,
    Options,
    Provider,
    ProviderState,
    Run,
    UntoldRun,
    Verdict,
)
from autossl_panel.autossl.notify import telling
from autossl_panel.hosting.models import SiteState
from autossl_panel.people.models import Role, User
from tests.autossl.notify.rows import ADMIN, fail, installed

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def test_a_site_that_fails_is_told_to_its_user_and_to_the_administrator(made, site, mails, now):
    run = made.failed(now, site)
    assert telling.after_run(run.pk, now=now) == 2
    assert mails() == [(ADMIN, {"unsecured": 1}), ("amber@amber.example", {"unsecured": 1})]


def test_the_message_has_all_that_somebody_needs(made, site, now):
    run = made.failed(now, site, code="elsewhere")
    telling.after_run(run.pk, now=now)
    payload = Message.objects.get(address=ADMIN).payload
    assert payload["version"] == 1
    assert payload["severity"] == "failure"
    assert payload["run"]["id"] == run.pk
    assert payload["url"] == f"https://panel.example:2087/runs/{run.pk}/"
    [group] = payload["groups"]
    assert (group["kind"], group["code"], group["sites"]) == ("unsecured", "elsewhere", 1)
    assert group["cause"] == "points to another server"
    assert "Point its A record to this server." in group["fix"]
    [notice] = group["notices"]
    assert (notice["site"], notice["user"]) == ("amber.example.com", "amber")
    assert notice["names"] == ["amber.example.com", "shop.amber.example.com"]
    assert notice["next_try"] == (now + DAY).isoformat(timespec="seconds")
    assert Message.objects.get(address="amber@amber.example").payload["url"] == "https://panel.example:2087/"


def test_a_run_is_told_once_whoever_asks(made, site, mails, now):
    run = made.failed(now, site)
    assert telling.after_run(run.pk, now=now) == 2
    assert telling.after_run(run.pk, now=now) == 0
    assert telling.sweep(site.server, now=now) == 0
    assert telling.after_run(0, now=now) == 0
    assert not UntoldRun.objects.exists()


def test_the_same_problem_is_no_news_in_the_next_run(made, site, mails, now):
    telling.after_run(made.failed(now, site).pk, now=now)
    mails()
    for day in range(1, 6):
        assert telling.after_run(made.failed(now + day * DAY, site).pk, now=now + day * DAY) == 0
    assert telling.after_run(made.failed(now + 6 * DAY, site, code="caa").pk, now=now + 6 * DAY) == 2


def test_a_run_that_lives_is_not_told(server, made, site, now):
    run = made.failed(now, site)
    Run.objects.update(ended_at=None, scope=runs.ALL)
    assert telling.after_run(run.pk, now=now) == 0
    assert telling.sweep(server, now=now) == 0
    assert UntoldRun.objects.exists()


def test_a_run_ends_with_a_row_that_says_that_nobody_was_told(server, provider, make_user):
    run = runs.start(runs.ALL, by=None, asked_from="command", server=server)
    Run.objects.update(surveyed_at=run.started_at)
    assert not UntoldRun.objects.exists()
    assert runs.end_if_done(run.pk)
    assert UntoldRun.objects.get().run_id == run.pk
    assert not runs.end_if_done(run.pk)
    assert UntoldRun.objects.count() == 1


def test_two_tellers_at_once_tell_once(server, made, site, now):
    run = made.failed(now, site)
    assert leases.take(f"tell:{server.pk}", "another", 60)
    assert telling.after_run(run.pk, now=now) == 0
    assert UntoldRun.objects.exists(), "whoever is at it may die: it stays until it is told"
    Lease.objects.all().delete()
    assert telling.sweep(server, now=now) == 2


# --- who --------------------------------------------------------------------------------------------------------------


def test_a_user_without_an_address_is_told_through_the_reseller(admin, make_user, make_site, made, mails, now):
    reseller = User.objects.create(username="harborweb", role=Role.RESELLER, email="desk@harborweb.example")
    silent = make_site(make_user("silent", owner=reseller), "silent.example.com")
    other = make_site(make_user("other", owner=reseller), "other.example.com")
    own = make_site(make_user("own", owner=reseller, email="own@own.example"), "own.example.com")
    telling.after_run(made.failed(now, silent, other, own, scope="*").pk, now=now)
    payload = Message.objects.get(address="desk@harborweb.example").payload
    assert payload["audience"] == "reseller"
    assert [notice["user"] for notice in payload["groups"][0]["notices"]] == ["other", "silent"]
    assert mails() == [
        (ADMIN, {"unsecured": 3}),
        ("desk@harborweb.example", {"unsecured": 2}),
        ("own@own.example", {"unsecured": 1}),
    ]


def test_a_reseller_who_may_not_sign_in_any_more_is_told_nothing(admin, make_user, make_site, made, mails, now):
    gone = User.objects.create(username="gone", role=Role.RESELLER, email="x@gone.example", is_active=False)
    site = make_site(make_user("silent", owner=gone), "silent.example.com")
    telling.after_run(made.failed(now, site).pk, now=now)
    assert mails() == [(ADMIN, {"unsecured": 1})]


def test_one_address_gets_one_digest_whoever_it_is(server, admin, make_user, make_site, made, mails, now):
    options.change(server, {"admin_addresses": "boss@example.org, Desk@example.org"}, by=None)
    sites = [make_site(make_user(f"u{n}", email="desk@example.org"), f"u{n}.example.com") for n in range(3)]
    Channel.objects.create(server=server, kind="mail", name="the desk", target="desk@EXAMPLE.org", level="failures")
    telling.after_run(made.failed(now, *sites).pk, now=now)
    assert [(to.lower(), kinds) for to, kinds in mails()] == [
        ("boss@example.org", {"unsecured": 3}),
        ("desk@example.org", {"unsecured": 3}),
    ]


def test_a_channel_has_a_level_of_its_own(server, site, made, mails, now):
    options.change(server, {"notify_admin": "none", "notify_user": "none"}, by=None)
    Channel.objects.create(server=server, kind="webhook", name="all", target="https://h.example/", level="all")
    Channel.objects.create(server=server, kind="webhook", name="bad", target="https://h.example/", level="failures")
    Channel.objects.create(server=server, kind="webhook", name="none", target="https://h.example/", level="none")
    Channel.objects.create(server=server, kind="webhook", name="off", target="https://h.example/", enabled=False)
    run = made.ended(now)
    made.job(run, site, JobOutcome.KEPT, "dcv_nothing_new")
    installed(site, now, "amber.example.com")
    fail(site, "nxdomain", now, "shop.amber.example.com")
    telling.after_run(run.pk, now=now)
    assert mails() == [("all", {"uncovered": 1})]


@pytest.mark.parametrize("level", ["all", "warnings", "failures", "none"])
def test_levels_of_users_and_administrator(server, site, made, mails, now, level):
    options.change(server, {"notify_admin": level, "notify_user": level}, by=None)
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    telling.after_run(made.secured(now, site, certificate, "due").pk, now=now)
    assert [kinds for _to, kinds in mails()] == ([{"renewed": 1}] * 2 if level == "all" else [])
    fail(site, "caa", now + 60 * DAY, "shop.amber.example.com")
    run = made.ended(now + 60 * DAY)
    made.job(run, site, JobOutcome.DEFERRED, "deferred", "caa")
    telling.after_run(run.pk, now=now + 60 * DAY)
    assert [kinds for _to, kinds in mails()] == ([{"deferred": 1}] * 2 if level in ("all", "warnings") else [])
    telling.look(server, now=now + 81 * DAY)
    assert [kinds for _to, kinds in mails()] == ([{"expired": 1}] * 2 if level != "none" else [])


def test_without_anybody_to_tell_nothing_counts_as_told(server, site, made, mails, now):
    options.change(server, {"admin_addresses": "", "notify_user": "none"}, by=None)
    telling.after_run(made.failed(now, site).pk, now=now)
    assert not Notice.objects.exists()
    assert not UntoldRun.objects.exists()
    options.change(server, {"admin_addresses": ADMIN}, by=None)
    telling.look(server, now=now + DAY)
    assert mails() == [(ADMIN, {"unsecured": 1})]


def test_who_gets_an_address_is_told_what_is_so_still(server, site, amber, made, mails, now):
    type(amber).objects.update(email="")
    telling.after_run(made.failed(now, site).pk, now=now)
    assert mails() == [(ADMIN, {"unsecured": 1})]
    type(amber).objects.update(email="late@amber.example")
    telling.after_run(made.failed(now + DAY, site).pk, now=now + DAY)
    assert mails() == [("late@amber.example", {"unsecured": 1})]


def test_who_wants_more_than_before_is_told_what_is_so_still(server, site, made, mails, now):
    options.change(server, {"notify_admin": "failures", "notify_user": "none"}, by=None)
    installed(site, now, "amber.example.com")
    fail(site, "nxdomain", now, "shop.amber.example.com")
    telling.look(server, now=now)
    assert mails() == []
    options.change(server, {"notify_admin": "warnings"}, by=None)
    telling.look(server, now=now + DAY)
    assert mails() == [(ADMIN, {"uncovered": 1})]


def test_without_a_mail_server_no_mail_is_made(server, settings, site, made, mails, now):
    settings.AUTOSSL_MAIL_FROM = ""
    Channel.objects.create(server=server, kind="webhook", name="hook", target="https://h.example/")
    Channel.objects.create(server=server, kind="mail", name="post", target="p@example.org")
    telling.after_run(made.failed(now, site).pk, now=now)
    assert mails() == [("hook", {"unsecured": 1})]


# --- when -------------------------------------------------------------------------------------------------------------


def test_again_at_half_and_at_a_tenth(server, site, made, mails, now):
    installed(site, now, "amber.example.com", "shop.amber.example.com", days_left=20)
    telling.after_run(made.failed(now, site).pk, now=now)
    assert mails() == [(ADMIN, {"expiring": 1}), ("amber@amber.example", {"expiring": 1})]
    said = {}
    for hour in range(1, 21 * 24, 6):
        moment = now + hour * HOUR
        Lease.objects.all().delete()
        fail(site, "nxdomain", moment)
        if telling.sweep(server, now=moment):
            message = Message.objects.filter(address=ADMIN).get()
            [group] = message.payload["groups"]
            said[hour // 24] = (group["kind"], group["notices"][0]["again"])
            mails()
    assert said == {10: ("expiring", "half"), 18: ("expiring", "tenth"), 20: ("expired", None)}


def test_runs_of_the_sweep_are_told_together_at_most_once_an_hour(server, amber, make_site, made, mails, now):
    sites = [make_site(amber, f"s{n}.example.com") for n in range(4)]
    made.failed(now, sites[0], scope=runs.DUE)
    assert telling.sweep(server, now=now) == 2, "the first at once"
    mails()
    Lease.objects.filter(name=f"looked:{server.pk}").update(until=leases.later(DAY.total_seconds()))
    for n in (1, 2, 3):
        made.failed(now, sites[n], scope=runs.DUE)
        assert telling.sweep(server, now=now) == 0
    Lease.objects.filter(name=f"told:{server.pk}").update(until=leases.later(-1))
    assert telling.sweep(server, now=now) == 2
    assert mails() == [(ADMIN, {"unsecured": 3}), ("amber@amber.example", {"unsecured": 3})]


def test_what_was_held_before_the_clock_was_set_back_waits_no_longer_than_its_pause(
    server, amber, make_site, made, mails, now
):
    sites = [make_site(amber, f"s{n}.example.com") for n in range(3)]
    made.failed(now, sites[0], scope=runs.DUE)
    assert telling.sweep(server, now=now) == 2
    mails()
    for n, name in ((1, "told"), (2, "looked")):
        made.failed(now, sites[n], scope=runs.DUE)
        assert telling.sweep(server, now=now) == 0
        held = Lease.objects.filter(name=f"{name}:{server.pk}")
        assert held.update(until=leases.later((DAY + 8 * HOUR).total_seconds())) == 1
        assert telling.sweep(server, now=now) == 2
        assert mails() == [(ADMIN, {"unsecured": 1}), ("amber@amber.example", {"unsecured": 1})]
    assert Lease.objects.filter(name=f"looked:{server.pk}", until__lte=leases.later(DAY.total_seconds())).exists()


def test_what_somebody_asked_for_is_told_at_once_with_what_waits(server, amber, make_site, made, mails, now):
    sites = [make_site(amber, f"s{n}.example.com") for n in range(3)]
    made.failed(now, sites[0], scope=runs.DUE)
    telling.sweep(server, now=now)
    mails()
    made.failed(now, sites[1], scope=runs.DUE)
    made.failed(now, sites[2], scope="user:amber")
    telling.sweep(server, now=now)
    assert mails() == [(ADMIN, {"unsecured": 2}), ("amber@amber.example", {"unsecured": 2})]
    assert not UntoldRun.objects.exists()


def test_the_look_comes_once_a_day_and_not_while_all_are_surveyed(server, site, made, mails, now):
    installed(site, now, "amber.example.com", days_left=-1)
    live = Run.objects.create(server=server, scope="*", asked_from="schedule", started_at=now)
    assert telling.sweep(server, now=now) == 0, "that run's end brings the look"
    Run.objects.filter(pk=live.pk).update(started_at=now - 7 * HOUR)
    assert telling.sweep(server, now=now) == 2, "but not for ever"
    mails()
    assert telling.sweep(server, now=now) == 0
    assert Lease.objects.filter(name=f"looked:{server.pk}", until__gt=now + 23 * HOUR).exists()


def test_a_clock_that_runs_ahead_removes_no_message_and_no_memory(server, provider, made, site, now):
    telling.after_run(made.failed(now, site).pk, now=now)
    Message.objects.update(state=MessageState.SENT)
    Notice.objects.create(server=server, kind=Kind.RENEWED, subject="run:1", since=now)
    ahead = now + 500 * DAY
    Provider.objects.update(state=ProviderState.READY, checked_at=now, clock_offset=0)
    known = Message.objects.count()
    telling.look(server, now=ahead)
    assert Message.objects.filter(made_at=now).count() == known == 2
    assert Notice.objects.filter(subject="run:1").exists()
    Provider.objects.update(checked_at=ahead)
    telling.look(server, now=ahead)
    assert not Message.objects.filter(made_at=now).exists()
    assert not Notice.objects.filter(subject="run:1").exists()


def test_a_run_for_all_looks_at_every_site(server, site, amber, make_site, made, mails, now):
    foreign = make_site(amber, "bought.example.com", state=SiteState.FOREIGN)
    installed(foreign, now, "bought.example.com", days_left=2, ours=False)
    run = made.ended(now, scope="*")
    telling.after_run(run.pk, now=now)
    assert mails() == [(ADMIN, {"foreign": 1}), ("amber@amber.example", {"foreign": 1})]


def test_what_somebody_works_on_is_not_judged(server, site, made, mails, now):
    installed(site, now, "amber.example.com", days_left=-1)
    run = Run.objects.create(server=server, scope="user:amber", asked_from="panel", started_at=now)
    made.job(run, site, "")
    Job.objects.update(state=JobState.RUNNING)
    assert telling.look(server, now=now) == 0
    Job.objects.update(state=JobState.ENDED, outcome=JobOutcome.FAILED)
    assert telling.look(server, now=now) == 2


def test_a_user_that_is_switched_off_is_told_nothing_more(server, site, amber, made, mails, now):
    installed(site, now, "amber.example.com", days_left=4)
    telling.after_run(made.failed(now, site).pk, now=now)
    mails()
    type(amber).objects.update(autossl="off")
    for day in range(1, 8):
        assert telling.look(server, now=now + day * DAY) == 0
    assert not Notice.objects.exists(), "and forgotten"


# --- many -------------------------------------------------------------------------------------------------------------


def test_queries_do_not_grow_with_the_sites(server, amber, make_site, made, now):
    def looked(number: int) -> int:
        sites = [make_site(amber, f"s{number}-{n}.example.com") for n in range(number)]
        run = made.failed(now, *sites, scope="*")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            telling.after_run(run.pk, now=now)
        return len(queries)

    looked(1)
    assert looked(5) == looked(50)


def test_old_rows_are_forgotten(server, site, made, now):
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    Certificate.objects.filter(pk=certificate.pk).update(revoked_at=now)
    telling.look(server, now=now)
    Message.objects.update(state="sent")
    assert (Message.objects.count(), Notice.objects.filter(kind="revoked").count()) == (2, 1)
    telling.look(server, now=now + 61 * DAY)
    assert not Notice.objects.filter(kind="revoked").exists()
    assert not Message.objects.filter(made_at__lte=now).exists()


def test_daily_runs_of_a_site_that_recovers_and_fails_again_a_week_later(server, site, made, mails, now):
    telling.after_run(made.failed(now, site).pk, now=now)
    mails()
    Verdict.objects.all().delete()
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    telling.after_run(made.secured(now + DAY, site, certificate, "missing").pk, now=now + DAY)
    telling.look(server, now=now + 3 * DAY)
    assert not Notice.objects.exists()
    Installation.objects.all().delete()
    telling.after_run(made.failed(now + 8 * DAY, site).pk, now=now + 8 * DAY)
    assert mails() == [(ADMIN, {"unsecured": 1}), ("amber@amber.example", {"unsecured": 1})]


def test_the_options_of_the_server_are_what_counts(server, site, made, now):
    Options.objects.update(paused_at=now)
    installed(site, now, "amber.example.com", "shop.amber.example.com", days_left=3)
    telling.look(server, now=now)
    [group] = Message.objects.get(address=ADMIN).payload["groups"]
    assert (group["kind"], group["code"]) == ("expiring", "paused")
