"""Real servers on loopback addresses for the tests of DCV: DNS (UDP and TCP) and HTTP, each in a thread of its own."""

import socket
import socketserver
import ssl
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

Answering = Callable[[dns.message.Message, bool], dns.message.Message | None]


class _Udp(socketserver.ThreadingUDPServer):
    max_packet_size = 4096
    daemon_threads = True


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def _pair(
    address: str, udp: type[socketserver.BaseRequestHandler], tcp: type[socketserver.BaseRequestHandler]
) -> tuple[_Udp, _Tcp]:
    """Both sockets on one port; others may hold the TCP side of a port whose UDP side is free."""
    for _ in range(20):
        first = _Udp((address, 0), udp)
        try:
            return first, _Tcp(first.server_address, tcp)
        except OSError:
            first.server_close()
    raise RuntimeError("no port that is free for UDP and TCP")


class DnsServer:
    """A small recursive-looking DNS server: zone data as `records[(name, type)] = [texts]`, and misbehaviour by name.
    An unlisted name does not exist; `.` always answers, as a living resolver's does."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.records: dict[tuple[str, str], list[str]] = {}
        self.silent: set[str] = set()
        self.silent_kinds: set[tuple[str, str]] = set()
        self.servfail: set[str] = set()
        self.bogus: set[str] = set()
        self.refused: set[str] = set()
        self.errors: dict[str, tuple[int, str]] = {}
        self.zone = ""
        self.dead = False
        self.chase = True
        self.truncate = False
        self.deaf_tcp = False
        self.asked: list[tuple[str, str]] = []
        server = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                answer = server.answer(self.request[0], tcp=False)
                if answer is not None:
                    self.request[1].sendto(answer, self.client_address)

        class Tcp(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                length = int.from_bytes(self.rfile.read(2), "big")
                answer = server.answer(self.rfile.read(length), tcp=True)
                if answer is not None:
                    self.wfile.write(len(answer).to_bytes(2, "big") + answer)

        self._udp, self._tcp = _pair(address, Udp, Tcp)
        self.port: int = self._udp.server_address[1]
        self._threads = [threading.Thread(target=s.serve_forever, args=(0.02,)) for s in (self._udp, self._tcp)]

    @property
    def resolver(self) -> str:
        return f"{self.address}:{self.port}"

    def add(self, name: str, *addresses: str) -> None:
        """A and AAAA records of a name."""
        for address in addresses:
            kind = "AAAA" if ":" in address else "A"
            self.records.setdefault((name, kind), []).append(address)

    def answer(self, data: bytes, *, tcp: bool) -> bytes | None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name, kind))
        response = dns.message.make_response(query, recursion_available=True)
        if (tcp and self.deaf_tcp) or self.dead or name in self.silent or (name, kind) in self.silent_kinds:
            return None
        checking = not query.flags & dns.flags.CD
        if name in self.errors:
            code, text = self.errors[name]
            response.use_edns(0, options=[dns.edns.EDEOption(dns.edns.EDECode(code), text)])
        if name in self.servfail or (name in self.bogus and checking) or name in self.errors:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif name in self.refused:
            response.set_rcode(dns.rcode.REFUSED)
        elif self.truncate and not tcp:
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response: dns.message.Message, name: str, kind: str) -> None:
        for _ in range(20):
            texts = self.records.get((name, kind))
            if texts:
                response.answer.append(dns.rrset.from_text(name + ".", 60, "IN", kind, *texts))
                return
            alias = self.records.get((name, "CNAME"))
            if not alias:
                break
            response.answer.append(dns.rrset.from_text(name + ".", 60, "IN", "CNAME", alias[0] + "."))
            name = alias[0]
            if not self.chase:
                return
        known = {owner for owner, _ in self.records} | {"", "."}
        if name not in known and not any(owner.endswith("." + name) for owner in known):
            response.set_rcode(dns.rcode.NXDOMAIN)
        if self.zone:
            soa = f"ns.{self.zone}. admin.{self.zone}. 1 2 3 4 5"
            response.authority.append(dns.rrset.from_text(self.zone + ".", 60, "IN", "SOA", soa))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        for server in (self._udp, self._tcp):
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()


class HttpServer:
    """An HTTP server that answers bytes as they stand: `routes[path]` or `default`, keyed by path or (host, path).
    It notes what it was asked, and may sleep, drip or hang up."""

    def __init__(self, address: str, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.routes: dict[str, bytes] = {}
        self.default = http(404, b"not here")
        self.asked: list[str] = []
        self.drip: float | None = None
        self.hang = threading.Event()
        self.hang.set()
        server = self

        class Handler(socketserver.StreamRequestHandler):
            timeout = 20

            def handle(self) -> None:
                try:
                    server.serve(self)
                except OSError:
                    return  # the client had enough, which is what several tests are about

        class Tcp(_Tcp):
            address_family = socket.AF_INET6 if ":" in address else socket.AF_INET

            def get_request(self) -> tuple[socket.socket, object]:
                sock, peer = super().get_request()
                sock.settimeout(20)
                return (tls.wrap_socket(sock, server_side=True) if tls else sock), peer

        self._server = Tcp((address, port), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def serve(self, handler: socketserver.StreamRequestHandler) -> None:
        if isinstance(handler.request, ssl.SSLSocket) is False and handler.request.recv(1, socket.MSG_PEEK) == b"\x16":
            handler.wfile.write(http(400, b"plain HTTP here"))  # as nginx answers a TLS hello on a plain port
            return
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = handler.rfile.readline(8192)
            if not line:
                return
            head += line
        self.asked.append(head.decode("latin-1"))
        self.hang.wait(20)
        answer = self.routes.get(head.split(b" ")[1].decode("latin-1"), self.default)
        if self.drip is None:
            handler.wfile.write(answer)
            return
        stopped = threading.Event()
        for index in range(len(answer)):
            handler.wfile.write(answer[index : index + 1])
            stopped.wait(self.drip)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def http(status: int, body: bytes = b"", **headers: str) -> bytes:
    """One HTTP answer as bytes; underscores in header names become hyphens."""
    lines = [f"HTTP/1.1 {status} Words", f"Content-Length: {len(body)}"]
    lines += [f"{key.replace('_', '-')}: {value}" for key, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def free_port(*addresses: str) -> int:
    """A TCP port that is free on all of the addresses now."""
    for _ in range(50):
        with socket.socket() as sock:
            sock.bind((addresses[0], 0))
            port: int = sock.getsockname()[1]
        if all(_bindable(address, port) for address in addresses):
            return port
    raise RuntimeError("no free port")


def _bindable(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as sock:
        try:
            sock.bind((address, port))
        except OSError:
            return False
        return True
