"""The same worlds over real rows, one step at a time and by many threads; again on PostgreSQL in test_on_postgresql."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import Limit, OrderKind, Wish, order
from autossl_panel.autossl.limits import Permit, Wait
from autossl_panel.autossl.models import Account, Bucket, Provider
from autossl_panel.simulation.oracle import Authority, Counted, Gcra, Meter, Refusal, Sliding
from tests.autossl.ledger_world import DAY, HOUR, PUBLISHED, Machine, Store, Told
from tests.autossl.limits_rows import again

pytestmark = pytest.mark.django_db(transaction=True)
STAMP = ("ledger_stamp", "ledger_count", "ledger_spent_at", "ledger_lost")


class Dies(Exception):
    """A process ends in the middle of a transaction."""


class Rows:
    """The ledger in the database, with its stamp beside the account keys."""

    def __init__(self, provider: Provider, published: list[Limit]) -> None:
        Bucket.objects.all().delete()
        for path in (limits.stamps.path_of(Account.objects.get(provider=provider)),):
            path.unlink(missing_ok=True)
        provider.limits = [
            {
                "kind": one.kind,
                "number": one.number,
                "seconds": one.seconds,
                "continuous": one.continuous,
                "at_order": one.at_order,
            }
            for one in published
        ]
        provider.save(update_fields=["limits"])
        Account.objects.update(ledger_stamp="", ledger_count=0, ledger_spent_at=None, ledger_lost=None)
        self.pk = Account.objects.get(provider=provider).pk
        self.back_up()

    def _account(self) -> Account:
        return Account.objects.select_related("provider").get(pk=self.pk)

    def take(self, wish: Wish, now: float, *, commit: bool = True) -> Permit | Told:
        try:
            with transaction.atomic():
                answer = limits.take(self._account(), wish, now=_moment(now))
                if not commit:
                    raise Dies
        except Dies:
            pass
        return _told(answer)

    def keep(self, permit: Permit, now: float) -> Permit | Told:
        return _told(limits.keep(self._account(), permit, now=_moment(now)))

    def settle(
        self, permit: Permit, now: float, *, proven: Collection[str], failed: Collection[str], issued: bool
    ) -> None:
        limits.settle(self._account(), permit, now=_moment(now), proven=proven, failed=failed, issued=issued)

    def lose(self, permit: Permit) -> None:
        limits.give_back(self._account(), permit, sent=True)

    def back_up(self) -> None:
        account = self._account()
        self.fields = {name: getattr(account, name) for name in STAMP}
        self.rows = list(Bucket.objects.values())

    def restore(self, now: float, *, exactly: bool) -> bool:
        account = self._account()
        if account.ledger_count == self.fields["ledger_count"] or not self.fields["ledger_stamp"]:
            return False
        Bucket.objects.all().delete()
        Bucket.objects.bulk_create(Bucket(**row) for row in self.rows)
        Account.objects.filter(pk=self.pk).update(**self.fields)
        if not exactly:
            limits.stamps.path_of(account).unlink()
        return True


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _told(answer: Permit | Wait) -> Permit | Told:
    if isinstance(answer, Permit):
        return answer
    return Told(answer.kind, answer.until.timestamp() if answer.until else None, answer.used)


@pytest.mark.parametrize(
    ("meter", "counted", "published"),
    [(Sliding, Counted.ISSUED, "small"), (Gcra, Counted.ORDERED, "small"), (Sliding, Counted.ORDERED, "one")],
)
def test_no_refusal_ever(
    provider: Provider, tmp_path: Path, settings: Any, meter: Callable[[int, float], Meter], counted: Counted,
    published: str,
) -> None:  # fmt: skip
    settings.AUTOSSL_STATE_DIR = tmp_path

    class OverRows(Machine):
        def store_of(self, limits: list[Limit]) -> Store:
            return Rows(provider, limits)

        @rule(step=st.sampled_from([0, 3 * HOUR, 8 * DAY, -HOUR]))
        def forget(self, step: float) -> None:
            """A sweep, by a host's clock that may be set wrong; no worker goes by it."""
            limits.prune(now=_moment(self.world.now + step))

    OverRows.meter, OverRows.counted, OverRows.published = meter, counted, PUBLISHED[published]
    run_state_machine_as_test(OverRows, settings=_few())


def _few() -> settings:
    return settings(
        max_examples=4, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )


# --- many at once ----------------------------------------------------------------------------------------------------

THREADS = 6
EACH = 30


@pytest.mark.parametrize("meter", [Sliding, Gcra])
def test_of_many_workers_none_is_refused(
    provider: Provider, tmp_path: Path, settings: Any, meter: Callable[[int, float], Meter]
) -> None:
    """Threads order over the same domains at once; some die within their transaction, some are never heard of."""
    settings.AUTOSSL_STATE_DIR = tmp_path
    published = {"orders": (40, 600), "domain": (9, 1200), "set": (4, 1200), "failures": (5, 600)}
    Rows(provider, [Limit(kind, *figures, meter is Gcra) for kind, figures in published.items()])  # type: ignore[arg-type]
    account = again(Account.objects.get(provider=provider))
    ca = Authority(published, meter=meter, counted=Counted.ORDERED)
    world, problems, granted = threading.Lock(), [], itertools.count()
    clock = itertools.count(0, 0.05)
    rounds = threading.Barrier(THREADS)

    def true_time() -> float:
        return 1.8e9 + next(clock) + turns[0] * 60.0

    turns = [0]

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            for turn in range(EACH):
                # A minute passes while no request is under way.
                if rounds.wait(60) == 0:
                    turns[0] = turn
                rounds.wait(60)
                names = (f"s{chance.randrange(3)}.d{chance.randrange(4)}.com", f"d{chance.randrange(4)}.com")
                with world:
                    now = true_time() - chance.random()
                try:
                    with transaction.atomic():
                        answer = limits.take(account, order(OrderKind.NEW, names), now=_moment(now))
                        if turn % 7 == 3:
                            raise Dies
                except Dies:
                    continue
                if isinstance(answer, Wait):
                    continue
                next(granted)
                with world:
                    at = true_time()
                    placed = ca.new_order("acct", names, at)
                    assert not isinstance(placed, Refusal), placed
                if turn % 3:
                    limits.settle(account, answer, now=_moment(at), issued=True)
        except Exception as problem:  # noqa: BLE001 - the test shows it
            problems.append(problem)
            rounds.abort()
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert ca.refusals == []
    number = next(granted)
    assert number > 20, "and it is not for want of asking"
    assert again(account).ledger_count == number
    assert f'"count": {number}' in limits.stamps.path_of(account).read_text()
