"""Whom a job orders from when a CA refuses: its account, for a limit, a name that is paused, who asks again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from autossl_panel import ca
from autossl_panel.autossl.models import (
    Account,
    Bucket,
    Certificate,
    JobOutcome,
    Order,
    Provider,
)
from autossl_panel.ca.errors import ACME_PREFIX
from autossl_panel.hosting.models import SiteState, VirtualHost
from tests.autossl.fallbacks.world import (
    DAY,
    HOUR,
    MAIN,
    MINUTE,
    OTHER,
    Trouble,
    an_hour_passes,
    busy,
    due,
    limit,
    limited,
    lines,
    moments_come,
    ordered_from,
    outcome,
    slowly,
)
from tests.autossl.parts import Parts

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_account_that_the_ca_refuses_stops_ordinary_sites_and_sends_urgent_ones_on(
    parts: Parts, second: Provider, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.run("user:birch")
    Certificate.objects.update(renewal_at=datetime.now(UTC) - MINUTE)
    VirtualHost.objects.update(next_at=None, retry_at=None)

    def terms() -> ca.CaProblem:
        return ca.CaProblem(ca.ProblemKind.TERMS, type=f"{ACME_PREFIX}userActionRequired", detail="Agree.", status=403)

    trouble.at(parts.provider, terms)
    run = parts.run()
    # A site with a good certificate waits for the admin; one without any has no time for that.
    assert outcome(parts.job(run, OTHER)) == (JobOutcome.FAILED, "ca_terms")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert ordered_from(MAIN)[-1] == "second"
    problem = parts.site(OTHER).problem
    assert problem is not None
    assert problem["data"]["text"] == "Agree."


def test_a_limit_that_lasts_longer_than_an_hour_sends_a_site_without_certificate_on(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    trouble.at(parts.provider, limit("too many new orders (300) from this account", hours=5))
    run = parts.run()
    assert {outcome(parts.job(run, name)) for name in (MAIN, OTHER)} == {(JobOutcome.SECURED, "missing")}
    assert ordered_from(MAIN)[-1] == ordered_from(OTHER)[-1] == "second"
    assert [line["provider"] for line in lines(run, MAIN, "provider:refuses")] == ["pebble"]
    refused = Bucket.objects.get(kind="orders", blocked_until__isnull=False)
    assert refused.owner == f"a:{Account.objects.get(provider=parts.provider).pk}"
    asked = len(trouble.met)
    parts.run()
    assert len(trouble.met) == asked


def test_a_shorter_one_is_waited_for(parts: Parts, second: Provider, trouble: Trouble) -> None:
    trouble.at(parts.provider, limit("too many new orders (300) from this account", hours=0.5))
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "rate_limited")
    host = parts.site(MAIN)
    assert host.held_provider == "pebble"
    assert host.problem is not None
    assert (host.problem["code"], host.problem["data"]["limit"]) == ("rate_limited", "orders")
    # Whoever looks at the site again says the same, and why.
    parts.run("user:amber")
    host.refresh_from_db()
    assert host.problem is not None
    assert (host.problem["code"], host.next_reason) == ("rate_limited", "rate_limited")


def test_a_paused_name_is_told_with_its_link_and_a_persons_check_asks_once_more(parts: Parts, trouble: Trouble) -> None:
    said = (
        "Your account is temporarily prevented from requesting certificates for amber.example and possibly others. "
        "Please visit: https://ca.example/sfe/v1/unpause?jwt=abc"
    )
    trouble.at(parts.provider, limit(said))
    run = parts.run("user:amber")
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.WAITING, "ca_paused")
    host = parts.site(MAIN)
    assert (host.held_reason, host.held_until, host.next_at) == ("ca_paused", None, None)
    assert host.problem is not None
    assert host.problem["domain"] == MAIN
    assert host.problem["data"]["link"] == "https://ca.example/sfe/v1/unpause?jwt=abc"
    trouble.at(None, None)
    # Others are not held by it; and who checks it has been to the CA.
    assert outcome(parts.job(parts.run("user:birch"), OTHER)) == (JobOutcome.SECURED, "missing")
    assert outcome(parts.job(parts.run("user:amber"), MAIN)) == (JobOutcome.SECURED, "missing")
    assert parts.site(MAIN).held_reason == ""


def test_a_site_that_its_ca_has_paused_goes_to_the_next_before_its_certificate_ends(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    parts.run("user:amber")
    now = datetime.now(UTC)
    # A certificate of a day, which the daily check alone might see too late
    Certificate.objects.update(not_before=now - 16 * HOUR, not_after=now + 8 * HOUR, renewal_at=now - HOUR)
    Provider.objects.filter(pk=second.pk).update(fallback=None)
    trouble.at(parts.provider, limit(f"Your account is temporarily prevented from requesting certificates for {MAIN}"))
    assert outcome(parts.job(parts.run("user:amber"), MAIN)) == (JobOutcome.WAITING, "ca_paused")
    host = parts.site(MAIN)
    assert (host.held_until, host.next_reason) == (None, "ca_paused")
    assert host.next_at is not None
    assert abs(host.next_at - now - 4 * HOUR) < MINUTE
    Provider.objects.filter(pk=second.pk).update(fallback=1)
    Certificate.objects.update(not_before=now - 21 * HOUR, not_after=now + 3 * HOUR)
    VirtualHost.objects.filter(name=MAIN).update(next_at=now)
    assert outcome(parts.job(due(parts), MAIN)) == (JobOutcome.SECURED, "ari")
    assert ordered_from(MAIN)[-1] == "second"


def test_a_refusal_that_outlasts_the_certificate_is_tried_at_half_of_what_is_left(
    parts: Parts, trouble: Trouble
) -> None:
    parts.run("user:amber")
    now = datetime.now(UTC)
    trouble.at(parts.provider, limit("too many new orders (300) from this account", hours=24 * 20))
    Certificate.objects.update(not_before=now - 87 * DAY, not_after=now + 3 * DAY, renewal_at=now - HOUR)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "rate_limited")
    until = parts.site(MAIN).held_until
    assert until is not None
    assert abs(until - now - 36 * HOUR) < 2 * MINUTE
    asked = len(trouble.met)
    # Its moment comes: the CA is asked in spite of what it said, once.
    VirtualHost.objects.filter(name=MAIN).update(held_until=now - MINUTE, retry_at=None)
    run = parts.run("user:amber")
    assert len(trouble.met) == asked + 1
    assert lines(run, MAIN, "provider:asked") == [{"provider": "pebble", "reason": "provider_despite"}]
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "rate_limited")
    until = parts.site(MAIN).held_until
    assert until is not None
    assert until > now + 30 * HOUR
    # And when it lets it pass, the site is renewed.
    trouble.at(None, None)
    an_hour_passes()
    VirtualHost.objects.filter(name=MAIN).update(held_until=now - MINUTE, retry_at=None)
    assert outcome(parts.job(parts.run("user:amber"), MAIN)) == (JobOutcome.SECURED, "due")


@pytest.mark.parametrize("limits_known", [True, False])
def test_of_sites_whose_moment_to_find_out_is_the_same_one_asks_and_the_others_hear_of_it(
    parts: Parts, trouble: Trouble, limits_known: bool
) -> None:
    if limits_known:
        limited(parts.provider, {"kind": "orders", "number": 300, "seconds": 10800})
    parts.run()
    now = datetime.now(UTC)
    trouble.at(parts.provider, slowly(limit("No.", hours=24 * 20)))
    Certificate.objects.update(not_before=now - 87 * DAY, not_after=now + 3 * DAY, renewal_at=now - HOUR)
    parts.run()
    moments_come(now)
    asked = len(trouble.met)
    run = parts.run()
    assert len(trouble.met) == asked + 1
    assert [outcome(parts.job(run, name)) for name in (MAIN, OTHER)] == [(JobOutcome.WAITING, "rate_limited")] * 2
    moments_come(now)
    parts.run()
    assert len(trouble.met) == asked + 1, "it is less than an hour since somebody asked"
    # An hour later the CA takes one, and with that all.
    trouble.at(None, None)
    an_hour_passes()
    moments_come(now)
    parts.run("user:birch")
    assert not Bucket.objects.filter(blocked_until__isnull=False).exists()
    moments_come(now)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "due")
    assert lines(run, MAIN, "provider:asked") == []


@pytest.mark.parametrize("limits_known", [True, False])
def test_when_what_a_ca_asked_for_is_over_one_order_goes_first(
    parts: Parts, trouble: Trouble, limits_known: bool
) -> None:
    if limits_known:
        limited(parts.provider, {"kind": "orders", "number": 300, "seconds": 10800})
    trouble.at(parts.provider, slowly(limit("No.")))
    parts.run("user:amber")
    now = datetime.now(UTC)
    for hours in (1, 2):
        Bucket.objects.filter(blocked_until__isnull=False).update(blocked_until=now - MINUTE, blocked_asked=None)
        moments_come(now)
        run = parts.run()
        assert len(trouble.met) == 1 + hours, "one asks, and hears no; the other waits for that"
        assert [outcome(parts.job(run, name)) for name in (MAIN, OTHER)] == [(JobOutcome.WAITING, "rate_limited")] * 2
    trouble.at(None, None)
    Bucket.objects.filter(blocked_until__isnull=False).update(blocked_until=now - MINUTE, blocked_asked=None)
    for _ in range(2):
        moments_come(now)
        parts.run()
    assert {parts.site(name).state for name in (MAIN, OTHER)} == {SiteState.SECURED}
    assert not Bucket.objects.filter(blocked_until__isnull=False).exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [(limit("Service busy; retry later.", hours=24 * 20), "rate_limited"), (busy, "ca_server")],
    ids=["rate", "server"],
)
def test_a_ca_that_wants_to_be_left_alone_for_longer_than_the_certificate_lasts_is_asked_once_at_half_of_that(
    parts: Parts, trouble: Trouble, said: Callable[[], ca.CaProblem], reason: str
) -> None:
    parts.run("user:amber")
    now = datetime.now(UTC)
    trouble.at(parts.provider, said)
    Certificate.objects.update(not_before=now - 87 * DAY, not_after=now + 3 * DAY, renewal_at=now - HOUR)
    parts.run("user:amber")
    host = parts.site(MAIN)
    assert (host.held_reason, len(trouble.met)) == (reason, 1)
    for until in (host.held_until, host.next_at):
        assert until is not None
        assert abs(until - now - 36 * HOUR) < 2 * MINUTE
    # Before its moment nobody asks, whoever checks; when it has come, one request does.
    parts.run("user:amber")
    assert len(trouble.met) == 1
    VirtualHost.objects.filter(name=MAIN).update(held_until=now - MINUTE, retry_at=None)
    run = parts.run("user:amber")
    assert len(trouble.met) == 2
    assert lines(run, MAIN, "provider:asked") == [{"provider": "pebble", "reason": "provider_despite"}]
    until = parts.site(MAIN).held_until
    assert until is not None
    assert until > now + 30 * HOUR
    # A site that loses nothing by waiting is not let through beside it.
    assert outcome(parts.job(parts.run("user:birch"), OTHER)) == (JobOutcome.WAITING, "rate_limited")
    assert len(trouble.met) == 2
    trouble.at(None, None)
    an_hour_passes()
    VirtualHost.objects.filter(name=MAIN).update(held_until=now - MINUTE, retry_at=None)
    assert outcome(parts.job(parts.run("user:amber"), MAIN)) == (JobOutcome.SECURED, "due")


def test_an_open_order_whose_ca_wants_to_be_left_alone_for_long_is_looked_at_in_time(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.run("user:amber")
    now = datetime.now(UTC)
    Certificate.objects.update(not_before=now - 87 * DAY, not_after=now + 3 * DAY, renewal_at=now - HOUR)

    def refuses(client: ca.Client, *given: Any, **more: Any) -> None:
        raise busy()

    monkeypatch.setattr(ca.Client, "finalize", refuses)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.FAILED, "ca_server")
    order = Order.objects.get(closed_at__isnull=True)
    assert order.retry_at is not None
    assert order.retry_at <= order.created_at + DAY
    next_at = parts.site(MAIN).next_at
    assert next_at is not None
    assert next_at <= order.retry_at
