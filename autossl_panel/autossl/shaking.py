"""The proof that a certificate is served: fresh TLS handshakes, then a GET. Reads no rows; knows no helper."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from autossl_panel import pki, tls

# Old and new workers of nginx answer in turn for a moment after a reload: so many in a row must be right
IN_A_ROW = 5
PAUSE = 0.05
# Between two questions that are to meet the last of the old workers, which live some 50 ms more
SETTLING = 0.02
WIDTH = 8
# Seconds for one handshake or one GET
TIMEOUT = 5.0
# How long a web server may take to change over: a base, and more for each virtual host it has to read
BASE_SECONDS = 8.0
SECONDS_A_SITE = 0.01
HEAD_LIMIT = 16384


@dataclass(frozen=True, slots=True)
class Wanted:
    """What handshakes must show: `serial` for each of `names` at each of `targets`. `had_tls`: it did before."""

    names: tuple[str, ...]
    targets: tuple[tuple[str, int], ...]
    serial: str
    key_kind: str
    had_tls: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What the handshakes showed. `problem` says what was wrong, None when all is well; `remark` is worth a warning."""

    evidence: tuple[dict[str, Any], ...] = ()
    problem: str | None = None
    remark: str | None = None


def patience(sites: int) -> float:
    """Seconds that a web server with so many virtual hosts may take until it shows what it was given."""
    return BASE_SECONDS + SECONDS_A_SITE * sites


def prove_all(
    wanted: dict[str, Wanted], *, seconds: float, stop: Callable[[], bool] = lambda: False
) -> dict[str, Proof]:
    """Prove each, many at once; all of them share one deadline from now, because one reload changed them all."""
    if not wanted:
        return {}
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(min(WIDTH, len(wanted)), thread_name_prefix="handshake") as pool:
        started = {key: pool.submit(prove, one, deadline=deadline, stop=stop) for key, one in wanted.items()}
        return {key: future.result() for key, future in started.items()}


def prove(one: Wanted, *, deadline: float, stop: Callable[[], bool] = lambda: False) -> Proof:
    """Shake hands until the certificate is shown five times in a row, then once with the other signature, then GET."""
    if not one.targets:
        return Proof(problem="the site has no TLS address to shake hands with")
    evidence: list[dict[str, Any]] = []
    for address, port in one.targets:
        shown, trouble = _in_a_row(one, address, port, deadline, stop)
        evidence.extend(shown)
        if trouble is not None:
            return Proof(tuple(evidence), trouble)
    address, port = one.targets[0]
    if (trouble := _otherwise_signed(one, address, port, deadline, stop)) is not None:
        return Proof(tuple(evidence), trouble)
    loops = _redirects_to_itself(one.names[0], address, port)
    if loops:
        text = f"https://{one.names[0]}/ redirects to itself"
        return Proof(tuple(evidence), None, text) if one.had_tls else Proof(tuple(evidence), text)
    return Proof(tuple(evidence))


def _in_a_row(
    one: Wanted, address: str, port: int, deadline: float, stop: Callable[[], bool]
) -> tuple[list[dict[str, Any]], str | None]:
    """Handshakes with one address, each name at least once, until enough in a row are right or time is up."""
    signature: pki.Signature = "ecdsa" if one.key_kind == "ec" else "rsa"
    rounds = max(IN_A_ROW, len(one.names))
    row = 0
    while True:
        name = _host(one.names[row % len(one.names)])
        asked = signature if row == rounds - 1 else None
        served = pki.handshake(address, port, name, signature=asked, timeout=TIMEOUT)
        if served.facts is not None and served.facts.serial == one.serial:
            row += 1
            if row == rounds:
                return [_evidence(one.serial, address, port, signature)], None
            continue
        row = 0
        if time.monotonic() > deadline or stop():
            shown = served.facts.serial if served.facts is not None else None
            what = f"shows certificate {shown}" if shown else f"does not answer in TLS ({served.problem})"
            return [_evidence(shown or "", address, port, signature)], f"{name} at {address}:{port} {what}"
        time.sleep(PAUSE)


