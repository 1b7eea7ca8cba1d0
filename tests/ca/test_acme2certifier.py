"""The client against a real ACME server with external account binding, profiles and renewal information.

Found of acme2certifier 0.46: it answers renewalInfo with a window from a set part of the lifetime to the expiry, and
404 for what it did not issue. It takes newOrder with `replaces` (RFC 9773 §5) like any other, neither checks it nor
says it in the order; so a server that accepts or refuses it is played in test_client and test_placing. It registers
nobody without a contact, and here it does not validate challenges: that is Pebble's part.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from autossl_panel import pki
from autossl_panel.ca import CaProblem, Client, ProblemKind, new_account_key, probe
from tests.ca.ordering import csr_der, finish, is_ready, never, soon
from tests.support.acme2certifier import EAB_HMAC, EAB_KID, PROFILES, Acme2Certifier

CONTACT = ["admin@example.com"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme2Certifier]:
    with Acme2Certifier(tmp_path_factory.mktemp("as"), eab=True) as running:
        yield running


@pytest.fixture(scope="module")
def account(authority: Acme2Certifier) -> tuple[bytes, str]:
    key = new_account_key()
    with authority.client(key) as client:
        return key, client.register(contact=CONTACT, agree_terms=True, eab=(EAB_KID, EAB_HMAC))


@pytest.fixture
def client(authority: Acme2Certifier, account: tuple[bytes, str]) -> Iterator[Client]:
    with authority.client(*account) as ready:
        yield ready


@pytest.fixture(scope="module")
def chain(authority: Acme2Certifier, account: tuple[bytes, str]) -> bytes:
    """An issued certificate."""
    with authority.client(*account) as client:
        return issue(client, "a.example", "www.a.example")


def issue(client: Client, *names: str) -> bytes:
    state = client.new_order(names, profile="brief")
    for url in state.authorizations:
        challenge = client.authorization(url).http01
        assert challenge is not None
        client.answer(challenge.url)
    ready = client.poll(state.url, until=is_ready, deadline=soon(), stop=never)
    return finish(client, ready, csr_der(*names))


def test_its_directory(authority: Acme2Certifier) -> None:
    facts = probe(authority.directory_url, ca_bundle=authority.bundle, now=datetime.now(UTC))
    assert facts.eab_required
    assert dict(facts.profiles) == PROFILES
    assert facts.renewal_info == f"https://{authority.address}:{authority.port}/acme/renewal-info"
    assert facts.terms_url == "https://ca.example/terms"
    assert facts.key_change is not None


def test_a_bound_account_orders(client: Client, account: tuple[bytes, str]) -> None:
    assert client.find_account() == account[1]
    assert client.new_order(["bound.example"]).status == "pending"


@pytest.mark.parametrize("eab", [None, ("kid-8", EAB_HMAC), (EAB_KID, EAB_HMAC[::-1])])
def test_without_the_right_binding_there_is_no_account(authority: Acme2Certifier, eab: tuple[str, str] | None) -> None:
    with authority.client(new_account_key()) as client:
        with pytest.raises(CaProblem) as caught:
            client.register(contact=CONTACT, agree_terms=True, eab=eab)
        assert client.account_url is None
    assert caught.value.kind is ProblemKind.EAB


def test_an_order_of_a_profile(client: Client, authority: Acme2Certifier) -> None:
    assert client.new_order(["p.example"], profile="classic").status == "pending"
    assert authority.orders()[-1] == {"identifiers": [{"type": "dns", "value": "p.example"}], "profile": "classic"}
    with pytest.raises(CaProblem) as caught:
        client.new_order(["p.example"], profile="gold")
    assert caught.value.short_type == "invalidProfile"
    assert caught.value.kind is ProblemKind.ORDER


def test_renewal_information(authority: Acme2Certifier, chain: bytes) -> None:
    facts = pki.read_chain(chain)
    with authority.reader() as reader:
        found = reader.renewal_info(facts.ari_id)
        assert reader.requests <= 2
        with pytest.raises(CaProblem) as caught:
            reader.renewal_info(f"{facts.ari_id[:-4]}AAAA")
    lifetime = facts.not_after - facts.not_before
    assert abs(found.start - (facts.not_before + lifetime * 0.85)) < timedelta(minutes=5)
    assert abs(found.end - facts.not_after) < timedelta(minutes=5)
    assert abs(found.next_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=5)
    assert caught.value.status == 404


def test_an_order_that_says_what_it_replaces(client: Client, authority: Acme2Certifier, chain: bytes) -> None:
    ari_id = pki.read_chain(chain).ari_id
    state = client.new_order(["a.example"], replaces=ari_id)
    assert authority.orders()[-1]["replaces"] == ari_id
    assert (state.status, state.replaces) == ("pending", None)  # taken like any other


def test_a_revoked_certificate_is_revoked(client: Client, authority: Acme2Certifier) -> None:
    chain = issue(client, "r.example")
    assert client.revoke(chain, 1)
    assert not client.revoke(chain, 4)


def test_a_key_is_changed(authority: Acme2Certifier) -> None:
    old, new = new_account_key(), new_account_key()
    with authority.client(old) as client:
        url = client.register(contact=CONTACT, agree_terms=True, eab=(EAB_KID, EAB_HMAC))
        client.change_key(new)
        assert client.new_order(["k.example"]).status == "pending"
    with authority.client(new) as client:
        assert client.find_account() == url
    with authority.client(old) as client:
        assert client.find_account() is None
