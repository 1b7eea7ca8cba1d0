"""The heart with a real ACME server that has external account binding, profiles and renewal information.

What that server leaves out is said in tests/ca/test_acme2certifier.py: it ignores `replaces`, and validates nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from autossl_panel.autossl import providers, registration, renewal_info, runs
from autossl_panel.autossl.models import Account, AccountStatus, Certificate, Installation, Order, Provider
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of
from tests.support.acme2certifier import EAB_HMAC, EAB_KID, Acme2Certifier

pytestmark = pytest.mark.django_db(transaction=True)
NAME = "hinted.example"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("hinted", (NAME,))]) as started:
        yield started


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme2Certifier]:
    """Its window begins with the certificate: what was issued a moment ago may be renewed freely."""
    with Acme2Certifier(tmp_path_factory.mktemp("as"), eab=True, threshold=0.0) as running:
        yield running


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


def draft(authority: Acme2Certifier, kid: str = "", hmac_key: str = "") -> Provider:
    wish = providers.Draft(
        name="a2c",
        directory_url=authority.directory_url,
        ca_bundle=authority.bundle.read_text(),
        private_ca=True,
        eab_kid=kid,
        eab_hmac_key=hmac_key,
    )
    return registration.probe(providers.draft(wish, by=None, ring=False))


def use(parts: Parts, provider: Provider) -> Account:
    asked = providers.ask_to_use(
        provider, parts.server, agree_terms=True, contact="admin@example.com", by=None, ring=False
    )
    return registration.register(asked)


def test_registration_wants_the_right_binding(parts: Parts, authority: Acme2Certifier) -> None:
    provider = draft(authority)
    assert provider.eab_required
    with pytest.raises(ProviderProblem) as caught:
        use(parts, provider)
    assert caught.value.field == "eab_kid"
    account = use(parts, draft(authority, EAB_KID, EAB_HMAC[::-1]))
    assert account.status == AccountStatus.REFUSED
    assert account.problem is not None
    assert account.problem["field"] == "eab_kid"
    found = providers.active(parts.server)
    assert found is not None
    assert found[0].name == "pebble"
    account = use(parts, draft(authority, EAB_KID, EAB_HMAC))
    assert (account.status, account.problem) == (AccountStatus.VALID, None)
    provider.refresh_from_db()
    assert (provider.eab_hmac_key, provider.active) == ("", True)


def test_a_profile_is_chosen_ordered_and_remembered_and_the_window_kept(
    parts: Parts, authority: Acme2Certifier
) -> None:
    provider = draft(authority, EAB_KID, EAB_HMAC)
    account = use(parts, provider)
    call_command("provider", "profile", "a2c", "brief")
    with pytest.raises(CommandError, match=r"profile: “a2c” offers no profile “gold”\. It offers: classic, brief\."):
        call_command("provider", "profile", "a2c", "gold")
    parts.run()
    assert authority.orders()[-1]["profile"] == "brief"
    first = Installation.objects.get(until__isnull=True).certificate
    assert (first.provider, first.account, first.profile) == (provider, account, "brief")
    assert first.ari_next_at is not None
    provider.refresh_from_db()
    assert provider.issued_lifetime == 30 * 86400

    now = datetime.now(UTC)
    assert renewal_info.ask(parts.server, now) == 0
    later = first.ari_next_at
    assert renewal_info.ask(parts.server, later) == 1
    first.refresh_from_db()
    assert first.ari_start == first.not_before
    assert first.ari_end == first.not_after
    assert first.renewal_at is not None
    assert first.ari_start <= first.renewal_at <= first.ari_end
    assert first.ari_next_at > later + timedelta(hours=1)

    # Times in certificates are whole seconds, and only what ends later replaces what is there.
    time.sleep(max(0.0, 1.1 - (datetime.now(UTC) - first.not_before).total_seconds()))
    # As if the draw had picked the window's first moment: due now, and free of limits inside the window.
    Certificate.objects.update(renewal_at=first.ari_start)
    VirtualHost.objects.update(next_at=now)
    run = parts.run(runs.DUE)
    assert parts.job(run, NAME).reason == "ari"
    assert authority.orders()[-1] == {
        "identifiers": [{"type": "dns", "value": NAME}],
        "profile": "brief",
        "replaces": first.ari_id,
    }
    second = Installation.objects.get(until__isnull=True).certificate
    assert second.serial != first.serial
    assert parts.shown(NAME) == second.serial
    assert parts.site(NAME).state == SiteState.SECURED
    # This server says nothing of what an order replaces: so none is known to have replaced anything.
    first.refresh_from_db()
    assert first.replaced_at is None
    assert Order.objects.latest("created_at").replaces == ""
