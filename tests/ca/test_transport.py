"""Connections: kept alive, replaced when the server has closed them, one for each host."""

import time
from collections.abc import Iterator

import pytest

from autossl_panel.ca import CaProblem, ProblemKind
from autossl_panel.ca.transport import Transport
from tests.ca.authority import MiniCa
from tests.ca.rogue import Asked, Reply, Rogue, answer
from tests.support.patience import within


def test_one_connection_for_many_requests(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: answer(200, b"ok")) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        for _ in range(5):
            assert transport.send("GET", f"{server.url}/x?y=1").body == b"ok"
        assert {asked.connection for asked in server.asked} == {1}
        assert {asked.path for asked in server.asked} == {"/x?y=1"}
        assert transport.requests == 5


def test_a_server_that_closes_after_each_answer(mini_ca: MiniCa) -> None:
    def once(asked: Asked) -> Iterator[bytes]:
        yield answer(200, b"ok")
        raise OSError  # ends the connection without having announced it

    with Rogue(mini_ca, once) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        for _ in range(3):
            assert transport.send("POST", f"{server.url}/x", b"{}", repeatable=False).body == b"ok"
            assert within(lambda: server.closed == len(server.asked)), "it has ended the connection"
        assert [asked.connection for asked in server.asked] == [1, 2, 3]


def test_an_announced_end_is_kept_to(mini_ca: MiniCa) -> None:
    closing = answer(200, b"ok", Connection="close")
    with Rogue(mini_ca, lambda asked: closing) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        transport.send("GET", f"{server.url}/1")
        transport.send("GET", f"{server.url}/2")
        assert [asked.connection for asked in server.asked] == [1, 2]


def test_a_kept_connection_that_breaks_is_replaced_once(mini_ca: MiniCa) -> None:
    def second_fails(asked: Asked) -> Reply:
        return None if asked.path == "/2" and asked.connection == 1 else answer(200, b"ok")

    with Rogue(mini_ca, second_fails) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        transport.send("GET", f"{server.url}/1")
        assert transport.send("GET", f"{server.url}/2").body == b"ok"
        assert [(asked.path, asked.connection) for asked in server.asked] == [("/1", 1), ("/2", 1), ("/2", 2)]
        assert transport.requests == 3


def test_a_replaced_connection_that_breaks_too_is_a_problem(mini_ca: MiniCa) -> None:
    def fails(asked: Asked) -> Reply:
        return None if asked.path == "/2" else answer(200, b"ok")

    with Rogue(mini_ca, fails) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        transport.send("GET", f"{server.url}/1")
        with pytest.raises(CaProblem, match="closed the connection"):
            transport.send("GET", f"{server.url}/2")
        assert transport.requests == 3


def test_a_connection_long_idle_is_not_trusted(mini_ca: MiniCa) -> None:
    with (
        Rogue(mini_ca, lambda asked: answer(200, b"ok")) as server,
        Transport(ca_bundle=mini_ca.bundle, longest_idle=0.05) as transport,
    ):
        transport.send("GET", f"{server.url}/1")
        time.sleep(0.1)
        transport.send("GET", f"{server.url}/2")
        assert [asked.connection for asked in server.asked] == [1, 2]


def test_chunked_answers_and_heads(mini_ca: MiniCa) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"

    def reply(asked: Asked) -> Reply:
        return head if asked.method == "HEAD" else chunked

    with Rogue(mini_ca, reply) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        assert transport.send("GET", f"{server.url}/").body == b"abcde"
        assert transport.send("HEAD", f"{server.url}/").body == b""
        assert transport.send("GET", f"{server.url}/").body == b"abcde"
        assert {asked.connection for asked in server.asked} == {1}


def test_an_answer_without_length_ends_with_the_connection(mini_ca: MiniCa) -> None:
    def reply(asked: Asked) -> Iterator[bytes]:
        yield b"HTTP/1.0 200 OK\r\n\r\nall of it"
        raise OSError

    with Rogue(mini_ca, reply) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        assert transport.send("GET", f"{server.url}/").body == b"all of it"


@pytest.mark.parametrize("count", [2])
def test_a_connection_for_each_host(mini_ca: MiniCa, count: int) -> None:
    with (
        Rogue(mini_ca, lambda asked: answer(200, b"one")) as one,
        Rogue(mini_ca, lambda asked: answer(200, b"two")) as two,
        Transport(ca_bundle=mini_ca.bundle) as transport,
    ):
        for _ in range(count):
            assert transport.send("GET", f"{one.url}/").body == b"one"
            assert transport.send("GET", f"{two.url}/").body == b"two"
        assert {asked.connection for asked in one.asked + two.asked} == {1}


def test_after_close_it_can_be_used_again(mini_ca: MiniCa) -> None:
    with Rogue(mini_ca, lambda asked: answer(200, b"ok")) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        transport.send("GET", f"{server.url}/")
        transport.close()
        assert transport.send("GET", f"{server.url}/").body == b"ok"


def test_a_problem_says_whether_a_byte_went_out(mini_ca: MiniCa) -> None:
    with Transport(ca_bundle=mini_ca.bundle) as transport, pytest.raises(CaProblem) as caught:
        transport.send("POST", "https://127.0.0.1:1/x", b"{}", repeatable=False)
    assert (caught.value.sent, caught.value.copy().sent, caught.value.answered) == (False, False, False)
    with Rogue(mini_ca, lambda asked: None) as server, Transport(ca_bundle=mini_ca.bundle) as transport:
        with pytest.raises(CaProblem) as caught:
            transport.send("POST", f"{server.url}/x", b"{}", repeatable=False)
        assert (caught.value.sent, caught.value.answered) == (True, False)

    def closed(_resource: str) -> None:
        raise CaProblem(ProblemKind.RATE, type="urn:x", detail="wait")

    with Transport(ca_bundle=mini_ca.bundle, gate=closed) as transport, pytest.raises(CaProblem) as caught:
        transport.send("POST", "https://127.0.0.1:1/x", b"{}")
    assert not caught.value.sent
