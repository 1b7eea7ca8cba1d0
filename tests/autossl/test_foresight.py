"""What a run would do, foreseen over rows: the same rules, nothing written, the limits as each site leaves them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps

from autossl_panel.autossl import limits, options, sites
from autossl_panel.autossl.choosing import Outlook
from autossl_panel.autossl.facts import Action
from autossl_panel.autossl.foresight import Foreseen, assume, foresee
from autossl_panel.autossl.models import Account, AccountStatus, Outcome, Provider, ProviderState, Verdict
from autossl_panel.autossl.room import Forecast
from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost
from tests.autossl.limits_rows import DAY, HOUR, row

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture(autouse=True)
def rows_to_begin_with(server: Server, settings: Any, tmp_path: Path) -> Iterator[None]:
    settings.AUTOSSL_STATE_DIR = tmp_path
    options.current(server)
    limits.stops.look_again()
    yield
    limits.stops.look_again()


@pytest.fixture
def user(make_user: Make) -> HostingUser:
    found: HostingUser = make_user("amber")
    return found


@pytest.fixture
def second(server: Server, provider: Provider) -> Provider:
    """A fallback, with an account."""
    made = Provider.objects.create(
        name="second", directory_url="https://127.0.0.1:2/dir", state=ProviderState.READY, private_ca=True, fallback=1
    )
    Account.objects.create(provider=made, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:2/a/1")
    return made


def all_of(server: Server, now: datetime) -> list[Foreseen]:
    """Every site, in the order of its row."""
    policies = sites.policy_options(server)
    room = Forecast(policies.accounts)
    outlook = Outlook(policies, room)
    found = []
    for _, site in sorted(sites.read({"server": server}, policies, now, serve_www=True).items()):
        found.append(foresee(site, outlook, now))
        assume(found[-1], outlook, room, now)
    return found


def name_of(found: Foreseen) -> str | None:
    return found.provider.name if found.provider is not None else None


def everything() -> dict[str, list[Any]]:
    """Every row of the panel's own tables."""
    mine = [model for model in apps.get_models() if model.__module__.startswith("autossl_panel.")]
    return {model._meta.label: list(model._default_manager.order_by("pk").values()) for model in mine}


def fails(host: VirtualHost, name: str, code: str = "elsewhere", **more: Any) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    domain = Domain.objects.get(virtual_host=host, name=name)
    Verdict.objects.create(
        domain=domain, at=at, outcome=Outcome.FAIL, code=code, first_failed_at=at, last_failed_at=at, **more
    )


def test_what_needs_a_certificate_is_ordered_and_what_does_not_is_kept(
    server: Server, provider: Provider, user: HostingUser, make_site: Make, make_installed: Make, now: datetime
) -> None:
    make_site(user, "new.example", "www.new.example")
    make_installed(make_site(user, "kept.example"), "kept.example")
    before = everything()
    new, kept = all_of(server, now)
    assert (new.action, new.reason, new.names) == (Action.ORDER, "missing", ("new.example", "www.new.example"))
    assert (name_of(new), new.limit, new.until) == ("pebble", None, None)
    assert (kept.action, kept.reason, kept.names, kept.provider) == (Action.KEEP, "ok", (), None)
    assert kept.until is not None
    assert everything() == before


def test_each_site_finds_the_limits_as_the_one_before_leaves_them(
    server: Server, provider: Provider, user: HostingUser, make_site: Make, now: datetime
) -> None:
    Provider.objects.update(limits=[row("domain", 4, 7 * DAY), row("orders", 300, 3 * HOUR)])
    for n in range(8):
        make_site(user, f"shop{n}.amber.example")
    make_site(user, "birch.example")
    before = everything()
    found = all_of(server, now)
    assert everything() == before
    # 80 % of the four are used up; another domain is none of their business.
    assert [one.action for one in found] == [Action.ORDER] * 3 + [Action.WAIT] * 5 + [Action.ORDER]
    waits = found[3:8]
    assert {one.reason for one in waits} == {"rate_limited"}
    assert all(one.limit is not None and one.limit.wait is not None for one in waits)
    assert {(one.limit.provider, one.limit.wait.label) for one in waits if one.limit and one.limit.wait} == {
        ("pebble", "amber.example")
    }
    assert [one.names for one in waits] == [(f"shop{n}.amber.example",) for n in range(3, 8)]
    turns = [one.until for one in waits if one.until is not None]
    # The three places that are used up come back after a week, and once more a week after that.
    assert turns == [turns[0]] * 3 + [turns[3]] * 2
    assert now + timedelta(days=7) < turns[0]
    assert turns[0] + timedelta(days=7) <= turns[3]


