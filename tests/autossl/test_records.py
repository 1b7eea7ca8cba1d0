"""The record to set, a row for each code and shape of facts; and that no other code has one."""

import pytest

from autossl_panel.autossl.log.records import change
from autossl_panel.autossl.log.words import REASONS

HERE = ("203.0.113.10", "2001:db8:1::10")
MOVED = {"name": "shop.example.com", "from": ["198.51.100.7"], "to": ["203.0.113.10"], "record": "A"}
CAA = {"name": "example.com", "zone": "example.com", "identities": ["letsencrypt.org"]}


def lines(code: str, facts: dict[str, object], here: tuple[str, ...] = HERE) -> tuple[str, list[str], list[str]]:
    found = change(code, facts, here)
    assert found is not None
    return found.verb, [one.line for one in found.now], [one.line for one in found.to]


@pytest.mark.parametrize(
    ("code", "facts", "verb", "now", "to"),
    [
        (
            "elsewhere",
            MOVED,
            "set",
            ["shop.example.com. IN A 198.51.100.7"],
            ["shop.example.com. 3600 IN A 203.0.113.10"],
        ),
        (
            "elsewhere",
            {**MOVED, "from": ["198.51.100.7", "198.51.100.8"]},
            "set",
            ["shop.example.com. IN A 198.51.100.7", "shop.example.com. IN A 198.51.100.8"],
            ["shop.example.com. 3600 IN A 203.0.113.10"],
        ),
        (
            "elsewhere",
            {"name": "example.com", "from": ["2001:db8:5::7"], "to": ["2001:db8:1::10"], "record": "AAAA"},
            "set",
            ["example.com. IN AAAA 2001:db8:5::7"],
            ["example.com. 3600 IN AAAA 2001:db8:1::10"],
        ),
        # Of both families: each is what it is
        (
            "elsewhere",
            {**MOVED, "from": ["198.51.100.7", "2001:db8:5::7"]},
            "set",
            ["shop.example.com. IN A 198.51.100.7", "shop.example.com. IN AAAA 2001:db8:5::7"],
            ["shop.example.com. 3600 IN A 203.0.113.10"],
        ),
        # An alias within the domain: the record stands at its end
        (
            "elsewhere",
            {**MOVED, "name": "www.example.com", "aliases": ["web.example.com"]},
            "set",
            ["web.example.com. IN A 198.51.100.7"],
            ["web.example.com. 3600 IN A 203.0.113.10"],
        ),
        # An alias into a stranger's zone is what the customer can change
        (
            "elsewhere",
            {**MOVED, "aliases": ["here.example.com", "shops.elsewhere.net", "edge.elsewhere.net"]},
            "set",
            ["here.example.com. IN CNAME shops.elsewhere.net."],
            ["here.example.com. 3600 IN A 203.0.113.10"],
        ),
        (
            "ipv6_elsewhere",
            {"name": "example.com", "address": "2001:db8:5::7", "record": "AAAA", "ours": False},
            "set",
            ["example.com. IN AAAA 2001:db8:5::7"],
            ["example.com. 3600 IN AAAA 2001:db8:1::10"],
        ),
        ("nxdomain", {"name": "new.example.com"}, "add", [], ["new.example.com. 3600 IN A 203.0.113.10"]),
        (
            "nxdomain",
            {"name": "www.example.com", "alias": "gone.example.com"},
            "add",
            [],
            ["gone.example.com. 3600 IN A 203.0.113.10"],
        ),
        (
            "nxdomain",
            {"name": "www.example.com", "alias": "left.elsewhere.net"},
            "set",
            ["www.example.com. IN CNAME left.elsewhere.net."],
            ["www.example.com. 3600 IN A 203.0.113.10"],
        ),
        ("no_address", {"name": "mail.example.com"}, "add", [], ["mail.example.com. 3600 IN A 203.0.113.10"]),
        (
            "private_address",
            {"name": "example.com", "address": "192.168.0.7", "to": ["203.0.113.10"]},
            "set",
            ["example.com. IN A 192.168.0.7"],
            ["example.com. 3600 IN A 203.0.113.10"],
        ),
        (
            "caa",
            {**CAA, "records": ['0 issue "sectigo.com"']},
            "add",
            [],
            ['example.com. 3600 IN CAA 0 issue "letsencrypt.org"'],
        ),
        # RFC 8659 §4.1: what is critical and unknown forbids all, whatever stands beside it
        (
            "caa",
            {**CAA, "records": ["128 tbs unknown", '0 issue "letsencrypt.org; validationmethods=http-01"']},
            "remove",
            ["example.com. IN CAA 128 tbs unknown"],
            [],
        ),
        (
            "caa",
            {**CAA, "records": ["128 tbs unknown", '0 issue "sectigo.com"']},
            "set",
            ["example.com. IN CAA 128 tbs unknown"],
            ['example.com. 3600 IN CAA 0 issue "letsencrypt.org"'],
        ),
        ("caa", {**CAA, "records": ["128 tbs unknown"]}, "remove", ["example.com. IN CAA 128 tbs unknown"], []),
    ],
)
def test_the_record_of_a_code(code: str, facts: dict[str, object], verb: str, now: list[str], to: list[str]) -> None:
    assert lines(code, facts) == (verb, now, to)


def test_the_sites_own_address_comes_first() -> None:
    facts = {**MOVED, "to": ["203.0.113.10", "203.0.113.11"]}
    assert lines("elsewhere", facts, ("203.0.113.11", "203.0.113.10"))[2] == [
        "shop.example.com. 3600 IN A 203.0.113.11"
    ]


def test_without_an_address_of_ours_the_strangers_record_goes() -> None:
    facts = {"name": "example.com", "from": ["2001:db8:5::7"], "to": [], "record": "AAAA"}
    assert lines("elsewhere", facts, ("203.0.113.10",))[0] == "remove"
    six = {"name": "example.com", "address": "2001:db8:5::7"}
    assert lines("ipv6_elsewhere", six, ("203.0.113.10",))[0] == "remove"


def test_a_server_without_ipv4_is_named_by_its_ipv6() -> None:
    assert lines("nxdomain", {"name": "example.com"}, ("2001:db8:1::10",))[2] == [
        "example.com. 3600 IN AAAA 2001:db8:1::10"
    ]


@pytest.mark.parametrize(
    ("code", "facts", "here"),
    [
        ("elsewhere", {**MOVED, "cdn": "Cloudflare"}, HERE),
        ("elsewhere", {"name": "example.com"}, HERE),
        ("ipv6_elsewhere", {"name": "example.com", "address": "2001:db8:1::10", "ours": True}, HERE),
        ("nxdomain", {"name": "example.com"}, ()),
        ("nxdomain", {}, HERE),
        ("private_address", {"name": "example.com"}, HERE),
        ("caa", {"name": "example.com", "identities": ["letsencrypt.org"]}, HERE),
        ("caa", {"name": "example.com", "zone": "example.com", "identities": []}, HERE),
    ],
)
def test_where_no_record_mends_it_or_too_little_is_known(
    code: str, facts: dict[str, object], here: tuple[str, ...]
) -> None:
    assert change(code, facts, here) is None


WITH_RECORDS = {"elsewhere", "ipv6_elsewhere", "nxdomain", "no_address", "caa", "private_address"}


@pytest.mark.parametrize("code", sorted({*REASONS} - WITH_RECORDS))
def test_other_codes_are_not_mended_by_a_record(code: str) -> None:
    facts = {**MOVED, **CAA, "address": "198.51.100.7", "records": ['0 issue ";"']}
    assert change(code, facts, HERE) is None
