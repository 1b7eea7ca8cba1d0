"""Webhooks: a JSON body, signed as Standard Webhooks says, to one checked address. No redirect is followed, no proxy is
used, and what the other side answers is not kept. Workers and commands only.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from autossl_panel import tls
from autossl_panel.dcv.addresses import Kind, classify

from ..models import Channel, Message
from .outbox import Trouble
from .texts import clean

# Seconds: for each step, and for all of it
TIMEOUT = 10.0
LONGEST = 30.0
PREFIX = "whsec_"
LOCAL = (Kind.LOOPBACK, Kind.PRIVATE, Kind.SHARED)


def send(message: Message, channel: Channel, now: datetime) -> None:
    """Return when the receiver answered 2xx; raises Trouble."""
    body = body_of(message)
    url = urlsplit(channel.target)
    addresses = _addresses(url, private=channel.private)
    headers = {
        "Host": url.netloc,
        "Content-Type": "application/json",
        "User-Agent": "AutoSSL-Panel",
        "Connection": "close",
        **signed(channel.secret, message.ident, now, body),
    }
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    try:
        with contextlib.closing(_connect(url, addresses)) as connection, _at_most(LONGEST, connection):
            connection.request("POST", path, body=body, headers=headers)
            status = connection.getresponse().status
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Trouble("connection", clean(f"{url.hostname}: {_why(error)}")) from error
    if 300 <= status < 400:
        raise Trouble("redirect", f"{url.hostname} answered {status}: redirects are not followed. Give the final URL.")
    if not 200 <= status < 300:
        raise Trouble("status", f"{url.hostname} answered {status}.")


def body_of(message: Message) -> bytes:
    """What is sent, byte for byte the same at every try."""
    whole = {"id": message.ident, **message.payload}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def signed(secret: str, ident: str, now: datetime, body: bytes) -> dict[str, str]:
    """The headers that prove body, name and moment: HMAC-SHA256 over “id.timestamp.body”."""
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.removeprefix(PREFIX))
    mark = hmac.new(key, f"{ident}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": ident,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(mark).decode()}",
    }


def _addresses(url: SplitResult, *, private: bool) -> list[str]:
    """The addresses of the receiver, all of them fit to be connected to; raises Trouble."""
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Trouble("dns", clean(f"{host} has no address: {error.strerror or error}.")) from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        kind = classify(address)
        if kind is not Kind.PUBLIC and not (private and kind in LOCAL):
            raise Trouble(
                "address",
                f"{host} has the address {address}, which is not public. Mark the channel as one of your own network "
                "if it is meant to.",
            )
        if url.scheme == "http" and kind not in LOCAL:
            raise Trouble("address", f"{host} has the public address {address}: that needs https.")
    return addresses


def _connect(url: SplitResult, addresses: list[str]) -> http.client.HTTPConnection:
    """A connection to the first checked address that takes one, with the name for TLS and the Host header."""
    host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
    problem: OSError = OSError("no address")
    for address in addresses:
        try:
            plain = socket.create_connection((address, port), TIMEOUT)
        except OSError as error:
            problem = error
            continue
        connection = http.client.HTTPConnection(host, url.port or port, timeout=TIMEOUT)
        try:
            connection.sock = _secured(plain, host) if url.scheme == "https" else plain
        except BaseException:
            plain.close()
            raise
        return connection
    raise problem


@contextlib.contextmanager
def _at_most(seconds: float, connection: http.client.HTTPConnection) -> Iterator[None]:
    """Cut the line after so long: a receiver that answers a byte now and then would hold the worker for ever."""
    timer = threading.Timer(seconds, _cut, [connection.sock])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _cut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _secured(plain: socket.socket, host: str) -> Any:
    return tls.wrap(plain, ssl.create_default_context(), host)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
