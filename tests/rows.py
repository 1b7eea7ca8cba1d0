"""Rows that tests of the heart begin with."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Certificate,
    Installation,
    Provider,
    ProviderState,
)
from autossl_panel.hosting import servers
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Domain, HostingUser, Server, VirtualHost
from autossl_panel.people.models import Role, User


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def server(db: None) -> Server:
    return servers.this()


@pytest.fixture
def root(db: None) -> User:
    return User.objects.create(username="root", role=Role.ROOT)


@pytest.fixture
def provider(server: Server) -> Provider:
    """A provider that is in use; nobody answers at its directory."""
    row = Provider.objects.create(
        name="pebble", directory_url="https://127.0.0.1:1/dir", state=ProviderState.READY, private_ca=True, active=True
    )
    Account.objects.create(
        provider=row, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:1/account/1", thumbprint="t"
    )
    return row


@pytest.fixture
def make_user(server: Server) -> Callable[..., HostingUser]:
    def make(name: str, **fields: object) -> HostingUser:
        return HostingUser.objects.create(
            server=server, name=name, feature_list=hosting_users.default_feature_list(), **fields
        )

    return make


@pytest.fixture
def make_site(server: Server, now: datetime) -> Callable[..., VirtualHost]:
    """A virtual host with names; the first is its main domain."""

    def make(user: HostingUser, *names: str, **fields: object) -> VirtualHost:
        host = VirtualHost.objects.create(
            server=server, user=user, key=f"{names[0]}-00000000", name=names[0], appeared_at=now, **fields
        )
        Domain.objects.bulk_create(
            Domain(virtual_host=host, name=name, position=place) for place, name in enumerate(names)
        )
        return host

    return make


@pytest.fixture
def make_installed(now: datetime) -> Callable[..., Certificate]:
    """A certificate at a virtual host, by default a sound one of ours with 80 of 90 days left."""

    def make(host: VirtualHost, *names: str, days_left: float = 80, ours: bool = True, **fields: object) -> Certificate:
        not_after = now + timedelta(days=days_left)
        certificate = Certificate.objects.create(
            fingerprint=f"{host.pk:064x}",
            serial=f"{host.pk:x}",
            names=list(names),
            issuer="CN=test",
            not_before=not_after - timedelta(days=90),
            not_after=not_after,
            key_kind="ec",
            key_bits=256,
            ours=ours,
            **{"pem": "", **fields},
        )
        Installation.objects.create(virtual_host=host, certificate=certificate, since=now, key_matches=True)
        return certificate

    return make
