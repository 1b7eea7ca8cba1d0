"""An account made anew at a real CA, where its key is lost; what commands say of keys and accounts."""

from __future__ import annotations

import io
from contextlib import closing

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.autossl import providers, registration
from autossl_panel.autossl.models import Account, AccountStatus, Certificate, Job, Order, Provider, Run
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.registration import keys
from autossl_panel.autossl.registration.keys import Next
from autossl_panel.hosting.models import Server, VirtualHost
from tests.autossl.registration.world import Make, works

pytestmark = pytest.mark.django_db


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
        (("register-anew", "pebble"), 2, "--agree-tos: “pebble” registers only those who agree"),
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
