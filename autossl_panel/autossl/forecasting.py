"""When the last of many re-issues could be placed, by what holds now: to decide by, never a promise. Reads only."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, QuerySet

from autossl_panel.hosting.models import Server, SiteState, VirtualHost

from . import limits, policies
from .ledger import HEADROOM, Kind, Ledger, OrderKind, Purpose, Wait, Wish
from .limits import limits_of, rows
from .models import Account, Installation, Provider

# Requests of an order with two names
REQUESTS = 9
# What an order takes where none was measured
USUAL = 5.0
# So many orders are tried on the ledger; of more, the rest is reckoned at the pace of these
TRIED = 5000


@dataclass(frozen=True, slots=True)
class Share:
    """What one account is asked for: so many certificates, and how many of them another CA has issued."""

    account: Account
    certificates: int
    strange: int = 0


@dataclass(frozen=True, slots=True)
class Reissue:
    """What a re-issue means: so many certificates, the last of them at `until`, if it is known who would be asked."""

    certificates: int
    until: datetime | None


def reissue(server: Server, key_type: str, now: datetime) -> Reissue:
    """How many certificates have another key type than this one, and when the last of them would be issued anew, at
    the earliest: each from the provider that its user, feature list or server has.
    """
    sites = _sites(server, key_type)
    number = sites.count()
    ends = [until(share, now) for share in _shares(server, sites)] if number else []
    return Reissue(number, max(ends, default=None))


def until(share: Share, now: datetime) -> datetime:
    """When one account would have issued the last of its share.

    Those of its own CA are renewals of the same names, which only its pace holds; the others are new to it.
    """
    account, provider = share.account, share.account.provider
    paced = now + timedelta(seconds=share.certificates / _pace(provider, account))
    if not share.strange:
        return paced
    ca_time = now + timedelta(seconds=provider.clock_offset)
    ledger = limits.forecast(account, now=ca_time)
    last = _last_of(ledger, share.strange, rows.seconds(ca_time)) - provider.clock_offset
    return max(paced, rows.moment(last))


def _sites(server: Server, key_type: str) -> QuerySet[VirtualHost]:
    """The sites that the census counts as having another key type."""
    there = VirtualHost.objects.filter(server=server, gone_at__isnull=True)
    return there.exclude(state=SiteState.OFF).exclude(key_type__in=("", key_type))


def _shares(server: Server, sites: QuerySet[VirtualHost]) -> list[Share]:
    """The sites by who is asked, as `policies` has it: the user's provider, else the list's, else the active one."""
    accounts = {account.provider_id: account for account in policies.accounts_of(server)}
    active = next((account for account in accounts.values() if account.provider.active), None)
    if active is None:
        return []

    def asked(own: int | None, of_list: int | None) -> Account:
        return accounts.get(own or 0) or accounts.get(of_list or 0) or active

    numbers: dict[int, int] = {}
    for own, of_list, number in _by_choice(sites):
        pk = asked(own, of_list).provider_id
        numbers[pk] = numbers.get(pk, 0) + number
    strange: dict[int, int] = {}
    issuers = {pk for pk, account in accounts.items() if account.measured and account.measured["issued"]}
    if any(issuers - {pk} for pk in numbers):  # else there is no other CA's certificate
        for own, of_list, issuer, number in _by_choice_and_issuer(sites):
            pk = asked(own, of_list).provider_id
            strange[pk] = strange.get(pk, 0) + (number if issuer != pk else 0)
    return [Share(accounts[pk], number, strange.get(pk, 0)) for pk, number in numbers.items()]


CHOICES = ("user__provider_choice__provider", "user__feature_list__provider_choice__provider")


def _by_choice(sites: QuerySet[VirtualHost]) -> list[tuple[int | None, int | None, int]]:
    """Sites by their user's and their feature list's choice of a provider."""
    return list(sites.order_by().values_list(*CHOICES).annotate(n=Count("pk")))


def _by_choice_and_issuer(sites: QuerySet[VirtualHost]) -> list[tuple[int | None, int | None, int | None, int]]:
    """Their certificates of ours, also by the provider that issued them."""
    ours = Installation.objects.filter(until__isnull=True, certificate__ours=True, virtual_host__in=sites)
    own, of_list = (F(f"virtual_host__{choice}") for choice in CHOICES)
    counted = ours.order_by().values_list(own, of_list, "certificate__provider").annotate(n=Count("pk"))
    return list(counted)


def _pace(provider: Provider, account: Account) -> float:
    """Orders a second: as many at once as go, and no more requests than the CA takes."""
    took = (account.measured or {}).get("seconds") or USUAL
    pace = provider.max_in_flight / max(took, 0.1)
    limit = next((one for one in limits_of(provider) if one.kind is Kind.REQUESTS), None)
    return pace if limit is None else min(pace, limit.allowed / limit.span / REQUESTS)


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
