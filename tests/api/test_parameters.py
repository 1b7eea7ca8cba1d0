"""Parameters by their types; those that may be given several times."""

from __future__ import annotations

import pytest

from autossl_panel.api.parameters import LONGEST, MOST, Kind, Parameter, read
from autossl_panel.api.refusals import Wrong

DOMAIN = Parameter("domain", "A name.", required=True, repeated=True)
FRESH = Parameter("fresh", "Anew.", Kind.FLAG)
KEY = Parameter("key", "A key.")
DECLARED = (DOMAIN, FRESH, KEY)


def test_what_is_repeated_comes_together_however_it_is_written():
    sent = {"domain": ["a.example", "b.example"], "domain-1": ["c.example"], "domain-20": ["a.example", ""]}
    assert read(DECLARED, sent) == {"domain": ("a.example", "b.example", "c.example"), "fresh": False, "key": ""}


def test_types_of_values():
    found = read(DECLARED, {"domain": [" a.example "], "fresh": ["1"], "key": ["ä b"]})
    assert found == {"domain": ("a.example",), "fresh": True, "key": "ä b"}
    assert read([FRESH], {"fresh": ["0"]}) == read([FRESH], {"fresh": [""]}) == read([FRESH], {}) == {"fresh": False}


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({}, "domain: it is missing."),
        ({"domain": [""]}, "domain: it is missing."),
        ({"domain": ["a"], "fresh": ["yes"]}, "fresh: “yes” is neither 1 nor 0."),
        ({"domain": ["a"], "fresh": ["1", "1"]}, "fresh: it is given 2 times; once is right."),
        ({"domain": ["a"], "key-1": ["x"]}, "key-1: there is no such parameter. There are: domain, fresh, key."),
        ({"domain-x": ["a"]}, "domain-x: there is no such parameter. There are: domain, fresh, key."),
        ({"domain-٣": ["a"]}, "domain-٣: there is no such parameter. There are: domain, fresh, key."),
        ({"domain": ["a" * (LONGEST + 1)]}, f"domain: it has {LONGEST + 1} characters; {LONGEST} are the most."),
        ({"domain": ["a\u202eb"]}, "domain: it has characters that cannot be printed."),
        ({"domain": [f"n{n}" for n in range(1001)]}, f"domain: it is given 1001 times; {MOST} are the most."),
        ({"": ["a"], "domain": ["a"]}, "(empty): there is no such parameter. There are: domain, fresh, key."),
        ({"x\ny": ["a"]}, "x?y: there is no such parameter. There are: domain, fresh, key."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(sent, told):
    with pytest.raises(Wrong) as wrong:
        read(DECLARED, sent)
    assert wrong.value.reason == told


def test_a_function_without_any_says_so():
    with pytest.raises(Wrong, match=r"^x: there is no such parameter\. This function has none\.$"):
        read((), {"x": ["1"]})
