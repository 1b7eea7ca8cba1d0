"""Accounts at a real CA: registered, their key changed at every moment of a crash, registered anew, terms agreed to."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.autossl import choices, providers, registration, tasks
from autossl_panel.autossl.jobs.calling import Caller
from autossl_panel.autossl.models import Account, AccountStatus, Certificate, Job, Order, Provider, ProviderState, Run
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.registration import keys
from autossl_panel.autossl.registration.directories import LOST_AFTER
from autossl_panel.autossl.registration.keys import Next
from autossl_panel.autossl.registration.settling import UNDER_WAY
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people.models import AuditEntry, User
from tests.ca.authority import Authority, MiniCa, authority
from tests.ca.rogue import RogueCa, answer

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def pebble(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    with authority(MiniCa(tmp_path_factory.mktemp("as"))) as running:
        yield running


@pytest.fixture(autouse=True)
def state_dir(settings: Any, tmp_path: Path) -> Path:
    settings.AUTOSSL_STATE_DIR = tmp_path
    return tmp_path


@pytest.fixture
def account(server: Server, pebble: Authority) -> Account:
    """Registered at Pebble."""
    wish = providers.Draft(
        name="pebble", directory_url=pebble.directory_url, ca_bundle=pebble.bundle.read_text(), private_ca=True
    )
    row = registration.probe(providers.draft(wish, by=None, ring=False))
    assert row.state == ProviderState.READY
    found = registration.register(
        providers.ask_to_use(row, server, agree_terms=True, contact="a@example.com", by=None, ring=False)
    )
    assert (found.status, found.problem) == (AccountStatus.VALID, None)
    assert found.registered_at is not None
    return found


def order_url(account: Account, name: str = "kept.example.com") -> str:
    with closing(registration.client(account)) as client:
        return client.new_order([name]).url


def works(account: Account, url: str = "") -> bool:
    """Whether the CA takes what is signed for the account, and knows this order of it."""
    with closing(registration.client(account)) as client:
        return client.order(url or client.new_order(["again.example.com"]).url).status == "pending"


# --- asked for, and done ---------------------------------------------------------------------------------------------


def test_how_fast_the_directory_answered_is_noted_and_that_it_did_not(account: Account, server: Server) -> None:
    answer = account.provider.answer
    assert answer is not None
    assert answer["text"] == ""
    assert 0 <= answer["ms"] < 30_000
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir", checked_at=None)
    now = timezone.now()
    registration.look_again(server, now)
    row = Provider.objects.get(pk=account.provider_id)
    assert row.state == ProviderState.READY, "that it is down shows where something is ordered"
    assert row.answer is not None
    assert (row.answer["at"], row.answer["ms"]) == (now.isoformat(), None)
    assert "127.0.0.1" in row.answer["text"]


def test_a_provider_that_is_only_registered_with_leaves_the_one_in_use(account: Account, server: Server) -> None:
    first = account.provider
    wish = providers.Draft("second", first.directory_url, ca_bundle=first.ca_bundle, private_ca=True)
    second = registration.probe(providers.draft(wish, by=None, ring=False))
    asked = providers.ask_to_use(second, server, agree_terms=True, by=None, ring=False, use=False)
    done = registration.register(asked)
    assert (done.status, bool(done.url)) == (AccountStatus.VALID, True)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.active, second.active) == (True, False)
    choices.set_fallbacks([second], by=None)
    registration.register(providers.ask_to_use(second, server, agree_terms=True, by=None, ring=False))
    second.refresh_from_db()
    assert second.active


def test_what_a_worker_took_with_it_when_it_died_is_taken_up(account: Account, server: Server) -> None:
    provider = account.provider
    providers.ask_to_use(provider, server, agree_terms=True, by=None, ring=False)
    providers.check_again(provider, by=None)
    registration.carry_out_all(server)
    assert Provider.objects.get().state == ProviderState.CHECKING, "its worker may still be at it"
    assert Account.objects.get().status == AccountStatus.REGISTERING
    long_ago = timezone.now() - LOST_AFTER
    Provider.objects.update(asked_at=long_ago)
    Account.objects.update(asked_at=long_ago)
    registration.carry_out_all(server)
    assert Provider.objects.get().state == ProviderState.READY
    assert Account.objects.get().status == AccountStatus.VALID


# --- another key -----------------------------------------------------------------------------------------------------


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


def _changed_at_the_ca(account: Account) -> bytes:
    """As a worker that died right after the CA had changed the key: the new one lies beside the old one."""
    new = keys.made(account, Next.ROLLED)
    with closing(registration.client(account)) as client:
        client.change_key(new)
    return new


def test_a_change_that_died_after_the_ca_had_made_it_is_settled_at_the_next_use(account: Account) -> None:
    url, new = order_url(account), _changed_at_the_ca(account)
    assert works(account, url)
    assert keys.path(account).read_bytes() == new
    assert account.thumbprint == ca.thumbprint(new)
    account.refresh_from_db()
    assert account.thumbprint == ca.thumbprint(new)


def test_a_change_that_died_after_the_ca_had_made_it_is_taken_up_as_done(account: Account, server: Server) -> None:
    providers.ask_to_roll(account.provider, server, by=None, ring=False)
    new = _changed_at_the_ca(account)
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
    new = _changed_at_the_ca(account)
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


# --- a new account ---------------------------------------------------------------------------------------------------


Make = Callable[..., Any]


@pytest.fixture
def orders(account: Account, make_user: Make, make_site: Make) -> dict[str, Order]:
    """One open order in each status, and one that is being worked on."""
    user, found = make_user("amber"), {}
    now = timezone.now()
    for status in ("pending", "ready", "processing", "valid", "at work"):
        host: VirtualHost = make_site(user, f"{status.replace(' ', '-')}.example")
        found[status] = Order.objects.create(
            ident=status,
            virtual_host=host,
            provider=account.provider,
            account=account,
            names=[host.name],
            reason="missing",
            key_type="p256",
            created_at=now,
            status="pending" if status == "at work" else status,
        )
    run = Run.objects.create(server=account.server, scope="*", asked_from="command", started_at=now)
    busy = found["at work"]
    Job.objects.create(
        run=run, server=run.server, virtual_host=busy.virtual_host, user=user, action="new", reason="missing",
        job_class=1, state="running", order=busy, queued_at=now,
    )  # fmt: skip
    return found


@pytest.mark.parametrize("lost", [True, False])
def test_a_lost_key_is_replaced_by_a_new_account(
    account: Account, server: Server, orders: dict[str, Order], make_installed: Make, lost: bool
) -> None:
    before, key = account.url, keys.path(account).read_bytes()
    certificate: Certificate = make_installed(
        orders["valid"].virtual_host, "valid.example", provider=account.provider, account=account
    )
    if lost:
        keys.path(account).unlink()
        with pytest.raises(ca.CaProblem, match="Register anew"):
            registration.client(account)
        assert Account.objects.get().problem["code"] == "key_lost"  # type: ignore[index]
    asked = providers.ask_to_register_anew(account.provider, server, agree_terms=True, by=None, ring=False)
    assert registration.carry_out(asked)
    account.refresh_from_db()
    assert account.status == AccountStatus.VALID
    assert (account.wish, account.problem) == (None, None)
    assert account.url != before
    assert keys.path(account).read_bytes() != key
    assert not keys.path(account, Next.ANEW).exists()
    assert works(account)
    closed = set(Order.objects.filter(closed_as="given_up").values_list("ident", flat=True))
    assert closed == {"pending", "ready"}
    certificate.refresh_from_db()
    assert certificate.account is None  # what it replaces is another account's now


def test_a_registration_that_died_before_its_key_was_in_place_is_finished_at_the_next_use(
    account: Account, server: Server
) -> None:
    new = keys.made(account, Next.ANEW)
    with closing(ca.Client(account.provider.directory_url, new, None, ca_bundle=keys.bundle(account.provider))) as one:
        url = one.register(agree_terms=True)
    # Not yet in the rows: the account as it was is used.
    assert works(account)
    Account.objects.update(url=url, thumbprint=ca.thumbprint(new))
    account.refresh_from_db()
    assert works(account)
    assert keys.path(account).read_bytes() == new


def test_a_registration_that_died_at_the_ca_finds_its_account_again(account: Account, server: Server) -> None:
    new = keys.made(account, Next.ANEW)
    with closing(ca.Client(account.provider.directory_url, new, None, ca_bundle=keys.bundle(account.provider))) as one:
        url = one.register(agree_terms=True)
    providers.ask_to_register_anew(account.provider, server, agree_terms=True, by=None, ring=False)
    registration.carry_out_all(server)
    account.refresh_from_db()
    assert account.url == url


def test_a_new_registration_needs_consent_and_binding(account: Account, server: Server) -> None:
    provider = account.provider
    with pytest.raises(ProviderProblem) as caught:
        providers.ask_to_register_anew(provider, server, agree_terms=False, by=None)
    assert caught.value.field == "agree_terms"
    provider.eab_required = True
    with pytest.raises(ProviderProblem) as caught:
        providers.ask_to_register_anew(provider, server, agree_terms=True, by=None)
    assert caught.value.field == "eab_kid"
    assert Account.objects.get().wish is None


def test_a_new_registration_that_the_ca_refuses_says_so_and_loses_nothing(account: Account, server: Server) -> None:
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    key = keys.path(account).read_bytes()
    asked = providers.ask_to_register_anew(account.provider, server, agree_terms=True, by=None, ring=False)
    assert registration.carry_out(asked)
    found = Account.objects.get()
    assert (found.status, found.wish, found.url) == (AccountStatus.REFUSED, None, account.url)
    assert found.problem is not None
    assert "refuses connections" in found.problem["text"]
    assert keys.path(account).read_bytes() == key


# --- contact and terms -----------------------------------------------------------------------------------------------


def test_another_contact_is_told_to_the_ca(account: Account, server: Server) -> None:
    asked = providers.ask_to_use(
        account.provider, server, agree_terms=True, contact="b@example.com", by=None, ring=False
    )
    assert registration.register(asked).problem is None
    assert asked.url == account.url
    asked.contact = "no-address"
    again = registration.register(asked)
    assert again.status == AccountStatus.VALID
    assert again.problem is not None
    assert again.problem["field"] == "contact"


def test_other_terms_are_noticed_when_the_directory_is_read_and_agreed_to(
    account: Account, server: Server, root: User
) -> None:
    agreed = account.terms_url
    Account.objects.update(terms_url="https://ca.example/terms/1", terms_agreed_at=timezone.now())
    registration.probe(account.provider)
    account.refresh_from_db()
    assert account.problem is not None
    assert (account.problem["code"], account.problem["link"]) == ("terms_changed", agreed)
    asked = providers.agree_again(account.provider, server, by=root, ring=False)
    assert (asked.terms_url, asked.problem) == (agreed, None)
    registration.carry_out(asked)
    account.refresh_from_db()
    assert account.wish is None
    assert account.terms_agreed_at is not None
    entry = AuditEntry.objects.get(event="account:agree_terms")
    assert entry.before == {"terms_url": "https://ca.example/terms/1"}
    registration.probe(account.provider)
    account.refresh_from_db()
    assert account.problem is None


def test_directories_of_providers_in_use_are_read_once_a_day(account: Account, server: Server, tmp_path: Path) -> None:
    now = timezone.now()
    row = account.provider
    row.refresh_from_db()
    registration.look_again(server, now)
    row.refresh_from_db()
    assert row.checked_at is not None
    assert row.checked_at < now
    registration.look_again(server, later := now + registration.directories.LOOKED_AT_EVERY)
    row.refresh_from_db()
    assert row.checked_at == later
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    registration.look_again(server, later + registration.directories.LOOKED_AT_EVERY)
    row.refresh_from_db()
    assert (row.state, row.problem, row.checked_at) == (ProviderState.READY, None, later)


@pytest.mark.parametrize("whose", ["user", "feature list"])
def test_so_is_that_of_a_provider_that_only_a_user_or_a_feature_list_has(
    account: Account, make_user: Any, whose: str
) -> None:
    user, row = make_user("amber"), account.provider
    Provider.objects.update(active=False)
    row.refresh_from_db()
    now = row.checked_at + registration.directories.LOOKED_AT_EVERY
    registration.look_again(user.server, now)
    row.refresh_from_db()
    assert row.checked_at < now, "nobody orders from it"
    if whose == "user":
        choices.choose_for_user(user, row, by=None, now=now)
    else:
        choices.choose_for_feature_list(user.feature_list, row, by=None, now=now)
    registration.look_again(user.server, now)
    row.refresh_from_db()
    assert row.checked_at == now


# --- profiles --------------------------------------------------------------------------------------------------------


def test_a_profile_that_is_no_longer_offered_is_told(server: Server, provider: Provider, tmp_path: Path) -> None:
    meta: dict[str, Any] = {"profiles": {"classic": "as ever", "short": "six days"}}
    with RogueCa(MiniCa(tmp_path), meta=meta) as rogue:
        rogue.script("/dir", lambda asked: answer(200, {**rogue.directory(), "meta": meta}))
        provider.directory_url, provider.ca_bundle = f"{rogue.url}/dir", (tmp_path / "bundle.pem").read_text()
        provider.save()
        registration.probe(provider)
        providers.set_profile(provider, "short", by=None)
        registration.probe(provider)
        assert (provider.problem, providers.profile_in_use(provider)) == (None, "short")
        del meta["profiles"]["short"]
        registration.probe(provider)
        assert provider.state == ProviderState.READY
        assert provider.problem is not None
        assert provider.problem["field"] == "profile"
        assert "offers: classic" in provider.problem["text"]
        assert (provider.profile, providers.profile_in_use(provider)) == ("short", "")
        meta["profiles"]["short"] = "again"
        registration.probe(provider)
        assert (provider.problem, providers.profile_in_use(provider)) == (None, "short")


# --- commands --------------------------------------------------------------------------------------------------------


def test_keys_are_changed_and_accounts_made_by_command(account: Account) -> None:
    out = io.StringIO()
    call_command("provider", "roll-key", "pebble", stdout=out)
    account.refresh_from_db()
    key, url = keys.path(account).read_bytes(), account.url
    assert account.thumbprint == ca.thumbprint(key)
    call_command("provider", "register-anew", "pebble", "--agree-tos", stdout=out)
    account.refresh_from_db()
    assert account.url != url
    assert out.getvalue() == f"pebble: {url} has another key\npebble: registered anew as {account.url}\n"
    assert works(account)


@pytest.mark.parametrize(
    ("argv", "status", "says"),
    [
        (("roll-key", "nobody"), 2, "There is no provider “nobody”"),
        (("register-anew", "pebble"), 2, "--agree-tos: “pebble” registers only who agrees"),
        (("roll-key", "letsencrypt"), 2, "There is no account with “Let’s Encrypt” yet"),
        (("profile", "pebble", "short"), 2, "offers no profile “short”"),
    ],
)
def test_a_command_that_cannot_be_done_says_why(
    account: Account, argv: tuple[str, ...], status: int, says: str
) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("provider", *argv)
    assert caught.value.returncode == status
    assert says in str(caught.value)


def test_a_key_in_use_is_changed_later_says_the_command(account: Account, server: Server) -> None:
    providers.ask_to_roll(account.provider, server, by=None, ring=False)
    with keys.in_use(account):
        assert not registration.carry_out(Account.objects.get(), seconds=0)
    assert Account.objects.get().wish is not None


def test_a_profile_that_the_ca_refuses_makes_its_directory_be_read_again(account: Account) -> None:
    Provider.objects.update(profile="short", profiles={"short": ""})
    account.refresh_from_db()
    refused = ca.CaProblem(ca.ProblemKind.ORDER, type="urn:ietf:params:acme:error:invalidProfile", detail="No.")
    registration.heard_problem(account, refused)
    row = Provider.objects.get()
    assert (row.profile, row.profiles, providers.profile_in_use(row)) == ("short", {}, "")
    assert row.problem is not None
    assert row.problem["code"] == "profile_gone"
    assert Account.objects.get().problem is None


def test_a_fallback_whose_directory_did_not_answer_when_it_was_checked_comes_back_by_itself(
    account: Account, server: Server
) -> None:
    provider = account.provider
    choices.set_fallbacks([provider], by=None)
    Provider.objects.update(active=False)
    directory_url = provider.directory_url
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    assert registration.probe(Provider.objects.get()).state == ProviderState.REFUSED
    Provider.objects.update(directory_url=directory_url)
    registration.look_again(server, timezone.now() + timedelta(days=1))
    assert Provider.objects.get().state == ProviderState.READY
    assert Provider.objects.get().problem is None
