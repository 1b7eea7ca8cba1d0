"""What a new order asks the CA for: its profile, and which certificate it says it replaces (RFC 9773 §5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca, pki
from autossl_panel.autossl import orders, sites
from autossl_panel.autossl.models import Account, Certificate, Order, Provider
from autossl_panel.autossl.orders import State, Tools
from autossl_panel.ca import ProblemKind
from autossl_panel.ca.errors import ACME_PREFIX
from autossl_panel.hosting.models import Server, VirtualHost
from tests.autossl.order_parts import NAMES, Ca, Helper, Saves, _authorization, problem, state
from tests.support.listing import ListingCa

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ARI_ID = "aki.serial"


def refusal(short_type: str = "alreadyReplaced", status: int = 409) -> ca.ReplacesRefused:
    return ca.ReplacesRefused(
        ProblemKind.ORDER, type=f"urn:ietf:params:acme:error:{short_type}", detail="No.", status=status
    )


@pytest.fixture
def site(
    provider: Provider,
    make_user: Callable[..., Any],
    make_site: Callable[..., VirtualHost],
    make_installed: Callable[..., Certificate],
    now: datetime,
) -> VirtualHost:
    """A site whose certificate is inside its window, and was ordered by the account in use."""
    host = make_site(make_user("amber"), *NAMES)
    window = {"ari_start": now - HOUR, "ari_end": now + DAY, "renewal_at": now}
    make_installed(host, *NAMES, provider=provider, account=provider.accounts.get(), ari_id=ARI_ID, **window)
    return host


def place(server: Server, host: VirtualHost, provider: Provider, *names: str) -> Order:
    now = timezone.now()
    installed = sites.read_ids([host.pk], sites.policy_options(server), now)[host.pk].facts.installed
    found = orders.new(
        f"o-{Order.objects.count()}",
        host,
        names=names or NAMES,
        reason="ari",
        key_type="p256",
        provider=provider,
        account=provider.accounts.get(),
        installed=installed,
        now=now,
    )
    found.save()
    return found


def advance(order: Order, client: Ca, saves: Saves | None = None) -> orders.Progress:
    tools = Tools(client, Helper(), saves or Saves(), lambda: True, None)  # type: ignore[arg-type]
    found = orders.advance(order, tools)
    order.refresh_from_db()
    return found


def test_an_order_inside_the_window_says_what_it_replaces(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    order = place(server, site, provider)
    assert order.replaces == ARI_ID
    client, saves = Ca(new_order=state("processing", replaces=ARI_ID), poll=state("processing")), Saves()
    advance(order, client, saves)
    assert client.wishes == [{"names": list(NAMES), "replaces": ARI_ID}]
    assert order.replaces == ARI_ID
    assert saves.events[:2] == ["order:placed", "order:replaces"]
    assert Certificate.objects.get().replaced_at is not None
    # A second one is not free.
    Order.objects.update(closed_at=timezone.now())
    assert place(server, site, provider).replaces == ""


@pytest.mark.parametrize(
    "change",
    [
        {"ari_start": None},
        {"ari_end": timezone.now() - HOUR},
        {"replaced_at": timezone.now()},
        {"account": None},
        {"ari_id": ""},
        {"ours": False},
    ],
)
def test_outside_of_it_an_order_is_like_any_other(
    server: Server, site: VirtualHost, provider: Provider, change: dict[str, Any]
) -> None:
    Certificate.objects.update(**change)
    order = place(server, site, provider)
    client = Ca(new_order=state("processing"), poll=state("processing"))
    advance(order, client)
    assert client.wishes == [{"names": list(NAMES)}]


def test_no_common_name_or_another_account_is_not_replaced(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    assert place(server, site, provider, "other.example").replaces == ""
    Order.objects.update(closed_at=timezone.now())
    another = Provider.objects.create(name="other", directory_url="https://127.0.0.1:1/other")
    Account.objects.create(provider=another, server=server, url="https://127.0.0.1:1/account/9")
    assert place(server, site, another).replaces == ""


def test_a_window_that_passed_before_the_order_was_sent_is_not_named(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    order = place(server, site, provider)
    Certificate.objects.update(ari_end=timezone.now() - HOUR)
    client = Ca(new_order=state("processing"), poll=state("processing"))
    advance(order, client)
    assert client.wishes == [{"names": list(NAMES)}]
    assert order.replaces == ""


@pytest.mark.parametrize(
    ("short_type", "status"), [("alreadyReplaced", 409), ("malformed", 404), ("unauthorized", 403)]
)
def test_where_the_ca_refuses_it_the_order_is_asked_for_once_more_without(
    server: Server, site: VirtualHost, provider: Provider, short_type: str, status: int
) -> None:
    order = place(server, site, provider)
    client = Ca(new_order=[refusal(short_type, status), state("processing")], poll=state("processing"))
    saves = Saves()
    found = advance(order, client, saves)
    assert client.wishes == [{"names": list(NAMES), "replaces": ARI_ID}, {"names": list(NAMES)}]
    assert saves.events[:2] == ["order:replaces_refused", "order:placed"]
    assert (found.state, order.replaces, order.closed_at) == (State.STOPPED, "", None)
    assert order.url
    # It is not said again of this certificate.
    assert Certificate.objects.get().replaced_at is not None


def test_the_second_refusal_is_a_refusal_of_the_order(server: Server, site: VirtualHost, provider: Provider) -> None:
    order = place(server, site, provider)
    client = Ca(new_order=[refusal("malformed", 400), problem(ProblemKind.MALFORMED)])
    found = advance(order, client)
    assert len(client.wishes) == 2
    assert (found.state, order.closed_as) == (State.LOST, "given_up")
    # It was not what the order replaces: another one may say it.
    assert Certificate.objects.get().replaced_at is None


class Killed(BaseException):
    """The worker dies."""


class DyingCa(Ca):
    """Dies after so many newOrder requests were sent."""

    def __init__(self, dies_after: int, **answers: Any) -> None:
        super().__init__(**answers)
        self._left = dies_after

    def new_order(self, names: Any, **more: Any) -> Any:
        try:
            return super().new_order(names, **more)
        finally:
            self._left -= 1
            if self._left == 0:
                raise Killed


def test_a_worker_that_dies_after_the_refusal_leaves_one_order_without(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    order = place(server, site, provider)
    with pytest.raises(Killed):
        advance(order, DyingCa(2, new_order=[refusal(), state("processing")]))
    order.refresh_from_db()
    assert (order.replaces, order.url) == ("", "")
    client = Ca(new_order=state("processing"), poll=state("processing"))
    advance(order, client)
    assert client.wishes == [{"names": list(NAMES)}]
    assert order.url


def test_a_worker_that_dies_before_it_saved_the_order_asks_again_and_heeds_the_answer(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    order = place(server, site, provider)
    with pytest.raises(Killed):
        advance(order, DyingCa(1, new_order=state("processing", replaces=ARI_ID)))
    order.refresh_from_db()
    assert (order.replaces, order.url) == (ARI_ID, "")
    client = Ca(new_order=[refusal(), state("processing")], poll=state("processing"))
    advance(order, client)
    assert len(client.wishes) == 2
    assert order.url


def test_a_ca_that_says_nothing_of_it_has_not_replaced_anything(
    server: Server, site: VirtualHost, provider: Provider
) -> None:
    order = place(server, site, provider)
    advance(order, Ca(new_order=state("processing"), poll=state("processing")))
    assert order.replaces == ""
    assert Certificate.objects.get().replaced_at is None


def test_what_became_invalid_replaces_nothing(server: Server, site: VirtualHost, provider: Provider) -> None:
    order = place(server, site, provider)
    trouble = problem(ProblemKind.UNAUTHORIZED)
    client = Ca(
        new_order=state("invalid", replaces=ARI_ID),
        authorization=[_authorization(NAMES[0], "valid"), _authorization(NAMES[1], "invalid", trouble)],
    )
    assert advance(order, client).state == State.REFUSED
    assert Certificate.objects.get().replaced_at is None


# --- profiles --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "sent"), [({"short": "six days", "classic": ""}, {"profile": "short"}), ({"classic": ""}, {})]
)
def test_the_profile_is_sent_while_the_directory_offers_it(
    server: Server, site: VirtualHost, provider: Provider, offered: dict[str, str], sent: dict[str, str]
) -> None:
    Certificate.objects.update(ari_start=None)
    provider.profile, provider.profiles = "short", offered
    provider.save()
    order = place(server, site, provider)
    assert order.profile == sent.get("profile", "")
    client = Ca(new_order=state("processing"), poll=state("processing"))
    advance(order, client)
    assert client.wishes == [{"names": list(NAMES), **sent}]


def test_an_issued_certificate_knows_where_it_comes_from(
    server: Server, site: VirtualHost, provider: Provider, now: datetime
) -> None:
    provider.profile, provider.profiles = "short", {"short": ""}
    provider.save()
    order = place(server, site, provider)
    helper = Helper()
    chain = ListingCa().certify(
        helper.gen_csr(order.ident, site.key, NAMES, "p256"), points=("http://ca.example/1.crl",)
    )
    client = Ca(new_order=state("valid"), download=chain)
    helper.stage = lambda *_: None  # type: ignore[attr-defined]
    tools = Tools(client, helper, Saves(), lambda: False, None)  # type: ignore[arg-type]
    assert orders.advance(order, tools).state == State.STAGED
    certificate = Certificate.objects.get(serial=pki.read_chain(chain).serial)
    assert (certificate.account, certificate.profile) == (order.account, "short")
    assert certificate.crl_url == "http://ca.example/1.crl"
    assert certificate.ari_next_at is not None
    assert now < certificate.ari_next_at < now + HOUR
    provider.refresh_from_db()
    assert provider.issued_lifetime == 90 * 86400


@pytest.mark.parametrize(
    ("profile", "reason", "state_then", "code"),
    [("short", "due", State.STAGED, ""), ("", "due", State.UNWANTED, "not_later"), ("", "coverage", State.STAGED, "")],
)
def test_a_certificate_of_another_profile_or_for_more_names_may_expire_sooner(
    server: Server, site: VirtualHost, provider: Provider, profile: str, reason: str, state_then: State, code: str
) -> None:
    Certificate.objects.update(not_after=timezone.now() + 200 * DAY)
    provider.profile, provider.profiles = profile, {"short": ""}
    provider.save()
    order = place(server, site, provider)
    order.reason = reason
    helper = Helper()
    helper.stage = lambda *_: None  # type: ignore[attr-defined]
    chain = ListingCa().certify(helper.gen_csr(order.ident, site.key, NAMES, "p256"))
    installed = sites.read_ids([site.pk], sites.policy_options(server), timezone.now())[site.pk].facts.installed
    client = Ca(new_order=state("valid"), download=chain)
    found = orders.advance(order, Tools(client, helper, Saves(), lambda: False, installed))  # type: ignore[arg-type]
    assert (found.state, found.code) == (state_then, code)


# --- what the CA says of the account on the way ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        (
            ProblemKind.TERMS,
            {"link": "https://ca.example/terms"},
            {"field": "agree_terms", "code": "terms", "link": "https://ca.example/terms"},
        ),
        (ProblemKind.EAB, {}, {"field": "eab_kid", "code": "eab", "link": ""}),
        (ProblemKind.ACCOUNT, {}, {"field": "provider", "code": "account", "link": ""}),
    ],
)
def test_what_the_ca_wants_of_a_person_stands_on_the_account_until_it_takes_an_order(
    server: Server, site: VirtualHost, provider: Provider, kind: ProblemKind, more: dict[str, Any], said: dict[str, str]
) -> None:
    advance(place(server, site, provider), Ca(new_order=problem(kind, **more)))
    account = Account.objects.get()
    assert account.problem == {**said, "text": f"about {kind}"}
    advance(place(server, site, provider), Ca(new_order=state("processing"), poll=state("processing")))
    account.refresh_from_db()
    assert account.problem is None


def test_an_account_that_is_gone_is_called_so(server: Server, site: VirtualHost, provider: Provider) -> None:
    gone = ca.CaProblem(ProblemKind.ACCOUNT, type=f"{ACME_PREFIX}accountDoesNotExist", detail="Who?")
    advance(place(server, site, provider), Ca(new_order=gone))
    found = Account.objects.get().problem
    assert found is not None
    assert found["code"] == "account_gone"


def test_trouble_of_other_kinds_is_not_the_accounts(server: Server, site: VirtualHost, provider: Provider) -> None:
    advance(place(server, site, provider), Ca(new_order=problem(ProblemKind.RATE)))
    assert Account.objects.get().problem is None
