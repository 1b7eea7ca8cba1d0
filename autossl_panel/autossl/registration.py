"""The network half of providers: reading a directory, registering an account. Run by workers and commands only."""

import contextlib
import logging
import os
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from autossl_panel import ca
from autossl_panel.ca import account as ca_account
from autossl_panel.ca import directory, presets
from autossl_panel.hosting.models import Server

from . import providers
from .models import Account, AccountStatus, Provider, ProviderState
from .policy.needs import CLOCK_TOLERANCE

log = logging.getLogger("autossl_panel.registration")

FIELDS = {
    ca.ProblemKind.TERMS: ("agree_terms", "terms"),
    ca.ProblemKind.EAB: ("eab_kid", "eab"),
    ca.ProblemKind.ACCOUNT: ("provider", "account"),
}


def seed() -> int:
    """Add the well-known CAs that are not in the table yet, not contacted; returns how many."""
    added = 0
    for place, preset in enumerate(presets.PRESETS, 100):
        _row, made = Provider.objects.get_or_create(
            name=preset.slug,
            defaults={
                "display_name": preset.display_name,
                "directory_url": preset.directory_url,
                "private_ca": preset.private_ca,
                "max_names": preset.max_names,
                "stated": {
                    "validity_days": preset.validity_days,
                    "wildcard": preset.wildcard,
                    "eab": preset.eab,
                    "note": preset.note,
                },
                "state": ProviderState.NEW,
                "position": place,
            },
        )
        added += made
    return added


def probe(provider: Provider) -> Provider:
    """Read the provider's directory; the row says ready with what was read, or refused with the problem."""
    now = timezone.now()
    try:
        facts = directory.probe(provider.directory_url, ca_bundle=ca_bundle_path(provider), now=now)
    except ca.CaProblem as problem:
        provider.state = ProviderState.REFUSED
        field = "ca_bundle" if problem.short_type == "bundle" else "directory_url"
        provider.problem = {"field": field, "code": str(problem.kind), "text": str(problem)}
    else:
        provider.state = ProviderState.READY
        provider.problem = None
        provider.terms_url = facts.terms_url or ""
        provider.website = facts.website or ""
        provider.eab_required = facts.eab_required
        provider.caa_identities = list(facts.caa_identities)
        provider.profiles = dict(facts.profiles)
        provider.renewal_info_url = facts.renewal_info or ""
        provider.clock_offset = facts.date_offset.total_seconds()
    provider.checked_at = now
    provider.save(
        update_fields=[
            "state",
            "problem",
            "terms_url",
            "website",
            "eab_required",
            "caa_identities",
            "profiles",
            "renewal_info_url",
            "clock_offset",
            "checked_at",
        ]
    )
    return provider


def look_at_clock(server: Server) -> None:
    """Ask the CA for the time again where this host's clock was off when it last was: nothing else would tell.

    A CA that does not answer leaves it as it was.
    """
    found = providers.active(server)
    if found is None or abs(found[0].clock_offset) <= CLOCK_TOLERANCE.total_seconds():
        return
    provider = found[0]
    try:
        facts = directory.probe(provider.directory_url, ca_bundle=ca_bundle_path(provider), now=timezone.now())
    except ca.CaProblem as problem:
        log.warning("the clock of %s could not be asked for: %s", provider, problem)
        return
    Provider.objects.filter(pk=provider.pk).update(clock_offset=facts.date_offset.total_seconds())


def register(account: Account) -> Account:
    """Register (the same key gives the same account) and use the provider from now on; or say why not on the row."""
    provider = account.provider
    eab = (provider.eab_kid, provider.eab_hmac_key) if provider.eab_hmac_key else None
    contact = [f"mailto:{account.contact}"] if account.contact else []
    key = account_key(account)
    try:
        with contextlib.closing(
            ca.Client(provider.directory_url, key, None, ca_bundle=ca_bundle_path(provider))
        ) as new:
            url = new.register(contact=contact, agree_terms=account.terms_agreed_at is not None, eab=eab)
    except ca.CaProblem as problem:
        field, code = FIELDS.get(problem.kind, ("provider", str(problem.kind)))
        account.status = AccountStatus.REFUSED
        account.problem = {"field": field, "code": code, "text": str(problem)}
        account.save(update_fields=["status", "problem"])
        return account
    with transaction.atomic():
        account.url = url
        account.status = AccountStatus.VALID
        account.problem = None
        account.thumbprint = ca_account.thumbprint(key)
        account.save(update_fields=["url", "status", "problem", "thumbprint"])
        # The HMAC key has done its work; many CAs take it once only.
        Provider.objects.filter(pk=provider.pk).update(eab_hmac_key="")
        providers.activate(provider)
    return account


def account_key(account: Account) -> bytes:
    """The account's private key in PEM form, from its file in the state directory (0600), made there when missing."""
    path = _key_path(account)
    if not path.exists():
        _write_once(path, ca_account.new_account_key())
    return path.read_bytes()


def _key_path(account: Account) -> Path:
    return accounts_dir() / f"{account.provider_id}-{account.server_id}.pem"


def client(account: Account) -> ca.Client:
    """A client for one thread, on the account. Raises CaProblem (ACCOUNT) where its key is lost or cannot be read."""
    provider = account.provider
    try:
        key = _key_path(account).read_bytes()
    except OSError as error:
        text = f"The account key cannot be read ({error}). Choose the provider again to register a new account."
        raise ca.CaProblem(ca.ProblemKind.ACCOUNT, type="urn:autossl-panel:error:key", detail=text) from error
    return ca.Client(provider.directory_url, key, account.url, ca_bundle=ca_bundle_path(provider))


def accounts_dir() -> Path:
    path: Path = settings.AUTOSSL_STATE_DIR / "accounts"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def ca_bundle_path(provider: Provider) -> Path | None:
    """A file with the provider's CA bundle, kept in step with the row; None where the system's roots serve."""
    if not provider.ca_bundle:
        return None
    path: Path = accounts_dir() / f"{provider.pk}-bundle.pem"
    wanted = provider.ca_bundle.encode()
    if not path.exists() or path.read_bytes() != wanted:
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_bytes(wanted)
        draft.replace(path)
    return path


def _write_once(path: Path, content: bytes) -> None:
    """Put `content` at `path` whole and 0600; where another process was first, its content stays."""
    draft = path.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
