"""Addresses of ACME directories as people type them: whether one can be used, whether two lead to the same. Pure."""

import hashlib
from urllib.parse import unquote, urlsplit

LONGEST = 500


def is_one(text: str) -> bool:
    """Whether this can be the address of a directory (RFC 8555 §6.1: https)."""
    try:
        url = urlsplit(text)
        host, _port = url.hostname, url.port
    except ValueError:
        return False
    plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= LONGEST
    return url.scheme == "https" and bool(host) and plain and "@" not in url.netloc


def same(one: str, other: str) -> bool:
    """Whether two of them lead to the same directory, however they are written (RFC 3986 §6.2.2, §6.2.3)."""
    return _written_alike(one) == _written_alike(other)


def digest(text: str) -> str:
    """20 hexadecimal digits that stand for a directory: the same for two addresses that are the `same`."""
    return hashlib.sha256("\n".join(map(str, _written_alike(text))).encode()).hexdigest()[:20]


def _written_alike(text: str) -> tuple[str, int, str, str]:
    url = urlsplit(text)
    return (url.hostname or "").rstrip("."), url.port or 443, unquote(url.path) or "/", url.query
