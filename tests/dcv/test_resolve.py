"""The resolver: forged and foreign datagrams, resolver addresses, and Debian's challenge test server."""

import asyncio
import socket
import subprocess
import threading
import time

import dns.message
import dns.rrset
import pytest

from autossl_panel.dcv.resolve import Resolution, Resolver, Trouble, _Endpoint, parse_resolver, system_resolvers
from tests.support.patience import SECONDS

from .conftest import CLAIM
from .servers import DnsServer, free_port

NAME = "www.example.com"


def _resolve(*resolvers: str, name: str = NAME, timeout: float = SECONDS) -> Resolution:
    async def run() -> Resolution:
        async with Resolver(resolvers, timeout=timeout) as resolver:
            return await resolver.resolve(name)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("127.0.0.1:8053", ("127.0.0.1", 8053)),
        ("2620:fe::fe", ("2620:fe::fe", 53)),
        ("[2620:fe::fe]:5353", ("2620:fe::fe", 5353)),
        ("[::1]", ("::1", 53)),
        (" dns.example:54 ", ("dns.example", 54)),
    ],
)
def test_resolver_addresses(text: str, expected: tuple[str, int]) -> None:
    assert parse_resolver(text) == expected


def test_a_port_that_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="abc"):
        parse_resolver("127.0.0.1:abc")


def test_both_families_and_the_aliases_passed() -> None:
    with DnsServer() as server:
        server.records[(NAME, "CNAME")] = ["edge.example.net"]
        server.add("edge.example.net", "192.0.2.1", "2001:db8::1")
        found = _resolve(server.resolver)
    assert found.addresses == ("192.0.2.1", "2001:db8::1")
    assert found.aliases == ("edge.example.net",)


def test_a_loop_of_aliases_ends() -> None:
    with DnsServer() as server:
        server.chase = False
        server.records[(NAME, "CNAME")] = ["b.example.com"]
        server.records[("b.example.com", "CNAME")] = [NAME]
        found = _resolve(server.resolver)
    assert found.trouble is Trouble.SERVFAIL
    assert "loop" in found.detail


def test_a_broken_family_is_noted() -> None:
    with DnsServer() as server:
        server.add(NAME, "192.0.2.1")
        server.silent_kinds.add((NAME, "AAAA"))
        found = _resolve(server.resolver, timeout=1.5)
    assert (found.addresses, found.partial) == (("192.0.2.1",), "dns_timeout")


def test_the_zone_is_believed_only_above_the_name() -> None:
    with DnsServer() as server:
        server.zone = "attacker.example"
        assert _resolve(server.resolver).zone == ""
        server.zone = "example.com"
        assert _resolve(server.resolver).zone == "example.com"


def _liar(sock: socket.socket) -> None:
    """Answers each question first with garbage, a wrong question and an echo, then truly."""
    for _ in range(2):
        data, peer = sock.recvfrom(4096)
        query = dns.message.from_wire(data)
        forged = dns.message.make_response(dns.message.make_query("evil.example", "A", id=query.id))
        true = dns.message.make_response(query)
        if query.question[0].rdtype == 1:
            true.answer.append(dns.rrset.from_text(NAME + ".", 60, "IN", "A", "192.0.2.7"))
        for answer in (b"x", data[:2] + b"\xff" * 30, forged.to_wire(), data, true.to_wire()):
            sock.sendto(answer, peer)


def test_garbage_and_answers_to_other_questions_are_ignored() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(SECONDS)
        thread = threading.Thread(target=_liar, args=(sock,))
        thread.start()
        found = _resolve(f"127.0.0.1:{sock.getsockname()[1]}")
        thread.join()
    assert found.addresses == ("192.0.2.7",)


def test_without_configured_resolvers_those_of_the_host_serve() -> None:
    found = system_resolvers()
    assert all(parse_resolver(text)[1] == 53 for text in found)

    async def count() -> int:
        async with Resolver((), timeout=0.1) as resolver:
            return len(resolver._endpoints)

    assert asyncio.run(count()) == len(found)


def test_a_resolver_that_does_not_answer_is_named_as_it_was_set() -> None:
    here = CLAIM.neighbour(9)
    port = free_port(here)
    found = _resolve(f"{here}:{port}")
    assert found.trouble is Trouble.RESOLVER
    assert found.detail == f"no DNS resolver of this server answers ({here}:{port})"
    assert [_Endpoint(host, port).shown for host, port in (("192.0.2.53", 53), ("2001:db8::53", 5353))] == [
        "192.0.2.53",
        "[2001:db8::53]:5353",
    ]


def test_debians_challenge_test_server() -> None:
    here = CLAIM.neighbour(9)
    port = free_port(here)
    off = ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"{here}:{free_port(here)}"]
    command = ["pebble-challtestsrv", "-dns01", f"{here}:{port}", *off, "-defaultIPv4", here, "-defaultIPv6", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + SECONDS
            while (found := _resolve(f"{here}:{port}")).trouble and time.monotonic() < deadline:
                assert found.trouble is Trouble.RESOLVER  # not up yet: refused, which is never the name's fault
                time.sleep(0.05)
            assert found.addresses == (here,)
        finally:
            process.terminate()
