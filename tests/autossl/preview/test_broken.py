"""A site that the rules cannot be asked about: a preview and the status say so of it, and go on with the others."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError

from autossl_panel.autossl import foresight, preview_told, sites, standing
from autossl_panel.autossl.models import Job, JobState, PreviewAction
from autossl_panel.hosting.models import SiteState, VirtualHost
from tests.autossl.broken import undecidable, unreadable
from tests.autossl.commands.calls import run
from tests.autossl.preview.world import previewed, rows_of
from tests.autossl.surveys import surveyed

pytestmark = pytest.mark.django_db
BREAKS = pytest.mark.parametrize("breaks", [unreadable, undecidable])


@pytest.fixture
def hosts(provider, make_user, make_site, make_installed, now):
    """Two sites each of three users: one is new, one has a sound certificate."""
    made = []
    for name in ("amber", "birch", "cedar"):
        user = make_user(name)
        new = make_site(user, f"new.{name}.example")
        has = make_site(user, f"has.{name}.example", state=SiteState.SECURED)
        make_installed(has, has.name, days_left=60)
        made += [new, has]
    return made


@BREAKS
def test_a_preview_goes_on_with_the_others(hosts, breaks: Callable[[VirtualHost], None]):
    broken = hosts[3]
    breaks(broken)
    found = previewed()
    rows = rows_of(found)
    assert found.problem is None
    assert found.counts == {"order": 3, "keep": 2, "fail": 1}
    assert (found.sites, found.done, found.orders) == (6, 6, 3)
    row = rows[broken.name]
    assert (row.action, row.reason, row.names, row.user) == (PreviewAction.FAIL, "internal", {}, broken.user)
    assert preview_told.why(row) == (
        "It cannot be decided, because of an error in the panel itself: see the log of the workers"
    )
    assert next(iter(rows)) == broken.name, "before all that would be done"
    # As a run has it
    ran = surveyed()
    assert Job.objects.get(run=ran, virtual_host=broken).outcome == "failed"
    assert ran.jobs.filter(state=JobState.QUEUED).count() == found.orders


@BREAKS
def test_one_that_another_run_has_in_hand_is_left_to_it(hosts, breaks: Callable[[VirtualHost], None]):
    ran = surveyed()
    broken = hosts[2]
    if breaks is undecidable:
        broken = hosts[3]
        Job.objects.create(
            run=ran, server=broken.server, virtual_host=broken, user=broken.user, action="renew", reason="due",
            job_class=4, state=JobState.RUNNING, queued_at=ran.started_at,
        )  # fmt: skip
    breaks(broken)
    row = rows_of(previewed())[broken.name]
    assert (row.action, row.limit) == (PreviewAction.BUSY, {"run": ran.pk})


def test_what_raises_only_when_it_is_foreseen_is_told_of_that_site_alone(hosts, monkeypatch):
    foresee = foresight.foresee

    def trips(site, *given, **named):
        if site.row["name"] == "new.birch.example":
            raise ValueError("tripped")
        return foresee(site, *given, **named)

    monkeypatch.setattr(foresight, "foresee", trips)
    found = previewed()
    assert found.counts == {"order": 2, "keep": 3, "fail": 1}
    assert (found.done, found.orders) == (6, 2)
    assert rows_of(found)["new.birch.example"].reason == "internal"


def test_what_the_database_says_is_of_no_site(hosts, monkeypatch):
    def locked(*_given, **_named):
        raise DatabaseError("database is locked")

    monkeypatch.setattr(sites, "read", locked)
    assert previewed().problem == {"code": "internal", "text": "DatabaseError: database is locked"}


def trips(host: VirtualHost, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a site covers cannot be worked out."""
    covered = standing.covered_names

    def trips_at_one(site, wanted):
        if site.row["pk"] == host.pk:
            raise ValueError("tripped")
        return covered(site, wanted)

    monkeypatch.setattr(standing, "covered_names", trips_at_one)


@pytest.mark.parametrize("when", ["read", "judged"])
def test_the_status_goes_on_with_the_others(hosts, now, monkeypatch, when: str):
    broken = hosts[3]
    VirtualHost.objects.filter(pk=broken.pk).update(next_at=now + timedelta(days=1), next_reason="renew")
    if when == "read":
        unreadable(broken)
    else:
        trips(broken, monkeypatch)
    rows = {row["name"]: row for row in json.loads(run("autossl_status", "--json"))["virtual_hosts"]}
    assert len(rows) == 6
    row = rows[broken.name]
    assert (row["user"], row["state"], row["provider"], row["next_reason"]) == ("birch", "secured", "", "renew")
    assert (row["wanted"], row["covered"]) == ([], [])
    assert row["problem"]["code"] == "internal"
    assert row["problem"]["text"].startswith(
        "has.birch.example cannot be decided, see the log: an error in the panel itself: "
    )
    assert rows["has.amber.example"]["covered"] == ["has.amber.example"]
    text = run("autossl_status")
    assert "has.birch.example cannot be decided, see the log" in text
    line = next(line for line in text.splitlines() if "has.birch.example" in line)
    assert line.split()[2:4] == ["secured", "-"]
