"""A change of the settings of a provider that is in force: it holds once its directory was read with it, not before.

Rows only; who reads directories is `registration`. A provider that was never in force has its draft on the row itself.
"""

import hashlib
from collections.abc import Mapping
from copy import copy
from typing import Any

from autossl_panel import sentences
from autossl_panel.people import audit

from . import limits
from .models import Account, Provider, ProviderState

SETTINGS = ("directory_url", "ca_bundle", "private_ca", "max_names")
BINDING = ("eab_kid", "eab_hmac_key")


def facts(provider: Provider) -> dict[str, object]:
    """What the audit trail says of a provider: of an HMAC key only that there is one."""
    bundle = provider.ca_bundle.encode()
    return {
        "directory_url": provider.directory_url,
        "ca_bundle": f"SHA-256 {hashlib.sha256(bundle).hexdigest()[:16]}" if bundle else "",
        "private_ca": provider.private_ca,
        "max_names": provider.max_names,
        "eab_kid": provider.eab_kid,
        "eab_hmac_key": "kept for the next registration" if provider.eab_hmac_key else "",
    }


def in_force(provider: Provider) -> bool:
    """Whether it may be ordered from by what stands on its row, which nothing untried may replace."""
    return provider.state == ProviderState.READY or provider.accounts.exclude(url="").exists()


def hold(provider: Provider, settings: Mapping[str, Any], binding: Mapping[str, Any] | None) -> None:
    """Put a change on the row, locked by the caller, without saving; `binding` None leaves what binds the account."""
    before = provider.draft or {}
    kept = {name: before[name] for name in BINDING if name in before} if binding is None else binding
    provider.draft = {**settings, **kept, "problem": None}


def wished(provider: Provider) -> Provider:
    """The provider as its change would have it; never to be saved."""
    twin = copy(provider)
    for name in (*SETTINGS, *BINDING):
        if provider.draft is not None and name in provider.draft:
            setattr(twin, name, provider.draft[name])
    return twin


def pending(provider: Provider) -> bool:
    """Whether a worker has to find out about its change."""
    return provider.draft is not None and provider.draft["problem"] is None


def problem(provider: Provider) -> dict[str, str] | None:
    """Why what was typed last was refused, as {"field", "code", "text"}: a change, or the provider itself."""
    if provider.draft is not None:
        told: dict[str, str] | None = provider.draft["problem"]
        return told
    return provider.problem if provider.state == ProviderState.REFUSED else None


def another_ca(provider: Provider, directory_url: str) -> dict[str, str] | None:
    """Why this provider, locked by the caller, cannot lead to that directory: orders and certificates are of the CA
    that it had. None where it can."""
    if directory_url == provider.directory_url or not provider.orders.exists():
        return None
    return {"field": "name", "code": "invalid", "text": sentences.say("another_provider", name=provider.name)}


def refuse(provider: Provider, draft: Mapping[str, Any], why: Mapping[str, str]) -> None:
    """The change came to nothing: it stays to be mended, unless another was typed meanwhile; what was holds on."""
    row = Provider.objects.select_for_update().get(pk=provider.pk)
    if row.draft == draft:
        Provider.objects.filter(pk=row.pk).update(draft={**draft, "problem": dict(why)})


def take_over(provider: Provider, draft: Mapping[str, Any]) -> Provider | None:
    """The change works: it holds from here on. None where another was typed meanwhile, or where it is refused, since
    something was ordered from the CA that this one would replace. In a transaction."""
    if draft["directory_url"] != provider.directory_url:
        limits.hold_still(provider)
    row = Provider.objects.select_for_update().get(pk=provider.pk)
    if row.draft != draft:
        return None
    before, after = facts(row), wished(row)
    # Asked for a second time: orders went on while a worker read the directory.
    if (why := another_ca(row, after.directory_url)) is not None:
        refuse(row, draft, why)
        return None
    if after.directory_url != row.directory_url:
        # An account of another CA: this one has to be registered with, and agreed to, first. Nor is it what was stated.
        limits.leave(row)
        Account.objects.filter(provider=row).delete()
        row.active, row.stated = False, {}
    for name in (*SETTINGS, *BINDING):
        setattr(row, name, getattr(after, name))
    row.draft = None
    row.save(update_fields=[*SETTINGS, *BINDING, "active", "stated", "draft"])
    audit.record(None, "provider:changed", row.name, before=before, after=facts(row))
    return row
