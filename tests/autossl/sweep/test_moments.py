"""Moments that a wrong clock has set or held: the sweep rights them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from autossl_panel.autossl import registration, runs, waiting
from autossl_panel.autossl.models import (
    Order,
    Provider,
    Run,
)
from autossl_panel.hosting.models import Server, VirtualHost
from tests.autossl.sweep.world import NOON, swept

pytestmark = pytest.mark.django_db


def test_a_clock_that_was_set_right_makes_what_it_held_due_within_a_minute(
    server: Server, host: VirtualHost, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's certificate cannot wait for the daily check."""
    asked = []

    def look(of: Server) -> None:
        asked.append(of)

    monkeypatch.setattr(registration, "look_at_clock", look)
    assert swept(server) == [runs.DUE]
    Run.objects.update(ended_at=NOON)
    assert asked == []
    VirtualHost.objects.update(next_at=None, next_reason="clock")
    Provider.objects.update(clock_offset=600)
    assert swept(server) == []
    Provider.objects.update(clock_offset=1)
    assert swept(server) == [runs.DUE]
    assert asked == [server, server]


AHEAD = NOON + timedelta(days=400)


@pytest.mark.parametrize(
    ("reason", "ahead", "righted"),
    [
        ("changed", timedelta(hours=8), True),
        ("recheck", timedelta(hours=8), True),
        ("changed", timedelta(minutes=1), False),
        ("dcv_all_failed", timedelta(days=400), True),
        ("internal", timedelta(days=2), True),
        ("internal", timedelta(days=1), False),
        ("held_back", timedelta(days=400), True),
        ("held_back", timedelta(days=3), False),
        ("ca_refused", timedelta(days=9), True),
        ("ca_refused", timedelta(days=7), False),
        ("coverage", timedelta(days=9), True),
        ("renew", timedelta(days=60), False),
        ("ari", timedelta(days=60), False),
        ("loop", timedelta(days=60), False),
        ("foreign", timedelta(days=300), False),
        ("rate_limited", timedelta(days=30), False),
        ("ca_server", timedelta(days=30), False),
    ],
)
def test_a_moment_that_a_clock_ahead_has_set_is_righted(
    server: Server, host: VirtualHost, reason: str, ahead: timedelta, righted: bool
) -> None:
    """What may lie so far off by its certificate or the CA's word is left alone."""
    VirtualHost.objects.update(next_at=NOON + ahead, next_reason=reason)
    assert swept(server) == ([runs.DUE] if righted else [])
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == ((NOON, "changed") if righted else (NOON + ahead, reason))


def test_a_sites_own_retry_is_known_by_its_row(server: Server, host: VirtualHost) -> None:
    later = NOON + timedelta(days=3)
    VirtualHost.objects.update(next_at=later, next_reason="held_back", retry_at=later)
    assert swept(server) == [runs.DUE]


def test_a_moment_is_not_righted_by_a_clock_that_is_wrong(server: Server, host: VirtualHost) -> None:
    VirtualHost.objects.update(next_at=AHEAD, next_reason="dcv_all_failed")
    Provider.objects.update(clock_offset=600)
    assert swept(server) == []
    Provider.objects.update(clock_offset=0)
    assert swept(server) == [runs.DUE]


def test_a_site_whose_order_waits_by_its_own_moment_is_left_to_it(
    server: Server, host: VirtualHost, provider: Provider
) -> None:
    """Else each minute would begin it, and each time it would wait."""
    VirtualHost.objects.update(next_at=AHEAD, next_reason="internal")
    order = Order.objects.create(
        ident="o-1", virtual_host=host, provider=provider, account=provider.accounts.get(), names=["amber.example"],
        reason="missing", key_type="p256", created_at=NOON, status="pending", retry_at=AHEAD,
    )  # fmt: skip
    assert swept(server) == []
    Order.objects.filter(pk=order.pk).update(retry_at=None)
    assert swept(server) == [runs.DUE]


def test_moments_are_righted_without_a_walk_over_all_sites(server: Server, host: VirtualHost) -> None:
    """Nearly all sites wait for their renewal."""
    VirtualHost.objects.bulk_create(
        VirtualHost(
            server=server, user=host.user, key=f"k{n}", name=f"s{n}.example", appeared_at=NOON, next_at=AHEAD,
            next_reason="renew",
        )
        for n in range(3000)
    )  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE hosting_virtualhost" if connection.vendor == "postgresql" else "SELECT 1")
    for part in waiting.beyond(NOON):
        assert "hosting_vh_next" in part.values_list("pk", "server_id").explain()


def test_moments_of_another_server_are_left_to_its_own_sweep(server: Server, host: VirtualHost) -> None:
    VirtualHost.objects.update(next_at=AHEAD, next_reason="dcv_all_failed")
    other = Server.objects.create(name="other")
    VirtualHost.objects.update(server=other)
    swept(server)
    host.refresh_from_db()
    assert host.next_at == AHEAD
