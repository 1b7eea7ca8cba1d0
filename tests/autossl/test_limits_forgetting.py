"""Permits as rows: what is looked at, tried on and forgotten, by whose clock. See also test_limits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import ledger, limits
from autossl_panel.autossl.ledger import Kind, OrderKind, order
from autossl_panel.autossl.limits import Permit, Wait
from autossl_panel.autossl.models import Bucket, Provider
from tests.autossl.limits_rows import (
    LETS_ENCRYPT,
    NOW,
    PAUSED,
    hear,
    new_account,
    rate,
    take,
)

pytestmark = pytest.mark.django_db

SECOND, MINUTE, HOUR, DAY = (timedelta(seconds=number) for number in (1, 60, 3600, 86400))


def test_usage_shows_the_fullest_and_how_many_there_are(account):
    for number in range(3):
        take(account, f"s{number}.big.com")
    take(account, "small.com")
    with CaptureQueriesContext(connection) as asked:
        report = {one.kind: one for one in limits.usage(account, now=NOW).limits}
    assert len(asked) == 5
    domain = report[Kind.DOMAIN]
    assert (domain.label, domain.used, domain.allowed, domain.published, domain.subjects) == ("big.com", 3, 40, 50, 2)
    assert domain.frees_at is not None
    assert NOW + 7 * DAY < domain.frees_at < NOW + 7 * DAY + 15 * MINUTE
    assert (report[Kind.ORDERS].used, report[Kind.ORDERS].subjects) == (4, 1)
    assert report[Kind.SET].label.startswith("s0.big.com")
    later = {one.kind: one for one in limits.usage(account, now=NOW + 8 * DAY).limits}
    assert (later[Kind.DOMAIN].used, later[Kind.DOMAIN].subjects, later[Kind.DOMAIN].frees_at) == (0, 0, None)


def test_a_forecast_spends_nothing(account):
    take(account, "a.com")
    hear(account, rate('too many certificates (50) already issued for "blocked.com"'), "blocked.com")
    before = list(Bucket.objects.order_by("pk").values())
    sheet = limits.forecast(account, now=NOW)
    at = NOW.timestamp()
    answers = [sheet.ask(order(OrderKind.NEW, ["a.com"]), at) for _ in range(4)]
    assert [type(answer) for answer in answers] == [ledger.Granted] * 3 + [ledger.Wait]
    assert isinstance(sheet.ask(order(OrderKind.NEW, ["blocked.com"]), at), ledger.Wait)
    assert list(Bucket.objects.order_by("pk").values()) == before
    assert isinstance(sheet.ask(order(OrderKind.NEW, ["a.com"]), at), ledger.Wait)
    assert isinstance(take(account, "a.com"), Permit), "what the forecast used up is there in earnest"


def test_what_says_nothing_any_more_is_forgotten(account):
    permit = take(account, "proven.com")
    limits.settle(account, permit, now=NOW, issued=True)
    take(account, "unknown.com")
    hear(account, rate(PAUSED), "a.com")
    assert limits.prune(now=NOW) == 1, "the failure that was given back"
    take(account, "later.com", now=NOW + 8 * DAY)
    assert limits.prune(now=NOW + 8 * DAY) == 4
    kept = set(Bucket.objects.exclude(empty_at__gt=NOW + 8 * DAY).values_list("kind", "subject", "in_a_row"))
    assert kept == {("failures", "unknown.com", 1), ("consecutive", "a.com", 0)}
    assert limits.prune(now=NOW + 8 * DAY) == 0
    take(account, "later.com", now=NOW + 500 * DAY)
    assert limits.prune(now=NOW + 500 * DAY) == 1
    assert not Bucket.objects.filter(subject="unknown.com").exists()


def test_a_host_clock_that_runs_ahead_makes_nothing_forgotten_that_counts(account):
    for number in range(40):
        assert isinstance(take(account, f"s{number}.shop.com"), Permit)
    take(account, "unproven.com")
    hear(account, rate(PAUSED), "a.com")
    told = take(account, "x.shop.com")
    assert isinstance(told, Wait)
    limits.prune(now=NOW)  # rows that a refused wish had made for itself say nothing
    before = list(Bucket.objects.order_by("pk").values())
    for ahead in (3 * HOUR, 8 * DAY, 500 * DAY):
        assert limits.prune(now=NOW + ahead) == 0
    assert list(Bucket.objects.order_by("pk").values()) == before
    assert take(account, "x.shop.com") == told


def test_one_ca_that_is_asked_gives_no_time_for_another(account):
    other = Provider.objects.create(name="other", directory_url="https://other.example/dir", limits=LETS_ENCRYPT)
    quiet = new_account(other)
    take(quiet, "shop.com")
    take(account, "blog.com", now=NOW + 8 * DAY)
    assert limits.prune(now=NOW + 8 * DAY) == 0
    take(quiet, "shop.com", now=NOW + 8 * DAY)
    assert limits.prune(now=NOW + 30 * DAY) == 0, "what was taken at that moment counts"
    take(quiet, "news.com", now=NOW + 30 * DAY)
    assert limits.prune(now=NOW + 30 * DAY) == 2, "the domain and the set of before"


def test_the_pace_of_requests_gives_no_time_of_the_ca(account):
    """It is kept by the database's clock, which may be that of the very host that is wrong."""
    take(account, "shop.com")
    ahead = NOW + 8 * DAY
    Bucket.objects.create(
        owner=limits.rows.shared_owner(account.provider), kind="requests", mark=ahead.timestamp(), empty_at=ahead
    )
    assert limits.prune(now=ahead) == 0
