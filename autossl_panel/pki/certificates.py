"""Reading a certificate and the chain it came with into plain facts. No trust store, no files."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from itertools import pairwise
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtensionOID, PublicKeyAlgorithmOID

from autossl_panel import names as domain_names

_SHA256 = hashes.SHA256()
_FETCHED = re.compile(r"https?://[!-~]{1,490}")
_WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})


class KeyType(StrEnum):
    """The kinds of key the panel makes."""

    P256 = "p256"
    P384 = "p384"
    RSA2048 = "rsa2048"
    RSA4096 = "rsa4096"


class PairProblem(ValueError):
    """Why a chain, or a chain with its key, must not be installed; `code` is one word, `text` a sentence."""

    def __init__(self, code: Literal["mismatch", "names", "dates", "chain", "weak", "unreadable"], text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """The public facts of a certificate and the chain it came with. Times are aware UTC."""

    names: tuple[str, ...]
    issuer: str
    serial: str  # lower-case hex without leading zeros
    not_before: datetime
    not_after: datetime
    key_kind: str  # ec, rsa, ed25519, ed448, dsa, other
    key_bits: int
    signature_hash: str  # '' where the signature has none of its own (Ed25519)
    self_signed: bool
    links: bool  # each certificate is signed by the next; true of a leaf alone
    fingerprint: str  # SHA-256 of the leaf's DER, hex
    spki: str  # SHA-256 of the public key's DER, hex
    ari_id: str  # RFC 9773 §4.1; '' where the issuer set no key identifier
    weak_links: bool = False  # an intermediate is signed with MD5 or SHA-1
    crl_url: str = ""  # where its issuer lists what it revoked (RFC 5280 §4.2.1.13); '' where it does not say

    def covers(self, name: str) -> bool:
        """Whether a browser accepts the certificate for this name (RFC 6125 §6.4.3)."""
        return domain_names.covers(self.names, name)

    @property
    def key_type(self) -> KeyType | None:
        """The key's kind among those the panel makes; None for any other."""
        return _KEY_TYPES.get((self.key_kind, self.key_bits))

    @property
    def weak(self) -> bool:
        """RSA below 2048 bits, EC below 256, DSA, MD5 or SHA-1 in the leaf or on the way up."""
        short = (
            (self.key_kind == "rsa" and self.key_bits < 2048)
            or (self.key_kind == "ec" and self.key_bits < 256)
            or self.key_kind == "dsa"
        )
        return short or self.signature_hash in _WEAK_HASHES or self.weak_links


_KEY_TYPES = {
    ("ec", 256): KeyType.P256,
    ("ec", 384): KeyType.P384,
    ("rsa", 2048): KeyType.RSA2048,
    ("rsa", 4096): KeyType.RSA4096,
}


def read_chain(pem: bytes) -> CertificateFacts:
    """The facts of the first certificate in `pem`, judged with the ones after it. Raises PairProblem('unreadable')."""
    try:
        return _facts(x509.load_pem_x509_certificates(pem))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PairProblem("unreadable", f"The certificate cannot be read: {short(error)}") from error


def read_der(chain: Sequence[bytes]) -> CertificateFacts:
    """As `read_chain`, from DER certificates, leaf first. Raises PairProblem('unreadable')."""
    try:
        return _facts([x509.load_der_x509_certificate(der) for der in chain])
    except (ValueError, UnsupportedAlgorithm, IndexError) as error:
        raise PairProblem("unreadable", f"The certificate cannot be read: {short(error)}") from error


def signers(pem: bytes) -> tuple[str, ...]:
    """Who signed the leaf, who signed that, and so on, by common name; as far as the chain in `pem` tells.

    Empty for a self-signed certificate. Raises PairProblem('unreadable').
    """
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PairProblem("unreadable", f"The certificate cannot be read: {short(error)}") from error
    return tuple(_called(one.issuer) for one in chain if one.issuer != one.subject)


