"""Two providers that lead to one directory, each with a word of its own on what the CA allows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from autossl_panel.autossl import limits, pacing
from autossl_panel.autossl.ledger import Kind, OrderKind, order
from autossl_panel.autossl.limits import Permit, Wait
from autossl_panel.autossl.models import Account, Bucket, Provider, ProviderState
from tests.autossl.limits_rows import NOW, again, new_account, row, take

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BRIEF = [row("domain", 50, 3600)]


@pytest.fixture
def newer(account: Account) -> Account:
    """An account of another provider with the same directory."""
    Provider.objects.update(active=False)
    url = account.provider.directory_url
    return new_account(
        Provider.objects.create(name="own", directory_url=url, limits=BRIEF, state=ProviderState.READY, max_names=100)
    )


def says(account: Account, limits: list[dict[str, Any]] | None) -> Account:
    """The account, whose provider has this word of its own."""
    Provider.objects.filter(pk=account.provider_id).update(limits=limits)
    return again(account)


def use_up(account: Account) -> None:
    for number in range(40):
        assert isinstance(take(account, f"s{number}.shop.com"), Permit)


def full(account: Account, now: Any) -> bool:
    answer = take(again(account), "y.shop.com", now=now)
    return isinstance(answer, Wait) and (answer.kind, answer.used) == (Kind.DOMAIN, 40)


def test_who_counts_for_an_hour_has_nothing_forgotten_that_another_counts_for_a_week(account, newer):
    use_up(account)
    assert full(newer, NOW + 3 * HOUR)
    assert isinstance(take(again(newer), "other.org", now=NOW + 3 * HOUR), Permit)
    limits.prune(now=NOW + 6 * HOUR)
    assert full(account, NOW + 6 * HOUR)


def test_what_only_the_shorter_window_wrote_counts_for_the_longer_one(account, newer):
    use_up(newer)
    assert full(account, NOW + 3 * HOUR)
    take(newer, "other.org", now=NOW + 3 * HOUR)
    limits.prune(now=NOW + 6 * HOUR)
    assert full(account, NOW + 6 * HOUR)
    assert isinstance(take(again(account), "y.shop.com", now=NOW + 8 * DAY), Permit)


def test_orders_that_one_provider_does_not_limit_count_for_the_other(account, newer):
    use_up(says(newer, []))
    assert full(account, NOW + HOUR)
    assert full(newer, NOW + HOUR), "what the CA counts for both, it refuses both"


@pytest.mark.parametrize("word", [None, []], ids=["unknown", "none"])
def test_a_provider_without_a_word_goes_by_the_word_on_its_directory(account, newer, word):
    newer = says(newer, word)
    use_up(account)
    wish = order(OrderKind.NEW, ["y.shop.com"])
    assert isinstance(limits.look(newer, wish, now=NOW + HOUR), Wait)
    assert full(newer, NOW + HOUR)
    assert isinstance(take(newer, "other.org", now=NOW + HOUR), Permit)
    assert not Bucket.objects.filter(owner=f"a:{newer.pk}").exists(), "of its own account nothing is said"


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [((50, 3600), (50, 7 * 86400), (50, 7 * 86400)), ((5, 3600), (50, 7 * 86400), (5, 7 * 86400))],
)
def test_of_two_words_on_what_is_counted_once_what_satisfies_both_holds(account, newer, one, other, both):
    says(account, [row("domain", *one), row("orders", 3, 60)])
    says(newer, [row("domain", *other, continuous=False), row("orders", 9, 60)])
    for mine, orders in ((account, 3), (newer, 9)):
        found = {limit.kind: limit for limit in limits.limits_at(again(mine).provider)}
        assert (found[Kind.DOMAIN].number, found[Kind.DOMAIN].seconds) == both
        assert not found[Kind.DOMAIN].continuous
        assert found[Kind.ORDERS].number == orders, "of an account its own provider's word holds"


def test_who_has_no_account_there_says_nothing(account, newer):
    Account.objects.filter(pk=newer.pk).update(url="")
    found = {limit.kind: limit for limit in limits.limits_at(again(account).provider)}
    assert found[Kind.DOMAIN].seconds == 7 * 86400


def test_one_gate_has_the_narrowest_pace_whoever_came_last(account, newer):
    says(account, [row("requests", 20, 1)])
    gate = pacing.pace(again(account).provider)
    pacing.pace(says(newer, []).provider)
    assert gate.limit is not None
    assert gate.limit.number == 20
    pacing.pace(says(newer, [row("requests", 5, 1)]).provider)
    pacing.pace(again(account).provider)
    assert gate.limit.number == 5


def test_where_nobody_limits_anything_nothing_is_written(account, newer):
    says(newer, [])
    take(says(account, []), "a.com")
    take(again(newer), "a.com")
    assert not Bucket.objects.exists()
