"""The survey: what becomes a job, what is told, and what a person's check clears."""

from datetime import timedelta

import pytest

from autossl_panel.autossl import log, options, runs, survey, verdicts
from autossl_panel.autossl.jobs import claims
from autossl_panel.autossl.models import (
    Job,
    JobState,
    LogLine,
    Order,
    Outcome,
    Provider,
    Run,
    Verdict,
)
from autossl_panel.helper.protocol import ConfigurationFault
from autossl_panel.hosting.models import HostingUser, Setting, SiteState, VirtualHost
from tests.autossl.surveys import Reads, events, surveyed

pytestmark = pytest.mark.django_db


def test_what_needs_work_becomes_jobs_and_the_rest_is_counted(provider, make_user, make_site, make_installed):
    amber, birch = make_user("amber"), make_user("birch", autossl=Setting.OFF)
    new = make_site(amber, "new.example")
    secured = make_site(amber, "secured.example")
    make_installed(secured, "secured.example")
    off = make_site(birch, "off.example")
    run = surveyed()
    assert [(job.virtual_host_id, job.action, job.reason) for job in Job.objects.all()] == [(new.pk, "new", "missing")]
    assert (run.counts["kept"], run.counts["skipped"]) == (1, 1)
    assert run.ended_at is None
    secured.refresh_from_db()
    off.refresh_from_db()
    assert (secured.state, secured.next_reason) == (SiteState.SECURED, "renew")
    assert (off.state, off.next_reason) == (SiteState.OFF, "disabled")
    assert events(run) == ["run:started", "inventory:unchanged", "user:begins", "user:skipped"]


def test_a_run_says_with_whom_it_is(provider, make_user, make_site):
    """As people call the provider, and beside it its name."""
    Provider.objects.filter(pk=provider.pk).update(display_name="The lab’s CA")
    make_site(make_user("amber"), "new.example")
    run = surveyed()
    line = LogLine.objects.get(run=run, event="run:started")
    assert (line.data["provider"], run.provider_name) == ("pebble", "pebble")
    assert log.line(line).text == "Run for all users with The lab’s CA"


def test_nothing_to_do_ends_at_once_with_one_line_a_user(provider, make_user, make_site, make_installed):
    for name in ("amber", "birch"):
        user = make_user(name)
        for n in range(3):
            make_installed(make_site(user, f"{n}.{name}.example"), f"{n}.{name}.example")
    run = surveyed()
    assert run.ended_at is not None
    assert events(run)[2:] == ["user:nothing_to_do", "user:nothing_to_do", "run:ended"]
    assert not Job.objects.exists()


def test_without_a_provider_nothing_is_queued_and_it_says_so(server, make_user, make_site):
    make_site(make_user("amber"), "new.example")
    run = surveyed()
    assert run.problem == {"code": "no_provider"}
    assert run.ended_at is not None
    assert "run:no_provider" in events(run)


def test_a_scope_is_kept_to(provider, make_user, make_site):
    wanted = make_site(make_user("amber"), "amber.example")
    make_site(make_user("birch"), "birch.example")
    surveyed(runs.user_scope("amber"))
    assert [job.virtual_host_id for job in Job.objects.all()] == [wanted.pk]


def test_due_takes_only_what_is_due(provider, make_user, make_site, now):
    user = make_user("amber")
    due = make_site(user, "due.example", next_at=now)
    make_site(user, "later.example", next_at=now + timedelta(hours=1))
    surveyed(runs.DUE)
    assert [job.virtual_host_id for job in Job.objects.all()] == [due.pk]


def test_a_site_that_another_run_works_on_is_left_to_it_with_a_line(provider, make_user, make_site, now):
    make_site(make_user("amber"), "amber.example", next_at=now)
    first = surveyed(runs.DUE)
    second = surveyed()
    assert [job.run_id for job in Job.objects.all()] == [first.pk]
    assert LogLine.objects.get(run=second, event="site:busy").data == {"site": "amber.example", "run": first.pk}
    assert second.ended_at is not None


def test_a_persons_check_clears_our_holds_and_leaves_the_cas(provider, make_user, make_site, now):
    host = make_site(make_user("amber"), "amber.example", retry_at=now + timedelta(hours=1))
    Verdict.objects.create(
        domain=host.domains.get(), at=now, outcome=Outcome.FAIL, code="elsewhere", retry_at=now + timedelta(hours=1)
    )
    waits = make_site(
        make_user("birch"), "birch.example", held_until=now + timedelta(hours=1), held_reason="rate_limited"
    )
    by_itself = surveyed()
    assert by_itself.counts["waiting"] == 2
    asked = surveyed(asked_from="panel")
    assert [job.virtual_host_id for job in Job.objects.all()] == [host.pk]
    assert asked.counts["waiting"] == 1
    waits.refresh_from_db()
    assert waits.next_reason == "rate_limited"


