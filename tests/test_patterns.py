"""Patterns over names: what people may type, and which names they are of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel import names, patterns


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("*.Example.COM.", "*.example.com"),
        ("  dev*  ", "dev*"),
        ("a***b", "a*b"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("BÜ*.example", "bü*.example"),
        ("b?cher.example", "b?cher.example"),
        ("straße*", "straße*"),
        ("*.xn--bcher-kva.example", "*.xn--bcher-kva.example"),
        ("*。example", "*.example"),
        ("my_host.*", "my_host.*"),
        ("*", "*"),
    ],
)
def test_what_people_type_has_one_form(typed: str, kept: str) -> None:
    assert patterns.normalize(typed) == kept
    assert patterns.normalize(kept) == kept


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("", "The pattern is empty"),
        (" . ", "The pattern is empty"),
        ("a b.example", "“ ” cannot be in a domain name"),
        ("dev[0-9].example", "“[” cannot be in a domain name"),
        ("a/b", "“/” cannot"),
        ("a" * 254, "longer than 253 characters"),
        ("ü..example", "is not a domain name"),
        ("a\u0080*", "cannot be a part of a domain name"),
    ],
)
def test_what_is_no_pattern_says_why(typed: str, says: str) -> None:
    with pytest.raises(patterns.PatternProblem) as raised:
        patterns.normalize(typed)
    assert says in raised.value.text


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*.example.com", "www.example.com", True),
        ("*.example.com", "a.b.example.com", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "*.example.com", True),
        ("*example.com", "myexample.com", True),
        ("dev*", "dev.example.com", True),
        ("dev*", "mydev.example.com", False),
        ("*-old.*", "shop-old.example.com", True),
        ("?.example.com", "a.example.com", True),
        ("?.example.com", "ab.example.com", False),
        ("b?cher.example", "xn--bcher-kva.example", True),
        ("bü*", "xn--bcher-kva.example", True),
        ("*.bücher.example", "www.xn--bcher-kva.example", True),
        ("xn--*", "xn--bcher-kva.example", True),
        ("a.example.com", "a.example.com", True),
        ("a.example.com", "axexample.com", False),
        ("*aab", "aaab", True),
        ("a*a", "a", False),
        ("*", "anything.example", True),
    ],
)
def test_which_names_a_pattern_is_of(pattern: str, name: str, expected: bool) -> None:
    pattern = patterns.normalize(pattern)
    assert patterns.matches(pattern, name) is expected
    assert (patterns.Matcher([pattern]).of(name) == 0) is expected


def test_many_at_once_give_the_first_that_matches() -> None:
    matcher = patterns.Matcher(["www.b.example", "*.a.example", "*.example", "c.example", "bü*"])
    found = [matcher.of(name) for name in ("x.a.example", "x.b.example", "www.b.example", "c.example", "c.test")]
    assert found == [1, 2, 0, 2, None]
    assert matcher.of("xn--bcher-kva.test") == 4
    assert patterns.Matcher([]).of("a.example") is None
    assert patterns.Matcher(["a.example"]).of("b.example") is None


def by_hand(pattern: str, name: str) -> bool:
    """The same by the textbook's table, character by character."""
    reach = {0}
    for char in pattern:
        if char == "*":
            reach = set(range(min(reach), len(name) + 1)) if reach else set()
        else:
            reach = {at + 1 for at in reach if at < len(name) and char in ("?", name[at])}
    return len(name) in reach


@settings(deadline=None)
@given(st.text("ab.*?", min_size=1, max_size=12), st.text("ab.", min_size=1, max_size=12))
def test_a_pattern_means_what_the_textbook_says(text: str, name: str) -> None:
    try:
        pattern = patterns.normalize(text)
    except patterns.PatternProblem:
        return
    assert patterns.matches(pattern, name) is by_hand(pattern, name)
    assert (patterns.Matcher([pattern, "zz*"]).of(name) == 0) is by_hand(pattern, name)


def test_no_pattern_makes_matching_slow() -> None:
    hostile = patterns.normalize("*a" * 120 + "*b")
    name = ".".join(["a" * 62] * 4)
    assert not patterns.matches(hostile, name)
    assert patterns.Matcher([hostile] * 50).of(name) is None
    assert names.to_unicode(name) == name
