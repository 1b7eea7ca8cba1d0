"""Which problems are one cause, and that each cause has words for one name and for many."""

import re

import pytest

from autossl_panel.autossl.log import cards, causes
from autossl_panel.autossl.log.words import REASONS

FACTS = {
    "name": "shop.example.com",
    "address": "198.51.100.7",
    "from": ["198.51.100.7"],
    "to": ["203.0.113.10"],
    "record": "A",
    "status": 403,
    "server": "openresty",
    "zone": "example.com",
    "records": ['0 issue "sectigo.com"'],
    "identities": ["letsencrypt.org"],
    "detail": "ns1.example.com did not answer",
    "defects": ["expired"],
    "not_after": "2026-11-30T00:00:00+00:00",
    "limit": 100,
}


def same(code: str, **changes: object) -> bool:
    return causes.key(code, FACTS) == causes.key(code, {**FACTS, **changes})


@pytest.mark.parametrize(
    ("code", "changes", "one_cause"),
    [
        ("elsewhere", {"name": "other.example.net"}, True),
        ("elsewhere", {"from": ["198.51.100.8"]}, False),
        ("elsewhere", {"cdn": "Cloudflare"}, False),
        ("ipv6_elsewhere", {"address": "2001:db8::1"}, False),
        ("http_status", {"name": "other.example.net", "address": "198.51.100.9"}, True),
        ("http_status", {"status": 404}, False),
        ("http_status", {"server": "nginx"}, False),
        ("nxdomain", {"name": "other.example.net"}, True),
        ("dnssec", {"name": "www.example.com"}, True),
        ("dnssec", {"name": "other.example.net"}, False),
        ("connect_timeout", {"name": "other.example.net"}, True),
        ("connect_timeout", {"hop_address": "198.51.100.99"}, False),
        ("caa", {"zone": "other.example.net", "records": []}, True),
        ("caa", {"identities": ["pki.goog"]}, False),
        ("foreign_defective", {"defects": ["weak", "expired"]}, False),
        ("foreign_broken", {"file": "/etc/nginx/a.conf"}, False),
    ],
)
def test_what_is_one_cause(code: str, changes: dict[str, object], one_cause: bool) -> None:
    assert same(code, **changes) is one_cause


@pytest.mark.parametrize("code", sorted(REASONS))
def test_a_cause_is_part_of_an_address(code: str) -> None:
    assert re.fullmatch(r"[a-z0-9_]{1,32}-[0-9a-f]{12}", causes.key(code, FACTS))
    assert causes.kind(code) in causes.KINDS


def test_every_kind_has_codes() -> None:
    for kind in causes.KINDS:
        assert causes.codes(kind), kind


@pytest.mark.parametrize("code", sorted(REASONS))
@pytest.mark.parametrize("n", [1, 14])
@pytest.mark.parametrize("facts", [FACTS, {}], ids=["facts", "bare"])
def test_every_code_has_words_for_one_name_and_for_many(code: str, n: int, facts: dict[str, object]) -> None:
    facts = {**facts, "name": "shop.example.com"}
    for text in (cards.title(code, facts, n), cards.detail(code, facts, n), cards.seen(code, facts)):
        assert "%(" not in text
        assert "?" not in text, "what is not known is not spoken of"
        assert "None" not in text
    assert cards.title(code, facts, n)
    told = cards.todo(code, facts, n)
    sentences = [piece for piece in re.split(r"(?<=[.;:])\s+(?=[A-Z])", told) if piece]
    assert 1 <= len(sentences) <= 3, told
    assert told.endswith((".", '".'))
    assert "%(" not in told
    # Nor here, but for a limit's numbers and what the log itself has
    assert "?" not in told or code == "rate_limited"


