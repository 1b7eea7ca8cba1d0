"""The table of codes, row by row, over real DNS and HTTP servers; and how many names at once behave."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from autossl_panel.autossl.log.advice import advice
from autossl_panel.dcv import Finding, Outcome, Settings, check, new_token

from .conftest import CLOSED, HERE, SHORT, SILENT, THERE, Box
from .servers import DnsServer, http

NAME = "www.example.com"


def _says(finding: Finding, outcome: Outcome, code: str | None) -> None:
    assert (finding.outcome, finding.code) == (outcome, code), finding


def test_the_file_on_the_only_address_passes_and_is_asked_as_a_ca_asks(box: Box) -> None:
    box.dns.add(NAME, HERE)
    finding = box.prove(NAME)
    _says(finding, Outcome.PASS, None)
    assert finding.addresses == (HERE,)
    assert 0 < finding.seconds < 10
    (request,) = box.here.asked
    assert request.startswith(f"GET {box.path} HTTP/1.1\r\nHost: {NAME}:{box.settings.http_port}\r\n")


def test_an_alias_is_followed(box: Box) -> None:
    box.dns.records[(NAME, "CNAME")] = ["example.com"]
    box.dns.add("example.com", HERE)
    _says(box.prove(NAME), Outcome.PASS, None)


@pytest.mark.parametrize("chase", [True, False])
def test_an_alias_to_nowhere_names_its_target(box: Box, chase: bool) -> None:
    box.dns.chase = chase
    box.dns.records[(NAME, "CNAME")] = ["gone.example.net"]
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "nxdomain")
    assert finding.data["alias"] == "gone.example.net"
    assert "gone.example.net, which does not exist" in advice("nxdomain", finding.data)


def test_no_such_name(box: Box) -> None:
    box.dns.zone = "example.com"
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "nxdomain")
    assert finding.data["zone"] == "example.com"


def test_a_name_without_address(box: Box) -> None:
    box.dns.records[(NAME, "TXT")] = ['"x"']
    _says(box.prove(NAME), Outcome.FAIL, "no_address")


def test_dead_nameservers_are_the_names_fault_while_the_resolver_lives(box: Box) -> None:
    box.dns.silent.add(NAME)
    finding = box.prove(NAME, **SHORT)
    _says(finding, Outcome.FAIL, "dns_timeout")
    assert 0.9 < finding.seconds < 10


def test_servfail(box: Box) -> None:
    box.dns.errors[NAME] = (22, "ns1.example.com did not answer")
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "dns_servfail")
    assert "ns1.example.com did not answer" in advice("dns_servfail", finding.data)


def test_broken_dnssec_is_seen_by_asking_unchecked(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.dns.bogus.add(NAME)
    _says(box.prove(NAME), Outcome.FAIL, "dnssec")


def test_broken_dnssec_is_seen_by_the_resolvers_extended_error(box: Box) -> None:
    box.dns.errors[NAME] = (7, "signature expired")
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "dnssec")
    assert finding.data["detail"] == "signature expired"


def test_one_broken_family_does_not_hide_the_other(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.dns.silent_kinds.add((NAME, "AAAA"))
    _says(box.prove(NAME, dns_timeout=1.0), Outcome.PASS, None)


def test_an_answer_cut_off_is_asked_again_over_tcp(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.dns.truncate = True
    _says(box.prove(NAME), Outcome.PASS, None)
    assert len(box.dns.asked) == 4
    box.dns.deaf_tcp = True  # half an answer is none, and our resolver's trouble
    _says(box.prove(NAME), Outcome.UNKNOWN, "unknown")


def test_a_resolver_that_is_gone_is_our_trouble(box: Box) -> None:
    finding = box.prove(NAME, resolvers=("127.0.0.1:1",))
    _says(finding, Outcome.UNKNOWN, "unknown")
    assert finding.data["reason"] == "resolver"
    assert "resolver" in advice("unknown", finding.data)


def test_a_resolver_that_is_silent_is_our_trouble(box: Box) -> None:
    box.dns.dead = True
    _says(box.prove(NAME, **SHORT), Outcome.UNKNOWN, "unknown")


def test_a_resolver_that_fails_always_is_our_trouble(box: Box) -> None:
    box.dns.servfail.update((NAME, "", "."))
    _says(box.prove(NAME), Outcome.UNKNOWN, "unknown")


def test_a_resolver_that_refuses_us_is_our_trouble(box: Box) -> None:
    box.dns.refused.add(NAME)
    _says(box.prove(NAME), Outcome.UNKNOWN, "unknown")


def test_the_second_resolver_helps_out(box: Box) -> None:
    box.dns.add(NAME, HERE)
    _says(box.prove(NAME, resolvers=("127.0.0.1:1", box.dns.resolver)), Outcome.PASS, None)
    with DnsServer() as broken:
        broken.servfail.add(NAME)
        _says(box.prove(NAME, resolvers=(broken.resolver, box.dns.resolver)), Outcome.PASS, None)
    with DnsServer() as silent:
        silent.dead = True
        _says(box.prove(NAME, resolvers=(silent.resolver, box.dns.resolver)), Outcome.PASS, None)


@pytest.mark.parametrize("address", [THERE, CLOSED], ids=["answers", "closed"])
def test_elsewhere_whatever_is_there(box: Box, address: str) -> None:
    box.dns.add(NAME, address)
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "elsewhere")
    assert (finding.data["from"], finding.data["to"]) == ([address], [HERE])
    assert f"from {address} to {HERE}" in advice("elsewhere", finding.data)


def test_elsewhere_by_silence(box: Box, black_hole: str) -> None:
    box.dns.add(NAME, black_hole)
    finding = box.prove(NAME, **SHORT)
    _says(finding, Outcome.FAIL, "elsewhere")
    assert finding.data["seen"] == "connect_timeout"


def test_another_address_is_fine_where_the_file_arrives(box: Box) -> None:
    box.there.routes[box.path] = http(200, box.body.encode())
    box.dns.add(NAME, THERE)
    _says(box.prove(NAME), Outcome.PASS, None)


def test_a_known_edge_is_named(box: Box) -> None:
    box.there.default = http(403, b"no", Server="cloudflare")
    box.dns.add(NAME, THERE)
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "elsewhere")
    assert "behind Cloudflare" in advice("elsewhere", finding.data)


def test_every_address_must_give_the_file(box: Box) -> None:
    box.dns.add(NAME, HERE, THERE)
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "elsewhere")
    assert finding.data["from"] == [THERE]


def test_without_known_addresses_nothing_is_elsewhere(box: Box) -> None:
    box.dns.add(NAME, THERE)
    box.dns.add("closed.example.com", CLOSED)
    _says(box.prove(NAME, server_addresses=()), Outcome.FAIL, "http_status")
    _says(box.prove("closed.example.com", server_addresses=()), Outcome.FAIL, "connect_refused")


def test_ipv6_elsewhere_by_another_page_and_by_a_closed_port(box: Box) -> None:
    box.dns.add(NAME, HERE, "::1")
    _says(box.prove(NAME), Outcome.FAIL, "ipv6_elsewhere")
    box.start("::1")
    finding = box.prove(NAME, server_addresses=(HERE,))
    _says(finding, Outcome.FAIL, "ipv6_elsewhere")
    assert finding.data["address"] == "::1"
    assert "AAAA record ::1 leads elsewhere" in advice("ipv6_elsewhere", finding.data)


def test_ipv6_elsewhere_by_silence_for_a_ca_that_does_not_fall_back(box: Box, black_hole_six: str) -> None:
    box.dns.add(NAME, HERE, black_hole_six)
    _says(box.prove(NAME, server_addresses=(HERE,), **SHORT), Outcome.FAIL, "ipv6_elsewhere")


def test_both_families_right(box: Box) -> None:
    six = box.start("::1")
    six.routes[box.path] = http(200, box.body.encode())
    box.dns.add(NAME, HERE, "::1")
    _says(box.prove(NAME), Outcome.PASS, None)
    assert len(six.asked) == len(box.here.asked) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_another_status(box: Box, status: int) -> None:
    box.here.routes[box.path] = http(status, box.body.encode(), Server="Apache/2.4")
    box.dns.add(NAME, HERE)
    finding = box.prove(NAME)
    _says(finding, Outcome.FAIL, "http_status")
    assert (finding.data["status"], finding.data["server"]) == (status, "Apache/2.4")
    assert f"Apache/2.4 at {HERE} answered {status}" in advice("http_status", finding.data)


def _variants(body: str) -> dict[str, tuple[bytes, str | None]]:
    raw = body.encode()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return {
        "trailing whitespace": (http(200, raw + b" \r\n\t\n"), None),
        "leading whitespace": (http(200, b" " + raw), "wrong_body"),
        "upper case": (http(200, raw.upper() + b"Z"), "wrong_body"),
        "a longer text": (http(200, raw + b"x"), "wrong_body"),
        "nothing": (http(200, b""), "wrong_body"),
        "a big page": (http(200, raw + b" " * 100_000), "wrong_body"),
        "no length": (b"HTTP/1.0 200 OK\r\n\r\n" + raw, None),
        "chunks": (chunked + b"20\r\n" + raw[:32] + b"\r\n20;x=y\r\n" + raw[32:] + b"\r\n0\r\n\r\n", None),
        "bad chunks": (chunked + b"zz\r\n" + raw, "connect_refused"),
        "an interim answer": (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + http(200, raw), None),
        "no HTTP": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "connect_refused"),
        "an endless head": (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200_000, "connect_refused"),
        "an empty answer": (b"", "connect_refused"),
    }


@pytest.mark.parametrize("variant", sorted(_variants("")))
def test_bodies(box: Box, variant: str) -> None:
    answer, code = _variants(box.body)[variant]
    box.here.routes[box.path] = answer
    box.dns.add(NAME, HERE)
    _says(box.prove(NAME), Outcome.FAIL if code else Outcome.PASS, code)


def test_refused_connection_to_ourselves_is_a_closed_port(box: Box) -> None:
    box.dns.add(NAME, CLOSED)
    finding = box.prove(NAME, server_addresses=(CLOSED,))
    _says(finding, Outcome.FAIL, "connect_refused")
    assert CLOSED in advice("connect_refused", finding.data)


def test_a_silent_port_times_out_early(box: Box, black_hole: str) -> None:
    box.dns.add(NAME, black_hole)
    finding = box.prove(NAME, server_addresses=(), **SHORT)
    _says(finding, Outcome.FAIL, "connect_timeout")
    assert finding.seconds < 10


def test_silence_of_our_own_address_is_our_trouble(box: Box, black_hole: str) -> None:
    box.dns.add(NAME, black_hole)
    finding = box.prove(NAME, server_addresses=(SILENT,), **SHORT)
    _says(finding, Outcome.UNKNOWN, "unknown")
    assert finding.data["reason"] == "own_address_timeout"
    assert SILENT in advice("unknown", finding.data)


def test_a_server_that_takes_the_connection_and_says_nothing(box: Box) -> None:
    box.there.hang.clear()
    box.dns.add(NAME, THERE)
    finding = box.prove(NAME, server_addresses=(), **SHORT)
    _says(finding, Outcome.FAIL, "connect_timeout")
    assert finding.data["reason"] == "answer"


def test_a_server_that_drips_cannot_outlast_the_deadline(box: Box) -> None:
    box.there.drip = 0.5
    box.there.default = http(200, box.body.encode())
    box.dns.add(NAME, THERE)
    finding = box.prove(NAME, server_addresses=(), total_deadline=0.8)
    _says(finding, Outcome.FAIL, "connect_timeout")
    # The whole answer would take more than that.
    assert finding.seconds < 10


def test_a_private_address_is_not_even_connected_to(box: Box) -> None:
    box.dns.add(NAME, HERE)
    finding = box.prove(NAME, private_ca=False, server_addresses=("203.0.113.9",))
    _says(finding, Outcome.FAIL, "private_address")
    assert box.here.asked == []
    assert "Publish 203.0.113.9" in advice("private_address", finding.data)


@pytest.mark.parametrize("private_ca", [True, False])
def test_cloud_metadata_is_never_fetched(box: Box, private_ca: bool) -> None:
    box.dns.add(NAME, "169.254.169.254", "64:ff9b::a9fe:a9fe")
    _says(box.prove(NAME, private_ca=private_ca), Outcome.FAIL, "private_address")


def test_caa_that_forbids(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.dns.records[("example.com", "CAA")] = ['0 issue "other.example"']
    finding = box.prove(NAME, caa_identities=("ca.example",))
    _says(finding, Outcome.FAIL, "caa")
    assert 'Add at example.com: CAA 0 issue "ca.example"' in advice("caa", finding.data)
    assert box.here.asked == []
    # The records go with the finding: they say whether another CA may.
    assert finding.caa == ('0 issue "other.example"',)
    box.dns.records[("example.com", "CAA")].append('0 issue "ca.example"')
    finding = box.prove(NAME, caa_identities=("ca.example",))
    _says(finding, Outcome.PASS, None)
    assert set(finding.caa or ()) == {'0 issue "other.example"', '0 issue "ca.example"'}
    assert box.prove(NAME).caa is None, "no CA to ask for"


def test_caa_that_cannot_be_read_is_a_failure_as_for_the_ca(box: Box) -> None:
    box.dns.add(NAME, HERE)
    box.dns.servfail.add("example.com")
    finding = box.prove(NAME, caa_identities=("ca.example",))
    _says(finding, Outcome.FAIL, "dns_servfail")
    assert "the CAA records of example.com" in advice("dns_servfail", finding.data)
    assert finding.caa is None


def test_a_wildcard_and_a_bad_name_cost_no_network(box: Box) -> None:
    _says(box.prove("*.example.com"), Outcome.FAIL, "wildcard_unsupported")
    _says(box.prove("a b.example\r\n.com"), Outcome.FAIL, "bad_name")
    _says(box.prove("a" * 64 + ".com"), Outcome.FAIL, "bad_name")
    assert box.dns.asked == []


def test_the_digest_follows_dns(box: Box) -> None:
    box.dns.add(NAME, THERE, HERE)
    first = box.prove(NAME).answer
    box.dns.records[(NAME, "A")] = [HERE, THERE]
    assert box.prove(NAME).answer == first
    box.dns.records[(NAME, "A")] = [HERE]
    assert box.prove(NAME).answer != first


def test_each_name_is_asked_once_and_findings_come_early_in_our_thread(box: Box, black_hole: str) -> None:
    names = [f"s{i}.example.com" for i in range(40)]
    for name in names:
        box.dns.add(name, HERE)
    box.dns.add("dead.example.com", black_hole)
    early: list[tuple[str, int]] = []

    def note(finding: Finding) -> None:
        early.append((finding.name, threading.get_ident()))

    settings = replace(box.settings, dns_timeout=20.0)
    findings = check(["dead.example.com", *names, *names], settings, token=box.token, body=box.body, on_finding=note)
    assert list(findings) == ["dead.example.com", *names]
    assert len(box.here.asked) == len(names)
    assert early[-1][0] == "dead.example.com"
    assert {thread for _, thread in early} == {threading.get_ident()}
    assert len(box.dns.asked) == len(set(box.dns.asked))
    json.dumps([dict(finding.data) for finding in findings.values()])


def test_dead_names_do_not_hold_the_places_of_living_ones(box: Box, black_hole: str) -> None:
    dead = [f"d{i}.example.com" for i in range(12)]
    for name in dead:
        box.dns.add(name, black_hole)
    box.dns.add(NAME, HERE)
    started = time.monotonic()
    settled: dict[str, float] = {}
    settings = replace(box.settings, width=4, connect_timeout=1.5, total_deadline=2.0)
    check(
        [*dead, NAME],
        settings,
        token=box.token,
        body=box.body,
        on_finding=lambda f: settled.update({f.name: time.monotonic() - started}),
    )
    # Four at a time would take three rounds of 1.5 s before the living name has its turn.
    assert settled[NAME] < 4
    assert len(settled) == 13


def test_stop_ends_at_once_and_says_so(box: Box) -> None:
    box.here.hang.clear()
    box.dns.add("fast.example.com", THERE)
    box.dns.add(NAME, HERE)
    told: list[str] = []
    stop: Callable[[], bool] = lambda: bool(told)  # noqa: E731
    started = time.monotonic()
    findings = check(
        [NAME, "fast.example.com"],
        replace(box.settings, connect_timeout=120.0, total_deadline=120.0),
        token=box.token,
        body=box.body,
        on_finding=lambda finding: told.append(finding.name),
        stop=stop,
    )
    assert time.monotonic() - started < 60
    assert told == ["fast.example.com"]
    _says(findings[NAME], Outcome.UNKNOWN, "unknown")
    assert findings[NAME].data == {"reason": "stopped"}
    assert findings["fast.example.com"].code == "elsewhere"


def test_an_error_of_the_caller_reaches_the_caller(box: Box) -> None:
    box.dns.add(NAME, HERE)

    def broken(finding: Finding) -> None:
        raise LookupError(finding.name)

    with pytest.raises(LookupError, match=NAME):
        check([NAME], box.settings, token=box.token, body=box.body, on_finding=broken)


def test_two_threads_at_once(box: Box) -> None:
    box.dns.add(NAME, HERE)
    found: list[Finding] = []
    threads = [threading.Thread(target=lambda: found.append(box.prove(NAME))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [finding.outcome for finding in found] == [Outcome.PASS] * 4


def test_nothing_to_do_opens_nothing() -> None:
    assert check([], Settings(resolvers=("127.0.0.1:1",)), token="t" * 32, body="b" * 32) == {}


def test_tokens_are_new_and_fit_the_helper() -> None:
    first, second = new_token(), new_token()
    assert len({*first, *second}) == 4
    assert all(len(text) == 64 and int(text, 16) for text in (*first, *second))
