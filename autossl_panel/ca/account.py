"""The ACME account's key: making it, its thumbprint, and signing with it (RFC 8555 §6.2, ES256 only).

The signature of each request is built by hand: josepy's takes four times as long. What is rare goes through josepy.
"""

import base64
import json
from typing import cast

from acme import messages
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from josepy.jwk import JWKEC

from autossl_panel.ca.errors import ProblemKind, own
from autossl_panel.sentences import say

_ES256 = ec.ECDSA(hashes.SHA256())


def new_account_key() -> bytes:
    """A new P-256 account key, PEM (PKCS 8): as strong as RSA-3072, and far cheaper to sign with."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def thumbprint(account_key_pem: bytes) -> str:
    """The thumbprint of the key (RFC 7638), as key authorizations carry it."""
    return base64url(public_jwk(_load(account_key_pem)).thumbprint())


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def public_jwk(key: ec.EllipticCurvePrivateKey) -> JWKEC:
    """The public half as a JSON web key."""
    return JWKEC(key=key.public_key())


def _load(account_key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(account_key_pem, password=None)
    except (ValueError, TypeError) as error:
        raise own(ProblemKind.ACCOUNT, "key", say("key_unread")) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise own(ProblemKind.ACCOUNT, "key", say("key_kind"))
    return key


class Signer:
    """Wraps payloads in flattened JWS, which name the account (kid) or, `with_key`, carry its public key (jwk)."""

    def __init__(self, account_key_pem: bytes, account_url: str | None) -> None:
        self._key = _load(account_key_pem)
        self.jwk = public_jwk(self._key)
        self.thumbprint = base64url(self.jwk.thumbprint())
        self._named = ""
        self._anonymous = '{"alg":"ES256","jwk":' + json.dumps(self.jwk.public_key().to_json())
        self.account_url = account_url

    @property
    def account_url(self) -> str | None:
        """The account's URL, None before registration."""
        return self._account_url

    @account_url.setter
    def account_url(self, url: str | None) -> None:
        self._account_url = url
        self._named = "" if url is None else '{"alg":"ES256","kid":' + json.dumps(url)

    def sign(self, payload: bytes, *, url: str, nonce: str, with_key: bool = False) -> bytes:
        """The body of a POST to `url`; an empty payload makes it a POST-as-GET (RFC 8555 §6.3)."""
        head = self._anonymous if with_key else self._named
        return self._signed(f'{head},"nonce":"{nonce}","url":{json.dumps(url)}}}', payload)

    def sign_inner(self, payload: bytes, *, url: str) -> bytes:
        """A JWS to be carried inside another one: with the public key, without a nonce (RFC 8555 §7.3.5)."""
        return self._signed(f'{self._anonymous},"url":{json.dumps(url)}}}', payload)

    def _signed(self, head: str, payload: bytes) -> bytes:
        protected = base64url(head.encode())
        content = base64url(payload)
        signed = self._key.sign(f"{protected}.{content}".encode("ascii"), _ES256)
        r, s = decode_dss_signature(signed)
        signature = base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
        return f'{{"protected":"{protected}","payload":"{content}","signature":"{signature}"}}'.encode("ascii")


def key_change(old: Signer, new: Signer, *, url: str) -> bytes:
    """What `old` signs to have its account go over to `new` (RFC 8555 §7.3.5): the new key's own signature of it."""
    payload = {"account": old.account_url, "oldKey": old.jwk.public_key().to_json()}
    return new.sign_inner(json.dumps(payload).encode(), url=url)


def external_binding(signer: Signer, kid: str, hmac_key: str, *, new_account_url: str) -> dict[str, str]:
    """The external account binding of RFC 8555 §7.3.4; the HMAC key as CAs hand it out, base64 of either alphabet."""
    text = "".join(hmac_key.split()).replace("+", "-").replace("/", "_").rstrip("=")
    try:
        secret = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise own(ProblemKind.EAB, "eab", say("eab_text")) from error
    if not secret or not kid.strip():
        raise own(ProblemKind.EAB, "eab", say("eab_empty"))
    directory = messages.Directory({"newAccount": new_account_url})
    binding = messages.ExternalAccountBinding.from_data(
        signer.jwk.public_key(), kid.strip(), base64url(secret), directory
    )
    return cast(dict[str, str], binding)
