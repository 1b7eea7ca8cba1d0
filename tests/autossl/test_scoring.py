"""The score of a provider: each row of its table, and that it is always a number out of 100."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autossl_panel.autossl.scoring import POINTS, Criterion, Needs, Offer, days_to_move, score

NEEDS = Needs(sites=400, wildcards=0)
BEST = Offer(over=0, orders_a_day=inf, seconds=2.1, ari=True, placed=1200, bound=True, wildcard=True)
ROWS: list[tuple[str, Offer, Needs, Criterion, int]] = [
    ("names-all-fit", BEST, NEEDS, Criterion.NAMES, 30),
    ("names-one-of-four-hundred-is-seen", replace(BEST, over=1), NEEDS, Criterion.NAMES, 29),
    ("names-a-quarter-counts-twice", replace(BEST, over=100), NEEDS, Criterion.NAMES, 15),
    ("names-half-is-nothing", replace(BEST, over=200), NEEDS, Criterion.NAMES, 0),
    ("names-more-than-half", replace(BEST, over=400), NEEDS, Criterion.NAMES, 0),
    ("names-not-public-count-alike", replace(BEST, private=100), NEEDS, Criterion.NAMES, 15),
    ("names-the-larger-number-counts", replace(BEST, over=40, private=100), NEEDS, Criterion.NAMES, 15),
    ("names-no-sites-yet", BEST, Needs(0, 0), Criterion.NAMES, 30),
    ("limits-none", BEST, NEEDS, Criterion.LIMITS, 20),
    ("limits-within-a-day", replace(BEST, orders_a_day=400.0), NEEDS, Criterion.LIMITS, 20),
    ("limits-a-fortnight", replace(BEST, orders_a_day=400 / 15.5), NEEDS, Criterion.LIMITS, 10),
    ("limits-a-month", replace(BEST, orders_a_day=400 / 30), NEEDS, Criterion.LIMITS, 0),
    ("limits-never", replace(BEST, orders_a_day=0.0), NEEDS, Criterion.LIMITS, 0),
    ("limits-unknown", replace(BEST, orders_a_day=None), NEEDS, Criterion.LIMITS, 10),
    ("limits-no-sites-yet", replace(BEST, orders_a_day=1.0), Needs(0, 0), Criterion.LIMITS, 20),
    ("delivery-ten-seconds", replace(BEST, seconds=10.0), NEEDS, Criterion.DELIVERY, 15),
    ("delivery-a-minute", replace(BEST, seconds=60.0), NEEDS, Criterion.DELIVERY, 12),
    ("delivery-minutes", replace(BEST, seconds=250.0), NEEDS, Criterion.DELIVERY, 7),
    ("delivery-an-hour", replace(BEST, seconds=3600.0), NEEDS, Criterion.DELIVERY, 3),
    ("delivery-longer", replace(BEST, seconds=3601.0), NEEDS, Criterion.DELIVERY, 0),
    ("delivery-measured-before-stated", replace(BEST, seconds=3601.0, says="seconds"), NEEDS, Criterion.DELIVERY, 0),
    ("delivery-stated", replace(BEST, seconds=None, says="minutes"), NEEDS, Criterion.DELIVERY, 7),
    ("delivery-unknown", replace(BEST, seconds=None), NEEDS, Criterion.DELIVERY, 7),
    ("renewal-hints", BEST, NEEDS, Criterion.RENEWAL, 15),
    ("renewal-no-hints", replace(BEST, ari=False), NEEDS, Criterion.RENEWAL, 0),
    ("renewal-not-contacted", replace(BEST, ari=None), NEEDS, Criterion.RENEWAL, 7),
    ("outages-none", BEST, NEEDS, Criterion.OUTAGES, 10),
    ("outages-one-in-twenty", replace(BEST, failed=60), NEEDS, Criterion.OUTAGES, 5),
    ("outages-one-in-ten", replace(BEST, failed=120), NEEDS, Criterion.OUTAGES, 0),
    ("outages-now", replace(BEST, down=True), NEEDS, Criterion.OUTAGES, 0),
    ("outages-no-order-yet", replace(BEST, placed=0), NEEDS, Criterion.OUTAGES, 5),
    ("binding-not-needed", BEST, NEEDS, Criterion.BINDING, 5),
    ("binding-needed", replace(BEST, bound=False), NEEDS, Criterion.BINDING, 0),
    ("binding-unknown", replace(BEST, bound=None), NEEDS, Criterion.BINDING, 2),
    ("wildcards-had-and-issued", BEST, Needs(400, 3), Criterion.WILDCARDS, 5),
    ("wildcards-had-not-issued", replace(BEST, wildcard=False), Needs(400, 3), Criterion.WILDCARDS, 0),
    ("wildcards-not-had", replace(BEST, wildcard=False), NEEDS, Criterion.WILDCARDS, 5),
    ("wildcards-unknown", replace(BEST, wildcard=None), Needs(400, 3), Criterion.WILDCARDS, 2),
]  # fmt: skip


@pytest.mark.parametrize(("offer", "needs", "of", "points"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_points(offer: Offer, needs: Needs, of: Criterion, points: int) -> None:
    parts = {part.criterion: part for part in score(offer, needs).parts}
    assert parts[of].points == points
    assert parts[of].of == POINTS[of]


def test_every_criterion_has_rows_and_all_of_them_make_a_hundred() -> None:
    assert {row[3] for row in ROWS} == set(Criterion)
    assert sum(POINTS.values()) == 100
    assert score(BEST, NEEDS).points == 100


def test_what_is_not_known_is_said() -> None:
    found = score(Offer(over=0), Needs(10, 1))
    assert {part.criterion for part in found.parts if not part.known} == set(Criterion) - {Criterion.NAMES}
    assert found.points == 30 + 10 + 7 + 7 + 5 + 2 + 2


def test_days_to_move() -> None:
    assert days_to_move(replace(BEST, orders_a_day=200.0), NEEDS) == 2
    assert days_to_move(BEST, NEEDS) == 0
    assert days_to_move(replace(BEST, orders_a_day=None), NEEDS) is None


maybe = st.none() | st.booleans()


@given(
    st.builds(
        Offer,
        over=st.integers(0, 10**6),
        orders_a_day=st.none() | st.floats(0, allow_nan=False),
        seconds=st.none() | st.floats(0, 10**7),
        says=st.sampled_from(["", "seconds", "minutes", "hours", "whatever"]),
        ari=maybe,
        failed=st.integers(0, 10**5),
        placed=st.integers(0, 10**5),
        down=st.booleans(),
        bound=maybe,
        wildcard=maybe,
    ),
    st.builds(Needs, st.integers(0, 10**6), st.integers(0, 10**6)),
)
def test_it_is_out_of_a_hundred_and_losing_names_never_pays(offer: Offer, needs: Needs) -> None:
    found = score(offer, needs)
    assert all(0 <= part.points <= part.of for part in found.parts)
    assert 0 <= found.points <= 100
    assert score(replace(offer, over=offer.over + 1), needs).points <= found.points
