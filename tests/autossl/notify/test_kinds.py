"""Levels by kinds, whole: who is told what."""

import pytest

from autossl_panel.autossl.models import Kind, NotifyLevel
from autossl_panel.autossl.notify.kinds import NATURES, SITE_STATES, Audience, wanted

# kind: administrator at (all, warnings, failures, none), users at the same
YES, NO = True, False
TABLE = {
    "secured": ((YES, NO, NO, NO), (YES, NO, NO, NO)),
    "renewed": ((YES, NO, NO, NO), (YES, NO, NO, NO)),
    "deferred": ((YES, YES, NO, NO), (YES, YES, NO, NO)),
    "reduced": ((YES, YES, NO, NO), (YES, YES, NO, NO)),
    "uncovered": ((YES, YES, NO, NO), (YES, YES, NO, NO)),
    "foreign": ((YES, YES, NO, NO), (YES, YES, NO, NO)),
    "unsecured": ((YES, YES, YES, NO), (YES, YES, YES, NO)),
    "expiring": ((YES, YES, YES, NO), (YES, YES, YES, NO)),
    "expired": ((YES, YES, YES, NO), (YES, YES, YES, NO)),
    "install": ((YES, YES, YES, NO), (YES, YES, YES, NO)),
    "revoked": ((YES, YES, YES, NO), (YES, YES, YES, NO)),
    "provider": ((YES, YES, YES, NO), (NO, NO, NO, NO)),
    "run": ((YES, YES, YES, NO), (NO, NO, NO, NO)),
    "server": ((YES, YES, YES, NO), (NO, NO, NO, NO)),
}
LEVELS = ("all", "warnings", "failures", "none")


def test_the_table_names_every_kind_and_level():
    assert set(TABLE) == set(Kind.values) == set(NATURES)
    assert set(LEVELS) == set(NotifyLevel.values)


@pytest.mark.parametrize("kind", TABLE)
def test_who_is_told(kind):
    admin, users = TABLE[kind]
    assert tuple(wanted(Kind(kind), level, Audience.ADMIN) for level in LEVELS) == admin
    for audience in (Audience.USER, Audience.RESELLER):
        assert tuple(wanted(Kind(kind), level, audience) for level in LEVELS) == users


def test_the_states_of_a_site_from_the_worst_on():
    assert [str(kind) for kind in SITE_STATES] == [
        "expired", "expiring", "unsecured", "install", "deferred", "foreign", "uncovered",
    ]  # fmt: skip


def test_no_two_kinds_have_the_same_rank():
    assert len({nature.rank for nature in NATURES.values()}) == len(NATURES)
