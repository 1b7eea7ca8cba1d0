"""The schedule over days (rules §9), by a clock of the test's own: sweeps, what they start, what they give up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import options, runs, sites, survey, sweep
from autossl_panel.autossl.choosing import Outlook
from autossl_panel.autossl.foresight import assume, foresee
from autossl_panel.autossl.jobs import claims
from autossl_panel.autossl.models import Certificate, Installation, Job, JobState, Lease, Options, Order, Provider, Run
from autossl_panel.autossl.room import Forecast
from autossl_panel.hosting import users
from autossl_panel.hosting.models import HostingUser, Server, Setting, SiteState, VirtualHost
from tests.autossl.limits_rows import row
from tests.autossl.surveys import Reads

pytestmark = pytest.mark.django_db
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Make = Callable[..., Any]


class Clock:
    """Lets time pass: a sweep at every step; what it starts is surveyed, and its jobs end as failed at once."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.now = MIDNIGHT
        self.began: list[tuple[datetime, str]] = []

    def pass_by(self, span: timedelta, step: timedelta = HOUR) -> list[tuple[datetime, str]]:
        """Let `span` pass in steps; what began meanwhile, as (moment, scope)."""
        first = len(self.began)
        end = self.now + span
        while self.now + step <= end:
            self.now += step
            self.tick()
        return self.began[first:]

    def tick(self) -> None:
        known = set(Run.objects.values_list("pk", flat=True))
        Lease.objects.all().delete()
        assert sweep.sweep(self.server, now=self.now)
        for run in Run.objects.exclude(pk__in=known).order_by("pk"):
            self.began.append((self.now, run.scope))
            survey.survey(run, Reads(), now=self.now)  # type: ignore[arg-type]
            hosts = Job.objects.filter(run=run).values("virtual_host")
            VirtualHost.objects.filter(pk__in=hosts).update(next_at=self.now + DAY, next_reason="held_back")
            Job.objects.filter(run=run).update(state=JobState.ENDED, outcome="failed", ended_at=self.now)
            runs.end_if_done(run.pk, now=self.now)


@pytest.fixture
def clock(server: Server, provider: Provider) -> Clock:
    options.current(server)
    Options.objects.update(daily_at=time(3, 17), daily_done_on=(MIDNIGHT - DAY).date())
    return Clock(server)


@pytest.fixture
def host(make_user: Make, make_site: Make, make_installed: Make) -> VirtualHost:
    made: VirtualHost = make_site(make_user("amber"), "amber.example", state=SiteState.SECURED)
    made_certificate = make_installed(made, "amber.example")
    Certificate.objects.filter(pk=made_certificate.pk).update(
        not_before=MIDNIGHT - 10 * DAY, not_after=MIDNIGHT + 80 * DAY
    )
    return made


def test_each_server_draws_a_minute_of_the_night(server: Server) -> None:
    drawn = {options._drawn_time() for _ in range(200)}
    assert len(drawn) > 20
    assert all(time(2) <= moment < time(5) for moment in drawn)
    assert options.current(server).daily_at == options.current(server).daily_at, "and keeps it"


def test_all_users_are_checked_once_a_day_from_that_minute_on(clock: Clock, host: VirtualHost) -> None:
    began = clock.pass_by(2 * DAY)
    assert began == [(MIDNIGHT + number * DAY + 4 * HOUR, runs.ALL) for number in range(2)]


def test_after_days_off_it_is_made_up_once(clock: Clock, host: VirtualHost) -> None:
    clock.pass_by(DAY)
    clock.now += 5 * DAY + 10 * HOUR
    assert clock.pass_by(2 * HOUR) == [(MIDNIGHT + 6 * DAY + 11 * HOUR, runs.ALL)]
    assert clock.pass_by(DAY) == [(MIDNIGHT + 7 * DAY + 4 * HOUR, runs.ALL)], "and then at its minute again"


def test_a_panel_that_was_off_at_its_minute_makes_up_the_same_day(clock: Clock, host: VirtualHost) -> None:
    clock.now = MIDNIGHT + 20 * HOUR
    assert clock.pass_by(2 * HOUR) == [(MIDNIGHT + 21 * HOUR, runs.ALL)]


