"""A helper of the test's own: in a short folder, as a server in this process or as a process."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from autossl_panel.helper.client import Client
from autossl_panel.helper.server import Server
from autossl_panel.helper.settings import Settings


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
