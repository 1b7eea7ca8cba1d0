"""When the last re-issue could be placed: by the CA's pace, and by its limit on orders for what another CA issued."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import forecasting
from autossl_panel.autossl.models import Account, Bucket, Certificate, Provider
from autossl_panel.hosting.models import Server
from tests.autossl.limits_rows import row

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
HOUR = timedelta(hours=1)


def measured(seconds: float, issued: int = 100) -> dict[str, Any]:
    return {"at": "2026-01-01T00:00:00+00:00", "issued": issued, "seconds": seconds}


def test_without_a_provider_nobody_knows(server: Server, now: datetime) -> None:
    assert forecasting.reissue_until(server, 10, now) is None


def test_without_limits_it_takes_as_long_as_orders_take(server: Server, provider: Provider, now: datetime) -> None:
    assert forecasting.reissue_until(server, 0, now) is None
    assert forecasting.reissue_until(server, 80, now) == now + timedelta(seconds=50), "eight at once, five seconds each"
    Account.objects.update(measured=measured(2.0))
    assert forecasting.reissue_until(server, 80, now) == now + timedelta(seconds=20)


def test_a_pace_of_requests_is_kept(server: Server, provider: Provider, now: datetime) -> None:
    Provider.objects.update(limits=[row("requests", 20, 1)])
    Account.objects.update(measured=measured(0.5))
    until = forecasting.reissue_until(server, 1000, now)
    assert until is not None
    assert timedelta(seconds=690) < until - now < timedelta(seconds=720), "16 of 9 requests each in 1.25 s"


def test_what_another_ca_issued_counts_as_new(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    other = Provider.objects.create(name="other", directory_url="https://127.0.0.1:2/dir")
    Account.objects.create(provider=other, server=server, url="https://127.0.0.1:2/1", measured=measured(1.0))
    user = make_user("anna")
    for n in range(30):
        make_installed(make_site(user, f"{n}.example"), f"{n}.example", provider=other)
    Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 20, 3 * 3600)])
    until = forecasting.reissue_until(server, 30, now)
    assert until is not None
    assert 8 * HOUR < until - now < 10 * HOUR, "half of sixteen in three hours: the fourth eight has to wait thrice"
    assert not Bucket.objects.exists(), "a forecast spends nothing"
    Certificate.objects.update(provider=provider)
    until = forecasting.reissue_until(server, 30, now)
    assert until is not None
    assert until - now < timedelta(minutes=1), "renewals of the same names are free of it"


def test_very_many_are_reckoned_by_the_pace_of_the_first(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(forecasting, "TRIED", 20)
    monkeypatch.setattr(forecasting, "_of_other_cas", lambda _server, _provider: 200)
    Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 5, 3600)])
    until = forecasting.reissue_until(server, 200, now)
    assert until is not None
    assert 80 * HOUR < until - now < 105 * HOUR, "two an hour"
