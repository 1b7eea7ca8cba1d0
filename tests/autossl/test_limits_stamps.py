"""Permits in transactions, and the stamp that tells old and copied databases: those start spent, and no others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import transaction

from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits import Permit, Wait, stamps
from autossl_panel.autossl.models import Account, Bucket, Order, Provider
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people.models import AuditEntry
from tests.autossl.limits_rows import LETS_ENCRYPT, NOW, again, new_account, take, used

pytestmark = pytest.mark.django_db(transaction=True)
MINUTE, HOUR, DAY = (timedelta(seconds=number) for number in (60, 3600, 86400))


# --- transactions ----------------------------------------------------------------------------------------------------


def test_inside_a_callers_transaction_it_is_committed_with_it_or_not_at_all(account):
    path = stamps.path_of(account)

    def order_and_fail() -> None:
        with transaction.atomic():
            assert isinstance(take(account, "a.com"), Permit)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        order_and_fail()
    assert used(account)["orders"] == 0
    assert again(account).ledger_count == 0
    with transaction.atomic():
        take(account, "a.com")
        before = path.read_bytes()
        assert b'"count": 0' in before
    assert b'"count": 1' in path.read_bytes(), "after the commit and before anything is sent"
    assert again(account).ledger_count == 1


def test_where_the_stamp_cannot_be_kept_nothing_may_be_sent(account, tmp_path):
    take(account, "a.com")
    path = stamps.path_of(account)
    path.unlink()
    path.mkdir()
    with pytest.raises(limits.StampProblem, match="ledger"):
        take(account, "b.com")


# --- old and copied databases ----------------------------------------------------------------------------------------


@pytest.fixture
def old_copy(account: Account) -> Callable[[], None]:
    """Puts the database back to how it was when the fixture was made: two permits given."""
    take(account, "a.com")
    take(account, "b.com")
    fields = {name: getattr(again(account), name) for name in ("ledger_stamp", "ledger_count", "ledger_spent_at")}
    rows = list(Bucket.objects.values())

    def put_back() -> None:
        Bucket.objects.all().delete()
        Bucket.objects.bulk_create(Bucket(**row) for row in rows)
        Account.objects.filter(pk=account.pk).update(**fields)

    return put_back


def test_a_fresh_installation_is_not_spent(account):
    take(account, "a.com")
    row = again(account)
    assert (row.ledger_count, row.ledger_spent_at) == (1, None)
    path = stamps.path_of(account)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent == stamps.settings.AUTOSSL_STATE_DIR / "accounts"
    assert used(account)["orders"] == 1


def test_an_old_copy_counts_just_what_it_has_lost(account, old_copy):
    for number in range(3):
        take(account, f"lost{number}.com")
    old_copy()
    assert isinstance(take(account, "c.com"), Permit)
    row = again(account)
    assert (row.ledger_lost, row.ledger_count) == (3, 6)
    assert used(account)["orders"] == 2 + 3 + 1
    assert used(account)["set"] == 3 + 1, "any set may be one of the three"
    assert isinstance(take(account, "c.com"), Wait)
    entry = AuditEntry.objects.get(event="limits:started_spent")
    assert (entry.subject, entry.after) == ("pebble", {"permits_lost": 3})


def test_the_lost_ones_come_back_one_by_one(account, old_copy):
    for number in range(60):
        take(account, f"lost{number}.com")
    old_copy()
    assert isinstance(take(account, "c.com"), Wait), "any set may have been ordered 60 times"
    assert used(account)["orders"] == 62
    assert used(account, NOW + HOUR / 2)["orders"] in range(12, 22), "100 an hour come back"
    assert used(account, NOW + HOUR)["orders"] == 0


def test_where_a_ca_gives_back_by_windows_the_whole_window_is_lost(account, old_copy):
    Provider.objects.update(limits=[{**row, "continuous": False} for row in LETS_ENCRYPT])
    for number in range(3):
        take(again(account), f"lost{number}.com")
    old_copy()
    take(again(account), "c.com")
    assert used(again(account), NOW + 6 * DAY)["domain"] == 4
    assert used(again(account), NOW + 8 * DAY)["domain"] == 0


def test_a_process_that_died_between_commit_and_stamp_has_lost_nothing(account):
    take(account, "a.com")
    before = stamps.path_of(account).read_bytes()
    take(account, "b.com")
    with stamps.path_of(account).open("r+b") as stream:
        stream.write(before)
    take(account, "c.com")
    assert again(account).ledger_spent_at is None, "the request of that permit was never sent"


def _copied(path: Path) -> None:
    copy = path.with_suffix(".copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def _elsewhere(path: Path) -> None:
    text = path.read_text()
    with path.open("r+") as stream:
        stream.write(text.replace('"machine": "', '"machine": "0')[: stamps.LENGTH - 1])


@pytest.mark.parametrize(
    "change",
    [Path.unlink, _copied, _elsewhere, lambda path: path.write_bytes(b"")],
    ids=["gone", "copied", "another-machine", "empty"],
)
def test_whatever_is_not_this_databases_own_stamp_means_that_all_is_spent(account, change):
    take(account, "a.com")
    change(stamps.path_of(account))
    wait = take(account, "b.com")
    assert isinstance(wait, Wait)
    assert wait.used >= 4
    row = again(account)
    assert (row.ledger_lost, row.ledger_spent_at is not None) == (None, True)
    report = limits.usage(row, now=NOW)
    assert (report.spent_at, report.lost) == (row.ledger_spent_at, None)
    # Once, and then it is over: an order every 36 seconds, and after a day and a half the first of any set.
    assert isinstance(take(account, "b.com", now=NOW + 40 * HOUR), Permit)
    assert AuditEntry.objects.filter(event="limits:started_spent").count() == 1
    assert limits.usage(again(account), now=NOW + 9 * DAY).spent_at is None


def test_another_database_beside_the_same_state_directory(account):
    take(account, "a.com")
    Account.objects.update(ledger_stamp="0" * 32, ledger_count=77)
    assert isinstance(take(account, "b.com"), Wait)
    assert again(account).ledger_count == 77


def test_an_emptied_database_beside_a_kept_state_directory_knows_how_many_it_lost(account):
    for number in range(2):
        take(account, f"s{number}.com")
    Bucket.objects.all().delete()
    Account.objects.update(ledger_stamp="", ledger_count=0)
    assert isinstance(take(account, "b.com"), Permit)
    assert again(account).ledger_lost == 2


def new_order(account: Account, host: VirtualHost, url: str = "") -> Order:
    return Order.objects.create(
        ident="o1", virtual_host=host, provider=account.provider, account=account, names=["a.com"], reason="missing",
        key_type="p256", created_at=NOW, url=url,
    )  # fmt: skip


def test_the_first_order_of_all_is_saved_with_its_permit(account, make_user, make_site):
    with transaction.atomic():
        order = new_order(account, make_site(make_user("anna"), "a.com"))
        permit = take(account, "a.com")
        assert isinstance(permit, Permit)
        order.permit = permit.as_json()
        order.save(update_fields=["permit"])
    order.refresh_from_db()
    assert Permit.of(order.permit, order.names) == permit
    assert again(account).ledger_spent_at is None


def test_what_was_written_by_a_clock_a_little_ahead_is_older_than_the_loss(account):
    take(account, "a.com", now=NOW + timedelta(seconds=20))
    stamps.path_of(account).unlink()
    assert isinstance(take(account, "b.com"), Wait)
    assert used(again(account))["orders"] == 240


def test_a_database_with_orders_that_never_had_a_stamp(account, make_user, make_site):
    new_order(account, make_site(make_user("anna"), "a.com"), "https://ca.example/order/1")
    assert isinstance(take(account, "b.com"), Wait)
    assert again(account).ledger_lost is None


def test_what_one_account_lost_counts_for_the_domains_of_all(account):
    other = new_account(account.provider)
    take(account, "a.com")
    stamps.path_of(account).unlink()
    take(account, "b.com")
    wait = take(other, "shop.com")
    assert isinstance(wait, Wait)
    assert wait.kind in (Kind.DOMAIN, Kind.SET)
    assert again(other).ledger_spent_at is None
    assert used(other)["orders"] == 0


def test_two_losses_are_one_larger_one(account, old_copy):
    take(account, "lost.com")
    old_copy()
    take(account, "c.com")
    old_copy()
    take(account, "d.com", now=NOW + MINUTE)
    assert again(account).ledger_lost == 2 or again(account).ledger_lost == 3


def test_the_file_is_the_accounts_own(account):
    other = new_account(account.provider)
    take(account, "a.com")
    take(other, "b.com")
    assert len(os.listdir(stamps.path_of(account).parent)) == 2
