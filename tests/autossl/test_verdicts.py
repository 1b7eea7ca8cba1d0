"""What DCV and the CA found for a name, as rows: rows of failures, refusals, and what a certificate forgives."""

from datetime import UTC, datetime, timedelta

import pytest

from autossl_panel.autossl import holds, sites, verdicts
from autossl_panel.autossl.facts import InstalledFacts
from autossl_panel.autossl.models import Provider, Verdict
from autossl_panel.dcv import Finding, Outcome
from autossl_panel.hosting.models import VirtualHost

pytestmark = pytest.mark.django_db

NAME = "amber.example"


@pytest.fixture
def host(make_user, make_site):
    return make_site(make_user("amber"), NAME)


def found(outcome, code=None, answer="dns", data=None, caa=None):
    return Finding(NAME, outcome, code, data or {}, ("192.0.2.1",), answer, 0.1, caa)


def certificate(*names, left, ours=True):
    """So many days before its end, seen from now."""
    not_after = datetime.now(UTC) + timedelta(days=left)
    return InstalledFacts(names, not_after - timedelta(days=90), not_after, ours)


def record(host, finding, now, provider="pebble"):
    verdicts.record(host.pk, [finding], None, now, provider=provider)


def refuse(host, now, provider="pebble"):
    verdicts.record_refused(host.pk, {NAME: ("caa", "no")}, now, provider=provider)


MONTH = timedelta(days=31)


@pytest.mark.parametrize(
    ("installed", "code", "pause"),
    [
        (None, "nxdomain", 7),
        (certificate(NAME, left=60), "nxdomain", 1),
        (certificate(NAME, left=-2), "nxdomain", 1),
        (certificate("*.example", left=60), "nxdomain", 1),
        (certificate("other.example", left=60), "nxdomain", 7),
        (certificate(NAME, left=60, ours=False), "nxdomain", 7),
        (None, "http_status", 1),
    ],
    ids=["uncovered", "covered", "expired", "wildcard", "another-name", "anothers", "points-here"],
)
def test_only_an_uncovered_name_that_leads_away_is_asked_weekly(host, now, installed, code, pause):
    for at in (now - MONTH, now):
        Verdict.objects.update(retry_at=None, attempts=9)
        verdicts.record(host.pk, [found(Outcome.FAIL, code)], installed, at, provider="pebble")
    assert verdict().first_failed_at == now - MONTH
    waits = verdict().retry_at - now
    assert timedelta(days=pause) <= waits <= timedelta(days=pause * 1.1)


def test_what_a_clock_ahead_wrote_does_not_end_the_ladder(host, now):
    verdicts.record(host.pk, [found(Outcome.FAIL, "nxdomain")], None, now + 3650 * timedelta(days=1), provider="pebble")
    verdicts.record(host.pk, [found(Outcome.FAIL, "nxdomain")], None, now, provider="pebble")
    assert now < verdict().retry_at < now + timedelta(days=1)
    assert verdict().first_failed_at == now, "the row of failures begins when it is known to have begun"


def test_what_a_ca_refused_by_a_clock_ahead_does_not_outrank_a_proof(host, now):
    ahead = now + 3650 * timedelta(days=1)
    verdicts.record_refused(host.pk, {NAME: ("caa", "no")}, ahead, provider="pebble")
    verdicts.record(host.pk, [found(Outcome.PASS, "")], None, now, provider="pebble")
    assert verdict().outcome == Outcome.PASS


def verdict():
    return Verdict.objects.get(domain__name=NAME)


def facts(host, server, now):
    """The name's facts, and what stands against it, with the active provider."""
    site = sites.read_ids([host.pk], sites.policy_options(server), now)[host.pk]
    return site.facts.names[0], site.failing.get(NAME)


def test_what_the_ca_refuses_goes_on_failing_while_preflight_passes(host, server, provider, now):
    record(host, found(Outcome.PASS), now)
    refuse(host, now)
    later = now + timedelta(hours=2)
    record(host, found(Outcome.PASS), later)
    assert (verdict().outcome, verdict().code) == ("fail", "ca_refused")
    name, failing = facts(host, server, later)
    # Only so can the failure be seen twice an hour apart, and a renewal without the name be sure of it.
    assert name.refused("pebble", later).since == now
    assert name.held("pebble", later) == (now + timedelta(days=1), "ca_refused")
    assert (failing.code, failing.data["text"]) == ("ca_refused", "no")


def test_a_refusal_holds_at_that_provider_alone(host, server, provider, now):
    refuse(host, now)
    name, _failing = facts(host, server, now)
    assert name.held("other", now) is None
    provider.name = "other"
    provider.save()
    assert facts(host, server, now)[1] is None
    record(host, found(Outcome.PASS), now, provider="other")
    assert verdict().outcome == "pass"
    assert name.held("pebble", now) is not None, "remembered for when it is asked for there again"


def test_a_refusal_ends_with_its_time_or_with_another_dns_answer(host, now):
    record(host, found(Outcome.PASS), now)
    refuse(host, now)
    record(host, found(Outcome.PASS, answer="other"), now + timedelta(hours=1))
    assert (verdict().outcome, verdict().refusals, verdict().first_failed_at) == ("pass", None, None)
    refuse(host, now)
    record(host, found(Outcome.PASS, answer="other"), now + timedelta(days=8))
    assert verdict().outcome == "pass"


def test_a_person_clears_a_refusal_and_one_more_lasts_longer(host, now):
    refuse(host, now)
    holds.clear(VirtualHost.objects.all(), Verdict.objects.all(), now, by=None)
    record(host, found(Outcome.PASS), now)
    assert verdict().outcome == "pass"
    refuse(host, now)
    assert verdict().refusals["pebble"]["until"] == (now + timedelta(days=2)).isoformat()


def test_a_caa_failure_holds_only_where_caa_forbids(host, server, provider, now):
    Provider.objects.filter(pk=provider.pk).update(caa_identities=["ca.example"])
    Provider.objects.create(name="other", directory_url="https://127.0.0.1:2/dir", caa_identities=["other.example"])
    Provider.objects.create(name="private", directory_url="https://127.0.0.1:3/dir")
    record(host, found(Outcome.FAIL, "caa", caa=('0 issue "other.example"',)), now)
    name, failing = facts(host, server, now)
    assert name.barred == ("pebble",)
    assert failing.code == "caa"
    assert name.held("pebble", now) is not None
    assert name.held("other", now) is name.held("private", now) is None
    Provider.objects.filter(name="pebble").update(caa_identities=[])
    record(host, found(Outcome.PASS, caa=('0 issue "other.example"',)), now)
    assert verdict().barred is None


def test_a_certificate_says_that_its_names_are_proven(host, now):
    record(host, found(Outcome.UNKNOWN, "unknown"), now)
    refuse(host, now)
    refuse(host, now, provider="other")
    assert verdict().retry_at is not None
    verdicts.accepted(host.pk, [NAME], provider="pebble")
    row = verdict()
    assert (row.outcome, row.code, row.retry_at, row.attempts) == ("pass", "", None, 0)
    assert set(row.refusals) == {"other"}, "what another CA said stands"
