"""A helper of the test's own: in a short folder, as a server in this process or as a process."""

from __future__ import annotations

import http.client
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autossl_panel import pki
from autossl_panel.helper.client import Client
from autossl_panel.helper.server import Server
from autossl_panel.helper.settings import Settings
from autossl_panel.sandbox.addresses import claim_address, free_port
from autossl_panel.sandbox.nginx import Nginx
from autossl_panel.sandbox.processes import Processes
from tests.support.patience import SECONDS, within


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path: a socket's path has 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="as", dir="/tmp")).resolve()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def settings(folder: Path) -> Settings:
    """A helper with an nginx that no test of the store needs."""
    return Settings(
        folder=folder / "helper",
        socket=folder / "run" / "helper.sock",
        nginx_binary="nginx",
        nginx_conf=folder / "nginx.conf",
    )


@pytest.fixture
def server(settings: Settings) -> Iterator[Server]:
    """A helper in this process."""
    with Server(settings) as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield started
        started.stop()
        thread.join()


@pytest.fixture
def client(server: Server, settings: Settings) -> Iterator[Client]:
    """A caller of that helper."""
    with Client(settings.socket) as connected:
        yield connected


class Web:
    """A real nginx on a loopback address of its own, sites as Debian keeps them, and a helper's settings."""

    def __init__(self, folder: Path, processes: Processes, address: str) -> None:
        self.address = address
        self.http_port, self.https_port = free_port(address, 5002), free_port(address, 5001)
        self.nginx = Nginx(processes, folder / "nginx")
        self.nginx.put_site("default", self.block("default_server", "server_name _; return 404;"))
        self.settings = Settings(
            folder=folder / "helper",
            socket=folder / "run" / "helper.sock",
            nginx_binary=self.nginx.binary,
            nginx_conf=self.nginx.conf,
            http_port=self.http_port,
            https_port=self.https_port,
        )

    def block(self, flag: str, text: str) -> str:
        """A server block on the HTTP port."""
        return f"server {{\n    listen {self.address}:{self.http_port} {flag};\n    {text}\n}}\n"

    def tls_block(self, name: str, chain: Path, key: Path) -> str:
        """A server block on the HTTPS port with a pair that stands elsewhere."""
        return (
            f"server {{\n    listen {self.address}:{self.https_port} ssl;\n    server_name {name};\n"
            f"    ssl_certificate {chain};\n    ssl_certificate_key {key};\n    return 200 secure;\n}}\n"
        )

    def put(self, *names: str, extra: str = "") -> None:
        """Plain sites, one file each; nginx reads them at its next start or reload."""
        for name in names:
            self.nginx.put_site(
                name, self.block("", f"server_name {name}; {extra} location / {{ return 200 {name}; }}")
            )

    def start(self) -> None:
        """Start nginx and wait until it listens."""
        self.nginx.start()
        self.nginx.wait(self.address, self.http_port)

    def get(self, name: str, path: str) -> tuple[int, str]:
        """Status and body that a site answers over HTTP."""
        connection = http.client.HTTPConnection(self.address, self.http_port, timeout=SECONDS)
        try:
            connection.request("GET", path, headers={"Host": name})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def served(self, name: str) -> str | None:
        """The fingerprint that a handshake shows for a name, None where there is no handshake."""
        shown = pki.handshake(self.address, self.https_port, name, timeout=SECONDS)
        return shown.facts.fingerprint if shown.facts else None

    def comes(self, name: str, fingerprint: str | None) -> bool:
        """Whether a name comes to show this certificate: old workers answer for a moment."""
        return within(lambda: all(self.served(name) == fingerprint for _time in range(3)))

    def files(self) -> dict[str, bytes]:
        """Every configuration file, byte for byte."""
        return {
            str(path): path.read_bytes()
            for path in [self.nginx.conf, *sorted((self.nginx.folder / "sites-available").iterdir())]
        }


@pytest.fixture
def web(folder: Path) -> Iterator[Web]:
    """A real nginx, not started yet."""
    processes = Processes()
    with claim_address() as claim:
        try:
            yield Web(folder, processes, claim.address)
        finally:
            processes.stop()


@contextmanager
def helper_for(settings: Settings) -> Iterator[Client]:
    """A helper in this process, and a caller."""
    with Server(settings) as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        try:
            with Client(settings.socket) as connected:
                yield connected
        finally:
            started.stop()
            thread.join()


@pytest.fixture
def helper(web: Web) -> Iterator[Client]:
    """A caller of a helper for the real nginx."""
    with helper_for(web.settings) as connected:
        yield connected
