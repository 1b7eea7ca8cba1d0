"""Revocation: wished by a person and done at a real CA, or found on a CA's list; the site gets another certificate."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from django.core.management import CommandError, call_command

from autossl_panel import pki
from autossl_panel.autossl import (
    certificates,
    policy,
    registration,
    revocation,
    revoked_lists,
    revoking,
    runs,
    sites,
    sweep,
    tasks,
)
from autossl_panel.autossl.facts import Action
from autossl_panel.autossl.models import Account, Certificate, Installation, Provider, RevocationList, Run
from autossl_panel.autossl.revocation import RevocationProblem
from autossl_panel.hosting.models import Server, SiteState, VirtualHost
from autossl_panel.people.models import AuditEntry, User
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of
from tests.ca.authority import MiniCa
from tests.ca.rogue import RogueCa
from tests.dcv.servers import HttpServer, http
from tests.support.listing import ListingCa

pytestmark = pytest.mark.django_db
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
Make = Callable[..., Any]


# --- wished by a person ----------------------------------------------------------------------------------------------


@pytest.fixture
def site(provider: Provider, make_user: Make, make_site: Make, now: datetime) -> VirtualHost:
    host: VirtualHost = make_site(make_user("amber"), "amber.example", next_at=now + 50 * DAY, retry_at=now + DAY)
    return host


@pytest.fixture
def certificate(site: VirtualHost, provider: Provider, make_installed: Make) -> Certificate:
    found: Certificate = make_installed(
        site, "amber.example", provider=provider, account=provider.accounts.get(), pem=_pem("amber.example")
    )
    return found


def test_a_revoked_one_waits_for_no_limit_and_no_retry(
    site: VirtualHost, certificate: Certificate, now: datetime
) -> None:
    """An order for more names may wait for weeks; the one that is needed now is another. A CA's own word stays."""
    VirtualHost.objects.update(held_until=now + 30 * DAY, held_reason="rate_limited", held_provider="pebble")
    revocation.note({certificate.pk: (now, None)}, now)
    site.refresh_from_db()
    assert (site.next_at, site.next_reason, site.retry_at, site.held_until) == (now, "revoked", None, None)
    VirtualHost.objects.update(held_until=now + 30 * DAY, held_reason="providers_down", held_provider="pebble")
    revocation.note({certificate.pk: (now, None)}, now)
    site.refresh_from_db()
    assert (site.held_until, site.held_reason) == (now + 30 * DAY, "providers_down")


def _pem(*names: str) -> str:
    return ListingCa().chain(*names).decode()


def test_a_wish_is_written_with_who_had_it(certificate: Certificate, root: User) -> None:
    row = revocation.ask(certificate, "superseded", by=root)
    assert row.revoke_wish == {"reason": 4, "by": "root"}
    entry = AuditEntry.objects.get()
    assert (entry.event, entry.subject, entry.person) == ("certificate:revoke", "amber.example", root)
    assert entry.after == {"serial": certificate.serial, "reason": "superseded", "names": ["amber.example"]}
    assert certificate.revoked_at is None


@pytest.mark.parametrize(
    ("change", "reason", "field", "says"),
    [
        ({}, "caCompromise", "reason", "There are: unspecified, keyCompromise"),
        ({}, "", "reason", "is not a reason"),
        ({"ours": False}, "superseded", "certificate", "only its owner"),
        ({"provider": None}, "superseded", "certificate", "only its owner"),
        ({"revoked": True}, "superseded", "certificate", "revoked already"),
        ({"expired": True}, "superseded", "certificate", "expired"),
    ],
)
def test_what_cannot_be_revoked(
    certificate: Certificate, now: datetime, change: dict[str, Any], reason: str, field: str, says: str
) -> None:
    if change.pop("revoked", False):
        change["revoked_at"] = now
    if change.pop("expired", False):
        change["not_after"] = now - HOUR
    if change:
        Certificate.objects.update(**change)
    with pytest.raises(RevocationProblem) as caught:
        revocation.ask(certificate, reason, by=None)
    assert caught.value.field == field
    assert says in caught.value.text
    assert Certificate.objects.get().revoke_wish is None
    assert not AuditEntry.objects.exists()


@pytest.fixture
def rogue(tmp_path: Path, settings: Any, provider: Provider) -> Iterator[RogueCa]:
    """The provider's CA answers as a test says; its account has a key."""
    settings.AUTOSSL_STATE_DIR = tmp_path
    with RogueCa(MiniCa(tmp_path)) as started:
        bundle = (tmp_path / "bundle.pem").read_text()
        Provider.objects.update(directory_url=f"{started.url}/dir", ca_bundle=bundle)
        account = Account.objects.get()
        registration.keys.made(account)
        yield started


