"""Which certificates are about to expire, and that a large panel finds them by their index, without statistics."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from autossl_panel.autossl.models import Certificate, Installation
from autossl_panel.hosting.models import Severity, VirtualHost
from autossl_panel.web import site_table, user_table
from tests.rows import make_installed, make_site, make_user, now, server  # noqa: F401

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
# name: (days that it lives, days left, whether it is so near to its end that it is news)
LIVES = {
    "fresh": (90, 80, False),
    "eight-days": (90, 8, False),
    "six-days": (90, 6, True),
    "ten-day-life": (10, 6.5, True),
    "short-fresh": (6.6, 6, False),
    "short-two-days": (6.6, 2, False),
    "short-last-day": (6.6, 0.8, True),
    "expired": (90, -3, True),
    "short-expired": (6.6, -0.1, True),
}


@pytest.fixture
def hosts(make_user: Make, make_site: Make, make_installed: Make, now: datetime) -> dict[str, VirtualHost]:  # noqa: F811
    """A site of a user each; one that is gone, one without a certificate, one whose last one was a long-lived one."""
    found = {}
    for name, (life, left, _near) in {**LIVES, "gone": (90, 3, False), "renewed": (6.6, 5, False)}.items():
        end = now + timedelta(days=left)
        gone = now if name == "gone" else None
        host = make_site(make_user(name), f"{name}.example", expires_at=end, gone_at=gone)
        made = make_installed(host, host.name, days_left=left)
        Certificate.objects.filter(pk=made.pk).update(not_before=end - timedelta(days=life))
        found[name] = host
    old = make_installed(make_site(make_user("other"), "other.example"), "other.example", days_left=2)
    Installation.objects.filter(certificate=old).delete()
    Installation.objects.create(virtual_host=found["renewed"], certificate=old, since=now, until=now)
    make_site(make_user("bare"), "bare.example")
    return found


def test_near_is_what_the_page_of_a_site_calls_so(hosts: dict[str, VirtualHost], now: datetime) -> None:  # noqa: F811
    near = set(site_table.near(VirtualHost.objects.all(), now).values_list("user__name", flat=True))
    assert near == {name for name, (_life, _left, is_near) in LIVES.items() if is_near}
    soon = site_table.expiring(VirtualHost.objects.all(), now)
    for installation in Installation.objects.filter(until__isnull=True, virtual_host__gone_at__isnull=True):
        is_near = site_table.is_near(installation.certificate, now)
        assert (installation.virtual_host_id in soon) == is_near, installation.virtual_host


def test_users_with_an_expired_one_are_told(hosts: dict[str, VirtualHost], now: datetime) -> None:  # noqa: F811
    VirtualHost.objects.update(state="secured", severity=Severity.SECURED)
    VirtualHost.objects.filter(pk=hosts["fresh"].pk).update(state="partly", severity=Severity.HELD)
    found = user_table.Attention.of(VirtualHost.objects.all(), now)
    assert found.problems == {hosts["fresh"].user_id}
    assert found.expiring == {hosts[name].user_id for name, (_life, _left, is_near) in LIVES.items() if is_near}


@pytest.mark.parametrize("values", ["pk", "user_id"])
def test_they_are_found_by_the_index_on_their_ends(values: str, now: datetime) -> None:  # noqa: F811
    plan = site_table.near(VirtualHost.objects.all(), now).order_by().values_list(values).explain()
    assert connection.vendor != "sqlite" or "USING INDEX hosting_vh_expiry (expires_at<?)" in plan, plan


@pytest.mark.parametrize("sort", [f"{down}{by}" for down in ("", "-") for by in ("state", "expires", "name")])
def test_each_order_is_that_of_an_index(sort: str) -> None:
    plan = site_table.ordered(VirtualHost.objects.filter(state="secured"), sort).explain()
    assert connection.vendor != "sqlite" or "TEMP B-TREE" not in plan, plan


@pytest.mark.parametrize("sort", ["user", "-user"])
@pytest.mark.parametrize("state", ["", "secured"])
def test_by_user_the_sites_are_walked_in_the_order_of_their_users(sort: str, state: str) -> None:
    wish = site_table.Filter(q="", state=state, more="", user="", sort=sort)
    counts = site_table.Numbers({"secured": 9, "off": 1}, 0, 0, 0, [])
    found = site_table.narrowed(VirtualHost.objects.all(), wish, counts, set(), timezone.now())
    plan = site_table.ordered(found, sort).explain()
    assert connection.vendor != "sqlite" or "TEMP B-TREE" not in plan, plan
