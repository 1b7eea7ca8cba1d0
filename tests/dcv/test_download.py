"""The guarded download: where it goes, where not, and what it does not put up with."""

import ssl
from dataclasses import replace

import pytest

from autossl_panel.dcv.download import DownloadProblem, download

from .conftest import CLOSED, HERE, THERE, Box
from .servers import http

NAME = "lists.example.com"


def get(box: Box, url: str, *, most: int = 1 << 20, seconds: float = 10, **changes: object) -> bytes:
    return download(url, replace(box.settings, **changes), most=most, seconds=seconds)  # type: ignore[arg-type]


def refused(box: Box, url: str, **more: object) -> tuple[str, str]:
    with pytest.raises(DownloadProblem) as caught:
        get(box, url, **more)  # type: ignore[arg-type]
    return caught.value.code, caught.value.text


def at(box: Box, path: str = "/1.crl", host: str = NAME) -> str:
    return f"http://{host}:{box.settings.http_port}{path}"


def test_a_document_by_name_and_by_address(box: Box) -> None:
    box.dns.add(NAME, HERE)
    body = bytes(range(256)) * 1000
    box.here.routes["/1.crl?a=b"] = http(200, body)
    assert get(box, at(box, "/1.crl?a=b")) == body
    assert get(box, at(box, "/1.crl?a=b", HERE)) == body
    assert f"Host: {NAME}:{box.settings.http_port}\r\n" in box.here.asked[0]


def test_in_pieces_or_to_the_end_of_the_connection(box: Box) -> None:
    box.dns.add(NAME, HERE)
    head = b"HTTP/1.1 200 OK\r\n"
    box.here.routes["/1"] = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    box.here.routes["/2"] = head + b"\r\nto the end"
    assert get(box, at(box, "/1")) == b"abcde"
    assert get(box, at(box, "/2")) == b"to the end"


def test_over_tls_whoever_the_server_is(box: Box, bad_tls: ssl.SSLContext) -> None:
    box.dns.add(NAME, HERE)
    box.start(HERE, box.settings.https_port, bad_tls).routes["/1.crl"] = http(200, b"signed anyway")
    assert get(box, f"https://{NAME}:{box.settings.https_port}/1.crl") == b"signed anyway"
    code, text = refused(box, f"https://{NAME}:{box.settings.http_port}/1.crl")
    assert (code, NAME in text) == ("network", True)


def test_redirects_are_followed_a_few_times(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.here.routes["/0"] = http(301, Location="/1")
    box.here.routes["/1"] = http(307, Location=at(box, "/2", THERE))
    box.there.routes["/2"] = http(200, b"there")
    assert get(box, at(box, "/0")) == b"there"
    box.there.routes["/2"] = http(302, Location=at(box, "/0"))
    assert refused(box, at(box, "/0")) == ("http", f"{NAME} redirects more than 3 times.")


def test_only_public_addresses_on_usual_ports_for_a_public_ca(box: Box) -> None:
    box.dns.add(NAME, HERE)
    public = {"private_ca": False}
    assert refused(box, f"http://{NAME}/1.crl", **public)[0] == "private_address"
    assert refused(box, f"http://{HERE}/1.crl", **public)[0] == "private_address"
    assert refused(box, "http://[::1]/1.crl", **public)[0] == "private_address"
    assert refused(box, at(box), **public)[0] == "url"
    assert refused(box, "http://169.254.169.254/latest")[0] == "private_address"
    assert box.here.asked == []


@pytest.mark.parametrize("onward", ["http://169.254.169.254/", "file:///etc/passwd", "gopher://x/", "http://a b/"])
def test_a_redirect_is_guarded_too(box: Box, onward: str) -> None:
    box.dns.add(NAME, HERE)
    box.here.routes["/1.crl"] = http(301, Location=onward)
    assert refused(box, at(box))[0] in ("private_address", "url")


@pytest.mark.parametrize("url", ["", "ftp://a.example/x", "http:///x", "http://[::1", "http://a.example:99999/"])
def test_what_is_no_address(box: Box, url: str) -> None:
    assert refused(box, url)[0] == "url"


def test_what_does_not_answer(box: Box) -> None:
    box.dns.add(NAME, CLOSED)
    assert refused(box, at(box))[0] == "network"
    assert refused(box, at(box, host="nobody.example.com"))[0] == "dns"
    box.dns.add("here.example.com", HERE)
    box.here.routes["/junk"] = b"no HTTP at all\r\n\r\n"
    box.here.routes["/short"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"
    assert refused(box, at(box, "/none", "here.example.com")) == (
        "http",
        f"here.example.com answered 404 for {at(box, '/none', 'here.example.com')}.",
    )
    assert refused(box, at(box, "/junk", "here.example.com"))[0] == "http"
    assert refused(box, at(box, "/short", "here.example.com"))[0] == "network"


def test_a_document_that_is_too_large(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.here.routes["/1.crl"] = http(200, b"x" * 10_001)
    assert len(get(box, at(box), most=10_001)) == 10_001
    assert refused(box, at(box), most=10_000) == ("size", f"What {NAME} sends is larger than 10,000 bytes.")


def test_a_server_that_drips_holds_nobody(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.here.routes["/1.crl"] = http(200, b"x" * 1000)
    box.here.drip = 0.05
    # All of it would take 50 seconds, and then be there.
    assert refused(box, at(box), seconds=1.0)[0] in ("network", "http")
