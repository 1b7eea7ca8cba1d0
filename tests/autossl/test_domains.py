"""How each name stands, as its owner reads it; in step with what is written to the virtual host."""

from datetime import timedelta

import pytest

from autossl_panel.autossl import domains, options, policies, sites, standing
from autossl_panel.autossl.domains import NameState
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Certificate,
    Outcome,
    Provider,
    ProviderChoice,
    ProviderState,
    Verdict,
)
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Setting, VirtualHost
from autossl_panel.people.models import Role, User

pytestmark = pytest.mark.django_db
MAIN = "amber.example"


def sites_of(user: HostingUser, now, *, serve_www: bool = True) -> list[domains.Site]:
    row = HostingUser.objects.select_related("server__options", "feature_list__provider_choice", "provider_choice")
    user = row.get(pk=user.pk)
    found = policies.for_user(user, policies.accounts_of(user.server))
    return domains.of_user(user, found, now, serve_www=serve_www)


def name_of(user: HostingUser, name: str = MAIN, *, now, serve_www: bool = True) -> domains.Name:
    sites = sites_of(user, now, serve_www=serve_www)
    return next(one for site in sites for one in site.names if one.name == name)


def failed(name: str, code: str = "elsewhere", outcome: str = Outcome.FAIL, **data: object) -> None:
    domain = Domain.objects.get(name=name)
    Verdict.objects.create(domain=domain, at=domain.virtual_host.appeared_at, outcome=outcome, code=code, data=data)


@pytest.fixture
def amber(server, provider, make_user) -> HostingUser:
    options.current(server)
    return make_user("amber")


def test_a_covered_name_is_secured(amber, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN), MAIN)
    found = name_of(amber, now=now)
    assert (found.state, found.covered, found.needs, found.problem) == (NameState.SECURED, True, False, None)


def test_a_covered_name_that_fails_is_at_risk(amber, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN, "mail.amber.example"), MAIN, "mail.amber.example")
    failed("mail.amber.example", address="198.51.100.7")
    found = name_of(amber, "mail.amber.example", now=now)
    assert (found.state, found.covered, found.needs) == (NameState.AT_RISK, True, True)
    assert found.problem == {
        "code": "elsewhere",
        "domain": "mail.amber.example",
        "data": {"address": "198.51.100.7"},
    }
    assert name_of(amber, now=now).state == NameState.SECURED


def test_our_own_trouble_puts_no_covered_name_at_risk(amber, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN), MAIN)
    failed(MAIN, "unknown", Outcome.UNKNOWN, reason="resolver")
    found = name_of(amber, now=now)
    assert (found.state, found.problem["code"]) == (NameState.SECURED, "unknown")


def test_a_problem_of_the_whole_site_puts_names_at_risk_once_renewal_is_due(amber, make_site, make_installed, now):
    problem = {"code": "ca_unreachable", "domain": MAIN, "data": {}}
    host = make_site(amber, MAIN, problem=problem)
    certificate = make_installed(host, MAIN, days_left=80)
    assert name_of(amber, now=now).state == NameState.SECURED
    Certificate.objects.filter(pk=certificate.pk).update(not_after=now + timedelta(days=5))
    found = name_of(amber, now=now)
    assert (found.state, found.problem) == (NameState.AT_RISK, None), "what is wrong stands on the site"


@pytest.mark.parametrize(
    ("code", "outcome", "state"),
    [
        ("nxdomain", Outcome.FAIL, NameState.UNSECURED),
        ("unknown", Outcome.UNKNOWN, NameState.UNSECURED),
        ("", Outcome.PASS, NameState.WAITING),
        (None, None, NameState.WAITING),
    ],
)
def test_a_name_without_certificate_waits_or_is_unsecured(code, outcome, state, amber, make_site, now):
    make_site(amber, MAIN)
    if outcome is not None:
        failed(MAIN, code, outcome)
    found = name_of(amber, now=now)
    assert (found.state, found.covered, found.needs) == (state, False, state == NameState.UNSECURED)


def test_without_a_provider_nothing_waits(amber, make_site, now):
    make_site(amber, MAIN)
    Provider.objects.update(active=False)
    found = name_of(amber, now=now)
    assert (found.state, found.reason) == (NameState.UNSECURED, "no_provider")


@pytest.mark.parametrize("defect", ["expired", "mismatch", "revoked", "self_signed", "weak", "chain"])
def test_a_certificate_that_serves_nobody_secures_nothing(defect, amber, make_site, make_installed, now):
    host = make_site(amber, MAIN, problem={"code": "ca_server", "domain": MAIN, "data": {}})
    certificate = make_installed(host, MAIN)
    values = {
        "expired": {"not_after": now},
        "revoked": {"revoked_at": now},
        "self_signed": {"self_signed": True},
        "weak": {"weak": True},
        "chain": {"links": False},
    }
    if defect == "mismatch":
        host.installations.update(key_matches=False)
    else:
        Certificate.objects.filter(pk=certificate.pk).update(**values[defect])
    found = name_of(amber, now=now)
    assert (found.state, found.covered) == (NameState.UNSECURED, False)


