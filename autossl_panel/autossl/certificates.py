"""Certificates as rows: recorded when issued or met, and where they are installed since when."""

from datetime import datetime, timedelta

from autossl_panel.hosting.models import VirtualHost
from autossl_panel.pki import CertificateFacts

from .models import Certificate, Installation, Order, Provider

# Renewal information is there at once, but what was issued this moment has other things to do first
FIRST_ASKED = timedelta(minutes=1)


def row_of(facts: CertificateFacts, pem: bytes, *, provider: Provider | None, ours: bool) -> Certificate:
    """A certificate's row, not saved."""
    return Certificate(
        fingerprint=facts.fingerprint,
        serial=facts.serial,
        names=list(facts.names),
        issuer=facts.issuer[:500],
        not_before=facts.not_before,
        not_after=facts.not_after,
        key_kind=facts.key_kind,
        key_bits=facts.key_bits,
        signature_hash=facts.signature_hash[:32],
        self_signed=facts.self_signed,
        links=facts.links,
        weak=facts.weak,
        ari_id=facts.ari_id[:200],
        spki=facts.spki,
        pem=pem.decode("ascii", "replace"),
        provider=provider,
        ours=ours,
        crl_url=facts.crl_url,
    )


def record(facts: CertificateFacts, pem: bytes, order: Order, *, now: datetime) -> Certificate:
    """The row of the certificate that an order brought, made at the first call: which account and profile it is of.

    Its CA is asked for renewal information soon; how long it lives is noted with the provider.
    """
    provider = order.provider
    whose = {"provider_id": order.provider_id, "account_id": order.account_id, "profile": order.profile}
    row = row_of(facts, pem, provider=provider, ours=True)
    for name, value in whose.items():
        setattr(row, name, value)
    row.ari_next_at = now + FIRST_ASKED
    Certificate.objects.bulk_create([row], ignore_conflicts=True)
    lifetime = round((facts.not_after - facts.not_before).total_seconds())
    if provider.issued_lifetime != lifetime:
        provider.issued_lifetime = lifetime
        Provider.objects.filter(pk=provider.pk).update(issued_lifetime=lifetime)
    found = Certificate.objects.get(fingerprint=facts.fingerprint)
    if found.provider_id is None:
        # Met in the web server's configuration before we knew the order: a database that was restored.
        Certificate.objects.filter(pk=found.pk).update(**whose)
    return found


def install(
    virtual_host: VirtualHost, certificate: Certificate, *, now: datetime, path: str, evidence: list[dict[str, object]]
) -> Installation:
    """Note that `certificate` is what the virtual host serves from now on, with the handshakes that showed it."""
    current = Installation.objects.filter(virtual_host=virtual_host, until__isnull=True).first()
    if current is not None and current.certificate_id == certificate.pk:
        current.evidence = evidence
        current.key_matches = True
        current.path = path
        current.save(update_fields=["evidence", "key_matches", "path"])
        return current
    if current is not None:
        Installation.objects.filter(pk=current.pk).update(until=now)
    return Installation.objects.create(
        virtual_host=virtual_host, certificate=certificate, since=now, path=path, key_matches=True, evidence=evidence
    )
