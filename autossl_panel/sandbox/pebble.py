"""The box's CA: Debian's Pebble, and what it has issued."""

from __future__ import annotations

import http.client
import json
import os
import re
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from autossl_panel.sandbox.authority import Authority
from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem, find_program

DAYS_90 = 90 * 86400
_REQUEST = re.compile(r"^Pebble .* (?:GET|HEAD|POST) \S+ -> calling handler\(\)$", re.MULTILINE)
_ISSUED = re.compile(r"Issued certificate serial ([0-9a-f]+) for order")


@dataclass(frozen=True, slots=True)
class PebbleOptions:
    """How this Pebble behaves; never put more than 8 orders at once in flight, it hangs above."""

    nonce_reject: int = 0  # per cent of good nonces that it refuses
    authz_reuse: int = 0  # per cent of valid authorizations that it offers again
    validity_seconds: int = DAYS_90
    strict: bool = False
    slow: bool = False  # takes up to three seconds for a validation, as a CA far away would
    eab: Mapping[str, str] = field(default_factory=dict)  # key id → HMAC key (base64url)


@dataclass(frozen=True, slots=True)
class Issued:
    """One certificate that Pebble issued; serial in lower hex, names sorted."""

    serial: str
    names: tuple[str, ...]


class Pebble:
    """Pebble on `address`, with an HTTPS certificate that `ca_bundle` verifies."""

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        *,
        address: str,
        port: int,
        management_port: int,
        resolver: str,
        http_port: int,
        https_port: int,
        options: PebbleOptions,
    ) -> None:
        self.address = address
        self.port = port
        self._management_port = management_port
        self._seen: dict[str, Issued] = {}
        self.ca_bundle = folder / "ca-bundle.pem"
        authority = Authority("AutoSSL Sandbox HTTPS")
        pair = authority.issue([address, "localhost"])
        self.ca_bundle.write_bytes(authority.root_pem)
        (folder / "https.pem").write_bytes(pair.chain)
        (folder / "https.key").write_bytes(pair.key)
        configuration: dict[str, object] = {
            "listenAddress": f"{address}:{port}",
            "managementListenAddress": f"{address}:{management_port}",
            "certificate": str(folder / "https.pem"),
            "privateKey": str(folder / "https.key"),
            "httpPort": http_port,
            "tlsPort": https_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": bool(options.eab),
            "certificateValidityPeriod": options.validity_seconds,
        }
        if options.eab:
            configuration["externalAccountMACKeys"] = dict(options.eab)
        (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}, indent=2), encoding="utf-8")
        argv = [find_program("pebble", "pebble"), "-config", str(folder / "pebble.json"), "-dnsserver", resolver]
        self.process: Process = processes.start(
            "pebble",
            [*argv, "-strict"] if options.strict else argv,
            log=folder / "pebble.log",
            env={
                **os.environ,
                **({"PEBBLE_VA_SLEEPTIME": "3"} if options.slow else {"PEBBLE_VA_NOSLEEP": "1"}),
                "PEBBLE_WFE_NONCEREJECT": str(options.nonce_reject),
                "PEBBLE_AUTHZREUSE": str(options.authz_reuse),
            },
        )

    @property
    def directory_url(self) -> str:
        return f"https://{self.address}:{self.port}/dir"

    def wait(self) -> None:
        """Return when it accepts connections."""
        self.process.wait_listening(self.address, self.port)
        self.process.wait_listening(self.address, self._management_port)

    def root_pem(self) -> bytes:
        """The root that signs what it issues; a new one at every start."""
        return self._get(["/roots/0"])[0]

    def requests(self) -> int:
        """How many ACME requests it has answered so far, the directory and nonces included."""
        return len(_REQUEST.findall(self._log()))

    def issuances(self) -> tuple[Issued, ...]:
        """Every certificate issued so far, in order, read from its log and its management port."""
        serials = _ISSUED.findall(self._log())
        unseen = [serial for serial in serials if serial not in self._seen]
        for serial, answer in zip(
            unseen, self._get([f"/cert-status-by-serial/{serial}" for serial in unseen]), strict=True
        ):
            certificate = x509.load_pem_x509_certificate(json.loads(answer)["Certificate"].encode())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            self._seen[serial] = Issued(serial, tuple(sorted(names.get_values_for_type(x509.DNSName))))
        return tuple(self._seen[serial] for serial in serials)

    def issued(self) -> Counter[frozenset[str]]:
        """How many certificates were issued for each set of names."""
        return Counter(frozenset(issued.names) for issued in self.issuances())

    def is_revoked(self, serial: str) -> bool:
        """Whether the certificate with this serial, in hex, is revoked; raises SandboxProblem where it issued none."""
        return bool(json.loads(self._get([f"/cert-status-by-serial/{serial}"])[0])["Status"] == "Revoked")

    def _log(self) -> str:
        return self.process.log.read_text(encoding="utf-8", errors="replace")

    def _get(self, paths: list[str]) -> list[bytes]:
        """Bodies of these management pages, over one connection."""
        if not paths:
            return []
        context = ssl.create_default_context(cafile=str(self.ca_bundle))
        connection = http.client.HTTPSConnection(self.address, self._management_port, timeout=10, context=context)
        bodies = []
        try:
            for path in paths:
                connection.request("GET", path)
                response = connection.getresponse()
                bodies.append(response.read())
                if response.status != 200:
                    raise SandboxProblem(f"pebble: {path}: HTTP {response.status}")
        finally:
            connection.close()
        return bodies
