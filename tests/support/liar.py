"""A resolver that lies about the names of which a test says so, and passes all other questions on to an honest one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class LyingResolver:
    """Answers on a port of `address` while the block runs. `lies(name)`: whether it lies about that name; then there is
    no such name or, where `instead` is an address, it leads there.
    """

    def __init__(self, address: str, honest: str, lies: Callable[[str], bool], *, instead: str = "") -> None:
        host, _, port = honest.rpartition(":")
        self._honest, self._lies, self._instead = (host, int(port)), lies, instead
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((address, 0))
        self.resolver = f"{address}:{self._socket.getsockname()[1]}"
        self.lied = 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._over = False

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._socket.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as honest:
            honest.connect(self._honest)
            honest.settimeout(5)
            while True:
                wire, asker = self._socket.recvfrom(4096)
                if self._over:
                    return
                answer = self._lie(wire)
                if answer is None:
                    honest.send(wire)
                    answer = honest.recv(65535)
                self._socket.sendto(answer, asker)

    def _lie(self, wire: bytes) -> bytes | None:
        query = dns.message.from_wire(wire)
        [question] = query.question
        if not self._lies(question.name.to_text(omit_final_dot=True).lower()):
            return None
        self.lied += 1
        answer = dns.message.make_response(query, recursion_available=True)
        if not self._instead:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A:
            answer.answer.append(dns.rrset.from_text(question.name, 60, "IN", "A", self._instead))
        return answer.to_wire()
