"""Providers as rows: what a changed draft means for the account that it had, and which profile is ordered."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel.autossl import drafts, profiles, providers, registration, sites
from autossl_panel.autossl.models import Account, Order, Provider, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.registration.directories import LOST_AFTER
from autossl_panel.hosting.models import SiteState
from autossl_panel.people.models import AuditEntry
from tests.ca.authority import MiniCa
from tests.ca.rogue import RogueCa

pytestmark = pytest.mark.django_db

SAME = providers.Draft(name="pebble", directory_url="https://127.0.0.1:1/dir", private_ca=True)


@pytest.fixture
def rogue(tmp_path: Path) -> Iterator[RogueCa]:
    with RogueCa(MiniCa(tmp_path)) as running:
        yield running


def change_of(rogue: RogueCa, tmp_path: Path, **more: Any) -> providers.Draft:
    """What somebody types who has the provider lead to this CA."""
    bundle = (tmp_path / "bundle.pem").read_text()
    return replace(SAME, directory_url=f"{rogue.url}/dir", ca_bundle=bundle, **more)


def test_what_was_set_before_holds_until_a_change_was_tried(server, provider, root, rogue, tmp_path):
    Provider.objects.update(directory_url=f"{rogue.url}/dir", ca_bundle=(tmp_path / "bundle.pem").read_text())
    (tmp_path / "other").mkdir()
    other = MiniCa(tmp_path / "other").bundle.read_text()
    asked = providers.draft(replace(change_of(rogue, tmp_path, max_names=5), ca_bundle=other), by=root, ring=False)
    before = providers.active(server)
    assert before is not None
    assert (before[0].state, before[0].max_names) == (ProviderState.READY, 100)
    assert sites.policy_options(server).provider is not None, "orders go on by what is in force"
    tried = registration.probe(asked)
    assert (tried.state, tried.max_names, tried.ca_bundle) == (ProviderState.READY, 100, before[0].ca_bundle)
    told = drafts.problem(tried)
    assert told is not None
    assert told["field"] == "ca_bundle"
    assert drafts.wished(tried).ca_bundle == other, "what was typed stays"
    assert registration.probe(tried).problem is None, "what is in force is asked as ever"
    mended = providers.draft(change_of(rogue, tmp_path, max_names=5), by=root, ring=False)
    assert registration.probe(mended).max_names == 5
    assert (mended.draft, mended.state) == (None, ProviderState.READY)
    found = providers.active(server)
    assert found is not None
    assert found[1].url == "https://127.0.0.1:1/account/1", "it keeps account and use"
    events = list(AuditEntry.objects.order_by("pk").values_list("event", "person__username"))
    assert events == [("provider:change_asked", "root")] * 2 + [("provider:changed", None)]


def test_with_another_directory_it_is_another_ca_and_has_no_account_yet(server, provider, rogue, tmp_path):
    again = providers.draft(change_of(rogue, tmp_path), by=None, ring=False)
    assert again.pk == provider.pk
    assert providers.active(server) is not None, "until that one has answered"
    registration.probe(again)
    assert (again.active, again.directory_url) == (False, f"{rogue.url}/dir")
    assert not Account.objects.exists()
    assert providers.active(server) is None


def test_a_change_whose_worker_died_is_tried_by_the_next_and_a_newer_one_wins(server, provider, rogue, tmp_path):
    first = providers.draft(change_of(rogue, tmp_path, max_names=5), by=None, ring=False)
    Provider.objects.update(asked_at=timezone.now() - LOST_AFTER)
    newer = providers.draft(change_of(rogue, tmp_path, max_names=7), by=None, ring=False)
    registration.probe(first)
    assert drafts.pending(first), "another was typed meanwhile, which nobody has tried yet"
    registration.directories.take_up(timezone.now() + LOST_AFTER + timedelta(seconds=1))
    newer.refresh_from_db()
    assert (newer.max_names, newer.draft) == (7, None)


def test_what_was_ordered_meanwhile_keeps_its_ca(server, provider, make_user, make_site, rogue, tmp_path):
    """Orders go on by what is in force while a worker reads the directory that is to be."""
    asked = providers.draft(change_of(rogue, tmp_path), by=None, ring=False)
    account, host = Account.objects.get(), make_site(make_user("amber"), "amber.example")
    Order.objects.create(
        ident="meanwhile", virtual_host=host, provider=provider, account=account, names=[host.name], reason="missing",
        key_type="p256", created_at=timezone.now(), status="pending",
    )  # fmt: skip
    registration.directories.take_up(timezone.now() + LOST_AFTER + timedelta(seconds=1))
    asked.refresh_from_db()
    assert (asked.directory_url, asked.active, asked.state) == (SAME.directory_url, True, ProviderState.READY)
    assert Account.objects.get() == account
    with pytest.raises(ProviderProblem) as caught:
        providers.draft(change_of(rogue, tmp_path), by=None, ring=False)
    assert drafts.problem(asked) == caught.value.as_json()
    assert drafts.wished(asked).directory_url == f"{rogue.url}/dir", "what was typed stays"
    assert not drafts.pending(asked), "and is not tried again"
    assert not AuditEntry.objects.filter(event="provider:changed").exists()


def test_a_provider_at_which_something_breaks_holds_up_no_other(server, provider, rogue, tmp_path, caplog):
    Provider.objects.filter(pk=provider.pk).update(draft={}, asked_at=timezone.now() - 2 * LOST_AFTER)
    wish = change_of(rogue, tmp_path, name="second")
    second = providers.draft(wish, by=None, ring=False)
    Provider.objects.filter(pk=second.pk).update(asked_at=timezone.now() - LOST_AFTER)
    with pytest.raises(KeyError):
        registration.directories.take_up(timezone.now())
    second.refresh_from_db()
    assert second.state == ProviderState.READY
    assert "the directory of pebble" in caplog.text


def test_what_binds_the_account_goes_with_the_change(server, provider, rogue, tmp_path):
    key = "c2VjcmV0"
    asked = providers.draft(change_of(rogue, tmp_path, eab_kid="kid", eab_hmac_key=key), by=None, ring=False)
    assert (asked.eab_kid, asked.eab_hmac_key) == ("", "")
    again = providers.draft(change_of(rogue, tmp_path, eab_kid="kid", keep_binding=True), by=None, ring=False)
    registration.probe(again)
    assert (again.eab_kid, again.eab_hmac_key) == ("kid", key)
    assert key not in str(list(AuditEntry.objects.values_list("before", "after")))


@pytest.fixture
def encrypt(db):
    """Let's Encrypt as it comes along, its directory read."""
    registration.seed()
    row = Provider.objects.get(name="letsencrypt")
    row.profiles = {"classic": "", "tlsserver": "", "shortlived": "", "gold": ""}
    row.save()
    return row


