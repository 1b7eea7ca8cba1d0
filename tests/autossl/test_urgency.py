"""How long an order may wait for a limit: until its turn, but never past a moment that changes what is needed."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from autossl_panel.autossl import urgency
from tests.autossl.policy_facts import DAY, NOW, PROVIDER, installed, site


@pytest.mark.parametrize(
    ("facts", "turn", "again"),
    [
        ({}, 20 * DAY, 20 * DAY),
        ({}, 40 * DAY, 30 * DAY),  # due a third of the lifetime before the end, that is in thirty days
        ({"renewal_at": NOW + 7 * DAY}, 20 * DAY, 7 * DAY),  # what the CA hints is due then
        ({"renewal_at": NOW + 7 * DAY}, 5 * DAY, 5 * DAY),
        ({"renewal_at": NOW - 7 * DAY}, 40 * DAY, 40 * DAY),  # due already, and waits all the same
        ({"age": 70 * DAY}, 40 * DAY, None),  # due already: not into the last days, whoever's turn it is
        ({"ours": False}, 40 * DAY, 40 * DAY),  # another's is not ours to renew
    ],
)
def test_a_turn_ends_where_something_else_begins(
    facts: dict[str, object], turn: timedelta, again: timedelta | None
) -> None:
    found = site(installed=installed(**facts))  # type: ignore[arg-type]
    assert found.installed is not None
    latest: datetime = found.installed.defer_until if again is None else NOW + again
    assert urgency.latest(found, PROVIDER, NOW + turn, NOW) == latest
    assert latest > NOW


def test_who_has_no_certificate_waits_for_the_turn() -> None:
    assert urgency.latest(site(installed=None), PROVIDER, NOW + 40 * DAY, NOW) == NOW + 40 * DAY
