"""Problem documents, Retry-After, and text from outside."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autossl_panel.ca import ProblemKind
from autossl_panel.ca.errors import clean, document, from_document, from_response, kind_of, retry_after
from tests.ca.rogue import ACME

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("0", NOW),
        ("120", NOW + timedelta(minutes=2)),
        (" 120 ", NOW + timedelta(minutes=2)),
        ("99999999999999999999999", NOW + timedelta(days=31)),
        ("Mon, 23 Nov 2026 12:05:00 GMT", NOW + timedelta(minutes=5)),
        ("Mon, 23 Nov 2026 13:05:00 +0100", NOW + timedelta(minutes=5)),
        ("Mon, 23 Nov 2026 12:05:00 -0000", NOW + timedelta(minutes=5)),
        ("Mon, 23 Nov 2026 11:00:00 GMT", NOW),
        ("Mon, 23 Nov 2099 11:00:00 GMT", NOW + timedelta(days=31)),
        ("Mon, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after(value: str | None, expected: datetime | None) -> None:
    moment = retry_after(value, NOW)
    assert moment == expected
    assert moment is None or moment.utcoffset() == timedelta()


def test_retry_after_does_not_depend_on_the_zone_of_now() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    assert retry_after("Mon, 23 Nov 2026 12:05:00 GMT", elsewhere) == NOW + timedelta(minutes=5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("two\r\nlines\t and  more", "two lines and more"),
        ("\x1b[31mred\x1b[0m", "[31mred [0m"),
        ("a\u202egnp.exe\u2066", "a gnp.exe"),
        ("a\u2028b\x00c\ud800d", "a b c d"),
        ("Grüße", "Grüße"),
        ("x" * 3000, "x" * 1999 + "…"),
        (None, ""),
        (["no"], ""),
    ],
)
def test_clean(text: object, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
def test_cleaned_text_is_one_printable_line(text: str) -> None:
    cleaned = clean(text, 50)
    assert len(cleaned) <= 50
    assert cleaned == "" or cleaned.isprintable()
    cleaned.encode()


@pytest.mark.parametrize(
    ("short_type", "kind"),
    [
        ("serverInternal", ProblemKind.SERVER),
        ("rateLimited", ProblemKind.RATE),
        ("connection", ProblemKind.CONNECTION),
        ("tls", ProblemKind.CONNECTION),
        ("unauthorized", ProblemKind.UNAUTHORIZED),
        ("incorrectResponse", ProblemKind.UNAUTHORIZED),
        ("dns", ProblemKind.DNS),
        ("dnssec", ProblemKind.DNS),
        ("caa", ProblemKind.CAA),
        ("rejectedIdentifier", ProblemKind.REJECTED_IDENTIFIER),
        ("unsupportedIdentifier", ProblemKind.REJECTED_IDENTIFIER),
        ("accountDoesNotExist", ProblemKind.ACCOUNT),
        ("userActionRequired", ProblemKind.TERMS),
        ("externalAccountRequired", ProblemKind.EAB),
        ("orderNotReady", ProblemKind.ORDER),
        ("badCSR", ProblemKind.ORDER),
        ("alreadyReplaced", ProblemKind.ORDER),
        ("badNonce", ProblemKind.BAD_NONCE),
        ("malformed", ProblemKind.MALFORMED),
        ("invented2030", ProblemKind.OTHER),
    ],
)
def test_kinds(short_type: str, kind: ProblemKind) -> None:
    assert kind_of(ACME + short_type) is kind
    assert kind_of(short_type) is ProblemKind.OTHER


def test_subproblems_keep_names_types_and_words() -> None:
    problem = from_document(
        {
            "type": ACME + "compound",
            "detail": "Two names\nare refused",
            "subproblems": [
                {
                    "type": ACME + "caa",
                    "detail": "forbidden\x07",
                    "identifier": {"type": "dns", "value": "a.example.com"},
                },
                {"type": ACME + "dns", "detail": "x" * 900, "identifier": {"type": "new", "value": "b.example.com"}},
                "junk",
                {"identifier": "junk"},
            ],
        },
        status=403,
    )
    assert problem.kind is ProblemKind.CAA
    assert problem.status == 403
    assert problem.detail == "Two names are refused"
    assert [part.identifier for part in problem.subproblems] == ["a.example.com", "b.example.com", ""]
    assert [part.kind for part in problem.subproblems] == [ProblemKind.CAA, ProblemKind.DNS, ProblemKind.OTHER]
    assert problem.subproblems[0].detail == "forbidden"
    assert len(problem.subproblems[1].detail) == 500


def test_a_hostile_problem_document() -> None:
    problem = from_document(
        {"type": "javascript:alert(1)\n", "detail": {"a": 1}, "title": "T\u0000itle", "status": True}
    )
    assert problem.type == "about:blank"
    assert problem.detail == "T itle"
    assert problem.status is None
    assert problem.kind is ProblemKind.OTHER
    assert str(problem) == "T itle"


def test_a_problem_without_words_says_so() -> None:
    assert from_document({}).detail == "The CA gave no reason."


_junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "detail", "status", "subproblems", "identifier", "value"]), inner)
    ),
    max_leaves=20,
)


@given(_junk)
def test_no_problem_document_raises(fields: object) -> None:
    problem = from_document(fields)
    assert problem.detail
    assert problem.kind in ProblemKind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, ProblemKind.RATE),
        (500, ProblemKind.SERVER),
        (503, ProblemKind.SERVER),
        (599, ProblemKind.SERVER),
        (403, ProblemKind.OTHER),
        (302, ProblemKind.OTHER),
    ],
)
def test_an_answer_without_a_problem_document(status: int, kind: ProblemKind) -> None:
    problem = from_response("ca.example", status, b"<html>", until=NOW)
    assert problem.kind is kind
    assert problem.status == status
    assert problem.retry_after == NOW
    assert problem.detail.startswith(f"ca.example answered {status}")


def test_a_new_type_is_judged_by_its_status() -> None:
    body = b'{"type": "urn:ietf:params:acme:error:invented2030", "detail": "Slow down"}'
    assert from_response("ca.example", 429, body, until=None).kind is ProblemKind.RATE
    assert from_response("ca.example", 503, body, until=None).kind is ProblemKind.SERVER
    assert from_response("ca.example", 400, body, until=None).kind is ProblemKind.OTHER


@pytest.mark.parametrize("body", [b"", b"[1]", b'"text"', b"\xff\xfe", b"[" * 100000])
def test_what_is_no_json_object(body: bytes) -> None:
    assert document(body) is None
