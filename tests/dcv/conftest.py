"""A box for DCV tests: one DNS server, and web servers on loopback addresses that share one port as real ones do."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from autossl_panel.dcv import Finding, Settings, check, new_token
from autossl_panel.sandbox.addresses import claim_address

from .servers import DnsServer, HttpServer, free_port, http

# For tests that wait for a time-out; all others have time enough for a busy machine.
SHORT: dict[str, object] = {"dns_timeout": 1.0, "connect_timeout": 0.5, "total_deadline": 1.5}

# This process's alone, so that nobody takes a port between the moment when it is free and the one when it is used
CLAIM = claim_address()
HERE, THERE, CLOSED, SILENT = CLAIM.address, CLAIM.neighbour(2), CLAIM.neighbour(3), CLAIM.neighbour(4)


@dataclass
class Box:
    """What a test needs: the servers, the settings that fit them, and one call that proves a name."""

    dns: DnsServer
    here: HttpServer
    there: HttpServer
    settings: Settings
    token: str
    body: str
    start: Callable[..., HttpServer]

    @property
    def path(self) -> str:
        return f"/.well-known/acme-challenge/{self.token}"

    def prove(self, name: str, **changes: object) -> Finding:
        """The finding on one name, with some settings changed."""
        return check([name], replace(self.settings, **changes), token=self.token, body=self.body)[name]  # type: ignore[arg-type]


@pytest.fixture
def box() -> Iterator[Box]:
    with ExitStack() as stack:
        port = free_port(HERE, THERE, CLOSED, SILENT, "::1")
        https_port = free_port(HERE, THERE, CLOSED)
        token, body = new_token()
        dns_server = stack.enter_context(DnsServer())

        def start(address: str, at: int = port, tls: ssl.SSLContext | None = None) -> HttpServer:
            server: HttpServer = stack.enter_context(HttpServer(address, at, tls=tls))
            return server

        here, there = start(HERE), start(THERE)
        here.routes[f"/.well-known/acme-challenge/{token}"] = http(200, body.encode() + b"\n", Server="nginx")
        settings = Settings(
            resolvers=(dns_server.resolver,),
            server_addresses=(HERE, "::1"),
            http_port=port,
            https_port=https_port,
            private_ca=True,
            dns_timeout=5.0,
            connect_timeout=3.0,
            total_deadline=6.0,
        )
        yield Box(dns_server, here, there, settings, token, body, start)


def _silence(stack: ExitStack, address: str, port: int) -> str:
    """A port that never answers a connection: a listener with a full queue."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = stack.enter_context(socket.socket(family))
    listener.bind((address, port))
    listener.listen(0)
    for _ in range(4):
        filler = stack.enter_context(socket.socket(family))
        filler.setblocking(False)
        filler.connect_ex((address, port))
    return address


@pytest.fixture
def black_hole(box: Box) -> Iterator[str]:
    with ExitStack() as stack:
        yield _silence(stack, SILENT, box.settings.http_port)


@pytest.fixture
def black_hole_six(box: Box) -> Iterator[str]:
    with ExitStack() as stack:
        yield _silence(stack, "::1", box.settings.http_port)


@pytest.fixture(scope="session")
def bad_tls(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """A server's TLS with a self-signed certificate of another name: what a site has before it is secured."""
    folder: Path = tmp_path_factory.mktemp("tls")
    openssl = shutil.which("openssl")
    assert openssl is not None
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    files = ["-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem"), "-subj", "/CN=other.example"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context
