"""Profiles of a provider: which one orders ask for, how many names and how long a life it gives. Rows only."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from .models import Provider
from .providers import ProviderProblem


def profile_in_use(provider: Provider) -> str:
    """The profile that orders ask for: the chosen one while the directory offers it, else "" (the CA's own choice)."""
    return provider.profile if provider.profile in provider.profiles else ""


def set_profile(provider: Provider, profile: str, *, by: User | None) -> Provider:
    """Order certificates of this profile from now on, "" for what the CA gives by itself.

    Where the profile is known beforehand, its number of names becomes the provider's.
    """
    if profile and profile not in provider.profiles:
        offered = ", ".join(provider.profiles) or "none"
        raise ProviderProblem(
            "profile",
            _("“%(name)s” offers no profile “%(profile)s”. It offers: %(offered)s.")
            % {"name": provider, "profile": profile, "offered": offered},
        )
    with transaction.atomic():
        row = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
        before = {"profile": row.profile, "max_names": row.max_names}
        if row.profile != profile:
            row.issued_lifetime = None  # the last one tells nothing of the next
        row.profile = profile
        if (limit := names_of_profile(row, profile)) is not None:
            row.max_names = limit
        if row.problem is not None and row.problem["field"] == "profile":
            row.problem = None
        row.save(update_fields=["profile", "max_names", "issued_lifetime", "problem"])
        after = {"profile": row.profile, "max_names": row.max_names}
        audit.record(by, "provider:profile", row.name, before=before, after=after)
    provider.refresh_from_db()
    return row


def names_of_profile(provider: Provider, profile: str) -> int | None:
    """How many names a certificate of this profile takes, None where only the CA knows. For pages: before it is set."""
    told = _told(provider, profile)
    found = told.get("max_names")
    return int(found) if found is not None else None


def expected_lifetime(provider: Provider) -> timedelta | None:
    """How long the next certificate will live: as long as the last one, else what is known of the profile."""
    if provider.issued_lifetime:
        return timedelta(seconds=provider.issued_lifetime)
    seconds = _told(provider, profile_in_use(provider)).get("seconds")
    if seconds is not None:
        return timedelta(seconds=seconds)
    days = provider.stated.get("validity_days")
    return timedelta(days=days) if days else None


def _told(provider: Provider, profile: str) -> Mapping[str, Any]:
    """What the provider's preset tells of a profile, or of a certificate without one."""
    stated = provider.stated
    found: Mapping[str, Any] = stated.get("profiles", {}).get(profile, {}) if profile else stated.get("usual", {})
    return found


def sites_over(limit: int) -> int:
    """How many sites would lose names that they are secured for now, if a certificate took only so many."""
    secured = VirtualHost.objects.filter(gone_at__isnull=True, names_covered__gt=limit)
    return secured.filter(state__in=[SiteState.SECURED, SiteState.PARTLY]).count()
