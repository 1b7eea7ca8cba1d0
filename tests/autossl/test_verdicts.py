"""What DCV and the CA found for a name, as rows: rows of failures, refusals, and what a certificate forgives."""

from datetime import timedelta

import pytest

from autossl_panel.autossl import verdicts
from autossl_panel.autossl.models import Verdict
from autossl_panel.dcv import Finding, Outcome

pytestmark = pytest.mark.django_db

NAME = "amber.example"


@pytest.fixture
def host(make_user, make_site):
    return make_site(make_user("amber"), NAME)


def found(outcome, code=None, answer="dns"):
    return Finding(NAME, outcome, code, {}, ("192.0.2.1",), answer, 0.1)


def verdict():
    return Verdict.objects.get(domain__name=NAME)


def test_what_the_ca_refuses_goes_on_failing_while_preflight_passes(host, now):
    verdicts.record(host.pk, [found(Outcome.PASS)], None, now)
    verdicts.record_refused(host.pk, {NAME: ("caa", "no")}, None, now)
    later = now + timedelta(hours=2)
    verdicts.record(host.pk, [found(Outcome.PASS)], None, later)
    row = verdict()
    assert (row.outcome, row.code) == ("fail", "ca_refused")
    # Only so can the failure be seen twice an hour apart, and a renewal without the name be sure of it.
    assert row.first_failed_at == now
    assert row.retry_at == row.ca_refused_until > later


def test_a_refusal_ends_with_its_time_or_with_another_dns_answer(host, now):
    verdicts.record(host.pk, [found(Outcome.PASS)], None, now)
    verdicts.record_refused(host.pk, {NAME: ("caa", "no")}, None, now)
    verdicts.record(host.pk, [found(Outcome.PASS, answer="other")], None, now + timedelta(hours=1))
    row = verdict()
    assert (row.outcome, row.ca_refused_until, row.first_failed_at) == ("pass", None, None)
    verdicts.record_refused(host.pk, {NAME: ("caa", "no")}, None, now)
    verdicts.record(host.pk, [found(Outcome.PASS, answer="other")], None, now + timedelta(days=8))
    assert verdict().outcome == "pass"


def test_a_certificate_says_that_its_names_are_proven(host, now):
    verdicts.record(host.pk, [found(Outcome.UNKNOWN, "unknown")], None, now)
    assert verdict().retry_at is not None
    verdicts.accepted(host.pk, [NAME])
    row = verdict()
    assert (row.outcome, row.code, row.retry_at, row.attempts) == ("pass", "", None, 0)