def test_a_persons_check_ends_the_cas_pause_for_which_a_person_had_to_act(provider, make_user, make_site):
    make_site(make_user("amber"), "amber.example", held_reason="ca_paused", held_provider="pebble")
    assert surveyed().counts["waiting"] == 1
    surveyed(asked_from="panel")
    assert [job.reason for job in Job.objects.all()] == ["missing"]


def test_a_persons_check_clears_a_refusal_of_the_ca(provider, make_user, make_site, now):
    host = make_site(make_user("amber"), "amber.example")
    verdicts.record_refused(host.pk, {"amber.example": ("caa", "no")}, now, provider="pebble")
    assert surveyed().counts["waiting"] == 1
    host.refresh_from_db()
    assert (host.next_reason, host.problem["code"]) == ("ca_refused", "ca_refused")
    surveyed(asked_from="panel")
    assert [job.reason for job in Job.objects.all()] == ["missing"]


def test_a_survey_that_died_goes_on_where_it_stood(provider, make_user, make_site):
    users = [make_user(name) for name in ("amber", "birch")]
    for user in users:
        make_site(user, f"{user.name}.example")
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    Run.objects.filter(pk=run.pk).update(counts={"surveyed_to": users[0].pk, "kept": 7})
    run.refresh_from_db()
    survey.survey(run, Reads())
    assert [job.user_id for job in Job.objects.all()] == [users[1].pk]
    assert run.counts["kept"] == 7


def test_turns_keep_one_user_from_starving_others(provider, make_user, make_site):
    many, one = make_user("many"), make_user("one")
    for n in range(3):
        make_site(many, f"{n}.example")
    make_site(one, "one.example")
    surveyed()
    first_turn = Job.objects.filter(turn=0).values_list("user__name", flat=True)
    assert set(first_turn) == {"many", "one"}


