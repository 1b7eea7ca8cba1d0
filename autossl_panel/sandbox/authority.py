"""A tiny CA: for Pebble's own HTTPS certificate, and for the certificates that sample sites have at the start."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain and its key, both PEM."""

    chain: bytes
    key: bytes


class Authority:
    """A root with one intermediate, both P-256, named after `name`."""

    def __init__(self, name: str) -> None:
        root_key = ec.generate_private_key(ec.SECP256R1())
        root_name = _name(f"{name} Root")
        since, until = _now() - timedelta(days=400), _now() + timedelta(days=3650)
        self._root = _build(root_name, root_name, root_key, root_key, since, until, authority=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = _build(_name(f"{name} R1"), root_name, self._key, root_key, since, until, authority=True)

    @property
    def root_pem(self) -> bytes:
        return self._root.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        names: Sequence[str],
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        rsa_bits: int | None = None,
    ) -> Pair:
        """A certificate for these names or addresses; by default P-256, from an hour ago for 90 days."""
        key = _key(rsa_bits)
        since = not_before or _now() - timedelta(hours=1)
        certificate = _build(
            _name(names[0]),
            self._certificate.subject,
            key,
            self._key,
            since,
            not_after or since + timedelta(days=90),
            names=names,
        )
        pem = serialization.Encoding.PEM
        return Pair(certificate.public_bytes(pem) + self._certificate.public_bytes(pem), _key_pem(key))


def self_signed(names: Sequence[str]) -> Pair:
    """What a control panel puts in as a placeholder: signed by its own key, for ten years."""
    key = _key(None)
    name = _name(names[0])
    certificate = _build(name, name, key, key, _now() - timedelta(days=30), _now() + timedelta(days=3620), names=names)
    return Pair(certificate.public_bytes(serialization.Encoding.PEM), _key_pem(key))


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _key(rsa_bits: int | None) -> Key:
    if rsa_bits is None:
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, rsa_bits)


def _key_pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _build(
    subject: x509.Name,
    issuer: x509.Name,
    key: Key,
    signer: ec.EllipticCurvePrivateKey | Key,
    since: datetime,
    until: datetime,
    *,
    names: Sequence[str] = (),
    authority: bool = False,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(_key_usage(authority), critical=True)
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_general_name(text) for text in names]), critical=False
        )
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())


def _key_usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
