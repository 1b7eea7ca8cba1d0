"""What a CA counts for everybody counts at its directory, whichever providers lead there, come or go."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from autossl_panel import ca
from autossl_panel.autossl import drafts, limits, pacing, providers
from autossl_panel.autossl.ledger import Asked, Kind, OrderKind, order
from autossl_panel.autossl.limits import Permit, Wait, rows
from autossl_panel.autossl.models import Account, Bucket, Provider, ProviderState
from autossl_panel.autossl.providers import Draft
from tests.autossl.limits_rows import LETS_ENCRYPT, NOW, again, names_of, new_account, take

pytestmark = pytest.mark.django_db(transaction=True)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ELSEWHERE = "https://ca.elsewhere.example/directory"
BEFORE, AFTER = ("autossl", "0005_refusals_asked_about"), ("autossl", "0006_ledger_by_directory")


@pytest.fixture
def newer(account: Account) -> Account:
    """An account of another provider, added later, that leads to the same directory."""
    Provider.objects.update(active=False)
    return new_account(second(account.provider.directory_url))


def second(url: str) -> Provider:
    return Provider.objects.create(
        name="own", directory_url=url, limits=LETS_ENCRYPT, state=ProviderState.READY, max_names=100
    )


def use_up(account: Account) -> None:
    """All that one domain has, each set of names another."""
    for number in range(40):
        assert isinstance(take(account, f"s{number}.shop.com"), Permit)
    assert isinstance(take(account, "x.shop.com"), Wait)


def refused(account: Account) -> bool:
    answer = take(again(account), "y.shop.com")
    return isinstance(answer, Wait) and (answer.kind, answer.used) == (Kind.DOMAIN, 40)


def lead(provider: Provider, url: str) -> None:
    """What a person types, and a worker has read."""
    row = Provider.objects.get(pk=provider.pk)
    wish = Draft(row.name, url, ca_bundle=row.ca_bundle, private_ca=row.private_ca, max_names=row.max_names)
    asked = providers.draft(wish, by=None, ring=False)
    assert asked.draft is not None, "it is in force, so the change waits for a worker"
    with transaction.atomic():
        assert drafts.take_over(asked, asked.draft) is not None
    assert Provider.objects.get(pk=row.pk).directory_url == url


def test_an_older_provider_that_never_ordered_is_removed(account, newer):
    use_up(newer)
    providers.remove(again(account).provider, by=None)
    assert refused(newer)


def test_an_older_provider_leads_elsewhere(account, newer):
    use_up(newer)
    lead(account.provider, ELSEWHERE)
    assert refused(newer)


PUBLISHED = {"limits": [{"kind": "orders", "number": 1, "seconds": 604800}], "validity_days": 90, "note": "of that CA"}


def test_what_is_stated_of_a_ca_is_not_of_the_one_that_takes_its_place(account):
    Provider.objects.update(active=False, limits=None, stated=PUBLISHED)
    row = again(account).provider
    lead(row, row.directory_url)
    assert Provider.objects.get(pk=row.pk).stated == PUBLISHED
    lead(row, ELSEWHERE)
    led = Provider.objects.get(pk=row.pk)
    assert led.stated == {}
    assert limits.limits_of(led) == ()


def test_what_is_stated_of_a_ca_is_not_of_the_one_of_a_draft_that_was_never_in_force(account):
    Account.objects.filter(pk=account.pk).delete()
    Provider.objects.update(active=False, state=ProviderState.REFUSED, limits=None, stated=PUBLISHED)
    name, url = account.provider.name, account.provider.directory_url
    assert providers.draft(Draft(name, url), by=None, ring=False).stated == PUBLISHED
    assert providers.draft(Draft(name, ELSEWHERE), by=None, ring=False).stated == {}


def test_an_older_provider_comes_to_lead_here(account):
    own = new_account(second(ELSEWHERE))
    use_up(own)
    Provider.objects.filter(pk=account.provider_id).update(active=False)
    lead(account.provider, ELSEWHERE)
    assert refused(own)
    assert refused(new_account(Provider.objects.get(pk=account.provider_id))), "nor for who has come"


def test_a_draft_that_was_never_in_force_comes_to_lead_here(account):
    url = account.provider.directory_url
    Account.objects.filter(pk=account.pk).delete()
    Provider.objects.update(active=False, directory_url=ELSEWHERE, state=ProviderState.REFUSED)
    own = new_account(second(url))
    use_up(own)
    providers.draft(Draft(account.provider.name, url), by=None, ring=False)
    assert refused(own)


def test_what_a_removed_provider_counted_for_everybody_stays(account, newer):
    use_up(newer)
    providers.remove(newer.provider, by=None)
    assert refused(account)
    assert not Bucket.objects.filter(owner=f"a:{newer.pk}").exists(), "what counted for its account alone goes"
    assert names_of("orders") == {}


def test_what_the_ca_refused_everybody_stays_when_who_heard_it_is_removed(account, newer):
    problem = ca.CaProblem(
        ca.ProblemKind.RATE,
        type="urn:ietf:params:acme:error:rateLimited",
        detail='too many certificates (50) already issued for "shop.com" in the last 168h0m0s',
        retry_after=NOW + 2 * HOUR,
    )
    limits.heard(newer.provider, problem, Asked.NEW_ORDER, account=newer, names=["shop.com"], now=NOW)
    providers.remove(newer.provider, by=None)
    answer = take(account, "shop.com")
    assert isinstance(answer, Wait)
    assert (answer.refused, answer.until) == (True, NOW + 2 * HOUR)


def test_an_account_without_limits_heeds_what_another_there_was_refused_and_not_what_only_that_one_was(account, newer):
    Provider.objects.update(limits=[])
    wish = order(OrderKind.NEW, ["a.com"])
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="about:blank", detail="busy", retry_after=NOW + HOUR)
    limits.heard(newer.provider, busy, Asked.OTHER, now=NOW)
    assert isinstance(limits.look(again(account), wish, now=NOW), Wait)
    Bucket.objects.update(owner=f"a:{newer.pk}", kind=Kind.ACCOUNT)
    limits.stops.look_again()
    assert limits.look(again(account), wish, now=NOW) is None
    assert isinstance(limits.look(again(newer), wish, now=NOW), Wait)


@pytest.mark.parametrize("change", [str.upper, lambda host: f"{host}:443"], ids=["capitals", "port"])
def test_a_directory_is_one_however_its_address_is_written(account, change: Callable[[str], str]):
    Provider.objects.update(directory_url="https://ca.example/directory")
    use_up(again(account))
    assert refused(new_account(second(f"https://{change('ca.example')}/directory")))
    Provider.objects.filter(name="own").update(name="other")
    assert not refused(new_account(second(ELSEWHERE)))


def test_a_pace_is_the_directorys(account, newer):
    assert pacing.pace(account.provider) is pacing.pace(newer.provider)
    providers.remove(again(account).provider, by=None)
    pacing.pace(newer.provider)("order")
    assert Bucket.objects.get(kind="requests").owner == rows.shared_owner(newer.provider)


def test_a_ca_that_moves_begins_with_as_much_spent_as_its_account_ever_asked_for(account):
    """Whether another address is another CA nobody can know; the stamp beside the keys remembers what was asked."""
    use_up(account)
    Provider.objects.update(active=False)
    lead(account.provider, ELSEWHERE)
    moved = Account.objects.create(
        provider_id=account.provider_id, server_id=account.server_id, url="https://ca/9", status=account.status
    )
    assert refused_all(moved)
    assert (again(moved).ledger_lost, again(moved).ledger_count) == (40, 40)


def test_what_an_account_may_have_lost_stays_at_the_directory_when_it_goes(account, newer):
    limits.start_spent(account, now=NOW, by=None)
    assert refused_all(newer)
    providers.remove(again(account).provider, by=None)
    assert refused_all(newer)
    assert not isinstance(take(again(newer), "a.com", now=NOW + 8 * DAY), Wait)


def refused_all(account: Account) -> bool:
    answer = take(again(account), "never-seen.org")
    return isinstance(answer, Wait) and answer.kind in (Kind.DOMAIN, Kind.SET, Kind.ORDERS)


@pytest.mark.parametrize(
    ("mine", "others", "both"),
    [
        (None, (0, 7), (0, 7)),
        ((0, 7), None, (0, 7)),
        ((0, 7), (1, 2), (1, 9)),
        ((1, 7), (0, 2), (1, 9)),
        ((0, None), (1, 2), (1, None)),
        ((9, 7), (0, None), (9, 7)),
        ((0, None), (9, 7), (9, 7)),
    ],
)
def test_of_two_losses_both_count_unless_one_is_long_over(account, newer, mine, others, both):
    def put(one: Account, loss: tuple[int, int | None] | None) -> None:
        at, lost = (NOW + loss[0] * DAY, loss[1]) if loss else (None, None)
        Account.objects.filter(pk=one.pk).update(ledger_spent_at=at, ledger_lost=lost)

    put(newer, mine)
    put(account, others)
    providers.remove(again(account).provider, by=None)
    left = again(newer)
    assert (left.ledger_spent_at, left.ledger_lost) == (NOW + both[0] * DAY, both[1])


# --- rows from before ------------------------------------------------------------------------------------------------


def go(*, to: tuple[str, str]) -> None:
    MigrationExecutor(connection).migrate([to])


@pytest.fixture
def before(account, newer):
    """The database as it was before, with the model of that time; afterwards as it is."""
    heads = MigrationExecutor(connection).loader.graph.leaf_nodes()
    go(to=BEFORE)
    yield MigrationExecutor(connection).loader.project_state([BEFORE]).apps.get_model("autossl", "Bucket")
    connection.check_constraints()
    MigrationExecutor(connection).migrate(heads)


def test_rows_of_providers_become_their_directorys_and_those_of_one_directory_one(account, newer, before):
    first, other = account.provider_id, newer.provider_id
    at = NOW.timestamp()
    values = [
        # While the older one was away, the newer one owned the same
        (f"p:{first}", first, "domain", "shop.com", [[at, 2], [at + 5, 1]], at + 5, None),
        (f"p:{other}", other, "domain", "shop.com", [[at - 9, 1], [at, 3]], at, NOW + HOUR),
        (f"p:{first}", other, "domain", "only.com", [[at, 4]], at, None),
        # Of a provider that is no more, written by one that is
        ("p:9999", other, "set", "d1", [[at, 1]], at, None),
        (f"p:{other}", other, "set", "d1", [[at, 1]], at, None),
        (f"a:{account.pk}", first, "orders", "", [[at, 6]], at, None),
        ("a:9999", first, "consecutive", "gone.com", [], at, rows.NEVER),
    ]
    for owner, provider, kind, subject, entries, mark, until in values:
        before.objects.create(
            owner=owner, provider_id=provider, kind=kind, subject=subject, entries=entries, mark=mark,
            used=sum(number for _, number in entries), empty_at=datetime.fromtimestamp(mark, UTC) + DAY,
            blocked_until=until, blocked_detail="no" if until else "",
        )  # fmt: skip
    go(to=AFTER)
    shared = rows.shared_owner(newer.provider)
    found = {(row.owner, row.kind, row.subject): row for row in Bucket.objects.all()}
    assert set(found) == {
        (shared, "domain", "shop.com"),
        (shared, "domain", "only.com"),
        (shared, "set", "d1"),
        (f"a:{account.pk}", "orders", ""),
    }
    joined = found[shared, "domain", "shop.com"]
    assert joined.entries == [[at - 9, 1], [at, 5], [at + 5, 1]]
    assert (joined.used, joined.mark, joined.empty_at) == (7, at + 5, NOW + DAY + timedelta(seconds=5))
    assert (joined.blocked_until, joined.blocked_detail) == (NOW + HOUR, "no")
    assert (found[shared, "set", "d1"].used, found[shared, "domain", "only.com"].used) == (2, 4)
    go(to=BEFORE)
    assert set(before.objects.values_list("owner", "provider_id", "kind", "used")) == {
        (f"p:{first}", first, "domain", 7),
        (f"p:{first}", first, "domain", 4),
        (f"p:{first}", first, "set", 2),
        (f"a:{account.pk}", first, "orders", 6),
    }


def test_on_the_way_back_what_belongs_to_no_provider_is_left_behind(account, newer):
    take(newer, "a.com")
    own = newer.provider
    Provider.objects.update(directory_url=ELSEWHERE)
    heads = MigrationExecutor(connection).loader.graph.leaf_nodes()
    go(to=BEFORE)
    try:
        old = MigrationExecutor(connection).loader.project_state([BEFORE]).apps.get_model("autossl", "Bucket")
        assert set(old.objects.values_list("owner", "provider_id")) == {(f"a:{newer.pk}", own.pk)}
    finally:
        MigrationExecutor(connection).migrate(heads)


def test_a_row_counts_after_the_change_as_before_it(account, newer):
    use_up(newer)
    heads = MigrationExecutor(connection).loader.graph.leaf_nodes()
    go(to=BEFORE)
    MigrationExecutor(connection).migrate(heads)
    assert refused(account)
    assert refused(newer)
