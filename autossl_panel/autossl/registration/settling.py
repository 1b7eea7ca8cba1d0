"""Which key counts, where a change of an account's key was broken off; and clients made with a key at hand."""

import time
from contextlib import closing, suppress

from autossl_panel import ca
from autossl_panel.ca import account as ca_account

from .. import pacing
from ..models import Account, Provider
from . import keys
from .keys import Next

# Seconds after which a request that was broken off has reached the CA, or never will
UNDER_WAY = 600.0


def new_client(provider: Provider, key: bytes, url: str | None = None) -> ca.Client:
    """A client of the provider's CA that signs with `key`, at the pace that the CA allows all who ask it."""
    gate = pacing.pace(provider)
    return ca.Client(provider.directory_url, key, url, ca_bundle=keys.bundle(provider), gate=gate)


def take_over(account: Account, following: Next) -> None:
    with suppress(FileNotFoundError):  # another process has settled it in the same moment
        keys.promote(account, following)
    account.thumbprint = ca_account.thumbprint(keys.path(account).read_bytes())
    if account.problem and account.problem["code"] == "roll":
        account.problem = None


def settle(account: Account, *, rolling: bool = False) -> bool:
    """Where a change of key was broken off: find out which key counts, and use that. True where the new one does.

    Raises CaProblem where the CA cannot be asked. A new key that the CA does not know is kept for a while: its request
    may still be on the way.
    """
    anew, rolled = keys.path(account, Next.ANEW), keys.path(account, Next.ROLLED)
    if anew.exists() and ca_account.thumbprint(anew.read_bytes()) == account.thumbprint:
        take_over(account, Next.ANEW)
        return True
    try:
        key, made_at = rolled.read_bytes(), rolled.stat().st_mtime
    except FileNotFoundError:
        return False
    with closing(new_client(account.provider, key)) as asking:
        known = asking.find_account()
    if known == account.url:
        take_over(account, Next.ROLLED)
        account.save(update_fields=["thumbprint", "problem"])
        return True
    if not rolling and time.time() - made_at > UNDER_WAY:
        keys.drop(account, Next.ROLLED)
    return False
