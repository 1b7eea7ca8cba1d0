"""Loopback addresses and ports that nobody else on this machine uses. No processes are started here."""

from __future__ import annotations

import random
import socket
from dataclasses import dataclass, field
from types import TracebackType

TRIES = 2000


class NoFreeAddress(RuntimeError):
    """Every loopback address that was tried is in use."""


@dataclass(slots=True)
class Claim:
    """127.x.y.1 and its neighbours up to .254, for as long as this process lives or until `release`.

    The claim is an abstract Unix socket: the kernel lets go of it however the process ends, there is no file to go
    stale, and it holds between different users of the machine.
    """

    address: str
    _lock: socket.socket = field(repr=False)

    def neighbour(self, number: int) -> str:
        """Another address of the same claim: 127.x.y.<number>."""
        return f"{self.address.rpartition('.')[0]}.{number}"

    def release(self) -> None:
        """Give the address back."""
        self._lock.close()

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, slots=True)
class Stand:
    """Where a box stands that has a network of its own: its addresses, and the ports of its web server."""

    address: str
    elsewhere: str
    application: str
    silent: str
    http_port: int = 80
    https_port: int = 443


def claim_address() -> Claim:
    """A loopback address that no other process has claimed; raises NoFreeAddress when none is left."""
    draw = random.SystemRandom()
    for _ in range(TRIES):
        address = f"127.{draw.randrange(16, 240)}.{draw.randrange(1, 255)}.1"
        lock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            lock.bind(f"\0autossl-panel/loopback/{address}")
        except OSError:
            lock.close()
            continue
        return Claim(address, lock)
    raise NoFreeAddress(f"{TRIES} loopback addresses are all in use")


def free_port(address: str, preferred: int = 0) -> int:
    """`preferred` where TCP and UDP are free there, else a port the kernel picks."""
    if preferred and _can_bind(address, preferred):
        return preferred
    for _ in range(TRIES):
        with socket.socket() as probe:
            probe.bind((address, 0))
            port = int(probe.getsockname()[1])
        if _can_bind(address, port):
            return port
    raise NoFreeAddress(f"no port is free on {address}")


def _can_bind(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            if kind == socket.SOCK_STREAM:
                # Connections of an earlier owner that linger in TIME_WAIT do not keep a server from listening.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True
