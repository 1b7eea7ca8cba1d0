"""A person's check of some sites, and the day's share of what is secured."""

from datetime import UTC, date, datetime, timedelta

import pytest

from autossl_panel import dcv
from autossl_panel.autossl import log, recheck, runs, shares, verdicts
from autossl_panel.autossl.models import DailyShare, Job, Outcome, Run, Verdict
from autossl_panel.dcv import Finding
from autossl_panel.hosting.models import Domain, SiteState, VirtualHost
from autossl_panel.people.models import AuditEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def held(make_user, make_site, provider, now):
    """A site whose name failed, and that waits for its next try."""

    def make(user: object, name: str, **fields: object) -> VirtualHost:
        refusal = {"since": now.isoformat(), "until": (now + timedelta(days=1)).isoformat(), "number": 1}
        host = make_site(user, name, retry_at=now + timedelta(hours=3), **fields)
        Verdict.objects.create(
            domain=Domain.objects.get(name=name),
            at=now,
            outcome=Outcome.FAIL,
            code="elsewhere",
            retry_at=now + timedelta(hours=3),
            refusals={"pebble": refusal},
        )
        return host

    return make


def test_sites_of_one_user_are_checked_by_a_run_of_that_user(held, make_user, server, root, now):
    amber = make_user("amber")
    one, other = held(amber, "one.org"), held(amber, "other.org")
    asked = recheck.ask(server, VirtualHost.objects.filter(pk=one.pk), by=root, now=now)
    assert (asked.sites, asked.held) == (1, 0)
    assert asked.run == Run.objects.get()
    assert (asked.run.scope, asked.run.asked_by, asked.run.asked_from) == ("user:amber", root, "recheck")
    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.retry_at, one.next_at, one.next_reason) == (None, now, "recheck")
    assert other.retry_at is not None, "the user's other sites keep their holds"
    verdict = Verdict.objects.get(domain__name="one.org")
    assert (verdict.retry_at, verdict.refusals["pebble"]["until"]) == (None, now.isoformat())
    assert Verdict.objects.get(domain__name="other.org").retry_at is not None
    entry = AuditEntry.objects.get(event="site:rechecked")
    assert (entry.person, entry.subject, entry.after) == (root, "one.org", {"sites": 1, "first": ["one.org"]})


def test_sites_of_several_users_are_checked_by_what_is_due(held, make_user, server, root, now):
    held(make_user("amber"), "one.org")
    held(make_user("birch"), "other.org")
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert asked.run is not None
    assert asked.run.scope == runs.DUE
    assert VirtualHost.objects.filter(**runs.hosts_of(asked.run)).count() == 2


def test_a_run_that_is_under_way_is_what_was_asked_for_only_where_it_will_look(held, make_user, server, root, now):
    held(make_user("amber"), "one.org")
    before = runs.start("user:amber", by=None, asked_from="panel", server=server)
    Run.objects.filter(pk=before.pk).update(started_at=now - timedelta(minutes=1))
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.run) == (1, before)
    assert VirtualHost.objects.get().next_at == now
    log.for_run(before.pk).out("run:started", scope="user:amber", provider="pebble")
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert asked.run is not None
    assert asked.run.scope == runs.DUE, "it may have passed the site already"
    Run.objects.filter(pk=asked.run.pk).update(started_at=now - timedelta(seconds=1))
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.run) == (1, None), "that one begins another when it has looked"


def test_what_a_limit_of_the_ca_holds_stays_held(held, make_user, server, root, now):
    amber = make_user("amber")
    limited = held(amber, "one.org", held_until=now + timedelta(hours=1), held_reason="rate_limited")
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.held, asked.run) == (0, 1, None)
    limited.refresh_from_db()
    assert limited.retry_at is not None
    assert not Run.objects.exists()
    held(amber, "other.org")
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.held) == (1, 1)


def test_what_waits_for_a_person_at_the_ca_is_tried(held, make_user, server, root, now):
    held(make_user("amber"), "one.org", held_until=now + timedelta(days=365), held_reason="ca_paused")
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.held) == (1, 0)
    host = VirtualHost.objects.get()
    assert (host.held_until, host.held_reason, host.next_at) == (None, "", now)


def test_what_is_gone_or_off_is_not_checked(held, make_user, server, root, now):
    amber = make_user("amber")
    held(amber, "one.org", gone_at=now, state=SiteState.GONE)
    held(amber, "other.org", state=SiteState.OFF)
    asked = recheck.ask(server, VirtualHost.objects.all(), by=root, now=now)
    assert (asked.sites, asked.held, asked.run) == (0, 0, None)
    assert not Job.objects.exists()


def test_the_share_is_noted_once_a_day(make_user, make_site, server):
    amber, morning = make_user("amber"), datetime(2026, 11, 23, 0, 1, tzinfo=UTC)
    assert not shares.note(server, morning), "nothing to say of a server without sites"
    for name, state, wanted, covered in (
        ("one.org", SiteState.SECURED, 2, 2),
        ("two.org", SiteState.PARTLY, 3, 1),
        ("three.org", SiteState.FOREIGN, 1, 1),
        ("four.org", SiteState.FOREIGN, 1, 0),
        ("five.org", SiteState.OFF, 9, 0),
        ("six.org", SiteState.GONE, 9, 9),
    ):
        make_site(amber, name, state=state, names_wanted=wanted, names_covered=covered)
    assert shares.note(server, morning)
    row = DailyShare.objects.get()
    assert (row.day, row.sites, row.secured, row.wanted, row.covered) == (date(2026, 11, 23), 4, 2, 7, 4)
    assert not shares.note(server, morning + timedelta(hours=23))
    assert shares.note(server, morning + timedelta(days=1))


def test_a_check_before_its_time_climbs_no_rung(held, make_user, server, root, now):
    host = held(make_user("amber"), "one.org", attempts=2)
    Verdict.objects.update(attempts=2, retry_at=now + timedelta(minutes=10), refusals=None)
    failed = Finding("one.org", dcv.Outcome.FAIL, "elsewhere", {}, ("192.0.2.1",), "dns", 0.1, None)
    for minute in range(5):
        # A person asks again and again, and it goes on failing
        at = now + timedelta(minutes=minute)
        recheck.ask(server, VirtualHost.objects.filter(pk=host.pk), by=root, now=at)
        verdicts.record(host.pk, [failed], None, at, provider="pebble")
        verdict = Verdict.objects.get()
        assert verdict.attempts == 2
        assert at + timedelta(minutes=10) <= verdict.retry_at <= at + timedelta(minutes=11)
    host.refresh_from_db()
    assert host.attempts == 1, "its next failure is the second rung again"
    due = verdict.retry_at + timedelta(seconds=1)
    verdicts.record(host.pk, [failed], None, due, provider="pebble")
    assert Verdict.objects.get().attempts == 3, "at its own time it climbs"


def test_a_check_that_comes_due_anyway_is_like_the_sweeps(held, make_user, server, root, now):
    held(make_user("amber"), "one.org", attempts=2)
    Verdict.objects.update(attempts=2)
    later = now + timedelta(hours=4)
    VirtualHost.objects.update(next_at=later - timedelta(hours=1))
    recheck.ask(server, VirtualHost.objects.all(), by=root, now=later)
    assert VirtualHost.objects.get().attempts == Verdict.objects.get().attempts == 2
