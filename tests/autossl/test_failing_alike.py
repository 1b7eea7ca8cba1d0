"""Whether a failure may cost coverage is read from all verdicts of the server's names, whichever run found them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import trouble
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.models import Outcome, Verdict
from autossl_panel.hosting.models import Domain, HostingUser, Server, SiteState, VirtualHost

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
USERS = ("amber", "birch", "cedar", "dahlia")


@pytest.fixture
def asked(make_user: Callable[..., Any], make_site: Callable[..., VirtualHost]) -> Callable[..., None]:
    """Names that were asked at a moment, one site each, of several users in turn; all passed once before."""
    users, made = [make_user(name) for name in USERS], 0

    def make(number: int, at: datetime, *, code: str = "", since: timedelta = HOUR, of: int = len(USERS)) -> None:
        nonlocal made
        for _ in range(number):
            made += 1
            name = f"site{made}.example"
            make_site(users[made % of], name)
            Verdict.objects.create(
                domain=Domain.objects.get(name=name),
                at=at,
                outcome=Outcome.FAIL if code else Outcome.PASS,
                code=code,
                first_failed_at=at - since if code else None,
                last_failed_at=at if code else None,
                last_passed_at=at - 9 * DAY if code else at,
            )

    return make


def suspended(server: Server, now: datetime) -> bool:
    """What a runner that begins now says; the same stands on the server's row and is told."""
    bench = Bench(server, None, "runner", threading.Event())  # type: ignore[arg-type]
    found = bench.reductions_suspended(now)
    assert found == any(one.code == "failing_alike" for one in trouble.look(server, now))
    return found


def test_what_other_runs_found_counts(server: Server, asked: Callable[..., None], now: datetime) -> None:
    asked(9, now - HOUR, code="nxdomain")
    assert not suspended(server, now)
    asked(1, now, code="nxdomain")
    assert suspended(server, now)
    assert not suspended(server, now + 26 * HOUR), "what nobody has asked for a day says nothing of today"


def test_when_they_pass_again_it_is_over(server: Server, asked: Callable[..., None], now: datetime) -> None:
    asked(20, now - HOUR, code="nxdomain")
    assert suspended(server, now)
    Verdict.objects.update(outcome=Outcome.PASS, code="", at=now, last_passed_at=now, first_failed_at=None)
    assert not suspended(server, now)


def test_a_resolver_that_has_just_begun_to_lie_is_outnumbered_by_the_day_but_not_by_the_hour(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    asked(60, now - 5 * HOUR)
    asked(4, now - HOUR)
    asked(12, now - HOUR, code="elsewhere")
    assert suspended(server, now)
    asked(20, now - HOUR)
    assert not suspended(server, now)


def test_names_that_have_failed_for_weeks_suspend_nothing(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    """Each of them is asked daily, for ever: that is their trouble, and must not hold up anybody's renewal."""
    asked(40, now - HOUR, code="nxdomain", since=8 * DAY)
    assert not suspended(server, now)


@pytest.mark.parametrize("number", [10, 200])
def test_what_fails_at_one_or_two_of_many_users_is_their_own(
    server: Server, asked: Callable[..., None], now: datetime, number: int
) -> None:
    """However many names they have: the other users' renewals wait for none of it."""
    asked(300, now - 3 * HOUR)
    asked(number, now, code="nxdomain", of=1)
    assert not suspended(server, now)
    asked(4, now, code="nxdomain", of=2)
    assert not suspended(server, now)
    asked(4, now, code="nxdomain", of=3)
    assert suspended(server, now)


def test_that_the_others_were_not_asked_of_late_makes_no_server_of_one_user(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    asked(40, now - 20 * DAY)
    asked(10, now, code="nxdomain", of=1)
    assert not suspended(server, now)


@pytest.mark.parametrize("few", [1, 2])
def test_on_a_server_of_few_users_it_is_each_of_them(
    server: Server, asked: Callable[..., None], now: datetime, few: int
) -> None:
    asked(12, now, code="nxdomain", of=few)
    assert suspended(server, now)
    asked(1, now - 20 * DAY, of=len(USERS))
    VirtualHost.objects.filter(name="site13.example").update(user=HostingUser.objects.get(name="dahlia"))
    assert not suspended(server, now)
    VirtualHost.objects.filter(name="site13.example").update(state=SiteState.OFF)
    assert suspended(server, now), "for whom AutoSSL is off nothing is asked"


@pytest.mark.django_db(transaction=True)
def test_all_verdicts_are_gone_through_once_however_many_decide(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    asked(20, now - HOUR, code="nxdomain")
    bench, together = Bench(server, None, "runner", threading.Event()), threading.Barrier(4)  # type: ignore[arg-type]

    def decide(_nth: int) -> tuple[bool, int]:
        with closing(connection), CaptureQueriesContext(connection) as queries:
            together.wait(30)
            return bench.reductions_suspended(now), len([one for one in queries if "GROUP BY" in one["sql"]])

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(decide, range(4)))
    assert [suspended for suspended, _queries in found] == [True] * 4
    assert sorted(queries for _suspended, queries in found) == [0, 0, 0, 1]


def test_another_servers_names_say_nothing_of_this_one(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    asked(20, now - HOUR, code="nxdomain")
    VirtualHost.objects.update(server=Server.objects.create(name="other"))
    assert not suspended(server, now)
