"""HTTPS to a CA, kept alive: one connection a host, whole-answer deadlines, a request counter, the CA's Date.

Knows HTTP and TLS, nothing of ACME. Written on sockets and `http.client` because a request library costs two thirds of
a certificate's CPU time. No proxies, no environment, no redirects; one thread at a time.
"""

import functools
import http.client
import io
import re
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import Self, cast
from urllib.parse import urlsplit

from autossl_panel import tls
from autossl_panel.ca.errors import CaProblem, ProblemKind, own
from autossl_panel.sentences import say

USER_AGENT = "autossl-panel/0.1 (ACME client)"
LARGEST_ANSWER = 1 << 20
# Past this, a server may be about to close; a request that must not be sent twice would be lost in that race.
LONGEST_IDLE = 10.0
_URL = re.compile(r"https://[!-~]{1,2000}")


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to its end. `at` is our clock when it came."""

    status: int
    headers: Message
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Target:
    """An https URL taken apart."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """Host and port as a Host header and a person write them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == 443 else f"{host}:{self.port}"


def utc_now() -> datetime:
    """This machine's clock, aware UTC."""
    return datetime.now(UTC)


def no_gate(_resource: str) -> None:
    """The gate that lets every request pass at once."""


@functools.lru_cache(maxsize=1024)
def target(url: str) -> Target:
    """`url` taken apart; a CaProblem where it is no usable https address (RFC 8555 §6.1)."""
    if not _URL.fullmatch(url):
        raise own(ProblemKind.UNREACHABLE, "url", say("not_https", url=url[:200]))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
    except ValueError:
        host, port = None, 0
    if not host or parts.username is not None:
        raise own(ProblemKind.UNREACHABLE, "url", say("not_usable", url=url[:200]))
    path = parts.path or "/"
    return Target(host, port, f"{path}?{parts.query}" if parts.query else path)


def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """The shared TLS settings for a CA bundle (a PEM file that replaces the system's), or for the system's trust."""
    if ca_bundle is None:
        return _tls_context(None, 0)
    try:
        changed = ca_bundle.stat().st_mtime_ns
    except OSError as error:
        raise _bundle_problem(ca_bundle, error.strerror or str(error)) from error
    return _tls_context(ca_bundle, changed)


@functools.lru_cache(maxsize=16)
def _tls_context(ca_bundle: Path | None, changed: int) -> ssl.SSLContext:
    # Reading the trust store takes 10 ms and a context may serve many threads: one for all.
    if ca_bundle is None:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except ssl.SSLError as error:
        raise _bundle_problem(ca_bundle, "it holds no PEM certificate") from error
    except OSError as error:
        raise _bundle_problem(ca_bundle, error.strerror or str(error)) from error


def _bundle_problem(ca_bundle: Path, reason: str) -> CaProblem:
    return own(ProblemKind.UNREACHABLE, "bundle", say("bundle", path=ca_bundle, reason=reason))


class _Paced(io.RawIOBase):
    """Reads a socket up to one moment: a server that sends a byte now and then must not hold a thread for ever."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What `http.client.HTTPResponse` asks a socket for."""
        return io.BufferedReader(self)


class _Connection:
    __slots__ = ("fresh", "sock", "used_at")

    def __init__(self, sock: ssl.SSLSocket) -> None:
        self.sock = sock
        self.used_at = time.monotonic()
        self.fresh = True

    def usable(self, longest_idle: float) -> bool:
        """Is the peer still there, as far as we can see? Between requests a readable socket means it has closed."""
        if self.fresh:
            return True
        if time.monotonic() - self.used_at > longest_idle:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)