@pytest.mark.parametrize(
    ("code", "n", "title", "detail"),
    [
        (
            "elsewhere",
            14,
            "14 names point to another server",
            "They resolve to 198.51.100.7. This server is 203.0.113.10.",
        ),
        (
            "elsewhere",
            1,
            "1 name points to another server",
            "It resolves to 198.51.100.7. This server is 203.0.113.10.",
        ),
        ("caa", 6, "CAA forbids letsencrypt.org", "shop.example.com and 5 more"),
        (
            "http_status",
            3,
            "The challenge file is refused with 403",
            "openresty in front of shop.example.com and 2 more",
        ),
        ("connect_timeout", 2, "Port 80 does not answer", "198.51.100.7, shop.example.com and 1 more"),
        ("foreign_defective", 2, "2 certificates from elsewhere have expired", "shop.example.com and 1 more"),
    ],
)
def test_the_head_of_a_card(code: str, n: int, title: str, detail: str) -> None:
    assert (cards.title(code, FACTS, n), cards.detail(code, FACTS, n)) == (title, detail)


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        ("caa", FACTS, '0 issue "sectigo.com", at example.com'),
        (
            "elsewhere",
            {**FACTS, "status": 404},
            "198.51.100.7 answers 404, the challenge file is not there (openresty)",
        ),
        ("wrong_body", {**FACTS, "status": 200, "server": ""}, "198.51.100.7 answers with another page"),
        ("connect_timeout", {"hop_address": "198.51.100.9"}, "198.51.100.9 does not give the file"),
        ("ca_refused", {"kind": "caa", "text": "policy forbids issuing"}, "policy forbids issuing"),
        ("dns_timeout", FACTS, "ns1.example.com did not answer"),
    ],
)
def test_what_was_seen(code: str, facts: dict[str, object], words: str) -> None:
    assert cards.seen(code, facts) == words


def test_the_cas_words_and_its_kind_reach_the_advice() -> None:
    told = cards.todo("ca_refused", {"name": "a.example.com", "kind": "caa", "text": "no."}, 1)
    assert told == "The CA refused a.example.com: no. Check the CAA records of the domain."


OLD, SIX, HERE = "198.51.100.7", "2001:db8::7", "203.0.113.10"


@pytest.mark.parametrize(
    ("code", "facts", "detail", "todo"),
    [
        ("elsewhere", {}, "shop.org and 1 more", "Point the A record of each name to this server."),
        (
            "elsewhere",
            {"to": [HERE]},
            "This server is 203.0.113.10.",
            "Change the A record of each name to 203.0.113.10.",
        ),
        (
            "elsewhere",
            {"from": [SIX]},
            "They resolve to 2001:db8::7.",
            "Remove the AAAA record 2001:db8::7 of each name, or point it to this server.",
        ),
        (
            "elsewhere",
            {"from": [OLD, SIX], "to": [HERE, "203.0.113.11"], "record": "A"},
            "They resolve to 198.51.100.7 and 2001:db8::7. This server is 203.0.113.10 and 203.0.113.11.",
            "Replace the records 198.51.100.7 and 2001:db8::7 of each name by one that points to 203.0.113.10 or "
            "203.0.113.11.",
        ),
        (
            "elsewhere",
            {"from": [OLD, SIX]},
            "They resolve to 198.51.100.7 and 2001:db8::7.",
            "Remove the records 198.51.100.7 and 2001:db8::7 of each name, or point them to this server.",
        ),
        (
            "ipv6_elsewhere",
            {"ours": True},
            "shop.org and 1 more",
            "Let the web server listen on this server’s IPv6 address for these sites too.",
        ),
        (
            "connect_refused",
            {},
            "shop.org and 1 more",
            "Open the port in the firewall, and see that a web server listens there.",
        ),
    ],
)
def test_addresses_that_are_none_one_or_several(code: str, facts: dict[str, object], detail: str, todo: str) -> None:
    facts = {**facts, "name": "shop.org"}
    assert cards.detail(code, facts, 2) == detail
    assert cards.todo(code, facts, 2).startswith(todo)