def test_a_profile_brings_its_number_of_names_and_lifetime(encrypt, root):
    assert (encrypt.max_names, profiles.expected_lifetime(encrypt)) == (100, timedelta(days=90))
    encrypt.issued_lifetime = 64 * 86400
    encrypt.save()
    assert profiles.expected_lifetime(encrypt) == timedelta(days=64)
    row = profiles.set_profile(encrypt, "shortlived", by=root)
    assert (row.profile, row.max_names, row.issued_lifetime) == ("shortlived", 25, None)
    assert profiles.expected_lifetime(row) == timedelta(hours=160)
    row = profiles.set_profile(row, "", by=root)
    assert (row.profile, row.max_names) == ("", 100)
    entries = AuditEntry.objects.filter(event="provider:profile").order_by("pk")
    assert [(entry.subject, entry.before, entry.after) for entry in entries] == [
        ("letsencrypt", {"profile": "", "max_names": 100}, {"profile": "shortlived", "max_names": 25}),
        ("letsencrypt", {"profile": "shortlived", "max_names": 25}, {"profile": "", "max_names": 100}),
    ]


def test_what_is_not_known_beforehand_of_a_profile_stays_as_it_was(encrypt, provider):
    row = profiles.set_profile(encrypt, "gold", by=None)
    assert (row.profile, row.max_names) == ("gold", 100)
    assert profiles.expected_lifetime(row) == timedelta(days=90)
    assert profiles.names_of_profile(encrypt, "gold") is None
    assert profiles.names_of_profile(encrypt, "tlsserver") == 25
    assert profiles.expected_lifetime(provider) is None
    provider.profiles = {"any": ""}
    provider.max_names = 7
    provider.save()
    assert profiles.set_profile(provider, "any", by=None).max_names == 7


def test_only_a_profile_of_the_directory_is_taken(encrypt, provider):
    for row, says in ((encrypt, "It offers: classic, tlsserver, shortlived, gold."), (provider, "It offers: none.")):
        with pytest.raises(ProviderProblem) as caught:
            profiles.set_profile(row, "platinum", by=None)
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
    assert profiles.sites_over(25) == 2
    assert profiles.sites_over(23) == 4
    assert profiles.sites_over(100) == 0


def test_sites_that_nobody_could_be_asked_for_are_due_with_the_provider(provider, make_user, make_site, now):
    providers.disable(by=None)
    host = make_site(make_user("amber"), "amber.example", next_at=None, next_reason="no_provider")
    held = make_site(make_user("birch"), "birch.example", next_at=None, next_reason="loop")
    providers.activate(provider)
    host.refresh_from_db()
    held.refresh_from_db()
    assert host.next_at is not None
    assert held.next_at is None
