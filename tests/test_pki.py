"""Keys, CSRs, certificates, and the handshake that proves which one is served."""

from __future__ import annotations

import base64
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from autossl_panel import pki
from tests.support.patience import SECONDS

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def _pem(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass
class Made:
    """A certificate made for a test, with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return _pem(self.key)


def make(
    *names: str,
    issuer: Made | None = None,
    key: Key | None = None,
    common_name: str = "leaf",
    start: datetime = NOW - timedelta(days=1),
    days: float = 90,
    serial: int | None = None,
    aki: bytes | None = None,
) -> Made:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    if aki:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier(aki, None, None), critical=False)
    signer = issuer.key if issuer else key
    algorithm = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Made(builder.sign(signer, algorithm), key)


@pytest.fixture(scope="module")
def root() -> Made:
    return make(common_name="root")


@pytest.fixture(scope="module")
def leaf(root: Made) -> Made:
    return make("example.com", "www.example.com", issuer=root)


def test_facts_of_a_chain(root: Made, leaf: Made) -> None:
    facts = pki.read_chain(leaf.pem + root.pem)
    assert facts.names == ("example.com", "www.example.com")
    assert facts.issuer == "CN=root"
    assert facts.serial == f"{leaf.certificate.serial_number:x}"
    assert (facts.not_before, facts.not_after) == (NOW - timedelta(days=1), NOW + timedelta(days=89))
    assert (facts.key_kind, facts.key_bits, facts.key_type) == ("ec", 256, pki.KeyType.P256)
    assert (facts.signature_hash, facts.self_signed, facts.links, facts.weak) == ("sha256", False, True, False)
    assert facts.fingerprint == leaf.certificate.fingerprint(hashes.SHA256()).hex()
    assert facts.spki == pki.key_spki(leaf.key_pem)
    assert facts.ari_id == ""
    assert facts.covers("www.example.com")
    assert not facts.covers("mail.example.com")
    assert pki.read_chain(pki.leaf_pem(leaf.pem + root.pem)).fingerprint == facts.fingerprint


def test_ari_id_is_the_example_of_rfc_9773() -> None:
    identifier = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4".lower())
    facts = pki.read_chain(make("a.com", serial=0x87654321, aki=identifier).pem)
    assert facts.ari_id == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    assert base64.urlsafe_b64decode("AIdlQyE=") == b"\x00\x87\x65\x43\x21"


def test_signers_are_named_up_to_who_signed_the_last(root: Made) -> None:
    link = make(issuer=root, common_name="E8")
    last = make("a.com", issuer=link)
    assert pki.signers(last.pem + link.pem) == ("E8", "root")
    assert pki.signers(last.pem + link.pem + root.pem) == ("E8", "root")
    assert pki.signers(last.pem) == ("E8",)
    assert pki.signers(root.pem) == ()
    with pytest.raises(pki.PairProblem):
        pki.signers(b"")


def test_self_signed_and_its_look_alike(root: Made) -> None:
    assert pki.read_chain(root.pem).self_signed
    look_alike = make("a.com", issuer=root, common_name="root")
    assert not pki.read_chain(look_alike.pem).self_signed


def test_a_chain_whose_links_do_not_sign_one_another(leaf: Made) -> None:
    stranger = make(common_name="root")  # the same name, another key
    assert not pki.read_chain(leaf.pem + stranger.pem).links
    assert not pki.read_chain(leaf.pem + make(common_name="other").pem).links


def test_names_come_from_the_subject_only_without_alternative_names() -> None:
    assert pki.read_chain(make(common_name="Old.Example.com").pem).names == ("old.example.com",)
    assert pki.read_chain(make("a.com", common_name="b.com").pem).names == ("a.com",)


@pytest.mark.parametrize(
    ("key", "weak"),
    [
        (lambda: rsa.generate_private_key(65537, 1024), True),
        (lambda: rsa.generate_private_key(65537, 2048), False),
        (lambda: ec.generate_private_key(ec.SECP224R1()), True),
        (lambda: ec.generate_private_key(ec.SECP384R1()), False),
        (ed25519.Ed25519PrivateKey.generate, False),
    ],
    ids=["rsa-1024", "rsa-2048", "p-224", "p-384", "ed25519"],
)
def test_weak_keys(key: Callable[[], Key], weak: bool) -> None:
    facts = pki.read_chain(make("a.com", key=key()).pem)
    assert facts.weak is weak
    assert pki.defects(facts, now=NOW) == (("weak",) if weak else ())


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_signatures_of_yesterday_are_weak_but_read(tmp_path: Path, digest: str) -> None:
    """Python's library no longer signs with these, the openssl command still does."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", f"-{digest}", "-subj", "/CN=old.com"]
    made = [*command, "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "chain.pem")]
    subprocess.run(made, check=True, capture_output=True)
    facts = pki.read_chain((tmp_path / "chain.pem").read_bytes())
    assert (facts.signature_hash, facts.weak, facts.self_signed) == (digest, True, True)
    assert facts.names == ("old.com",)


def test_defects_come_in_the_rules_order(leaf: Made) -> None:
    stranger = make(common_name="root")
    facts = pki.read_chain(leaf.pem + stranger.pem)
    assert pki.defects(facts, now=NOW) == ("chain",)
    assert pki.defects(facts, now=facts.not_after, key_matches=False) == ("expired", "mismatch", "chain")
    assert pki.defects(facts, now=facts.not_after - timedelta(seconds=1), key_matches=None) == ("chain",)


@pytest.mark.parametrize("pem", [b"", b"junk", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_unreadable(pem: bytes, leaf: Made) -> None:
    with pytest.raises(pki.PairProblem) as problem:
        pki.read_chain(pem)
    assert problem.value.code == "unreadable"
    with pytest.raises(pki.PairProblem, match="private key cannot be read"):
        pki.check_pair(leaf.pem, pem, names=["example.com"], now=NOW)


def test_a_truncated_certificate_is_unreadable(leaf: Made) -> None:
    with pytest.raises(pki.PairProblem):
        pki.read_chain(leaf.pem[:200] + leaf.pem[-26:])


def test_check_pair_passes_a_good_pair(root: Made, leaf: Made) -> None:
    facts = pki.check_pair(leaf.pem + root.pem, leaf.key_pem, names=["example.com"], now=NOW)
    assert facts.serial == f"{leaf.certificate.serial_number:x}"
    assert pki.same_key(leaf.pem, leaf.key_pem)
    assert not pki.same_key(leaf.pem, root.key_pem)


def test_check_pair_refuses(root: Made, leaf: Made) -> None:
    weak = make("example.com", issuer=root, key=rsa.generate_private_key(65537, 1024))
    table = [
        ("mismatch", leaf.pem, root.key_pem, ["example.com"], NOW),
        ("names", leaf.pem, leaf.key_pem, ["example.com", "mail.example.com"], NOW),
        ("dates", leaf.pem, leaf.key_pem, ["example.com"], NOW + timedelta(days=89)),
        ("dates", leaf.pem, leaf.key_pem, ["example.com"], NOW - timedelta(days=2)),
        ("chain", leaf.pem + make(common_name="root").pem, leaf.key_pem, ["example.com"], NOW),
        ("weak", weak.pem, weak.key_pem, ["example.com"], NOW),
    ]
    for code, chain, key, names, now in table:
        with pytest.raises(pki.PairProblem) as problem:
            pki.check_pair(chain, key, names=names, now=now)
        assert (problem.value.code, bool(problem.value.text)) == (code, True)


@pytest.mark.parametrize("key_type", list(pki.KeyType))
def test_a_csr_asks_for_its_names_with_its_key(key_type: pki.KeyType) -> None:
    key = pki.new_key(key_type)
    csr = pki.make_csr(key, ["example.com", "*.example.com"])
    assert pki.csr_names(csr) == ("example.com", "*.example.com")
    assert pki.csr_spki(csr) == pki.key_spki(key)
    loaded = x509.load_der_x509_csr(pki.csr_der(csr))
    assert loaded.is_signature_valid
    assert list(loaded.subject) == []


def test_a_csr_needs_names_and_a_key() -> None:
    with pytest.raises(ValueError, match="at least one name"):
        pki.make_csr(pki.new_key(pki.KeyType.P256), [])
    with pytest.raises(pki.PairProblem):
        pki.make_csr(b"junk", ["a.com"])
    with pytest.raises(pki.PairProblem):
        pki.make_csr(_pem(ed25519.Ed25519PrivateKey.generate()), ["a.com"])
    with pytest.raises(pki.PairProblem):
        pki.csr_der(b"junk")


# The handshake, against Python's own TLS server


def _server_context(folder: Path, *pairs: tuple[bytes, bytes]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    for number, (chain, key) in enumerate(pairs):
        path = folder / f"{number}.pem"
        path.write_bytes(key + chain)
        context.load_cert_chain(path)
    return context


@contextmanager
def serving(context: ssl.SSLContext | None, *, family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    """A TLS server on loopback for any number of handshakes; without a context it accepts and says nothing."""
    listener = socket.socket(family)
    listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    listener.listen()
    silent: list[socket.socket] = []

    def work() -> None:
        while True:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            if context is None:
                silent.append(connection)
                continue
            try:
                with connection, context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(1)
            except OSError:
                continue  # a refused handshake is what some tests want

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
        for connection in silent:
            connection.close()


def test_handshake_reads_the_whole_chain(tmp_path: Path, root: Made, leaf: Made) -> None:
    with serving(_server_context(tmp_path, (leaf.pem + root.pem, leaf.key_pem))) as port:
        served = pki.handshake("127.0.0.1", port, "example.com")
        assert served.problem is None
        assert served.facts == pki.read_chain(leaf.pem + root.pem)
    stranger = make(common_name="root")
    with serving(_server_context(tmp_path, (leaf.pem + stranger.pem, leaf.key_pem))) as port:
        broken = pki.handshake("127.0.0.1", port, "example.com").facts
        assert broken is not None
        assert not broken.links


def test_handshake_reads_what_browsers_refuse(tmp_path: Path) -> None:
    """RSA-1024, self-signed, expired: all at once and still read."""
    bad = make("a.com", key=rsa.generate_private_key(65537, 1024), days=0.5)
    with serving(_server_context(tmp_path, (bad.pem, bad.key_pem))) as port:
        for signature in (None, "rsa"):
            facts = pki.handshake("127.0.0.1", port, "a.com", signature=signature).facts
            assert facts is not None
            assert pki.defects(facts, now=NOW) == ("expired", "weak")
            assert facts.self_signed
        assert pki.handshake("127.0.0.1", port, "a.com", signature="ecdsa").problem == "no_cipher"


def test_handshake_tells_two_key_types_apart(tmp_path: Path) -> None:
    one = make("a.com")
    other = make("a.com", key=rsa.generate_private_key(65537, 2048))
    with serving(_server_context(tmp_path, (one.pem, one.key_pem), (other.pem, other.key_pem))) as port:
        by_ecdsa = pki.handshake("127.0.0.1", port, "a.com", signature="ecdsa").facts
        by_rsa = pki.handshake("127.0.0.1", port, "a.com", signature="rsa").facts
    assert by_ecdsa is not None
    assert by_rsa is not None
    assert (by_ecdsa.key_kind, by_rsa.key_kind) == ("ec", "rsa")


def test_handshake_falls_back_to_tls_1_3(tmp_path: Path, leaf: Made) -> None:
    context = _server_context(tmp_path, (leaf.pem, leaf.key_pem))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with serving(context) as port:
        served = pki.handshake("127.0.0.1", port, "example.com", signature="ecdsa")
    assert served.facts is not None
    assert served.facts.key_kind == "ec"


def test_handshake_sends_the_name_and_hears_a_refusal(tmp_path: Path, leaf: Made) -> None:
    asked: list[str | None] = []

    def choose(_: object, name: str | None, __: ssl.SSLContext) -> int | None:
        asked.append(name)
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME if name == "xn--fa-hia.de" else None

    context = _server_context(tmp_path, (leaf.pem, leaf.key_pem))
    context.sni_callback = choose
    with serving(context) as port:
        assert pki.handshake("127.0.0.1", port, "xn--fa-hia.de").problem == "refused"
        assert pki.handshake("127.0.0.1", port, "xn--fa-hia.de", signature="ecdsa").problem == "refused"
        assert pki.handshake("127.0.0.1", port, "example.com").facts is not None
        assert pki.handshake("127.0.0.1", port, "").facts is not None
    assert asked == ["xn--fa-hia.de", "xn--fa-hia.de", "example.com", None]


@pytest.mark.parametrize("address", ["::1", "[::1]"])
def test_handshake_over_ipv6(tmp_path: Path, leaf: Made, address: str) -> None:
    with serving(_server_context(tmp_path, (leaf.pem, leaf.key_pem)), family=socket.AF_INET6) as port:
        assert pki.handshake(address, port, "example.com").facts is not None


def test_handshake_answers_network_trouble(tmp_path: Path, leaf: Made) -> None:
    with serving(None) as port:
        assert pki.handshake("127.0.0.1", port, "example.com", timeout=0.2).problem == "timeout"
    assert pki.handshake("127.0.0.1", port, "example.com").problem == "connect"
    assert pki.handshake("not an address", 443, "example.com").problem == "connect"
    assert pki.handshake("127.0.0.1", 99999, "example.com").problem == "connect"
    assert pki.handshake("127.0.0.1", port, "example.com", timeout=0).problem == "timeout"


def test_handshake_with_a_server_that_speaks_no_tls() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def work() -> None:
        for answer in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b""):
            connection = listener.accept()[0]
            connection.recv(4096)
            connection.sendall(answer)
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    port = listener.getsockname()[1]
    assert pki.handshake("127.0.0.1", port, "example.com").problem == "tls"
    assert pki.handshake("127.0.0.1", port, "example.com").problem == "closed"
    thread.join()
    listener.close()


# The same against nginx, whose refusals the panel's own default server is made of


@contextmanager
def nginx(folder: Path, *servers: str) -> Iterator[int]:
    """nginx in the foreground on one loopback port with these server blocks (`@` stands for the listen directive)."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    blocks = "".join(f"server {{ {block.replace('@', f'listen 127.0.0.1:{port} ssl')} }}\n" for block in servers)
    configuration = folder / "nginx.conf"
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off; events {{}}\n"
        f"http {{ access_log off; {temporary} ssl_ciphers DEFAULT@SECLEVEL=0; ssl_protocols TLSv1.2 TLSv1.3;\n"
        f"{blocks}}}\n"
    )
    process = subprocess.Popen(["/usr/sbin/nginx", "-p", str(folder), "-c", str(configuration), "-e", "stderr"])
    try:
        deadline = time.monotonic() + SECONDS
        while pki.handshake("127.0.0.1", port, "example.com", timeout=1).problem == "connect":
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        process.wait(SECONDS)


def test_handshake_with_nginx(tmp_path: Path, root: Made, leaf: Made) -> None:
    (tmp_path / "chain.pem").write_bytes(leaf.pem + root.pem)
    (tmp_path / "key.pem").write_bytes(leaf.key_pem)
    site = f"@; server_name example.com; ssl_certificate {tmp_path}/chain.pem; ssl_certificate_key {tmp_path}/key.pem;"
    with nginx(tmp_path, "@ default_server; ssl_reject_handshake on;", site) as port:
        shown = pki.handshake("127.0.0.1", port, "example.com", signature="ecdsa")
        assert shown.facts is not None
        assert shown.facts.serial == f"{leaf.certificate.serial_number:x}"
        assert pki.handshake("127.0.0.1", port, "example.com").facts == shown.facts
        assert pki.handshake("127.0.0.1", port, "example.com", signature="rsa").problem == "no_cipher"
        assert pki.handshake("127.0.0.1", port, "other.com").problem == "refused"
        assert pki.handshake("127.0.0.1", port, "").problem == "refused"
        assert pki.handshake("127.0.0.1", port, "other.com", signature="ecdsa").problem == "refused"
