"""An account's key changed at a real CA, at every moment of a crash, and while it is in use."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from autossl_panel import ca
from autossl_panel.autossl import providers, registration, tasks
from autossl_panel.autossl.jobs.calling import Caller
from autossl_panel.autossl.models import Account, Provider
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.registration import keys
from autossl_panel.autossl.registration.keys import Next
from autossl_panel.autossl.registration.settling import UNDER_WAY
from autossl_panel.hosting.models import Server
from autossl_panel.people.models import AuditEntry, User
from tests.autossl.registration.world import changed_at_the_ca, order_url, works
from tests.ca.authority import Authority, MiniCa
from tests.ca.rogue import RogueCa

pytestmark = pytest.mark.django_db


def test_a_key_is_changed_and_open_orders_survive(account: Account, server: Server, root: User) -> None:
    before, key, url = account.thumbprint, keys.path(account).read_bytes(), order_url(account)
    asked = providers.ask_to_roll(account.provider, server, by=root, ring=False)
    assert asked.wish == {"do": "roll", "by": "root"}
    assert registration.carry_out(asked)
    account.refresh_from_db()
    assert account.wish is None
    assert account.problem is None
    assert account.thumbprint != before
    assert keys.path(account).read_bytes() != key
    assert keys.path(account).stat().st_mode & 0o777 == 0o600
    assert not keys.path(account, Next.ROLLED).exists()
    assert works(account, url)
    entry = AuditEntry.objects.get(event="account:roll_key")
    assert (entry.person, entry.subject) == (root, "pebble")


def test_a_change_that_died_after_the_ca_had_made_it_is_settled_at_the_next_use(account: Account) -> None:
    url, new = order_url(account), changed_at_the_ca(account)
    assert works(account, url)
    assert keys.path(account).read_bytes() == new
    assert account.thumbprint == ca.thumbprint(new)
    account.refresh_from_db()
    assert account.thumbprint == ca.thumbprint(new)


def test_a_change_that_died_after_the_ca_had_made_it_is_taken_up_as_done(account: Account, server: Server) -> None:
    providers.ask_to_roll(account.provider, server, by=None, ring=False)
    new = changed_at_the_ca(account)
    registration.carry_out_all(server)
    account.refresh_from_db()
    assert (account.wish, account.problem) == (None, None)
    assert keys.path(account).read_bytes() == new
    assert works(account)


def test_a_change_that_died_before_the_ca_heard_of_it_goes_on_with_the_old_key(account: Account) -> None:
    old, new = keys.path(account).read_bytes(), keys.made(account, Next.ROLLED)
    assert works(account)
    assert keys.path(account).read_bytes() == old
    # Its request may still be on the way: the new key is not thrown away, and serves the next change.
    assert keys.path(account, Next.ROLLED).read_bytes() == new
    assert registration.roll_key(account)
    assert keys.path(account).read_bytes() == new
    assert works(account)


def test_a_new_key_that_the_ca_never_heard_of_is_dropped_after_a_while(account: Account) -> None:
    keys.made(account, Next.ROLLED)
    long_ago = time.time() - UNDER_WAY - 1
    os.utime(keys.path(account, Next.ROLLED), (long_ago, long_ago))
    assert works(account)
    assert not keys.path(account, Next.ROLLED).exists()


def test_a_change_that_died_before_the_row_was_written_is_seen_by_the_key(account: Account) -> None:
    new = changed_at_the_ca(account)
    keys.promote(account, Next.ROLLED)
    assert works(account)
    assert Account.objects.get().thumbprint == ca.thumbprint(new)


def test_a_ca_that_cannot_be_asked_leaves_both_keys(account: Account, pebble: Authority) -> None:
    old = keys.path(account).read_bytes()
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    account.refresh_from_db()
    assert registration.roll_key(account)
    assert account.problem is not None
    assert account.problem["code"] == "roll"
    assert "refuses connections" in account.problem["text"]
    assert keys.path(account).read_bytes() == old
    assert keys.path(account, Next.ROLLED).exists()
    Provider.objects.update(directory_url=pebble.directory_url)
    account.refresh_from_db()
    assert registration.roll_key(account)
    assert account.problem is None
    assert works(account)


def test_a_ca_that_refuses_keeps_the_old_key(account: Account, tmp_path: Path) -> None:
    old = keys.path(account).read_bytes()
    with RogueCa(MiniCa(tmp_path)) as rogue:
        rogue.say("/key", 403, {"type": "urn:ietf:params:acme:error:unauthorized", "detail": "Not today."})
        rogue.say("/account", 400, {"type": "urn:ietf:params:acme:error:accountDoesNotExist", "detail": "Who?"})
        bundle = (tmp_path / "bundle.pem").read_text()
        Provider.objects.update(directory_url=f"{rogue.url}/dir", ca_bundle=bundle)
        account.refresh_from_db()
        assert registration.roll_key(account)
    assert account.problem is not None
    assert account.problem["text"] == "Not today."
    assert keys.path(account).read_bytes() == old
    assert not keys.path(account, Next.ROLLED).exists()


def test_a_key_in_use_is_not_changed_and_the_wish_waits(account: Account, server: Server) -> None:
    before = account.thumbprint
    providers.ask_to_roll(account.provider, server, by=None, ring=False)
    with keys.in_use(account) as first, keys.in_use(account) as second:
        assert first
        assert second
        registration.carry_out_all(server, seconds=0)
        account.refresh_from_db()
        assert account.wish is not None
        assert account.thumbprint == before
    registration.carry_out_all(server)
    account.refresh_from_db()
    assert account.wish is None
    assert account.thumbprint != before


def test_who_wants_to_change_a_key_lets_nobody_new_at_it(account: Account) -> None:
    order: list[str] = []
    asked, free = threading.Event(), threading.Event()

    def change() -> None:
        with keys.alone(account, seconds=30) as ours:
            order.append(f"changed {ours}")

    def use() -> None:
        with keys.in_use(account, stop=asked.is_set) as ours:
            order.append(f"used {ours}")
            free.set()

    with keys.in_use(account):
        changer = threading.Thread(target=change)
        changer.start()
        while _gate_is_free(account):
            time.sleep(0.01)
        user = threading.Thread(target=use)
        user.start()
        assert not free.wait(0.3)  # it waits behind the one who wants to change it
        assert order == []
    changer.join()
    user.join()
    assert order == ["changed True", "used True"]


def _gate_is_free(account: Account) -> bool:
    with keys.in_use(account, stop=lambda: True) as ours:
        return ours


def test_an_orderer_takes_the_new_key_and_tells_the_helper_for_its_next_order(account: Account) -> None:
    told: list[str] = []
    helper = SimpleNamespace(register_thumbprint=told.append)
    caller = Caller(SimpleNamespace(helper=helper, stopping=threading.Event()))  # type: ignore[arg-type]
    mine = Account.objects.get()
    first = caller.client_of(mine)
    assert caller.client_of(mine) is first
    open_order = first.new_order(["before.example.com"]).url
    assert registration.roll_key(account)
    second = caller.client_of(mine)
    assert second is not first
    assert second.order(open_order).status == "pending"
    assert told == [first._signer.thumbprint, account.thumbprint]
    caller.close()


def test_who_is_told_to_stop_does_not_wait_for_a_key(account: Account) -> None:
    with keys.alone(account, seconds=0) as alone, keys.in_use(account, stop=lambda: True) as ours:
        assert (alone, ours) == (True, False)


def test_there_must_be_an_account_whose_key_is_changed(server: Server, provider: Provider) -> None:
    Account.objects.all().delete()
    for ask in (
        lambda: providers.ask_to_roll(provider, server, by=None),
        lambda: providers.agree_again(provider, server, by=None),
        lambda: providers.ask_to_register_anew(provider, server, agree_terms=True, by=None),
    ):
        with pytest.raises(ProviderProblem, match="no account with “pebble” yet"):
            ask()


@pytest.mark.django_db(transaction=True)
def test_one_thing_at_a_time(account: Account, server: Server) -> None:
    providers.ask_to_roll(account.provider, server, by=None)
    providers.ask_to_roll(account.provider, server, by=None)  # a second click
    with pytest.raises(ProviderProblem, match="Something else") as caught:
        providers.ask_to_register_anew(account.provider, server, agree_terms=True, by=None)
    assert caught.value.code == "busy"
    tasks.carry_out_wish(account.pk)
    tasks.carry_out_wish(account.pk)  # the task came twice
    account.refresh_from_db()
    assert (account.wish, account.problem) == (None, None)
