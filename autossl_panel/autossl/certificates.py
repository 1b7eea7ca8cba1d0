"""Certificates as rows: recorded when issued or met, and where they are installed since when."""

from datetime import datetime

from autossl_panel.hosting.models import VirtualHost
from autossl_panel.pki import CertificateFacts

from .models import Certificate, Installation, Provider


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
    )


def record(facts: CertificateFacts, pem: bytes, *, provider: Provider | None, ours: bool) -> Certificate:
    """The row of a certificate, made at the first call; a known one is returned as it is."""
    found = Certificate.objects.filter(fingerprint=facts.fingerprint).first()
    if found is not None:
        return found
    row = row_of(facts, pem, provider=provider, ours=ours)
    Certificate.objects.bulk_create([row], ignore_conflicts=True)
    return Certificate.objects.get(fingerprint=facts.fingerprint)


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
