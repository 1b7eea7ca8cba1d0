"""A survey goes portion by portion: what is changed meanwhile holds, and no portion is kept in memory."""

import weakref
from dataclasses import replace
from datetime import timedelta

import pytest

from autossl_panel.autossl import choices, options, portions, quick, runs, sites, survey
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Job,
    Provider,
    ProviderState,
    Run,
)
from autossl_panel.hosting import exclusion_patterns, users
from autossl_panel.hosting.models import ExclusionPattern, HostingUser, Setting
from tests.autossl.surveys import events, surveyed

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("after", [0, 1, 2], ids=["before all", "after the rows", "after the patterns"])
def test_a_pattern_that_is_removed_while_its_sites_are_looked_at_leaves_none_behind(
    provider, root, make_user, make_site, server, monkeypatch, now, after
):
    host = make_site(make_user("amber"), "new.example")
    pattern = exclusion_patterns.add_pattern("*.example", exclusion_patterns.Level(server), by=root, now=now)
    later = now + timedelta(seconds=1)
    between(monkeypatch, after, lambda: exclusion_patterns.remove_pattern(pattern, by=root, now=later))
    surveyed()
    host.refresh_from_db()
    assert not ExclusionPattern.objects.exists()
    assert (host.next_at, host.next_reason) == (later, "changed")


def between(monkeypatch, after, act):
    """Do something once `after` readings of rows are made."""
    real, made = quick.rows, []

    def rows(query):
        if len(made) == after:
            made.append(act())
        found = list(real(query))
        made.append(None)
        if len(made) == after:
            made.append(act())
        return found

    monkeypatch.setattr(quick, "rows", rows)


def test_what_a_person_changes_during_a_survey_holds_from_the_next_portion_on(
    provider, root, make_user, make_site, server, monkeypatch, now
):
    first, second = make_site(make_user("amber"), "amber.example"), make_site(make_user("birch"), "birch.example")
    options.pause(server, by=root, now=now)
    monkeypatch.setattr(survey, "PORTION", 1)
    decide, later = portions.Portion.decide, now + timedelta(seconds=1)

    def then_go_on(portion):
        decide(portion)
        options.resume(server, by=root, now=later)

    monkeypatch.setattr(portions.Portion, "decide", then_go_on)
    run = surveyed()
    assert [job.virtual_host_id for job in Job.objects.all()] == [second.pk]
    first.refresh_from_db()
    assert (first.next_at, first.next_reason) == (later, "changed")
    assert events(run).count("run:paused") == 1


def test_a_survey_in_which_autossl_is_paused_says_so_once(
    provider, root, make_user, make_site, server, monkeypatch, now
):
    hosts = [make_site(make_user(name), f"{name}.example") for name in ("amber", "birch", "cedar")]
    monkeypatch.setattr(survey, "PORTION", 1)
    decide = portions.Portion.decide

    def then_pause(portion):
        decide(portion)
        options.pause(server, by=root, now=now)

    monkeypatch.setattr(portions.Portion, "decide", then_pause)
    run = surveyed()
    assert [job.virtual_host_id for job in Job.objects.all()] == [hosts[0].pk]
    said = events(run)
    assert (said.count("run:paused"), said.index("run:paused")) == (1, said.index("user:begins") + 1)


class Row(dict):
    """A site's row that one can see vanish."""


def test_a_portion_is_forgotten_before_the_next_is_read(provider, make_user, make_site, make_installed, monkeypatch):
    for name in ("amber", "birch", "cedar"):
        user = make_user(name)
        make_installed(make_site(user, f"{name}.example"), f"{name}.example")
        make_site(user, f"new.{name}.example")
    monkeypatch.setattr(survey, "SITES", 2)
    read, rows, sizes = sites.read, [], []

    def watched(*args, **named):
        assert [row() for row in rows] == [None] * len(rows)
        found = {pk: replace(site, row=Row(site.row)) for pk, site in read(*args, **named).items()}
        rows.extend(weakref.ref(site.row) for site in found.values())
        sizes.append(len(found))
        return found

    monkeypatch.setattr(sites, "read", watched)
    run = surveyed()
    assert sizes == [2, 2, 2]
    assert (run.counts["kept"], run.jobs.count()) == (3, 3)


def test_each_portion_reads_the_provider_choices_of_its_own_users_only(
    provider, server, make_user, make_site, monkeypatch, now
):
    second = Provider.objects.create(name="second", directory_url="https://127.0.0.1:2/dir", state=ProviderState.READY)
    Account.objects.create(provider=second, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:2/1")
    rows = [make_user(name) for name in ("amber", "birch", "cedar")]
    for user in rows:
        make_site(user, f"{user.name}.example")
        choices.choose_for_user(user, second, by=None, now=now)
    monkeypatch.setattr(survey, "PORTION", 2)
    decide, read = portions.Portion.decide, []

    def and_tell(portion):
        read.append(set(portion.outlook.policies.by_user))
        assert {site.options.provider.name for site in portion.found} == {"second"}
        decide(portion)

    monkeypatch.setattr(portions.Portion, "decide", and_tell)
    surveyed()
    assert read == [{rows[0].pk, rows[1].pk}, {rows[2].pk}]
