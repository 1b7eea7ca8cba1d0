"""What each answer of the CA makes of an order. The good ways are walked with a real CA in test_working_through."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from autossl_panel.autossl import orders
from autossl_panel.autossl.models import Order
from autossl_panel.autossl.orders import State, Tools
from autossl_panel.ca import ProblemKind
from autossl_panel.helper.client import HelperGone, HelperProblem
from tests.autossl.order_parts import (
    NAMES,
    URL,
    Ca,
    Helper,
    Saves,
    _authorization,
    _chain,
    advance,
    problem,
    state,
)

pytestmark = pytest.mark.django_db


def test_the_url_is_saved_before_anything_else_is_asked(order: Order) -> None:
    client = Ca(new_order=state("pending"), authorization=problem(ProblemKind.UNREACHABLE))
    found = advance(order, client)
    assert client.asked == ["new_order", "authorization"]
    assert (order.url, order.status, order.closed_at) == (URL, "pending", None)
    assert found.state == State.TROUBLE


def test_an_order_with_a_url_is_never_placed_again(order: Order) -> None:
    order.url = URL
    order.save()
    client = Ca(order=state("processing"), poll=state("processing", retry_after=timezone.now() + timedelta(hours=1)))
    found = advance(order, client)
    assert "new_order" not in client.asked
    assert found.state == State.WAITS
    assert found.until is not None
    assert found.until > timezone.now() + timedelta(minutes=59)
    assert (order.status, order.retry_at, order.closed_at) == ("processing", found.until, None)


def test_the_answers_to_challenges_are_in_place_before_the_ca_is_told_and_gone_afterwards(order: Order) -> None:
    helper = Helper()
    client = Ca(
        new_order=state("pending"),
        authorization=_authorization("", "pending"),
        answer=None,
        poll=state("ready"),
        finalize=problem(ProblemKind.SERVER),
    )
    found = advance(order, client, helper)
    assert client.asked == ["new_order", "authorization", "authorization", "answer", "answer", "poll", "finalize"]
    assert len(helper.put) == 2
    assert set(helper.deleted) == set(helper.put)
    assert (found.state, order.status, order.closed_at) == (State.TROUBLE, "ready", None)


def test_names_that_fail_are_told_apart_and_end_the_order(order: Order) -> None:
    trouble = problem(ProblemKind.UNAUTHORIZED)
    client = Ca(
        new_order=state("pending"),
        authorization=[
            _authorization("", "pending"),
            _authorization("", "pending"),
            _authorization(NAMES[0], "valid"),
            _authorization(NAMES[1], "invalid", trouble),
        ],
        answer=None,
        poll=state("invalid"),
    )
    found = advance(order, client)
    assert (found.state, dict(found.refused)) == (State.REFUSED, {NAMES[1]: trouble})
    assert order.closed_as == "refused"


@pytest.mark.parametrize("kind", [ProblemKind.ORDER, ProblemKind.MALFORMED])
def test_an_order_that_the_ca_forgot_is_given_up(order: Order, kind: ProblemKind) -> None:
    order.url = URL
    order.save()
    found = advance(order, Ca(order=problem(kind, status=404)))
    assert (found.state, order.closed_as) == (State.LOST, "given_up")


@pytest.mark.parametrize(
    "kind", [ProblemKind.SERVER, ProblemKind.UNREACHABLE, ProblemKind.RATE, ProblemKind.ACCOUNT, ProblemKind.BAD_NONCE]
)
def test_trouble_before_the_ca_knows_the_order_leaves_no_open_order(order: Order, kind: ProblemKind) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=2)
    found = advance(order, Ca(new_order=problem(kind, retry_after=until)))
    assert (found.state, found.until) == (State.TROUBLE, until)
    assert order.closed_as == "given_up"


@pytest.mark.parametrize("kind", [ProblemKind.SERVER, ProblemKind.UNREACHABLE, ProblemKind.RATE])
def test_trouble_later_leaves_the_order_open_to_be_resumed(order: Order, kind: ProblemKind) -> None:
    order.url = URL
    order.save()
    found = advance(order, Ca(order=problem(kind)))
    assert (found.state, order.closed_at) == (State.TROUBLE, None)


def test_an_order_that_is_not_through_after_a_day_is_given_up(order: Order) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(hours=25))
    order.refresh_from_db()
    found = advance(order, Ca(order=state("processing"), poll=state("processing")))
    assert (found.state, found.code, order.closed_as) == (State.LOST, "order_stuck", "given_up")


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_with_another_provider_at_hand_an_hour_is_enough(order: Order, status: str) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(minutes=61))
    order.refresh_from_db()
    client = Ca(order=state(status), poll=state(status), authorization=_authorization("", "pending"), answer=None)
    assert advance(order, client).state == State.WAITS
    found = advance(order, client, another=True)
    assert (found.state, found.code, order.closed_as) == (State.LOST, "order_stuck", "given_up")


def test_the_hour_counts_from_when_the_signature_was_asked_for(order: Order) -> None:
    now = timezone.now()
    Order.objects.update(url=URL, created_at=now - timedelta(hours=3), finalized_at=now - timedelta(minutes=30))
    order.refresh_from_db()
    found = advance(order, Ca(order=state("processing"), poll=state("processing")), another=True)
    assert found.state == State.WAITS
    assert order.finalized_at == now - timedelta(minutes=30)


def test_a_ca_that_says_tomorrow_is_looked_at_again_when_its_time_is_over(order: Order) -> None:
    now = timezone.now()
    Order.objects.update(url=URL, created_at=now - timedelta(minutes=20))
    order.refresh_from_db()
    client = Ca(order=state("processing"), poll=state("processing", retry_after=now + timedelta(days=1)))
    found = advance(order, client, another=True)
    assert found.until == now + timedelta(minutes=40)
    assert order.retry_at == found.until


def test_trouble_for_an_hour_ends_an_order_where_another_provider_is_at_hand(order: Order) -> None:
    Order.objects.update(url=URL, created_at=timezone.now() - timedelta(minutes=61))
    order.refresh_from_db()
    assert advance(order, Ca(order=problem(ProblemKind.SERVER))).state == State.TROUBLE
    assert order.closed_at is None
    advance(order, Ca(order=problem(ProblemKind.SERVER)), another=True)
    assert order.closed_as == "given_up"


def test_a_csr_that_was_handed_in_before_is_not_an_error(order: Order) -> None:
    client = Ca(
        new_order=state("ready"),
        finalize=problem(ProblemKind.ORDER),
        order=state("processing"),
        poll=state("processing"),
    )
    assert advance(order, client).state == State.WAITS
    assert client.asked == ["new_order", "finalize", "order", "poll"]


def test_a_lost_answer_to_the_csr_is_looked_up(order: Order) -> None:
    client = Ca(
        new_order=state("ready"),
        finalize=problem(ProblemKind.UNREACHABLE),
        order=state("valid"),
        download=b"junk",
    )
    found = advance(order, client)
    assert (found.state, found.code, order.closed_as) == (State.UNWANTED, "unreadable", "refused")


def test_a_certificate_for_another_key_is_never_staged(order: Order) -> None:
    other = _chain(NAMES)
    found = advance(order, Ca(new_order=state("valid"), download=other))
    assert (found.state, found.code) == (State.UNWANTED, "other_key")
    assert (order.closed_as, order.staged_at, order.certificate) == ("refused", None, None)


def test_a_helper_that_stays_away_is_trouble_and_loses_nothing(order: Order) -> None:
    helper = Helper()
    helper.problem = HelperGone("it is away")
    tools = Tools(
        Ca(new_order=state("ready")),  # type: ignore[arg-type]
        helper,  # type: ignore[arg-type]
        Saves(),
        _after(3),
        None,
    )
    found = orders.advance(order, tools)
    order.refresh_from_db()
    assert (found.state, found.code, order.closed_at) == (State.TROUBLE, "helper_gone", None)


def _after(number: int) -> Callable[[], bool]:
    """True from the `number`-th time it is asked."""
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked >= number

    return stop


def test_a_helper_that_lost_the_order_ends_it(order: Order) -> None:
    helper = Helper()
    helper.problem = HelperProblem("conflict", "made for other names")
    found = advance(order, Ca(new_order=state("ready")), helper)
    assert (found.state, order.closed_as) == (State.UNWANTED, "refused")


def test_told_to_stop_it_stops_between_two_steps(order: Order) -> None:
    client = Ca(new_order=state("pending"), authorization=_authorization("", "valid"), answer=None, poll=state("ready"))
    found = advance(order, client, stop=True)
    assert (found.state, order.status, order.closed_at) == (State.STOPPED, "ready", None)
    assert "finalize" not in client.asked


@pytest.mark.parametrize("stop", [True, False])
def test_answers_stay_in_place_while_the_ca_may_still_look_at_them(order: Order, stop: bool) -> None:
    helper = Helper()
    client = Ca(
        new_order=state("pending"), authorization=_authorization("", "pending"), answer=None, poll=state("pending")
    )
    found = advance(order, client, helper, stop=stop)
    assert found.state == (State.STOPPED if stop else State.WAITS)
    assert len(helper.put) == 2
    assert helper.deleted == []


def test_what_is_staged_asks_nobody(order: Order) -> None:
    order.staged_at = timezone.now()
    order.save()
    client = Ca()
    assert advance(order, client).state == State.STAGED
    assert client.asked == []
