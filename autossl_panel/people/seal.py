"""Texts that leave a process and come back unread and unchanged: sealed with the panel's secret key."""

from base64 import urlsafe_b64encode
from datetime import timedelta

from cryptography.fernet import Fernet, InvalidToken
from django.utils.crypto import salted_hmac


class SealBroken(ValueError):
    """What was to be opened is not ours, was changed, is too old, or the panel's secret key is another one now."""


def seal(text: str, purpose: str) -> str:
    """Encrypt and authenticate a text; what is sealed for one purpose does not open for another."""
    return cipher(purpose).encrypt(text.encode()).decode()


def unseal(token: str, purpose: str, max_age: timedelta | None = None) -> str:
    """The text again; raises SealBroken."""
    try:
        seconds = None if max_age is None else round(max_age.total_seconds())
        return cipher(purpose).decrypt(token.encode(), ttl=seconds).decode()
    except (InvalidToken, UnicodeError) as error:
        raise SealBroken(purpose) from error


def cipher(purpose: str) -> Fernet:
    """What seals for one purpose; its key comes from the panel's secret key."""
    return Fernet(urlsafe_b64encode(salted_hmac("autossl_panel.seal", purpose, algorithm="sha256").digest()))
