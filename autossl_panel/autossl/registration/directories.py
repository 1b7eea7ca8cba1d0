"""Providers' directories: the well-known CAs, and what a directory says of terms, profiles, renewal and the time."""

import logging
import time
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from autossl_panel import ca, sentences
from autossl_panel.ca import directory, presets
from autossl_panel.hosting.models import Server

from .. import directory_urls, drafts, pacing, profiles, providers
from ..apart import Apart
from ..models import Account, AccountStatus, Provider, ProviderState
from ..policy.needs import CLOCK_TOLERANCE
from . import keys

log = logging.getLogger("autossl_panel.registration")

# How often the directory of a provider in use is read again
LOOKED_AT_EVERY = timedelta(days=1)
# A task that was asked for and has not been done by then was lost
LOST_AFTER = timedelta(minutes=3)
# What is written of a directory
READ = (
    "state", "problem", "terms_url", "website", "eab_required", "caa_identities", "profiles", "renewal_info_url",
    "clock_offset", "checked_at", "stated", "answer",
)  # fmt: skip


def seed() -> int:
    """Add the well-known CAs that are not in the table yet, not contacted, and tell the others what is known of them.

    Returns how many were added.
    """
    added = 0
    for place, preset in enumerate(presets.PRESETS, 100):
        row, made = Provider.objects.get_or_create(
            name=preset.slug,
            defaults={
                "display_name": preset.display_name,
                "directory_url": preset.directory_url,
                "private_ca": preset.private_ca,
                "max_names": preset.max_names,
                "stated": _stated(preset),
                "state": ProviderState.NEW,
                "position": place,
            },
        )
        added += made
        known = {**row.stated, **_stated(preset)}
        if row.directory_url == preset.directory_url and known != row.stated:
            Provider.objects.filter(pk=row.pk).update(stated=known)
    return added


def _stated(preset: ca.Preset) -> dict[str, Any]:
    """What a preset tells, for what reads rows only: pages, and the ledger."""
    return {
        "validity_days": preset.validity_days,
        "wildcard": preset.wildcard,
        "eab": preset.eab,
        "note": preset.note,
        "limits": [asdict(one) for one in preset.limits],
        "staging": preset.staging,
        "usual": {"max_names": preset.max_names, "seconds": preset.validity_days * presets.DAY},
        "profiles": {one.name: {"max_names": one.max_names, "seconds": one.seconds} for one in preset.profiles},
        "dcv": list(preset.dcv),
        "redirects": preset.redirects,
        "delivery": preset.delivery,
        "eab_days": preset.eab_days,
        "trial": preset.trial,
    }


def probe(provider: Provider) -> Provider:
    """Read the provider's directory; the row says ready with what was read, or refused with the problem.

    Where a change of its settings waits, it is tried first, and holds where the directory could be read with it.
    """
    now = timezone.now()
    if drafts.pending(provider):
        _try_change(provider, now)
        if provider.state != ProviderState.CHECKING:
            return provider
    try:
        facts = _read(provider, now)
    except ca.CaProblem as problem:
        provider.state = ProviderState.REFUSED
        provider.problem = _told(problem, provider)
        provider.checked_at = now
        provider.save(update_fields=["state", "problem", "checked_at"])
        return provider
    _take_in(provider, facts, now)
    return provider


def _try_change(provider: Provider, now: datetime) -> None:
    """Read the directory with the settings that are to be; the row is then as one finds it."""
    draft = provider.draft
    assert draft is not None
    wished = drafts.wished(provider)
    try:
        facts = _ask(wished, now, bundle=keys.bundle(wished, draft=True))
    except ca.CaProblem as problem:
        with transaction.atomic():
            drafts.refuse(provider, draft, _told(problem, wished))
    else:
        with transaction.atomic():
            row = drafts.take_over(provider, draft)
            if row is not None:
                row.answer = wished.answer
                _take_in(row, facts, now)
    provider.refresh_from_db()


def _told(problem: ca.CaProblem, asked: Provider) -> dict[str, str]:
    """What a row keeps of it: the field is the one to change, the bundle where it holds the roots of somebody else."""
    text, field = str(problem), "ca_bundle" if problem.short_type == "bundle" else "directory_url"
    said = sentences.heard(text)
    if asked.ca_bundle and said is not None and said.code == "certificate" and _of_no_root(said.facts["reason"]):
        text, field = sentences.say("other_root", **said.facts), "ca_bundle"
    return {"field": field, "code": str(problem.kind), "type": problem.short_type, "text": text}


def _of_no_root(reason: str) -> bool:
    """Whether OpenSSL found no root for a certificate, and not that it is expired or of another host."""
    return any(
        words in reason for words in ("issuer", "self-signed", "self signed", "first certificate", "signature failure")
    )


def take_up(now: datetime) -> None:
    """Read the directories whose task was lost with the worker that had it; a fault at one holds up no other."""
    waiting = Q(state=ProviderState.CHECKING) | Q(draft__isnull=False)
    each = Apart(log)
    for provider in Provider.objects.filter(waiting, asked_at__lte=now - LOST_AFTER):
        with each.piece("the directory of %s", provider):
            if provider.state == ProviderState.CHECKING or drafts.pending(provider):
                probe(provider)
    each.end()