def test_arrears_become_one_run_and_no_storm(clock: Clock, make_user: Make, make_site: Make) -> None:
    user = make_user("many")
    for number in range(30):
        make_site(user, f"{number}.example", next_at=MIDNIGHT + number * HOUR)
    clock.now = MIDNIGHT + 4 * DAY
    began = clock.pass_by(timedelta(minutes=20), timedelta(minutes=1))
    assert began == [(MIDNIGHT + 4 * DAY + timedelta(minutes=1), runs.ALL)]
    assert Job.objects.count() == 30


def test_after_days_off_the_urgent_come_first_and_the_rest_keeps_to_the_limits(
    clock: Clock, provider: Provider, make_user: Make, make_site: Make, make_installed: Make
) -> None:
    Provider.objects.update(limits=[row("orders", 10, 3 * 3600)])
    back = MIDNIGHT + 4 * DAY
    days_left = {"urgent": 2, "due": 25, "later": 80, "lost": -3}
    for place, (user, days) in enumerate(days_left.items()):
        owner = make_user(user)
        for number in range(3):
            host = make_site(owner, f"{number}.{user}.example", next_at=back - DAY, state=SiteState.SECURED)
            made = make_installed(host, host.name, provider=provider, account=provider.accounts.get())
            end = back + days * DAY + number * HOUR + place * timedelta(minutes=1)
            Certificate.objects.filter(pk=made.pk).update(not_before=end - 90 * DAY, not_after=end)
    for number in range(12):
        make_site(make_user(f"new{number}"), f"{number}.new.example", next_at=back - DAY)
    clock.now = back
    Lease.objects.all().delete()
    assert sweep.sweep(clock.server, now=clock.now)
    run = Run.objects.get(ended_at=None)
    survey.survey(run, Reads(), now=clock.now)  # type: ignore[arg-type]

    # What needs nothing is left alone; of the rest that comes first whose end is nearest, and within a class each
    # user's first site before anybody's second.
    taken = [one.job.virtual_host.name for one in claims.claim(clock.server, "p:1:1:x", 100)]
    new = taken[6:18]
    assert taken[:6] == [f"{number}.{user}.example" for number in range(3) for user in ("lost", "urgent")]
    assert set(new) == {f"{number}.new.example" for number in range(12)}
    assert taken[18:] == ["0.due.example", "1.due.example", "2.due.example"]

    # As many are ordered as the CA allows, what is renewed besides; the others are told when their turn comes.
    policies = sites.policy_options(clock.server)
    room = Forecast(policies.accounts)
    outlook = Outlook(policies, room)
    found = {}
    for name in taken:
        pk = VirtualHost.objects.get(name=name).pk
        found[name] = foresee(sites.read_ids([pk], policies, clock.now)[pk], outlook, clock.now)
        assume(found[name], outlook, room, clock.now)
    ordered = [name for name in taken if found[name].orders]
    assert len([name for name in ordered if name in new]) == 8
    assert {name for name in ordered if name not in new} == {name for name in taken if name not in new}
    turns = [found[name].until for name in taken if not found[name].orders]
    assert len(turns) == 4
    assert all(until is not None and until > clock.now for until in turns)


def test_what_is_due_is_taken_in_the_minute(clock: Clock, host: VirtualHost) -> None:
    clock.now = MIDNIGHT + 5 * HOUR
    clock.tick()
    moment = clock.now + timedelta(minutes=7)
    VirtualHost.objects.update(next_at=moment)
    assert clock.pass_by(timedelta(minutes=20), timedelta(minutes=1)) == [(moment, runs.DUE)]


def order_of(host: VirtualHost, provider: Provider, status: str) -> Order:
    return Order.objects.create(
        ident=f"o-{host.pk}", virtual_host=host, provider=provider, account=provider.accounts.get(),
        names=[host.name], reason="due", key_type="p256", created_at=MIDNIGHT, status=status,
    )  # fmt: skip


