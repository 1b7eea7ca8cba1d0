"""A way to a CA that can be cut and mended: a process of its own that passes connections on. The CA forgets nothing."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from autossl_panel.sandbox.addresses import free_port
from autossl_panel.sandbox.processes import Process, Processes

ROOT = Path(__file__).resolve().parents[2]


class Proxy:
    """Listens on a port of `address` and passes everything to `to` while it is up. Down, connections are refused."""

    def __init__(self, folder: Path, address: str, to: int) -> None:
        self.address, self.port = address, free_port(address, 14100)
        self._log, self._to = folder / "proxy.log", to
        self._processes = Processes()
        self._process: Process | None = None

    def up(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "tests.support.proxy", self.address, str(self.port), str(self._to)]
        self._process = self._processes.start("proxy", command, log=self._log, env={"PYTHONPATH": str(ROOT)})
        self._process.wait_listening(self.address, self.port)

    def down(self) -> None:
        """End it by its pid: what is under way breaks off."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._processes.stop()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        source.close()
        target.close()


def main() -> None:
    """Words: address, port, port to pass to."""
    address, port, to = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with socket.create_server((address, port)) as listener:
        while True:
            client, _peer = listener.accept()
            server = socket.create_connection((address, to))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=_pass, args=pair, daemon=True).start()


if __name__ == "__main__":
    main()
