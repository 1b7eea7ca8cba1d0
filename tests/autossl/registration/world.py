"""What tests of accounts at a real CA share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from autossl_panel.autossl import registration
from autossl_panel.autossl.models import Account
from autossl_panel.autossl.registration import keys
from autossl_panel.autossl.registration.keys import Next

Make = Callable[..., Any]


def order_url(account: Account, name: str = "kept.example.com") -> str:
    with closing(registration.client(account)) as client:
        return client.new_order([name]).url


def works(account: Account, url: str = "") -> bool:
    """Whether the CA takes what is signed for the account, and knows this order of it."""
    with closing(registration.client(account)) as client:
        return client.order(url or client.new_order(["again.example.com"]).url).status == "pending"


def changed_at_the_ca(account: Account) -> bytes:
    """As a worker that died right after the CA had changed the key: the new one lies beside the old one."""
    new = keys.made(account, Next.ROLLED)
    with closing(registration.client(account)) as client:
        client.change_key(new)
    return new
