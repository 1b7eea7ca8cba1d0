"""Orders are placed while somebody changes or removes their provider, and while the ledger forgets: nobody dies of it.

On PostgreSQL a foreign key is looked at when a transaction commits: whoever has locked its row by then is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction

from autossl_panel.autossl import drafts, limits, providers
from autossl_panel.autossl.limits import Permit
from autossl_panel.autossl.models import Account, Bucket, Order, Provider
from autossl_panel.autossl.providers import Draft, ProviderProblem
from tests.autossl.limits_rows import NOW, again, take
from tests.support.meanwhile import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)
DAY = timedelta(days=1)
ELSEWHERE = "https://ca.elsewhere.example/directory"


@pytest.fixture
def place(account, make_site, make_user) -> Callable[[Callable[[], None]], Permit | limits.Wait]:
    """A first order at the account's provider, with its permit, as a job saves it."""
    host = make_site(make_user("anna"), "a.com")

    def placed(pause: Callable[[], None]) -> Permit | limits.Wait:
        with transaction.atomic():
            answer = take(account, "a.com")
            Order.objects.create(
                ident="race", virtual_host=host, provider=account.provider, account=account, names=["a.com"],
                reason="missing", key_type="p256", created_at=NOW,
            )  # fmt: skip
            pause()
        return answer

    return placed


def test_a_provider_that_is_led_elsewhere_while_its_first_order_is_placed_stays_where_it_is(account, place):
    row = Provider.objects.get(pk=account.provider_id)
    asked = providers.draft(Draft(row.name, ELSEWHERE), by=None, ring=False)

    def take_over() -> Provider | None:
        with transaction.atomic():
            return drafts.take_over(asked, asked.draft or {})

    given, moved = meanwhile(place, take_over)
    assert isinstance(given, Permit), given
    assert moved is None
    row.refresh_from_db()
    assert row.directory_url == account.provider.directory_url
    assert row.draft is not None
    assert row.draft["problem"]["field"] == "name"


def test_a_provider_that_is_removed_while_its_first_order_is_placed_stays(account, place):
    Provider.objects.update(active=False)
    given, gone = meanwhile(place, lambda: providers.remove(again(account).provider, by=None))
    assert isinstance(given, Permit), given
    assert isinstance(gone, ProviderProblem), gone
    assert gone.code == "orders"
    assert Bucket.objects.filter(owner=f"a:{account.pk}").exists()


def test_a_provider_that_is_chosen_while_it_is_removed_is_not(account):
    """The page that asked to remove it was shown before."""
    Provider.objects.update(active=False)
    before = again(account).provider
    providers.activate(again(account).provider)
    with pytest.raises(ProviderProblem, match="in use"):
        providers.remove(before, by=None)
    assert Account.objects.filter(pk=account.pk).exists()


def test_the_ledger_forgets_around_what_an_order_is_just_asking_for(account):
    for name in ("a.com", "b.com", "z.com"):
        take(account, name)
    later = NOW + 9 * DAY
    # The CA's time has come so far
    take(account, "other.org", now=later)

    def two(pause: Callable[[], None]) -> list[Permit | limits.Wait]:
        # Against the order of the rows, as one permit locks those of a domain and of a set
        with transaction.atomic():
            first = take(account, "z.com", now=later)
            pause()
            return [first, take(account, "a.com", now=later)]

    given, gone = meanwhile(two, lambda: limits.prune(now=later))
    assert isinstance(gone, int), gone
    assert all(isinstance(one, Permit) for one in given), given
    assert set(Bucket.objects.filter(kind="domain").values_list("subject", flat=True)) >= {"a.com", "z.com"}
