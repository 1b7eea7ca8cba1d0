"""A certificate authority in memory: issues chains of two for what a CSR asks."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from autossl_panel import pki


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Issuer:
    """One root; `issue` answers a CSR, `pair` makes key and chain at once."""

    def __init__(self, name: str = "Test Root") -> None:
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._certificate(self._name, self._key.public_key(), None, datetime.timedelta(days=3650))

    def _certificate(
        self,
        subject: x509.Name,
        key: CertificatePublicKeyTypes,
        names: Sequence[str] | None,
        life: datetime.timedelta,
        serial: int | None = None,
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + life)
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
        )
        if names is not None:
            sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(sans, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def issue(
        self, csr_pem: bytes, *, life: datetime.timedelta = datetime.timedelta(days=90), serial: int | None = None
    ) -> bytes:
        """The chain for a CSR, root included."""
        csr = x509.load_pem_x509_csr(csr_pem)
        leaf = self._certificate(_named("leaf"), csr.public_key(), pki.csr_names(csr_pem), life, serial)
        return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, self._root))

    def pair(self, *names: str, life: datetime.timedelta = datetime.timedelta(days=90)) -> tuple[bytes, bytes]:
        """Chain and key of a certificate that somebody else bought."""
        key = pki.new_key(pki.KeyType.P256)
        return self.issue(pki.make_csr(key, names), life=life), key
