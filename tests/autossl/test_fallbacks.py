"""Whom a job orders from, worked through: the first provider's faults, limits and pauses, probes, CAA, names refused.

One real CA stands for two providers, with an account each; what one of them does not do is said by a patched method.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import F

from autossl_panel import ca, dcv
from autossl_panel.autossl import (
    choices,
    jobs,
    leases,
    limits,
    options,
    orders,
    providers,
    registration,
    runs,
    sites,
)
from autossl_panel.autossl.choosing import Outlook, probe_lease
from autossl_panel.autossl.facts import Action
from autossl_panel.autossl.foresight import assume, foresee
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.ledger import OrderKind, Purpose
from autossl_panel.autossl.ledger import order as wish
from autossl_panel.autossl.models import (
    Account,
    Bucket,
    Certificate,
    Installation,
    Job,
    JobOutcome,
    Lease,
    LogLine,
    Order,
    Provider,
    Run,
    Verdict,
)
from autossl_panel.autossl.room import Forecast
from autossl_panel.ca.errors import ACME_PREFIX
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.limits_rows import row
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)

MAIN, WWW, OTHER = "amber.example", "www.amber.example", "birch.example"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NewOrder = Callable[..., ca.OrderState]


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN, WWW)), Site("birch", (OTHER,))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


@pytest.fixture
def second(parts: Parts) -> Provider:
    """A fallback; the same CA, but not the same directory to the eye."""
    wish = providers.Draft(
        name="second",
        directory_url=f"{parts.box.directory_url}?second",
        ca_bundle=parts.box.ca_bundle.read_text(),
        private_ca=True,
    )
    provider = registration.probe(providers.draft(wish, by=None, ring=False))
    registration.register(providers.ask_to_use(provider, parts.server, agree_terms=True, by=None, ring=False))
    providers.activate(parts.provider)
    choices.set_fallbacks([provider], by=None, server=parts.server)
    provider.refresh_from_db()
    return provider


class Trouble:
    """Has newOrder raise, for one provider's account or for all; counts what it kept from the CA."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self._new_order = ca.Client.new_order
        self.met: list[Sequence[str]] = []

    def at(self, provider: Provider | None, problem: Callable[[], ca.CaProblem] | None) -> None:
        url = provider.accounts.get().url if provider is not None else None
        new_order = self._new_order

        def asked(client: ca.Client, names: Sequence[str], **more: Any) -> ca.OrderState:
            if problem is not None and url in (None, client.account_url):
                self.met.append(names)
                raise problem()
            return new_order(client, names, **more)

        self._patch.setattr(ca.Client, "new_order", asked)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Iterator[Trouble]:
    yield Trouble(monkeypatch)
    limits.stops._stops.clear()


def fault() -> ca.CaProblem:
    return ca.CaProblem(ca.ProblemKind.SERVER, type=f"{ACME_PREFIX}serverInternal", detail="Out of order.", status=500)


def limit(detail: str, *, hours: float = 1) -> Callable[[], ca.CaProblem]:
    def problem() -> ca.CaProblem:
        until = datetime.now(UTC).replace(microsecond=0) + hours * HOUR
        return ca.CaProblem(
            ca.ProblemKind.RATE, type=f"{ACME_PREFIX}rateLimited", detail=detail, status=429, retry_after=until
        )

    return problem


def outcome(job: Job) -> tuple[str, str]:
    return job.outcome, job.outcome_reason


def lines(run: Run, name: str, event: str) -> list[dict[str, Any]]:
    found = LogLine.objects.filter(run=run, job__virtual_host__name=name, event=event)
    return [line.data for line in found.order_by("seq")]


def due(parts: Parts) -> Run:
    """A run of the sweep's, which clears no holds."""
    run = runs.start(runs.DUE, by=None, asked_from="sweep", server=parts.server)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    return run


def ordered_from(name: str) -> list[str]:
    """The providers that a site was ordered from, in order."""
    found = Order.objects.filter(virtual_host__name=name).order_by("pk")
    return list(found.values_list("provider__name", flat=True))


# --- faults ----------------------------------------------------------------------------------------------------------