def test_another_ones_certificate_is_foreign_and_needs_somebody_when_it_goes_bad(amber, make_site, make_installed, now):
    host = make_site(amber, MAIN, "shop.amber.example")
    make_installed(host, MAIN, ours=False)
    assert (name_of(amber, now=now).state, name_of(amber, now=now).needs) == (NameState.FOREIGN, False)
    lacking = name_of(amber, "shop.amber.example", now=now)
    assert (lacking.state, lacking.problem) == (NameState.UNSECURED, None)
    VirtualHost.objects.update(problem={"code": "foreign_expiring", "domain": MAIN, "data": {}})
    assert (name_of(amber, now=now).state, name_of(amber, now=now).needs) == (NameState.FOREIGN, True)


def test_an_exclusion_ends_the_wish_whatever_stands(amber, make_site, make_installed, root, now):
    make_installed(make_site(amber, MAIN), MAIN)
    failed(MAIN)
    Exclusion.objects.create(user=amber, name=MAIN, by=root, at=now)
    found = name_of(amber, now=now)
    assert (found.state, found.wished, found.covered, found.problem) == (NameState.EXCLUDED, False, True, None)
    assert (found.exclusion.by, found.exclusion.at) == (root, now)


@pytest.mark.parametrize("level", ["server", "reseller", "feature_list", "user"])
def test_a_pattern_of_any_level_that_holds_for_the_user_excludes(level, server, amber, make_site, root, now):
    make_site(amber, MAIN, "dev.amber.example")
    mine = User.objects.create(username="mine", role=Role.RESELLER)
    HostingUser.objects.update(owner=mine)
    of = {"reseller": {"owner": mine}, "feature_list": {"feature_list": amber.feature_list}, "user": {"user": amber}}
    exclusion_patterns.add_pattern("dev.*", exclusion_patterns.Level(server, **of.get(level, {})), by=root, now=now)
    found = name_of(amber, "dev.amber.example", now=now)
    assert (found.state, found.exclusion, found.excluded_by.pattern) == (NameState.EXCLUDED, None, "dev.*")
    assert found.excluded_by.level == level
    assert name_of(amber, now=now).state == NameState.WAITING


def test_what_counts_is_the_provider_that_the_user_has(server, amber, make_site, now):
    make_site(amber, "printer.local")
    Domain.objects.update(unfit="not_public")
    Provider.objects.update(private_ca=False)
    assert name_of(amber, "printer.local", now=now).state == NameState.LEFT_OUT
    own = Provider.objects.create(
        name="own", directory_url="https://127.0.0.1:1/own", state=ProviderState.READY, private_ca=True
    )
    Account.objects.create(provider=own, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:1/own/1")
    choice = ProviderChoice.objects.create(feature_list=amber.feature_list, provider=own)
    assert name_of(amber, "printer.local", now=now).state == NameState.WAITING
    choice.delete()
    ProviderChoice.objects.create(user=amber, provider=own)
    assert name_of(amber, "printer.local", now=now).state == NameState.WAITING


def test_a_refusal_counts_at_the_ca_that_made_it(amber, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN), MAIN)
    failed(MAIN, "", Outcome.PASS)
    refusal = {
        "kind": "unauthorized",
        "text": "no",
        "since": now.isoformat(),
        "until": (now + timedelta(days=1)).isoformat(),
    }
    Verdict.objects.update(refusals={"elsewhere": refusal})
    assert name_of(amber, now=now).state == NameState.SECURED
    Verdict.objects.update(refusals={"pebble": refusal})
    found = name_of(amber, now=now)
    assert (found.state, found.problem["code"]) == (NameState.AT_RISK, "ca_refused")


def test_the_exclusion_of_another_user_means_nothing(amber, make_user, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN), MAIN)
    Exclusion.objects.create(user=make_user("birch"), name=MAIN, at=now)
    assert name_of(amber, now=now).state == NameState.SECURED


def test_an_added_www_goes_with_its_name_and_is_left_out_quietly(amber, make_site, make_installed, now):
    host = make_site(amber, MAIN, "www.amber.example")
    Domain.objects.filter(name="www.amber.example").update(added=True)
    make_installed(host, MAIN)
    assert name_of(amber, "www.amber.example", now=now).state == NameState.WAITING
    assert name_of(amber, "www.amber.example", now=now, serve_www=False).state == NameState.LEFT_OUT
    failed("www.amber.example", "nxdomain")
    found = name_of(amber, "www.amber.example", now=now)
    assert (found.state, found.needs, found.wished) == (NameState.LEFT_OUT, False, False)
    Exclusion.objects.create(user=amber, name=MAIN, at=now)
    found = name_of(amber, "www.amber.example", now=now)
    assert (found.state, found.exclusion) == (NameState.EXCLUDED, None)


