"""Probing a directory: what an admin is told of a good one, and of every kind of bad one."""

import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from autossl_panel.ca import CaProblem, DirectoryFacts, ProblemKind, probe
from autossl_panel.ca.errors import OWN_PREFIX
from tests.ca.authority import ADDRESS, Authority, MiniCa, free_ports
from tests.ca.rogue import Asked, Reply, Rogue, RogueCa, answer


def _probe(url: str, bundle: Path | None, *, seconds: float = 5) -> DirectoryFacts:
    return probe(url, ca_bundle=bundle, now=datetime.now(UTC), connect_timeout=seconds, read_timeout=seconds)


def _refused(url: str, bundle: Path | None, short_type: str, *, seconds: float = 5) -> str:
    """The sentence of the problem, which must be of this type and name the host."""
    with pytest.raises(CaProblem) as caught:
        _probe(url, bundle, seconds=seconds)
    assert caught.value.kind is ProblemKind.UNREACHABLE
    assert caught.value.type == OWN_PREFIX + short_type
    return caught.value.detail


def test_pebble(pebble: Authority) -> None:
    facts = _probe(pebble.directory_url, pebble.bundle)
    assert facts.url == pebble.directory_url
    assert facts.terms_url is not None
    assert not facts.eab_required
    assert facts.renewal_info is None
    assert abs(facts.date_offset) <= timedelta(seconds=2)


def test_pebble_that_wants_a_binding(binding_pebble: Authority) -> None:
    assert _probe(binding_pebble.directory_url, binding_pebble.bundle).eab_required


def test_everything_a_directory_can_say(mini_ca: MiniCa) -> None:
    meta = {
        "termsOfService": "https://ca.example/terms.pdf",
        "website": "https://ca.example/",
        "caaIdentities": ["CA.example", "other.example", 5],
        "externalAccountRequired": True,
        "profiles": {"classic": "90 days", "short\nlived": "six\tdays", "odd": 7},
    }
    with RogueCa(mini_ca, meta=meta) as ca:
        directory = {**ca.directory(), "renewalInfo": f"{ca.url}/renewal"}
        date = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
        ca.script("/dir", lambda asked: answer(200, directory, Date=date))
        facts = _probe(f"{ca.url}/dir", mini_ca.bundle)
    assert facts.terms_url == "https://ca.example/terms.pdf"
    assert facts.website == "https://ca.example/"
    assert facts.caa_identities == ("ca.example", "other.example")
    assert facts.eab_required
    assert facts.profiles == {"classic": "90 days", "short lived": "six days", "odd": ""}
    assert facts.renewal_info == f"{ca.url}/renewal"
    assert abs(facts.date_offset - timedelta(hours=1)) <= timedelta(seconds=2)


def test_a_hostile_directory(mini_ca: MiniCa) -> None:
    meta = {
        "termsOfService": "javascript:alert(1)",
        "website": ["https://x/"],
        "caaIdentities": "ca.example",
        "externalAccountRequired": "yes",
        "profiles": ["a"],
    }
    with RogueCa(mini_ca, meta=meta) as ca:
        directory = {**ca.directory(), "renewalInfo": "http://plain.example/"}
        ca.script("/dir", lambda asked: answer(200, directory, Date="yesterday"))
        facts = _probe(f"{ca.url}/dir", mini_ca.bundle)
    assert facts.terms_url is None
    assert facts.website is None
    assert facts.caa_identities == ()
    assert not facts.eab_required
    assert facts.profiles == {}
    assert facts.renewal_info is None
    assert facts.date_offset == timedelta()


@pytest.mark.parametrize(
    "url",
    ["", "acme.example/dir", "http://acme.example/dir", "https://", "https://a b/", "https://a:99999/", "https://ü/"],
)
def test_what_is_no_https_address(url: str) -> None:
    assert "https:// address" in _refused(url, None, "url")


def test_a_user_in_the_address_is_refused() -> None:
    assert "no usable" in _refused("https://me:secret@ca.example/dir", None, "url")


def test_a_label_no_resolver_takes() -> None:
    name = "a" * 70 + ".example"
    assert name in _refused(f"https://{name}/dir", None, "url")


def test_a_name_that_does_not_resolve() -> None:
    assert "no-such-host.invalid" in _refused("https://no-such-host.invalid/dir", None, "dns")


def test_nobody_listens(mini_ca: MiniCa) -> None:
    port = free_ports(1)[0]
    sentence = _refused(f"https://{ADDRESS}:{port}/dir", mini_ca.bundle, "refused")
    assert sentence == f"{ADDRESS} refuses connections on port {port}."


def test_a_listener_that_says_nothing(mini_ca: MiniCa) -> None:
    with socket.create_server((ADDRESS, 0)) as silent:
        port = silent.getsockname()[1]
        sentence = _refused(f"https://{ADDRESS}:{port}/dir", mini_ca.bundle, "timeout", seconds=0.3)
    assert f"{ADDRESS}:{port} did not answer in time" in sentence


