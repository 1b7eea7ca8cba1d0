"""Renewal information over a real HTTPS server: what is asked for, stored, drawn, and what it means for sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from autossl_panel.autossl import policy, renewal_info, sites, sweep
from autossl_panel.autossl.facts import Action
from autossl_panel.autossl.models import Certificate, Provider
from autossl_panel.hosting.models import Server, VirtualHost
from tests.ca.authority import MiniCa
from tests.ca.rogue import Asked, Reply, RogueCa, answer

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def authority(tmp_path: Any) -> Iterator[RogueCa]:
    with RogueCa(MiniCa(tmp_path)) as started:
        yield started


@pytest.fixture
def hinting(provider: Provider, authority: RogueCa, tmp_path: Any) -> Provider:
    """The provider in use, whose directory offers renewal information."""
    provider.directory_url = f"{authority.url}/dir"
    provider.renewal_info_url = f"{authority.url}/renewal"
    provider.ca_bundle = (tmp_path / "bundle.pem").read_text()
    provider.save()
    return provider


Site = Callable[..., tuple[VirtualHost, Certificate]]


@pytest.fixture
def make(
    hinting: Provider,
    make_user: Callable[..., Any],
    make_site: Callable[..., VirtualHost],
    make_installed: Callable[..., Certificate],
    now: datetime,
) -> Site:
    """A site with a certificate of the provider's, due to be asked for, renewed on its 60th of 90 days."""
    user = make_user("amber")

    def site(name: str, **fields: Any) -> tuple[VirtualHost, Certificate]:
        host = make_site(user, name, next_at=now + 50 * DAY, next_reason="renew")
        fields = {"provider": hinting, "ari_id": f"aki.{host.pk}", "ari_next_at": now - HOUR, **fields}
        return host, make_installed(host, name, **fields)

    return site


def window(authority: RogueCa, certificate: Certificate, start: datetime, end: datetime, **more: Any) -> None:
    headers = {key: more.pop(key) for key in ("Retry_After",) if key in more}
    body = {"suggestedWindow": {"start": start.isoformat(), "end": end.isoformat()}, **more}
    authority.script(f"/renewal/{certificate.ari_id}", lambda asked: answer(200, body, **headers))


def asked(authority: RogueCa) -> list[str]:
    return [one.path.removeprefix("/renewal/") for one in authority.asked if one.path.startswith("/renewal/")]


