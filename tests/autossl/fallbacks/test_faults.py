"""Whom a job orders from when a CA fails, worked through: the next provider, the pause, the probe that ends it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from autossl_panel import ca
from autossl_panel.autossl import (
    leases,
    log,
    orders,
)
from autossl_panel.autossl.choosing import probe_lease
from autossl_panel.autossl.models import (
    Account,
    Installation,
    JobOutcome,
    Order,
    Provider,
)
from autossl_panel.hosting.models import VirtualHost
from tests.autossl.fallbacks.world import (
    HOUR,
    MAIN,
    MINUTE,
    OTHER,
    WWW,
    Trouble,
    fault,
    lines,
    ordered_from,
    outcome,
    probe_holder,
)
from tests.autossl.parts import Parts

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_third_fault_in_a_row_sends_the_same_job_to_the_next_provider(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    trouble.at(parts.provider, fault)
    Account.objects.filter(provider=parts.provider).update(faults=2)
    Provider.objects.filter(pk=second.pk).update(display_name="The second CA")
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == outcome(parts.job(run, OTHER)) == (JobOutcome.SECURED, "missing")
    account = Account.objects.get(provider=parts.provider)
    assert account.faults == 3
    assert account.down_until is not None
    assert account.down_problem == {"code": "ca_server", "text": "Out of order."}
    assert len(trouble.met) <= 2, "who begins after the third fault does not ask it any more"
    first = next(name for name in (MAIN, OTHER) if ordered_from(name) == ["pebble", "second"])
    [asked] = lines(run, first, "provider:asked")
    assert asked == {"provider": "second", "title": "The second CA", "reason": "provider_fallback"}
    assert log.render("provider:asked", asked).startswith("The second CA is asked: the next provider")
    assert "from The second CA" in log.render("plan:order", lines(run, first, "plan:order")[-1])
    [down] = lines(run, first, "provider:down")
    assert (down["provider"], down["text"]) == ("pebble", "Out of order.")
    assert [line["provider"] for line in lines(run, first, "plan:order")] == ["pebble", "second"]
    installed = Installation.objects.get(virtual_host__name=first, until__isnull=True).certificate
    assert installed.account is not None
    assert installed.account.provider == second


def test_before_that_a_fault_makes_the_site_wait_and_it_is_tried_again_in_a_minute(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    trouble.at(parts.provider, fault)
    VirtualHost.objects.filter(name=OTHER).update(gone_at=datetime.now(UTC))
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "ca_server")
    host = parts.site(MAIN)
    assert host.next_at is not None
    assert host.next_at < datetime.now(UTC) + 2 * MINUTE
    assert Account.objects.get(provider=parts.provider).faults == 1
    trouble.at(None, None)
    assert outcome(parts.job(parts.run("user:amber"), MAIN)) == (JobOutcome.SECURED, "missing")
    assert Account.objects.get(provider=parts.provider).faults == 0, "the CA did its work"


def test_a_provider_that_is_down_is_not_asked_and_probed_by_one_order_when_its_pause_is_over(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    now = datetime.now(UTC)
    Account.objects.filter(provider=parts.provider).update(
        faults=3, down_since=now - HOUR, down_until=now + HOUR, down_problem={"code": "ca_server", "text": "Boom."}
    )
    run = parts.run("user:amber")
    assert ordered_from(MAIN) == ["second"]
    assert "provider:down" in parts.events(run, MAIN)
    Account.objects.filter(provider=parts.provider).update(down_until=now)
    run = parts.run("user:birch")
    assert ordered_from(OTHER) == ["pebble"]
    assert lines(run, OTHER, "provider:asked") == [{"provider": "pebble", "reason": "provider_probe"}]
    account = Account.objects.get(provider=parts.provider)
    assert (account.faults, account.down_since, account.down_until) == (0, None, None)
    assert not leases.held(probe_lease(account.pk)), "the right to probe is given back"


def test_while_one_order_probes_others_go_elsewhere_and_a_probe_that_fails_costs_no_turn(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    now = datetime.now(UTC)
    account = Account.objects.get(provider=parts.provider)
    Account.objects.filter(pk=account.pk).update(faults=3, down_since=now - HOUR, down_until=now)
    assert leases.take(probe_lease(account.pk), leases.new_holder(), 60)
    parts.run("user:birch")
    assert ordered_from(OTHER) == ["second"]
    leases.release(probe_lease(account.pk), probe_holder(account))
    trouble.at(parts.provider, fault)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert ordered_from(MAIN) == ["pebble", "second"]
    account.refresh_from_db()
    assert account.faults == 4
    assert account.down_until is not None
    assert account.down_until > now + 3 * MINUTE, "twice as long as before"


def test_without_another_provider_sites_wait_for_the_pause_to_end(parts: Parts, trouble: Trouble) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + 30 * MINUTE
    problem = {"code": "ca_server", "text": "Boom."}
    Account.objects.update(faults=3, down_since=until - HOUR, down_until=until, down_problem=problem)
    trouble.at(parts.provider, fault)
    run = parts.run()
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.WAITING, "providers_down")
    assert job.until == until
    host = parts.site(MAIN)
    assert (host.held_until, host.held_provider, host.next_reason) == (until, "pebble", "providers_down")
    assert host.problem is not None
    assert host.problem["data"]["text"] == "Boom."
    assert trouble.met == []


def test_an_order_at_a_provider_that_has_gone_down_is_given_up_for_the_next(
    parts: Parts, second: Provider, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ca.Client.answer

    def breaks(client: ca.Client, url: str) -> None:
        raise fault()

    monkeypatch.setattr(ca.Client, "answer", breaks)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "ca_server")
    left = Order.objects.get(virtual_host__name=MAIN)
    assert left.url
    assert left.closed_at is None
    monkeypatch.setattr(ca.Client, "answer", answer)
    now = datetime.now(UTC)
    Account.objects.filter(provider=parts.provider).update(faults=3, down_since=now, down_until=now + HOUR)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    left.refresh_from_db()
    assert left.closed_as == "given_up"
    assert ordered_from(MAIN) == ["pebble", "second"]
    assert lines(run, MAIN, "order:given_up")[0]["reason"] == "replaced_elsewhere"


def test_an_order_that_the_first_never_signs_goes_to_the_next_after_an_hour(
    parts: Parts, second: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.discover()
    account = Account.objects.get(provider=parts.provider)
    host = parts.site(MAIN)
    made = datetime.now(UTC) - 61 * MINUTE
    order = orders.new(
        "o-stuck",
        host,
        names=[MAIN, WWW],
        reason="missing",
        key_type="p256",
        provider=parts.provider,
        account=account,
        installed=None,
        now=made,
    )
    order.url, order.status = f"{parts.box.directory_url}/order", "processing"
    order.save()
    still = ca.OrderState(
        url=order.url, status="processing", authorizations=(), finalize="", certificate=None, expires=None,
        problem=None, retry_after=None,
    )  # fmt: skip
    ask, poll = ca.Client.order, ca.Client.poll
    monkeypatch.setattr(ca.Client, "order", lambda client, url: still if url == order.url else ask(client, url))
    monkeypatch.setattr(
        ca.Client, "poll", lambda client, url, **more: still if url == order.url else poll(client, url, **more)
    )
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    order.refresh_from_db()
    assert (order.closed_as, ordered_from(MAIN)) == ("given_up", ["pebble", "second"])
    assert lines(run, MAIN, "provider:asked") == [{"provider": "second", "reason": "order_stuck"}]
    assert Account.objects.get(provider=parts.provider).faults == 1, "a CA that does not sign has failed"
