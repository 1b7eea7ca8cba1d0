"""Others' certificates on a server: how many the option to replace them would concern right now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.x509.oid import NameOID
from django.db.models import Exists, OuterRef, Q, QuerySet

from autossl_panel.autossl.models import Installation
from autossl_panel.hosting.models import Server, SiteState, VirtualHost

# A thirtieth of the lifetime, at most: rules §2
LONGEST_MARGIN = timedelta(days=3)
# Of so many the certificate itself is read, to see whether it names a company
READ = 200


@dataclass(frozen=True, slots=True)
class Foreign:
    """How many AutoSSL would replace now, of `total`; `companies` of them name a company (OV, EV)."""

    concerned: int = 0
    companies: int = 0
    total: int = 0


# Where one that is defective or has expired is all that there is, the site is unsecured
STATES = (SiteState.FOREIGN, SiteState.UNSECURED)
_OTHERS = Q(until__isnull=True, certificate__ours=False, certificate__self_signed=False)


def sites(hosts: QuerySet[VirtualHost]) -> QuerySet[VirtualHost]:
    """Those of `hosts` that have another's certificate, sound or not: the same that `count` counts."""
    installed = Installation.objects.filter(_OTHERS, virtual_host=OuterRef("pk"))
    return hosts.filter(Exists(installed), state__in=STATES, gone_at__isnull=True)


def count(server: Server, now: datetime) -> Foreign:
    """What the option concerns now: certificates that are defective or about to expire. Two queries."""
    worse = Q(certificate__weak=True) | Q(certificate__links=False) | Q(key_matches=False)
    everyone = Installation.objects.filter(
        _OTHERS,
        virtual_host__server=server,
        virtual_host__gone_at__isnull=True,
        virtual_host__state__in=STATES,
    )
    total = everyone.count()
    rows = everyone.filter(worse | Q(certificate__not_after__lte=now + LONGEST_MARGIN)).values_list(
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
    return Foreign(len(concerned), sum(_names_a_company(pem) for pem in concerned[:READ]), total)


def _names_a_company(pem: str) -> bool:
    """Whether the certificate's subject has an organisation: more than the domain was proven."""
    try:
        subject = x509.load_pem_x509_certificate(pem.encode()).subject
        return bool(subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    except ValueError:
        return False
