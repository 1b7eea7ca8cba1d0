"""Whether a failure may cost coverage is read from all verdicts of the server's names, whichever run found them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import trouble
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.models import Outcome, Verdict
from autossl_panel.hosting.models import Domain, Server, VirtualHost

pytestmark = pytest.mark.django_db

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def asked(make_user: Callable[..., Any], make_site: Callable[..., VirtualHost]) -> Callable[..., None]:
    """Names that were asked at a moment, one site each; all passed once before."""
    user, made = make_user("amber"), 0

    def make(number: int, at: datetime, *, code: str = "", since: timedelta = HOUR) -> None:
        nonlocal made
        for _ in range(number):
            made += 1
            name = f"site{made}.example"
            make_site(user, name)
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


def test_another_servers_names_say_nothing_of_this_one(
    server: Server, asked: Callable[..., None], now: datetime
) -> None:
    asked(20, now - HOUR, code="nxdomain")
    VirtualHost.objects.update(server=Server.objects.create(name="other"))
    assert not suspended(server, now)
