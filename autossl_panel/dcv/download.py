"""The guarded download: a document whose address a stranger wrote, from public addresses only, bounded in every way.

The host is resolved by our resolvers, classified, and connected to by number, as in fetch.py. What the document is
worth is the caller's to check: the server's certificate is not looked at.
"""

import asyncio
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import ip_address
from urllib.parse import quote, urljoin, urlsplit

from autossl_panel import tls

from .addresses import may_fetch
from .fetch import Url, is_host
from .model import Settings
from .resolve import Resolution, Resolver

REDIRECTS = 3
_FOLLOWED = frozenset((301, 302, 303, 307, 308))
_PIECE = 1 << 16
_SAFE = "%/:=&?~+!$,;'@()*[]-._"


class DownloadProblem(Exception):
    """Why there is no document, in a sentence. `code`: url, dns, private_address, network, http or size."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def download(url: str, settings: Settings, *, most: int, seconds: float) -> bytes:
    """The document at `url`, at most `most` bytes, within `seconds`. Blocks. Raises DownloadProblem.

    Other ports than 80 and 443, and addresses that are not public, are for a private CA only.
    """
    deadline = time.monotonic() + seconds
    for _hop in range(REDIRECTS + 1):
        to = _parsed(url, settings.private_ca)
        found = _fetched(to, _address(to.host, settings), most, deadline)
        if isinstance(found, bytes):
            return found
        url = urljoin(to.text(), found)
    raise DownloadProblem("http", f"{to.host} redirects more than {REDIRECTS} times.")


def _parsed(url: str, private_ca: bool) -> Url:
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip(".").lower(), parts.port
    except ValueError as error:
        raise DownloadProblem("url", f"“{url[:200]}” is no usable address.") from error
    if parts.scheme not in ("http", "https") or not (is_host(host) or _is_address(host)):
        raise DownloadProblem("url", f"“{url[:200]}” is no http:// or https:// address of a host.")
    usual = 443 if parts.scheme == "https" else 80
    if port not in (None, 80, 443) and not private_ca:
        raise DownloadProblem("url", f"“{url[:200]}” has a port that no public CA's document is at.")
    target = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
    return Url(parts.scheme, host, port or usual, target)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _address(host: str, settings: Settings) -> str:
    """The address to connect to: one that may be, IPv4 first, which every host has a way to."""
    if _is_address(host):
        found: tuple[str, ...] = (host,)
    else:
        resolution = asyncio.run(_resolved(host, settings))
        found = resolution.addresses
        if not found:
            raise DownloadProblem("dns", f"The name {host} cannot be resolved ({resolution.trouble}).")
    allowed = [address for address in found if may_fetch(address, private_ca=settings.private_ca)]
    if not allowed:
        raise DownloadProblem("private_address", f"{host} is at an address that is not public ({found[0]}).")
    return min(allowed, key=lambda address: ":" in address)


async def _resolved(host: str, settings: Settings) -> Resolution:
    async with Resolver(settings.resolvers, timeout=settings.dns_timeout) as resolver:
        return await resolver.resolve(host)


def _fetched(to: Url, address: str, most: int, deadline: float) -> bytes | str:
    """The document, or where it is said to be instead."""
    try:
        with _connected(to, address, deadline) as sock:
            sock.sendall(_request(to))
            with closing(http.client.HTTPResponse(sock, method="GET")) as response:
                response.begin()
                if response.status in _FOLLOWED and (location := response.headers["Location"]):
                    return str(location)
                if response.status != 200:
                    raise DownloadProblem("http", f"{to.host} answered {response.status} for {to.text()[:200]}.")
                return _body(response, to, most, deadline)
    except ssl.SSLError as error:
        raise DownloadProblem("network", f"{to.host} does not speak proper TLS: {error.reason or error}.") from error
    except http.client.HTTPException as error:
        raise DownloadProblem("http", f"{to.host} does not answer in proper HTTP: {error}.") from error
    except OSError as error:
        raise DownloadProblem("network", f"{to.host} cannot be reached: {error.strerror or 'no answer'}.") from error


@contextmanager
def _connected(to: Url, address: str, deadline: float) -> Iterator[socket.socket]:
    """A socket that ends at the deadline, whatever is being read from it: a server may send a byte now and then."""
    left = max(0.1, deadline - time.monotonic())
    # The watch has a number of its own: wrapping in TLS takes the socket's away.
    with socket.create_connection((address, to.port), timeout=left) as plain, plain.dup() as watched:
        watch = threading.Timer(left, _end, [watched])
        watch.start()
        try:
            if to.scheme == "http":
                yield plain
                return
            with tls.wrap(plain, _tls(), to.host) as secured:
                yield secured
        finally:
            watch.cancel()
            watch.join()


def _end(sock: socket.socket) -> None:
    with suppress(OSError):  # where it has ended by itself
        sock.shutdown(socket.SHUT_RDWR)


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _request(to: Url) -> bytes:
    lines = (
        f"GET {to.target} HTTP/1.1",
        f"Host: {to.host_header()}",
        "User-Agent: AutoSSL Panel",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode("ascii")


def _body(response: http.client.HTTPResponse, to: Url, most: int, deadline: float) -> bytes:
    pieces, length = [], 0
    while piece := response.read1(_PIECE):
        pieces.append(piece)
        length += len(piece)
        if length > most:
            raise DownloadProblem("size", f"What {to.host} sends is larger than {most:,} bytes.")
        if time.monotonic() > deadline:
            break
    if time.monotonic() > deadline or response.length:
        raise DownloadProblem("network", f"{to.host} broke off its answer, or took too long for it.")
    return b"".join(pieces)
