"""A CA that lists what it revoked (RFC 5280 §5): certificates that name the list, and lists of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from autossl_panel import pki


class ListingCa:
    """One root. `chain` certifies names, `revocations` signs a list."""

    def __init__(self, name: str = "Listing Root", *, crl_sign: bool = True) -> None:
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.KeyUsage(True, False, False, False, False, True, crl_sign, False, False)
        self._root = (
            self._builder(self.name, self._key.public_key())
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(usage, True)
            .sign(self._key, hashes.SHA256())
        )

    def _builder(self, subject: x509.Name, key: CertificatePublicKeyTypes) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=89))
        )

    def chain(self, *names: str, points: tuple[str, ...] = (), whole: bool = True) -> bytes:
        """A certificate whose list is at these places, with its issuer's behind it where `whole`."""
        key = pki.new_key(pki.KeyType.P256)
        return self.certify(pki.make_csr(key, names), points=points, whole=whole)

    def certify(self, csr_pem: bytes, *, points: tuple[str, ...] = (), whole: bool = True) -> bytes:
        """As `chain`, for a CSR."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        builder = self._builder(subject, x509.load_pem_x509_csr(csr_pem).public_key()).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name) for name in pki.csr_names(csr_pem)]), False
        )
        if points:
            full = [x509.UniformResourceIdentifier(url) for url in points]
            builder = builder.add_extension(
                x509.CRLDistributionPoints([x509.DistributionPoint([name], None, None, None) for name in full]), False
            )
        parts = [builder.sign(self._key, hashes.SHA256()), *([self._root] if whole else [])]
        return b"".join(part.public_bytes(serialization.Encoding.PEM) for part in parts)

    def revocations(
        self,
        revoked: Mapping[str, x509.ReasonFlags | None],
        *,
        hours: float = 24,
        since: datetime | None = None,
        place: str = "",
        pem: bool = False,
        name: x509.Name | None = None,
        **scope: Any,
    ) -> bytes:
        """A list of serials (hex) with their reasons, in force for `hours`; `place` and `scope` say what it is for."""
        begins = since or datetime.now(UTC) - timedelta(minutes=5)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name or self.name)
            .last_update(begins)
            .next_update(begins + timedelta(hours=hours))
        )
        for serial, reason in revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(int(serial, 16)).revocation_date(begins)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), False)
            builder = builder.add_revoked_certificate(entry.build())
        if place or scope:
            parts: dict[str, Any] = {
                "full_name": [x509.UniformResourceIdentifier(place)] if place else None,
                "relative_name": None,
                "only_contains_user_certs": False,
                "only_contains_ca_certs": False,
                "only_some_reasons": None,
                "indirect_crl": False,
                "only_contains_attribute_certs": False,
            }
            builder = builder.add_extension(x509.IssuingDistributionPoint(**{**parts, **scope}), True)
        encoding = serialization.Encoding.PEM if pem else serialization.Encoding.DER
        return builder.sign(self._key, hashes.SHA256()).public_bytes(encoding)
