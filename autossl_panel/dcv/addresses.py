"""What kind of address this is: may the panel's own fetches go there?
Only classification lives here: no network, and no opinion of our own servers."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address


class Kind(StrEnum):
    """What an address is for; only PUBLIC ones can be reached by a public CA."""

    PUBLIC = "public"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link_local"
    SHARED = "shared"
    DOCUMENTATION = "documentation"
    MULTICAST = "multicast"
    TRANSITION = "transition"
    RESERVED = "reserved"


# The IANA special-purpose registries, plus what the clouds put on globally routed numbers for their own machines.
# `ipaddress.is_global` is no help: it says True to NAT64 and 6to4 forms of 169.254.169.254, to multicast and to
# 168.63.129.16.
_SPECIAL_V4: tuple[tuple[IPv4Network, Kind], ...] = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", Kind.RESERVED),
        ("10.0.0.0/8", Kind.PRIVATE),
        ("100.64.0.0/10", Kind.SHARED),
        ("127.0.0.0/8", Kind.LOOPBACK),
        ("168.63.129.16/32", Kind.RESERVED),  # Azure's wire server
        ("169.254.0.0/16", Kind.LINK_LOCAL),
        ("172.16.0.0/12", Kind.PRIVATE),
        ("192.0.0.0/24", Kind.RESERVED),
        ("192.0.2.0/24", Kind.DOCUMENTATION),
        ("192.31.196.0/24", Kind.RESERVED),
        ("192.52.193.0/24", Kind.RESERVED),
        ("192.88.99.0/24", Kind.TRANSITION),
        ("192.168.0.0/16", Kind.PRIVATE),
        ("192.175.48.0/24", Kind.RESERVED),
        ("198.18.0.0/15", Kind.RESERVED),
        ("198.51.100.0/24", Kind.DOCUMENTATION),
        ("203.0.113.0/24", Kind.DOCUMENTATION),
        ("224.0.0.0/4", Kind.MULTICAST),
        ("240.0.0.0/4", Kind.RESERVED),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_SPECIAL_V6: tuple[tuple[IPv6Network, Kind], ...] = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::1/128", Kind.LOOPBACK),
        ("::/96", Kind.TRANSITION),
        ("::ffff:0:0/96", Kind.TRANSITION),
        ("64:ff9b::/96", Kind.TRANSITION),
        ("64:ff9b:1::/48", Kind.TRANSITION),
        ("2001:db8::/32", Kind.DOCUMENTATION),
        ("2001::/32", Kind.TRANSITION),
        ("2001::/23", Kind.RESERVED),
        ("2002::/16", Kind.TRANSITION),
        ("2620:4f:8000::/48", Kind.RESERVED),
        ("3fff::/20", Kind.DOCUMENTATION),
        ("fc00::/7", Kind.PRIVATE),
        ("fe80::/10", Kind.LINK_LOCAL),
        ("fec0::/10", Kind.PRIVATE),
        ("ff00::/8", Kind.MULTICAST),
    )
)


def classify(address: str | Address) -> Kind:
    """The kind of `address`; forms that carry an IPv4 address inside IPv6 are never public (ValueError: no address)."""
    ip = ip_address(address) if isinstance(address, str) else address
    if isinstance(ip, IPv4Address):
        return next((kind for network, kind in _SPECIAL_V4 if ip in network), Kind.PUBLIC)
    if ip.scope_id is not None:
        return Kind.LINK_LOCAL
    special = next((kind for network, kind in _SPECIAL_V6 if ip in network), None)
    if special is not None:
        return special
    return Kind.PUBLIC if ip in _GLOBAL_V6 else Kind.RESERVED


def may_fetch(address: str, *, private_ca: bool) -> bool:
    """Whether preflight may connect to `address`: public ones only, unless the CA is a private one.
    A private CA lifts loopback and private networks, never link-local (cloud metadata), multicast or embedded forms."""
    kind = classify(address)
    if kind is Kind.PUBLIC:
        return True
    return private_ca and kind in (Kind.LOOPBACK, Kind.PRIVATE, Kind.SHARED, Kind.DOCUMENTATION)


def is_ipv6(address: str) -> bool:
    """Whether the text is an IPv6 address (it was classified before)."""
    return ":" in address
