"""A real ACME server that Debian's Pebble is not: with external account binding, profiles and renewal information.

acme2certifier's own WSGI application, OpenSSL CA and SQLite store, in a temporary folder, behind gunicorn's TLS.
It is told not to validate challenges: names of a test lead nowhere, and validation is Pebble's part in these tests.
"""

from __future__ import annotations

import configparser
import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from autossl_panel.ca import Client, Reader
from autossl_panel.sandbox.addresses import claim_address, free_port
from autossl_panel.sandbox.processes import Processes
from tests.ca.authority import MiniCa

EAB_KID, EAB_HMAC = "kid-7", "VGhpcyBpcyBhIHRlc3Qga2V5IG9mIDMyIGJ5dGVzISE"
PROFILES = {"classic": "https://ca.example/classic", "brief": "https://ca.example/brief"}
APPLICATION = "tests.support.acme2certifier_app:application"
ROOT = Path(__file__).resolve().parents[2]


class Acme2Certifier:
    """A started server, ended by its own handle. `threshold` is when its window begins, in parts of a hundred."""

    def __init__(self, folder: Path, *, eab: bool = False, days: int = 30, threshold: float = 85.0) -> None:
        self.folder = folder
        self._claim = claim_address()
        self.address, self.port = self._claim.address, free_port(self._claim.address, 14443)
        self.directory_url = f"https://{self.address}:{self.port}/directory"
        server = MiniCa(folder)
        self.bundle = server.bundle
        self._tls = server.issue(self.address)
        self._issuer()
        (folder / "certificates").mkdir()
        self._configuration(eab, days, threshold)
        self._processes = Processes()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _issuer(self) -> None:
        key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme2certifier of a test")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=400))
            .add_extension(x509.BasicConstraints(True, None), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        (self.folder / "ca.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        (self.folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _configuration(self, eab: bool, days: int, threshold: float) -> None:
        sections: dict[str, Mapping[str, Any]] = {
            "CAhandler": {
                "handler_module": "acme2certifier.cahandlers.openssl_ca_handler",
                "issuing_ca_key": self.folder / "ca.key",
                "issuing_ca_cert": self.folder / "ca.pem",
                "issuing_ca_crl": self.folder / "ca.crl",
                "ca_cert_chain_list": json.dumps([str(self.folder / "ca.pem")]),
                "cert_save_path": self.folder / "certificates",
                "cert_validity_days": days,
            },
            "DBhandler": {"handler": "wsgi", "dbfile": self.folder / "acme.db"},
            "Challenge": {"challenge_validation_disable": True},
            "Order": {"profiles": json.dumps(PROFILES)},
            "Renewalinfo": {"renewalthreshold_pctg": threshold, "retry_after_timeout": 7200},
            "Directory": {"tos_url": "https://ca.example/terms"},
        }
        if eab:
            (self.folder / "kids.json").write_text(json.dumps({EAB_KID: EAB_HMAC}))
            sections["EABhandler"] = {
                "eab_handler_module": "acme2certifier.eabhandlers.json_handler",
                "key_file": self.folder / "kids.json",
            }
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict({name: {key: str(value) for key, value in part.items()} for name, part in sections.items()})
        with (self.folder / "acme_srv.cfg").open("w") as out:
            parser.write(out)

    def _start(self) -> None:
        certificate, key = self._tls
        environment = {
            "ACME_SRV_CONFIGFILE": str(self.folder / "acme_srv.cfg"),
            "ACME2CERTIFIER_BASE_DIR": str(self.folder),
            "ACME2CERTIFIER_I_KNOW_THE_RISK": "1",
            "ASKED": str(self.folder / "asked"),
            "PYTHONPATH": str(ROOT),
        }
        command = [
            *(sys.executable, "-m", "gunicorn", APPLICATION, "--bind", f"{self.address}:{self.port}"),
            *("--certfile", str(certificate), "--keyfile", str(key)),
            # One process, as its store is one file
            *("--workers", "1", "--threads", "4", "--worker-class", "gthread", "--no-control-socket"),
        ]
        process = self._processes.start(
            "acme2certifier", command, log=self.folder / "log", env={**os.environ, **environment}
        )
        process.wait_listening(self.address, self.port, seconds=60)

    def orders(self) -> list[dict[str, Any]]:
        """What newOrder was asked for, in order."""
        lines = (self.folder / "asked").read_text().splitlines() if (self.folder / "asked").exists() else []
        return [json.loads(line) for line in lines]

    def client(self, key_pem: bytes, account_url: str | None = None) -> Client:
        return Client(self.directory_url, key_pem, account_url, ca_bundle=self.bundle)

    def reader(self) -> Reader:
        return Reader(self.directory_url, ca_bundle=self.bundle)

    def stop(self) -> None:
        """End it; its folder is the test's."""
        self._processes.stop()
        self._claim.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
