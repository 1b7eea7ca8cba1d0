"""Making private keys and certificate signing requests. Nothing here is written anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from autossl_panel.pki.certificates import KeyType, PairProblem, short

_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_SHA256 = hashes.SHA256()

_CertificateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def new_key(key_type: KeyType) -> bytes:
    """A new private key, PEM PKCS#8 without a passphrase."""
    key: _CertificateKey
    match key_type:
        case KeyType.P256:
            key = ec.generate_private_key(ec.SECP256R1())
        case KeyType.P384:
            key = ec.generate_private_key(ec.SECP384R1())
        case KeyType.RSA2048:
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case KeyType.RSA4096:
            key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _load_key(key_pem: bytes) -> _CertificateKey:
    try:
        key = serialization.load_pem_private_key(key_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise PairProblem("unreadable", "The private key cannot be read.") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise PairProblem("unreadable", "The private key is neither EC nor RSA.")
    return key


def key_spki(key_pem: bytes) -> str:
    """SHA-256 (hex) of the public half of a private key. Raises PairProblem('unreadable')."""
    return sha256(_load_key(key_pem).public_key().public_bytes(_DER, _SPKI)).hexdigest()


def make_csr(key_pem: bytes, names: Sequence[str]) -> bytes:
    """A PEM CSR (RFC 2986) for exactly these names, all in subjectAltName; the subject stays empty (RFC 8555 §7.4).

    Raises PairProblem('unreadable') for a key that does not load, ValueError for no names.
    """
    if not names:
        raise ValueError("a CSR needs at least one name")
    san = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(san, critical=True)
    return builder.sign(_load_key(key_pem), _SHA256).public_bytes(_PEM)


def _load_csr(pem: bytes) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(pem)
    except ValueError as error:
        raise PairProblem("unreadable", f"The CSR cannot be read: {short(error)}") from error


def csr_der(pem: bytes) -> bytes:
    """The CSR as DER, the form ACME's finalize sends. Raises PairProblem('unreadable')."""
    return _load_csr(pem).public_bytes(_DER)


def csr_names(pem: bytes) -> tuple[str, ...]:
    """The names a CSR asks for. Raises PairProblem('unreadable')."""
    try:
        san = _load_csr(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(san.get_values_for_type(x509.DNSName))


def csr_spki(pem: bytes) -> str:
    """SHA-256 (hex) of a CSR's public key. Raises PairProblem('unreadable')."""
    return sha256(_load_csr(pem).public_key().public_bytes(_DER, _SPKI)).hexdigest()
