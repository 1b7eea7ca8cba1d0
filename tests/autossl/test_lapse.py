"""What expires without a successor once AutoSSL stops for some users, before it is switched off and after."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import lapse, standing
from autossl_panel.autossl.models import Provider
from autossl_panel.hosting.models import HostingUser, Server, Setting, VirtualHost

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
ALL = HostingUser.objects.all


def look(server: Server, now: datetime) -> None:
    """As a check does at its end."""
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)


@pytest.fixture
def anna(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> HostingUser:
    user: HostingUser = make_user("anna", autossl="feature-list")
    for name, days in (("a.example", 40), ("b.example", 20), ("expired.example", -3)):
        make_installed(make_site(user, name), name, days_left=days)
    make_installed(make_site(user, "bought.example"), "bought.example", days_left=5, ours=False)
    make_installed(make_site(user, "gone.example", gone_at=now), "gone.example", days_left=1)
    make_site(user, "none.example")
    look(server, now)
    return user


def test_it_counts_what_autossl_would_have_renewed(anna: HostingUser, now: datetime) -> None:
    assert lapse.of(ALL(), now) == lapse.Lapse(2, now + timedelta(days=20))
    assert lapse.of(ALL().none(), now) == lapse.Lapse(0, None)


def test_it_says_the_same_once_autossl_is_off_before_the_next_check_and_after(
    server: Server, anna: HostingUser, now: datetime
) -> None:
    before = lapse.of(ALL(), now)
    HostingUser.objects.filter(pk=anna.pk).update(autossl=Setting.OFF)
    assert lapse.of(ALL(), now) == before
    look(server, now)
    assert set(VirtualHost.objects.filter(gone_at__isnull=True).values_list("state", flat=True)) == {"off"}
    assert lapse.of(ALL(), now) == before


def test_feature_lists_answer_for_those_who_follow_them(
    anna: HostingUser, make_user: Make, make_site: Make, make_installed: Make, server: Server, now: datetime
) -> None:
    own = make_user("own", autossl="on")
    make_installed(make_site(own, "own.example"), "own.example")
    held = make_user("held", autossl="feature-list", suspended=True)
    make_installed(make_site(held, "held.example"), "held.example")
    look(server, now)
    assert lapse.by_feature_list(now) == {anna.feature_list_id: lapse.Lapse(2, now + timedelta(days=20))}
