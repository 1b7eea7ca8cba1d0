"""Permits of orders that are worked through: spent, given back, taken again; what is staged in a pause."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from autossl_panel import ca
from autossl_panel.autossl import (
    limits,
    options,
    orders,
)
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.ledger import Purpose
from autossl_panel.autossl.models import (
    Account,
    JobOutcome,
    Order,
)
from tests.autossl.fallbacks.world import MAIN, WWW, Trouble, due, fault, limited, outcome, used
from tests.autossl.parts import Parts

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_order_has_its_permit_and_gives_the_failures_back(parts: Parts) -> None:
    limited(parts.provider)
    parts.run("user:amber")
    order = Order.objects.get(virtual_host__name=MAIN)
    assert order.permit is not None
    assert order.permit["kind"] == "new"
    assert (used("orders"), used("domain"), used("set"), used("failures")) == (1, 1, 1, 0)
    account = Account.objects.get()
    assert account.ledger_count == 1
    assert account.ledger_stamp


def test_what_the_ca_did_not_take_or_never_heard_of_is_given_back(parts: Parts, trouble: Trouble) -> None:
    limited(parts.provider)
    trouble.at(parts.provider, fault)
    parts.run("user:amber")
    assert (used("orders"), used("domain"), used("set"), used("failures")) == (1, 0, 0, 0)

    def unreachable() -> ca.CaProblem:
        problem = ca.CaProblem(ca.ProblemKind.UNREACHABLE, type="urn:x:refused", detail="refused")
        problem.sent = False
        return problem

    trouble.at(parts.provider, unreachable)
    parts.run("user:amber")
    assert used("orders") == 1


def test_a_time_out_counts_as_an_order_and_as_no_certificate(parts: Parts, trouble: Trouble) -> None:
    limited(parts.provider)

    def unheard() -> ca.CaProblem:
        return ca.CaProblem(ca.ProblemKind.UNREACHABLE, type="urn:x:timeout", detail="no answer")

    trouble.at(parts.provider, unheard)
    parts.run("user:amber")
    assert (used("orders"), used("domain"), used("set"), used("failures")) == (1, 0, 0, 0)


def test_an_order_that_died_before_its_url_was_saved_needs_another_permit(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    limited(parts.provider)
    parts.discover()
    account = Account.objects.select_related("provider").get()
    order = orders.new(
        "o-lost",
        parts.site(MAIN),
        names=[MAIN, WWW],
        reason="missing",
        key_type="p256",
        provider=account.provider,
        account=account,
        installed=None,
        now=datetime.now(UTC),
    )
    assert orders.take(order, purpose=Purpose.ORDINARY, now=datetime.now(UTC)) is None
    order.save()
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert Order.objects.filter(virtual_host__name=MAIN).count() == 1
    assert (used("orders"), used("set")) == (2, 2)


def test_a_stamp_that_cannot_be_kept_stops_orders_and_is_told(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    limited(parts.provider)

    def broken(*_: Any, **__: Any) -> None:
        raise limits.StampProblem("/state/accounts/1-1.ledger: No space left on device")

    monkeypatch.setattr(limits.stamps, "look", broken)
    run = parts.run("user:amber")
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.FAILED, "ledger")
    assert job.problem is not None
    assert "No space left" in job.problem["data"]["text"]
    assert not Order.objects.exists()


def test_what_is_staged_when_a_pause_begins_is_installed_when_it_ends(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = ca.Client.download

    def then_pause(client: ca.Client, url: str) -> bytes:
        options.pause(parts.server, by=None, now=datetime.now(UTC))
        return download(client, url)

    monkeypatch.setattr(ca.Client, "download", then_pause)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "paused")
    assert parts.shown(MAIN) is None
    assert Order.objects.get().staged_at is not None
    host = parts.site(MAIN)
    assert (host.next_at, host.next_reason) == (None, "paused")
    options.resume(parts.server, by=None, now=datetime.now(UTC))
    monkeypatch.setattr(ca.Client, "download", download)
    host.refresh_from_db()
    assert host.next_at is not None
    assert outcome(parts.job(due(parts), MAIN))[0] == JobOutcome.SECURED
    assert Order.objects.filter(virtual_host=host).count() == 1


def test_a_bench_shares_a_providers_room_among_runners(parts: Parts, settings: Any) -> None:
    settings.AUTOSSL_RUNNERS = 2
    bench = Bench(parts.server, parts.helper, "h")
    assert bench.width == 4
    account = bench.policies.accounts[Account.objects.get().pk]
    with bench.place_at(account), bench.place_at(account), bench.place_at(account), bench.place_at(account):
        assert not bench._places[account.pk].acquire(blocking=False)
