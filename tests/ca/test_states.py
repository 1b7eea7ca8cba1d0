"""Orders and authorizations as CAs report them, also newer, stranger and hostile ones."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autossl_panel.ca import ProblemKind
from autossl_panel.ca.states import authorization_state, order_state
from tests.ca.rogue import ACME

TOKEN = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
CHALLENGE = {"type": "http-01", "url": "https://ca.example/chall/1", "token": TOKEN, "status": "pending"}
AUTHORIZATION = {
    "status": "pending",
    "expires": "2026-11-30T08:00:00Z",
    "identifier": {"type": "dns", "value": "a.example.com"},
    "challenges": [{"type": "dns-01", "url": "https://ca.example/chall/2", "token": TOKEN}, CHALLENGE],
}


def _authorization(**changes: Any) -> Any:
    return authorization_state("https://ca.example/authz/1", {**AUTHORIZATION, **changes}, thumbprint="thumb")


def _order(**fields: Any) -> Any:
    return order_state("https://ca.example/order/1", fields, retry_after=None)


def test_a_pending_authorization() -> None:
    state = _authorization()
    assert state.identifier == "a.example.com"
    assert state.expires == datetime(2026, 11, 30, 8, tzinfo=UTC)
    assert not state.failed
    assert state.problem is None
    assert state.http01.key_authorization == f"{TOKEN}.thumb"
    assert state.http01.url == "https://ca.example/chall/1"


@pytest.mark.parametrize("status", ["invalid", "deactivated", "expired", "revoked"])
def test_a_silent_failure_is_a_failure(status: str) -> None:
    state = _authorization(status=status)
    assert state.failed
    assert state.problem.kind is ProblemKind.UNAUTHORIZED
    assert status in state.problem.detail


def test_the_problem_of_the_challenge() -> None:
    error = {"type": ACME + "connection", "detail": "Timeout during connect", "status": 400}
    state = _authorization(status="invalid", challenges=[{**CHALLENGE, "status": "invalid", "error": error}])
    assert state.problem.kind is ProblemKind.CONNECTION
    assert state.problem.status == 400
    assert state.http01.problem.detail == "Timeout during connect"


def test_the_problem_of_another_challenge() -> None:
    error = {"type": ACME + "caa", "detail": "forbids"}
    state = _authorization(status="invalid", challenges=[CHALLENGE, {"type": "dns-01", "error": error}])
    assert state.problem.kind is ProblemKind.CAA


def test_unknown_statuses_and_identifier_types_are_kept() -> None:
    state = _authorization(status="pondering", identifier={"type": "onion-v4", "value": "x"}, wildcard=True)
    assert state.status == "pondering"
    assert state.identifier_type == "onion-v4"
    assert state.wildcard
    assert not state.failed
    order = _order(status="pondering", identifiers=[{"type": "ip", "value": "192.0.2.1"}])
    assert order.status == "pondering"
    assert not order.settled
    assert order.names == ("192.0.2.1",)


@pytest.mark.parametrize(
    "token",
    ["../../etc/passwd", "a" * 15, "a" * 129, "a" * 20 + "\n", "a b" * 10, "é" * 20, None, 7, ["x"]],
)
def test_a_token_that_is_none_never_becomes_a_challenge(token: object) -> None:
    state = _authorization(challenges=[{**CHALLENGE, "token": token}])
    assert state.http01 is None
    assert state.problem.kind is ProblemKind.MALFORMED


def test_no_http01_offered() -> None:
    state = _authorization(challenges=[{"type": "dns-01", "token": TOKEN}])
    assert state.http01 is None
    assert state.problem is None


def test_an_order() -> None:
    order = _order(
        status="valid",
        expires="2026-11-30T08:00:00.123456789+01:00",
        authorizations=["https://ca.example/authz/1", "ftp://elsewhere", 5],
        finalize="https://ca.example/fin/1",
        certificate="https://ca.example/cert/1",
        replaces="aki.serial",
    )
    assert order.settled
    assert order.expires == datetime(2026, 11, 30, 7, 0, 0, 123456, tzinfo=UTC)
    assert order.authorizations == ("https://ca.example/authz/1",)
    assert order.certificate == "https://ca.example/cert/1"
    assert order.replaces == "aki.serial"
    assert order.problem is None


def test_an_invalid_order_with_its_error() -> None:
    order = _order(status="invalid", error={"type": ACME + "caa", "detail": "CAA forbids"})
    assert order.settled
    assert order.problem.kind is ProblemKind.CAA


@pytest.mark.parametrize("expires", ["yesterday", "", 5, None, "2" * 100])
def test_a_date_that_is_none(expires: object) -> None:
    assert _order(expires=expires).expires is None


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("https://x/"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "value", "url", "token", "status", "error"]), inner, max_size=4)
    ),
    max_leaves=10,
)
_objects = st.dictionaries(
    st.sampled_from([*AUTHORIZATION, "authorizations", "finalize", "certificate", "error", "identifiers", "wildcard"]),
    _values,
)


@given(_objects)
def test_no_object_raises(fields: dict[str, Any]) -> None:
    assert order_state("https://ca.example/o", fields, retry_after=None).status
    assert authorization_state("https://ca.example/a", fields, thumbprint="t").status