def _read(provider: Provider, now: datetime) -> ca.DirectoryFacts:
    """Read the directory, and note on the row whether and how fast it answered. Raises CaProblem."""
    try:
        return _ask(provider, now, bundle=keys.bundle(provider))
    except ca.CaProblem:
        Provider.objects.filter(pk=provider.pk).update(answer=provider.answer)
        raise


def _ask(provider: Provider, now: datetime, *, bundle: Path | None) -> ca.DirectoryFacts:
    """Read the directory; `provider.answer`, unsaved, says whether and how fast it answered. Raises CaProblem."""
    began = time.monotonic()
    try:
        gate = pacing.pace(provider)
        facts = directory.probe(provider.directory_url, ca_bundle=bundle, now=now, gate=gate)
    except ca.CaProblem as problem:
        said = {"text": str(problem), "code": str(problem.kind), "type": problem.short_type}
        provider.answer = {"at": now.isoformat(), "ms": None, **said}
        raise
    provider.answer = {"at": now.isoformat(), "ms": round(1000 * (time.monotonic() - began)), "text": ""}
    return facts


def look_again(server: Server, now: datetime) -> None:
    """Once a day: read the directories of providers in use, whose terms and profiles may change.

    One that does not answer stays as it was: that it is down shows where something is ordered. One that did not answer
    when a person had it checked is in use again once it does.
    """
    known = (ProviderState.READY, ProviderState.REFUSED)
    # Read at a moment to come: by a clock that ran ahead
    old = Q(checked_at__isnull=True) | Q(checked_at__lte=now - LOOKED_AT_EVERY) | Q(checked_at__gt=now)
    each = Apart(log)
    for provider in providers.in_use().filter(old, state__in=known, accounts__server=server):
        with each.piece("the directory of %s", provider):
            refresh(provider, now)
    each.end()


def refresh(provider: Provider, now: datetime) -> None:
    """Read the directory of a provider in use again, where it answers."""
    try:
        facts = _read(provider, now)
    except ca.CaProblem as problem:
        log.warning("the directory of %s could not be read: %s", provider, problem)
    else:
        _take_in(provider, facts, now)


def _take_in(provider: Provider, facts: ca.DirectoryFacts, now: datetime) -> None:
    """Write what a directory says; also what that means for the profile in use and the terms agreed to."""
    provider.state = ProviderState.READY
    provider.terms_url = facts.terms_url or ""
    provider.website = facts.website or ""
    provider.eab_required = facts.eab_required
    provider.caa_identities = list(facts.caa_identities)
    provider.profiles = dict(facts.profiles)
    provider.renewal_info_url = facts.renewal_info or ""
    provider.clock_offset = facts.date_offset.total_seconds()
    provider.checked_at = now
    provider.problem = None
    if (preset := preset_at(provider.directory_url)) is not None:
        provider.stated = {**provider.stated, **_stated(preset)}
    if provider.profile and not profiles.profile_in_use(provider):
        offered = ", ".join(provider.profiles) or "none"
        text = (
            f"“{provider}” no longer offers the profile “{provider.profile}” (it offers: {offered}). "
            "Certificates are ordered without it."
        )
        provider.problem = {"field": "profile", "code": "profile_gone", "text": text}
        log.warning("%s", text)
    provider.save(update_fields=READ)
    if provider.terms_url:
        _note_terms(provider)


def preset_at(directory_url: str) -> presets.Preset | None:
    """The preset of the CA whose directory this is, however it is written and whatever an admin calls it: its published
    limits hold there.
    """
    return next((known for known in presets.PRESETS if directory_urls.same(known.directory_url, directory_url)), None)


def _note_terms(provider: Provider) -> None:
    """Say on its accounts where the terms are others than those agreed to; what the CA itself said weighs more."""
    said = {
        "field": "agree_terms",
        "code": "terms_changed",
        "text": f"“{provider}” changed its terms of service. Read them and agree.",
        "link": provider.terms_url,
    }
    mine = Account.objects.filter(provider=provider, status=AccountStatus.VALID).exclude(url="")
    for account in mine.exclude(terms_url=provider.terms_url):
        if account.problem is None or account.problem["code"] == "terms_changed":
            Account.objects.filter(pk=account.pk).update(problem=said)


def look_at_clock(server: Server) -> None:
    """Ask the CA for the time again where this host's clock was off when it last was: nothing else would tell.

    A CA that does not answer leaves it as it was.
    """
    found = providers.active(server)
    if found is None or abs(found[0].clock_offset) <= CLOCK_TOLERANCE.total_seconds():
        return
    provider = found[0]
    try:
        facts = _read(provider, timezone.now())
    except ca.CaProblem as problem:
        log.warning("the clock of %s could not be asked for: %s", provider, problem)
        return
    Provider.objects.filter(pk=provider.pk).update(clock_offset=facts.date_offset.total_seconds())
