"""Reading a CA's list of revoked certificates (RFC 5280 §5): whose it is, until when it holds, what is on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from autossl_panel.pki.certificates import short

# RFC 5280 §5.3.1
REASONS: dict[x509.ReasonFlags, int] = {
    x509.ReasonFlags.unspecified: 0,
    x509.ReasonFlags.key_compromise: 1,
    x509.ReasonFlags.ca_compromise: 2,
    x509.ReasonFlags.affiliation_changed: 3,
    x509.ReasonFlags.superseded: 4,
    x509.ReasonFlags.cessation_of_operation: 5,
    x509.ReasonFlags.certificate_hold: 6,
    x509.ReasonFlags.privilege_withdrawn: 9,
    x509.ReasonFlags.aa_compromise: 10,
}
_SIGNERS = (
    rsa.RSAPublicKey, ec.EllipticCurvePublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey, dsa.DSAPublicKey,
)  # fmt: skip


class ListProblem(ValueError):
    """Why a list says nothing: `unreadable`, `no_issuer`, `signature`, `dates`, `scope`; `text` is a sentence."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


@dataclass(frozen=True, slots=True)
class Revoked:
    """An entry: since when, and why (RFC 5280 §5.3.1; 0 where the CA gives no reason)."""

    at: datetime
    reason: int


class RevokedList:
    """A list that was found to be the issuer's own, whole and in force."""

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        self._crl = crl

    @property
    def next_update(self) -> datetime | None:
        """When the CA will have issued the next one by."""
        return self._crl.next_update_utc

    def find(self, serial: str) -> Revoked | None:
        """The entry of a serial (hex), None where it is not revoked."""
        entry = self._crl.get_revoked_certificate_by_serial_number(int(serial, 16))
        if entry is None:
            return None
        try:
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        except (x509.ExtensionNotFound, ValueError):
            return Revoked(entry.revocation_date_utc, 0)
        if reason == x509.ReasonFlags.remove_from_crl:
            return None
        return Revoked(entry.revocation_date_utc, REASONS.get(reason, 0))


def read_list(data: bytes, *, chain_pem: bytes, url: str, now: datetime) -> RevokedList:
    """The list in `data` (DER or PEM), fetched from `url` for the first certificate of `chain_pem`.

    Raises ListProblem where it is not that issuer's own list for this place, complete and in force at `now`.
    """
    issuer = _issuer(chain_pem)
    try:
        load = x509.load_pem_x509_crl if data.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_crl
        crl = load(data)
        _check_signature(crl, issuer)
        _check_scope(crl, url)
        since, until = crl.last_update_utc, crl.next_update_utc
    except ListProblem:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ListProblem("unreadable", f"The list of {url} cannot be read: {short(error)}") from error
    if since > now or (until is not None and until <= now):
        ends = f"{until:%Y-%m-%d %H:%M} UTC" if until else "no end"
        raise ListProblem("dates", f"The list of {url} is of {since:%Y-%m-%d %H:%M} UTC until {ends}, not of now.")
    return RevokedList(crl)


def _issuer(chain_pem: bytes) -> x509.Certificate:
    try:
        leaf, *others = x509.load_pem_x509_certificates(chain_pem)
        for other in others:
            if other.subject == leaf.issuer:
                leaf.verify_directly_issued_by(other)
                return other
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise ListProblem("no_issuer", f"The certificate's issuer cannot be read: {short(error)}") from error
    raise ListProblem("no_issuer", "The certificate came without its issuer's, so no list can be checked.")


def _check_signature(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> None:
    key = issuer.public_key()
    good = crl.issuer == issuer.subject and isinstance(key, _SIGNERS) and crl.is_signature_valid(key)
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        good = good and usage.crl_sign
    except x509.ExtensionNotFound:
        pass
    if not good:
        raise ListProblem("signature", "The list is not signed by the issuer of the certificate.")


def _check_scope(crl: x509.CertificateRevocationList, url: str) -> None:
    """Whether it is the whole list for this place (RFC 5280 §6.3.3): a part of another would hide what is revoked."""
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            names = [name.value for name in value.full_name or () if isinstance(name, x509.UniformResourceIdentifier)]
            other = value.full_name is not None and url not in names
            if other or value.only_contains_ca_certs or value.only_contains_attribute_certs or value.indirect_crl:
                raise ListProblem("scope", f"The list at {url} is for other certificates.")
        elif extension.critical:  # a delta, or what this program does not know
            raise ListProblem("scope", f"The list at {url} is not a whole list of its own.")