SWITCHES: dict[str, tuple[Callable[[VirtualHost, datetime], object], Callable[[VirtualHost, datetime], object]]] = {
    "suspended": (
        lambda host, now: users.set_suspended(host.user, True, by=None, now=now),
        lambda host, now: users.set_suspended(host.user, False, by=None, now=now),
    ),
    "disabled": (
        lambda host, now: users.set_autossl(HostingUser.objects.all(), Setting.OFF, by=None, now=now),
        lambda host, now: users.set_autossl(HostingUser.objects.all(), Setting.ON, by=None, now=now),
    ),
    "feature-list": (
        lambda host, now: users.set_feature_list("default", False, by=None, now=now),
        lambda host, now: users.set_feature_list("default", True, by=None, now=now),
    ),
    "excluded": (
        lambda host, now: users.exclude([host.name], by=None, now=now),
        lambda host, now: users.include([host.name], by=None, now=now),
    ),
}


@pytest.mark.parametrize("how", SWITCHES)
def test_off_and_on_again_is_heeded_within_a_minute_and_the_certificate_stays(
    clock: Clock, host: VirtualHost, how: str
) -> None:
    off, on = SWITCHES[how]
    clock.now = MIDNIGHT + 5 * HOUR
    clock.tick()
    off(host, clock.now)
    minute = timedelta(minutes=1)
    assert clock.pass_by(minute, minute) == [(MIDNIGHT + 5 * HOUR + minute, runs.DUE)]
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == (
        None,
        {"excluded": "all_excluded"}.get(how, how.replace("feature-list", "disabled")),
    )
    # Nothing more is asked, whatever time passes: only the daily look, which finds nothing to do.
    assert {scope for _at, scope in clock.pass_by(DAY)} == {runs.ALL}
    assert not Job.objects.exists()
    assert Installation.objects.filter(until__isnull=True).count() == 1
    at = clock.now
    on(host, at)
    assert clock.pass_by(minute, minute) == [(at + minute, runs.DUE)]
    host.refresh_from_db()
    assert (host.state, host.next_reason) == (SiteState.SECURED, "renew")


@pytest.mark.parametrize(("status", "left"), [("pending", False), ("ready", False), ("processing", True)])
@pytest.mark.parametrize("how", ["suspended", "deleted"])
def test_orders_of_the_suspended_and_the_deleted_are_given_up_where_unsigned(
    clock: Clock, host: VirtualHost, provider: Provider, status: str, left: bool, how: str
) -> None:
    order = order_of(host, provider, status)
    if how == "suspended":
        users.set_suspended(host.user, True, by=None, now=clock.now)
    else:
        HostingUser.objects.update(gone_at=clock.now)
        VirtualHost.objects.update(gone_at=clock.now, state=SiteState.GONE, next_at=None)
    clock.pass_by(timedelta(minutes=1), timedelta(minutes=1))
    order.refresh_from_db()
    assert (order.closed_at is None) is left
    assert not Job.objects.exclude(action="resume").exists()
    assert Installation.objects.filter(until__isnull=True).exists()


def test_what_is_off_is_asked_nothing_even_where_it_is_made_due(clock: Clock, host: VirtualHost) -> None:
    HostingUser.objects.update(suspended=True)
    VirtualHost.objects.update(next_at=clock.now)
    clock.pass_by(HOUR)
    assert not Job.objects.exists()
    host.refresh_from_db()
    assert host.next_at is None
    site = sites.read_ids([host.pk], sites.policy_options(clock.server), clock.now)[host.pk]
    assert site.facts.off == "suspended"


def test_a_pause_of_days_is_made_up_for_at_once(clock: Clock, host: VirtualHost, make_site: Make) -> None:
    clock.pass_by(5 * HOUR)
    options.pause(clock.server, by=None, now=clock.now)
    late = make_site(host.user, "late.example", next_at=clock.now + HOUR)
    began = clock.pass_by(DAY)
    assert {scope for _at, scope in began} == {runs.ALL}
    assert not Job.objects.exists()
    late.refresh_from_db()
    assert (late.next_at, late.next_reason) == (None, "paused")
    options.resume(clock.server, by=None, now=clock.now)
    minute = timedelta(minutes=1)
    assert [scope for _at, scope in clock.pass_by(minute, minute)] == [runs.DUE]
    assert [job.virtual_host_id for job in Job.objects.all()] == [late.pk]
