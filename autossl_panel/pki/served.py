"""What a server shows: one raw TLS handshake, which proves a certificate is served and asks nobody to trust it."""

from __future__ import annotations

import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal

from autossl_panel import tls
from autossl_panel.pki.certificates import CertificateFacts, PairProblem, read_der

Signature = Literal["ecdsa", "rsa"]


@dataclass(frozen=True, slots=True)
class Served:
    """What one TLS handshake showed: a certificate's facts, or a problem with a detail for the log.

    Problems: `refused` (the server has no certificate for this name: unrecognized_name, as nginx's
    ssl_reject_handshake answers), `no_cipher` (none of the signature asked for), `connect`, `timeout`, `closed`,
    `tls`, `unreadable`.
    """

    facts: CertificateFacts | None
    problem: str | None = None
    detail: str = ""


def handshake(
    address: str, port: int, server_name: str, *, signature: Signature | None = None, timeout: float = 5.0
) -> Served:
    """The certificate shown at address:port for `server_name` in one fresh handshake: no resumption, no trust store.

    `signature` asks for a certificate of that kind by TLS 1.2's ciphers; a server that has only TLS 1.3 is asked by
    that, whatever its kind (look at facts.key_kind). `timeout` is in seconds, for all of it. Network trouble is an
    answer, never an exception.
    """
    deadline = time.monotonic() + timeout
    served = _shake(address, port, server_name, signature, deadline)
    if signature and served.problem == "tls" and "PROTOCOL_VERSION" in served.detail:
        return _shake(address, port, server_name, None, deadline)
    return served


def _shake(address: str, port: int, server_name: str, signature: Signature | None, deadline: float) -> Served:
    left = deadline - time.monotonic()
    if left <= 0:
        return Served(None, "timeout", "no time left for a handshake")
    try:
        plain = socket.create_connection((address.strip("[]"), port), left)
    except TimeoutError:
        return Served(None, "timeout", "no TCP connection in time")
    except (OSError, OverflowError) as error:
        return Served(None, "connect", str(error)[:200])
    with plain:
        plain.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            # Bytes, because Python would put text through IDNA 2003 once more.
            name = server_name.encode("ascii") if server_name else None
            with tls.wrap(plain, _context(signature), name) as secured:
                return Served(_read(tuple(_peer_chain(secured))))
        except (OSError, ValueError) as error:
            return _refusal(error)


@lru_cache(maxsize=512)
def _read(chain: tuple[bytes, ...]) -> CertificateFacts:
    """A proof takes several handshakes that show the same: reading it once saves half of their time."""
    return read_der(chain)


def _refusal(error: OSError | ValueError) -> Served:
    """What an unsuccessful handshake means. SSLError and TimeoutError are OSErrors."""
    if isinstance(error, PairProblem):
        return Served(None, error.code, error.text)
    if isinstance(error, TimeoutError):
        return Served(None, "timeout", "no TLS handshake in time")
    if isinstance(error, ssl.SSLEOFError | ConnectionError):
        return Served(None, "closed", "the server closed the connection")
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)[:200]
        if "UNRECOGNIZED_NAME" in reason:
            return Served(None, "refused", reason)
        return Served(None, "no_cipher" if "HANDSHAKE_FAILURE" in reason else "tls", reason)
    return Served(None, "tls", str(error)[:200])


@cache
def _context(signature: Signature | None) -> ssl.SSLContext:
    """A client that reads any certificate: it proves what is served, not whom to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= ssl.OP_NO_TICKET
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    if signature is None:
        context.set_ciphers("ALL:@SECLEVEL=0")  # level 0, or an RSA-1024 certificate could not even be looked at
    else:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("aECDSA:@SECLEVEL=0" if signature == "ecdsa" else "aRSA:@SECLEVEL=0")
    return context


def _peer_chain(secured: ssl.SSLSocket) -> list[bytes]:
    """The certificates the server sent, leaf first, as DER."""
    # Python 3.13 has the method; 3.10 to 3.12 carry it one level down. Without either, the leaf alone.
    public = getattr(secured, "get_unverified_chain", None)
    if public is not None:
        return list(public())
    inner = getattr(getattr(secured, "_sslobj", None), "get_unverified_chain", None)
    if inner is not None:
        return [ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner() or ()]
    leaf = secured.getpeercert(binary_form=True)
    return [leaf] if leaf else []
