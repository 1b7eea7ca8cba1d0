"""Redirects by the CA's rules, and the guard on every hop."""

import asyncio
import ssl
from itertools import pairwise

import pytest

from autossl_panel.autossl.log.advice import advice
from autossl_panel.dcv import Outcome
from autossl_panel.dcv.fetch import Fetcher, Url, has_route, is_host
from autossl_panel.dcv.resolve import Resolution

from .conftest import CLOSED, HERE, SHORT, SILENT, THERE, Box
from .servers import DnsServer, http

NAME = "www.example.com"
OTHER = "other.example.net"


def _redirects(box: Box, location: str, status: int = 301) -> None:
    box.dns.add(NAME, THERE)
    box.there.default = http(status, Location=location)


def _code(box: Box, **changes: object) -> tuple[str | None, str]:
    finding = box.prove(NAME, server_addresses=(), **changes)
    return finding.code, str(finding.data.get("reason", ""))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_name_is_followed_and_resolved(box: Box, status: int) -> None:
    box.dns.add(OTHER, HERE)
    _redirects(box, f"http://{OTHER}{box.path}?a=b%20c#fragment", status)
    box.here.routes[f"{box.path}?a=b%20c"] = box.here.routes[box.path]
    assert _code(box) == (None, "")
    assert f"Host: {OTHER}:{box.settings.http_port}\r\n" in box.here.asked[0]


