"""Where a request comes from. A header is believed only as far as a setting says that proxies of ours wrote it."""

from ipaddress import IPv6Address, ip_address

from django.conf import settings
from django.http import HttpRequest


def of(request: HttpRequest) -> str:
    """The address of who asks: the peer's or, behind AUTOSSL_PROXIES proxies, what the outermost of them saw.

    "" where there is none (a Unix socket). A header with fewer entries than proxies, or with junk, is not believed.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    proxies: int = settings.AUTOSSL_PROXIES
    said = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    return (_plain(said[-proxies]) if len(said) >= proxies > 0 else "") or _plain(peer)


def group(address: str) -> str:
    """What counts as one place for throttling: an IPv4 address, the /64 of an IPv6 one (one household, one machine)."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv6Address):
        return f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def _plain(text: str) -> str:
    """An address without brackets, port or zone, IPv4 where it is one; "" for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)
