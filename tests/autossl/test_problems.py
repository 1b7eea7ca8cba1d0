"""Rows of what is wrong: written with a site's standing, gone with the problem; and how urgent a site is."""

from datetime import timedelta

import pytest

from autossl_panel.autossl import standing
from autossl_panel.autossl.models import Outcome, Problem, Verdict
from autossl_panel.hosting.models import Domain, Exclusion, Setting, Severity, SiteState, VirtualHost

pytestmark = pytest.mark.django_db
MOVED = {"from": ["198.51.100.7"], "to": ["203.0.113.10"], "record": "A", "address": "198.51.100.7"}


@pytest.fixture
def fail(now):
    """Have DCV find a name failing."""

    def fail(name: str, code: str = "elsewhere", outcome: str = Outcome.FAIL, **data: object) -> None:
        domain = Domain.objects.get(name=name)
        began = now - timedelta(days=4) if outcome == Outcome.FAIL else None
        Verdict.objects.update_or_create(
            domain=domain,
            defaults={
                "at": now, "outcome": outcome, "code": code, "data": {"name": name, **(data or MOVED)},
                "first_failed_at": began, "last_failed_at": began, "retry_at": now + timedelta(hours=1), "attempts": 3,
            },
        )  # fmt: skip

    return fail


@pytest.fixture
def look(server, now):
    def look(host: VirtualHost) -> VirtualHost:
        standing.record(server, [host.pk], now)
        host.refresh_from_db()
        return host

    return look


@pytest.fixture
def site(make_user, make_site, provider):
    return make_site(make_user("amber"), "amber.org", "shop.amber.org")


def told(host: VirtualHost) -> list[tuple[str, str, bool, bool]]:
    rows = host.problems.order_by("name")
    return [(one.name, one.code, one.covered, one.quiet) for one in rows]


def test_each_failing_name_is_a_row_of_one_cause(site, fail, look, now):
    fail("amber.org")
    fail("shop.amber.org")
    host = look(site)
    assert told(host) == [("amber.org", "elsewhere", False, False), ("shop.amber.org", "elsewhere", False, False)]
    assert host.problems.values("cause").distinct().count() == 1
    first = host.problems.get(name="amber.org")
    assert first.since == now - timedelta(days=4)
    assert (first.user_id, first.domain.name, first.expires_at) == (site.user_id, "amber.org", None)
    assert first.data["from"] == ["198.51.100.7"]
    assert host.severity == Severity.UNSECURED


def test_a_name_that_passes_again_has_no_row(site, fail, look):
    fail("amber.org")
    fail("shop.amber.org")
    look(site)
    Verdict.objects.filter(domain__name="amber.org").update(outcome=Outcome.PASS, code="", data={})
    assert told(look(site)) == [("shop.amber.org", "elsewhere", False, False)]
    Verdict.objects.all().update(outcome=Outcome.PASS, code="", data={})
    assert told(look(site)) == []
    assert VirtualHost.objects.get().problems_seen == ""


def test_nothing_is_written_where_nothing_changed(site, fail, look):
    fail("amber.org")
    look(site)
    before = list(Problem.objects.values_list("pk", flat=True))
    look(site)
    assert list(Problem.objects.values_list("pk", flat=True)) == before


def test_what_goes_on_keeps_its_beginning(site, fail, look, now):
    fail("amber.org", "unknown", Outcome.UNKNOWN, reason="no_route")
    look(site)
    Problem.objects.update(since=now - timedelta(days=9))
    fail("shop.amber.org")
    look(site)
    assert Problem.objects.get(name="amber.org").since == now - timedelta(days=9)


def test_a_covered_name_that_fails_holds_the_renewal(site, make_installed, fail, look):
    installed = make_installed(site, "amber.org", "shop.amber.org")
    assert look(site).severity == Severity.SECURED
    fail("shop.amber.org")
    host = look(site)
    assert told(host) == [("shop.amber.org", "elsewhere", True, False)]
    assert host.severity == Severity.HELD
    assert host.expires_at == installed.not_after == host.problems.get().expires_at


def test_an_uncovered_name_holds_no_renewal(site, make_installed, fail, look):
    make_installed(site, "amber.org")
    fail("shop.amber.org")
    host = look(site)
    assert told(host) == [("shop.amber.org", "elsewhere", False, False)]
    assert host.severity == Severity.PARTLY


