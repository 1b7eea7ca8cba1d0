"""A small real CA for these tests: Pebble and its DNS and HTTP-01 server on a loopback address of their own.

Also a mini-CA, whose certificate Pebble's HTTPS endpoint and the badly speaking servers of these tests show.
"""

import contextlib
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from autossl_panel.ca import Challenge, Client, Reader
from autossl_panel.sandbox.addresses import claim_address
from tests.support.patience import SECONDS, within

EAB_KEYS = {"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
# This process's alone, as long as it lives: the number of a process may be another's, too, in part
CLAIM = claim_address()
ADDRESS = CLAIM.address
# Between two requests of a slow test machine Pebble may take a moment; nothing here waits for it on purpose.
READ_TIMEOUT = 20


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in taken:
            sock.bind((ADDRESS, 0))
        return [sock.getsockname()[1] for sock in taken]


class MiniCa:
    """A root that certifies servers: `bundle` is its certificate, `issue` writes a pair."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mini CA of a test")])
        builder = self._builder(self._name, self._key, days=1).add_extension(x509.BasicConstraints(True, 0), True)
        self.bundle = folder / "bundle.pem"
        self.bundle.write_bytes(builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(self, *hosts: str, days: int = 1) -> tuple[Path, Path]:
        """Certificate and key files for names or addresses; `days` below zero: expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server of a test")])
        alternatives = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        certificate = self._builder(name, key, days).add_extension(alternatives, False).sign(self._key, hashes.SHA256())
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        paths = folder / "cert.pem", folder / "key.pem"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
        )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


@dataclass(frozen=True)
class Authority:
    """A running Pebble with its challenge server."""

    directory_url: str
    bundle: Path
    management_url: str
    challenge_url: str

    def client(self, key_pem: bytes, account_url: str | None = None, *, read_timeout: float = READ_TIMEOUT) -> Client:
        return Client(self.directory_url, key_pem, account_url, ca_bundle=self.bundle, read_timeout=read_timeout)

    def reader(self) -> Reader:
        return Reader(self.directory_url, ca_bundle=self.bundle, read_timeout=READ_TIMEOUT)

    def publish(self, challenge: Challenge) -> None:
        self._tell("add-http01", {"token": challenge.token, "content": challenge.key_authorization})

    def set_servfail(self, name: str) -> None:
        self._tell("set-servfail", {"host": name})

    def certificate_status(self, serial: int) -> str:
        context = ssl.create_default_context(cafile=self.bundle)
        url = f"{self.management_url}/cert-status-by-serial/{serial:x}"
        with urllib.request.urlopen(url, context=context, timeout=SECONDS) as answer:
            return str(json.load(answer)["Status"])

    def _tell(self, verb: str, fields: Mapping[str, str]) -> None:
        request = urllib.request.Request(f"{self.challenge_url}/{verb}", json.dumps(fields).encode())
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            answer.read()


class _Processes:
    """Child processes, ended by their own handles."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._children: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.wait(SECONDS)

    def start(self, *command: str, ready: tuple[str, int], environment: Mapping[str, str]) -> None:
        log = self._folder / f"{Path(command[0]).name}.log"
        with log.open("wb") as out:
            child = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **environment})
        self._children.append(child)

        def listens() -> bool:
            assert child.poll() is None, log.read_text()
            with contextlib.suppress(OSError), socket.create_connection(ready, timeout=SECONDS):
                return True
            return False

        assert within(listens), f"{command[0]} does not listen: {log.read_text()}"


@contextlib.contextmanager
def authority(
    mini_ca: MiniCa, *, nonce_reject: int = 0, eab: bool = False, reuse: int = 0, validity_seconds: int = 7776000
) -> Iterator[Authority]:
    """Pebble and its challenge server while the block runs."""
    folder = Path(tempfile.mkdtemp(prefix="as", dir=mini_ca.folder))
    acme, management, dns, http, commands, tls = free_ports(6)
    certificate, key = mini_ca.issue(ADDRESS)
    fields = {
        "listenAddress": f"{ADDRESS}:{acme}",
        "managementListenAddress": f"{ADDRESS}:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http,
        "tlsPort": tls,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": eab,
        "certificateValidityPeriod": validity_seconds,
    }
    if eab:
        fields["externalAccountMACKeys"] = EAB_KEYS
    (folder / "pebble.json").write_text(json.dumps({"pebble": fields}))
    environment = {
        "PEBBLE_VA_NOSLEEP": "1",
        "PEBBLE_WFE_NONCEREJECT": str(nonce_reject),
        "PEBBLE_AUTHZREUSE": str(reuse),
    }
    with _Processes(folder) as processes:
        processes.start(
            "/usr/bin/pebble-challtestsrv",
            *("-dns01", f"{ADDRESS}:{dns}", "-http01", f"{ADDRESS}:{http}", "-https01", "", "-tlsalpn01", ""),
            *("-management", f"{ADDRESS}:{commands}", "-defaultIPv4", ADDRESS, "-defaultIPv6", ""),
            ready=(ADDRESS, commands),
            environment={},
        )
        processes.start(
            "/usr/bin/pebble",
            *("-config", str(folder / "pebble.json"), "-dnsserver", f"{ADDRESS}:{dns}"),
            ready=(ADDRESS, acme),
            environment=environment,
        )
        yield Authority(
            f"https://{ADDRESS}:{acme}/dir",
            mini_ca.bundle,
            f"https://{ADDRESS}:{management}",
            f"http://{ADDRESS}:{commands}",
        )
