"""A real HTTPS server that answers as a test says, however badly, and remembers what it was asked."""

import base64
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from autossl_panel.ca import Client, Reader, new_account_key
from autossl_panel.ca import directory as directories
from tests.ca.authority import ADDRESS, MiniCa

ACME = "urn:ietf:params:acme:error:"


@dataclass(frozen=True)
class Asked:
    """One request, with the parts of its JWS when it has one."""

    method: str
    path: str
    connection: int
    protected: Mapping[str, Any]
    payload: Mapping[str, Any]
    jws: bytes


Reply = bytes | Iterable[bytes] | None  # None: end the connection without a word


def answer(status: int, body: object = b"", **headers: str) -> bytes:
    """A proper HTTP answer; a dict becomes JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def problem(
    status: int, short_type: str, detail: str = "No.", /, *, headers: Mapping[str, str], **fields: Any
) -> bytes:
    return answer(status, {"type": ACME + short_type, "detail": detail, **fields}, **headers)


class Rogue:
    """Serves HTTPS (without `tls`: complains of every request) on a port of its own while the block runs."""

    def __init__(
        self,
        mini_ca: MiniCa,
        reply: Callable[[Asked], Reply],
        *,
        host: str = ADDRESS,
        days: int = 1,
        tls: bool = True,
    ) -> None:
        self.asked: list[Asked] = []
        # Connections that came and have ended
        self.closed = 0
        self._reply = reply
        self._context: ssl.SSLContext | None = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*mini_ca.issue(host, days=days))
        self._listener = socket.create_server((ADDRESS, 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://{ADDRESS}:{self.port}"
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in list(self._threads):
            thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock, len(self._sockets)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, plain: socket.socket, number: int) -> None:
        try:
            if self._context is None:
                with plain:
                    # What comes is a TLS greeting: any server of another protocol answers that with its own complaint.
                    plain.recv(4096)
                    plain.sendall(answer(400, b"Bad Request"))
            else:
                with plain, self._context.wrap_socket(plain, server_side=True) as secured:
                    self._talk(secured, number)
        except OSError:
            return  # the client has gone: its business
        finally:
            plain.close()
            with self._lock:
                self.closed += 1

    def _talk(self, sock: socket.socket, number: int) -> None:
        with sock.makefile("rb") as stream:
            while (asked := _read(stream, number)) is not None:
                self.asked.append(asked)
                reply = self._reply(asked)
                if reply is None:
                    return
                for part in (reply,) if isinstance(reply, bytes) else reply:
                    sock.sendall(part)


def _read(stream: Any, number: int) -> Asked | None:
    first = stream.readline(10000).decode("latin-1").split()
    if len(first) < 2:
        return None
    length = 0
    while (line := stream.readline(10000)) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    body = stream.read(length)
    parts = json.loads(body) if body else {}
    return Asked(first[0], first[1], number, _part(parts.get("protected")), _part(parts.get("payload")), body)


def _part(text: str | None) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(text + "==")) if text else {}


class RogueCa(Rogue):
    """A `Rogue` with a proper directory and nonces, and scripted replies for other paths; the last one stays."""

    def __init__(self, mini_ca: MiniCa, *, meta: Mapping[str, Any] | None = None) -> None:
        super().__init__(mini_ca, self._scripted)
        self._mini_ca = mini_ca
        self._meta = dict(meta or {})
        self._script: dict[str, list[Callable[[Asked], Reply]]] = {}
        self._count = 0
        # The port may have been an earlier CA's, whose directory is still remembered.
        directories.forget(f"{self.url}/dir", mini_ca.bundle)

    def script(self, path: str, *replies: Callable[[Asked], Reply]) -> None:
        self._script[path] = list(replies)

    def say(self, path: str, status: int, body: object = b"", **headers: str) -> None:
        """Always answer `path` so, with a nonce."""
        self.script(path, lambda asked: answer(status, body, **self.nonce(), **headers))

    def nonce(self) -> dict[str, str]:
        self._count += 1
        return {"Replay_Nonce": f"nonce-{self._count}"}

    def client(self, *, account: str | None = "", read_timeout: float = 5, **more: Any) -> Client:
        url = f"{self.url}/account/1" if account == "" else account
        bundle = self._mini_ca.bundle
        return Client(f"{self.url}/dir", new_account_key(), url, ca_bundle=bundle, read_timeout=read_timeout, **more)

    def reader(self, **more: Any) -> Reader:
        return Reader(f"{self.url}/dir", ca_bundle=self._mini_ca.bundle, read_timeout=5, **more)

    def posts(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "POST" and asked.path == path]

    def directory(self) -> dict[str, Any]:
        names = {
            **{"newNonce": "nonce", "newAccount": "account", "newOrder": "order", "revokeCert": "revoke"},
            **{"keyChange": "key", "renewalInfo": "renewal"},
        }
        return {**{name: f"{self.url}/{path}" for name, path in names.items()}, "meta": self._meta}

    def _scripted(self, asked: Asked) -> Reply:
        replies = self._script.get(asked.path)
        if replies:
            return (replies.pop(0) if len(replies) > 1 else replies[0])(asked)
        if asked.path == "/dir":
            return answer(200, self.directory())
        if asked.path == "/nonce":
            return answer(200, **self.nonce())
        return problem(404, "malformed", "Nothing here.", headers=self.nonce())