def _otherwise_signed(one: Wanted, address: str, port: int, deadline: float, stop: Callable[[], bool]) -> str | None:
    """What clients get that ask for the other signature: nothing, or the same. An old worker may still answer one."""
    other: pki.Signature = "rsa" if one.key_kind == "ec" else "ecdsa"
    while True:
        served = pki.handshake(address, port, one.names[0], signature=other, timeout=TIMEOUT)
        if served.facts is None or served.facts.serial == one.serial:
            return None
        if time.monotonic() > deadline or stop():
            return f"clients that ask for {other.upper()} still get certificate {served.facts.serial}"
        time.sleep(PAUSE)


def _host(name: str) -> str:
    """A host name that a certificate's name covers."""
    return f"www{name[1:]}" if name.startswith("*.") else name


def _evidence(serial: str, address: str, port: int, signature: str) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "address": address,
        "port": port,
        "serial": serial,
        "signature": signature,
    }


def _redirects_to_itself(name: str, address: str, port: int) -> bool:
    """Whether GET https://name/ is answered with a redirect to the very same address."""
    location = _location(_host(name), address, port)
    if location is None:
        return False
    try:
        to = urlsplit(location)
        same_port = to.port in (None, port)
    except ValueError:
        return False
    return to.scheme == "https" and to.hostname == _host(name) and same_port and to.path in ("", "/") and not to.query


def _location(name: str, address: str, port: int) -> str | None:
    """Where GET / redirects; None for any other answer, and for none."""
    host = name if port == 443 else f"{name}:{port}"
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: autossl-panel\r\nConnection: close\r\n\r\n"
    try:
        with (
            socket.create_connection((address, port), TIMEOUT) as plain,
            tls.wrap(plain, _context(), name) as secured,
        ):
            secured.sendall(request.encode("ascii"))
            head = _head(secured)
    except (OSError, ValueError):
        # Whatever a site does with a request, its certificate is proven already.
        return None
    lines = head.split("\r\n")
    if not lines[0].startswith("HTTP/") or lines[0][8:11].strip()[:1] != "3":
        return None
    found = [line.partition(":")[2].strip() for line in lines if line.lower().startswith("location:")]
    return found[0] if found else None


def _head(secured: ssl.SSLSocket) -> str:
    content = b""
    deadline = time.monotonic() + TIMEOUT
    with contextlib.suppress(TimeoutError):
        while b"\r\n\r\n" not in content and len(content) < HEAD_LIMIT and time.monotonic() < deadline:
            part = secured.recv(4096)
            if not part:
                break
            content += part
    return content.partition(b"\r\n\r\n")[0].decode("latin-1")


def _context() -> ssl.SSLContext:
    """TLS that looks at what is there, without asking whom to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def http_answers(name: str, address: str, port: int, path: str, body: str) -> bool:
    """Whether GET http://name/path, asked at this address, answers exactly `body`."""
    request = f"GET {path} HTTP/1.0\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii")
    content = b""
    try:
        with socket.create_connection((address, port), 2) as plain:
            plain.sendall(request)
            while len(content) < HEAD_LIMIT and (part := plain.recv(4096)):
                content += part
    except OSError:
        return False
    head, _blank, found = content.partition(b"\r\n\r\n")
    return head[8:13] == b" 200 " and found.strip() == body.encode("ascii")


def listening(listens: Sequence[dict[str, Any]], addresses: Sequence[str], *, tls: bool) -> list[tuple[str, int]]:
    """Where a site can be asked: a wildcard listener at the server's own addresses, else on loopback."""
    found: dict[tuple[str, int], None] = {}
    for one in listens:
        if bool(one["ssl"]) != tls:
            continue
        address = str(one["address"]).strip("[]")
        if address in ("", "*", "0.0.0.0"):  # noqa: S104 - compared, not bound
            where = [each for each in addresses if ":" not in each] or ["127.0.0.1"]
        elif address == "::":
            where = [each for each in addresses if ":" in each] or ["::1"]
        else:
            where = [address]
        found |= dict.fromkeys((each, int(one["port"])) for each in where)
    return list(found)
