"""Providers as rows: what a changed draft means for the account that it had, and which profile is ordered."""

from dataclasses import replace
from datetime import timedelta

import pytest

from autossl_panel.autossl import providers, registration
from autossl_panel.autossl.models import Account, Provider
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting.models import SiteState
from autossl_panel.people.models import AuditEntry

pytestmark = pytest.mark.django_db

SAME = providers.Draft(name="pebble", directory_url="https://127.0.0.1:1/dir", private_ca=True)


def test_a_draft_of_the_same_directory_keeps_account_and_use(server, provider):
    providers.draft(replace(SAME, max_names=5), by=None, ring=False)
    found = providers.active(server)
    assert found is not None
    assert (found[0].max_names, found[1].url) == (5, "https://127.0.0.1:1/account/1")


def test_with_another_directory_it_is_another_ca_and_has_no_account_yet(server, provider):
    again = providers.draft(replace(SAME, directory_url="https://127.0.0.2:1/dir"), by=None, ring=False)
    assert again.pk == provider.pk
    assert not again.active
    assert not Account.objects.exists()
    assert providers.active(server) is None


@pytest.fixture
def encrypt(db):
    """Let's Encrypt as it comes along, its directory read."""
    registration.seed()
    row = Provider.objects.get(name="letsencrypt")
    row.profiles = {"classic": "", "tlsserver": "", "shortlived": "", "gold": ""}
    row.save()
    return row


def test_a_profile_brings_its_number_of_names_and_lifetime(encrypt, root):
    assert (encrypt.max_names, providers.expected_lifetime(encrypt)) == (100, timedelta(days=90))
    encrypt.issued_lifetime = 64 * 86400
    encrypt.save()
    assert providers.expected_lifetime(encrypt) == timedelta(days=64)
    row = providers.set_profile(encrypt, "shortlived", by=root)
    assert (row.profile, row.max_names, row.issued_lifetime) == ("shortlived", 25, None)
    assert providers.expected_lifetime(row) == timedelta(hours=160)
    row = providers.set_profile(row, "", by=root)
    assert (row.profile, row.max_names) == ("", 100)
    entries = AuditEntry.objects.filter(event="provider:profile").order_by("pk")
    assert [(entry.subject, entry.before, entry.after) for entry in entries] == [
        ("letsencrypt", {"profile": "", "max_names": 100}, {"profile": "shortlived", "max_names": 25}),
        ("letsencrypt", {"profile": "shortlived", "max_names": 25}, {"profile": "", "max_names": 100}),
    ]


def test_what_is_not_known_beforehand_of_a_profile_stays_as_it_was(encrypt, provider):
    row = providers.set_profile(encrypt, "gold", by=None)
    assert (row.profile, row.max_names) == ("gold", 100)
    assert providers.expected_lifetime(row) == timedelta(days=90)
    assert providers.names_of_profile(encrypt, "gold") is None
    assert providers.names_of_profile(encrypt, "tlsserver") == 25
    assert providers.expected_lifetime(provider) is None
    provider.profiles = {"any": ""}
    provider.max_names = 7
    provider.save()
    assert providers.set_profile(provider, "any", by=None).max_names == 7


def test_only_a_profile_of_the_directory_is_taken(encrypt, provider):
    for row, says in ((encrypt, "It offers: classic, tlsserver, shortlived, gold."), (provider, "It offers: none.")):
        with pytest.raises(ProviderProblem) as caught:
            providers.set_profile(row, "platinum", by=None)
        assert caught.value.field == "profile"
        assert says in caught.value.text
    assert not AuditEntry.objects.exists()


def test_sites_that_would_lose_names_are_counted(make_user, make_site, now):
    user = make_user("amber")
    for number, (covered, state) in enumerate(
        [(24, "secured"), (25, "secured"), (26, "secured"), (100, "partly"), (100, "foreign"), (90, "off")]
    ):
        make_site(user, f"s{number}.example", names_covered=covered, state=SiteState(state))
    make_site(user, "gone.example", names_covered=99, state=SiteState.SECURED, gone_at=now)
    assert providers.sites_over(25) == 2
    assert providers.sites_over(23) == 4
    assert providers.sites_over(100) == 0


def test_sites_that_nobody_could_be_asked_for_are_due_with_the_provider(provider, make_user, make_site, now):
    providers.disable(by=None)
    host = make_site(make_user("amber"), "amber.example", next_at=None, next_reason="no_provider")
    held = make_site(make_user("birch"), "birch.example", next_at=None, next_reason="loop")
    providers.activate(provider)
    host.refresh_from_db()
    held.refresh_from_db()
    assert host.next_at is not None
    assert held.next_at is None