def test_the_third_fault_in_a_row_sends_the_same_job_to_the_next_provider(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    trouble.at(parts.provider, fault)
    Account.objects.filter(provider=parts.provider).update(faults=2)
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == outcome(parts.job(run, OTHER)) == (JobOutcome.SECURED, "missing")
    account = Account.objects.get(provider=parts.provider)
    assert account.faults == 3
    assert account.down_until is not None
    assert account.down_problem == {"code": "ca_server", "text": "Out of order."}
    assert len(trouble.met) <= 2, "who begins after the third fault does not ask it any more"
    first = next(name for name in (MAIN, OTHER) if ordered_from(name) == ["pebble", "second"])
    assert lines(run, first, "provider:asked") == [{"provider": "second", "reason": "provider_fallback"}]
    [down] = lines(run, first, "provider:down")
    assert (down["provider"], down["text"]) == ("pebble", "Out of order.")
    assert [line["provider"] for line in lines(run, first, "plan:order")] == ["pebble", "second"]
    installed = Installation.objects.get(virtual_host__name=first, until__isnull=True).certificate
    assert installed.account is not None
    assert installed.account.provider == second


def test_before_that_a_fault_fails_the_job_which_is_tried_again_in_a_minute(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    trouble.at(parts.provider, fault)
    VirtualHost.objects.filter(name=OTHER).update(gone_at=datetime.now(UTC))
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.FAILED, "ca_server")
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
    leases.release(probe_lease(account.pk), _holder(account))
    trouble.at(parts.provider, fault)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert ordered_from(MAIN) == ["pebble", "second"]
    account.refresh_from_db()
    assert account.faults == 4
    assert account.down_until is not None
    assert account.down_until > now + 3 * MINUTE, "twice as long as before"


def _holder(account: Account) -> str:
    return Lease.objects.get(name=probe_lease(account.pk)).holder


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
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.FAILED, "ca_server")
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


# --- the account -----------------------------------------------------------------------------------------------------


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


# --- limits ----------------------------------------------------------------------------------------------------------


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


def an_hour_passes() -> None:
    """Since somebody last asked whether a refusal still holds."""
    Bucket.objects.filter(blocked_asked__isnull=False).update(blocked_asked=F("blocked_asked") - 3600)


def slowly(problem: Callable[[], ca.CaProblem]) -> Callable[[], ca.CaProblem]:
    """The CA takes its time to say so: whoever is to come beside the first has come by then."""

    def said() -> ca.CaProblem:
        time.sleep(1)
        return problem()

    return said


def moments_come(now: datetime) -> None:
    """Of all sites that wait for something."""
    VirtualHost.objects.update(held_until=now - MINUTE, retry_at=None)


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


def busy() -> ca.CaProblem:
    """Trouble of the CA's own that it asks to be left alone with."""
    problem = fault()
    problem.retry_after = datetime.now(UTC).replace(microsecond=0) + 20 * DAY
    return problem


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


# --- names that one CA does not take ---------------------------------------------------------------------------------


def test_a_name_that_the_first_refuses_goes_to_one_that_takes_all_before_coverage_is_lost(
    parts: Parts, second: Provider, trouble: Trouble
) -> None:
    parts.run("user:amber")
    now = datetime.now(UTC)
    host = parts.site(MAIN)
    refusal = {
        "pebble": {
            "since": (now - 2 * HOUR).isoformat(),
            "until": (now + DAY).isoformat(),
            "times": 1,
            "kind": "caa",
            "text": "No.",
        }
    }
    Verdict.objects.filter(domain__name=WWW).update(refusals=refusal, first_failed_at=now - 2 * HOUR)
    # Past defer_until: its own provider would order without www.
    Certificate.objects.update(not_before=now - 88 * DAY, not_after=now + 2 * DAY, renewal_at=now - DAY)
    VirtualHost.objects.filter(pk=host.pk).update(next_at=now)
    run = due(parts)
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "due")
    assert ordered_from(MAIN) == ["pebble", "second"]
    assert lines(run, MAIN, "provider:asked") == [{"provider": "second", "reason": "provider_instead"}]
    assert set(Order.objects.latest("pk").names) == {MAIN, WWW}
    assert parts.site(MAIN).state == SiteState.SECURED


