"""The box knows what its CA has issued, also with refused nonces and short lifetimes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from autossl_panel import pki
from autossl_panel.ca import Client, OrderState, new_account_key
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Kind, Site

NAMES = ("one.example", "www.one.example")
SITE = Site("anna", NAMES, kind=Kind.OWN_CHALLENGE)


def issue(box: Box, client: Client) -> pki.CertificateFacts:
    """One certificate for SITE, its challenges put where its own location looks."""
    soon = datetime.now(UTC) + timedelta(seconds=20)
    folder = box.homes / "anna" / "old-acme-client" / ".well-known" / "acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    order = client.new_order(NAMES)
    for url in order.authorizations:
        challenge = client.authorization(url).http01
        assert challenge is not None
        (folder / challenge.token).write_text(challenge.key_authorization)
        client.answer(challenge.url)

    def poll(*statuses: str) -> OrderState:
        return client.poll(order.url, until=lambda state: state.status in statuses, deadline=soon, stop=lambda: False)

    ready = poll("ready", "invalid")
    client.finalize(
        ready.finalize, pki.csr_der(pki.make_csr(pki.new_key(pki.KeyType.P256), NAMES)), order_url=order.url
    )
    certificate = poll("valid", "invalid").certificate
    assert certificate is not None
    return pki.read_chain(client.download(certificate))


def test_issued_counts_certificates_per_set_of_names() -> None:
    with (
        Box(sites=[SITE], nonce_reject=5, validity_seconds=3600) as box,
        Client(box.directory_url, new_account_key(), None, ca_bundle=box.ca_bundle) as client,
    ):
        client.register(agree_terms=True)
        assert box.issued() == {}
        first = issue(box, client)
        assert box.issued() == {frozenset(NAMES): 1}
        second = issue(box, client)
        assert box.issued() == {frozenset(NAMES): 2}
        assert [int(issued.serial, 16) for issued in box.issuances()] == [int(first.serial, 16), int(second.serial, 16)]
        assert box.ca_requests() == client.requests
        assert first.not_after - first.not_before <= timedelta(hours=1)
