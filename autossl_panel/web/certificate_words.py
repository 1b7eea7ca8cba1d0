"""What a certificate is called: its issuer, its key, its serial as people compare it."""

import re

from django.utils.html import format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from autossl_panel.autossl.models import Certificate

# RFC 4514: a comma that no backslash stands before parts the names
_PARTS = re.compile(r"(?<!\\)[,+]")
_CURVES = {256: "P-256", 384: "P-384", 521: "P-521"}


def issuer(certificate: Certificate) -> str:
    """Who issued it, by organisation or else by common name."""
    if certificate.self_signed:
        return _("Self-signed")
    parts = dict(
        (kind.strip().upper(), value)
        for kind, _equals, value in (part.partition("=") for part in _PARTS.split(certificate.issuer))
    )
    called = parts.get("O") or parts.get("CN") or certificate.issuer
    return re.sub(r"\\(.)", r"\1", called)


def key(certificate: Certificate) -> str:
    """“P-256”, “RSA 2048”, “ED25519”."""
    if certificate.key_kind == "ec":
        return _CURVES.get(certificate.key_bits, f"EC {certificate.key_bits}")
    if certificate.key_kind in ("rsa", "dsa"):
        return f"{certificate.key_kind.upper()} {certificate.key_bits}"
    return certificate.key_kind.capitalize()


def serial(certificate: Certificate) -> SafeString:
    """In pairs, as browsers and openssl print it: 04:a1:7c; a line may break between them."""
    digits = certificate.serial
    digits = digits if len(digits) % 2 == 0 else f"0{digits}"
    pairs = ((digits[place : place + 2],) for place in range(0, len(digits), 2))
    return format_html_join(mark_safe(":<wbr>"), "{}", pairs)
