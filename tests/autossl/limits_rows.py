"""Rows that tests of the CA's limits begin with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from autossl_panel import ca
from autossl_panel.autossl import limits
from autossl_panel.autossl.ledger import Asked, OrderKind, order
from autossl_panel.autossl.limits import Permit, Wait
from autossl_panel.autossl.models import Account, AccountStatus, Bucket, Provider
from autossl_panel.hosting.models import Server

HOUR, DAY = 3600, 86400
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)


def row(kind: str, number: int, seconds: int, *, continuous: bool = True) -> dict[str, Any]:
    """A limit as a provider's row has it."""
    return {"kind": kind, "number": number, "seconds": seconds, "continuous": continuous}


# What Let's Encrypt publishes
LETS_ENCRYPT = [
    row("orders", 300, 3 * HOUR),
    row("domain", 50, 7 * DAY),
    row("set", 5, 7 * DAY),
    row("failures", 5, HOUR),
    row("consecutive", 1152, 0, continuous=False),
    row("requests", 20, 1),
    row("registrations", 10, 3 * HOUR),
]


def again(account: Account) -> Account:
    """The account as its row is now."""
    return Account.objects.select_related("provider").get(pk=account.pk)


def new_account(provider: Provider) -> Account:
    """Another server's account at the same provider."""
    server = Server.objects.create(name=f"host{Server.objects.count()}.example")
    made = Account.objects.create(provider=provider, server=server, status=AccountStatus.VALID, url="https://ca/2")
    return again(made)


def names_of(kind: str) -> dict[str, int]:
    """How much is used by whom, of a kind."""
    return dict(Bucket.objects.filter(kind=kind, used__gt=0).values_list("subject", "used"))


@pytest.fixture
def account(provider: Provider, settings: Any, tmp_path: Path) -> Account:
    """An account at a CA that limits as Let's Encrypt does, with a state directory of its own."""
    settings.AUTOSSL_STATE_DIR = tmp_path
    limits.stops.look_again()
    Provider.objects.filter(pk=provider.pk).update(limits=LETS_ENCRYPT)
    return Account.objects.select_related("provider").get(provider=provider)


def take(
    account: Account, *names: str, kind: OrderKind = OrderKind.NEW, now: datetime = NOW, **more: Any
) -> Permit | Wait:
    """Ask for an order of these names."""
    return limits.take(account, order(kind, names, **more), now=now)


def used(account: Account, now: datetime = NOW) -> dict[str, int]:
    """How much the fullest of each kind uses."""
    return {str(one.kind): one.used for one in limits.usage(account, now=now).limits}


PAUSED = (
    "Your account is temporarily prevented from requesting certificates for a.com and possibly others. "
    "Please visit: https://portal.example/sfe/v1/unpause?jwt=abc.def"
)


def rate(detail: str, *, retry_after: datetime | None = None) -> ca.CaProblem:
    """A 429 in these words."""
    return ca.CaProblem(
        ca.ProblemKind.RATE, type="urn:ietf:params:acme:error:rateLimited", detail=detail, status=429,
        retry_after=retry_after,
    )  # fmt: skip


def hear(
    account: Account, problem: ca.CaProblem, *names: str, asked: Asked = Asked.NEW_ORDER, **more: Any
) -> tuple[limits.Heard, ...]:
    """The CA refused so; what was noted of it."""
    return limits.heard(account.provider, problem, asked, account=account, names=names, now=NOW, **more)
