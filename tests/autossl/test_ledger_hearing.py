"""What a CA's refusal stops, by its words: a row a case. The words are hostile text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel import ca
from autossl_panel.autossl.ledger import Asked, Kind, digest, scopes
from autossl_panel.ca import errors

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
AT = NOW.timestamp()
HOUR, MONTH = 3600.0, 31 * 86400.0
NAMES = ("a.com", "www.a.com", "shop.b.co.uk")
WHOLE = digest(NAMES)
ACCOUNT, OTHER = Asked.NEW_ACCOUNT, Asked.OTHER
PAUSE = (
    "Your account is temporarily prevented from requesting certificates for {} and possibly others. "
    "Please visit: https://portal.example/sfe/v1/unpause?jwt=e30.e30.sig"
)


def problem(
    detail: str,
    kind: ca.ProblemKind = ca.ProblemKind.RATE,
    *,
    retry_after: datetime | None = None,
    parts: tuple[tuple[str, str], ...] = (),
) -> ca.CaProblem:
    subproblems = tuple(
        ca.SubProblem(name, "urn:ietf:params:acme:error:rateLimited", said, ca.ProblemKind.RATE) for name, said in parts
    )
    return ca.CaProblem(kind, type="x", detail=detail, retry_after=retry_after, subproblems=subproblems)


ROWS: list[tuple[str, str, Asked, list[tuple[Kind, str]]]] = [
    (
        "orders",
        "too many new orders (300) from this account in the last 3h0m0s, retry after 2027-03-01 12:30:00 UTC: see x",
        Asked.NEW_ORDER,
        [(Kind.ORDERS, "")],
    ),
    ("orders-before", "Error creating new order :: too many new orders recently", Asked.NEW_ORDER, [(Kind.ORDERS, "")]),
    (
        "domain",
        'too many certificates (50) already issued for "b.co.uk" in the last 168h0m0s, retry after x',
        Asked.NEW_ORDER,
        [(Kind.DOMAIN, "b.co.uk")],
    ),
    (
        "domain-before",
        "Error creating new cert :: Too many certificates already issued for: a.com",
        Asked.NEW_ORDER,
        [(Kind.DOMAIN, "a.com")],
    ),
    (
        "domains-without-names",
        "too many certificates already issued for multiple names (a.com and 1 others)",
        Asked.NEW_ORDER,
        [(Kind.DOMAIN, "a.com"), (Kind.DOMAIN, "b.co.uk")],
    ),
    (
        "domain-of-nobody-here",
        'too many certificates (50) already issued for "victim.org"',
        Asked.NEW_ORDER,
        [(Kind.DOMAIN, "a.com"), (Kind.DOMAIN, "b.co.uk")],
    ),
    (
        "set",
        "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
        Asked.NEW_ORDER,
        [(Kind.SET, WHOLE)],
    ),
    (
        "set-before",
        "too many certificates (5) already issued for this exact set of domains in the last 168h0m0s",
        Asked.NEW_ORDER,
        [(Kind.SET, WHOLE)],
    ),
    (
        "set-long-before",
        "too many certificates already issued for exact set of domains: a.com,www.a.com: see x",
        Asked.NEW_ORDER,
        [(Kind.SET, WHOLE)],
    ),
    (
        "failures",
        'too many failed authorizations (5) for "www.a.com" in the last 1h0m0s, retry after x',
        Asked.NEW_ORDER,
        [(Kind.FAILURES, "www.a.com")],
    ),
    (
        "failures-without-a-name",
        "Error creating new order :: too many failed authorizations recently: see x",
        Asked.NEW_ORDER,
        [(Kind.FAILURES, name) for name in NAMES],
    ),
    ("paused", PAUSE.format("shop.b.co.uk"), Asked.NEW_ORDER, [(Kind.CONSECUTIVE, "shop.b.co.uk")]),
    (
        "several-paused",
        PAUSE.format("a.com, other.org, WWW.A.com"),
        Asked.NEW_ORDER,
        [(Kind.CONSECUTIVE, "a.com"), (Kind.CONSECUTIVE, "www.a.com")],
    ),
    ("paused-without-a-name", PAUSE.format("?"), Asked.NEW_ORDER, [(Kind.CONSECUTIVE, name) for name in NAMES]),
    (
        "registrations",
        "too many new registrations (10) from this IP address in the last 3h0m0s, retry after x",
        ACCOUNT,
        [(Kind.REGISTRATIONS, "")],
    ),
    ("registrations-before", "too many registrations for this IP range", ACCOUNT, [(Kind.REGISTRATIONS, "")]),
    ("pending", "too many currently pending authorizations", Asked.NEW_ORDER, [(Kind.ACCOUNT, "")]),
    ("busy", "Service busy; retry later.", Asked.NEW_ORDER, [(Kind.REQUESTS, "")]),
    (
        "too-many-requests",
        "ca.example answered 429 Too Many Requests without saying why.",
        OTHER,
        [(Kind.REQUESTS, "")],
    ),
    ("order-without-words", "Quota exceeded.", Asked.NEW_ORDER, [(Kind.ACCOUNT, "")]),
    ("account-without-words", "Quota exceeded.", ACCOUNT, [(Kind.REGISTRATIONS, "")]),
    ("else-without-words", "Quota exceeded.", OTHER, [(Kind.REQUESTS, "")]),
]


@pytest.mark.parametrize(("detail", "asked", "stops"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_words(detail: str, asked: Asked, stops: list[tuple[Kind, str]]) -> None:
    found = scopes(problem(detail), asked, NAMES, AT)
    assert [(scope.kind, scope.subject) for scope in found] == stops


def test_429_without_a_document_is_of_requests_unless_it_was_an_order() -> None:
    blank = errors.from_response("ca.example", 429, b"<html>", until=None)
    assert [scope.kind for scope in scopes(blank, Asked.OTHER, (), AT)] == [Kind.REQUESTS]
    assert [scope.kind for scope in scopes(blank, Asked.NEW_ORDER, NAMES, AT)] == [Kind.ACCOUNT]


def test_parts_say_it_of_their_names() -> None:
    limit = 'too many certificates (50) already issued for "b.co.uk"'
    whole = problem("too many certificates already issued", parts=(("shop.b.co.uk", limit), ("x.org", limit)))
    assert [(scope.kind, scope.subject, scope.detail) for scope in scopes(whole, Asked.NEW_ORDER, NAMES, AT)] == [
        (Kind.DOMAIN, "b.co.uk", limit)
    ]
    silent = problem("too many failed authorizations", parts=(("a.com", ""),))
    assert [(scope.kind, scope.subject) for scope in scopes(silent, Asked.NEW_ORDER, NAMES, AT)] == [
        (Kind.FAILURES, "a.com")
    ]
    mixed = problem("Slow down", parts=(("a.com", "whatever"),))
    assert [scope.kind for scope in scopes(mixed, Asked.NEW_ORDER, NAMES, AT)] == [Kind.ACCOUNT]


@pytest.mark.parametrize(
    ("detail", "retry_after", "until"),
    [
        ("too many new orders", NOW + timedelta(minutes=9), AT + 540),
        ("too many new orders, retry after 2027-03-01 12:30:00 UTC", NOW + timedelta(minutes=9), AT + 540),
        ("too many new orders, retry after 2027-03-01 12:30:00 UTC", None, AT + 1800),
        ("too many new orders, retry after 2027-03-01T12:30:00Z", None, AT + 1800),
        ("too many new orders", None, AT + HOUR),
        ("too many new orders, retry after 2027-13-41 99:30:00 UTC", None, AT + HOUR),
        ("too many new orders, retry after 2020-01-01 00:00:00 UTC", None, AT + HOUR),
        ("too many new orders, retry after 2999-01-01 00:00:00 UTC", None, AT + MONTH),
        ("too many new orders", NOW + timedelta(days=900), AT + MONTH),
        ("too many new orders", NOW - timedelta(days=1), AT + 1),
        ("service busy", None, AT + 600),
    ],
)
def test_until(detail: str, retry_after: datetime | None, until: float) -> None:
    [scope] = scopes(problem(detail, retry_after=retry_after), Asked.NEW_ORDER, NAMES, AT)
    assert scope.until == until


def test_a_pause_lasts_until_a_person_acts_and_keeps_its_link() -> None:
    [scope] = scopes(problem(PAUSE.format("a.com"), retry_after=NOW), Asked.NEW_ORDER, NAMES, AT)
    assert (scope.until, scope.url) == (None, "https://portal.example/sfe/v1/unpause?jwt=e30.e30.sig")
    for text in ("javascript:alert(1)", "ftp://x.example/", "", "https://"):
        said = PAUSE.replace("https://portal.example/sfe/v1/unpause?jwt=e30.e30.sig", text).format("a.com")
        assert scopes(problem(said), Asked.NEW_ORDER, NAMES, AT)[0].url == ""


def test_what_is_no_limit_stops_nothing() -> None:
    for kind in ca.ProblemKind:
        found = scopes(problem("too many new orders", kind), Asked.NEW_ORDER, NAMES, AT)
        assert bool(found) == (kind is ca.ProblemKind.RATE)
    busy = problem("Overloaded", ca.ProblemKind.SERVER, retry_after=NOW + timedelta(minutes=5))
    [scope] = scopes(busy, Asked.NEW_ORDER, NAMES, AT)
    assert (scope.kind, scope.until) == (Kind.REQUESTS, AT + 300)


@settings(deadline=None)
@given(
    st.one_of(st.text(max_size=2500), st.sampled_from([row[1] for row in ROWS]).flatmap(lambda t: st.just(t * 40))),
    st.sampled_from(Asked),
    st.lists(st.sampled_from(NAMES), unique=True),
)
def test_whatever_it_says_only_what_was_asked_for_is_stopped(detail: str, asked: Asked, names: list[str]) -> None:
    for scope in scopes(problem(errors.clean(detail)), asked, names, AT):
        ours = {"", digest(names), *names, "a.com", "b.co.uk"}
        assert scope.subject in ours
        assert scope.until is None or AT < scope.until <= AT + MONTH
        assert len(scope.detail) <= 500
        assert scope.url == "" or scope.url.startswith(("http://", "https://"))
