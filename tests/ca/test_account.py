"""Account keys, registration, terms and external account binding."""

import json
from collections.abc import Iterator

import pytest
from acme import jws
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from josepy.json_util import encode_b64jose
from josepy.jwk import JWK

from autossl_panel.ca import CaProblem, Client, ProblemKind, new_account_key, thumbprint
from autossl_panel.ca.account import Signer
from tests.ca.authority import EAB_KEYS, Authority, MiniCa
from tests.ca.ordering import prove, wait
from tests.ca.rogue import ACME, Asked, RogueCa, answer, problem

KID, HMAC = next(iter(EAB_KEYS.items()))


@pytest.fixture
def newcomer(pebble: Authority) -> Iterator[Client]:
    with pebble.client(new_account_key()) as client:
        yield client


@pytest.fixture
def bound_newcomer(binding_pebble: Authority) -> Iterator[Client]:
    with binding_pebble.client(new_account_key()) as client:
        yield client


def test_a_new_key_is_p256() -> None:
    key = serialization.load_pem_private_key(new_account_key(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_the_thumbprint_is_josepys() -> None:
    pem = new_account_key()
    expected = JWK.load(pem).thumbprint()
    assert thumbprint(pem) == encode_b64jose(expected)


@pytest.mark.parametrize("with_key", [True, False])
@pytest.mark.parametrize("payload", [b"", b'{"csr":"x"}'])
def test_signatures_are_what_the_acme_package_verifies(with_key: bool, payload: bytes) -> None:
    pem = new_account_key()
    signer = Signer(pem, "https://ca.example/account/1")
    body = signer.sign(payload, url="https://ca.example/order", nonce="bm9uY2U", with_key=with_key)
    signed = jws.JWS.from_json(json.loads(body))
    assert signed.payload == payload
    assert signed.verify(JWK.load(pem).public_key())
    header = signed.signature.combined
    assert header.url == "https://ca.example/order"
    assert header.nonce == b"nonce"
    assert (header.kid is None) == with_key
    assert (header.jwk is None) != with_key


@pytest.mark.parametrize(
    ("pem", "words"),
    [
        (b"junk", "cannot be read"),
        (
            rsa.generate_private_key(65537, 2048).private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            "no P-256",
        ),
    ],
)
def test_other_keys_are_refused(pem: bytes, words: str) -> None:
    with pytest.raises(CaProblem, match=words) as caught:
        thumbprint(pem)
    assert caught.value.kind is ProblemKind.ACCOUNT


def test_registers_and_finds_the_same_account_again(pebble: Authority) -> None:
    key = new_account_key()
    with pebble.client(key) as first:
        url = first.register(contact=["admin@example.com"], agree_terms=True)
        assert first.account_url == url
    with pebble.client(key) as second:
        assert second.register(agree_terms=True) == url


def test_terms_not_agreed_to_are_a_problem_before_anything_is_sent(newcomer: Client) -> None:
    with pytest.raises(CaProblem) as caught:
        newcomer.register(agree_terms=False)
    assert caught.value.kind is ProblemKind.TERMS
    assert "Do%20what%20thou%20wilt" in caught.value.detail
    assert newcomer.requests <= 1  # the directory, when no test before has read it


def test_a_contact_the_ca_refuses(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client(account=None) as client:
        ca.say("/account", 400, {"type": ACME + "invalidContact", "detail": "contact refused"})
        with pytest.raises(CaProblem, match="contact refused") as caught:
            client.register(contact=["a@b"], agree_terms=True)
        assert caught.value.kind is ProblemKind.ACCOUNT
        assert ca.posts("/account")[-1].payload["contact"] == ["mailto:a@b"]


def test_without_registration_nothing_is_sent(newcomer: Client) -> None:
    with pytest.raises(CaProblem, match="register first") as caught:
        newcomer.order("https://127.0.0.1/order")
    assert caught.value.kind is ProblemKind.ACCOUNT
    assert newcomer.requests == 0


def test_an_account_the_ca_does_not_know(pebble: Authority) -> None:
    gone = pebble.directory_url.replace("/dir", "/my-account/77")
    with pebble.client(new_account_key(), gone) as client, pytest.raises(CaProblem) as caught:
        client.new_order(["nobody.example.com"])
    assert caught.value.kind is ProblemKind.ACCOUNT
    assert caught.value.short_type == "accountDoesNotExist"


def test_binds_an_external_account(bound_newcomer: Client) -> None:
    url = bound_newcomer.register(agree_terms=True, eab=(KID, HMAC))
    assert bound_newcomer.new_order(["bound.example.com"]).status == "pending"
    # The binding may have served its one time: the account is found again without.
    assert bound_newcomer.register(agree_terms=True) == url


def test_the_hmac_key_may_come_padded_or_with_spaces(bound_newcomer: Client) -> None:
    assert bound_newcomer.register(agree_terms=True, eab=(f" {KID}", f" {HMAC[:20]}\n{HMAC[20:]}== "))


def test_a_missing_binding_is_a_problem(bound_newcomer: Client) -> None:
    with pytest.raises(CaProblem, match="external account binding") as caught:
        bound_newcomer.register(agree_terms=True)
    assert caught.value.kind is ProblemKind.EAB


@pytest.mark.parametrize("eab", [(KID, "not base64!"), (KID, ""), ("", HMAC), (" ", HMAC)])
def test_an_unreadable_binding_is_a_problem(bound_newcomer: Client, eab: tuple[str, str]) -> None:
    with pytest.raises(CaProblem) as caught:
        bound_newcomer.register(agree_terms=True, eab=eab)
    assert caught.value.kind is ProblemKind.EAB


@pytest.mark.parametrize("eab", [("kid-unknown", HMAC), (KID, HMAC[::-1])])
def test_a_binding_the_ca_refuses(bound_newcomer: Client, eab: tuple[str, str]) -> None:
    with pytest.raises(CaProblem) as caught:
        bound_newcomer.register(agree_terms=True, eab=eab)
    assert caught.value.kind is ProblemKind.EAB
    assert caught.value.status is not None
    assert bound_newcomer.account_url is None


def test_a_deactivated_account_is_account_trouble(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/order", 403, {"type": ACME + "unauthorized", "detail": "Account is deactivated"})
        with pytest.raises(CaProblem, match="deactivated") as caught:
            client.new_order(["a.example.com"])
    assert caught.value.kind is ProblemKind.ACCOUNT


def test_trouble_while_looking_for_the_account_is_not_taken_for_no(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client(account=None) as client:
        ca.say("/account", 503, b"busy")
        with pytest.raises(CaProblem) as caught:
            client.register(agree_terms=True)
        assert caught.value.kind is ProblemKind.SERVER
        assert len(ca.posts("/account")) == 1


def test_new_terms_are_a_terms_problem(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", lambda asked: problem(403, "userActionRequired", "New terms.", headers=ca.nonce()))
        with pytest.raises(CaProblem, match="New terms") as caught:
            client.new_order(["a.example.com"])
    assert caught.value.kind is ProblemKind.TERMS


def test_an_account_without_an_address_is_a_fault_of_the_server(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client(account=None) as client:
        ca.script("/account", lambda asked: answer(201, {}, **ca.nonce()))
        with pytest.raises(CaProblem, match="did not say where") as caught:
            client.register(agree_terms=True)
    assert caught.value.kind is ProblemKind.SERVER


def test_new_terms_say_where_to_read_them(mini_ca: MiniCa) -> None:
    def refuse(asked: Asked) -> bytes:
        links = '<https://ca.example/dir>;rel="index", <https://ca.example/terms/7>; rel="terms-of-service"'
        return problem(403, "userActionRequired", "New terms.", headers={**ca.nonce(), "Link": links}, **more)

    more: dict[str, str] = {}
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", refuse)
        with pytest.raises(CaProblem) as by_header:
            client.new_order(["a.example.com"])
        more["instance"] = "https://ca.example/agree?account=1"
        with pytest.raises(CaProblem) as by_document:
            client.new_order(["a.example.com"])
    assert by_header.value.link == "https://ca.example/terms/7"
    assert by_document.value.link == by_document.value.copy().link == "https://ca.example/agree?account=1"


def test_an_account_that_is_gone_is_told_apart(pebble: Authority) -> None:
    gone = pebble.directory_url.replace("/dir", "/my-account/77")
    with pebble.client(new_account_key(), gone) as client:
        with pytest.raises(CaProblem) as caught:
            client.update_account(contact=["a@example.com"])
        assert caught.value.account_gone
        assert client.find_account() is None
    with pebble.client(new_account_key()) as client, pytest.raises(CaProblem) as caught:
        client.new_order(["nobody.example.com"])
    assert not caught.value.account_gone


def test_a_key_finds_its_account(pebble: Authority, account: tuple[bytes, str]) -> None:
    with pebble.client(account[0]) as client:
        assert client.find_account() == account[1]


def test_trouble_while_a_key_is_looked_for_is_no_answer(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client(account=None) as client:
        ca.say("/account", 403, {"type": ACME + "unauthorized", "detail": "Account is deactivated"})
        with pytest.raises(CaProblem, match="deactivated"):
            client.find_account()


def test_what_an_account_is_changed_to(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/account/1", 200, {"status": "valid"})
        client.update_account(contact=["admin@example.com", "tel:+1"], agree_terms=True)
        client.update_account(contact=[])
        payloads = [asked.payload for asked in ca.posts("/account/1")]
    assert payloads == [
        {"contact": ["mailto:admin@example.com", "tel:+1"], "termsOfServiceAgreed": True},
        {"contact": []},
    ]


def test_a_contact_is_changed(pebble: Authority) -> None:
    with pebble.client(new_account_key()) as client:
        client.register(contact=["old@example.com"], agree_terms=True)
        client.update_account(contact=["new@example.com"])
        with pytest.raises(CaProblem) as caught:
            client.update_account(contact=["no-address"])
    assert caught.value.kind is ProblemKind.ACCOUNT


def test_a_deactivated_account_takes_no_order(pebble: Authority) -> None:
    with pebble.client(new_account_key()) as client:
        client.register(agree_terms=True)
        client.deactivate_account()
        with pytest.raises(CaProblem) as caught:
            client.new_order(["late.example.com"])
    assert caught.value.kind is ProblemKind.ACCOUNT


def test_a_key_is_changed_and_orders_live_on(pebble: Authority) -> None:
    old, new = new_account_key(), new_account_key()
    with pebble.client(old) as client:
        url = client.register(agree_terms=True)
        order = client.new_order(["rolled.example.com"])
        client.change_key(new)
        # The same client goes on with the new key.
        prove(client, pebble, client.order(order.url))
        assert wait(client, order.url).status == "ready"
    with pebble.client(new) as client:
        assert client.find_account() == url
    with pebble.client(old, url) as client:
        with pytest.raises(CaProblem):
            client.order(order.url)
        assert client.find_account() is None


def test_a_key_of_another_account_is_refused_and_the_old_one_stays(
    pebble: Authority, account: tuple[bytes, str]
) -> None:
    with pebble.client(new_account_key()) as client:
        url = client.register(agree_terms=True)
        with pytest.raises(CaProblem, match="already in use"):
            client.change_key(account[0])
        assert client.find_account() == url


def test_a_key_change_is_signed_by_both_keys(mini_ca: MiniCa) -> None:
    new = new_account_key()
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/key", 200, {})
        client.change_key(new)
        (asked,) = ca.posts("/key")
        inner = jws.JWS.from_json(dict(asked.payload))
        account = f"{ca.url}/account/1"
    assert (asked.protected["kid"], asked.protected["url"]) == (account, f"{ca.url}/key")
    assert inner.verify(JWK.load(new).public_key())
    assert inner.signature.combined.url == f"{ca.url}/key"
    assert not inner.signature.combined.nonce
    payload = json.loads(inner.payload)
    assert payload["account"] == account
    assert set(payload["oldKey"]) == {"crv", "kty", "x", "y"}


def test_a_ca_that_changes_no_keys(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        directory = ca.directory()
        del directory["keyChange"]
        ca.script("/dir", lambda asked: answer(200, directory))
        with pytest.raises(CaProblem, match="lets no account change its key"):
            client.change_key(new_account_key())
