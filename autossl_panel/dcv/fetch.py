"""The guarded fetch: one challenge file from one pinned address, as a CA would fetch it.
Every hop's host is resolved by our resolvers, classified, and connected to by number: nothing is looked up twice, so
no answer can change between the check and the connection. Nothing here judges whose fault it is: see judge.py."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import quote, urljoin, urlsplit

import idna

from .addresses import Kind, classify, is_ipv6, may_fetch
from .model import Settings
from .resolve import Resolution

BODY_LIMIT = 128
_HEAD_LIMIT = 16_384
_REDIRECTS = 10
_FOLLOWED = frozenset((301, 302, 307, 308))
_READ = 4096
_OURS = frozenset(
    (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES)
)
_SAFE = "%/:=&?~+!$,;'@()*[]-._"

Resolve = Callable[[str], Awaitable[Resolution]]


@dataclass(frozen=True, slots=True)
class Url:
    """One hop: what is asked of whom."""

    scheme: str
    host: str
    port: int
    target: str

    def host_header(self) -> str:
        """The host, with the port only where it is not the scheme's own."""
        usual = 443 if self.scheme == "https" else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"

    def text(self) -> str:
        """The URL for people and logs."""
        return f"{self.scheme}://{self.host_header()}{self.target}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What one address gave. `code` is None when the file was there, else a code of DCV; `reason` says more.
    `address` is where the fetch began, `hop_address` where it ended, `url` the last hop."""

    address: str
    code: str | None
    reason: str = ""
    status: int = 0
    server: str = ""
    hop_address: str = ""
    url: str = ""
    hops: int = 0
    body: str = ""


class _Trouble(Exception):
    """A hop gave no usable answer."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(slots=True)
class _Reply:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(slots=True)
class Fetcher:
    """Fetches for one check: settings, the resolver, and the bound on open sockets."""

    settings: Settings
    resolve: Resolve
    sockets: asyncio.Semaphore
    tls: ssl.SSLContext

    async def fetch(self, name: str, address: str, token: str, expected: bytes) -> Fetched:
        """Ask `address` for the token as `name`, follow redirects, compare the body. Never raises for what the other
        side does; ends within the total deadline."""
        path = f"/.well-known/acme-challenge/{token}"
        url = Url("http", name, self.settings.http_port, path)
        walk = _Walk(self, address, url)
        try:
            async with self.sockets, asyncio.timeout(self.settings.total_deadline):
                reply = await walk.to_the_end()
        except TimeoutError:
            return walk.ended("connect_timeout", "answer")
        except _Trouble as trouble:
            return walk.ended(trouble.code, trouble.reason)
        if reply.status != 200:
            return walk.ended("http_status", "", reply)
        if len(reply.body) > BODY_LIMIT or reply.body.rstrip() != expected:
            return walk.ended("wrong_body", "", reply)
        return walk.ended(None, "", reply)

    async def exchange(self, url: Url, address: str) -> _Reply:
        """One request on a connection of its own."""
        request = (
            f"GET {url.target} HTTP/1.1\r\nHost: {url.host_header()}\r\nUser-Agent: AutoSSL Panel preflight\r\n"
            "Accept: */*\r\nConnection: close\r\n\r\n"
        ).encode("ascii")
        with _socket(address) as sock:
            sock.setblocking(False)
            await self._connect(sock, address, url.port)
            try:
                if url.scheme == "https":
                    return await self._over_tls(sock, url.host, request)
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(sock, request)
                return await _read(lambda: loop.sock_recv(sock, _READ))
            except ssl.SSLError as error:
                raise _Trouble("redirect_refused", f"tls: {error.reason or 'handshake failed'}") from error
            except OSError as error:
                raise _Trouble("connect_refused", "closed") from error

    async def _connect(self, sock: socket.socket, address: str, port: int) -> None:
        try:
            async with asyncio.timeout(self.settings.connect_timeout):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except TimeoutError as error:
            reason = "connect" if has_route(address) else "no_route"
            raise _Trouble("unknown" if reason == "no_route" else "connect_timeout", reason) from error
        except ConnectionRefusedError as error:
            raise _Trouble("connect_refused", "refused") from error
        except OSError as error:
            if error.errno in _OURS:
                raise _Trouble("unknown", f"local: {errno.errorcode.get(error.errno or 0, '')}") from error
            if error.errno == errno.ETIMEDOUT:
                raise _Trouble("connect_timeout", "connect") from error
            if not has_route(address):
                raise _Trouble("unknown", "no_route") from error
            raise _Trouble("connect_refused", "unreachable") from error

    async def _over_tls(self, sock: socket.socket, host: str, request: bytes) -> _Reply:
        reader, writer = await asyncio.open_connection(
            sock=sock.dup(), ssl=self.tls, server_hostname=host, limit=_HEAD_LIMIT
        )
        try:
            writer.write(request)
            return await _read(lambda: reader.read(_READ))
        finally:
            writer.transport.abort()