class Transport:
    """Sends requests to https addresses and reads their answers; every trouble is a CaProblem that names the host.

    `gate` is called with the resource's name before each request, also before one that is sent again: it may wait or
    raise. `ticks` are monotonic seconds.
    """

    def __init__(
        self,
        *,
        ca_bundle: Path | None = None,
        connect_timeout: float = 10,
        read_timeout: float = 30,
        longest_idle: float = LONGEST_IDLE,
        clock: Callable[[], datetime] = utc_now,
        ticks: Callable[[], float] = time.monotonic,
        gate: Callable[[str], None] = no_gate,
    ) -> None:
        self.requests = 0
        self._gate = gate
        self._ticks = ticks
        self._longest_idle = longest_idle
        self._ca_bundle = ca_bundle
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._clock = clock
        self._connections: dict[tuple[str, int], _Connection] = {}
        self._date: tuple[datetime, datetime] | None = None
        self._heard_at: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all connections; a later request opens new ones."""
        while self._connections:
            self._connections.popitem()[1].sock.close()

    @property
    def date_offset(self) -> timedelta | None:
        """The CA's Date header minus this machine's clock, as last seen; to the second."""
        if self._date is None:
            return None
        date, at = self._date
        return date - at.replace(microsecond=0)

    @property
    def silence(self) -> float:
        """Seconds since an answer with a date was heard; infinite before the first."""
        return float("inf") if self._heard_at is None else self._ticks() - self._heard_at

    @property
    def ca_time(self) -> datetime | None:
        """What the CA's clock says by now: the last Date header plus what has passed since, not asking our clock."""
        if self._date is None:
            return None
        return self._date[0] + timedelta(seconds=self.silence)

    def send(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        *,
        resource: str = "other",
        accept: str = "application/json",
        repeatable: bool = True,
    ) -> Answer:
        """Send one request and read its whole answer. Only a `repeatable` one is sent again over a new connection."""
        try:
            to = target(url)
            request = _request(method, to, body, accept)
            # Before the connection is looked at: while the gate waits, the server may close it.
            self._gate(resource)
            connection = self._connected(to)
        except CaProblem as problem:
            problem.sent = False
            raise
        was_fresh = connection.fresh
        try:
            return self._exchange(connection, method, to, request)
        except (OSError, http.client.HTTPException) as error:
            self._drop(to)
            if was_fresh or not repeatable or not _closed_before_answer(error):
                raise self._explained(error, to) from error
        self._gate(resource)
        connection = self._connected(to)
        try:
            return self._exchange(connection, method, to, request)
        except (OSError, http.client.HTTPException) as error:
            self._drop(to)
            raise self._explained(error, to) from error

    def _connected(self, to: Target) -> _Connection:
        known = self._connections.get((to.host, to.port))
        if known is not None:
            if known.usable(self._longest_idle):
                return known
            self._drop(to)
        context = tls_context(self._ca_bundle)
        try:
            plain = socket.create_connection((to.host, to.port), timeout=self._connect_timeout)
        except (OSError, UnicodeError) as error:
            raise self._explained(error, to) from error
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secured = tls.wrap(plain, context, to.host)
        except (OSError, ValueError) as error:
            plain.close()
            raise self._explained(error, to) from error
        connection = self._connections[to.host, to.port] = _Connection(secured)
        return connection

    def _exchange(self, connection: _Connection, method: str, to: Target, request: bytes) -> Answer:
        deadline = time.monotonic() + self._read_timeout
        connection.sock.settimeout(self._read_timeout)
        self.requests += 1
        connection.sock.sendall(request)
        stream = cast(socket.socket, _Paced(connection.sock, deadline))
        response = http.client.HTTPResponse(stream, method=method)
        response.begin()
        body = response.read(LARGEST_ANSWER + 1)
        if len(body) > LARGEST_ANSWER:
            raise http.client.HTTPException(f"its answer is larger than {LARGEST_ANSWER >> 20} MB")
        if response.length:  # what read() with a size does not tell: the peer ended before the announced length
            raise http.client.IncompleteRead(body, response.length)
        answer = Answer(response.status, response.msg, body, self._clock())
        if (date := _date(answer.headers)) is not None:
            self._date, self._heard_at = (date, answer.at), self._ticks()
        if response.will_close:
            self._drop(to)
        else:
            connection.used_at = time.monotonic()
            connection.fresh = False
        return answer

    def _drop(self, to: Target) -> None:
        connection = self._connections.pop((to.host, to.port), None)
        if connection is not None:
            connection.sock.close()

    def _explained(self, error: Exception, to: Target) -> CaProblem:
        short, sentence = _explanation(error, to, self._connect_timeout, self._read_timeout)
        return own(ProblemKind.UNREACHABLE, short, sentence)


def _request(method: str, to: Target, body: bytes, accept: str) -> bytes:
    lines = [
        f"{method} {to.path} HTTP/1.1",
        f"Host: {to.authority}",
        f"User-Agent: {USER_AGENT}",
        f"Accept: {accept}",
        "Accept-Language: en",
    ]
    if method == "POST":
        lines += ["Content-Type: application/jose+json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _date(headers: Message) -> datetime | None:
    """When an answer was made (RFC 9110 §6.6.1), also where it waited in a cache since (Age, RFC 9111 §5.1)."""
    try:
        moment = parsedate_to_datetime(headers["Date"])
    except (ValueError, TypeError, OverflowError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if moment.year > 9000:  # nothing can be added to it
        return None
    age = (headers["Age"] or "").strip()
    return moment + timedelta(seconds=int(age)) if age.isascii() and age.isdigit() and len(age) < 8 else moment


def _closed_before_answer(error: Exception) -> bool:
    # http.client calls an end of the stream before the first byte RemoteDisconnected, a ConnectionResetError.
    return isinstance(error, (ConnectionError, ssl.SSLZeroReturnError, ssl.SSLEOFError))


def _explanation(error: Exception, to: Target, connect: float, read: float) -> tuple[str, str]:
    """Our short problem type and a sentence with host and cause; most particular first."""
    name = to.authority
    match error:
        case ssl.SSLCertVerificationError():
            reason = error.verify_message or "not trusted"
            return "certificate", say("certificate", host=name, reason=reason)
        case socket.gaierror():
            return "dns", say("dns", host=to.host, reason=error.strerror)
        case UnicodeError():
            return "url", say("no_host", host=to.host)
        case ConnectionRefusedError():
            return "refused", say("refused", host=to.host, port=to.port)
        case TimeoutError():
            return "timeout", say("timeout", host=name, connect=f"{connect:g}", answer=f"{read:g}")
        case ssl.SSLError():
            return "tls", say("tls", host=name, reason=error.reason or error)
        case ConnectionError():
            return "network", say("closed", host=name)
        case OSError():
            return "network", say("unreachable", host=name, reason=error.strerror or error)
        case http.client.IncompleteRead():
            return "http", say("broken_off", host=name)
        case _:
            return "http", say("http", host=name, reason=error)
