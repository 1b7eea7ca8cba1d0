"""What comes due while a long run of what was due is at work does not wait for its end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from autossl_panel.autossl import due, recheck, runs, sites, survey
from autossl_panel.autossl.models import Job, JobState, Provider, Run
from autossl_panel.helper.client import Client
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people.models import User
from tests.autossl.surveys import Reads

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
Make = Callable[..., Any]


@pytest.fixture
def host(provider: Provider, make_user: Make, make_site: Make) -> VirtualHost:
    made: VirtualHost = make_site(make_user("amber"), "amber.example", next_at=NOON - timedelta(minutes=1))
    return made


def at_work(host: VirtualHost, **run: Any) -> Run:
    """A run of what was due an hour ago, that is at work on this site."""
    fields = {"scope": runs.DUE, "asked_from": "sweep", "started_at": NOON - timedelta(hours=1)}
    made = Run.objects.create(server=host.server, **{**fields, "surveyed_at": NOON - timedelta(hours=1), **run})
    Job.objects.create(
        run=made, server=host.server, virtual_host=host, user=host.user, action="issue", reason="missing",
        job_class=1, state=JobState.RUNNING, queued_at=NOON,
    )  # fmt: skip
    return made


def started(server: Server) -> list[Run]:
    before = list(Run.objects.values_list("pk", flat=True))
    due.start(server, NOON)
    return list(Run.objects.exclude(pk__in=before))


def test_a_site_that_comes_due_gets_a_run_of_its_own(server: Server, host: VirtualHost, make_site: Make) -> None:
    first = at_work(host)
    assert started(server) == [], "it is worked on already"
    new = make_site(host.user, "new.example", next_at=NOON)
    (second,) = started(server)
    assert (second.scope, second.pk != first.pk) == (runs.DUE, True)
    found = VirtualHost.objects.filter(**runs.hosts_of(second))
    assert set(found.values_list("pk", flat=True)) == {host.pk, new.pk}
    assert started(server) == [], "that one still looks for what is due"


def test_its_log_is_of_what_it_is_for(server: Server, host: VirtualHost, make_site: Make) -> None:
    at_work(host)
    new = make_site(host.user, "new.example", next_at=NOON)
    (second,) = started(server)
    survey.survey(second, cast(Client, Reads()), now=NOON)
    assert list(second.jobs.values_list("virtual_host", flat=True)) == [new.pk]
    said = {line.event: line.data for line in second.lines.all()}
    assert said["user:begins"] == {"user": "amber", "sites": 1, "todo": 1}
    assert "site:busy" not in said


def test_only_some_are_at_work_at_once(server: Server, host: VirtualHost, make_user: Make, make_site: Make) -> None:
    for number in range(due.MOST_DUE):
        at_work(make_site(host.user, f"site{number}.example", next_at=NOON))
    assert started(server) == []
    last = Run.objects.order_by("pk").last()
    assert last is not None
    Job.objects.filter(run=last).update(state=JobState.ENDED, outcome="secured")
    assert runs.end_if_done(last.pk, now=NOON)
    assert [run.scope for run in started(server)] == [runs.DUE]


def test_what_a_person_asks_for_again_does_not_wait_for_it(
    server: Server, host: VirtualHost, make_user: Make, make_site: Make, root: User
) -> None:
    first = at_work(host)
    others = [make_site(make_user(name), f"{name}.example") for name in ("birch", "cedar")]
    wanted = VirtualHost.objects.filter(pk__in=[other.pk for other in others])
    asked = recheck.ask(server, wanted, by=root, now=NOON)
    assert asked.run is not None
    assert asked.run.pk != first.pk
    assert set(VirtualHost.objects.filter(**runs.hosts_of(asked.run)).filter(pk__in=wanted)) == set(others)


def test_what_comes_due_behind_a_survey_is_begun_with_as_soon_as_that_is_through(
    server: Server, host: VirtualHost, make_user: Make, make_site: Make, root: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two users' sites, which are looked for by what is due: joined by whoever asks while it looks."""
    others = [make_site(make_user(name), f"{name}.example") for name in ("birch", "cedar")]
    wanted = VirtualHost.objects.filter(pk__in=[other.pk for other in others])
    read = sites.read
    asked: list[recheck.Asked] = []

    def then_ask(*given: Any, **named: Any) -> Any:
        found = read(*given, **named)
        if not asked:
            asked.append(recheck.ask(server, wanted, by=root, now=NOON + timedelta(seconds=1)))
        return found

    monkeypatch.setattr(sites, "read", then_ask)
    first = runs.start(runs.DUE, by=None, asked_from="sweep", server=server, now=NOON)
    survey.survey(first, cast(Client, Reads()), now=NOON + timedelta(seconds=2))
    assert [(one.sites, one.run) for one in asked] == [(2, None)]
    second = Run.objects.get(surveyed_at=None)
    assert second.started_at == NOON + timedelta(seconds=2)
    assert set(VirtualHost.objects.filter(**runs.hosts_of(second)).filter(pk__in=wanted)) == set(others)
    # Once: what is due after that, for whatever reason, is the next sweep's
    monkeypatch.undo()
    VirtualHost.objects.update(next_at=NOON)
    Job.objects.update(state=JobState.ENDED, outcome="secured")
    survey.survey(second, cast(Client, Reads()), now=NOON + timedelta(seconds=3))
    assert not Run.objects.filter(surveyed_at=None).exists()


def test_a_recheck_of_one_user_whose_run_has_looked_already_is_due_at_once(
    server: Server, host: VirtualHost, root: User
) -> None:
    first = runs.start(runs.user_scope("amber"), by=None, asked_from="panel", server=server, now=NOON)
    later = NOON + timedelta(seconds=1)
    joined = recheck.ask(server, VirtualHost.objects.all(), by=root, now=later)
    assert joined.run == first, "it has not looked yet, and will"
    at_work(host, scope=runs.ALL, asked_from="schedule")
    survey.survey(first, cast(Client, Reads()), now=later)
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=later)
    assert asked.run is not None
    assert (asked.run.scope, asked.run.asked_by) == (runs.DUE, root)


def test_all_else_is_one_run_a_scope(server: Server, host: VirtualHost) -> None:
    for scope in (runs.ALL, runs.user_scope("amber")):
        first = runs.start(scope, by=None, asked_from="schedule", server=server, now=NOON)
        Run.objects.filter(pk=first.pk).update(surveyed_at=NOON)
        assert runs.start(scope, by=None, asked_from="schedule", server=server, now=NOON).pk == first.pk