def _socket(address: str) -> socket.socket:
    """A socket of the address's family; that this host has none left, or lacks the family, is our trouble."""
    try:
        return socket.socket(socket.AF_INET6 if is_ipv6(address) else socket.AF_INET, socket.SOCK_STREAM)
    except OSError as error:
        ours = error.errno in _OURS
        reason = f"local: {errno.errorcode.get(error.errno or 0, '')}" if ours else "no_route"
        raise _Trouble("unknown", reason) from error


class _Walk:
    """The hops of one fetch."""

    def __init__(self, fetcher: Fetcher, address: str, url: Url) -> None:
        self.fetcher = fetcher
        self.start = address
        self.at = address
        self.url = url
        self.hops = 0

    async def to_the_end(self) -> _Reply:
        """Follow redirects by Let's Encrypt's rules: at most ten, http or https, to names and the two ports only."""
        seen = {self.url}
        reply = await self.fetcher.exchange(self.url, self.at)
        while 300 <= reply.status < 400 and "location" in reply.headers:
            if reply.status not in _FOLLOWED:
                raise _Trouble("redirect_refused", f"status {reply.status}")
            url = self._onward(reply.headers["location"])
            if url in seen or self.hops >= _REDIRECTS:
                raise _Trouble("redirect_loop", "")
            seen.add(url)
            self.url = url
            self.hops += 1
            reply = await self._hop()
        return reply

    async def _hop(self) -> _Reply:
        """Ask the redirect's target; IPv6 first, and IPv4 only when IPv6 does not answer the connection."""
        addresses = await self._targets()
        for index, address in enumerate(addresses):
            self.at = address
            try:
                return await self.fetcher.exchange(self.url, address)
            except _Trouble as trouble:
                last = index == len(addresses) - 1
                if last or trouble.reason not in ("connect", "no_route"):
                    raise
        raise AssertionError("a target has at least one address")

    async def _targets(self) -> tuple[str, ...]:
        resolution = await self.fetcher.resolve(self.url.host)
        if not resolution.addresses:
            trouble = resolution.trouble
            if trouble == "unknown":
                raise _Trouble("unknown", f"resolver: {resolution.detail}")
            raise _Trouble("redirect_refused", f"dns: {trouble}")
        private_ca = self.fetcher.settings.private_ca
        allowed = [a for a in resolution.addresses if may_fetch(a, private_ca=private_ca)]
        if not allowed:
            raise _Trouble("redirect_refused", "private_address")
        # Each address of a name is tested on its own: a redirect to itself stays there.
        if self.at in allowed:
            return (self.at,)
        six = [a for a in allowed if is_ipv6(a)][:1]
        four = [a for a in allowed if not is_ipv6(a)][:1]
        return (*six, *four)

    def _onward(self, location: str) -> Url:
        """The redirect's target as a URL that may be followed, or the reason why not."""
        settings = self.fetcher.settings
        try:
            parts = urlsplit(urljoin(self.url.text(), location))
            if parts.scheme not in ("http", "https"):
                raise _Trouble("redirect_refused", "scheme")
            port = parts.port
            host = _host(parts.hostname or "")
        except ValueError as error:
            raise _Trouble("redirect_refused", "bad_url") from error
        if not host:
            raise _Trouble("redirect_refused", "address")
        if port is not None and port not in (settings.http_port, settings.https_port):
            raise _Trouble("redirect_refused", f"port {port}")
        if port is None:
            port = settings.https_port if parts.scheme == "https" else settings.http_port
        target = _quoted(parts.path or "/") + (f"?{_quoted(parts.query)}" if parts.query else "")
        return Url(parts.scheme, host, port, target)

    def ended(self, code: str | None, reason: str, reply: _Reply | None = None) -> Fetched:
        server = _clean(reply.headers.get("server", "")) if reply else ""
        body = _clean(reply.body.decode("utf-8", "replace")) if reply and code == "wrong_body" else ""
        status = reply.status if reply else 0
        if (
            reply
            and not server
            and "incap" in reply.headers.get("x-iinfo", "") + reply.headers.get("x-cdn", "").lower()
        ):
            server = "Imperva"
        url = _clean(self.url.text(), 300)
        return Fetched(self.start, code, reason, status, server, self.at, url, self.hops, body)


