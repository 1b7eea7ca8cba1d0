"""What a pattern costs: sites of which no name is left to ask for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import losses, standing
from autossl_panel.autossl.models import Provider
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import Domain, Exclusion, Server, VirtualHost

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


def test_a_site_is_lost_where_the_pattern_takes_the_last_name_that_is_asked_for(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    anna, off = make_user("anna"), make_user("off", autossl="off")

    def site(user: Any, *names: str, days_left: int = 60) -> VirtualHost:
        made: VirtualHost = make_site(user, *names)
        make_installed(made, names[0], days_left=days_left)
        return made

    site(anna, "dev.a.net", days_left=30)
    site(anna, "dev.b.net", "b.net", days_left=10)
    site(anna, "dev.c.net", "c.net", days_left=20)
    Exclusion.objects.create(user=anna, name="c.net", at=now)
    site(anna, "dev.d.net", "old.d.net", days_left=15)
    exclusion_patterns.add_pattern("old.*", Level(server, user=anna), by=None, now=now)
    www = site(anna, "dev.e.net", days_left=40)
    Domain.objects.create(virtual_host=www, name="www.dev.e.net", added=True, position=9)
    make_site(anna, "dev.nothing-installed.net")
    site(off, "dev.off.net")
    site(anna, "dev.expired.net", days_left=-1)
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)

    def lost(pattern: str, level: Level) -> tuple[int, datetime | None]:
        with CaptureQueriesContext(connection) as asked:
            found = losses.count(exclusion_patterns.concerned(pattern, level), level, now)
        assert len(asked) <= 8
        return found.sites, found.first

    n, first = lost("dev.*", Level(server))
    assert n == 4
    assert first is not None
    assert abs(first - (now + timedelta(days=15))) < timedelta(minutes=1)
    assert lost("*", Level(server))[0] == 5
    assert lost("nothing.*", Level(server)) == (0, None)
    assert lost("off.net", Level(server)) == lost("dev.nothing-installed.net", Level(server)) == (0, None), (
        "none is ours"
    )
    assert lost("b.net", Level(server)) == (0, None), "another name is left"
    assert lost("dev.*", Level(server, user=off)) == (0, None)
