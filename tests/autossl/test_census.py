"""What the sites of a server add up to, and that every check keeps the rows that it is counted by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import census, standing
from autossl_panel.autossl.models import Certificate, Installation, Provider
from autossl_panel.hosting.models import Domain, HostingUser, Server, SiteState, VirtualHost

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]
DAY = timedelta(days=1)


def look(server: Server, now: datetime) -> None:
    """As a check does at its end."""
    standing.record(server, VirtualHost.objects.values_list("pk", flat=True), now)


def test_certificates_of_ours_lapse_others_and_those_that_are_off_do_not(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    anna, off = make_user("anna"), make_user("off", autossl="off")
    for name, days in (("a.example", 80), ("b.example", 12), ("c.example", -1)):
        make_installed(make_site(anna, name), name, days_left=days)
    make_installed(make_site(anna, "bought.example"), "bought.example", ours=False)
    make_installed(make_site(off, "off.example"), "off.example")
    make_site(anna, "none.example")
    look(server, now)
    with CaptureQueriesContext(connection) as asked:
        found = census.count(server, now)
        lapse = found.lapse
    assert len(asked) == 1
    assert (lapse.certificates, lapse.within_30_days) == (2, 1)
    assert lapse.first is not None
    assert abs(lapse.first - (now + 12 * DAY)) < timedelta(seconds=1)
    assert found.sites == 5


def test_sites_that_would_lose_names(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    user = make_user("anna")
    names = [f"{n}.example" for n in range(5)]
    make_installed(make_site(user, *names), *names)
    make_installed(make_site(user, "small.example"), "small.example")
    look(server, now)
    found = census.count(server, now)
    assert [found.over(limit) for limit in (1, 4, 5)] == [1, 1, 0]


def test_sites_that_only_a_private_ca_serves(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    user = make_user("anna")
    for name in ("office.internal", "shop.internal", "anna.example"):
        make_installed(make_site(user, name), name)
    make_site(user, "new.internal")
    look(server, now)
    Domain.objects.filter(name__endswith=".internal").update(unfit="not_public")
    secured = VirtualHost.objects.filter(state=SiteState.SECURED).count()
    assert secured == 3
    assert census.only_private(VirtualHost.objects.all()) == 2, "what has no certificate loses none"
    VirtualHost.objects.filter(name="shop.internal").update(gone_at=now)
    assert census.only_private(VirtualHost.objects.all()) == 1


def test_key_types_are_counted_and_what_would_be_issued_anew(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    anna, off = make_user("anna"), make_user("off", autossl="off")
    for name, kind, bits in (
        ("a.example", "ec", 256),
        ("b.example", "ec", 256),
        ("c.example", "rsa", 2048),
        ("odd.example", "ec", 521),
        ("bought.example", "rsa", 4096),
    ):
        row = make_installed(make_site(anna, name), name, ours=name != "bought.example")
        Certificate.objects.filter(pk=row.pk).update(key_kind=kind, key_bits=bits)
    make_installed(make_site(off, "off.example"), "off.example")
    look(server, now)
    found = census.count(server, now)
    assert dict(found.keys) == {"p256": 3, "rsa2048": 1}
    assert (found.others("p256"), found.others("p384")) == (1, 3), "of users that are off none is issued anew"


def test_the_rows_keep_step_with_what_is_installed(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    host = make_site(make_user("anna"), "a.example")
    certificate = make_installed(host, "a.example")
    look(server, now)
    host.refresh_from_db()
    assert (host.expires_at, host.key_type) == (certificate.not_after, "p256")
    Installation.objects.update(until=now)
    look(server, now)
    host.refresh_from_db()
    assert (host.expires_at, host.key_type) == (None, "")
    VirtualHost.objects.update(gone_at=now)
    assert census.count(server, now).groups == ()


def test_another_servers_sites_are_not_counted(
    server: Server, provider: Provider, make_user: Make, make_site: Make, make_installed: Make, now: datetime
) -> None:
    make_installed(make_site(make_user("anna"), "a.example"), "a.example")
    look(server, now)
    other = Server.objects.create(name="other.example")
    HostingUser.objects.update(server=other)
    assert census.count(other, now).sites == 0
    assert census.count(server, now).sites == 1
