"""What the head of Certificates counts, held against a walk over the sites."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.hosting.models import Severity, SiteState, VirtualHost
from autossl_panel.web import site_table
from tests.rows import make_installed, make_site, make_user, now, server  # noqa: F401

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
KINDS = ("ours", "bought", "self-signed", "none")


def bar(host: VirtualHost, kind: str, now: datetime) -> str | None:  # noqa: F811
    """Which bar of the timeline a site's certificate belongs to."""
    severity = Severity(host.severity)
    if severity not in site_table.OF_ANYBODY:
        return site_table.TIMELINE.get(severity)
    assert host.expires_at is not None
    if kind == "bought" and host.expires_at > now:
        return "foreign"
    return "renews" if severity == Severity.UNSECURED and host.next_at is not None else "held"


def test_they_are_those_of_a_walk_over_the_sites(
    make_user: Make,  # noqa: F811
    make_site: Make,  # noqa: F811
    make_installed: Make,  # noqa: F811
    now: datetime,  # noqa: F811
) -> None:
    dice = random.Random(26)
    user = make_user("amber")
    states, days = Counter[str](), Counter[tuple[Any, str]]()
    expired = held = due = 0
    of_state = [(state, severity) for state, severities in site_table.SEVERITIES.items() for severity in severities]
    for number in range(120):
        (state, severity), kind = of_state[number % len(of_state)], dice.choice(KINDS)
        gone = now if state == SiteState.GONE else None
        host = make_site(user, f"site{number}.example", gone_at=gone)
        if kind != "none":
            left = dice.choice((-3, 0.5, 5, 40, 80))
            make_installed(host, host.name, days_left=left, ours=kind == "ours", self_signed=kind == "self-signed")
            host.expires_at = now + timedelta(days=left)
        host.state, host.severity = state, severity
        host.next_at = dice.choice((None, now - timedelta(minutes=1), now + timedelta(days=9)))
        host.save()
        states[state] += 1
        due += host.next_at is not None and host.next_at <= now
        held += severity in site_table.HELD
        if host.expires_at is not None:
            expired += host.expires_at <= now and state != SiteState.GONE
            if (name := bar(host, kind, now)) is not None:
                days[host.expires_at.date(), name] += 1
    with CaptureQueriesContext(connection) as asked:
        found = site_table.numbers(VirtualHost.objects.all(), now)
    assert len(asked) == 1
    assert (dict(found.states), found.expired, found.held, found.due) == (dict(states), expired, held, due)
    assert {(day, kind): n for day, kind, n in found.days} == dict(days)
    assert {kind for _day, kind, _n in found.days} == {"renews", "held", "foreign"}
