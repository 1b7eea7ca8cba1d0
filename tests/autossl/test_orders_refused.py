"""What a CA refuses of an order: which names it blames, and what that says of the others and of its limits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from autossl_panel import ca
from autossl_panel.autossl import ledger, limits
from autossl_panel.autossl.models import Order
from autossl_panel.autossl.orders import State
from autossl_panel.ca import ProblemKind
from tests.autossl.order_parts import (
    NAMES,
    Ca,
    _authorization,
    advance,
    problem,
    state,
)


@pytest.mark.parametrize("kind", [ProblemKind.CAA, ProblemKind.REJECTED_IDENTIFIER, ProblemKind.DNS])
def test_a_refused_new_order_blames_the_names_it_names(order: Order, kind: ProblemKind) -> None:
    part = ca.SubProblem(NAMES[1], "urn:ietf:params:acme:error:caa", "forbidden", ProblemKind.CAA)
    found = advance(order, Ca(new_order=problem(kind, subproblems=(part,))))
    assert found.state == State.REFUSED
    assert list(found.refused) == [NAMES[1]]
    assert found.refused[NAMES[1]].detail == "forbidden"
    assert order.closed_as == "refused"


@pytest.mark.parametrize("answer", ["names", "taken"])
def test_a_refusal_of_names_does_not_say_that_a_limit_is_over(order: Order, answer: str) -> None:
    """A CA may look at the names first."""
    now = datetime.now(UTC)
    limit = ca.CaProblem(ProblemKind.RATE, type="", detail="No.", status=429, retry_after=now + timedelta(60))
    limits.heard(order.provider, limit, ledger.Asked.NEW_ORDER, now=now, account=order.account, names=NAMES)
    wish = ledger.order(ledger.OrderKind.NEW, NAMES, probe=True)
    found_out = limits.take(order.account, wish, now=now)
    assert isinstance(found_out, limits.Permit)
    order.permit = found_out.as_json()
    order.save()
    said = state("pending") if answer == "taken" else problem(ProblemKind.REJECTED_IDENTIFIER)
    client = Ca(new_order=said, authorization=problem(ProblemKind.SERVER))
    assert advance(order, client, permitted=True).state == (State.TROUBLE if answer == "taken" else State.REFUSED)
    others = ledger.order(ledger.OrderKind.NEW, ["other.example"])
    held = limits.look(order.account, others, now=now + timedelta(seconds=1))
    assert (held is None) == (answer == "taken")


def test_whoever_finds_out_and_hears_of_its_names_only_holds_the_others_for_two_minutes(order: Order) -> None:
    now = datetime.now(UTC)
    limit = ca.CaProblem(ProblemKind.RATE, type="", detail="No.", status=429, retry_after=now)
    limits.heard(order.provider, limit, ledger.Asked.NEW_ORDER, now=now, account=order.account, names=NAMES)
    found_out = limits.take(order.account, ledger.order(ledger.OrderKind.NEW, NAMES), now=now + timedelta(hours=2))
    assert isinstance(found_out, limits.Permit)
    order.permit = found_out.as_json()
    order.save()
    found = advance(order, Ca(new_order=problem(ProblemKind.REJECTED_IDENTIFIER)), permitted=True)
    assert found.state == State.REFUSED
    others = ledger.order(ledger.OrderKind.NEW, ["other.example"])
    held = limits.look(order.account, others, now=now + timedelta(hours=2, seconds=1))
    assert held is not None
    assert held.until is not None
    assert held.until <= now + timedelta(hours=2, seconds=121)
    assert isinstance(limits.take(order.account, others, now=now + timedelta(hours=2, seconds=121)), limits.Permit)


FORBIDDEN = "The ACME server refuses to issue a certificate for this domain name, because it is forbidden by policy"


CAA_WORDS = "While processing CAA for {}: CAA record for amber.example prevents issuance"


def told(kind: ProblemKind, detail: str, *parts: ca.SubProblem) -> ca.CaProblem:
    return ca.CaProblem(kind, type=f"urn:ietf:params:acme:error:{kind}", detail=detail, status=403, subproblems=parts)


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_new_order_without_parts_blames_the_name_in_its_words(order: Order, name: str) -> None:
    """Boulder sends no subproblems where it refuses just one name."""
    said = told(ProblemKind.REJECTED_IDENTIFIER, f'Error creating new order :: Cannot issue for "{name}": {FORBIDDEN}')
    found = advance(order, Ca(new_order=said))
    assert (found.state, dict(found.refused)) == (State.REFUSED, {name: said})
    assert order.closed_as == "refused"


@pytest.mark.parametrize("detail", ["Not these names.", 'Cannot issue for "other.example": no', 'Look at "policy"'])
def test_a_refused_new_order_that_names_none_of_ours_blames_all(order: Order, detail: str) -> None:
    found = advance(order, Ca(new_order=told(ProblemKind.REJECTED_IDENTIFIER, detail)))
    assert list(found.refused) == list(NAMES)


CAA_PART = ca.SubProblem(NAMES[1], "urn:ietf:params:acme:error:caa", "forbidden", ProblemKind.CAA)


@pytest.mark.parametrize(
    ("said", "refused"),
    [
        (told(ProblemKind.CAA, f"Error finalizing order :: {CAA_WORDS.format(NAMES[1])}"), [NAMES[1]]),
        (told(ProblemKind.CAA, f"Error finalizing order :: {CAA_WORDS.format(NAMES[0])}"), [NAMES[0]]),
        (told(ProblemKind.CAA, "Rechecking CAA for several identifiers failed", CAA_PART), [NAMES[1]]),
        (told(ProblemKind.CAA, "CAA record for www.amber.example prevents issuance"), [NAMES[1]]),
        (told(ProblemKind.CAA, "CAA record for amber.example prevents issuance"), list(NAMES)),
        (told(ProblemKind.CAA, "It is forbidden."), list(NAMES)),
        (told(ProblemKind.UNAUTHORIZED, "See the parts", CAA_PART), [NAMES[1]]),
    ],
)
def test_names_that_are_refused_at_finalize_are_told_apart(
    order: Order, said: ca.CaProblem, refused: list[str]
) -> None:
    """What CAA says is looked at once more there, by Boulder with and without parts."""
    found = advance(order, Ca(new_order=state("ready"), finalize=said))
    assert (found.state, sorted(found.refused)) == (State.REFUSED, sorted(refused))
    assert order.closed_as == "refused"


def test_an_order_that_is_no_longer_ours_blames_no_name(order: Order) -> None:
    said = told(ProblemKind.UNAUTHORIZED, 'authorizations for "amber.example" not found')
    found = advance(order, Ca(new_order=state("ready"), finalize=said))
    assert (found.state, dict(found.refused), order.closed_as) == (State.LOST, {}, "given_up")


def test_an_order_that_became_invalid_with_every_name_proven_says_itself_which_is_refused(order: Order) -> None:
    said = told(ProblemKind.CAA, CAA_WORDS.format(NAMES[1]))
    client = Ca(
        new_order=state("ready"),
        finalize=state("invalid", problem=said),
        authorization=_authorization("", "valid"),
        order=state("invalid", problem=said),
    )
    found = advance(order, client)
    assert (found.state, list(found.refused), order.closed_as) == (State.REFUSED, [NAMES[1]], "refused")
