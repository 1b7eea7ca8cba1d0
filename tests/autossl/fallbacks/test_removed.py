"""A provider is removed while a job waits to order from it: another one takes its place, and the log says why."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from autossl_panel import dcv
from autossl_panel.autossl import choices, providers
from autossl_panel.autossl.jobs import runner
from autossl_panel.autossl.jobs.calling import Caller
from autossl_panel.autossl.models import JobOutcome, Order, Provider
from autossl_panel.hosting.models import HostingUser
from tests.autossl.fallbacks.world import MAIN, OTHER, limited, lines, outcome
from tests.autossl.parts import Parts

pytestmark = pytest.mark.django_db(transaction=True)
Remove = Callable[[pytest.MonkeyPatch, Provider], None]


def before_it_is_asked(patch: pytest.MonkeyPatch, provider: Provider) -> None:
    check = dcv.check

    def then_remove(*given: Any, **named: Any) -> Any:
        providers.remove(provider, by=None)
        return check(*given, **named)

    patch.setattr(dcv, "check", then_remove)


def before_its_order_is_saved(patch: pytest.MonkeyPatch, provider: Provider) -> None:
    ready = Caller.ready

    def then_remove(caller: Caller, account: Any) -> Any:
        found = ready(caller, account)
        if account.provider_id == provider.pk:
            providers.remove(provider, by=None)
        return found

    patch.setattr(Caller, "ready", then_remove)


@pytest.mark.parametrize("permit", [False, True], ids=["unlimited", "limited"])
@pytest.mark.parametrize("remove", [before_its_order_is_saved, before_it_is_asked])
def test_a_job_whose_provider_is_removed_goes_on_with_another(
    parts: Parts, second: Provider, monkeypatch: pytest.MonkeyPatch, remove: Remove, permit: bool
) -> None:
    if permit:
        limited(second)
    # What the runner knows stays as it was when it began
    monkeypatch.setattr(runner, "LOOK_EVERY", 600.0)
    parts.discover()
    choices.choose_for_user(HostingUser.objects.get(name="amber"), second, by=None, now=datetime.now(UTC))
    remove(monkeypatch, second)
    run = parts.run()
    assert not Provider.objects.filter(name="second").exists()
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert outcome(parts.job(run, OTHER)) == (JobOutcome.SECURED, "missing")
    said = lines(run, MAIN, "provider:passed_over")
    assert [(line["provider"], line["reason"]) for line in said] == [("second", "provider_removed")]
    # What preflight found was written in spite of it
    assert Order.objects.get(virtual_host__name=MAIN).provider == parts.provider
    assert parts.events(run, MAIN).count("dcv:passed") == 2
