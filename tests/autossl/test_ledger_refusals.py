"""What a CA's refusal holds, who finds out whether it still does, and what the others hear of that."""

from __future__ import annotations

import pytest

from autossl_panel.autossl.ledger import (
    ANSWERED,
    APART,
    FOREVER,
    REMEMBERED,
    Block,
    Granted,
    Kind,
    Ledger,
    OrderKind,
    Wait,
    digest,
    order,
    registration,
)
from tests.autossl.test_ledger import HOUR, LETS_ENCRYPT, NOW


@pytest.mark.parametrize(
    ("kind", "subject", "free"),
    [
        (Kind.ORDERS, "", {OrderKind.SAME_SET, OrderKind.ARI, OrderKind.ARI_CHANGED}),
        (Kind.DOMAIN, "a.com", {OrderKind.SAME_SET, OrderKind.ARI, OrderKind.ARI_CHANGED}),
        (Kind.SET, digest(["a.com"]), {OrderKind.ARI, OrderKind.ARI_CHANGED}),
        (Kind.FAILURES, "a.com", {OrderKind.ARI, OrderKind.ARI_CHANGED}),
        (Kind.CONSECUTIVE, "a.com", set()),
        (Kind.ACCOUNT, "", set()),
        (Kind.REQUESTS, "", set()),
        (Kind.REGISTRATIONS, "", set(OrderKind)),
        (Kind.DOMAIN, "b.com", set(OrderKind)),
        (Kind.CONSECUTIVE, "b.com", set(OrderKind)),
    ],
)
def test_whom_a_refusal_holds(kind: Kind, subject: str, free: set[OrderKind]) -> None:
    for limits in (LETS_ENCRYPT, []):
        ledger = Ledger(limits)
        ledger.block(kind, subject, Block(NOW + 60, "said"))
        for asked in OrderKind:
            answer = ledger.fork().ask(order(asked, ["a.com"]), NOW)
            assert isinstance(answer, Granted) == (asked in free)
            if isinstance(answer, Wait):
                assert (answer.until, answer.detail) == (NOW + 60, "said")
            assert isinstance(ledger.fork().ask(order(asked, ["a.com"]), NOW + 60), Granted)
    assert isinstance(ledger.ask(registration(), NOW), Granted) == (kind not in (Kind.REQUESTS, Kind.REGISTRATIONS))


def test_a_probe_heeds_pauses_and_counts() -> None:
    for kind, subject in ((Kind.ORDERS, ""), (Kind.DOMAIN, "a.com"), (Kind.ACCOUNT, ""), (Kind.REQUESTS, "")):
        ledger = Ledger(LETS_ENCRYPT)
        ledger.block(kind, subject, Block(NOW + 60))
        assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW), Wait)
        assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"], probe=True), NOW), Granted)
    ledger = Ledger(LETS_ENCRYPT)
    ledger.books[Kind.SET].logs[digest(["a.com"])] = [NOW] * 4
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["a.com"], probe=True), NOW), Wait)
    ledger.block(Kind.CONSECUTIVE, "b.com", Block(FOREVER))
    assert isinstance(ledger.ask(order(OrderKind.ARI, ["b.com"], probe=True), NOW), Wait)


REFUSED = [(Kind.ORDERS, ""), (Kind.DOMAIN, "a.com"), (Kind.ACCOUNT, ""), (Kind.REQUESTS, "")]