def test_redirects_without_host_stay_on_the_address(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.here.routes["/moved"] = box.here.routes[box.path]
    box.here.routes[box.path] = http(302, Location="../../moved")
    assert box.prove(NAME).outcome is Outcome.PASS


def test_to_https_whatever_certificate_it_shows(box: Box, bad_tls: ssl.SSLContext) -> None:
    secure = box.start(THERE, box.settings.https_port, bad_tls)
    secure.routes[box.path] = http(200, box.body.encode())
    _redirects(box, f"https://{NAME}{box.path}")
    assert _code(box) == (None, "")
    assert f"Host: {NAME}:{box.settings.https_port}\r\n" in secure.asked[0]


def test_to_https_where_nobody_speaks_tls(box: Box) -> None:
    box.start(THERE, box.settings.https_port)
    _redirects(box, f"https://{NAME}{box.path}")
    code, reason = _code(box)
    assert code == "redirect_refused"
    assert reason.startswith("tls: ")


def test_to_https_where_nobody_listens_names_the_hop(box: Box) -> None:
    _redirects(box, f"https://{NAME}{box.path}")
    finding = box.prove(NAME, server_addresses=(THERE,))
    assert finding.code == "connect_refused"
    assert str(finding.data["url"]).startswith("https://")
    assert "https://" in advice("connect_refused", finding.data)


def test_a_loop_is_seen_at_once(box: Box) -> None:
    _redirects(box, box.path)
    assert _code(box) == ("redirect_loop", "")
    assert len(box.there.asked) == 1


@pytest.mark.parametrize(("count", "code"), [(10, None), (11, "redirect_loop")])
def test_ten_redirects_are_enough(box: Box, count: int, code: str | None) -> None:
    box.dns.add(NAME, THERE)
    steps = [box.path, *(f"/step/{i}" for i in range(1, count + 1))]
    for here, onward in pairwise(steps):
        box.there.routes[here] = http(302, Location=onward)
    box.there.routes[steps[-1]] = http(200, box.body.encode())
    assert _code(box)[0] == code


REFUSED = {
    "ftp://www.example.com/": "scheme",
    "file:///etc/passwd": "scheme",
    "http://127.0.0.1/": "address",
    "http://[::1]/": "address",
    "http://2130706433/": "address",
    "http://www.example.com:22/": "port 22",
    "http://www.example.com:99999/": "bad_url",
    "http://exa mple.com/": "bad_url",
    "http://[zz/": "bad_url",
    "http://metadata.example.net/": "private_address",
    "http://gone.example.net/": "dns: nxdomain",
}


@pytest.mark.parametrize("location", REFUSED)
def test_redirects_that_no_ca_follows(box: Box, location: str) -> None:
    box.dns.add("metadata.example.net", "169.254.169.254", "::ffff:127.0.0.1")
    _redirects(box, location)
    assert _code(box) == ("redirect_refused", REFUSED[location])
    assert box.here.asked == []


def test_a_redirect_status_outside_the_rules(box: Box) -> None:
    _redirects(box, f"http://{OTHER}/", 303)
    assert _code(box) == ("redirect_refused", "status 303")


def test_a_redirect_to_nowhere_is_only_a_status(box: Box) -> None:
    box.dns.add(NAME, THERE)
    box.there.default = http(302)
    assert _code(box)[0] == "http_status"


def test_a_hop_falls_back_to_ipv4_when_ipv6_is_silent(box: Box, black_hole_six: str) -> None:
    box.dns.add(OTHER, black_hole_six, HERE)
    _redirects(box, f"http://{OTHER}{box.path}")
    assert _code(box, connect_timeout=0.7) == (None, "")


def test_a_hop_does_not_fall_back_when_ipv6_refuses(box: Box) -> None:
    box.dns.add(OTHER, "::1", HERE)
    _redirects(box, f"http://{OTHER}{box.path}")
    assert _code(box) == ("connect_refused", "refused")
    assert box.here.asked == []


def test_a_hop_that_is_silent(box: Box, black_hole: str) -> None:
    box.dns.add(OTHER, black_hole)
    _redirects(box, f"http://{OTHER}{box.path}")
    assert _code(box, **SHORT) == ("connect_timeout", "connect")


def test_strange_bytes_in_a_redirect_are_sent_as_they_came(box: Box) -> None:
    box.dns.add(NAME, THERE)
    box.there.default = http(404)
    box.there.routes[box.path] = http(301, Location="/gr\xfc\xdf e").replace("ü".encode(), b"\xfc")
    assert _code(box)[0] == "http_status"
    assert box.there.asked[1].startswith("GET /gr%FC%C3%9F%20e HTTP/1.1\r\n")


def test_a_stranger_cannot_write_into_our_logs(box: Box) -> None:
    box.dns.add(NAME, THERE)
    box.there.default = http(500, Server="ng\x1b[31m" + "x" * 500)
    server = str(box.prove(NAME, server_addresses=()).data["server"])
    assert server.startswith("ng[31mxxx")
    assert len(server) == 80


def test_hundreds_of_addresses_are_not_all_fetched(box: Box) -> None:
    box.dns.add(NAME, *(f"127.0.1.{i}" for i in range(1, 40)))
    finding = box.prove(NAME, server_addresses=())
    assert finding.code == "connect_refused"
    assert len(finding.addresses) == 39


def test_host_header_without_the_usual_port() -> None:
    assert Url("http", NAME, 80, "/").host_header() == NAME
    assert Url("https", NAME, 443, "/").host_header() == NAME
    assert Url("http", NAME, 443, "/").host_header() == f"{NAME}:443"


def test_what_may_stand_in_a_host_header() -> None:
    assert is_host("xn--fa-hia.de")
    assert is_host("_a.b-c.example")
    assert not any(map(is_host, ("", "a..b", "a\r\nb", "a b", "ä.de", "x" * 64, "a/b", ".")))


def test_whether_there_is_a_way() -> None:
    assert has_route("127.0.0.1")
    assert has_route("::1")
    assert not has_route("fe80::1")  # no interface named


def test_no_way_for_the_family_is_our_trouble(box: Box) -> None:
    async def fetch() -> tuple[str | None, str]:
        async def nobody(name: str) -> Resolution:
            return Resolution()

        fetcher = Fetcher(box.settings, nobody, asyncio.Semaphore(1), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        fetched = await fetcher.fetch(NAME, "fe80::1", box.token, b"")
        return fetched.code, fetched.reason

    assert asyncio.run(fetch()) == ("unknown", "no_route")


def test_our_resolvers_trouble_on_the_way_is_ours(box: Box) -> None:
    _redirects(box, f"http://{OTHER}/")
    with DnsServer() as second:
        second.add(NAME, THERE)
        second.refused.add(OTHER)
        finding = box.prove(NAME, resolvers=(second.resolver,), server_addresses=(HERE, CLOSED, SILENT))
    assert finding.outcome is Outcome.UNKNOWN
    assert "REFUSED" in advice("unknown", finding.data)