def test_one_that_takes_fewer_names_is_not_left_for_the_first_which_would_send_them_back(
    parts: Parts, second: Provider
) -> None:
    """For both names the first has no room, for the one that the second takes it has."""
    limited(parts.provider, row("failures", 1, 3 * 3600))
    Provider.objects.filter(pk=second.pk).update(max_names=1)
    account = Account.objects.select_related("provider").get(provider=parts.provider)
    assert isinstance(limits.take(account, wish(OrderKind.NEW, [WWW]), now=datetime.now(UTC)), limits.Permit)
    run = parts.run("user:amber")
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert ordered_from(MAIN) == ["second"]
    assert Order.objects.get().names == [MAIN]


def test_a_run_does_what_was_foreseen(parts: Parts, second: Provider) -> None:
    limited(parts.provider, row("orders", 1, 3 * 3600))
    parts.discover()
    now = datetime.now(UTC)
    policies = sites.policy_options(parts.server)
    room = Forecast(policies.accounts)
    outlook = Outlook(policies, room)
    foreseen = {}
    for _, site in sorted(sites.read({"server": parts.server}, policies, now, serve_www=True).items()):
        found = foreseen[site.row["name"]] = foresee(site, outlook, now)
        assume(found, outlook, room, now)
    assert not Order.objects.exists()
    parts.run()
    for name, found in foreseen.items():
        placed = Order.objects.get(virtual_host__name=name)
        assert (found.action, found.reason) == (Action.ORDER, placed.reason)
        # That the added www. of one does not exist is found out by the run.
        assert [one for one in found.names if one != f"www.{OTHER}"] == placed.names
    # Which of the two is faster to the one place is left to chance.
    asked = sorted(found.provider.name for found in foreseen.values() if found.provider is not None)
    assert asked == sorted([*ordered_from(MAIN), *ordered_from(OTHER)]) == ["pebble", "second"]


def test_names_are_proven_again_for_a_ca_with_other_caa_records(
    parts: Parts, second: Provider, trouble: Trouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    Provider.objects.filter(pk=parts.provider.pk).update(caa_identities=["first.example"])
    Provider.objects.filter(pk=second.pk).update(caa_identities=["second.example"])
    parts.box.dns.set_caa(MAIN, ["first.example"])
    check, proven = dcv.check, []

    def noted(names: Any, settings: dcv.Settings, **more: Any) -> Any:
        proven.append(settings.caa_identities)
        return check(names, settings, **more)

    monkeypatch.setattr(dcv, "check", noted)
    trouble.at(parts.provider, fault)
    Account.objects.filter(provider=parts.provider).update(faults=2)
    try:
        run = parts.run("user:amber")
        # The second may not: nothing is ordered there in error.
        assert outcome(parts.job(run, MAIN)) == (JobOutcome.FAILED, "dcv_all_failed")
        assert proven == [("first.example",), ("second.example",)]
        assert ordered_from(MAIN) == ["pebble"]
        assert Verdict.objects.get(domain__name=MAIN).code == "caa"
        # It is allowed to: what was proven for the first serves the second, because the records say so.
        parts.box.dns.set_caa(MAIN, ["first.example", "second.example"])
        del proven[:]
        Account.objects.filter(provider=parts.provider).update(faults=2, down_until=None, down_since=None)
        run = parts.run("user:amber")
        assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
        assert proven == [("first.example",)]
        assert ordered_from(MAIN)[-1] == "second"
    finally:
        parts.box.dns.set_caa(MAIN, [])


# --- permits ---------------------------------------------------------------------------------------------------------

PLENTY = [row("orders", 100, 3600), row("domain", 100, 3600), row("set", 20, 3600), row("failures", 20, 3600)]


def used(kind: str) -> int:
    return sum(Bucket.objects.filter(kind=kind).values_list("used", flat=True))


def limited(provider: Provider, *rows: dict[str, Any]) -> None:
    Provider.objects.filter(pk=provider.pk).update(limits=list(rows) or PLENTY)


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


# --- what is paused --------------------------------------------------------------------------------------------------


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
