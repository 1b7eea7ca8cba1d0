"""CAA record sets (RFC 8659, RFC 8657), and the climb."""

import asyncio

import dns.rdatatype
import pytest

from autossl_panel.dcv.caa import Permission, allows, permission, permits
from autossl_panel.dcv.resolve import Answer, Trouble

OURS = frozenset(("ca.example",))


@pytest.mark.parametrize(
    ("records", "wildcard", "expected"),
    [
        ([], False, True),
        (['0 issue "ca.example"'], False, True),
        (['0 issue "CA.Example"'], False, True),
        (['0 ISSUE "ca.example"'], False, True),
        (['0 issue "other.example"'], False, False),
        (['0 issue "other.example"', '0 issue "ca.example"'], False, True),
        (['0 issue ";"'], False, False),
        (['0 issue ""'], False, False),
        (['0 issue "ca.example; accounturi=https://ca.example/1"'], False, True),
        (['0 issue "ca.example; validationmethods=dns-01"'], False, False),
        (['0 issue "ca.example; validationmethods=dns-01,http-01"'], False, True),
        (['0 iodef "mailto:a@example.com"'], False, True),
        (['0 issuewild "other.example"'], False, True),
        (['0 issuewild "other.example"'], True, False),
        (['0 issue "other.example"', '0 issuewild "ca.example"'], True, True),
        (['0 issue "ca.example"', '0 issuewild ";"'], True, False),
        (['0 issue "ca.example"'], True, True),
        (['128 tbs "unknown"', '0 issue "ca.example"'], False, False),
        (['0 tbs "unknown"'], False, True),
        (['128 issue "ca.example"'], False, True),
    ],
)
def test_record_sets(records: list[str], wildcard: bool, expected: bool) -> None:
    assert allows(records, OURS, wildcard=wildcard) is expected


def test_what_was_found_for_one_ca_says_what_another_may() -> None:
    records = ('0 issue "ca.example"', '0 issuewild "wild.example"')
    assert permits(records, ["CA.example."])
    assert not permits(records, ["other.example"])
    assert permits(records, ["wild.example"], wildcard=True)
    assert not permits(records, ["ca.example"], wildcard=True)
    assert permits(records, []), "a CA without identities has nothing to be compared with"
    assert permits((), ["other.example"])


def _climb(
    name: str, tree: dict[str, Answer], identities: tuple[str, ...] = ("ca.example",)
) -> tuple[Permission, list[str]]:
    asked: list[str] = []

    async def lookup(at: str, kind: dns.rdatatype.RdataType) -> Answer:
        asked.append(at)
        return tree.get(at, Answer((), Trouble.NO_ADDRESS))

    return asyncio.run(permission(name, identities, lookup)), asked


def test_the_climb_goes_to_the_top() -> None:
    found, asked = _climb("a.b.example.com", {})
    assert found.allowed
    assert asked == ["a.b.example.com", "b.example.com", "example.com", "com"]


def test_the_nearest_set_decides() -> None:
    tree = {
        "b.example.com": Answer(('0 issue "ca.example"',)),
        "example.com": Answer(('0 issue "other.example"',)),
    }
    found, asked = _climb("a.b.example.com", tree)
    assert (found.allowed, found.zone) == (True, "b.example.com")
    assert asked[-1] == "b.example.com"
    assert not _climb("www.example.com", tree)[0].allowed


def test_a_wildcard_climbs_from_its_base() -> None:
    assert _climb("*.example.com", {})[1] == ["example.com", "com"]


def test_trouble_on_the_way_forbids() -> None:
    found, _ = _climb("a.example.com", {"example.com": Answer((), Trouble.SERVFAIL)})
    assert (found.allowed, found.trouble) == (False, Trouble.SERVFAIL)


def test_a_name_that_does_not_exist_is_climbed_over() -> None:
    assert _climb("a.example.com", {"a.example.com": Answer((), Trouble.NXDOMAIN)})[0].allowed


def test_without_identities_nothing_is_asked() -> None:
    assert _climb("a.example.com", {}, ())[1] == []
