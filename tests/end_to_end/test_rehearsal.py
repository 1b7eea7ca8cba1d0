"""A rehearsal with a second CA in the place of the staging directory: names are proven and certificates issued there,
and nothing of the server, its sites, orders or certificates is another than before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from autossl_panel.autossl import limits, providers, registration, rehearsal, rehearsing, runs
from autossl_panel.autossl.models import (
    Account,
    Certificate,
    Job,
    Order,
    Provider,
    Rehearsal,
    RehearsalOutcome,
    Run,
    UntoldRun,
    Verdict,
)
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.rehearsal import Wish
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.pebble import Pebble
from autossl_panel.sandbox.sites import Points, Site
from tests.autossl.limits_rows import row
from tests.autossl.parts import Parts, parts_of
from tests.support.second_ca import second_ca

pytestmark = pytest.mark.django_db(transaction=True)

GOOD = Site("anna", ("alpenblick.example", "www.alpenblick.example"))
MOVED = Site("bruno", ("gartenbau.example", "shop.gartenbau.example"), dns={"shop.gartenbau.example": Points.ELSEWHERE})
LOST = Site("clara", ("lost.example",), dns={"lost.example": Points.NOWHERE})


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[GOOD, MOVED, LOST]) as started:
        yield started


@pytest.fixture(scope="module")
def staging(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with second_ca(box, tmp_path_factory.mktemp("as")) as pebble:
        yield pebble


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        found.discover()
        yield found


def known(parts: Parts, staging: Pebble) -> Provider:
    """The staging directory of the provider in use is known and read; its row has roots of its own."""
    rehearsal.set_directory(parts.provider, staging.directory_url, by=None)
    made = rehearsal.read_directory(parts.provider, by=None, ring=False)
    Provider.objects.filter(pk=made.pk).update(ca_bundle=Path(staging.ca_bundle).read_text())
    made.refresh_from_db()
    return registration.probe(made)


def rehearsed(parts: Parts, wish: Wish) -> Rehearsal:
    found = rehearsal.ask(parts.provider, parts.server, wish, by=None, now=datetime.now(UTC), ring=False)
    rehearsing.carry_out(found.pk, parts.helper)
    found.refresh_from_db()
    assert found.ended_at is not None
    return found


def standing() -> list[tuple[Any, ...]]:
    columns = ("name", "state", "names_covered", "next_at", "next_reason", "retry_at", "held_until", "problem")
    return list(VirtualHost.objects.order_by("pk").values_list(*columns))


def events(found: Rehearsal) -> list[str]:
    return list(found.lines.values_list("event", flat=True))


def test_it_proves_and_orders_and_changes_nothing(parts: Parts, staging: Pebble) -> None:
    row_there = known(parts, staging)
    before = standing()
    shown = {name: parts.shown(name) for site in (GOOD, MOVED) for name in site.names}
    found = rehearsed(parts, Wish(number=3, agree_terms=True, contact="certs@example.com"))
    assert found.problem is None
    sites = {one.virtual_host.name: one for one in found.sites.select_related("virtual_host")}
    good, moved, lost = sites[GOOD.name], sites[MOVED.name], sites[LOST.name]
    assert (good.outcome, sorted(good.names), good.links) == (RehearsalOutcome.ISSUED, sorted(GOOD.names), 2)
    assert good.issuer
    assert good.not_after is not None
    assert (moved.outcome, moved.names) == (RehearsalOutcome.ISSUED, [MOVED.name])
    assert ["shop.gartenbau.example", "elsewhere"] in moved.left_out
    assert (lost.outcome, lost.reason) == (RehearsalOutcome.FAILED, "dcv_all_failed")
    told = events(found)
    assert told[:2] == ["rehearsal:started", "rehearsal:account"]
    assert told[-1] == "rehearsal:ended"
    assert "rehearsal:issued" in told
    assert all(
        line.text and "?" not in line.text for line in rehearsal.lines(found) if line.event.startswith("rehearsal")
    )
    # Nothing of it is the panel's own.
    assert standing() == before
    assert {name: parts.shown(name) for name in shown} == shown
    for model in (Certificate, Order, Job, Run, UntoldRun, Verdict):
        assert not model.objects.exists(), model
    # The account is the staging directory's own, and so are its key and limits.
    account = Account.objects.get(provider=row_there)
    mine = Account.objects.get(provider=parts.provider)
    assert (account.status, account.contact) == ("valid", "certs@example.com")
    assert account.thumbprint != mine.thumbprint
    row_there.refresh_from_db()
    parts.provider.refresh_from_db()
    assert (row_there.active, parts.provider.active) == (False, True)
    # A run afterwards goes its way as if nothing had been.
    run = parts.run()
    assert parts.job(run, GOOD.name).outcome == "secured"
    assert parts.shown(GOOD.name) not in (None, good.serial)
    assert not Certificate.objects.filter(serial=good.serial).exists()


def test_limits_of_the_staging_directory_are_its_own(parts: Parts, staging: Pebble) -> None:
    there = known(parts, staging)
    for provider in (there, parts.provider):
        Provider.objects.filter(pk=provider.pk).update(limits=[row("orders", 2, 3600)])
    first = rehearsed(parts, Wish(site=GOOD.name, agree_terms=True))
    assert first.sites.get().outcome == RehearsalOutcome.ISSUED
    again = rehearsed(parts, Wish(site=GOOD.name))
    assert (again.sites.get().outcome, again.sites.get().reason) == (RehearsalOutcome.FAILED, "rate_limited")
    account = Account.objects.select_related("provider").get(provider=parts.provider)
    used = {str(one.kind): one.used for one in limits.usage(account, now=datetime.now(UTC)).limits}
    assert used["orders"] == 0
    assert parts.job(parts.run(runs.user_scope("anna")), GOOD.name).outcome == "secured"


def test_what_the_ca_does_not_take_is_said(parts: Parts, staging: Pebble) -> None:
    there = known(parts, staging)
    with pytest.raises(ProviderProblem) as problem:
        rehearsal.ask(parts.provider, parts.server, Wish(), by=None, now=datetime.now(UTC), ring=False)
    assert problem.value.field == "agree_terms"
    found = rehearsed(parts, Wish(site="www.alpenblick.example", agree_terms=True))
    assert found.sites.get().outcome == RehearsalOutcome.ISSUED
    Account.objects.filter(provider=there).update(url=f"{there.directory_url}/no-such-account")
    found = rehearsed(parts, Wish())
    assert (found.sites.get().outcome, found.sites.get().reason) == (RehearsalOutcome.FAILED, "ca_order")
    assert "rehearsal:ended" in events(found)


def test_a_lost_task_is_rung_for_again_and_old_ones_are_forgotten(parts: Parts, staging: Pebble) -> None:
    known(parts, staging)
    now = datetime.now(UTC)
    made = rehearsal.ask(parts.provider, parts.server, Wish(agree_terms=True), by=None, now=now)
    assert rehearsal.ask(parts.provider, parts.server, Wish(), by=None, now=now + timedelta(seconds=1)) == made
    assert not rehearsal.ring_where_needed(parts.server, now + timedelta(seconds=5))
    assert rehearsal.ring_where_needed(parts.server, now + timedelta(seconds=30))
    assert rehearsal.ring_where_needed(parts.server, now - timedelta(hours=8)), "the clock was set back since"
    assert not rehearsal.ring_where_needed(parts.server, now - timedelta(hours=8))
    Rehearsal.objects.filter(pk=made.pk).update(attempts=rehearsing.MOST_ATTEMPTS)
    rehearsing.carry_out(made.pk, parts.helper)
    made.refresh_from_db()
    assert made.problem == {"code": "worker_died", "text": ""}
    assert providers.active(parts.server) is not None
    rehearsal.forget(parts.server, now + timedelta(days=31))
    assert not Rehearsal.objects.exists()
