"""ACME clients alone: certificates issued and downloaded, with nothing around them. A process of its own, see `main`.

`shipped` is the `acme` package by its own means: ClientV2, its polling, a client and a ClientNetwork for each thread,
since neither may be shared. `own` is our layer, ca.Client, with the same threads. Both have P-256 keys and write their
challenges into a folder that nginx serves.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

from acme import challenges, messages
from acme.client import ClientNetwork, ClientV2
from cryptography.hazmat.primitives.asymmetric import ec
from josepy.jwa import ES256
from josepy.jwk import JWKEC

from autossl_panel import ca, pki


class Shipped:
    """`acme` as it is shipped."""

    def __init__(self, directory_url: str, bundle: str, folder: Path) -> None:
        self._url = directory_url
        self._folder = folder
        # requests reads it; ClientNetwork has no option for a CA bundle.
        os.environ["REQUESTS_CA_BUNDLE"] = bundle
        self._key = JWKEC(key=ec.generate_private_key(ec.SECP256R1()))
        self._mine = threading.local()
        first = self._client(None)
        self._account = first.new_account(messages.NewRegistration.from_data(terms_of_service_agreed=True))
        self.sent = 0  # it does not count

    def _client(self, account: messages.RegistrationResource | None) -> ClientV2:
        network = ClientNetwork(self._key, account=account, alg=ES256)
        directory = messages.Directory.from_json(network.get(self._url).json())
        return ClientV2(directory, network)

    def issue(self, names: Sequence[str]) -> bytes:
        if not hasattr(self._mine, "client"):
            self._mine.client = self._client(self._account)
        client: ClientV2 = self._mine.client
        order = client.new_order(pki.make_csr(pki.new_key(pki.KeyType.P256), names))
        for authorization in order.authorizations:
            for challenge in authorization.body.challenges:
                if isinstance(challenge.chall, challenges.HTTP01):
                    response, validation = challenge.response_and_validation(self._key)
                    (self._folder / challenge.chall.encode("token")).write_text(validation)
                    client.answer_challenge(challenge, response)
        chain: str = client.poll_and_finalize(order).fullchain_pem
        return chain.encode()


class Own:
    """Our own layer over it."""

    def __init__(self, directory_url: str, bundle: str, folder: Path) -> None:
        self._url = directory_url
        self._bundle = Path(bundle)
        self._folder = folder
        self._key = ca.new_account_key()
        self._mine = threading.local()
        self._clients: list[ca.Client] = []
        with self._client(None) as first:
            self._account = first.register(agree_terms=True)

    def _client(self, account: str | None) -> ca.Client:
        return ca.Client(self._url, self._key, account, ca_bundle=self._bundle)

    @property
    def sent(self) -> int:
        return sum(client.requests for client in self._clients)

    def issue(self, names: Sequence[str]) -> bytes:
        if not hasattr(self._mine, "client"):
            self._mine.client = self._client(self._account)
            self._clients.append(self._mine.client)
        client: ca.Client = self._mine.client
        deadline = datetime.now(UTC) + timedelta(seconds=90)
        order = client.new_order(names)
        for url in order.authorizations:
            challenge = client.authorization(url).http01
            assert challenge is not None
            (self._folder / challenge.token).write_text(challenge.key_authorization)
            client.answer(challenge.url)
        client.poll(order.url, until=lambda state: state.status == "ready", deadline=deadline, stop=lambda: False)
        csr = pki.csr_der(pki.make_csr(pki.new_key(pki.KeyType.P256), names))
        state = client.finalize(order.finalize, csr, order_url=order.url)
        if not state.settled:
            state = client.poll(
                order.url,
                until=lambda state: state.settled,
                deadline=deadline,
                stop=lambda: False,
                after=state.retry_after,
            )
        assert state.certificate is not None, state
        return client.download(state.certificate)


def main() -> int:
    """Words: shipped|own, threads, directory URL, CA bundle, folder for challenges. Names as JSON on standard input."""
    kind, threads, directory_url, bundle, folder = sys.argv[1:]
    wanted: list[list[str]] = json.load(sys.stdin)
    made = Own if kind == "own" else Shipped
    client: Own | Shipped = made(directory_url, bundle, Path(folder))
    before, start = _cpu(), time.monotonic()
    with ThreadPoolExecutor(int(threads)) as pool:
        chains = list(pool.map(client.issue, wanted))
    seconds, cpu = time.monotonic() - start, _cpu() - before
    for names, chain in zip(wanted, chains, strict=True):
        facts = pki.read_chain(chain)
        assert all(facts.covers(name) for name in names), names
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": seconds, "cpu": cpu, "sent": client.sent, "mb": peak}))
    return 0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
