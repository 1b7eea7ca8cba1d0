"""Rows read past Django's conversions hold the same values as those read through them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from autossl_panel.autossl import log, quick, runs
from autossl_panel.autossl.models import Level, LogLine
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import HostingUser, VirtualHost

pytestmark = pytest.mark.django_db


def test_values_are_the_same_either_way() -> None:
    run = runs.start("*", by=None, asked_from="command", server=servers.this())
    log.for_run(run.pk).line("run:started", Level.OUT, scope="*", provider="x")
    fields = ("run_id", "job_id", "seq", "at", "run__started_at", "run__ended_at", "event", "data")
    query = LogLine.objects.filter(run=run).order_by("seq").values_list(*fields)
    found = [
        (*ids, quick.moment(at), quick.moment(started), quick.moment(ended), event, json.loads(data))
        for *ids, at, started, ended, event, data in quick.rows(query)
    ]
    assert found == list(query)
    assert len(found) == 1
    assert found[0][3].utcoffset().total_seconds() == 0


def test_no_rows() -> None:
    assert list(quick.rows(LogLine.objects.filter(event="?").values_list("pk"))) == []


def test_a_moment_without_zone_is_utc() -> None:
    now = datetime.now(UTC)
    assert quick.moment(now) is now
    assert quick.moment(now.replace(tzinfo=None)) == now
    assert quick.moment(None) is None


@pytest.mark.parametrize(
    ("most_users", "most_sites", "portions"),
    [
        (10, 100, [["amber", "birch", "cedar", "dogwood"]]),
        (2, 100, [["amber", "birch"], ["cedar", "dogwood"]]),
        (10, 4, [["amber", "birch"], ["cedar"], ["dogwood"]]),
        (10, 1, [["amber"], ["birch"], ["cedar"], ["dogwood"]]),
    ],
)
def test_portions_have_few_users_and_few_of_their_sites(
    make_user, make_site, most_users: int, most_sites: int, portions: list[list[str]]
) -> None:
    for name, sites in (("amber", 1), ("birch", 3), ("cedar", 4), ("elm", 0), ("dogwood", 1)):
        user = make_user(name)
        for number in range(sites):
            make_site(user, f"{number}.{name}.example")
    names = dict(HostingUser.objects.values_list("pk", "name"))
    found = quick.portions(VirtualHost.objects.all(), most_users, most_sites)
    assert [[names[pk] for pk in part] for part in found] == portions


def test_no_sites_are_no_portion() -> None:
    assert list(quick.portions(VirtualHost.objects.all(), 10, 10)) == []
