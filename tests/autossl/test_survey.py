"""The survey: what becomes a job, what is told, and what a person's check clears."""

from datetime import timedelta

import pytest

from autossl_panel.autossl import runs, sites, survey
from autossl_panel.autossl.models import Job, LogLine, Order, Outcome, Run, Verdict
from autossl_panel.helper.client import HelperGone
from autossl_panel.helper.protocol import ConfigurationFault, InventoryAnswer
from autossl_panel.hosting import users
from autossl_panel.hosting.models import HostingUser, Setting, SiteState

pytestmark = pytest.mark.django_db


class Helper:
    """Answers the one question of a survey with what it was given."""

    def __init__(self, problem=None, gone=False):
        self.problem, self.gone = problem, gone

    def inventory(self, *, unless=None):
        if self.gone:
            raise HelperGone("no such socket")
        return InventoryAnswer("h", self.problem is None, (), (), (), self.problem)


def surveyed(scope=runs.ALL, by=None, asked_from="schedule", helper=None):
    run = runs.start(scope, by=by, asked_from=asked_from)
    survey.survey(run, helper or Helper())
    return Run.objects.get(pk=run.pk)


def events(run):
    return list(LogLine.objects.filter(run=run).order_by("seq").values_list("event", flat=True))


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
    first = surveyed()
    second = surveyed(runs.DUE)
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


def test_a_survey_that_died_goes_on_where_it_stood(provider, make_user, make_site):
    users = [make_user(name) for name in ("amber", "birch")]
    for user in users:
        make_site(user, f"{user.name}.example")
    run = runs.start(runs.ALL, by=None, asked_from="schedule")
    Run.objects.filter(pk=run.pk).update(counts={"surveyed_to": users[0].pk, "kept": 7})
    run.refresh_from_db()
    survey.survey(run, Helper())
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
        (Helper(problem=ConfigurationFault("unexpected “}”", "/etc/nginx/nginx.conf", 12)), "/etc/nginx/nginx.conf:12"),
        (Helper(gone=True), "The helper does not answer"),
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


def test_a_run_that_is_cancelled_in_the_middle_of_its_survey_queues_nothing(
    provider, make_user, make_site, monkeypatch
):
    make_site(make_user("amber"), "amber.example")
    read = sites.read

    def cancelled_meanwhile(*args, **named):
        found = read(*args, **named)
        runs.cancel(Run.objects.get(), by=None)
        return found

    monkeypatch.setattr(sites, "read", cancelled_meanwhile)
    run = surveyed()
    assert not Job.objects.exists()
    assert run.ended_at is not None
    assert run.counts["outcomes"]["secured"] == 0


def test_a_site_that_is_made_due_while_it_is_looked_at_stays_due(provider, make_user, make_site, monkeypatch, now):
    user = make_user("amber", autossl=Setting.OFF)
    host = make_site(user, "amber.example")
    read = sites.read

    def enabled_meanwhile(*args, **named):
        found = read(*args, **named)
        users.set_autossl(HostingUser.objects.all(), Setting.ON, by=None, now=now)
        return found

    monkeypatch.setattr(sites, "read", enabled_meanwhile)
    surveyed()
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == (now, "changed")