@pytest.mark.parametrize(("kind", "subject"), REFUSED)
def test_of_those_who_find_out_whether_a_refusal_still_holds_one_asks_in_an_hour(kind: Kind, subject: str) -> None:
    def probe(name: str, now: float) -> Granted | Wait:
        return ledger.ask(order(OrderKind.NEW, [name], probe=True), now)

    ledger, until = Ledger(LETS_ENCRYPT), NOW + 9 * HOUR
    ledger.block(kind, subject, Block(until, "no"))
    first = probe("a.com", NOW)
    assert isinstance(first, Granted)
    held = probe("www.a.com", NOW + 1)
    assert isinstance(held, Wait), "the first has not been answered yet"
    assert (held.until, held.detail, held.asked) == (NOW + ANSWERED, "no", NOW)
    # The CA has said no again, or nothing at all.
    ledger.block(kind, subject, Block(until, "still no"))
    held = probe("www.a.com", NOW + ANSWERED)
    assert isinstance(held, Wait)
    assert (held.until, held.detail) == (until, "still no")
    second = probe("www.a.com", NOW + APART)
    assert isinstance(second, Granted)
    ledger.taken(first)
    assert isinstance(probe("www.a.com", NOW + APART + 1), Wait), "what was taken was another one"
    # The CA has taken it: it refuses no longer, and nobody has to find out any more.
    ledger.taken(second)
    answer = ledger.ask(order(OrderKind.NEW, ["blog.a.com"]), NOW + APART + 2)
    assert isinstance(answer, Granted)
    assert not answer.wish.probe


@pytest.mark.parametrize(("kind", "subject"), REFUSED[:3])
def test_when_a_refusal_ends_one_goes_first_and_the_others_hear_what_it_was_told(kind: Kind, subject: str) -> None:
    def ask(name: str, now: float) -> Granted | Wait:
        return ledger.ask(order(OrderKind.NEW, [name]), now)

    ledger, until = Ledger(LETS_ENCRYPT), NOW + 60
    ledger.block(kind, subject, Block(until, "no"))
    first = ask("a.com", until)
    assert isinstance(first, Granted)
    assert first.wish.probe
    held = ask("www.a.com", until + 1)
    assert isinstance(held, Wait)
    assert (held.until, held.detail) == (until + ANSWERED, "no")
    assert ledger.use(kind, subject, until + 1).block is None, "it is over by the CA's own words"
    for end in ("taken", "refused", "silent"):
        twin = ledger.fork()
        if end == "taken":
            twin.taken(first)
        elif end == "refused":
            twin.block(kind, subject, Block(until + HOUR, "no, no"))
        answer = twin.ask(order(OrderKind.NEW, ["www.a.com"]), until + ANSWERED)
        assert isinstance(answer, Wait) == (end == "refused"), end
    ledger.prune(until + REMEMBERED)
    assert not ledger.books[kind].blocks


@pytest.mark.parametrize(("kind", "subject"), REFUSED)
@pytest.mark.parametrize("hours", [3, 1])
def test_a_refusal_said_after_somebody_was_let_through_stands_whatever_that_one_is_told(
    kind: Kind, subject: str, hours: int
) -> None:
    ledger, until = Ledger(LETS_ENCRYPT), NOW + 2 * HOUR
    ledger.block(kind, subject, Block(until, "no"))
    first = ledger.ask(order(OrderKind.NEW, ["a.com"], probe=True), NOW)
    assert isinstance(first, Granted)
    # Another request was under way.
    ledger.block(kind, subject, Block(NOW + hours * HOUR, "no, no"))
    assert ledger.taken(first) == []
    held = ledger.ask(order(OrderKind.NEW, ["www.a.com"]), NOW + 2)
    assert isinstance(held, Wait)
    assert held.until == max(until, NOW + hours * HOUR)
    second = ledger.ask(order(OrderKind.NEW, ["www.a.com"], probe=True), NOW + APART)
    assert isinstance(second, Granted), "in an hour somebody finds out about this one"
    assert ledger.taken(second) == [(kind, subject)]
    assert isinstance(ledger.ask(order(OrderKind.NEW, ["blog.a.com"]), NOW + APART + 1), Granted)


def test_of_several_reasons_the_longest_wait_is_told() -> None:
    ledger = Ledger(LETS_ENCRYPT)
    ledger.books[Kind.FAILURES].logs["a.com"] = [NOW] * 4
    ledger.books[Kind.SET].logs[digest(["a.com"])] = [NOW] * 4
    answer = ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW)
    assert isinstance(answer, Wait)
    assert answer.kind is Kind.SET
    ledger.block(Kind.CONSECUTIVE, "a.com", Block(FOREVER))
    answer = ledger.ask(order(OrderKind.NEW, ["a.com"]), NOW)
    assert isinstance(answer, Wait)
    assert (answer.kind, answer.until) == (Kind.CONSECUTIVE, None)
