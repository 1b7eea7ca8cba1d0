"""A real HTTP receiver on loopback: answers as it is told, keeps what came."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from autossl_panel.sandbox.addresses import claim_address, free_port


@dataclass(frozen=True, slots=True)
class Request:
    """What came: path, headers in lower case, body."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A started server. `status` is what it answers, `location` where it redirects to; `drip`: a byte now and then."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "") -> None:
        self._claim = claim_address()
        self.host = host or self._claim.address
        self.port = free_port(self.host)
        self.status, self.location, self.drip = 204, "", False
        self.requests: list[Request] = []
        self.at: Callable[[], None] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append(Request(self.path, headers, body))
                receiver.at()
                if receiver.drip:
                    self._drip()
                    return
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def _drip(self) -> None:
                try:
                    for letter in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 10_000:
                        self.wfile.write(bytes([letter]))
                        time.sleep(0.2)
                except OSError:
                    return

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer((self.host, self.port), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._claim.release()