def test_a_limit_that_lasts_too_long_sends_a_site_to_the_next_provider_and_is_told(
    server: Server, provider: Provider, second: Provider, user: HostingUser, make_site: Make, now: datetime
) -> None:
    Provider.objects.filter(pk=provider.pk).update(limits=[row("domain", 2, 7 * DAY)])
    make_site(user, "one.amber.example")
    make_site(user, "two.amber.example")
    one, two = all_of(server, now)
    assert (name_of(one), name_of(two)) == ("pebble", "second")
    assert (two.action, two.until) == (Action.ORDER, None)
    assert two.chosen is not None
    assert two.chosen.choice.reason == "provider_fallback"
    assert two.limit is not None
    assert (two.limit.provider, two.limit.code) == ("pebble", "rate_limited")


def test_a_provider_that_is_down_is_passed_over_and_without_another_one_waited_for(
    server: Server, provider: Provider, user: HostingUser, make_site: Make, now: datetime
) -> None:
    make_site(user, "amber.example")
    until = now + timedelta(minutes=30)
    Account.objects.update(faults=3, down_since=now, down_until=until)
    [found] = all_of(server, now)
    assert (found.action, found.reason, found.until, found.provider) == (Action.WAIT, "providers_down", until, None)
    assert found.names == ("amber.example",)


def test_failing_names_count_as_they_were_found_last(
    server: Server, provider: Provider, user: HostingUser, make_site: Make, make_installed: Make, now: datetime
) -> None:
    new = make_site(user, "new.example", "away.example")
    fails(new, "away.example")
    old = make_site(user, "old.example", "gone.example")
    make_installed(old, "old.example", "gone.example", days_left=20)
    fails(old, "gone.example")
    dead = make_site(user, "dead.example")
    fails(dead, "dead.example", "nxdomain")
    ordered, deferred, failed = all_of(server, now)
    assert (ordered.action, ordered.names) == (Action.ORDER, ("new.example",))
    assert ordered.plan is not None
    assert ordered.plan.left_out == (("away.example", "elsewhere"),)
    assert (deferred.action, deferred.reason) == (Action.DEFER, "deferred")
    assert deferred.plan is not None
    assert deferred.plan.dropped == ("gone.example",)
    assert deferred.until == deferred.plan.until
    assert deferred.until is not None
    assert deferred.until > now
    assert (failed.action, failed.reason) == (Action.FAIL, "dcv_all_failed")


def test_a_fallback_that_takes_all_the_names_is_foreseen(
    server: Server,
    provider: Provider,
    second: Provider,
    user: HostingUser,
    make_site: Make,
    make_installed: Make,
    now: datetime,
) -> None:
    host = make_site(user, "a.example", "b.example", "c.example")
    make_installed(host, "a.example", "b.example", "c.example", days_left=20)
    Provider.objects.filter(pk=provider.pk).update(max_names=2)
    [found] = all_of(server, now)
    assert (found.action, name_of(found)) == (Action.ORDER, "second")
    assert found.names == ("a.example", "b.example", "c.example")
    assert found.chosen is not None
    assert found.chosen.choice.reason == "provider_instead"


def test_a_fallback_that_takes_fewer_names_is_not_left_again_for_the_first(
    server: Server, provider: Provider, second: Provider, user: HostingUser, make_site: Make, now: datetime
) -> None:
    # The first refuses what is under one domain; the second takes only names that are not.
    Provider.objects.filter(pk=provider.pk).update(limits=[row("domain", 2, 7 * DAY)])
    Provider.objects.filter(pk=second.pk).update(max_names=1)
    make_site(user, "one.birch.example")
    make_site(user, "amber.example", "two.birch.example")
    _, found = all_of(server, now)
    assert (found.action, name_of(found), found.names) == (Action.ORDER, "second", ("amber.example",))


def test_a_paused_panel_orders_nothing(
    server: Server, provider: Provider, user: HostingUser, make_site: Make, now: datetime
) -> None:
    make_site(user, "amber.example")
    options.pause(server, by=None, now=now)
    [found] = all_of(server, now)
    assert (found.action, found.reason, found.provider) == (Action.HOLD, "paused", None)
