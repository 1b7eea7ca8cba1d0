"""Names that one CA does not take: which provider takes all, whose CAA records count, what a run foresees."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from autossl_panel import dcv
from autossl_panel.autossl import (
    limits,
    sites,
)
from autossl_panel.autossl.choosing import Outlook
from autossl_panel.autossl.facts import Action
from autossl_panel.autossl.foresight import assume, foresee
from autossl_panel.autossl.ledger import OrderKind
from autossl_panel.autossl.ledger import order as wish
from autossl_panel.autossl.models import (
    Account,
    Certificate,
    JobOutcome,
    Order,
    Provider,
    Verdict,
)
from autossl_panel.autossl.room import Forecast
from autossl_panel.hosting.models import SiteState, VirtualHost
from tests.autossl.fallbacks.world import (
    DAY,
    HOUR,
    MAIN,
    OTHER,
    WWW,
    Trouble,
    due,
    fault,
    limited,
    lines,
    ordered_from,
    outcome,
)
from tests.autossl.limits_rows import row
from tests.autossl.parts import Parts

pytestmark = pytest.mark.django_db(transaction=True)


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
    assert set(parts.order(MAIN).names) == {MAIN, WWW}
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
