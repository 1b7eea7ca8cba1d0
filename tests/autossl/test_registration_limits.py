"""Requests that belong to no order keep to the CA's limits, too: accounts are counted, and all requests are paced."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.autossl import limits, pacing, providers, registration, revocation, revoking
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.ledger import registration as registration_wish
from autossl_panel.autossl.models import Account, AccountStatus, Bucket, Provider
from autossl_panel.hosting.models import Server
from tests.autossl.limits_rows import HOUR, names_of, row
from tests.ca.authority import MiniCa
from tests.ca.rogue import Asked, Reply, RogueCa, answer, problem
from tests.support.listing import ListingCa

pytestmark = pytest.mark.django_db


@pytest.fixture
def rogue(tmp_path: Path, settings: Any) -> Iterator[RogueCa]:
    settings.AUTOSSL_STATE_DIR = tmp_path
    limits.stops.look_again()
    with RogueCa(MiniCa(tmp_path)) as running:
        yield running


@pytest.fixture
def account(rogue: RogueCa, server: Server, tmp_path: Path) -> Account:
    """Asked for at a CA that allows two accounts in three hours; of them one is used."""
    wish = providers.Draft(
        name="rogue", directory_url=f"{rogue.url}/dir", ca_bundle=(tmp_path / "bundle.pem").read_text(), private_ca=True
    )
    provider = registration.probe(providers.draft(wish, by=None, ring=False))
    Provider.objects.filter(pk=provider.pk).update(limits=[row("registrations", 2, 3 * HOUR)])
    provider.refresh_from_db()
    return providers.ask_to_use(provider, server, agree_terms=True, by=None, ring=False)


def unknown(rogue: RogueCa) -> bytes:
    return problem(400, "accountDoesNotExist", headers=rogue.nonce())


def registered(account: Account, rogue: RogueCa) -> None:
    made = answer(201, {"status": "valid"}, Location=f"{rogue.url}/account/1", **rogue.nonce())
    rogue.script("/account", lambda asked: unknown(rogue), lambda asked: made)
    assert registration.register(account).status == AccountStatus.VALID


def test_a_new_account_takes_a_permit_and_an_old_one_none(account: Account, rogue: RogueCa) -> None:
    made = answer(201, {"status": "valid"}, Location=f"{rogue.url}/account/1", **rogue.nonce())
    rogue.script("/account", lambda asked: unknown(rogue), lambda asked: made, lambda asked: made)
    assert registration.register(account).status == AccountStatus.VALID
    assert names_of("registrations") == {"": 1}
    # The key's account is found again: nothing is made, nothing counted.
    assert registration.register(account).status == AccountStatus.VALID
    assert names_of("registrations") == {"": 1}


def test_without_a_permit_nothing_is_asked_for_and_the_row_says_when(account: Account, rogue: RogueCa) -> None:
    rogue.script("/account", lambda asked: unknown(rogue), lambda asked: problem(500, "serverInternal", headers={}))
    registration.register(account)
    sent = len(rogue.posts("/account"))
    rogue.script("/account", lambda asked: unknown(rogue))
    found = registration.register(account)
    assert len(rogue.posts("/account")) == sent + 1
    assert found.status == AccountStatus.REFUSED
    assert found.problem is not None
    assert found.problem["text"].startswith("rogue: new accounts from this server: 1 of 1 used. The next is possible")


def test_a_refusal_of_the_ca_is_kept(account: Account, rogue: RogueCa) -> None:
    refused = problem(429, "rateLimited", "too many new registrations", headers={"Retry-After": "7200"})
    rogue.script("/account", lambda asked: unknown(rogue), lambda asked: refused)
    assert registration.register(account).status == AccountStatus.REFUSED
    held = Bucket.objects.get(kind=Kind.REGISTRATIONS)
    assert held.blocked_until is not None
    assert held.blocked_detail == "too many new registrations"


def of_all_requests() -> Bucket | None:
    return Bucket.objects.filter(kind=Kind.REQUESTS, blocked_until__isnull=False).first()


def often(rogue: RogueCa) -> Callable[[Asked], Reply]:
    return lambda asked: problem(429, "rateLimited", "Not so fast.", headers={"Retry-After": "7200", **rogue.nonce()})


def test_a_refusal_of_what_is_no_order_holds_all_requests(
    account: Account, rogue: RogueCa, make_user: Any, make_site: Any, make_installed: Any
) -> None:
    registered(account, rogue)
    rogue.script("/revoke", often(rogue))
    certificate = make_installed(
        make_site(make_user("amber"), "amber.example"), "amber.example",
        provider=account.provider, account=account, pem=ListingCa().chain("amber.example").decode(),
    )  # fmt: skip
    revoking.carry_out(revocation.ask(certificate, "superseded", by=None))
    held = of_all_requests()
    assert held is not None
    assert held.blocked_detail == "Not so fast."
    sent = len(rogue.asked)
    with closing(registration.client(account)) as client, pytest.raises(ca.CaProblem, match="left alone"):
        client.freshen()
    assert len(rogue.asked) == sent, "nobody asks in the meantime"


def test_so_does_one_of_the_accounts_own_matters(account: Account, rogue: RogueCa) -> None:
    registered(account, rogue)
    rogue.script("/account/1", often(rogue))
    registration.carry_out(providers.agree_again(account.provider, account.server, by=None, ring=False))
    assert of_all_requests() is not None


def test_every_client_and_reader_passes_the_providers_gate(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = account.provider
    passed: list[pacing.Pace] = []
    monkeypatch.setattr(pacing.Pace, "_pass", lambda gate: passed.append(gate) or 0.0)
    Provider.objects.filter(pk=provider.pk).update(limits=[row("requests", 1000, 1)])
    provider.refresh_from_db()
    registration.probe(provider)
    with registration.reader(provider) as reader, pytest.raises(ca.CaProblem):
        reader.renewal_info("aki.serial")
    registration.keys.made(account)
    account.refresh_from_db()
    with closing(registration.client(account)) as client:
        client.freshen()
    # The directory by the probe; by the reader what it asks for; by the client a nonce
    assert len(passed) >= 3
    assert set(passed) == {pacing.pace(provider)}


def test_a_new_account_in_place_of_the_old_one_is_counted_and_stays_so(
    account: Account, rogue: RogueCa, server: Server
) -> None:
    registered(account, rogue)
    Provider.objects.update(limits=[row("registrations", 10, 3 * HOUR)])
    asked = providers.ask_to_register_anew(account.provider, server, agree_terms=True, by=None, ring=False)
    made = answer(201, {"status": "valid"}, Location=f"{rogue.url}/account/2", **rogue.nonce())
    rogue.script("/account", lambda asked: unknown(rogue), lambda asked: made)
    assert registration.carry_out(asked)
    found = Account.objects.select_related("provider").get()
    assert (found.url, found.ledger_count, found.ledger_spent_at) == (f"{rogue.url}/account/2", 2, None)
    # Nothing is taken for lost, whoever looks next.
    assert isinstance(limits.take(found, registration_wish(), now=timezone.now()), limits.Permit)
    found.refresh_from_db()
    assert (found.ledger_count, found.ledger_lost) == (3, None)