def _called(name: x509.Name) -> str:
    for kind in (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME):
        found = name.get_attributes_for_oid(kind)
        if found:
            return str(found[0].value)
    return name.rfc4514_string()


def leaf_pem(pem: bytes) -> bytes:
    """The first certificate of a chain alone, as PEM. Raises PairProblem('unreadable')."""
    try:
        return x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.PEM)
    except ValueError as error:
        raise PairProblem("unreadable", f"The certificate cannot be read: {short(error)}") from error


def _facts(chain: Sequence[x509.Certificate]) -> CertificateFacts:
    leaf = chain[0]
    kind, bits, spki = _public_key(leaf)
    return CertificateFacts(
        names=_names(leaf),
        issuer=leaf.issuer.rfc4514_string(),
        serial=f"{leaf.serial_number:x}",
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key_kind=kind,
        key_bits=bits,
        signature_hash=_hash_of(leaf),
        self_signed=leaf.issuer == leaf.subject and _signs(leaf, leaf),
        links=all(_signs(issuer, issued) for issued, issuer in pairwise(chain)),
        fingerprint=leaf.fingerprint(_SHA256).hex(),
        spki=spki,
        ari_id=_ari_id(leaf),
        weak_links=any(_hash_of(link) in _WEAK_HASHES and link.issuer != link.subject for link in chain[1:]),
        crl_url=_crl_url(leaf),
    )


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        found = [str(name.value) for name in leaf.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    else:
        found = san.get_values_for_type(x509.DNSName)
    return tuple(dict.fromkeys(name.lower().removesuffix(".") for name in found if name))


def _public_key(certificate: x509.Certificate) -> tuple[str, int, str]:
    """Kind, bits and SHA-256 of the public key; a key our library refuses to load is judged by its kind alone."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        rsa_key = certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSAES_PKCS1_v1_5
        return ("rsa" if rsa_key else "other"), 0, ""
    kind, bits = "other", 0
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits = "ec", key.curve.key_size
    elif isinstance(key, rsa.RSAPublicKey):
        kind, bits = "rsa", key.key_size
    elif isinstance(key, dsa.DSAPublicKey):
        kind, bits = "dsa", key.key_size
    elif isinstance(key, ed25519.Ed25519PublicKey):
        kind, bits = "ed25519", 256
    elif isinstance(key, ed448.Ed448PublicKey):
        kind, bits = "ed448", 456
    return kind, bits, sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _hash_of(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return certificate.signature_algorithm_oid.dotted_string
    return algorithm.name if algorithm else ""


def _signs(issuer: x509.Certificate, issued: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # A name that does not fit is no link; a signature too old for our library (MD5) is judged by names alone.
        return issued.issuer == issuer.subject and _hash_of(issued) in _WEAK_HASHES
    return True


def _ari_id(leaf: x509.Certificate) -> str:
    try:
        extension = leaf.extensions.get_extension_for_oid(ExtensionOID.AUTHORITY_KEY_IDENTIFIER).value
    except x509.ExtensionNotFound:
        return ""
    if not isinstance(extension, x509.AuthorityKeyIdentifier) or extension.key_identifier is None:
        return ""
    number = leaf.serial_number
    serial = number.to_bytes(number.bit_length() // 8 + 1, "big")  # one bit more: DER integers are signed
    return f"{_base64url(extension.key_identifier)}.{_base64url(serial)}"


def _crl_url(leaf: x509.Certificate) -> str:
    """The first address that can be fetched; a stranger wrote it, so nothing else may look like one."""
    try:
        points = leaf.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return ""
    for point in points:
        for name in point.full_name or ():
            if isinstance(name, x509.UniformResourceIdentifier) and _FETCHED.fullmatch(name.value):
                return name.value
    return ""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def short(error: Exception) -> str:
    """The first line of an error, cut for a log."""
    return str(error).partition("\n")[0][:200]
