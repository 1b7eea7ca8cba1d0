"""When the last of many re-issues could be placed, by what holds now: to decide by, never a promise. Reads only."""

from datetime import datetime, timedelta

from autossl_panel.hosting.models import Server

from . import limits, providers
from .ledger import HEADROOM, Kind, Ledger, OrderKind, Purpose, Wait, Wish
from .limits import limits_of, rows
from .models import Account, Installation, Provider

# Requests of an order with two names
REQUESTS = 9
# What an order takes where none was measured
USUAL = 5.0
# So many orders are tried on the ledger; of more, the rest is reckoned at the pace of these
TRIED = 5000


def reissue_until(server: Server, number: int, now: datetime) -> datetime | None:
    """When the last of `number` certificates would be issued anew, at the earliest; None without a provider in use.

    Those of the CA in use are renewals of the same names, which only its pace holds; the others are new to it.
    """
    found = providers.active(server)
    if found is None or not number:
        return None
    provider, account = found
    until = now + timedelta(seconds=number / _pace(provider, account))
    strange = min(number, _of_other_cas(server, provider))
    if strange:
        ca_time = now + timedelta(seconds=provider.clock_offset)
        ledger = limits.forecast(account, now=ca_time)
        last = _last_of(ledger, strange, rows.seconds(ca_time)) - provider.clock_offset
        until = max(until, rows.moment(last))
    return until


def _pace(provider: Provider, account: Account) -> float:
    """Orders a second: as many at once as go, and no more requests than the CA takes."""
    took = (account.measured or {}).get("seconds") or USUAL
    pace = provider.max_in_flight / max(took, 0.1)
    limit = next((one for one in limits_of(provider) if one.kind is Kind.REQUESTS), None)
    return pace if limit is None else min(pace, limit.allowed / limit.span / REQUESTS)


def _of_other_cas(server: Server, provider: Provider) -> int:
    """How many of our certificates another CA has issued; asked only where one ever did."""
    others = Account.objects.filter(server=server).exclude(provider=provider).exclude(measured=None)
    if not any(account.measured and account.measured["issued"] for account in others):
        return 0
    ours = Installation.objects.filter(until__isnull=True, virtual_host__server=server, certificate__ours=True)
    return ours.exclude(certificate__provider=provider).count()


def _last_of(ledger: Ledger, number: int, at: float) -> float:
    """When the account's limit on new orders lets the last of so many pass, beside all that it is kept free for."""
    key = (Kind.ORDERS, "")
    wish = Wish(OrderKind.NEW, (), (key,), (key,), HEADROOM[Purpose.REISSUE])
    began, tried = at, min(number, TRIED)
    for _ in range(tried):
        while isinstance(answer := ledger.ask(wish, at), Wait):
            if answer.until is None:
                return at
            at = answer.until
    return began + (at - began) * number / tried
