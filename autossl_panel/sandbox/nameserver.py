"""The box's DNS: pebble-challtestsrv, which answers only what was set here. No other name has an address."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterable
from pathlib import Path

from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem, find_program


class NameServer:
    """pebble-challtestsrv on `address`, its records kept by the management port."""

    def __init__(self, processes: Processes, folder: Path, *, address: str, port: int, management_port: int) -> None:
        self.address = address
        self.port = port
        self._management_port = management_port
        self._lock = threading.Lock()
        self._connection: http.client.HTTPConnection | None = None
        self._known: set[str] = set()
        self.process: Process = processes.start(
            "pebble-challtestsrv",
            [
                find_program("pebble-challtestsrv", "pebble"),
                *("-dns01", f"{address}:{port}", "-management", f"{address}:{management_port}"),
                *("-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv4", "", "-defaultIPv6", ""),
            ],
            log=folder / "dns.log",
        )

    def wait(self) -> None:
        """Return when it answers."""
        self.process.wait_listening(self.address, self.port)
        self.process.wait_listening(self.address, self._management_port)

    def set_addresses(self, name: str, *, a: Iterable[str] = (), aaaa: Iterable[str] = ()) -> None:
        """Exactly these addresses from now on; none at all takes the name out of DNS."""
        with self._lock:
            if name in self._known:
                for verb in ("clear-a", "clear-aaaa", "clear-servfail", "clear-cname"):
                    self._post(verb, {"host": name})
            self._known.add(name)
            for verb, addresses in (("add-a", list(a)), ("add-aaaa", list(aaaa))):
                if addresses:
                    self._post(verb, {"host": name, "addresses": addresses})

    def set_servfail(self, name: str) -> None:
        """Every query for the name ends in SERVFAIL, until `set_addresses`."""
        with self._lock:
            self._known.add(name)
            self._post("set-servfail", {"host": name})

    def set_caa(self, name: str, issuers: Iterable[str]) -> None:
        """A CAA record `issue` for each of these, in place of what stood there."""
        with self._lock:
            self._post("clear-caa", {"host": name})
            policies = [{"tag": "issue", "value": issuer} for issuer in issuers]
            if policies:
                self._post("add-caa", {"host": name, "policies": policies})

    def _post(self, verb: str, body: dict[str, object]) -> None:
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.address, self._management_port, timeout=10)
        try:
            self._connection.request("POST", f"/{verb}", json.dumps(body))
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            raise SandboxProblem(f"pebble-challtestsrv: {verb}: {error}\n{self.process.log_tail()}") from error
        if response.status != 200:
            raise SandboxProblem(f"pebble-challtestsrv: {verb} {body}: HTTP {response.status}")

    def close(self) -> None:
        """Close the connection to its management port; ending the process is for who started it."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
