"""What the scene lacks for Providers and Options: every CA, measurements, limits in use, fallbacks, patterns."""

from dataclasses import dataclass
from datetime import timedelta

from autossl_panel.autossl import registration
from autossl_panel.autossl.ledger import Kind
from autossl_panel.autossl.limits.rows import NEVER, shared_owner
from autossl_panel.autossl.models import Account, AccountStatus, Bucket, Provider, ProviderChoice, ProviderState
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import Role, User
from tests.web.scene import Scene


@dataclass(slots=True)
class Made:
    """Providers beside the one in use, and its account."""

    account: Account
    zerossl: Provider
    second: Account


def build(scene: Scene) -> Made:
    """Every preset; ZeroSSL registered and a fallback; the account in use with a history."""
    registration.seed()
    now = scene.now
    Provider.objects.filter(name="letsencrypt").update(
        answer={"at": (now - timedelta(minutes=9)).isoformat(), "ms": 84, "text": ""}
    )
    Account.objects.filter(provider=scene.provider).update(
        registered_at=now - timedelta(days=260),
        terms_agreed_by="root",
        thumbprint="Zk0p1xq7s3nT2uVbCd4eFgHiJkLmNoPqRsTuVwXyZ01",
        measured=measured(scene, 1204, 2.1, failed=3),
    )
    zerossl = Provider.objects.get(name="zerossl")
    Provider.objects.filter(pk=zerossl.pk).update(
        state=ProviderState.READY,
        terms_url="https://zerossl.com/terms",
        checked_at=now - timedelta(hours=2),
        eab_required=True,
        fallback=1,
    )
    second = Account.objects.create(
        provider=zerossl,
        server=scene.server,
        status=AccountStatus.VALID,
        url="https://acme.zerossl.com/v2/DV90/account/hG7q",
        registered_at=now - timedelta(days=50),
        terms_url="https://zerossl.com/terms",
        terms_agreed_at=now - timedelta(days=50),
        measured=measured(scene, 31, 250.0, failed=0),
    )
    starter = FeatureList.objects.get(name="starter")
    ProviderChoice.objects.create(provider=zerossl, feature_list=starter)
    ProviderChoice.objects.create(provider=zerossl, user=HostingUser.objects.get(name="amberfield"))
    VirtualHost.objects.filter(user__name__in=("junipershop", "greenmile")).update(names_wanted=4, names_covered=4)
    account = Account.objects.get(provider=scene.provider)
    _limits(scene, account)
    zerossl.refresh_from_db()
    return Made(account, zerossl, second)


def measured(scene: Scene, issued: int, seconds: float, *, failed: int) -> dict[str, object]:
    at = (scene.now - timedelta(minutes=3)).isoformat()
    return {"at": at, "issued": issued, "seconds": seconds, "of": 100, "failed": failed, "placed": issued}


def _limits(scene: Scene, account: Account) -> None:
    """A third of the orders, most of one domain, two failures of a name."""
    moment = scene.now.timestamp() - 600
    mine, all_accounts = f"a:{account.pk}", shared_owner(account.provider)
    rows = (
        (mine, Kind.ORDERS, "", 96, 3 * 3600),
        (all_accounts, Kind.DOMAIN, "northwind.example", 31, 7 * 86400),
        (all_accounts, Kind.DOMAIN, "bluefjord.example", 4, 7 * 86400),
        (mine, Kind.FAILURES, "shop1.hallsteadt.example", 2, 3600),
    )
    for owner, kind, subject, used, seconds in rows:
        Bucket.objects.create(
            owner=owner,
            kind=kind,
            subject=subject,
            entries=[[moment, used]],
            used=used,
            mark=moment,
            empty_at=scene.now + timedelta(seconds=seconds - 600),
        )


def pause_name(account: Account, name: str) -> Bucket:
    """The CA has paused a name."""
    return Bucket.objects.create(
        owner=f"a:{account.pk}",
        kind=Kind.CONSECUTIVE,
        subject=name,
        blocked_until=NEVER,
        blocked_detail=f"{name} failed too often.",
        blocked_url="https://ca.example/unpause?jwt=ey",
    )


def patterns(scene: Scene) -> None:
    """One of each level."""
    reseller = User.objects.get(username="harborweb", role=Role.RESELLER)
    levels = (
        ("blog*.northwind.example", Level(scene.server)),
        ("*.preview.example", Level(scene.server, owner=reseller)),
        ("shop1.*", Level(scene.server, feature_list=FeatureList.objects.get(name="business"))),
        ("*.quarrybank.example", Level(scene.server, user=HostingUser.objects.get(name="quarrybank"))),
    )
    for text, level in levels:
        exclusion_patterns.add_pattern(text, level, by=scene.root, now=scene.now)