def test_an_added_www_that_a_wildcard_of_the_site_serves_is_wished_whatever_is_set(amber, make_site, now):
    make_site(amber, MAIN, "www.amber.example", "www.shop.amber.example", "*.amber.example")
    make_site(amber, "other.example", "www.other.example")
    Domain.objects.filter(name__startswith="www.").update(added=True)
    for name, state in (
        ("www.amber.example", NameState.WAITING),
        ("www.shop.amber.example", NameState.WAITING),
        ("www.other.example", NameState.LEFT_OUT),
    ):
        assert name_of(amber, name, now=now, serve_www=False).state == state, name
    found = sites.read({"user": amber}, sites.policy_options(amber.server), now, serve_www=False)
    left_out = {name.name: name.not_wanted for site in found.values() for name in site.facts.names if name.added}
    assert left_out == {
        "www.amber.example": None, "www.shop.amber.example": None, "www.other.example": "www_not_served",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "unfit"), [("printer.local", "not_public"), ("a_b.example", "bad_name"), ("*.amber.example", "")]
)
def test_a_name_that_no_ca_certifies_is_left_out(name, unfit, amber, make_site, now):
    Provider.objects.update(private_ca=False)
    make_site(amber, name)
    Domain.objects.update(unfit=unfit)
    found = name_of(amber, name, now=now)
    assert (found.state, found.reason) == (NameState.LEFT_OUT, unfit or "wildcard_unsupported")
    Provider.objects.update(private_ca=True)
    if unfit == "not_public":
        assert name_of(amber, name, now=now).state == NameState.WAITING


@pytest.mark.parametrize(("autossl", "suspended"), [(Setting.OFF, False), (Setting.ON, True)])
def test_where_autossl_does_nothing_every_name_says_so(autossl, suspended, amber, make_site, make_installed, now):
    make_installed(make_site(amber, MAIN, "mail.amber.example"), MAIN)
    failed("mail.amber.example")
    HostingUser.objects.update(autossl=autossl, suspended=suspended)
    for name, covered in ((MAIN, True), ("mail.amber.example", False)):
        found = name_of(amber, name, now=now)
        assert (found.state, found.covered, found.needs) == (NameState.OFF, covered, False)


def test_a_name_over_the_limit_of_the_provider_has_that_problem(amber, make_site, make_installed, now):
    problem = {"code": "over_limit", "domain": "b.example", "data": {"limit": 1, "missing": ["b.example", "c.example"]}}
    host = make_site(amber, "a.example", "b.example", "c.example", problem=problem)
    make_installed(host, "a.example")
    assert name_of(amber, "a.example", now=now).problem is None
    assert name_of(amber, "c.example", now=now).problem["domain"] == "c.example"
    assert name_of(amber, "c.example", now=now).state == NameState.UNSECURED


def test_sites_that_need_somebody_come_first_and_others_are_not_shown(amber, make_user, make_site, make_installed, now):
    make_installed(make_site(amber, "a.example"), "a.example")
    make_site(amber, "b.example")
    failed("b.example")
    make_site(amber, "gone.example", gone_at=now)
    make_site(make_user("birch"), "birch.example")
    sites = sites_of(amber, now)
    assert [site.name for site in sites] == ["b.example", "a.example"]


def test_what_needs_somebody_comes_before_what_is_well_though_both_are_foreign(amber, make_site, make_installed, now):
    for name in ("amber.example", "birch.example"):
        make_installed(make_site(amber, name), name, ours=False)
    problem = {"code": "foreign_expiring", "domain": "birch.example", "data": {}}
    VirtualHost.objects.filter(name="birch.example").update(problem=problem)
    make_site(amber, "waits.example")
    make_site(amber, "zinc.example")
    failed("zinc.example")
    found = [site.name for site in sites_of(amber, now)]
    assert found == ["zinc.example", "birch.example", "waits.example", "amber.example"]


def test_it_costs_three_questions_however_many_names(amber, make_site, make_installed, now, django_assert_num_queries):
    for n in range(30):
        make_installed(make_site(amber, f"{n}.example", f"mail.{n}.example"), f"{n}.example")
    row = HostingUser.objects.select_related("server__options", "feature_list__provider_choice", "provider_choice")
    user = row.get(pk=amber.pk)
    accounts = policies.accounts_of(user.server)
    with django_assert_num_queries(1):
        found = policies.for_user(user, accounts)
    with django_assert_num_queries(3):
        domains.of_user(user, found, now, serve_www=True)


def test_the_numbers_are_those_of_the_virtual_host(server, amber, make_site, make_installed, now):
    host = make_site(amber, MAIN, "www.amber.example", "mail.amber.example", "shop.amber.example", "off.amber.example")
    Domain.objects.filter(name="www.amber.example").update(added=True)
    make_installed(host, MAIN, "mail.amber.example", "off.amber.example")
    for name in ("www.amber.example", "mail.amber.example", "shop.amber.example"):
        failed(name)
    Exclusion.objects.create(user=amber, name="off.amber.example", at=now)
    standing.record(server, [host.pk], now)
    host.refresh_from_db()
    (site,) = sites_of(amber, now)
    wished = [name for name in site.names if name.wished]
    assert host.names_wanted == len(wished) == 3
    assert host.names_covered == sum(name.covered for name in wished) == 2