def wished(certificate: Certificate, reason: str = "superseded") -> Certificate:
    revocation.ask(certificate, reason, by=None, ring=False)
    return Certificate.objects.get(pk=certificate.pk)


def test_a_revoked_certificate_makes_its_site_due_at_once(
    certificate: Certificate, site: VirtualHost, server: Server, rogue: RogueCa, now: datetime
) -> None:
    rogue.say("/revoke", 200)
    found = revoking.carry_out(wished(certificate))
    assert rogue.posts("/revoke")[0].payload["reason"] == 4
    assert found.revoked_at is not None
    assert (found.revoked_reason, found.revoke_wish, found.revoke_problem) == (4, None, None)
    site.refresh_from_db()
    assert site.next_at is not None
    assert site.next_at <= found.revoked_at + HOUR
    assert (site.next_reason, site.retry_at, site.state) == ("revoked", None, SiteState.UNSECURED)
    options = sites.policy_options(server)
    found = sites.read_ids([site.pk], options, now)[site.pk]
    need = policy.need(found.facts, found.options, now)
    assert (need.action, need.reason) == (Action.NEW, "revoked")


def test_what_was_revoked_before_is_as_good_as_done_and_its_reason_not_ours(
    certificate: Certificate, rogue: RogueCa
) -> None:
    rogue.say("/revoke", 400, {"type": "urn:ietf:params:acme:error:alreadyRevoked", "detail": "It is."})
    found = revoking.carry_out(wished(certificate, "keyCompromise"))
    assert found.revoked_at is not None
    assert (found.revoked_reason, found.revoke_wish) == (None, None)


def test_what_the_ca_refuses_for_good_is_told_and_not_asked_again(
    certificate: Certificate, site: VirtualHost, server: Server, rogue: RogueCa, now: datetime
) -> None:
    rogue.say("/revoke", 400, {"type": "urn:ietf:params:acme:error:badRevocationReason", "detail": "Not that one."})
    found = revoking.carry_out(wished(certificate, "affiliationChanged"))
    assert (found.revoked_at, found.revoke_wish) == (None, None)
    assert found.revoke_problem == {"code": "malformed", "text": "Not that one.", "until": None}
    site.refresh_from_db()
    assert site.next_at == now + 50 * DAY
    revoking.carry_out_all(server, now + DAY)
    assert len(rogue.posts("/revoke")) == 1
    # Asking again, with another reason, begins anew.
    assert wished(certificate).revoke_problem is None