@pytest.mark.parametrize(
    ("helper", "says"),
    [
        (Reads(problem=ConfigurationFault("unexpected “}”", "/etc/nginx/nginx.conf", 12)), "/etc/nginx/nginx.conf:12"),
        (Reads(gone=True), "The helper does not answer"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told_and_sites_stay(provider, make_user, make_site, helper, says):
    host = make_site(make_user("amber"), "amber.example")
    run = surveyed(helper=helper)
    line = LogLine.objects.get(run=run, event="inventory:failed")
    assert says in f"{line.data['where']}{line.data['text']}"
    assert run.problem["code"] == "inventory"
    host.refresh_from_db()
    assert host.gone_at is None


def test_an_order_in_a_status_that_no_rfc_knows_stops_no_survey(provider, make_user, make_site, now):
    host = make_site(make_user("amber"), "amber.example")
    Order.objects.create(
        ident="o-1",
        virtual_host=host,
        provider=provider,
        account=provider.accounts.get(),
        names=["amber.example"],
        reason="missing",
        key_type="p256",
        created_at=now,
        status="pondering",
    )
    surveyed()
    assert [(job.action, job.reason) for job in Job.objects.all()] == [("resume", "order_open")]


def test_while_paused_a_persons_run_says_so_judges_every_site_and_ends(
    provider, root, make_user, make_site, make_installed, now
):
    user = make_user("amber")
    missing = make_site(user, "new.example", next_at=now)
    expired = make_site(user, "old.example", state=SiteState.SECURED)
    make_installed(expired, "old.example", days_left=-1)
    secured = make_site(user, "good.example")
    make_installed(secured, "good.example")
    options.pause(provider.accounts.get().server, by=root, now=now)
    run = surveyed(asked_from="panel")
    assert not Job.objects.exists()
    assert run.ended_at is not None
    assert events(run) == ["run:started", "inventory:unchanged", "run:paused", "user:waits", "run:ended"]
    line = LogLine.objects.get(run=run, event="run:paused")
    assert (line.level, line.data["by"]) == ("warn", "root")
    assert run.counts["paused"], "its row and page say that it was held"
    assert LogLine.objects.get(run=run, event="run:ended").level == "warn"
    stands = {host.name: (host.state, host.next_at, host.next_reason) for host in VirtualHost.objects.all()}
    assert stands["new.example"] == (SiteState.UNSECURED, None, "paused")
    assert stands["old.example"] == (SiteState.UNSECURED, None, "paused")
    assert stands["good.example"][0] == SiteState.SECURED
    assert missing.pk


def test_a_reissue_queues_behind_every_renewal_that_is_due(provider, make_user, make_site, make_installed, server):
    options.change(server, {"key_type": "p384", "reissue": "yes"}, by=None)
    one, many = make_user("one"), make_user("many")
    make_installed(make_site(one, "reissue.example"), "reissue.example")
    for number in range(3):
        make_installed(make_site(many, f"due{number}.example"), f"due{number}.example", days_left=25)
    surveyed()
    ordered = Job.objects.order_by("job_class", "turn", "not_after").values_list("virtual_host__name", "reason")
    assert [reason for _name, reason in ordered] == ["due", "due", "due", "key_type"]
    assert set(Job.objects.values_list("job_class", flat=True)) == {4}


def test_what_is_wrong_with_the_server_is_told_once_by_run_and_row(provider, server, make_user, make_site, now):
    host = make_site(make_user("amber"), "a.example", "b.example", next_at=now)
    data = {"reason": "no_route", "record": "AAAA", "address": "2001:db8::1"}
    for domain in host.domains.all():
        Verdict.objects.create(domain=domain, at=now, outcome=Outcome.UNKNOWN, code="unknown", data=data)
    run = surveyed()
    Job.objects.update(state=JobState.ENDED, outcome="failed")
    assert runs.end_if_done(run.pk, now=now)
    server.refresh_from_db()
    told = {"family": "IPv6", "address": "2001:db8::1"}
    assert server.trouble == [{"code": "no_route", "since": now.isoformat(), "names": 2, "data": told}]
    line = log.line(LogLine.objects.get(run=run, event="run:trouble"))
    assert line.text == "Trouble of this server: no IPv6 or no IPv4 connection. Names that could not be judged: 2"
    assert "Give it IPv6" in line.advice
    # Still so an hour later: since when stays. Mended: it is gone.
    later = now + timedelta(hours=1)
    Verdict.objects.filter(domain__name="b.example").update(outcome=Outcome.PASS, at=later)
    Verdict.objects.filter(domain__name="a.example").update(at=later)
    run = surveyed(runs.DUE)
    Job.objects.update(state=JobState.ENDED, outcome="failed")
    runs.end_if_done(run.pk, now=later)
    server.refresh_from_db()
    assert [(one["since"], one["names"]) for one in server.trouble] == [(now.isoformat(), 1)]
    Verdict.objects.update(outcome=Outcome.PASS, code="", data={})
    VirtualHost.objects.update(next_at=None)
    run = surveyed(runs.DUE)
    runs.end_if_done(run.pk, now=later)
    server.refresh_from_db()
    assert server.trouble == []


def test_a_wrong_clock_is_told_by_one_line_and_holds_all(provider, server, make_user, make_site, make_installed):
    user = make_user("amber")
    for number in range(3):
        host = make_site(user, f"{number}.example", state=SiteState.SECURED)
        make_installed(host, host.name, days_left=-1)
    Provider.objects.update(clock_offset=900)
    run = surveyed()
    assert events(run) == ["run:started", "inventory:unchanged", "user:waits", "run:trouble", "run:ended"]
    assert not Job.objects.exists()
    server.refresh_from_db()
    assert [(one["code"], one["data"]) for one in server.trouble] == [("clock", {"seconds": "900"})]
    assert LogLine.objects.get(run=run, event="run:ended").level == "warn"


def test_a_run_for_days_of_arrears_takes_the_urgent_first(provider, server, make_user, make_site, make_installed, now):
    """The panel was off for a week: one run queues all, and the classes say in which order they are claimed."""
    user = make_user("amber")
    later = now + timedelta(days=7)
    for name, days_left in (("due", 30), ("urgent", 9), ("expired", 6), ("fresh", 80)):
        host = make_site(user, f"{name}.example", next_at=now + timedelta(days=1))
        make_installed(host, host.name, days_left=days_left)
    make_site(make_user("birch"), "new.example", next_at=now)
    run = runs.start(runs.DUE, by=None, asked_from="sweep", now=later)
    survey.survey(run, Reads(), now=later)
    names = [one.job.virtual_host.name for one in claims.claim(server, "w", 10)]
    assert names == ["expired.example", "urgent.example", "new.example", "due.example"]
    assert Run.objects.filter(ended_at__isnull=True).count() == 1


def test_a_user_whose_certificate_from_elsewhere_expired_is_not_told_that_all_is_well(
    provider, make_user, make_site, make_installed
):
    for name, days_left in (("amber", -3), ("birch", 60)):
        user = make_user(name)
        make_installed(make_site(user, f"{name}.example"), f"{name}.example", days_left=days_left, ours=False)
        if name == "amber":
            make_installed(make_site(user, "soon.example"), "soon.example", days_left=2, ours=False)
    surveyed()
    states = dict(VirtualHost.objects.values_list("name", "problem__code"))
    assert (states["amber.example"], states["soon.example"]) == ("foreign_defective", "foreign_expiring")
    found = dict(HostingUser.objects.values_list("name", "last_check"))
    assert found["amber"] == {"event": "check:kept", "data": {"reason": "foreign_defective", "number": 1}}
    assert found["birch"]["event"] == "check:foreign"