def test_a_window_is_stored_with_a_moment_drawn_from_it(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    _host, certificate = make("amber.example")
    start, end = now + 49 * DAY, now + 51 * DAY
    window(authority, certificate, start, end, explanationURL="https://ca.example/why", Retry_After="7200")
    assert renewal_info.ask(server, now) == 1
    certificate.refresh_from_db()
    assert (certificate.ari_start, certificate.ari_end) == (start, end)
    assert certificate.ari_explanation == "https://ca.example/why"
    assert certificate.renewal_at is not None
    assert start <= certificate.renewal_at <= end
    assert certificate.ari_next_at is not None
    assert now + 2 * HOUR <= certificate.ari_next_at <= now + 2.5 * HOUR
    assert certificate.forward_until is None
    assert renewal_info.ask(server, now) == 0  # not again before its moment


def test_the_draw_stays_while_the_window_does_and_is_made_anew_when_it_changes(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    _host, certificate = make("amber.example")
    drawn = []
    for day in (50, 50, 50, 52):
        window(authority, certificate, now + day * DAY, now + (day + 1) * DAY)
        Certificate.objects.update(ari_next_at=now)
        assert renewal_info.ask(server, now) == 1
        certificate.refresh_from_db()
        drawn.append(certificate.renewal_at)
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3]
    assert drawn[3] is not None
    assert drawn[3] >= now + 52 * DAY


def test_an_earlier_hint_makes_its_site_due_earlier(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    host, certificate = make("amber.example")
    window(authority, certificate, now + 48 * DAY, now + 49 * DAY)
    renewal_info.ask(server, now)
    host.refresh_from_db()
    certificate.refresh_from_db()
    assert (host.next_at, host.next_reason) == (certificate.renewal_at, "renew")
    assert certificate.forward_until is None


def test_a_later_hint_leaves_the_site_to_be_looked_at_as_before(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    host, certificate = make("amber.example")
    window(authority, certificate, now + 60 * DAY, now + 61 * DAY)
    renewal_info.ask(server, now)
    host.refresh_from_db()
    assert (host.next_at, host.next_reason) == (now + 50 * DAY, "renew")


def test_a_window_brought_forward_is_due_at_once_and_defers_no_longer_than_it_lasts(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    host, certificate = make("amber.example")
    end = now + 2 * DAY
    window(authority, certificate, now - 2 * DAY, end)
    renewal_info.ask(server, now)
    Certificate.objects.update(renewal_at=now - HOUR)  # as if the draw had picked this
    host.refresh_from_db()
    certificate.refresh_from_db()
    assert certificate.forward_until == end
    assert host.next_at is not None
    assert host.next_at <= end
    assert host.next_reason == "ari"
    options = sites.policy_options(server)
    site = sites.read_ids([host.pk], options, now)[host.pk]
    need = policy.need(site.facts, site.options, now)
    assert (need.action, need.reason) == (Action.RENEW, "ari")
    assert site.facts.installed is not None
    assert site.facts.installed.defer_until == end


def test_a_window_that_has_passed_is_due_now(server: Server, make: Site, authority: RogueCa, now: datetime) -> None:
    host, certificate = make("amber.example")
    window(authority, certificate, now - 3 * DAY, now - 2 * DAY)
    renewal_info.ask(server, now)
    host.refresh_from_db()
    assert host.next_at == now


def test_no_hint_lets_a_site_wait_into_the_last_tenth(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    host, certificate = make("amber.example")
    VirtualHost.objects.update(next_at=now + 79 * DAY)
    window(authority, certificate, now + 79.2 * DAY, now + 79.9 * DAY)
    renewal_info.ask(server, now)
    host.refresh_from_db()
    assert host.next_at == certificate.not_after - 9 * DAY


def test_what_the_ca_or_the_retry_ladder_holds_stays_held(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    for number, held in enumerate(({"held_until": now + DAY}, {"retry_at": now + DAY})):
        host, certificate = make(f"amber{number}.example")
        VirtualHost.objects.filter(pk=host.pk).update(next_at=now + DAY, next_reason="held_back", **held)
        window(authority, certificate, now - 3 * DAY, now - 2 * DAY)
    renewal_info.ask(server, now)
    assert set(VirtualHost.objects.values_list("next_at", "next_reason")) == {(now + DAY, "held_back")}


def test_what_waits_for_a_limit_is_needed_now_for_another_reason(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    """An order that replaces a certificate in its window is free of most limits, and whatever is refused stays so."""
    host, certificate = make("amber.example")
    VirtualHost.objects.filter(pk=host.pk).update(
        next_at=now + 30 * DAY, held_until=now + 30 * DAY, held_reason="rate_limited", held_provider="hinting"
    )
    window(authority, certificate, now - 3 * DAY, now - 2 * DAY)
    renewal_info.ask(server, now)
    host.refresh_from_db()
    assert (host.next_at, host.held_until, host.held_reason, host.held_provider) == (now, None, "", "")
    options = sites.policy_options(server)
    site = sites.read_ids([host.pk], options, now)[host.pk]
    need = policy.need(site.facts, site.options, now)
    assert (need.action, need.reason) == (Action.RENEW, "ari")


def test_only_installed_certificates_of_ours_are_asked_for(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    _host, wanted = make("a.example")
    make("b.example", ours=False)
    make("c.example", ari_id="")
    make("d.example", ari_next_at=now + HOUR)
    make("e.example", provider=None)
    make("f.example", days_left=-1)
    make("g.example", revoked_at=now)
    host, _gone = make("h.example")
    VirtualHost.objects.filter(pk=host.pk).update(gone_at=now)
    host, _replaced = make("i.example")
    host.installations.update(until=now)
    _host, never = make("j.example", ari_next_at=None)
    for certificate in (wanted, never):
        window(authority, certificate, now + DAY, now + 2 * DAY)
    assert renewal_info.ask(server, now) == 2
    assert asked(authority) == [never.ari_id, wanted.ari_id]


def test_a_provider_without_renewal_information_is_asked_nothing(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    make("amber.example")
    Provider.objects.update(renewal_info_url="")
    assert renewal_info.ask(server, now) == 0
    assert authority.asked == []


def test_a_certificate_that_the_ca_does_not_know_is_asked_for_a_day_later(
    server: Server, make: Site, authority: RogueCa, now: datetime
) -> None:
    _host, unknown = make("a.example", ari_next_at=now - 2 * HOUR, renewal_at=now + 30 * DAY)
    _host, junk = make("b.example")
    _host, good = make("c.example", ari_next_at=now)
    authority.script(f"/renewal/{junk.ari_id}", lambda asked: answer(200, {"suggestedWindow": {}}))
    window(authority, good, now + DAY, now + 2 * DAY)
    assert renewal_info.ask(server, now) == 3
    unknown.refresh_from_db()
    junk.refresh_from_db()
    good.refresh_from_db()
    assert unknown.renewal_at == now + 30 * DAY
    assert unknown.ari_next_at is not None
    assert now + DAY <= unknown.ari_next_at < now + 1.2 * DAY
    assert junk.ari_next_at is not None
    assert now + 6 * HOUR <= junk.ari_next_at < now + 7 * HOUR
    assert good.ari_start == now + DAY


def test_a_ca_that_fails_is_left_in_peace_ever_longer_and_nothing_known_is_lost(
    server: Server, make: Site, hinting: Provider, authority: RogueCa, now: datetime
) -> None:
    _host, first = make("a.example", ari_next_at=now - 2 * HOUR, renewal_at=now + 30 * DAY)
    others = [make(f"b{number}.example")[1] for number in range(5)]
    for certificate in (first, *others):
        authority.script(f"/renewal/{certificate.ari_id}", lambda asked: answer(500, b"oops"))
    moment, pauses = now, []
    for _ in range(5):
        assert renewal_info.ask(server, moment) == 1  # one is enough to see it
        hinting.refresh_from_db()
        assert hinting.ari_paused_until is not None
        pauses.append((hinting.ari_paused_until - moment) / timedelta(minutes=1))
        assert renewal_info.ask(server, moment + timedelta(seconds=30)) == 0
        moment = hinting.ari_paused_until
    assert pauses == [1, 2, 4, 8, 16]
    first.refresh_from_db()
    assert first.renewal_at == now + 30 * DAY
    # The one that failed does not stand in the way of the others.
    assert asked(authority)[:3] == [one.ari_id for one in (first, *others[:2])]
    for certificate in (first, *others):
        window(authority, certificate, now + DAY, now + 2 * DAY)
    Certificate.objects.update(ari_next_at=moment)
    assert renewal_info.ask(server, moment) == 6
    hinting.refresh_from_db()
    assert (hinting.ari_faults, hinting.ari_paused_until) == (0, None)


def test_a_retry_after_of_a_failing_ca_is_heeded(
    server: Server, make: Site, hinting: Provider, authority: RogueCa, now: datetime
) -> None:
    _host, certificate = make("a.example")
    authority.script(f"/renewal/{certificate.ari_id}", lambda asked: answer(503, b"busy", Retry_After="3600"))
    renewal_info.ask(server, now)
    hinting.refresh_from_db()
    assert hinting.ari_paused_until is not None
    assert hinting.ari_paused_until >= now + HOUR


def test_one_sweep_asks_for_so_many_and_the_next_goes_on(
    server: Server, make: Site, authority: RogueCa, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its number ends it here, not its time.
    monkeypatch.setattr(renewal_info, "SECONDS", 600.0)
    _host, certificate = make("a.example")
    body = {"suggestedWindow": {"start": (now + DAY).isoformat(), "end": (now + 2 * DAY).isoformat()}}

    def any_of_them(asked: Asked) -> Reply:
        return answer(200, body)

    hosts = [make(f"s{number}.example")[1] for number in range(renewal_info.MOST + 20)]
    for one in (certificate, *hosts):
        authority.script(f"/renewal/{one.ari_id}", any_of_them)
    assert renewal_info.ask(server, now) == renewal_info.MOST
    assert renewal_info.ask(server, now) == 21
    assert renewal_info.ask(server, now) == 0
    assert len(set(asked(authority))) == renewal_info.MOST + 21
    assert len({one.connection for one in authority.asked}) == 2  # one a sweep
    # What was asked together drifts apart.
    assert Certificate.objects.values("ari_next_at").distinct().count() > renewal_info.MOST


def test_the_sweep_asks(server: Server, make: Site, hinting: Provider, authority: RogueCa, now: datetime) -> None:
    _host, certificate = make("amber.example")
    window(authority, certificate, now + 48 * DAY, now + 49 * DAY)
    assert sweep.sweep(server, now=now)
    certificate.refresh_from_db()
    assert certificate.ari_start == now + 48 * DAY