def test_our_own_trouble_holds_no_renewal(site, make_installed, fail, look):
    make_installed(site, "amber.org", "shop.amber.org")
    fail("shop.amber.org", "unknown", Outcome.UNKNOWN, reason="resolver")
    assert look(site).severity == Severity.SECURED


def test_an_expired_certificate_covers_nothing(site, make_installed, fail, look):
    make_installed(site, "amber.org", "shop.amber.org", days_left=-2)
    fail("amber.org")
    host = look(site)
    assert told(host) == [("amber.org", "elsewhere", False, False)]
    assert host.severity == Severity.UNSECURED
    assert host.problems.get().expires_at == host.expires_at


def test_an_added_www_is_left_out_quietly(make_user, make_site, make_installed, provider, fail, look):
    host = make_site(make_user("amber"), "amber.org", "www.amber.org")
    host.domains.filter(name="www.amber.org").update(added=True)
    make_installed(host, "amber.org")
    fail("www.amber.org", "nxdomain")
    host = look(host)
    assert told(host) == [("www.amber.org", "nxdomain", False, True)]
    assert host.severity == Severity.SECURED


def test_an_excluded_name_is_no_problem(site, fail, look, now):
    fail("amber.org")
    fail("shop.amber.org")
    look(site)
    Exclusion.objects.create(user=site.user, name="shop.amber.org", at=now)
    assert told(look(site)) == [("amber.org", "elsewhere", False, False)]


def test_a_site_that_is_off_has_none_and_says_whether_it_lapses(site, make_installed, fail, look):
    fail("amber.org")
    look(site)
    site.user.autossl = Setting.OFF
    site.user.save()
    host = look(site)
    assert told(host) == []
    assert host.severity == Severity.OFF
    make_installed(site, "amber.org", "shop.amber.org")
    assert look(site).severity == Severity.LAPSING


def test_anothers_certificate(site, make_installed, look, now):
    make_installed(site, "amber.org", "shop.amber.org", ours=False)
    assert (look(site).severity, told(site)) == (Severity.FOREIGN, [])
    certificate = site.installations.get().certificate
    certificate.not_after = now - timedelta(days=1)
    certificate.save()
    host = look(site)
    assert told(host) == [("amber.org", "foreign_defective", False, False)]
    assert (host.state, host.severity) == (SiteState.UNSECURED, Severity.UNSECURED), "what a visitor meets counts"
    certificate.not_before, certificate.not_after = now - timedelta(days=360), now + timedelta(days=2)
    certificate.save()
    host = look(site)
    assert told(host) == [("amber.org", "foreign_expiring", True, False)]
    assert (host.state, host.severity) == (SiteState.FOREIGN, Severity.FOREIGN_WORSE)
    assert host.problems.get().domain is None


def test_what_a_job_met_stays_while_the_site_is_held_for_it(site, server, now, look):
    met = {"code": "quarantined", "domain": "amber.org", "data": {"text": "bad end line", "file": "", "line": None}}
    VirtualHost.objects.filter(pk=site.pk).update(retry_at=now + timedelta(hours=1))
    standing.record(server, [site.pk], now, problems={site.pk: met})
    assert told(site) == [("amber.org", "quarantined", False, False)]
    assert told(look(site)) == [("amber.org", "quarantined", False, False)], "a survey does not forget it"
    VirtualHost.objects.filter(pk=site.pk).update(retry_at=None)
    assert told(look(site)) == [], "what is due again is judged anew"


def test_a_wrong_clock_is_judged_each_time(site, server, now, look, provider):
    met = {"code": "clock", "domain": "amber.org", "data": {}}
    VirtualHost.objects.filter(pk=site.pk).update(retry_at=now + timedelta(hours=1), problem=met)
    assert told(look(site)) == []


def test_each_name_that_does_not_fit_is_a_row(site, make_installed, look, provider, fail):
    for place, name in enumerate(("blog", "mail", "old"), 2):
        site.domains.create(name=f"{name}.amber.org", position=place)
    type(provider).objects.filter(pk=provider.pk).update(max_names=2)
    make_installed(site, "amber.org", "shop.amber.org")
    host = look(site)
    assert told(host) == [(f"{name}.amber.org", "over_limit", False, False) for name in ("blog", "mail", "old")]
    assert host.problems.values("cause").distinct().count() == 1
    assert host.problems.get(name="mail.amber.org").domain.name == "mail.amber.org"
    assert host.severity == Severity.PARTLY, "it costs no renewal"
