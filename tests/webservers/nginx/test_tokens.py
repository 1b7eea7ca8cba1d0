"""Our reading of nginx's syntax beside crossplane's: who edits by offsets must not be alone with them."""

import importlib

import pytest

from autossl_panel.webservers.nginx.read import crossplane_agrees
from autossl_panel.webservers.nginx.tokens import Statement, parse
from tests.webservers.nginx.test_round_trip import CORPUS

read = importlib.import_module("autossl_panel.webservers.nginx.read")  # the package has a function of that name


@pytest.mark.parametrize("name", CORPUS)
def test_both_lexers_read_the_same_words(name: str) -> None:
    assert crossplane_agrees(CORPUS[name], parse(CORPUS[name], name))


def test_a_disagreement_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"server { server_name a.example; }"
    tree = parse(content, "x")
    monkeypatch.setattr(read, "words", lambda _content: iter(["server"]))
    assert not crossplane_agrees(content, tree)


def test_offsets_are_the_bytes_of_the_directive() -> None:
    content = b"\xc3\xa4 \"b;\" # x ;\n 'c}' ${d}e\\;f;\r\ng { h; }"
    first, second = parse(content, "x").statements
    assert isinstance(first, Statement)
    assert (first.name, first.args) == ("ä", ("b;", "c}", "${d}e\\;f"))
    assert content[first.start : first.end].endswith(b"f;")
    assert (content[second.start : second.end], content[second.body], second.line) == (b"g { h; }", 32, 3)
