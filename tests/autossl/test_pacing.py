"""The pace of requests: any window holds no more than allowed, whoever sends, and the database sees blocks only."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction

from autossl_panel import ca
from autossl_panel.autossl import limits, pacing
from autossl_panel.autossl.ledger import Asked, Kind, Limit
from autossl_panel.autossl.limits import rows, stops
from autossl_panel.autossl.models import Account, Bucket, Provider
from autossl_panel.simulation.oracle import Authority
from tests.autossl.limits_rows import row

pytestmark = pytest.mark.django_db(transaction=True)
LIMIT = Limit(Kind.REQUESTS, 20, 1)


@pytest.fixture(autouse=True)
def _no_stops():
    stops._stops.clear()
    yield
    stops._stops.clear()


def new_pace(provider: Provider, limit: Limit | None = LIMIT) -> pacing.Pace:
    """A gate as another process would have it."""
    return pacing.Pace(rows.shared_owner(provider), limit)


def test_the_ca_has_nothing_to_refuse_whichever_process_sends(provider):
    """Two processes of three threads each; what one does not use of a block, the other may get."""
    limit = Limit(Kind.REQUESTS, 40, 2)
    passed: list[float] = []
    lock = threading.Lock()

    def send(gate: pacing.Pace) -> None:
        try:
            for _ in range(14):
                gate("order")
                with lock:
                    passed.append(time.monotonic())
        finally:
            connection.close()

    gates = [new_pace(provider, limit), new_pace(provider, limit)]
    threads = [threading.Thread(target=send, args=(gates[number % 2],)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(passed) == 84
    published = Authority({"requests": (limit.number, limit.seconds)})
    assert not any(published.request(at) for at in sorted(passed))


def test_the_database_sees_a_write_a_block(provider, django_assert_max_num_queries):
    gate = new_pace(provider, Limit(Kind.REQUESTS, 2000, 10))
    gate()
    with django_assert_max_num_queries(10):
        for _ in range(15):
            gate()
    assert Bucket.objects.get(kind="requests").used == 16


def test_what_a_block_has_left_over_is_given_back(provider):
    limit = Limit(Kind.REQUESTS, 20, 4)
    one = new_pace(provider, limit)
    one()
    assert Bucket.objects.get().used == 8
    one._ends = 0.0  # its block is over, seven of it unused
    one()
    assert Bucket.objects.get().used == 1 + 8


def test_a_provider_without_such_a_limit_costs_nothing(provider, django_assert_num_queries):
    gate = pacing.pace(provider)
    with django_assert_num_queries(0):
        for _ in range(100):
            gate("order")
    assert not Bucket.objects.exists()


def test_all_threads_of_a_process_share_one_gate_that_follows_the_providers_limits(provider):
    gate = pacing.pace(provider)
    assert gate.limit is None
    provider.limits = [row("requests", 20, 1, continuous=False)]
    assert pacing.pace(provider) is gate
    assert gate.limit == LIMIT


def test_a_refusal_of_all_requests_is_heeded_at_once_and_raised_where_it_lasts(provider):
    gate = pacing.pace(provider)
    now = datetime.now(UTC)
    busy = ca.CaProblem(
        ca.ProblemKind.RATE, type="x", detail="Service busy; retry later.", retry_after=now + timedelta(minutes=1)
    )
    limits.heard(provider, busy, Asked.OTHER, now=now)
    with pytest.raises(ca.CaProblem) as raised:
        gate("order")
    assert raised.value.kind == ca.ProblemKind.RATE
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > now + timedelta(seconds=50)


def test_another_process_reads_it_from_the_row(provider):
    now = datetime.now(UTC)
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="x", detail="busy", retry_after=now + timedelta(minutes=1))
    limits.heard(provider, busy, Asked.OTHER, now=now)
    stops._stops.clear()
    with pytest.raises(ca.CaProblem):
        new_pace(provider)("order")


def test_who_is_to_find_out_passes_a_refusal_that_lasts_so_long_and_nobody_else(provider):
    now = datetime.now(UTC)
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="x", detail="busy", retry_after=now + timedelta(days=3))
    limits.heard(provider, busy, Asked.OTHER, now=now)
    heard = new_pace(provider)
    for known_here in (True, False):
        if not known_here:
            stops._stops.clear()
        for limit in (None, now + timedelta(days=4)):
            with pacing.in_spite_of(limit), pytest.raises(ca.CaProblem):
                heard("order")
        with pacing.in_spite_of(now + timedelta(days=2)):
            heard("order")
        with pytest.raises(ca.CaProblem):
            heard("order")
    assert Bucket.objects.get().used == 2


def test_a_refusal_leaves_the_pace_as_it_was_and_permits_go_by_their_own_clock(provider):
    new_pace(provider)("order")
    before = Bucket.objects.get()
    Bucket.objects.update(mark=before.mark + 300)
    now = datetime.now(UTC)
    busy = ca.CaProblem(ca.ProblemKind.SERVER, type="x", detail="busy", retry_after=now + timedelta(minutes=1))
    limits.heard(provider, busy, Asked.OTHER, now=now)
    row = Bucket.objects.get()
    assert (row.entries, row.used, row.mark) == (before.entries, before.used, before.mark + 300)
    assert row.blocked_until is not None
    account = Account.objects.select_related("provider").get()
    assert limits.usage(account, now=now).refused[0].kind == Kind.REQUESTS
    assert limits.forecast(account, now=now).mark < before.mark + 300


def test_a_short_refusal_is_waited_for(provider):
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        stops._stops.clear()

    stops.stop(rows.shared_owner(provider), pacing.PATIENCE)
    pacing.Pace(rows.shared_owner(provider), None, sleep=sleep)("order")
    assert [pacing.PATIENCE / 2 < seconds <= pacing.PATIENCE for seconds in slept] == [True]


def test_a_database_clock_that_was_set_back_stops_nobody_for_longer_than_a_window(provider):
    now = datetime.now(UTC).timestamp()
    Bucket.objects.create(
        owner=rows.shared_owner(provider), kind="requests", mark=now + 3600,
        entries=[[now + 3600, 16]], used=16,
    )  # fmt: skip
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(seconds)

    pacing.Pace(rows.shared_owner(provider), LIMIT, sleep=sleep)("order")
    assert 0 < sum(slept) <= LIMIT.span + 1


def test_a_block_is_never_drawn_inside_a_transaction(provider):
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        new_pace(provider)("order")
