"""Rows read past Django's conversions hold the same values as those read through them."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from autossl_panel.autossl import log, quick, runs
from autossl_panel.autossl.models import Level, LogLine
from autossl_panel.hosting import servers

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
