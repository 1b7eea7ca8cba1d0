"""Names: one written form, what is public, registered domain, www, wildcards, importance."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autossl_panel import names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Example.COM.", "example.com"),
        ("  www.example.com ", "www.example.com"),
        ("*.Example.com", "*.example.com"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("BÜCHER.de", "xn--bcher-kva.de"),
        ("xn--bcher-kva.de", "xn--bcher-kva.de"),
        ("faß.de", "xn--fa-hia.de"),  # the standard library's codec would say fass.de
        ("a。b.com", "a.b.com"),
        ("a--b.com", "a--b.com"),
        ("localhost", "localhost"),
        ("1and1.com", "1and1.com"),
    ],
)
def test_normalize(text: str, name: str) -> None:
    assert names.normalize(text) == name


@pytest.mark.parametrize(
    "text",
    [
        "", ".", " ", "_", "a_b.com", "-a.com", "a-.com", "a..b", ".a.com", "a b.com", "*", "*.", "*.*.com",
        "a.*.com", "f*.com", "~^x$", "192.0.2.1", "::1", "[::1]", "example.com:443", "xn--a.com",
        "r3---sn.com", "☃.net", "a" * 64 + ".com", ".".join(["a" * 60] * 5), "a\x00.com", "a\n.com", "http://a.com/",
    ],
)  # fmt: skip
def test_bad_names(text: str) -> None:
    with pytest.raises(names.NameProblem) as problem:
        names.normalize(text)
    assert problem.value.code == "bad_name"
    assert problem.value.text
    assert names.not_public(text) == "bad_name"


@settings(deadline=None)
@given(st.text(max_size=80))
def test_normalize_settles_or_refuses(text: str) -> None:
    if names.not_public(text) == "bad_name":
        with pytest.raises(names.NameProblem):
            names.normalize(text)
    else:
        name = names.normalize(text)
        assert names.normalize(name) == name
        assert name.isascii()
        assert len(name) <= names.MAX_NAME


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("example.com", None),
        ("www.example.co.uk", None),
        ("*.example.com", None),
        ("someone.github.io", None),
        ("github.io", None),  # the private section is somebody's domain
        ("localhost", "not_public"),
        ("printer.local", "not_public"),
        ("a.internal", "not_public"),
        ("a.localhost", "not_public"),
        ("a.test", "not_public"),
        ("a.invalid", "not_public"),
        ("a.example", "not_public"),
        ("a.onion", "not_public"),
        ("router.home.arpa", "not_public"),
        ("co.uk", "not_public"),
        ("*.co.uk", "not_public"),
        ("xn--p1ai", "not_public"),
        ("a_b.com", "bad_name"),
        ("a" * 64 + ".com", "bad_name"),
    ],
)
def test_not_public(name: str, code: str | None) -> None:
    assert names.not_public(name) == code


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("www.example.com", "example.com"),
        ("*.a.example.co.uk", "example.co.uk"),
        ("x.someone.github.io", "someone.github.io"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("a.xn--bcher-kva.de", "xn--bcher-kva.de"),
    ],
)
def test_registered_domain(name: str, domain: str) -> None:
    assert names.registered_domain(name) == domain


@pytest.mark.parametrize(
    ("name", "www"),
    [
        ("example.com", "www.example.com"),
        ("blog.example.com", "www.blog.example.com"),
        ("www.example.com", None),
        ("*.example.com", None),
        ("mail.example.com", None),
        ("autodiscover.example.co.uk", None),
        ("mail.com", "www.mail.com"),
        ("localhost", None),
        (".".join(["a" * 60] * 4) + ".abcdefg", None),
    ],
)
def test_www_of(name: str, www: str | None) -> None:
    assert names.www_of(name) == www


def test_wildcard_and_service_names() -> None:
    assert names.is_wildcard("*.example.com")
    assert not names.is_wildcard("example.com")
    assert names.is_service_name("webmail.example.com")
    assert not names.is_service_name("mail.com")
    assert not names.is_service_name("mailing.example.com")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("xn--bcher-kva.de", "bücher.de"),
        ("*.xn--fa-hia.de", "*.faß.de"),
        ("example.com", "example.com"),
        ("xn--a.xn--bcher-kva.de", "xn--a.bücher.de"),
    ],
)
def test_to_unicode(name: str, shown: str) -> None:
    assert names.to_unicode(name) == shown


@pytest.mark.parametrize(
    ("patterns", "name", "covered"),
    [
        (("example.com",), "example.com", True),
        (("example.com",), "www.example.com", False),
        (("*.example.com",), "www.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "a.b.example.com", False),
        (("*.example.com",), "*.example.com", True),
        (("*.com",), "*.example.com", False),
        (("*.example.com",), "*.www.example.com", False),
        ((), "example.com", False),
    ],
)
def test_covers(patterns: tuple[str, ...], name: str, covered: bool) -> None:
    assert names.covers(patterns, name) is covered


def test_ranked_puts_the_main_domain_first_and_service_names_last() -> None:
    wished = [
        "mail.example.com", "a.b.example.com", "zeta.net", "blog.example.com", "www.zeta.net", "old.org",
        "www.example.com", "ab.net", "example.com",
    ]  # fmt: skip
    assert names.ranked(wished, main="example.com", covered=("old.org",)) == (
        "example.com", "www.example.com", "old.org", "ab.net", "zeta.net", "www.zeta.net", "blog.example.com",
        "a.b.example.com", "mail.example.com",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("Shop", "shop"),
        (" grüne-Küche.example ", "xn--grne-kche-r9ae.example"),
        ("www.grüne-küche", "www.xn--grne-kche-r9ae"),
        (".example", ".example"),
        ("ü" * 80, "ü" * 80),
        ("", ""),
    ],
)
def test_what_is_typed_is_sought_in_the_form_of_the_rows(typed: str, found: str) -> None:
    assert names.sought(typed) == found


def test_a_sentence_spells_both_forms() -> None:
    said = "http://xn--grne-kche-r9ae.example/x: xn--grne-kche-r9ae.example is kept, a-xn--b.example, too."
    both = "grüne-küche.example (xn--grne-kche-r9ae.example)"
    assert names.spelled(said) == f"http://{both}/x: {both} is kept, a-xn--b.example, too."
