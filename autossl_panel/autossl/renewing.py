"""How much of a certificate's life is left when a provider's certificates are renewed, where a person says so."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from .models import Provider
from .providers import ProviderProblem

# Percent of the lifetime. Less leaves no time to mend what fails; with more a certificate is renewed once it is issued.
LEAST, MOST = 10, 90


def percent(provider: Provider) -> int | None:
    """The part of the lifetime left at a renewal; None: the rules' own third, or half of lives under ten days."""
    return None if provider.renew_fraction is None else round(100 * provider.renew_fraction)


def set_percent(provider: Provider, text: str, *, by: User | None, now: datetime) -> Provider:
    """Renew the provider's certificates when so many percent of their life are left; "" for the rules' own part.

    A CA's hint (ARI) comes first all the same. Sites that wait for their renewal are due, to be judged anew. Raises
    ProviderProblem (renew).
    """
    fraction = _fraction(text)
    with transaction.atomic():
        row = Provider.objects.select_for_update(no_key=True).get(pk=provider.pk)
        before = percent(row)
        row.renew_fraction = fraction
        if percent(row) != before:
            row.save(update_fields=["renew_fraction"])
            hosting_users.make_due(VirtualHost.objects.filter(next_reason="renew"), now)
            audit.record(
                by, "provider:renewal", row.name, before={"percent_left": before}, after={"percent_left": percent(row)}
            )
    provider.renew_fraction = fraction
    return row


def _fraction(text: str) -> float | None:
    said = text.strip().removesuffix("%").strip()
    if not said:
        return None
    if not said.isdecimal() or len(said) > 3 or not LEAST <= int(said) <= MOST:
        problem = _("“%(text)s” is not a part of the lifetime from %(least)d to %(most)d percent.")
        raise ProviderProblem("renew", problem % {"text": text.strip()[:20], "least": LEAST, "most": MOST})
    return int(said) / 100
