"""What a provider offers this server, read from its row and its account's: facts for `scoring`. Reads no other rows."""

from datetime import datetime

from .census import Census
from .ledger import HEADROOM, Kind, Purpose
from .limits import limits_of
from .models import Account, Provider, ProviderState
from .scoring import DAY, Offer


def of(provider: Provider, account: Account | None, census: Census, now: datetime, *, only_private: int = 0) -> Offer:
    """The offer of a provider, with this server's account where there is one.

    `only_private`: sites with names that no public CA certifies.
    """
    measured = (account.measured if account is not None else None) or {}
    contacted = was_read(provider)
    return Offer(
        over=census.over(provider.max_names),
        orders_a_day=orders_a_day(provider),
        seconds=measured.get("seconds"),
        says=provider.stated.get("delivery", ""),
        ari=bool(provider.renewal_info_url) if contacted else None,
        failed=measured.get("failed", 0),
        placed=measured.get("placed", 0),
        down=is_down(account, now),
        bound=_bound(provider, account, contacted=contacted),
        wildcard=provider.stated.get("wildcard"),
        private=0 if provider.private_ca else only_private,
    )


def was_read(provider: Provider) -> bool:
    """Whether its directory ever answered: else what it says of itself is not known, whatever the row's fields hold."""
    if provider.state == ProviderState.NEW or provider.checked_at is None:
        return False
    said = (provider.terms_url, provider.website, provider.profiles, provider.caa_identities, provider.renewal_info_url)
    return provider.state == ProviderState.READY or provider.eab_required or any(said)


def orders_a_day(provider: Provider) -> float | None:
    """New orders that its limits leave to ordinary work in a day, inf where it has none; None where nobody knows."""
    found = limits_of(provider)
    limit = next((one for one in found if one.kind is Kind.ORDERS), None)
    if limit is not None:
        return limit.allowed * (1 - HEADROOM[Purpose.ORDINARY]) * DAY / limit.seconds
    return float("inf") if found or provider.limits is not None else None


def is_down(account: Account | None, now: datetime) -> bool:
    """Whether the CA failed so often in a row that it is left alone at `now`."""
    return account is not None and account.down_until is not None and account.down_until > now


def _bound(provider: Provider, account: Account | None, *, contacted: bool) -> bool | None:
    if account is not None and account.url:
        return True
    if contacted:
        return not provider.eab_required
    stated: bool | None = provider.stated.get("eab")
    return None if stated is None else not stated
