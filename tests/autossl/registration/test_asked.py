"""Accounts at a real CA: registered, taken up where a worker died; directories read, contact and terms told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.autossl import choices, profiles, providers, registration
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderState
from autossl_panel.autossl.registration.directories import LOST_AFTER
from autossl_panel.hosting.models import Server
from autossl_panel.people.models import AuditEntry, User
from tests.ca.authority import MiniCa
from tests.ca.rogue import Rogue, RogueCa, answer

pytestmark = pytest.mark.django_db


def test_how_fast_the_directory_answered_is_noted_and_that_it_did_not(account: Account, server: Server) -> None:
    answer = account.provider.answer
    assert answer is not None
    assert answer["text"] == ""
    assert 0 <= answer["ms"] < 30_000
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir", checked_at=None)
    now = timezone.now()
    registration.look_again(server, now)
    row = Provider.objects.get(pk=account.provider_id)
    assert row.state == ProviderState.READY, "that it is down shows where something is ordered"
    assert row.answer is not None
    assert (row.answer["at"], row.answer["ms"]) == (now.isoformat(), None)
    assert "127.0.0.1" in row.answer["text"]


def test_a_provider_that_is_only_registered_with_leaves_the_one_in_use(account: Account, server: Server) -> None:
    first = account.provider
    wish = providers.Draft("second", first.directory_url, ca_bundle=first.ca_bundle, private_ca=True)
    second = registration.probe(providers.draft(wish, by=None, ring=False))
    asked = providers.ask_to_use(second, server, agree_terms=True, by=None, ring=False, use=False)
    done = registration.register(asked)
    assert (done.status, bool(done.url)) == (AccountStatus.VALID, True)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.active, second.active) == (True, False)
    choices.set_fallbacks([second], by=None)
    registration.register(providers.ask_to_use(second, server, agree_terms=True, by=None, ring=False))
    second.refresh_from_db()
    assert second.active


def test_what_a_worker_took_with_it_when_it_died_is_taken_up(account: Account, server: Server) -> None:
    provider = account.provider
    providers.ask_to_use(provider, server, agree_terms=True, by=None, ring=False)
    providers.check_again(provider, by=None)
    registration.carry_out_all(server)
    assert Provider.objects.get().state == ProviderState.CHECKING, "its worker may still be at it"
    assert Account.objects.get().status == AccountStatus.REGISTERING
    long_ago = timezone.now() - LOST_AFTER
    Provider.objects.update(asked_at=long_ago)
    Account.objects.update(asked_at=long_ago)
    registration.carry_out_all(server)
    assert Provider.objects.get().state == ProviderState.READY
    assert Account.objects.get().status == AccountStatus.VALID


def test_another_contact_is_told_to_the_ca(account: Account, server: Server) -> None:
    asked = providers.ask_to_use(
        account.provider, server, agree_terms=True, contact="b@example.com", by=None, ring=False
    )
    assert registration.register(asked).problem is None
    assert asked.url == account.url
    asked.contact = "no-address"
    again = registration.register(asked)
    assert again.status == AccountStatus.VALID
    assert again.problem is not None
    assert again.problem["field"] == "contact"


def test_other_terms_are_noticed_when_the_directory_is_read_and_agreed_to(
    account: Account, server: Server, root: User
) -> None:
    agreed = account.terms_url
    Account.objects.update(terms_url="https://ca.example/terms/1", terms_agreed_at=timezone.now())
    registration.probe(account.provider)
    account.refresh_from_db()
    assert account.problem is not None
    assert (account.problem["code"], account.problem["link"]) == ("terms_changed", agreed)
    asked = providers.agree_again(account.provider, server, by=root, ring=False)
    assert (asked.terms_url, asked.problem) == (agreed, None)
    registration.carry_out(asked)
    account.refresh_from_db()
    assert account.wish is None
    assert account.terms_agreed_at is not None
    entry = AuditEntry.objects.get(event="account:agree_terms")
    assert entry.before == {"terms_url": "https://ca.example/terms/1"}
    registration.probe(account.provider)
    account.refresh_from_db()
    assert account.problem is None


def test_directories_of_providers_in_use_are_read_once_a_day(account: Account, server: Server, tmp_path: Path) -> None:
    now = timezone.now()
    row = account.provider
    row.refresh_from_db()
    registration.look_again(server, now)
    row.refresh_from_db()
    assert row.checked_at is not None
    assert row.checked_at < now
    registration.look_again(server, later := now + registration.directories.LOOKED_AT_EVERY)
    row.refresh_from_db()
    assert row.checked_at == later
    registration.look_again(server, now)
    row.refresh_from_db()
    assert row.checked_at == now, "the clock ran ahead the day before"
    registration.look_again(server, later)
    row.refresh_from_db()
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    registration.look_again(server, later + registration.directories.LOOKED_AT_EVERY)
    row.refresh_from_db()
    assert (row.state, row.problem, row.checked_at) == (ProviderState.READY, None, later)


@pytest.mark.parametrize("whose", ["user", "feature list"])
def test_so_is_that_of_a_provider_that_only_a_user_or_a_feature_list_has(
    account: Account, make_user: Any, whose: str
) -> None:
    user, row = make_user("amber"), account.provider
    Provider.objects.update(active=False)
    row.refresh_from_db()
    now = row.checked_at + registration.directories.LOOKED_AT_EVERY
    registration.look_again(user.server, now)
    row.refresh_from_db()
    assert row.checked_at < now, "nobody orders from it"
    if whose == "user":
        choices.choose_for_user(user, row, by=None, now=now)
    else:
        choices.choose_for_feature_list(user.feature_list, row, by=None, now=now)
    registration.look_again(user.server, now)
    row.refresh_from_db()
    assert row.checked_at == now


def test_a_bundle_of_another_ca_is_told_at_the_bundle(server: Server, provider: Provider, tmp_path: Path) -> None:
    for folder in ("right", "wrong"):
        (tmp_path / folder).mkdir()
    wrong = MiniCa(tmp_path / "wrong").bundle.read_text()
    with RogueCa(MiniCa(tmp_path / "right")) as rogue:
        for bundle, field, said in (
            (wrong, "ca_bundle", "comes from no root in this CA bundle"),
            ("", "directory_url", "A private CA needs its own CA bundle"),
        ):
            provider.directory_url, provider.ca_bundle = f"{rogue.url}/dir", bundle
            provider.save()
            problem = registration.probe(provider).problem
            assert problem is not None
            assert (problem["field"], problem["type"]) == (field, "certificate")
            assert said in problem["text"]


def test_a_right_bundle_does_not_help_a_certificate_of_another_host(
    server: Server, provider: Provider, tmp_path: Path
) -> None:
    with Rogue(MiniCa(tmp_path), lambda asked: answer(200, {}), host="other.example") as rogue:
        provider.directory_url, provider.ca_bundle = f"{rogue.url}/dir", (tmp_path / "bundle.pem").read_text()
        provider.save()
        problem = registration.probe(provider).problem
    assert problem is not None
    assert problem["field"] == "directory_url"


def test_a_profile_that_is_no_longer_offered_is_told(server: Server, provider: Provider, tmp_path: Path) -> None:
    meta: dict[str, Any] = {"profiles": {"classic": "as ever", "short": "six days"}}
    with RogueCa(MiniCa(tmp_path), meta=meta) as rogue:
        rogue.script("/dir", lambda asked: answer(200, {**rogue.directory(), "meta": meta}))
        provider.directory_url, provider.ca_bundle = f"{rogue.url}/dir", (tmp_path / "bundle.pem").read_text()
        provider.save()
        registration.probe(provider)
        profiles.set_profile(provider, "short", by=None)
        registration.probe(provider)
        assert (provider.problem, profiles.profile_in_use(provider)) == (None, "short")
        del meta["profiles"]["short"]
        registration.probe(provider)
        assert provider.state == ProviderState.READY
        assert provider.problem is not None
        assert provider.problem["field"] == "profile"
        assert "offers: classic" in provider.problem["text"]
        assert (provider.profile, profiles.profile_in_use(provider)) == ("short", "")
        meta["profiles"]["short"] = "again"
        registration.probe(provider)
        assert (provider.problem, profiles.profile_in_use(provider)) == (None, "short")


def test_a_profile_that_the_ca_refuses_makes_its_directory_be_read_again(account: Account) -> None:
    Provider.objects.update(profile="short", profiles={"short": ""})
    account.refresh_from_db()
    refused = ca.CaProblem(ca.ProblemKind.ORDER, type="urn:ietf:params:acme:error:invalidProfile", detail="No.")
    registration.heard_problem(account, refused)
    row = Provider.objects.get()
    assert (row.profile, row.profiles, profiles.profile_in_use(row)) == ("short", {}, "")
    assert row.problem is not None
    assert row.problem["code"] == "profile_gone"
    assert Account.objects.get().problem is None


def test_a_fallback_whose_directory_did_not_answer_when_it_was_checked_comes_back_by_itself(
    account: Account, server: Server
) -> None:
    provider = account.provider
    choices.set_fallbacks([provider], by=None)
    Provider.objects.update(active=False)
    directory_url = provider.directory_url
    Provider.objects.update(directory_url="https://127.0.0.1:1/dir")
    assert registration.probe(Provider.objects.get()).state == ProviderState.REFUSED
    Provider.objects.update(directory_url=directory_url)
    registration.look_again(server, timezone.now() + timedelta(days=1))
    assert Provider.objects.get().state == ProviderState.READY
    assert Provider.objects.get().problem is None
