"""Addresses that may be fetched, and those that only look so."""

import pytest

from autossl_panel.dcv.addresses import Kind, classify, may_fetch


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("9.9.9.9", Kind.PUBLIC),
        ("2620:fe::fe", Kind.PUBLIC),
        ("2a00:1450:4001:80f::200e", Kind.PUBLIC),
        ("127.0.0.1", Kind.LOOPBACK),
        ("::1", Kind.LOOPBACK),
        ("10.1.2.3", Kind.PRIVATE),
        ("172.31.255.255", Kind.PRIVATE),
        ("192.168.0.1", Kind.PRIVATE),
        ("fd00:ec2::254", Kind.PRIVATE),
        ("fec0::1", Kind.PRIVATE),
        ("100.100.100.200", Kind.SHARED),
        ("169.254.169.254", Kind.LINK_LOCAL),
        ("fe80::1", Kind.LINK_LOCAL),
        ("fe80::1%eth0", Kind.LINK_LOCAL),
        ("203.0.113.7", Kind.DOCUMENTATION),
        ("2001:db8::1", Kind.DOCUMENTATION),
        ("3fff::1", Kind.DOCUMENTATION),
        ("224.0.0.251", Kind.MULTICAST),
        ("ff0e::1", Kind.MULTICAST),
        ("64:ff9b::a9fe:a9fe", Kind.TRANSITION),
        ("64:ff9b:1::1", Kind.TRANSITION),
        ("2002:a9fe:a9fe::1", Kind.TRANSITION),
        ("2001:0:1::1", Kind.TRANSITION),
        ("::ffff:127.0.0.1", Kind.TRANSITION),
        ("::127.0.0.1", Kind.TRANSITION),
        ("0.0.0.0", Kind.RESERVED),
        ("255.255.255.255", Kind.RESERVED),
        ("168.63.129.16", Kind.RESERVED),
        ("192.0.0.192", Kind.RESERVED),
        ("198.18.0.1", Kind.RESERVED),
        ("::", Kind.TRANSITION),
        ("4000::1", Kind.RESERVED),
        ("100::1", Kind.RESERVED),
    ],
)
def test_kinds(address: str, kind: Kind) -> None:
    assert classify(address) is kind
    assert may_fetch(address, private_ca=False) is (kind is Kind.PUBLIC)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "fd00::1", "100.64.0.1", "192.0.2.2", "9.9.9.9"])
def test_a_private_ca_may_see_private_networks(address: str) -> None:
    assert may_fetch(address, private_ca=True)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "168.63.129.16", "64:ff9b::a9fe:a9fe", "224.0.0.1", "::ffff:10.0.0.1", "0.0.0.0"]
)
def test_a_private_ca_never_sees_metadata_multicast_or_disguises(address: str) -> None:
    assert not may_fetch(address, private_ca=True)


def test_no_address_is_an_error() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        classify("nonsense")
