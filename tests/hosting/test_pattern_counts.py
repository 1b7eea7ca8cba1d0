"""Many patterns are counted at once, as one by one, in a number of questions that does not grow."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from autossl_panel import patterns
from autossl_panel.hosting import exclusion_patterns, pattern_counts
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import FeatureList, HostingUser, Server, VirtualHost
from autossl_panel.people.models import Role, User

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
PATTERNS = (
    *("*", "*.*", "www.*", "dev.*", "*.example", "*anna*", "*.anna.example", "d?v.*", "?.example", "anna.example"),
    *("www.anna.example", "a_b.*", "*_b*", "bücher.*", "b*", "*ü*", "xn--*", "xn--bcher-kva.example"),
    *("*.b*.example", "w*", "www.xn--*", "www.bücher.example", "nothing.here"),
)


@pytest.fixture
def anna(make_user: Make, make_site: Make, now: datetime) -> HostingUser:
    """Amy's, on the list starter; a site of hers is gone. Ben is nobody's."""
    user: HostingUser = make_user("anna", owner=User.objects.create(username="amy", role=Role.RESELLER))
    starter = FeatureList.objects.create(name="starter")
    HostingUser.objects.filter(pk=user.pk).update(feature_list=starter)
    user.refresh_from_db()
    ben = make_user("ben")
    make_site(user, "dev.anna.example", "anna.example")
    make_site(user, "xn--bcher-kva.example")
    make_site(user, "a_b.anna.example", "axb.anna.example")
    make_site(ben, "dev.ben.example", "xn--bcher-kva.ben.example", "d.example")
    gone = make_site(user, "dev.gone.example", "xn--bcher-kva.gone.example")
    VirtualHost.objects.filter(pk=gone.pk).update(gone_at=now)
    return user


def levels(server: Server, anna: HostingUser) -> list[Level]:
    return [
        Level(server),
        Level(server, owner=anna.owner),
        Level(server, feature_list=anna.feature_list),
        Level(server, user=anna),
    ]


def wanted(server: Server, anna: HostingUser) -> list[pattern_counts.Wanted]:
    return [(patterns.normalize(pattern), level) for pattern in PATTERNS for level in levels(server, anna)]


def test_each_is_counted_as_it_is_alone(server: Server, anna: HostingUser) -> None:
    found = wanted(server, anna)
    alone = [exclusion_patterns.concerned(*one).names for one in found]
    assert sum(number > 0 for number in alone) > len(alone) / 2, "nearly all of them match something"
    assert pattern_counts.count(found) == alone
    for one, number in zip(found, alone, strict=True):
        assert pattern_counts.count([one]) == [number], one
    assert pattern_counts.count([]) == []


def test_it_asks_four_questions_at_most(
    server: Server, anna: HostingUser, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    found = wanted(server, anna)
    with django_assert_max_num_queries(4):
        pattern_counts.count(found)
