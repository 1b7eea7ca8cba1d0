"""The proof by handshake: shown five times in a row, by every signature, and no page that redirects to itself."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from autossl_panel import pki
from autossl_panel.autossl import shaking
from autossl_panel.autossl.shaking import Wanted
from tests.support.patience import SECONDS

NAME = "amber.example"


def pair(folder: Path, kind: str = "ec") -> tuple[Path, str]:
    """A self-signed certificate with its key in one file, and its serial."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa":
        key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    form = serialization.PrivateFormat.PKCS8
    private = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    path = folder / f"{kind}-{certificate.serial_number:x}.pem"
    path.write_bytes(private + pem)
    return path, pki.read_chain(pem).serial


class Site:
    """A TLS server that shows what `shows` says for each connection in turn."""

    def __init__(self, shows: Callable[[int], list[Path]], answer: str) -> None:
        self._shows, self._answer = shows, answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = ("127.0.0.1", self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)
        self.connections = 0
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _peer = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            for path in self._shows(self.connections):
                context.load_cert_chain(path)
            try:
                with plain, context.wrap_socket(plain, server_side=True) as tls:
                    tls.settimeout(2)
                    if tls.recv(4096):
                        tls.sendall(self._answer.encode())
            except OSError:
                continue

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


@pytest.fixture
def serve() -> Iterator[Callable[..., Site]]:
    sites: list[Site] = []

    def start(shows: Callable[[int], list[Path]], answer: str = "HTTP/1.1 200 OK\r\n\r\n") -> Site:
        sites.append(Site(shows, answer))
        return sites[-1]

    yield start
    for site in sites:
        site.stop()


Serve = Callable[..., Site]


def proof(site: Site, serial: str, *, had_tls: bool = False, seconds: float = SECONDS) -> shaking.Proof:
    wanted = Wanted((NAME,), (site.address,), serial, "ec", had_tls)
    return shaking.prove(wanted, deadline=time.monotonic() + seconds)


def test_what_is_shown_five_times_in_a_row_is_proven(serve: Serve, tmp_path: Path) -> None:
    new, serial = pair(tmp_path)
    site = serve(lambda _number: [new])
    found = proof(site, serial)
    assert found.problem is None
    assert site.connections >= shaking.IN_A_ROW
    assert [(one["serial"], one["port"], one["signature"]) for one in found.evidence] == [
        (serial, site.address[1], "ecdsa")
    ]


def test_old_workers_that_answer_in_between_are_waited_for(serve: Serve, tmp_path: Path) -> None:
    old, _serial = pair(tmp_path)
    new, serial = pair(tmp_path)
    site = serve(lambda number: [old] if number in (1, 2, 4, 7) else [new])
    assert proof(site, serial).problem is None
    assert site.connections >= 7 + shaking.IN_A_ROW


def test_what_is_never_shown_is_a_problem_that_names_what_is(serve: Serve, tmp_path: Path) -> None:
    old, before = pair(tmp_path)
    site = serve(lambda _number: [old])
    found = proof(site, "beef", seconds=0.3)
    assert found.problem is not None
    assert before in found.problem
    assert f"{site.address[0]}:{site.address[1]}" in found.problem


def test_an_old_certificate_for_rsa_clients_is_no_proof(serve: Serve, tmp_path: Path) -> None:
    old, before = pair(tmp_path, "rsa")
    new, serial = pair(tmp_path)
    found = proof(serve(lambda _number: [old, new]), serial, seconds=0.5)
    assert found.problem is not None
    assert "RSA" in found.problem
    assert before in found.problem


def test_an_old_worker_that_answers_the_rsa_client_is_waited_for(serve: Serve, tmp_path: Path) -> None:
    old, _before = pair(tmp_path, "rsa")
    new, serial = pair(tmp_path)
    site = serve(lambda number: [old] if number == shaking.IN_A_ROW + 1 else [new])
    assert proof(site, serial).problem is None
    assert site.connections >= shaking.IN_A_ROW + 2


@pytest.mark.parametrize("had_tls", [False, True])
def test_a_page_that_redirects_to_itself_is_a_problem_where_there_was_no_tls_before(
    serve: Serve, tmp_path: Path, had_tls: bool
) -> None:
    new, serial = pair(tmp_path)
    site = serve(lambda _number: [new], f"HTTP/1.1 301 Moved\r\nLocation: https://{NAME}/\r\n\r\n")
    found = proof(site, serial, had_tls=had_tls)
    assert (found.problem is None) is had_tls
    assert "redirects to itself" in ((found.remark if had_tls else found.problem) or "")


@pytest.mark.parametrize(
    "location", ["https://www.amber.example/", "http://amber.example/", "/start", f"https://{NAME}/start", "https://["]
)
def test_redirects_that_lead_on_are_fine(serve: Serve, tmp_path: Path, location: str) -> None:
    new, serial = pair(tmp_path)
    site = serve(lambda _number: [new], f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n")
    found = proof(site, serial)
    assert (found.problem, found.remark) == (None, None)


def test_nobody_there_is_a_problem() -> None:
    wanted = Wanted((NAME,), (("127.0.0.1", 1),), "beef", "ec", False)
    found = shaking.prove_all({"o-1": wanted}, seconds=0.2)["o-1"]
    assert found.problem is not None
    assert "127.0.0.1:1" in found.problem
    assert shaking.prove(Wanted((NAME,), (), "beef", "ec", False), deadline=0).problem is not None


def test_where_a_site_is_asked() -> None:
    listens = [
        {"address": "*", "port": 80, "ssl": False},
        {"address": "192.0.2.1", "port": 443, "ssl": True},
        {"address": "[::]", "port": 443, "ssl": True},
    ]
    assert shaking.listening(listens, [], tls=False) == [("127.0.0.1", 80)]
    assert shaking.listening(listens, ["198.51.100.7", "2001:db8::7"], tls=False) == [("198.51.100.7", 80)]
    assert shaking.listening(listens, ["198.51.100.7", "2001:db8::7"], tls=True) == [
        ("192.0.2.1", 443),
        ("2001:db8::7", 443),
    ]


def test_the_patience_grows_with_the_number_of_sites() -> None:
    assert shaking.patience(2000) > shaking.patience(10) + 15
