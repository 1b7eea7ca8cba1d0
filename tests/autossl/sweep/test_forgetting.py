"""What the minute sweep forgets, and by whose clock."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from autossl_panel.autossl import certain, options
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Bucket,
    Job,
    JobState,
    LogLine,
    Options,
    Provider,
    ProviderState,
    Run,
)
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import AuditEntry, Session, User
from tests.autossl.sweep.world import NOON, swept

pytestmark = pytest.mark.django_db


def test_runs_older_than_the_log_is_kept_are_forgotten(server: Server, host: VirtualHost) -> None:
    old = Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON - timedelta(days=32), surveyed_at=NOON,
        ended_at=NOON - timedelta(days=31),
    )  # fmt: skip
    young = Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON - timedelta(days=30), surveyed_at=NOON,
        ended_at=NOON - timedelta(days=29),
    )  # fmt: skip
    Job.objects.create(
        run=old, server=server, virtual_host=host, user=host.user, action="new", reason="missing", job_class=1,
        queued_at=NOON, state=JobState.ENDED,
    )  # fmt: skip
    LogLine.objects.create(run=old, seq=1, at=NOON, level="out", event="run:ended")
    swept(server)
    assert not Run.objects.filter(pk=old.pk).exists()
    assert not LogLine.objects.filter(run_id=old.pk).exists()
    assert Run.objects.filter(pk=young.pk).exists()


def test_what_a_limit_no_longer_counts_is_forgotten(server: Server, provider: Provider) -> None:
    owner = f"a:{provider.accounts.get().pk}"
    for subject, empty_at in (("old.example", NOON - timedelta(hours=1)), ("new.example", NOON + timedelta(hours=1))):
        Bucket.objects.create(
            owner=owner, kind=Kind.SET, subject=subject, used=1, empty_at=empty_at,
            entries=[[empty_at.timestamp(), 1]], mark=NOON.timestamp(),
        )  # fmt: skip
    swept(server)
    assert list(Bucket.objects.values_list("subject", flat=True)) == ["new.example"]


def test_a_clock_that_runs_ahead_removes_nothing_that_is_kept_for_a_time(
    server: Server, provider: Provider, host: VirtualHost
) -> None:
    """It is removed once the CA has said that the time has come."""
    ahead = NOON + timedelta(days=500)
    Provider.objects.update(state=ProviderState.READY, checked_at=NOON - timedelta(hours=9), clock_offset=0)
    Run.objects.create(
        server=server, scope="*", asked_from="schedule", started_at=NOON, surveyed_at=NOON, ended_at=NOON
    )  # fmt: skip
    audit.record(None, "options:changed", "today")
    AuditEntry.objects.filter(subject="today").update(at=NOON)
    Options.objects.update(daily_done_on=ahead.date())

    def kept() -> tuple[bool, bool]:
        swept(server, ahead)
        return Run.objects.filter(started_at=NOON).exists(), AuditEntry.objects.filter(subject="today").exists()

    assert kept() == (True, True)
    Provider.objects.update(checked_at=ahead, clock_offset=-500 * 86400)
    assert kept() == (True, True), "the CA said how far ahead it is"
    Provider.objects.update(state=ProviderState.REFUSED, clock_offset=0)
    Provider.objects.create(
        name="heard", directory_url="https://other.example/dir", state=ProviderState.READY, checked_at=ahead
    )
    Provider.objects.filter(name="heard").update(fallback=2)
    Account.objects.create(provider=Provider.objects.get(name="heard"), server=server, status=AccountStatus.VALID)
    assert kept() == (False, False)


@pytest.mark.parametrize(
    ("of_the_ca", "said"),
    [
        ({}, 0),
        ({"checked_at": None}, 0),
        ({"active": False}, 0),
        ({"state": ProviderState.REFUSED}, 0),
        ({"checked_at": NOON - timedelta(days=3)}, -3),
        ({"checked_at": NOON, "clock_offset": -86400.0}, -1),
        ({"checked_at": NOON - timedelta(days=3), "clock_offset": 2 * 86400.0}, -1),
        ({"checked_at": NOON, "clock_offset": 86400.0}, 0),
        ({"checked_at": NOON + timedelta(days=7)}, 0),
    ],
)
def test_what_has_certainly_come_is_what_a_ca_in_use_said_last(
    server: Server, provider: Provider, of_the_ca: dict[str, Any], said: int
) -> None:
    known = {"state": ProviderState.READY, "checked_at": NOON - timedelta(days=9), "clock_offset": 0.0}
    Provider.objects.update(**({**known, **of_the_ca} if of_the_ca else {"checked_at": None}))
    assert certain.moment(server, NOON) == NOON + timedelta(days=said)


def test_sessions_that_ran_out_and_entries_of_the_trail_that_are_old_are_forgotten(server: Server) -> None:
    person = User.objects.create(username="amy", role="root")
    for key, days in (("out", -1), ("in", 1)):
        Session.objects.create(
            session_key=key, person=person, began_at=NOON, seen_at=NOON, expire_date=NOON + timedelta(days=days)
        )
    for days in (399, 401, 450):
        audit.record(None, "options:changed", f"{days} days ago")
        AuditEntry.objects.filter(subject=f"{days} days ago").update(at=NOON - timedelta(days=days))
    swept(server)
    assert [session.pk for session in Session.objects.all()] == ["in"]
    assert [entry.subject for entry in AuditEntry.objects.all()] == ["399 days ago"]
    # In a shared database the longest wish holds.
    options.change(server, {"audit_days": "366"}, by=None)
    other = Server.objects.create(name="web04")
    options.change(other, {"audit_days": "4000"}, by=None)
    swept(server)
    assert AuditEntry.objects.filter(subject="399 days ago").exists()
