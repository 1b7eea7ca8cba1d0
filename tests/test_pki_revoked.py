"""Lists of revoked certificates: which are believed, and what they say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509

from autossl_panel import pki
from tests.support.listing import ListingCa

URL = "http://ca.example/1.crl"
NOW = datetime.now(UTC)
Reason = x509.ReasonFlags


@pytest.fixture(scope="module")
def authority() -> ListingCa:
    return ListingCa()


@pytest.fixture(scope="module")
def chain(authority: ListingCa) -> bytes:
    return authority.chain("a.example", points=(URL,))


def read(data: bytes, chain: bytes, **more: Any) -> pki.RevokedList:
    return pki.read_list(data, **{"chain_pem": chain, "url": URL, "now": datetime.now(UTC), **more})


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((URL,), URL),
        (("https://ca.example/2.crl?x=1",), "https://ca.example/2.crl?x=1"),
        (("ldap://ca.example/cn=x", URL), URL),
        (("ldap://ca.example/cn=x",), ""),
        (("http://ca.example/a b",), ""),
        (("http://ca.example/" + "x" * 600,), ""),
        ((), ""),
    ],
)
def test_where_a_certificates_list_is(authority: ListingCa, points: tuple[str, ...], expected: str) -> None:
    assert pki.read_chain(authority.chain("a.example", points=points)).crl_url == expected


@pytest.mark.parametrize(
    ("reason", "number"),
    [(None, 0), (Reason.key_compromise, 1), (Reason.superseded, 4), (Reason.cessation_of_operation, 5)],
)
@pytest.mark.parametrize("pem", [True, False])
def test_what_is_on_a_list(authority: ListingCa, chain: bytes, reason: Reason | None, number: int, pem: bool) -> None:
    serial = pki.read_chain(chain).serial
    data = authority.revocations({serial: reason, "abc": None}, place=URL, pem=pem)
    found = read(data, chain)
    entry = found.find(serial)
    assert entry is not None
    assert entry.reason == number
    assert timedelta(0) < datetime.now(UTC) - entry.at < timedelta(minutes=10)
    assert found.find("abcd") is None
    assert found.next_update is not None
    assert found.next_update > datetime.now(UTC)


def test_what_was_taken_off_a_list_is_not_on_it(authority: ListingCa, chain: bytes) -> None:
    serial = pki.read_chain(chain).serial
    assert read(authority.revocations({serial: Reason.remove_from_crl}), chain).find(serial) is None


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"hours": 0.01}, "dates"),
        ({"since": NOW + timedelta(hours=1)}, "dates"),
        ({"place": "http://ca.example/2.crl"}, "scope"),
        ({"place": URL, "only_contains_ca_certs": True}, "scope"),
        ({"only_contains_attribute_certs": True}, "scope"),
        ({"indirect_crl": True}, "scope"),
        ({"name": x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Another")])}, "signature"),
    ],
)
def test_a_list_that_says_nothing_of_it(authority: ListingCa, chain: bytes, more: dict[str, Any], code: str) -> None:
    with pytest.raises(pki.ListProblem) as caught:
        read(authority.revocations({}, **more), chain)
    assert caught.value.code == code


def test_a_list_that_another_signed(chain: bytes) -> None:
    with pytest.raises(pki.ListProblem, match="not signed by the issuer"):
        read(ListingCa().revocations({pki.read_chain(chain).serial: None}), chain)


def test_an_issuer_that_may_sign_no_lists() -> None:
    authority = ListingCa(crl_sign=False)
    with pytest.raises(pki.ListProblem) as caught:
        read(authority.revocations({}), authority.chain("a.example"))
    assert caught.value.code == "signature"


@pytest.mark.parametrize("data", [b"", b"<html>", b"-----BEGIN X509 CRL-----\nAA==\n-----END X509 CRL-----\n"])
def test_what_is_no_list(chain: bytes, data: bytes) -> None:
    with pytest.raises(pki.ListProblem) as caught:
        read(data, chain)
    assert caught.value.code == "unreadable"


def test_without_its_issuer_no_list_is_believed(authority: ListingCa) -> None:
    for chain in (authority.chain("a.example", whole=False), b"junk", b""):
        with pytest.raises(pki.ListProblem) as caught:
            read(authority.revocations({}), chain)
        assert caught.value.code == "no_issuer"
    forged = ListingCa().chain("a.example", whole=False) + authority.chain("b.example").partition(b"END")[2]
    with pytest.raises(pki.ListProblem):
        read(authority.revocations({}), forged)