def test_a_server_that_never_answers(mini_ca: MiniCa) -> None:
    def hang(asked: Asked) -> Reply:
        time.sleep(1)
        return None

    with Rogue(mini_ca, hang) as server:
        assert "did not answer in time" in _refused(f"{server.url}/dir", mini_ca.bundle, "timeout", seconds=0.3)


def test_a_server_that_drips(mini_ca: MiniCa) -> None:
    def drip(asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        for _ in range(400):
            yield b" "
            time.sleep(0.1)

    with Rogue(mini_ca, drip) as server:
        started = time.monotonic()
        _refused(f"{server.url}/dir", mini_ca.bundle, "timeout", seconds=0.6)
        assert time.monotonic() - started < 20


def test_plain_http_where_https_should_be(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: answer(400), tls=False) as server:
        assert "does not speak proper TLS" in _refused(f"{server.url}/dir", mini_ca.bundle, "tls")


def test_a_certificate_of_an_unknown_ca(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as server:
        sentence = _refused(f"{server.url}/dir", None, "certificate")
    assert "not to be trusted" in sentence
    assert "CA bundle" in sentence
    assert ADDRESS in sentence


def test_a_certificate_of_another_host(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: answer(200, {}), host="other.example") as server:
        assert "IP address mismatch" in _refused(f"{server.url}/dir", mini_ca.bundle, "certificate")


def test_an_expired_certificate(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: answer(200, {}), days=-1) as server:
        assert "expired" in _refused(f"{server.url}/dir", mini_ca.bundle, "certificate")


def test_a_bundle_that_is_not_there(mini_ca: MiniCa) -> None:
    missing = mini_ca.folder / "nowhere.pem"
    sentence = _refused(f"https://{ADDRESS}:1/dir", missing, "bundle")
    assert str(missing) in sentence
    assert "No such file" in sentence


def test_a_bundle_without_certificates(mini_ca: MiniCa) -> None:
    junk = mini_ca.folder / "junk.pem"
    junk.write_text("junk")
    assert "no PEM certificate" in _refused(f"https://{ADDRESS}:1/dir", junk, "bundle")


def test_a_bundle_that_changed_is_read_again(mini_ca: MiniCa) -> None:
    bundle = mini_ca.folder / "changing.pem"
    bundle.write_text(ssl.DER_cert_to_PEM_cert(b"x"))
    with RogueCa(mini_ca) as ca:
        with pytest.raises(CaProblem):
            _probe(f"{ca.url}/dir", bundle)
        bundle.write_bytes(mini_ca.bundle.read_bytes())
        assert _probe(f"{ca.url}/dir", bundle).eab_required is False


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (answer(200, b"<html>", Content_Type="text/html"), "no ACME directory (text/html)"),
        (answer(200, b"[]"), "no ACME directory (no content type)"),
        (answer(200, {"newNonce": "https://x/", "newOrder": 5}), "newAccount, newOrder missing"),
        (answer(404, b"gone"), "answered 404"),
        (answer(403, {"type": "about:blank"}), "answered 403"),
        (answer(301, Location="https://new.example/\x1b dir"), "redirects (301) to “https://new.example/ dir”"),
    ],
)
def test_what_answers_is_no_acme_server(mini_ca: MiniCa, reply: bytes, words: str) -> None:
    with Rogue(mini_ca, lambda asked: reply) as server:
        sentence = _refused(f"{server.url}/dir", mini_ca.bundle, "not_acme")
    assert words in sentence
    assert ADDRESS in sentence


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"220 mail.example ESMTP\r\n\r\n", "does not answer in proper HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "broke off"),
        (answer(200, b"x" * (2 << 20)), "larger than 1 MB"),
    ],
)
def test_broken_http(mini_ca: MiniCa, reply: bytes, words: str) -> None:
    def once(asked: Asked) -> Iterator[bytes]:
        yield reply
        raise OSError  # the server ends the connection here

    with Rogue(mini_ca, once) as server:
        assert words in _refused(f"{server.url}/dir", mini_ca.bundle, "http")


def test_a_connection_ended_without_a_word(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: None) as server:
        assert "closed the connection" in _refused(f"{server.url}/dir", mini_ca.bundle, "network")
        assert len(server.asked) == 1


def test_a_busy_ca_is_told_from_a_wrong_address(mini_ca: MiniCa) -> None:
    busy = answer(503, b"busy", Retry_After="60")
    with Rogue(mini_ca, lambda asked: busy) as server, pytest.raises(CaProblem) as caught:
        _probe(f"{server.url}/dir", mini_ca.bundle)
    assert caught.value.kind is ProblemKind.SERVER
    assert caught.value.status == 503
    assert caught.value.retry_after is not None
