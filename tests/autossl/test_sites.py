"""Rows read into facts: the provider of each site, names that a pattern excludes, what one CA alone holds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel import names
from autossl_panel.autossl import choices, options, policy, providers, sites, standing
from autossl_panel.autossl.models import Account, AccountStatus, Outcome, Provider, ProviderState, Verdict
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import FeatureList, HostingUser, Server, VirtualHost

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture
def make_provider(server: Server) -> Callable[..., Provider]:
    def make(name: str, **fields: Any) -> Provider:
        row = Provider.objects.create(
            name=name, directory_url=f"https://127.0.0.1:1/{name}", state=ProviderState.READY, **fields
        )
        Account.objects.create(
            provider=row, server=server, status=AccountStatus.VALID, url=f"https://127.0.0.1:1/{name}/1"
        )
        return row

    return make


def read(server: Server, now: datetime, **hosts: Any) -> dict[str, sites.Site]:
    found = sites.read(hosts or {"server_id": server.pk}, sites.policy_options(server), now, serve_www=True)
    return {site.row["name"]: site for site in found.values()}


def named(site: sites.Site) -> str | None:
    return site.options.provider.name if site.options.provider is not None else None


def test_a_users_choice_comes_before_its_lists_and_that_before_the_active_one(
    server: Server, provider: Provider, make_provider: Make, make_user: Make, make_site: Make, now: datetime
) -> None:
    one, two = make_provider("one", max_names=5), make_provider("two", renew_fraction=0.25, profile="tlsserver")
    starter = FeatureList.objects.create(name="starter")
    for name in ("anna", "ben", "carl", "dora"):
        make_site(make_user(name), f"{name}.example")
    HostingUser.objects.filter(name__in=["ben", "carl"]).update(feature_list=starter)
    choices.choose_for_feature_list(starter, one, by=None, now=now)
    choices.choose_for_user(HostingUser.objects.get(name="carl"), two, by=None, now=now)
    found = read(server, now)
    assert {name: named(site) for name, site in found.items()} == {
        "anna.example": "pebble",
        "ben.example": "one",
        "carl.example": "two",
        "dora.example": "pebble",
    }
    assert found["anna.example"].options is found["dora.example"].options, "sites that are alike share one"
    chosen = found["carl.example"].options.provider
    assert chosen is not None
    assert (chosen.renew_fraction, chosen.profile, chosen.row) == (0.25, "tlsserver", two.pk)
    assert chosen.account == two.accounts.get().pk
    assert set(VirtualHost.objects.filter(next_at=now).values_list("name", flat=True)) == {
        "ben.example",
        "carl.example",
    }


def test_a_choice_whose_account_is_lost_leaves_the_site_to_the_next(
    server: Server, provider: Provider, make_provider: Make, make_user: Make, make_site: Make, now: datetime
) -> None:
    one = make_provider("one")
    user = make_user("anna")
    make_site(user, "anna.example")
    choices.choose_for_user(user, one, by=None, now=now)
    Account.objects.filter(provider=one).delete()
    assert named(read(server, now)["anna.example"]) == "pebble"


def test_disabled_is_disabled_whoever_chose_what(
    server: Server, provider: Provider, make_provider: Make, make_user: Make, make_site: Make, now: datetime
) -> None:
    user = make_user("anna")
    make_site(user, "anna.example")
    choices.choose_for_user(user, make_provider("one"), by=None, now=now)
    providers.disable(by=None)
    site = read(server, now)["anna.example"]
    assert named(site) is None
    assert policy.need(site.facts, site.options, now).reason == "no_provider"


def test_the_lifetime_is_what_was_issued_last_else_what_is_stated(
    server: Server, provider: Provider, make_provider: Make
) -> None:
    make_provider("stated", stated={"validity_days": 90, "wildcard": True})
    make_provider("issued", stated={"validity_days": 90}, issued_lifetime=160 * 3600)
    found = sites.policy_options(server).by_provider
    facts = {name: options.provider for name, options in found.items() if options.provider is not None}
    assert {name: one.lifetime for name, one in facts.items()} == {
        "pebble": None,
        "stated": timedelta(days=90),
        "issued": timedelta(hours=160),
    }
    assert (facts["stated"].wildcard, facts["issued"].wildcard, facts["pebble"].private_ca) == (True, False, True)


def test_candidates_are_its_own_provider_then_the_fallbacks_that_are_ready(
    server: Server, provider: Provider, make_provider: Make, now: datetime
) -> None:
    names = ("one", "two", "three")
    rows = {name: make_provider(name) for name in names}
    choices.set_fallbacks([rows["two"], provider, rows["one"], rows["three"]], by=None, server=server)
    Account.objects.filter(provider=rows["one"]).update(status=AccountStatus.REFUSED, problem={"code": "terms"})
    until = now + timedelta(minutes=5)
    Account.objects.filter(provider=rows["two"]).update(faults=4, down_until=until)
    found = sites.policy_options(server)
    assert [one.provider.name for one in found.candidates(found.default)] == ["pebble", "two", "three"]
    assert [one.provider.name for one in found.candidates(found.at("one"))] == ["one", "two", "pebble", "three"]
    health = found.candidates(found.at("one"))[0].health
    assert health.stopped == "ca_terms"
    assert found.candidates(found.default)[1].health.down_until == until
    assert policy.choose(found.candidates(found.default)[1:], now).provider == found.at("three").provider


def test_a_pattern_ends_the_wish_and_says_which(
    server: Server, provider: Provider, make_user: Make, make_site: Make, now: datetime
) -> None:
    host = make_site(make_user("anna"), "dev.anna.example", "anna.example")
    host.domains.create(name="www.anna.example", added=True, position=2)
    exclusion_patterns.add_pattern("anna.*", Level(server), by=None, now=now)
    site = read(server, now)["dev.anna.example"]
    said = {one.name: (one.not_wanted, one.ended, one.excluded_by) for one in site.facts.names}
    by = policy.ExcludedBy("server", "anna.*")
    assert said == {
        "dev.anna.example": (None, False, None),
        "anna.example": ("excluded", True, by),
        "www.anna.example": ("excluded", True, by),
    }
    exclusion_patterns.add_pattern("*", Level(server, user=host.user), by=None, now=now)
    site = read(server, now)["dev.anna.example"]
    need = policy.need(site.facts, site.options, now)
    assert need.reason == "all_excluded"
    problem = standing.of(site, need).problem
    assert problem is not None
    assert problem["data"] == {"pattern": "*", "level": "user"}


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("serve_www", [True, False])
def test_which_names_are_wanted_is_asked_with_the_providers_rules_and_the_options(
    server: Server, provider: Provider, make_user: Make, make_site: Make, now: datetime, private: bool, serve_www: bool
) -> None:
    """What the survey, jobs and previews decide by: the table itself is in test_policy_names_and_failures."""
    host = make_site(make_user("anna"), "anna.example.com", "printer.local", "a_b.example.com", "*.example.org")
    host.domains.create(name="www.anna.example.com", added=True, position=4)
    for row in host.domains.all():
        host.domains.filter(pk=row.pk).update(unfit=names.not_public(row.name) or "")
    Provider.objects.update(private_ca=private)
    [site] = sites.read({"server_id": server.pk}, sites.policy_options(server), now, serve_www=serve_www).values()
    assert {one.name: one.not_wanted for one in site.facts.names} == {
        "anna.example.com": None,
        "printer.local": None if private else "not_public",
        "a_b.example.com": "bad_name",
        "*.example.org": "wildcard_unsupported",
        "www.anna.example.com": None if serve_www else "www_not_served",
    }
    wanted = policy.need(site.facts, site.options, now).names
    assert ("printer.local" in wanted, "www.anna.example.com" in wanted) == (private, serve_www)


def test_choices_and_patterns_cost_no_question_a_site(
    server: Server, provider: Provider, make_provider: Make, make_user: Make, make_site: Make, now: datetime
) -> None:
    for number in range(3):
        make_site(make_user(f"u{number}"), f"u{number}.example")

    def questions() -> int:
        with CaptureQueriesContext(connection) as asked:
            read(server, now)
        return len(asked)

    options.current(server)
    before = questions()
    one = make_provider("one")
    for number in range(3, 12):
        user = make_user(f"u{number}")
        make_site(user, f"u{number}.example")
        choices.choose_for_user(user, one, by=None, now=now)
        exclusion_patterns.add_pattern(f"x{number}.*", Level(server, user=user), by=None, now=now)
        Verdict.objects.create(
            domain=user.virtual_hosts.get().domains.get(), at=now, outcome=Outcome.FAIL, code="caa", barred=["pebble"]
        )
    assert questions() == before


def test_a_limit_of_one_ca_holds_at_no_other(
    server: Server, provider: Provider, make_provider: Make, make_user: Make, make_site: Make, now: datetime
) -> None:
    user = make_user("anna")
    until = now + timedelta(hours=3)
    make_site(user, "anna.example", held_until=until, held_reason="rate_limited", held_provider="pebble")
    site = read(server, now)["anna.example"]
    need = policy.need(site.facts, site.options, now)
    assert (need.action, need.reason, need.until) == ("wait", "rate_limited", until)
    choices.choose_for_user(user, make_provider("one"), by=None, now=now)
    site = read(server, now)["anna.example"]
    assert policy.need(site.facts, site.options, now).action == "new"


def test_what_the_ca_said_of_a_pause_stays_to_be_read_until_somebody_acts(
    server: Server, provider: Provider, make_user: Make, make_site: Make, now: datetime
) -> None:
    told = {"code": "ca_paused", "domain": "anna.example", "data": {"text": "see https://ca.example/unpause"}}
    host = make_site(make_user("anna"), "anna.example", held_reason="ca_paused", problem=told)
    site = read(server, now)["anna.example"]
    need = policy.need(site.facts, site.options, now)
    stands = standing.of(site, need)
    assert (need.action, stands.next_at, stands.next_reason, stands.problem) == ("hold", None, "ca_paused", told)
    VirtualHost.objects.filter(pk=host.pk).update(problem=None)
    site = read(server, now)["anna.example"]
    assert standing.of(site, need).problem == {"code": "ca_paused", "domain": "anna.example", "data": {}}
