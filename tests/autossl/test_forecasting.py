"""What a re-issue means: how many, and when the last could be placed, by whose pace and limits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import forecasting, standing
from autossl_panel.autossl.forecasting import Reissue, Share
from autossl_panel.autossl.models import Account, AccountStatus, Bucket, Certificate, Provider, ProviderChoice
from autossl_panel.hosting.models import FeatureList, HostingUser, Server, Setting, VirtualHost
from tests.autossl.limits_rows import again, row

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
HOUR = timedelta(hours=1)


def measured(seconds: float, issued: int = 100) -> dict[str, Any]:
    return {"at": "2026-01-01T00:00:00+00:00", "issued": issued, "seconds": seconds}


def takes(number: int, now: datetime, strange: int = 0) -> timedelta:
    """How long the account in use needs for so many."""
    return forecasting.until(Share(again(Account.objects.get()), number, strange), now) - now


@pytest.fixture
def secure(make_site: Make, make_installed: Make, server: Server, now: datetime) -> Make:
    """Gives a user sites with certificates."""

    def give(user: HostingUser, number: int, **fields: Any) -> None:
        ids = []
        for n in range(number):
            host = make_site(user, f"{n}.{user.name}.example")
            make_installed(host, host.name, **fields)
            ids.append(host.pk)
        standing.record(server, ids, now)

    return give


def own_provider(server: Server, name: str = "b-own", **fields: Any) -> Provider:
    made = Provider.objects.create(name=name, directory_url="https://127.0.0.1:2/dir", **fields)
    Account.objects.create(provider=made, server=server, status=AccountStatus.VALID, url=f"https://127.0.0.1:2/{name}")
    return made


def test_what_another_key_type_means_is_counted(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    amber, birch = make_user("amber"), make_user("birch", autossl=Setting.OFF)
    for number, (kind, bits) in enumerate([("ec", 256), ("ec", 256), ("rsa", 2048), ("rsa", 3072)]):
        host = make_site(amber, f"{number}.example")
        Certificate.objects.filter(pk=make_installed(host, host.name).pk).update(key_kind=kind, key_bits=bits)
    make_installed(make_site(amber, "foreign.example"), "foreign.example", ours=False)
    make_installed(make_site(birch, "off.example"), "off.example")
    gone = make_site(amber, "gone.example", gone_at=now)
    make_installed(gone, "gone.example")
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)
    # The one of a kind that has no name here is left alone, as the decision does.
    found = [forecasting.reissue(server, key, now).certificates for key in ("p256", "rsa2048", "p384")]
    assert found == [1, 2, 3]
    assert forecasting.reissue(server, "p384", now).until == now + timedelta(seconds=3 * 5 / 8)
    Certificate.objects.all().update(key_kind="ec", key_bits=384)
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)
    assert forecasting.reissue(server, "p384", now) == Reissue(0, None)


def test_without_a_provider_nobody_knows_until_when(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime
) -> None:
    anna = make_user("anna")
    secure(anna, 2)
    ProviderChoice.objects.create(provider=own_provider(server), user=anna)
    Provider.objects.update(active=False)
    assert forecasting.reissue(server, "p384", now) == Reissue(2, None), "disabled is disabled, whoever chose what"


def test_without_limits_it_takes_as_long_as_orders_take(server: Server, provider: Provider, now: datetime) -> None:
    assert takes(80, now) == timedelta(seconds=50), "eight at once, five seconds each"
    Account.objects.update(measured=measured(2.0))
    assert takes(80, now) == timedelta(seconds=20)


def test_a_pace_of_requests_is_kept(server: Server, provider: Provider, now: datetime) -> None:
    Provider.objects.update(limits=[row("requests", 20, 1)])
    Account.objects.update(measured=measured(0.5))
    assert timedelta(seconds=690) < takes(1000, now) < timedelta(seconds=720), "16 of 9 requests each in 1.25 s"


def test_what_another_ca_issued_counts_as_new(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime
) -> None:
    other = own_provider(server, "other")
    Account.objects.filter(provider=other).update(measured=measured(1.0))
    secure(make_user("anna"), 30, provider=other)
    Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 20, 3 * 3600)])
    until = forecasting.reissue(server, "p384", now).until
    assert until is not None
    assert 8 * HOUR < until - now < 10 * HOUR, "half of sixteen in three hours: the fourth eight has to wait thrice"
    assert not Bucket.objects.exists(), "a forecast spends nothing"
    Certificate.objects.update(provider=provider)
    until = forecasting.reissue(server, "p384", now).until
    assert until is not None
    assert until - now < timedelta(minutes=1), "renewals of the same names are free of it"


@pytest.mark.parametrize("whose", ["user", "feature list"])
def test_sites_with_a_provider_of_their_own_are_reckoned_by_that_one(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime, whose: str
) -> None:
    anna, birch = make_user("anna"), make_user("birch")
    HostingUser.objects.filter(pk=birch.pk).update(feature_list=FeatureList.objects.create(name="plain"))
    Provider.objects.filter(pk=provider.pk).update(limits=[row("requests", 9, 3600)])
    own = own_provider(server)
    Account.objects.filter(provider=own).update(measured=measured(8.0))
    ProviderChoice.objects.create(
        provider=own, **({"user": anna} if whose == "user" else {"feature_list": anna.feature_list})
    )
    secure(anna, 20, provider=own)
    assert forecasting.reissue(server, "p384", now) == Reissue(20, now + timedelta(seconds=20)), "none from the other"
    secure(birch, 2, provider=provider)
    found = forecasting.reissue(server, "p384", now)
    assert found.certificates == 22
    assert found.until is not None
    assert 3 * HOUR < found.until - now < 4 * HOUR, "the last of all: two orders of nine requests, nine an hour at most"


def test_a_users_own_provider_outdoes_that_of_its_feature_list(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime
) -> None:
    anna = make_user("anna")
    slow = own_provider(server, "slow", limits=[row("requests", 9, 3600)])
    ProviderChoice.objects.create(provider=slow, feature_list=anna.feature_list)
    secure(anna, 2, provider=slow)
    until = forecasting.reissue(server, "p384", now).until
    assert until is not None
    assert until - now > 2 * HOUR
    ProviderChoice.objects.create(provider=own_provider(server), user=anna)
    Certificate.objects.update(provider=None)
    assert forecasting.reissue(server, "p384", now).until == now + timedelta(seconds=2 * 5 / 8)


def test_what_goes_to_another_provider_than_its_issuer_is_new_there(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime
) -> None:
    anna = make_user("anna")
    secure(anna, 30, provider=provider)
    Account.objects.filter(provider=provider).update(measured=measured(1.0))
    own = own_provider(server, limits=[row("orders", 20, 3 * 3600)])
    ProviderChoice.objects.create(provider=own, user=anna)
    until = forecasting.reissue(server, "p384", now).until
    assert until is not None
    assert 8 * HOUR < until - now < 10 * HOUR


def test_a_chosen_provider_without_an_account_here_leaves_its_sites_to_the_active_one(
    server: Server, provider: Provider, make_user: Make, secure: Make, now: datetime
) -> None:
    anna = make_user("anna")
    secure(anna, 8)
    lost = Provider.objects.create(name="lost", directory_url="https://127.0.0.1:3/dir")
    ProviderChoice.objects.create(provider=lost, user=anna)
    assert forecasting.reissue(server, "p384", now) == Reissue(8, now + timedelta(seconds=5))


def test_very_many_are_reckoned_by_the_pace_of_the_first(
    server: Server, provider: Provider, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecasting, "TRIED", 20)
    Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 5, 3600)])
    assert 80 * HOUR < takes(200, now, strange=200) < 105 * HOUR, "two an hour"
