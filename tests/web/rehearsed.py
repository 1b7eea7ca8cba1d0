"""Rehearsals of the scene: one that went through, one that stopped, one that is at work; as a worker leaves them."""

from __future__ import annotations

from datetime import timedelta

from autossl_panel.autossl import rehearsal
from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Level,
    Provider,
    ProviderState,
    Rehearsal,
    RehearsalLine,
    RehearsalOutcome,
    RehearsalSite,
)
from autossl_panel.hosting.models import VirtualHost
from tests.web.scene import Scene

DIRECTORY = "https://acme-staging-v02.api.letsencrypt.org/directory"
TERMS = "https://letsencrypt.org/documents/LE-SA-v1.5.pdf"


def read(scene: Scene) -> Provider:
    """The staging directory of the provider in use is known, and has been read."""
    scene.provider.refresh_from_db()
    scene.provider.stated = {**scene.provider.stated, "staging": DIRECTORY}
    scene.provider.save()
    row = Provider.objects.filter(directory_url=DIRECTORY).first() or rehearsal.read_directory(
        scene.provider, by=None, ring=False
    )
    row.display_name, row.state, row.terms_url = "Let’s Encrypt (staging)", ProviderState.READY, TERMS
    row.stated = {"validity_days": 90, "trial": True}
    row.save()
    return row


def add(scene: Scene) -> Rehearsal:
    """The one that went through."""
    row = read(scene)
    account = Account.objects.create(
        provider=row,
        server=scene.server,
        status=AccountStatus.VALID,
        url=f"{DIRECTORY}/acct/77",
        terms_url=TERMS,
        terms_agreed_at=scene.now - timedelta(days=1),
        use_then=False,
    )
    _made(scene, account, hours=30, problem={"code": "ca_unreachable", "text": "Connection refused."})
    found = _made(scene, account, hours=2)
    hosts = VirtualHost.objects.filter(name__in=("amberfield.example", "junipershop.example", "northwind.example"))
    for place, host in enumerate(hosts.order_by("name")):
        moved = host.name == "northwind.example"
        RehearsalSite.objects.create(
            rehearsal=found,
            virtual_host=host,
            position=place,
            outcome=RehearsalOutcome.FAILED if moved else RehearsalOutcome.ISSUED,
            reason="dcv_all_failed" if moved else "",
            names=[] if moved else [host.name, f"www.{host.name}"],
            left_out=[[host.name, "elsewhere"]] if moved else [],
            issuer="" if moved else "CN=(STAGING) Counterfeit Cashew R10,O=Let's Encrypt,C=US",
            serial="" if moved else f"{host.pk:032x}",
            links=0 if moved else 2,
            not_after=None if moved else scene.now + timedelta(days=90),
            ended_at=scene.now - timedelta(hours=2),
        )
    said = (
        (Level.OUT, 0, "rehearsal:started", {"provider": "Let’s Encrypt", "directory": DIRECTORY, "sites": 3}),
        (Level.OUT, 0, "rehearsal:account", {"account": account.url}),
        (Level.OUT, 1, "rehearsal:site", {"site": "amberfield.example", "user": "amberfield"}),
        (Level.OUT, 2, "dcv:passed", {"name": "amberfield.example", "addresses": "203.0.113.10"}),
        (
            Level.SUCCESS,
            2,
            "rehearsal:issued",
            {"issuer": "Counterfeit Cashew R10", "names": "amberfield.example", "not_after": "2027-02-21 02:44 UTC"},
        ),
        (Level.WARN, 2, "dcv:failed", {"name": "northwind.example", "reason": "elsewhere", "found": {}}),
        (Level.FAILURE, 2, "rehearsal:failed", {"site": "northwind.example", "reason": "dcv_all_failed", "text": ""}),
        (Level.WARN, 0, "rehearsal:ended", {"issued": 2, "sites": 3}),
    )
    for seq, (level, depth, event, data) in enumerate(said, 1):
        RehearsalLine.objects.create(
            rehearsal=found, seq=seq, at=found.asked_at, level=level, depth=depth, event=event, data=data
        )
    return found


def _made(scene: Scene, account: Account, *, hours: int, problem: dict[str, str] | None = None) -> Rehearsal:
    at = scene.now - timedelta(hours=hours)
    return Rehearsal.objects.create(
        server=scene.server,
        provider=scene.provider,
        account=account,
        directory_url=DIRECTORY,
        asked_by=scene.root,
        asked_at=at,
        ended_at=at + timedelta(seconds=14),
        problem=problem,
    )
