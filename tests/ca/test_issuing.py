"""A certificate from a real CA, step by step, and from any step after a crash."""

from autossl_panel.ca import Client
from tests.ca.authority import Authority
from tests.ca.ordering import issue, leaf


def test_issues_a_certificate_of_two_names(client: Client, pebble: Authority) -> None:
    chain = issue(client, pebble, "plain.example.com", "www.plain.example.com")
    assert chain.count(b"-----BEGIN CERTIFICATE-----") == 2
    assert chain.startswith(b"-----BEGIN CERTIFICATE-----\n")
    assert chain.endswith(b"-----END CERTIFICATE-----\n")
    assert leaf(chain).serial_number > 0
