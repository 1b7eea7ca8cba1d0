"""Others' certificates on a server: how many the option to replace them would concern right now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID
from django.db.models import Q

from autossl_panel.autossl.models import Installation
from autossl_panel.hosting.models import Server, SiteState

# A thirtieth of the lifetime, at most: rules §2
LONGEST_MARGIN = timedelta(days=3)
# Of so many the certificate itself is read, to see whether it names a company
READ = 200


@dataclass(frozen=True, slots=True)
class Foreign:
    """How many AutoSSL would replace now; `companies` of them name a company (OV, EV)."""

    concerned: int = 0
    companies: int = 0


def count(server: Server, now: datetime) -> Foreign:
    """What the option concerns now: certificates that are defective or about to expire. One query."""
    worse = Q(certificate__weak=True) | Q(certificate__links=False) | Q(key_matches=False)
    rows = Installation.objects.filter(
        worse | Q(certificate__not_after__lte=now + LONGEST_MARGIN),
        until__isnull=True,
        virtual_host__server=server,
        virtual_host__gone_at__isnull=True,
        virtual_host__state__in=(SiteState.FOREIGN, SiteState.UNSECURED),
        certificate__ours=False,
        certificate__self_signed=False,
    ).values_list(
        "certificate__not_before",
        "certificate__not_after",
        "certificate__weak",
        "certificate__links",
        "key_matches",
        "certificate__pem",
    )
    concerned = [
        pem
        for not_before, not_after, weak, links, key_matches, pem in rows
        if weak
        or not links
        or key_matches is False
        or not_after - min((not_after - not_before) / 30, LONGEST_MARGIN) <= now
    ]
    return Foreign(len(concerned), sum(_names_a_company(pem) for pem in concerned[:READ]))


def _names_a_company(pem: str) -> bool:
    """Whether the certificate's subject has an organisation: more than the domain was proven."""
    try:
        subject = x509.load_pem_x509_certificate(pem.encode()).subject
        return bool(subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    except ValueError:
        return False
