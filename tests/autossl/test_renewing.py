"""When a provider's certificates are renewed, where a person says so."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from autossl_panel.autossl import renewing
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people.models import AuditEntry, User

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def test_a_part_of_the_lifetime_is_set_and_taken_back(
    provider: Provider, make_user: Make, make_site: Make, root: User, now: datetime
) -> None:
    user = make_user("anna")
    make_site(user, "a.example", next_reason="renew")
    make_site(user, "b.example", next_reason="held_back")
    renewing.set_percent(provider, " 25 % ", by=root, now=now)
    provider.refresh_from_db()
    assert (provider.renew_fraction, renewing.percent(provider)) == (0.25, 25)
    assert [host.name for host in VirtualHost.objects.filter(next_at=now)] == ["a.example"]
    renewing.set_percent(provider, "", by=root, now=now)
    provider.refresh_from_db()
    assert renewing.percent(provider) is None
    assert [(entry.before, entry.after) for entry in AuditEntry.objects.order_by("pk")] == [
        ({"percent_left": None}, {"percent_left": 25}),
        ({"percent_left": 25}, {"percent_left": None}),
    ]


def test_the_same_again_changes_nothing(provider: Provider, root: User, now: datetime) -> None:
    renewing.set_percent(provider, "", by=root, now=now)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("text", ["9", "91", "0", "-5", "a third", "33.3", "1000", "٣٣٣"])
def test_what_is_no_part_is_told(text: str, provider: Provider, now: datetime) -> None:
    with pytest.raises(ProviderProblem, match="from 10 to 90 percent") as caught:
        renewing.set_percent(provider, text, by=None, now=now)
    assert caught.value.field == "renew"
    provider.refresh_from_db()
    assert provider.renew_fraction is None


def test_the_command(provider: Provider, server: Server) -> None:
    out = io.StringIO()
    call_command("provider", "renew", "pebble", "40", stdout=out)
    assert "pebble: certificates are renewed when 40 % of their life are left" in out.getvalue()
    call_command("provider", "renew", "pebble", stdout=out)
    assert "a third of their life" in out.getvalue()
    with pytest.raises(CommandError, match="from 10 to 90"):
        call_command("provider", "renew", "pebble", "5", stdout=out)
