"""Rows for measuring: many users with many sites, each with its certificate installed and nothing due."""

import hashlib
from datetime import UTC, datetime, timedelta

from autossl_panel.autossl.models import Account, AccountStatus, Certificate, Installation, Outcome, Provider
from autossl_panel.autossl.models import ProviderState, Verdict
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Domain, HostingUser, Server, SiteState, VirtualHost

BATCH = 2000


def provider(server: Server) -> Provider:
    """A ready provider that is in use; nothing is ever asked of it."""
    row, _made = Provider.objects.get_or_create(
        name="bench",
        defaults={
            "directory_url": "https://127.0.0.1:1/dir",
            "state": ProviderState.READY,
            "active": True,
            "private_ca": True,
        },
    )
    Account.objects.get_or_create(
        provider=row, server=server, defaults={"status": AccountStatus.VALID, "url": "https://127.0.0.1:1/acct/1"}
    )
    return row


def settled(server: Server, users: int, sites_each: int) -> None:
    """`users` × `sites_each` virtual hosts of a name and its www, all secured for months."""
    now = datetime.now(UTC)
    source = provider(server)
    feature_list = hosting_users.default_feature_list()
    owners = HostingUser.objects.bulk_create(
        [HostingUser(server=server, name=f"user{n:05}", feature_list=feature_list) for n in range(users)], BATCH
    )
    hosts = VirtualHost.objects.bulk_create(
        [
            VirtualHost(
                server=server, user=owner, key=f"{owner.name}-{m}.example-{n * sites_each + m:08x}",
                name=f"site{m}.{owner.name}.example", docroot=f"/home/{owner.name}/site{m}", file="/etc/nginx/nginx.conf",
                listens=[{"address": "*", "port": 443, "ssl": True, "default": False}], tls=True, attached=True,
                appeared_at=now, state=SiteState.SECURED, names_wanted=2, names_covered=2,
            )
            for n, owner in enumerate(owners)
            for m in range(sites_each)
        ],
        BATCH,
    )  # fmt: skip
    names = [
        Domain(virtual_host=host, name=name, added=bool(position), position=position)
        for host in hosts
        for position, name in enumerate((host.name, f"www.{host.name}"))
    ]
    names = Domain.objects.bulk_create(names, BATCH)
    Verdict.objects.bulk_create(
        [Verdict(domain=name, at=now, outcome=Outcome.PASS, last_passed_at=now) for name in names], BATCH
    )
    certificates = Certificate.objects.bulk_create(
        [
            Certificate(
                fingerprint=hashlib.sha256(host.name.encode()).hexdigest(), serial=f"{number:x}",
                names=[host.name, f"www.{host.name}"], issuer="CN=bench", not_before=now - timedelta(days=10),
                not_after=now + timedelta(days=80), key_kind="ec", key_bits=256, signature_hash="sha256", pem="",
                provider=source, ours=True,
            )
            for number, host in enumerate(hosts)
        ],
        BATCH,
    )  # fmt: skip
    Installation.objects.bulk_create(
        [
            Installation(virtual_host=host, certificate=certificate, since=now, key_matches=True)
            for host, certificate in zip(hosts, certificates, strict=True)
        ],
        BATCH,
    )
