"""The sample server shows every behaviour, starts as described, and a comparison finds what differs."""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from autossl_panel import pki
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, MAX_NAMES, SITES, USERS, Case
from autossl_panel.sandbox.crowd import crowd
from autossl_panel.sandbox.proof import compare
from autossl_panel.sandbox.sites import Existing, Kind, Points, Site, place

BY_NAME = {case.name: case for case in CASES}


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=SITES) as started:
        yield started


def test_eight_users_with_twenty_five_sites() -> None:
    assert len(CASES) == len(BY_NAME) == 25
    assert {case.user for case in CASES} == {user.login for user in USERS}
    assert len(USERS) == 8
    assert {user.login for user in USERS if user.owner} == {"goran", "hanna"}


def test_every_setup_is_shown() -> None:
    assert {case.site.kind for case in CASES} == set(Kind)
    assert {case.site.existing for case in CASES} == {None, *Existing}
    assert {point for case in CASES for point in case.site.dns.values()} == set(Points)
    assert Counter(case.end.state for case in CASES) == {
        "secured": 14,
        "foreign": 2,
        "off": 3,
        "unsecured": 4,
        "partly": 2,
    }


def test_expected_names_lead_here_and_fit_the_provider(box: Box) -> None:
    for case in CASES:
        for replace_foreign in (False, True):
            end = case.expected(replace_foreign=replace_foreign)
            here = {name for name, found in place(case.site, box.ground).items() if found == (box.address,)}
            assert set(end.covered) <= here
            assert len(end.covered) <= MAX_NAMES
            assert not set(end.covered) & set(case.excluded)


def test_nginx_takes_all_of_them_without_a_warning(box: Box) -> None:
    assert "warn" not in box.nginx.test()


@pytest.mark.parametrize("case", [case for case in CASES if case.site.existing], ids=lambda case: case.name)
def test_existing_certificates_are_what_they_are_called(box: Box, case: Case) -> None:
    assert case.site.existing is not None
    served = pki.handshake(box.address, box.https_port, case.name)
    assert served.facts is not None, served
    facts = served.facts
    assert set(facts.names) == set(case.names)
    folder = box.nginx.folder / "certificates" / case.name
    chain, key = (folder / "fullchain.pem").read_bytes(), (folder / "privkey.pem").read_bytes()
    assert pki.read_chain(chain).links
    assert pki.same_key(chain, key)
    assert (folder / "privkey.pem").stat().st_mode & 0o777 == 0o600
    assert (facts.key_kind, facts.key_bits) == (
        ("rsa", 1024) if case.site.existing is Existing.RSA_1024 else ("ec", 256)
    )
    assert facts.self_signed == (case.site.existing is Existing.SELF_SIGNED)


def status_as_expected(*, replace_foreign: bool) -> list[dict[str, Any]]:
    entries = []
    for case in CASES:
        end = case.expected(replace_foreign=replace_foreign)
        problem = {"code": end.problem, "domain": case.name, "text": ""} if end.problem else None
        entries.append(
            {"user": case.user, "name": case.name, "state": end.state, "covered": list(end.covered), "problem": problem}
        )
    return entries


def test_a_panel_that_only_claims_is_found_out(box: Box) -> None:
    outcomes = compare(box, CASES, status_as_expected(replace_foreign=False), replace_foreign=False)
    claimed = {outcome.case.name for outcome in outcomes if not outcome.as_expected}
    assert claimed >= {case.name for case in CASES if case.end.served}
    assert not any(outcome.served for outcome in outcomes)
    plain = next(outcome for outcome in outcomes if outcome.case.name == "alpenblick.example")
    assert plain.differences[0] == "alpenblick.example shows bought instead of panel"


def test_bought_certificates_are_as_expected_from_the_start_and_shown_to_everybody(box: Box) -> None:
    """No block refuses unknown names yet, so nginx shows them the first certificate of the address."""
    outcomes = {
        outcome.case.name: outcome
        for outcome in compare(box, CASES, status_as_expected(replace_foreign=False), replace_foreign=False)
    }
    assert outcomes["anwalt-kranz.example"].as_expected
    assert outcomes["druckerei-ott.example"].as_expected
    assert outcomes["hundeschule-pfote.example"].differences[0] == (
        "hundeschule-pfote.example shows bought instead of nothing"
    )


def test_a_wrong_state_a_wrong_user_and_a_missing_site_are_named(box: Box) -> None:
    entry = {
        "user": "root",
        "name": "hundeschule-pfote.example",
        "state": "secured",
        "covered": [],
        "problem": {"code": "caa"},
    }
    off, gone = compare(
        box,
        [BY_NAME["hundeschule-pfote.example"], BY_NAME["juwelier-stern.example"]],
        [entry],
        replace_foreign=False,
    )
    assert off.differences[:3] == (
        "user: root instead of dieter",
        "state: secured instead of off",
        "problem: caa instead of none",
    )
    assert gone.differences == ("the panel does not know this site",)


def test_a_crowd_of_plain_users() -> None:
    sites = list(crowd(3, 4))
    assert len({site.name for site in sites}) == 12
    assert Counter(site.user for site in sites) == {"u00000": 4, "u00001": 4, "u00002": 4}
    assert sites[0] == Site("u00000", ("s0.u00000.crowd.example", "www.s0.u00000.crowd.example"))


def test_a_box_with_a_crowd_serves_it() -> None:
    with Box(users=20, per_user=5) as box:
        assert len(box.sites) == 100
        result = subprocess.run(
            [box.nginx_bin, "-T", "-c", str(box.nginx_conf)], capture_output=True, text=True, check=True
        )
        assert result.stdout.count("server_name s") == 100
