"""A CA that refuses with 429 although our count said it would not: just what its words are about waits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl.models import Bucket, Job, JobOutcome, Run
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.limits_rows import LETS_ENCRYPT
from tests.autossl.parts import Parts, parts_of
from tests.ca.authority import MiniCa
from tests.ca.rogue import RogueCa, problem
from tests.support.rogue_provider import asked_for, refuse, use

pytestmark = pytest.mark.django_db(transaction=True)

A, B, LONE = "a.shop.example", "b.shop.example", "lone.example"
SITES = [Site("anna", (A,)), Site("bert", (B,)), Site("carl", (LONE,))]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=SITES) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


@pytest.fixture
def rogue(tmp_path: Path) -> Iterator[RogueCa]:
    with RogueCa(MiniCa(tmp_path)) as running:
        yield running


def ends(run: Run) -> dict[str, tuple[str, str]]:
    rows = Job.objects.filter(run=run).values_list("virtual_host__name", "outcome", "outcome_reason")
    return {name: (outcome, reason) for name, outcome, reason in rows}


LIMITED, TRIED = (JobOutcome.WAITING, "rate_limited"), (JobOutcome.FAILED, "ca_order")


@pytest.mark.parametrize(
    ("detail", "when", "kind", "waits"),
    [
        (
            "too many new orders (300) from this account in the last 3h0m0s",
            lambda names: True,
            "orders",
            {A, B, LONE},
        ),
        (
            'too many certificates (50) already issued for "shop.example" in the last 168h0m0s',
            lambda names: "shop" in names[0],
            "domain",
            {A, B},
        ),
        (
            "too many certificates (5) already issued for this exact set of identifiers in the last 168h0m0s",
            lambda names: names == [A],
            "set",
            {A},
        ),
        (
            'too many failed authorizations (5) for "b.shop.example" in the last 1h0m0s',
            lambda names: names == [B],
            "failures",
            {B},
        ),
        ("You have asked too often.", lambda names: True, "account", {A, B, LONE}),
        ("Service busy; retry later.", lambda names: True, "requests", {A, B, LONE}),
    ],
    ids=["orders", "domain", "set", "failures", "without-words", "requests"],
)
def test_a_refusal_stops_its_scope_for_as_long_as_it_says(
    parts: Parts,
    rogue: RogueCa,
    detail: str,
    when: Callable[[list[str]], bool],
    kind: str,
    waits: set[str],
) -> None:
    use(parts, rogue, limits=LETS_ENCRYPT)
    refuse(rogue, detail, when)
    before = datetime.now(UTC)
    run = parts.run()
    found = ends(run)
    assert {name for name, end in found.items() if end == LIMITED} == waits
    assert {name for name, end in found.items() if end == TRIED} == {A, B, LONE} - waits
    # Of those that wait, one asked; who was told “malformed” asked once more.
    asked = [names[0] for names in asked_for(rogue)]
    assert sum(name in waits for name in asked) == 1
    assert sorted(name for name in asked if name not in waits) == sorted(2 * list({A, B, LONE} - waits))
    refused = Bucket.objects.filter(blocked_until__isnull=False)
    assert set(refused.values_list("kind", flat=True)) == {kind}
    for host in VirtualHost.objects.filter(name__in=waits):
        assert host.held_provider == "rogue"
        assert host.held_until is not None
        assert abs(host.held_until - before - timedelta(hours=2)) < timedelta(seconds=60)
        assert host.problem is not None
        assert host.problem["data"]["text"] == detail
    # Whoever checks again does not ask the CA what it has said.
    requests = len(asked_for(rogue))
    parts.run()
    assert len([names for names in asked_for(rogue)[requests:] if names[0] in waits]) == 0


def test_a_paused_name_waits_for_a_person_and_nobody_else_does(parts: Parts, rogue: RogueCa) -> None:
    use(parts, rogue, limits=LETS_ENCRYPT)
    said = (
        "Your account is temporarily prevented from requesting certificates for b.shop.example and possibly others. "
        "Please visit: https://ca.example/unpause?jwt=x"
    )
    refuse(rogue, said, lambda names: names == [B])
    run = parts.run()
    assert ends(run) == {A: TRIED, B: (JobOutcome.WAITING, "ca_paused"), LONE: TRIED}
    host = VirtualHost.objects.get(name=B)
    assert (host.held_until, host.next_at, host.next_reason) == (None, None, "ca_paused")
    assert host.problem is not None
    assert host.problem["data"]["link"] == "https://ca.example/unpause?jwt=x"


def test_trouble_with_a_retry_after_leaves_the_whole_ca_alone(parts: Parts, rogue: RogueCa) -> None:
    use(parts, rogue, limits=LETS_ENCRYPT)
    rogue.script(
        "/order",
        lambda asked: problem(503, "serverInternal", "Back soon.", headers={"Retry_After": "1800", **rogue.nonce()}),
    )
    run = parts.run()
    assert len(asked_for(rogue)) == 1
    found = ends(run)
    assert found[A] == (JobOutcome.WAITING, "ca_server")
    assert found[B] == found[LONE] == LIMITED
    assert set(Bucket.objects.filter(blocked_until__isnull=False).values_list("kind", flat=True)) == {"requests"}
