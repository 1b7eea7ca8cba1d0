"""Wished and wanted names (rules §1), what a failure means (§6), and the check of an issued certificate."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from autossl_panel.autossl.policy import (
    InstalledFacts,
    accept_issued,
    cleared_by_person,
    need,
    not_wanted,
    remedy,
    wished_names,
)
from autossl_panel.ca.errors import ProblemKind
from autossl_panel.names import not_public
from autossl_panel.pki import CertificateFacts
from tests.autossl.policy_facts import DAY, HOUR, MAIN, NOW, WWW, installed, options, refused, site


@pytest.mark.parametrize(
    ("domains", "wished"),
    [
        (["a.com"], [("a.com", False), ("www.a.com", True)]),
        (["a.com", "www.a.com"], [("a.com", False), ("www.a.com", False)]),
        (["www.a.com"], [("www.a.com", False)]),
        (["blog.a.com"], [("blog.a.com", False), ("www.blog.a.com", True)]),
        (["*.a.com"], [("*.a.com", False)]),
        (["mail.a.com"], [("mail.a.com", False)]),
        (["taken.com"], [("taken.com", False)]),
        (["a.com", "a.com"], [("a.com", False), ("www.a.com", True)]),
        ([], []),
    ],
)
def test_wished_names(domains: list[str], wished: list[tuple[str, bool]]) -> None:
    assert list(wished_names(domains, taken_elsewhere={"www.taken.com"}.__contains__)) == wished


@pytest.mark.parametrize(
    ("text", "circumstances", "code"),
    [
        ("a.com", {}, None),
        ("a.com", {"excluded": True}, "excluded"),
        ("printer.local", {"excluded": True}, "excluded"),
        ("printer.local", {}, "not_public"),
        ("co.uk", {}, "not_public"),
        ("printer.local", {"private_ca": True}, None),
        ("single", {"private_ca": True}, None),
        ("a_b.com", {}, "bad_name"),
        ("a_b.com", {"private_ca": True}, "bad_name"),
        ("*.a.com", {}, "wildcard_unsupported"),
        ("*.a.com", {"private_ca": True}, "wildcard_unsupported"),
        ("www.a.com", {"added": True}, None),
        ("www.a.com", {"added": True, "serve_www": False}, "www_not_served"),
        ("www.a.com", {"serve_www": False}, None),
    ],
)
def test_not_wanted(text: str, circumstances: dict[str, bool], code: str | None) -> None:
    """The table of rules §1. That the heart asks it with what its rows say is in test_sites."""
    assert not_wanted(text, not_public(text) or "", **circumstances) == code


def test_a_person_clears_our_own_holds_but_never_the_cas() -> None:
    held = refused(MAIN, NOW + DAY, retry_at=NOW + HOUR)
    facts = site(held, installed=None, retry_at=NOW + HOUR)
    assert need(facts, options(), NOW).action == "wait"
    assert need(cleared_by_person(facts), options(), NOW).action == "new"
    assert cleared_by_person(facts).names[0].refusals == ()
    limited = site(held, installed=None, held_until=NOW + HOUR)
    assert need(cleared_by_person(limited), options(), NOW).reason == "rate_limited"


@pytest.mark.parametrize(
    ("kind", "meaning"),
    [
        ("server", "next_provider"),
        ("unreachable", "next_provider"),
        ("rate", "retry_later"),
        ("badNonce", "retry_later"),
        ("other", "retry_later"),
        ("connection", "fix_needed"),
        ("unauthorized", "fix_needed"),
        ("dns", "fix_needed"),
        ("caa", "fix_needed"),
        ("rejectedIdentifier", "fix_needed"),
        ("account", "stop"),
        ("terms", "stop"),
        ("eab", "stop"),
        ("order", "new_order"),
        ("malformed", "new_order"),
    ],
)
def test_remedy(kind: str, meaning: str) -> None:
    assert remedy(ProblemKind(kind)) == meaning


def test_every_kind_of_problem_is_in_the_table_above() -> None:
    marks = [mark for mark in test_remedy.pytestmark if mark.name == "parametrize"]  # type: ignore[attr-defined]
    assert {row[0] for row in marks[0].args[1]} == set(ProblemKind)


def test_a_kind_of_tomorrow_is_tried_again() -> None:
    assert remedy("something of tomorrow") == "retry_later"


def issued(*covered: str, days: float = 90) -> CertificateFacts:
    return CertificateFacts(
        names=covered or (MAIN, WWW),
        issuer="CN=ca",
        serial="1",
        not_before=NOW,
        not_after=NOW + timedelta(days=days),
        key_kind="ec",
        key_bits=256,
        signature_hash="sha256",
        self_signed=False,
        links=True,
        fingerprint="f",
        spki="key",
        ari_id="",
    )


@pytest.mark.parametrize(
    ("certificate", "spki", "replaced", "refusal"),
    [
        (issued(), "key", None, None),
        (issued(MAIN, WWW, "more.a.com"), "key", None, None),
        (issued(), "another", None, "other_key"),
        (issued(MAIN), "key", None, "missing_names"),
        (issued(), "key", installed(), None),
        (issued(days=60), "key", installed(), "not_later"),
        (issued(days=59), "key", installed(), "not_later"),
        (issued(days=59), "key", installed(revoked=True), None),
        (issued(days=59), "key", installed(defects=("weak",)), None),
        (issued(days=59), "key", installed("gone.a.com"), None),
        (issued(), "key", installed(ours=False, life=3650 * DAY), None),
        (issued(), "key", installed(self_signed=True, life=3650 * DAY), None),
    ],
)
def test_accept_issued(
    certificate: CertificateFacts, spki: str, replaced: InstalledFacts | None, refusal: str | None
) -> None:
    assert accept_issued(certificate, names=(MAIN, WWW), spki=spki, replaced=replaced) == refusal
    assert accept_issued(certificate, names=(MAIN, WWW), spki=spki, replaced=replaced, reason="due") == refusal
    # A renewal in the window that every certificate has is one for a later expiry.
    assert accept_issued(certificate, names=(MAIN, WWW), spki=spki, replaced=replaced, reason="ari") == refusal


@pytest.mark.parametrize("reason", ["coverage", "key_type", "ari"])
@pytest.mark.parametrize(
    ("certificate", "refusal"),
    [
        (issued(days=59), None),  # the CA's lifetimes are shorter than they were
        (issued(days=6), None),
        (replace(issued(days=59), not_before=NOW - 31 * DAY), "not_later"),  # an earlier one, once more
        (replace(issued(days=60), not_before=NOW - 30 * DAY), None),  # of the same day, dated from midnight
        (replace(issued(days=60), not_before=NOW - 30 * DAY, fingerprint="same"), "not_later"),
        (issued(MAIN, days=59), "missing_names"),
    ],
)
def test_what_is_not_ordered_for_its_expiry_may_end_sooner(
    certificate: CertificateFacts, refusal: str | None, reason: str
) -> None:
    replaced = replace(installed(), fingerprint="same", ari_end=NOW + DAY)
    assert accept_issued(certificate, names=(MAIN, WWW), spki="key", replaced=replaced, reason=reason) == refusal
