"""Where a request comes from: the peer, or what as many proxies as the setting says have written."""

import pytest
from django.test import RequestFactory

from autossl_panel.people import address


@pytest.mark.parametrize(
    ("proxies", "peer", "header", "found"),
    [
        (0, "198.51.100.9", "203.0.113.66", "198.51.100.9"),  # anybody can write a header
        (1, "127.0.0.1", "203.0.113.66", "203.0.113.66"),
        (1, "127.0.0.1", "10.9.9.9, 203.0.113.66", "203.0.113.66"),  # what stood there before is the client's own
        (2, "127.0.0.1", "10.9.9.9, 203.0.113.66, 192.0.2.1", "203.0.113.66"),
        (2, "127.0.0.1", "203.0.113.66", "127.0.0.1"),  # went past a proxy
        (1, "127.0.0.1", "", "127.0.0.1"),
        (1, "127.0.0.1", "junk", "127.0.0.1"),
        (1, "127.0.0.1", "203.0.113.66:4711", "203.0.113.66"),
        (1, "127.0.0.1", "[2001:db8::5]:4711", "2001:db8::5"),
        (1, "127.0.0.1", "2001:DB8::5", "2001:db8::5"),
        (0, "::ffff:192.0.2.7", "", "192.0.2.7"),
        (0, "fe80::1%eth0", "", "fe80::1"),
        (0, "", "", ""),
    ],
)
def test_the_address_of_who_asks(proxies, peer, header, found, settings):
    settings.AUTOSSL_PROXIES = proxies
    more = {"HTTP_X_FORWARDED_FOR": header} if header else {}
    assert address.of(RequestFactory().get("/", REMOTE_ADDR=peer, **more)) == found


@pytest.mark.parametrize(
    ("given", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("", ""),
    ],
)
def test_addresses_of_one_household_count_together(given, group):
    assert address.group(given) == group
