"""What the panel says of its dealings with a CA is read out of rows again, whatever stands in it."""

from __future__ import annotations

import re

import pytest
from django.utils import translation

from autossl_panel import sentences
from autossl_panel.autossl import log
from autossl_panel.ca.errors import CaProblem
from autossl_panel.ca.transport import Transport

FACTS = {
    "host": "ca.example:14000", "port": "14000", "reason": "certificate has expired (10): it's late", "connect": "0.5",
    "answer": "30", "url": "https://ca.example/dir?x=1", "path": "/etc/ca bundle.pem",
    "status": "503 Service Unavailable",
    "onward": "https://other.example/", "kind": "text/html; charset=utf-8", "names": "newNonce, newOrder",
    "name": "My CA 2",
}  # fmt: skip


@pytest.mark.parametrize("code", sentences.SENTENCES)
def test_each_is_read_again(code: str):
    named = re.findall(r"%\((\w+)\)s", sentences.SENTENCES[code])
    facts = {name: FACTS[name] for name in named}
    heard = sentences.heard(sentences.say(code, **facts))
    assert heard is not None
    assert (heard.code, dict(heard.facts)) == (code, facts)
    with translation.override("de"):
        said = log.spoken(sentences.say(code, **facts))
    assert said != sentences.say(code, **facts)
    assert all(value in said for value in facts.values())


@pytest.mark.parametrize(
    "words", ["", "too many certificates already issued", "refuses connections on port 1.", "%(host)s"]
)
def test_a_strangers_words_stay(words: str):
    with translation.override("de"):
        assert log.spoken(words) == words


def test_a_refused_connection_reads_in_german_wherever_it_was_kept():
    with pytest.raises(CaProblem) as met:
        Transport(connect_timeout=2).send("GET", "https://127.0.0.1:1/dir", resource="directory")
    text = met.value.detail
    assert text == "127.0.0.1 refuses connections on port 1."
    german = "127.0.0.1 lehnt Verbindungen auf Port 1 ab."
    with translation.override("de"):
        assert log.spoken(text) == german
        assert german in log.render("order:trouble", {"text": text})
        assert german in log.problem_text({"code": "ca_order", "data": {"text": text}})
        told = log.problem_told({"code": "providers_down", "data": {"text": text}})
        assert german.removesuffix(".") in told