def _quoted(text: str) -> str:
    return quote(text, safe=_SAFE, errors="surrogateescape")


def _host(text: str) -> str:
    """The host of a redirect as A-labels; '' where it is a bare address, which no CA follows (ValueError: no name)."""
    host = text.rstrip(".").lower()
    if ":" in host or host.replace(".", "").isdigit():
        return ""
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")  # IDNAError is a ValueError
    if not is_host(host):
        raise ValueError("not a host name")
    return host


def is_host(text: str) -> bool:
    """Whether the text can be asked of DNS and stand in a Host header: letters, digits, hyphens, underscores, dots."""
    if not 0 < len(text) <= 253 or not text.isascii():
        return False
    return all(0 < len(x) <= 63 and x.replace("-", "").replace("_", "").isalnum() for x in text.split("."))


def has_route(address: str) -> bool:
    """Whether this host has a way to `address`'s family at all: connecting a UDP socket asks the kernel, sends nothing.
    A public IPv6 address from a host without one of its own does not come back."""
    six = is_ipv6(address)
    try:
        with socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            own = str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return False
    return not six or classify(address) is not Kind.PUBLIC or classify(own) is Kind.PUBLIC


async def _read(more: Callable[[], Awaitable[bytes]]) -> _Reply:
    """One HTTP/1 answer: the head, and no more of the body than is needed to see that it is too long."""
    data = b""
    reply = None
    while reply is None or 100 <= reply.status < 200:
        end = data.find(b"\r\n\r\n")
        while end < 0:
            if len(data) > _HEAD_LIMIT:
                raise _Trouble("connect_refused", "not_http")
            chunk = await more()
            if not chunk:
                raise _Trouble("connect_refused", "not_http" if data else "closed")
            data += chunk
            end = data.find(b"\r\n\r\n")
        reply = _head(data[:end])
        data = data[end + 4 :]
    if reply.status == 200:
        reply.body = await _body(reply.headers, data, more)
    return reply


def _head(head: bytes) -> _Reply:
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or len(status) != 3 or not (status.isascii() and status.isdigit()):
        raise _Trouble("connect_refused", "not_http")
    headers: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        headers.setdefault(key.strip().lower(), value.strip())
    return _Reply(int(status), headers)


async def _body(headers: dict[str, str], data: bytes, more: Callable[[], Awaitable[bytes]]) -> bytes:
    """The first BODY_LIMIT + 1 bytes of the body, by chunks, by length, or to the end of the connection."""
    chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
    length = headers.get("content-length", "")
    wanted = (
        min(int(length), BODY_LIMIT + 1)
        if length.isascii() and length.isdigit() and len(length) < 19
        else BODY_LIMIT + 1
    )
    while True:
        body, done = _unchunk(data) if chunked else (data, len(data) >= wanted)
        if done or len(body) > BODY_LIMIT:
            return body[: wanted if not chunked else BODY_LIMIT + 1]
        if len(data) > _HEAD_LIMIT:
            raise _Trouble("connect_refused", "not_http")
        chunk = await more()
        if not chunk:
            return body
        data += chunk


def _unchunk(data: bytes) -> tuple[bytes, bool]:
    """What chunks (RFC 9112 §7.1) hold so far, and whether the last one is there."""
    body = b""
    while len(body) <= BODY_LIMIT:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return body, False
        size_text = line.partition(b";")[0].strip()
        try:
            size = int(size_text, 16)
        except ValueError as error:
            raise _Trouble("connect_refused", "not_http") from error
        if size <= 0:
            return body, True
        body += rest[: min(size, BODY_LIMIT + 1)]
        if len(rest) < size + 2:
            return body, False
        data = rest[size + 2 :]
    return body, True


def _clean(text: str, limit: int = 80) -> str:
    """Text of a stranger for our logs: printable, short."""
    return "".join(c for c in text if c.isprintable())[:limit]
