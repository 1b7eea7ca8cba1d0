"""From rows to messages: what happened once, and what is wrong beyond single sites."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from autossl_panel.autossl import options, standing
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Certificate,
    Channel,
    Installation,
    JobOutcome,
    Message,
    MessageState,
    Provider,
    ProviderChoice,
    UntoldRun,
)
from autossl_panel.autossl.notify import render, telling, troubles
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Server, VirtualHost
from tests.autossl.notify.rows import ADMIN, another_provider, fail, installed, queued

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


# --- what happened ----------------------------------------------------------------------------------------------------


def test_a_reduced_certificate_says_which_names_it_lost(server, site, amber, made, mails, now):
    Domain.objects.create(virtual_host=site, name="old.amber.example.com", position=2)
    Exclusion.objects.create(user=amber, name="old.amber.example.com", at=now)
    installed(site, now, "amber.example.com", "shop.amber.example.com", "old.amber.example.com", days_left=2)
    new = installed(site, now, "amber.example.com", days_left=90)
    run = made.secured(now, site, new, "reduced_coverage")
    fail(site, "nxdomain", now, "shop.amber.example.com")
    telling.after_run(run.pk, now=now)
    payload = Message.objects.get(address=ADMIN).payload
    assert payload["counts"] == {"reduced": 1}, "not as an uncovered name too"
    assert payload["groups"][0]["notices"][0]["names"] == ["shop.amber.example.com"], "what was excluded is no loss"
    mails()
    telling.look(server, now=now + DAY)
    assert mails() == []


@pytest.mark.parametrize("level", ["server", "reseller", "feature_list", "user"])
def test_a_reduced_certificate_does_not_name_what_a_pattern_excluded(server, root, site, amber, made, now, level):
    for position, (name, added) in enumerate(
        [("old.amber.example.com", False), ("dev.amber.example.com", False), ("www.dev.amber.example.com", True)], 2
    ):
        Domain.objects.create(virtual_host=site, name=name, position=position, added=added)
    HostingUser.objects.filter(pk=amber.pk).update(owner=root)
    where = {
        "server": {},
        "reseller": {"owner": root},
        "feature_list": {"feature_list": amber.feature_list},
        "user": {"user": amber},
    }
    for text in ("old.*", "dev.amber.*"):
        exclusion_patterns.add_pattern(text, exclusion_patterns.Level(server, **where[level]), by=None, now=now)
    installed(site, now, *site.domains.values_list("name", flat=True), days_left=2)
    new = installed(site, now, "amber.example.com", days_left=90)
    telling.after_run(made.secured(now, site, new, "reduced_coverage").pk, now=now)
    [group] = Message.objects.get(address=ADMIN).payload["groups"]
    assert group["notices"][0]["names"] == ["shop.amber.example.com"]


def test_a_pattern_of_another_user_excludes_nothing_here(server, site, make_user, made, now):
    level = exclusion_patterns.Level(server, user=make_user("birch"))
    exclusion_patterns.add_pattern("shop.*", level, by=None, now=now)
    installed(site, now, "amber.example.com", "shop.amber.example.com", days_left=2)
    new = installed(site, now, "amber.example.com", days_left=90)
    telling.after_run(made.secured(now, site, new, "reduced_coverage").pk, now=now)
    [group] = Message.objects.get(address=ADMIN).payload["groups"]
    assert group["notices"][0]["names"] == ["shop.amber.example.com"]


def test_names_that_a_pattern_excludes_are_not_told_as_uncovered(server, site, amber, mails, now):
    installed(site, now, "amber.example.com")
    fail(site, "nxdomain", now, "shop.amber.example.com")
    exclusion_patterns.add_pattern("shop.*", exclusion_patterns.Level(server, user=amber), by=None, now=now)
    standing.record(server, [site.pk], now)
    assert telling.look(server, now=now) == 0
    exclusion_patterns.remove_pattern(amber.exclusion_patterns.get(), by=None, now=now)
    standing.record(server, [site.pk], now)
    telling.look(server, now=now + DAY)
    assert mails() == [(ADMIN, {"uncovered": 1}), ("amber@amber.example", {"uncovered": 1})]


def test_what_the_loop_breaker_holds_is_told_to_the_administrator_and_a_day_later_to_the_user(
    server, site, made, mails, now
):
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    made.secured(now, site, certificate, "mismatch")
    UntoldRun.objects.all().delete()
    Installation.objects.filter(certificate=certificate).update(key_matches=False)
    standing.record(server, [site.pk], now)
    site.refresh_from_db()
    assert site.problem["code"] == "loop", "the order for its defect did not mend it"
    telling.look(server, now=now)
    [group] = Message.objects.get().payload["groups"]
    assert (group["kind"], group["code"]) == ("unsecured", "loop")
    assert mails() == [(ADMIN, {"unsecured": 1})]
    telling.look(server, now=now + HOUR)
    assert mails() == []
    telling.look(server, now=now + 25 * HOUR)
    assert mails() == [("amber@amber.example", {"unsecured": 1})]


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("missing", "secured"), ("coverage", "secured"), ("expired", "secured"), ("due", "renewed"), ("ari", "renewed")],
)
def test_good_news_for_who_wants_all(server, site, made, mails, now, reason, kind):
    options.change(server, {"notify_admin": "all"}, by=None)
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    telling.after_run(made.secured(now, site, certificate, reason).pk, now=now)
    assert mails() == [(ADMIN, {kind: 1})]
    # Put in place once more after another tool had wiped it: the same certificate is no news.
    again = made.ended(now)
    made.job(again, site, JobOutcome.SECURED, reason, order=site.orders.get())
    assert telling.after_run(again.pk, now=now) == 0


def test_a_revoked_certificate_is_told_once(server, site, made, mails, now):
    certificate = installed(site, now, "amber.example.com", "shop.amber.example.com")
    Certificate.objects.filter(pk=certificate.pk).update(revoked_at=now, revoked_reason=1)
    telling.look(server, now=now)
    assert mails() == [(ADMIN, {"revoked": 1}), ("amber@amber.example", {"revoked": 1})]
    telling.look(server, now=now + DAY)
    assert mails() == []


# --- beyond sites -----------------------------------------------------------------------------------------------------


def test_trouble_of_this_server_goes_to_the_administrator_alone(server, provider, site, made, mails, now):
    Provider.objects.update(clock_offset=700)
    Server.objects.update(inventory_problem={"file": "/etc/nginx/x.conf", "line": 3, "text": "unexpected }"})
    run = made.ended(now, scope="*")
    made.job(run, site, JobOutcome.DEFERRED, "reductions_suspended")
    telling.after_run(run.pk, now=now)
    payload = Message.objects.get().payload
    assert payload["counts"] == {"server": 3}
    assert {group["code"] for group in payload["groups"]} == {"clock", "inventory", "reductions_suspended"}
    inventory = next(group for group in payload["groups"] if group["code"] == "inventory")
    assert "unexpected } (/etc/nginx/x.conf:3)" in inventory["cause"]
    assert mails() == [(ADMIN, {"server": 3})]


def test_messages_that_nobody_takes_are_told_by_another_channel(server, admin, amber, mails, now):
    Channel.objects.create(server=server, kind="webhook", name="ops", target="https://h.example/", secret="")
    queued(server, now - 6 * DAY, "full@example.org")
    problem = {"code": "recipient", "text": "452 4.2.2 Mailbox full"}
    Message.objects.update(state=MessageState.FAILED, problem=problem)
    telling.look(server, now=now)
    made = Message.objects.get(channel__name="ops")
    [group] = made.payload["groups"]
    assert (group["kind"], group["code"]) == ("server", "undelivered")
    assert group["cause"] == "messages could not be delivered: full@example.org: 452 4.2.2 Mailbox full"
    assert "notify again" in group["fix"]
    Message.objects.exclude(state=MessageState.FAILED).delete()
    telling.look(server, now=now + DAY)
    assert not Message.objects.exclude(state=MessageState.FAILED).exists(), "told once"


def test_a_resolver_that_fails_for_an_hour_is_told(server, site, made, mails, now):
    options.change(server, {"notify_user": "none"}, by=None)
    for hours, told in ((0, 0), (0.5, 0), (2, 1), (3, 0)):
        moment = now + hours * HOUR
        fail(site, "unknown", moment, data={"reason": "resolver: all nameservers failed"})
        assert telling.look(server, now=moment) >= told
        codes = {
            group["code"] for message in Message.objects.all() for group in message.payload["groups"]
            if group["kind"] == "server"
        }  # fmt: skip
        assert codes == ({"resolver"} if told else set()), hours
        mails()


def test_a_refused_account_is_told_and_not_again_while_it_lasts(server, admin, made, mails, now):
    problem = {"field": "agree_terms", "code": "terms", "text": "The terms have changed"}
    Account.objects.update(status=AccountStatus.REFUSED, problem=problem)
    telling.look(server, now=now)
    [group] = Message.objects.get().payload["groups"]
    assert (group["kind"], group["code"]) == ("provider", "ca_terms")
    assert "The terms have changed" in group["cause"]
    assert "Providers tab" in group["fix"]
    assert mails() == [(ADMIN, {"provider": 1})]
    telling.look(server, now=now + DAY)
    assert mails() == []


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        ({"field": "provider", "code": "account_gone", "text": "no such account", "link": ""}, "ca_account"),
        ({"field": "provider", "code": "key_lost", "text": "cannot be read", "link": ""}, "ca_account"),
        ({"field": "agree_terms", "code": "terms", "text": "changed", "link": "https://ca.example/terms"}, "ca_terms"),
    ],
)
def test_what_the_ca_wants_of_a_person_is_told(server, admin, mails, now, problem, code):
    Account.objects.update(problem=problem)
    telling.look(server, now=now)
    [group] = Message.objects.get().payload["groups"]
    assert (group["kind"], group["code"]) == ("provider", code)


def test_trouble_with_a_provider_that_only_a_user_has_is_told(server, amber, now):
    Provider.objects.update(active=False)
    Account.objects.update(status=AccountStatus.REFUSED, problem={"code": "account", "text": "no"})
    assert telling.look(server, now=now) == 0, "nobody orders from it"
    ProviderChoice.objects.create(user=amber, provider=Provider.objects.get())
    telling.look(server, now=now + 2 * DAY)
    assert "provider" in Message.objects.get().payload["counts"]


@pytest.mark.parametrize("whose", ["user", "feature list"])
def test_sites_that_wait_for_a_provider_of_their_own_are_told_of_that_one(server, site, amber, now, whose):
    chooser = {"user": amber} if whose == "user" else {"feature_list": amber.feature_list}
    ProviderChoice.objects.create(provider=another_provider(server), **chooser)
    data = {"text": "Terms changed", "provider": "b-own"}
    VirtualHost.objects.update(problem={"code": "ca_terms", "domain": site.name, "data": data})
    telling.look(server, now=now)
    [group] = Message.objects.get().payload["groups"]
    [notice] = group["notices"]
    assert (group["kind"], group["code"], notice["site"], notice["waiting"]) == ("provider", "ca_terms", "b-own", 1)
    assert "Terms changed" in group["cause"]
    assert "--register-only" in group["fix"], "agreeing does not make it everybody's"


def test_two_providers_in_trouble_are_two_matters_each_with_its_own_sites(server, amber, make_site, now):
    ProviderChoice.objects.create(provider=another_provider(server), user=amber)
    for number, (code, provider) in enumerate([("ca_terms", "b-own"), ("ca_eab", "b-own"), ("ca_account", "pebble")]):
        host = make_site(amber, f"s{number}.example.com")
        data = {"text": f"{provider} says {code}", "provider": provider}
        VirtualHost.objects.filter(pk=host.pk).update(problem={"code": code, "domain": host.name, "data": data})
    telling.look(server, now=now)
    payload = Message.objects.get().payload
    assert payload["counts"] == {"provider": 2}
    told = {
        notice["site"]: (group["code"], notice["waiting"]) for group in payload["groups"] for notice in group["notices"]
    }
    assert told == {"b-own": ("ca_eab", 2), "pebble": ("ca_account", 1)}


def test_a_provider_that_nobody_has_any_more_is_not_told_of(server, site, admin, now):
    another_provider(server)
    data = {"text": "Terms changed", "provider": "b-own"}
    VirtualHost.objects.update(problem={"code": "ca_terms", "domain": site.name, "data": data})
    assert telling.look(server, now=now) == 0


def test_a_profile_that_is_no_longer_offered_is_told(server, admin, now):
    Provider.objects.update(problem={"field": "profile", "code": "profile_gone", "text": "“short” is gone"})
    telling.look(server, now=now)
    [group] = Message.objects.get().payload["groups"]
    assert group["code"] == "profile_gone"
    assert "“short” is gone" in group["cause"]


def test_a_ca_that_is_down_is_one_matter_and_none_of_the_users(server, amber, make_site, made, mails, now):
    sites = [make_site(amber, f"s{n}.example.com") for n in range(30)]
    for one in sites:
        installed(one, now, one.name, days_left=29)
    run = made.ended(now, scope="*")
    for one in sites:
        made.job(run, one, JobOutcome.FAILED, "ca_unreachable", "ca_unreachable")
    VirtualHost.objects.update(problem={"code": "ca_unreachable", "domain": "", "data": {"text": "no route"}})
    assert telling.after_run(run.pk, now=now) == 0, "it may be over in a minute"
    telling.look(server, now=now + 2 * HOUR)
    payload = Message.objects.get().payload
    assert payload["counts"] == {"provider": 1}
    assert payload["groups"][0]["notices"][0]["waiting"] == 30
    mails()
    telling.look(server, now=now + 25 * HOUR)
    assert mails() == [(ADMIN, {"expiring": 30}), ("amber@amber.example", {"expiring": 30})], "after a day it is theirs"


def test_an_account_that_is_given_up_for_a_while_is_told_at_once(server, admin, made, mails, now):
    Account.objects.update(down_until=now + HOUR, down_problem={"code": "ca_server", "text": "500"})
    telling.look(server, now=now)
    assert mails() == [(ADMIN, {"provider": 1})]


def test_a_run_that_stopped_is_told_on_change_only(server, admin, made, mails, now):
    for n, (problem, scope, told) in enumerate(
        [
            ({"code": "no_provider"}, "*", 1),
            ({"code": "no_provider"}, "*", 0),
            (None, "user:amber", 0),
            ({"code": "failed", "text": "the helper is gone"}, "*", 1),
            (None, "*", 0),
            ({"code": "failed", "text": "the helper is gone"}, "*", 1),
        ]
    ):
        moment = now + 2 * n * DAY
        assert telling.after_run(made.ended(moment, scope=scope, problem=problem).pk, now=moment) == told, n
    assert {kind for _to, kinds in mails() for kind in kinds} == {"run"}


# --- runs that ended with failures ------------------------------------------------------------------------------------


def _failures(made, now, hosts: Sequence[VirtualHost], code: str = "internal", scope: str = "*") -> int:
    """A run in which these sound sites failed, told; how many messages that made."""
    run = made.ended(now, scope=scope)
    for host in hosts:
        made.job(run, host, JobOutcome.FAILED, code, code)
    return telling.after_run(run.pk, now=now)


@pytest.fixture
def sound(amber, make_site, now) -> list[VirtualHost]:
    """Three sites with sound certificates."""
    hosts = [make_site(amber, f"s{n}.example.com") for n in range(3)]
    for host in hosts:
        installed(host, now, host.name)
    return hosts


def test_a_run_for_all_that_ended_with_failures_is_one_summary_by_cause(server, sound, made, now):
    options.change(server, {"notify_admin": "failures"}, by=None)
    run = made.ended(now, scope="*", counts={"outcomes": {"failed": 3, "kept": 5}})
    for host, code in zip(sound, ("internal", "internal", "ca_order"), strict=True):
        made.job(run, host, JobOutcome.FAILED, code, code)
    assert telling.after_run(run.pk, now=now) == 1, "not to the user: it is nothing that visitors notice"
    message = Message.objects.get()
    payload = message.payload
    assert (message.address, payload["counts"], payload["severity"]) == (ADMIN, {"run": 1}, "failure")
    [group] = payload["groups"]
    assert group["code"] == "failures"
    told = "3 sites failed whose certificates still hold: 2 × an error in the panel itself (s0.example.com, s1."
    assert group["cause"].startswith(told)
    assert group["cause"].endswith(" (s2.example.com)")
    assert payload["url"].endswith(f"/runs/{run.pk}/")
    assert payload["run"]["outcomes"] == {"failed": 3, "kept": 5}
    assert "Run: 3 sites failed" in render.subject(payload)


def test_the_summary_is_told_when_other_sites_or_causes_fail_only(server, sound, made, mails, now):
    told = [
        _failures(made, now, sound[:1]),
        _failures(made, now + DAY, sound[:1]),
        _failures(made, now + 2 * DAY, sound[:2]),
        _failures(made, now + 3 * DAY, sound[:1]),
        _failures(made, now + 3.5 * DAY, sound[:2]),
        _failures(made, now + 4 * DAY, sound[:1], code="ca_order"),
        _failures(made, now + 5 * DAY, []),
        _failures(made, now + 7 * DAY, sound[:1], code="ca_order"),
    ]
    assert told == [1, 0, 1, 0, 0, 1, 0, 1]


def test_what_is_told_of_a_site_or_a_provider_is_not_told_as_a_run_too(server, site, sound, made, mails, now):
    run = made.failed(now, site, scope="*")
    for host, code in zip(sound, ("ca_unreachable", "rate_limited", "order_stuck"), strict=True):
        made.job(run, host, JobOutcome.FAILED, code, code)
    telling.after_run(run.pk, now=now)
    assert mails() == [(ADMIN, {"unsecured": 1}), ("amber@amber.example", {"unsecured": 1})]


def test_a_single_users_run_is_not_summed_up_and_forgets_nothing(server, sound, made, mails, now):
    assert _failures(made, now, sound[:1], scope="user:amber") == 0
    assert _failures(made, now, sound[:1]) == 1
    assert _failures(made, now + HOUR, [], scope="user:amber") == 0
    assert _failures(made, now + 3 * DAY, sound[:1]) == 0, "the run of one user did not end what the other had told"


def test_a_site_that_was_secured_since_has_not_failed(server, sound, made, mails, now):
    run = made.ended(now, scope="*")
    made.job(run, sound[0], JobOutcome.FAILED, "internal", "internal")
    made.job(made.ended(now), sound[0], JobOutcome.SECURED, "due")
    assert telling.after_run(run.pk, now=now) == 0


def test_of_very_many_failing_sites_only_the_causes_are_remembered():
    failing = [troubles.Failing(f"s{n}.example.com", "internal") for n in range(troubles.ONE_BY_ONE)]
    [one_by_one] = troubles.of_failures(failing)
    [more] = troubles.of_failures([*failing, troubles.Failing("other.example.com", "ca_order")])
    assert len(one_by_one.facts) == troubles.ONE_BY_ONE
    assert more.facts == {("", "internal"), ("", "ca_order")}
    assert more.data["causes"][0]["named"] == ["s0.example.com", "s1.example.com", "s2.example.com"]
    assert troubles.of_failures([]) == []