def test_a_ca_that_is_down_is_asked_again_later_until_it_is_done(
    certificate: Certificate, server: Server, rogue: RogueCa, now: datetime
) -> None:
    rogue.script("/revoke", lambda asked: b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nRetry-After: 1800\r\n\r\n")
    found = revoking.carry_out(wished(certificate))
    assert found.revoke_wish is not None
    assert found.revoke_problem is not None
    assert datetime.fromisoformat(found.revoke_problem["until"]) >= now + timedelta(minutes=30)
    revoking.carry_out_all(server, now + timedelta(minutes=20))
    assert len(rogue.posts("/revoke")) == 1
    rogue.say("/revoke", 200)
    revoking.carry_out_all(server, now + timedelta(minutes=40))
    found.refresh_from_db()
    assert found.revoked_at is not None
    assert (found.revoke_wish, found.revoke_problem) == (None, None)
    revoking.carry_out_all(server, now + DAY)
    assert len(rogue.posts("/revoke")) == 2


def test_without_an_account_nothing_can_be_revoked(certificate: Certificate) -> None:
    Certificate.objects.update(account=None)
    Account.objects.all().delete()
    found = revoking.carry_out(wished(certificate))
    assert found.revoke_problem is not None
    assert found.revoke_problem["code"] == "account"
    assert found.revoke_wish is None


def test_the_present_account_is_tried_where_the_one_that_ordered_it_is_no_more(
    certificate: Certificate, rogue: RogueCa
) -> None:
    Certificate.objects.update(account=None)
    rogue.say("/revoke", 200)
    assert revoking.carry_out(wished(certificate)).revoked_at is not None


# --- the whole way ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", ("amber.example",))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any, transactional_db: None) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


@pytest.mark.django_db(transaction=True)
def test_the_sites_of_a_certificate_that_a_worker_revokes_are_begun_with_at_once(parts: Parts) -> None:
    parts.run()
    old = Installation.objects.get(until__isnull=True).certificate
    revocation.ask(old, "keyCompromise", by=None, ring=False)
    tasks.revoke_certificate(old.pk)
    begun = Run.objects.get(ended_at__isnull=True)
    assert begun.scope == runs.DUE
    run = parts.run(runs.DUE)
    assert (run.pk, parts.job(run, "amber.example").reason) == (begun.pk, "revoked")


@pytest.mark.django_db(transaction=True)
def test_a_compromised_key_is_revoked_by_command_and_replaced_by_another(parts: Parts) -> None:
    parts.run()
    old = Installation.objects.get(until__isnull=True).certificate
    assert (old.provider, old.account) == (parts.provider, parts.provider.accounts.get())
    out = io.StringIO()
    call_command("revoke", "amber.example", "--reason", "keyCompromise", stdout=out)
    assert f"certificate {old.serial} is revoked (keyCompromise)" in out.getvalue()
    old.refresh_from_db()
    assert (old.revoked_reason, parts.site("amber.example").next_reason) == (1, "revoked")
    tasks.revoke_certificate(old.pk)  # a task that comes late finds nothing to do
    run = parts.run(runs.DUE)
    new = Installation.objects.get(until__isnull=True).certificate
    assert parts.job(run, "amber.example").reason == "revoked"
    assert new.serial != old.serial
    assert new.spki != old.spki
    assert parts.shown("amber.example") == new.serial
    assert parts.site("amber.example").state == SiteState.SECURED
    for argv, says in (
        (("nobody.example", "--reason", "superseded"), "There is no site “nobody.example”"),
        (("amber.example", "--reason", "boredom"), "--reason: “boredom” is not a reason"),
    ):
        with pytest.raises(CommandError, match=says) as caught:
            call_command("revoke", *argv, stdout=out)
        assert caught.value.returncode == 2


# --- found on a list -------------------------------------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[HttpServer]:
    with HttpServer("127.0.0.1", 0) as started:
        yield started


class Listed:
    """Sites whose certificates name a list at `place`."""

    def __init__(self, place: HttpServer, provider: Provider, make_site: Make, user: Any, now: datetime) -> None:
        self.authority = ListingCa()
        self.place, self.provider, self._make_site, self._user, self._now = place, provider, make_site, user, now

    def url(self, path: str = "/1.crl") -> str:
        return f"http://127.0.0.1:{self.place.port}{path}"

    def add(self, name: str, path: str = "/1.crl", *, ours: bool = True, by: ListingCa | None = None) -> Certificate:
        chain = (by or self.authority).chain(name, points=(self.url(path),))
        row = certificates.row_of(pki.read_chain(chain), chain, provider=self.provider if ours else None, ours=ours)
        row.save()
        host = self._make_site(self._user, name, next_at=self._now + 50 * DAY)
        Installation.objects.create(virtual_host=host, certificate=row, since=self._now, key_matches=True)
        return row

    def put(self, *revoked: Certificate, path: str = "/1.crl", by: ListingCa | None = None, **more: Any) -> None:
        reasons = {one.serial: x509.ReasonFlags.key_compromise for one in revoked}
        self.place.routes[path] = http(200, (by or self.authority).revocations(reasons, **more))


@pytest.fixture
def listed(place: HttpServer, provider: Provider, make_user: Make, make_site: Make, now: datetime) -> Listed:
    return Listed(place, provider, make_site, make_user("amber"), now)


def fresh(certificate: Certificate) -> Certificate:
    return Certificate.objects.get(pk=certificate.pk)


def due(name: str) -> VirtualHost:
    return VirtualHost.objects.get(name=name)


def test_a_listed_certificate_is_marked_and_its_site_due(listed: Listed, server: Server, now: datetime) -> None:
    bad, good = listed.add("bad.example"), listed.add("good.example")
    assert bad.crl_url == listed.url()
    listed.put(bad, place=listed.url())
    assert revoked_lists.look(server, now) == 1
    assert fresh(bad).revoked_at is not None
    assert fresh(bad).revoked_reason == 1
    assert (due("bad.example").next_at, due("bad.example").next_reason) == (now, "revoked")
    assert fresh(good).revoked_at is None
    assert due("good.example").next_at == now + 50 * DAY
    row = RevocationList.objects.get()
    assert (row.url, row.read_at, row.problem) == (listed.url(), now, None)


def test_a_list_is_read_once_a_day_or_when_the_next_is_there(listed: Listed, server: Server, now: datetime) -> None:
    listed.add("a.example"), listed.add("b.example")
    listed.add("c.example", "/2.crl")
    listed.put(hours=9 * 24)
    listed.put(path="/2.crl", hours=6)
    assert revoked_lists.look(server, now) == 2
    assert revoked_lists.look(server, now + 5 * HOUR) == 0
    listed.put(path="/2.crl", hours=48)
    assert revoked_lists.look(server, now + 7 * HOUR) == 1
    assert revoked_lists.look(server, now + 23 * HOUR) == 0
    assert revoked_lists.look(server, now + 25.1 * HOUR) == 1
    assert len(listed.place.asked) == 4


@pytest.mark.parametrize("body", [b"junk", None, "another's", "old"])
def test_a_list_that_cannot_be_read_changes_nothing_and_is_told(
    listed: Listed, server: Server, now: datetime, body: bytes | str | None
) -> None:
    bad = listed.add("bad.example")
    if body == "another's":
        listed.put(bad, by=ListingCa())
    elif body == "old":
        listed.put(bad, since=now - 3 * DAY)
    elif isinstance(body, bytes):
        listed.place.routes["/1.crl"] = http(200, body)
    assert revoked_lists.look(server, now) == 1
    assert fresh(bad).revoked_at is None
    row = RevocationList.objects.get()
    assert row.problem is not None
    assert row.problem["code"] in ("unreadable", "http", "signature", "dates")
    assert row.read_at is None
    assert revoked_lists.look(server, now + HOUR / 2) == 0
    listed.put(bad)
    assert revoked_lists.look(server, now + HOUR) == 1
    assert fresh(bad).revoked_at is not None
    row.refresh_from_db()
    assert (row.problem, row.read_at) == (None, now + HOUR)


def test_a_stranger_who_names_our_list_neither_breaks_it_nor_is_believed(
    listed: Listed, server: Server, now: datetime
) -> None:
    forger = ListingCa("Forger")
    forged = listed.add("forged.example", ours=False, by=forger)
    bad = listed.add("bad.example")
    listed.put(bad, forged)
    assert revoked_lists.look(server, now) == 1
    assert fresh(bad).revoked_at is not None
    assert fresh(forged).revoked_at is None
    assert RevocationList.objects.get().problem is None


def test_anothers_certificate_is_judged_by_its_own_list_at_public_addresses_only(
    listed: Listed, server: Server, now: datetime
) -> None:
    listed.add("foreign.example", ours=False)
    assert revoked_lists.look(server, now) == 1
    row = RevocationList.objects.get()
    assert row.problem is not None
    assert row.problem["code"] == "url"  # a port that no public CA uses; an address would be the next to fail
    assert listed.place.asked == []


def test_a_public_ca_has_no_list_on_this_host(listed: Listed, server: Server, now: datetime) -> None:
    Provider.objects.update(private_ca=False)
    listed.add("a.example")
    Certificate.objects.update(crl_url="http://127.0.0.1/1.crl")
    revoked_lists.look(server, now)
    problem = RevocationList.objects.get().problem
    assert problem is not None
    assert problem["code"] == "private_address"


def test_only_lists_of_installed_certificates_are_read_and_remembered(
    listed: Listed, server: Server, now: datetime
) -> None:
    listed.add("a.example")
    listed.put()
    revoked_lists.look(server, now)
    RevocationList.objects.create(url="http://ca.example/old.crl")
    revoked_lists.forget_unused()
    assert [row.url for row in RevocationList.objects.all()] == [listed.url()]
    Installation.objects.update(until=now)
    assert revoked_lists.look(server, now + 2 * DAY) == 0
    revoked_lists.forget_unused()
    assert not RevocationList.objects.exists()


def test_the_sweep_reads_lists_and_takes_up_wishes_that_were_lost(
    listed: Listed, server: Server, rogue: RogueCa, now: datetime
) -> None:
    bad, unwanted = listed.add("bad.example"), listed.add("unwanted.example")
    listed.put(bad)
    rogue.say("/revoke", 200)
    revocation.ask(unwanted, "cessationOfOperation", by=None)  # and the task never comes
    assert sweep.sweep(server, now=now)
    assert fresh(bad).revoked_reason == 1
    assert fresh(unwanted).revoked_reason == 5
    assert fresh(unwanted).revoke_wish is None


def test_a_wish_for_a_certificate_that_was_never_installed_is_taken_up_too(
    certificate: Certificate, server: Server, rogue: RogueCa, now: datetime
) -> None:
    """Its task is lost with the worker that had it."""
    Installation.objects.all().delete()
    rogue.say("/revoke", 200)
    revocation.ask(certificate, "keyCompromise", by=None, ring=False)
    revoking.carry_out_all(server, now)
    certificate.refresh_from_db()
    assert certificate.revoked_at is not None
