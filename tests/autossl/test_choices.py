"""Providers for users and feature lists, the fallbacks, and how a provider fares."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl import choices, options, policies
from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderChoice, ProviderState
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.takeover import set_takeover
from autossl_panel.hosting import users
from autossl_panel.hosting.models import HostingUser, Server, VirtualHost
from autossl_panel.people.models import AuditEntry, User

pytestmark = pytest.mark.django_db
Make = Callable[..., Any]


@pytest.fixture
def second(server: Server) -> Provider:
    row = Provider.objects.create(name="second", directory_url="https://127.0.0.1:2/dir", state=ProviderState.READY)
    Account.objects.create(provider=row, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:2/1")
    return row


@pytest.fixture
def anna(make_user: Make, make_site: Make) -> HostingUser:
    user: HostingUser = make_user("anna")
    make_site(user, "anna.example")
    return user


def due(now: datetime) -> list[str]:
    return list(VirtualHost.objects.filter(next_at=now).values_list("name", flat=True))


def audited() -> list[tuple[str, str, Any]]:
    return [(entry.event, entry.subject, entry.after) for entry in AuditEntry.objects.order_by("pk")]


def test_a_users_choice_is_made_changed_and_taken_back(
    anna: HostingUser, second: Provider, provider: Provider, root: User, now: datetime
) -> None:
    choices.choose_for_user(anna, second, by=root, now=now)
    assert due(now) == ["anna.example"]
    VirtualHost.objects.update(next_at=None)
    choices.choose_for_user(anna, second, by=root, now=now)
    assert due(now) == [], "nothing changed"
    choices.choose_for_user(anna, provider, by=root, now=now)
    choices.choose_for_user(anna, None, by=root, now=now)
    choices.choose_for_user(anna, None, by=root, now=now)
    assert not ProviderChoice.objects.exists()
    assert audited() == [
        ("user:provider_set", "anna", {"provider": "second"}),
        ("user:provider_set", "anna", {"provider": "pebble"}),
        ("user:provider_set", "anna", {"provider": None}),
    ]


def test_a_feature_lists_choice_leaves_users_with_their_own_alone(
    anna: HostingUser, make_user: Make, make_site: Make, second: Provider, provider: Provider, now: datetime
) -> None:
    ben = make_user("ben")
    make_site(ben, "ben.example")
    choices.choose_for_user(ben, provider, by=None, now=now - timedelta(hours=1))
    choices.choose_for_feature_list(users.default_feature_list(), second, by=None, now=now)
    assert due(now) == ["anna.example"]
    assert audited()[-1] == ("feature_list:provider_set", "default", {"provider": "second"})


@pytest.mark.parametrize(
    ("make", "code", "says"),
    [
        (lambda row: Provider.objects.filter(pk=row.pk).update(state=ProviderState.CHECKING), "not_ready", "not ready"),
        (lambda row: Account.objects.filter(provider=row).update(status=AccountStatus.REFUSED), "not_registered",
         "no account with “second”"),
        (lambda row: Account.objects.filter(provider=row).update(url=""), "not_registered", "Register with it first"),
        (lambda row: Account.objects.filter(provider=row).delete(), "not_registered", "Register with it first"),
    ],
    ids=["not-ready", "refused", "registering", "none"],
)  # fmt: skip
def test_one_that_cannot_take_orders_is_no_choice(
    make: Callable[[Provider], object], code: str, says: str, anna: HostingUser, second: Provider, now: datetime
) -> None:
    make(second)
    second.refresh_from_db()
    for call in (
        lambda: choices.choose_for_user(anna, second, by=None, now=now),
        lambda: choices.choose_for_feature_list(anna.feature_list, second, by=None, now=now),
        lambda: choices.set_fallbacks([second], by=None),
    ):
        with pytest.raises(ProviderProblem) as raised:
            call()
        assert raised.value.code == code
        assert says in raised.value.text
    assert not ProviderChoice.objects.exists()
    assert not choices.fallbacks()


def test_fallbacks_are_set_as_a_whole(second: Provider, provider: Provider, root: User) -> None:
    choices.set_fallbacks([second, provider], by=root)
    assert choices.fallbacks() == [second, provider]
    choices.set_fallbacks([provider], by=root)
    assert choices.fallbacks() == [provider]
    with pytest.raises(ProviderProblem, match="is named twice"):
        choices.set_fallbacks([second, second], by=root)
    assert choices.fallbacks() == [provider]
    choices.set_fallbacks([provider], by=root)
    choices.set_fallbacks([], by=root)
    assert [after for _event, _subject, after in audited()] == [
        {"fallbacks": ["second", "pebble"]},
        {"fallbacks": ["pebble"]},
        {"fallbacks": []},
    ]


def test_faults_are_counted_on_the_account_until_it_works_again(provider: Provider, now: datetime) -> None:
    account = provider.accounts.get()
    problem = {"type": "urn:ietf:params:acme:error:serverInternal", "text": "on fire"}
    for _ in range(2):
        assert choices.record_fault(account, problem, now=now).down_until is None
    until = now + timedelta(minutes=2)
    assert choices.record_fault(account, problem, now=now).down_until == until
    assert choices.record_fault(account, problem, now=now).faults == 3, "it began before the pause"
    account.refresh_from_db()
    assert (account.faults, account.down_since, account.down_until) == (3, now, until)
    assert account.down_problem == problem
    later = now + timedelta(seconds=1)
    assert choices.record_recovery(account, at=now - timedelta(seconds=1), now=later).faults == 3, "from before it"
    account.refresh_from_db()
    assert (account.faults, account.down_until, account.down_problem) == (3, until, problem)
    choices.record_recovery(account, at=later, now=later)
    account.refresh_from_db()
    assert (account.faults, account.down_since, account.down_until, account.down_problem) == (0, None, None, None)


def test_a_pause_that_a_wrong_clock_began_ends_with_any_work(provider: Provider, now: datetime) -> None:
    account = provider.accounts.get()
    ahead = now + timedelta(days=400)
    for _ in range(3):
        choices.record_fault(account, {"code": "ca_unreachable", "text": ""}, now=ahead)
    assert choices.record_recovery(account, at=now, now=now).faults == 0


def test_a_site_is_taken_over_when_somebody_says_so(anna: HostingUser, root: User, now: datetime) -> None:
    host = VirtualHost.objects.get()
    assert set_takeover(host, True, by=root, now=now)
    assert host.takeover
    assert due(now) == ["anna.example"]
    VirtualHost.objects.update(next_at=None)
    assert not set_takeover(host, True, by=root, now=now)
    assert due(now) == []
    assert set_takeover(host, False, by=root, now=now)
    assert audited() == [
        ("site:takeover", "anna.example", {"takeover": True}),
        ("site:takeover", "anna.example", {"takeover": False}),
    ]


def test_a_provider_that_is_left_alone_is_tried_at_once_when_a_person_says_so(
    anna: HostingUser, provider: Provider, root: User, now: datetime
) -> None:
    account = Account.objects.get(provider=provider)
    assert not choices.try_now(account, by=root, now=now)
    for _ in range(3):
        choices.record_fault(account, {"code": "ca_server", "text": "503"}, now=now)
    host = anna.virtual_hosts.get()
    later = now + timedelta(minutes=2)
    VirtualHost.objects.update(
        held_until=later, held_reason="providers_down", next_at=later, next_reason="providers_down"
    )
    assert choices.try_now(account, by=root, now=now)
    account.refresh_from_db()
    assert (account.faults, account.down_until) == (3, now), "it is on probation: one order at a time"
    host.refresh_from_db()
    assert (host.held_until, host.held_reason, host.next_at, host.next_reason) == (None, "", now, "changed")
    assert not choices.try_now(account, by=root, now=now)
    assert [entry[0] for entry in audited()] == ["provider:tried"]
    choices.record_fault(account, {"code": "ca_server", "text": "503"}, now=now)
    account.refresh_from_db()
    assert account.down_until == now + timedelta(minutes=4), "and for longer where that fails, too"


def test_trying_a_provider_leaves_sites_alone_that_wait_for_something_else(
    anna: HostingUser, provider: Provider, now: datetime
) -> None:
    account = Account.objects.get(provider=provider)
    Account.objects.update(faults=3, down_since=now, down_until=now + timedelta(hours=1))
    later = now + timedelta(hours=3)
    VirtualHost.objects.update(held_until=later, held_reason="rate_limited", next_at=later, next_reason="rate_limited")
    assert choices.try_now(account, by=None, now=now)
    host = anna.virtual_hosts.get()
    assert (host.held_until, host.next_at) == (later, later)


def test_who_decides_over_some_users_sites_reads_nobody_elses_choice(
    server: Server,
    second: Provider,
    provider: Provider,
    make_user: Make,
    monkeypatch: pytest.MonkeyPatch,
    now: datetime,
) -> None:
    users = [make_user(name) for name in ("anna", "bert", "cleo", "dora")]
    for user in users:
        choices.choose_for_user(user, second, by=None, now=now)
    choices.choose_for_feature_list(users[0].feature_list, second, by=None, now=now)
    anna, _bert, cleo, dora = (user.pk for user in users)
    lists = {users[0].feature_list_id}
    options.current(server)
    for few in (policies.FEW, 1):
        monkeypatch.setattr(policies, "FEW", few)
        with CaptureQueriesContext(connection) as asked:
            found = policies.read(server, {cleo, dora})
        assert (set(found.by_user), set(found.by_list)) == ({cleo, dora}, lists)
        assert len(asked) <= 4
        assert set(policies.read(server, {anna}).by_user) == {anna}
        assert (set(policies.read(server, set()).by_user), set(policies.read(server).by_user)) == (
            set(),
            {user.pk for user in users},
        )
