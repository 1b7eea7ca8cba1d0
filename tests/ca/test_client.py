"""What the client does with a CA that answers badly: nonces, problems, waits, orders of a newer kind."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from autossl_panel.ca import CaProblem, Client, OrderState, ProblemKind, ReplacesRefused
from tests.ca.authority import MiniCa
from tests.ca.ordering import is_ready, is_valid, never, soon
from tests.ca.rogue import ACME, Asked, Reply, RogueCa, answer, problem
from tests.support.patience import SECONDS


def _order(ca: RogueCa, status: str = "pending", **fields: Any) -> Callable[[Asked], Reply]:
    headers = fields.pop("headers", {})
    body = {"status": status, "finalize": f"{ca.url}/finalize", "authorizations": [], **fields}
    return lambda asked: answer(200, body, **ca.nonce(), **headers)


def _created(ca: RogueCa, **fields: Any) -> Callable[[Asked], Reply]:
    return _order(ca, headers={"Location": f"{ca.url}/order/1"}, **fields)


def _refusal(ca: RogueCa, status: int, short_type: str, **headers: str) -> Callable[[Asked], Reply]:
    return lambda asked: problem(status, short_type, "No.", headers={**ca.nonce(), **headers})


# --- nonces ----------------------------------------------------------------------------------------------------------


def test_five_bad_nonces_are_got_over_with_the_nonce_that_came_along(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", *[_refusal(ca, 400, "badNonce")] * 5, _created(ca))
        state = client.new_order(["a.example.com"])
        nonces = [asked.protected["nonce"] for asked in ca.posts("/order")]
    assert state.status == "pending"
    assert nonces == [f"nonce-{number}" for number in range(1, 7)]
    assert client.requests == 8  # directory, one nonce, six attempts


def test_the_sixth_bad_nonce_is_a_problem(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _refusal(ca, 400, "badNonce"))
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"])
        assert len(ca.posts("/order")) == 6
    assert caught.value.kind is ProblemKind.BAD_NONCE


def test_a_nonce_that_is_none_is_not_used(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", lambda asked: answer(200, {"status": "pending"}, Replay_Nonce='a","url":"b'))
        client.order(f"{ca.url}/order/1")
        client.order(f"{ca.url}/order/1")
        assert [asked.protected["nonce"] for asked in ca.posts("/order/1")] == ["nonce-1", "nonce-2"]


@pytest.mark.parametrize(("status", "kind"), [(200, ProblemKind.SERVER), (503, ProblemKind.SERVER)])
def test_no_nonce_is_trouble_of_the_ca(mini_ca: MiniCa, status: int, kind: ProblemKind) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/nonce", lambda asked: answer(status))
        with pytest.raises(CaProblem) as caught:
            client.order(f"{ca.url}/order/1")
    assert caught.value.kind is kind
    assert caught.value.status == status


# --- problems --------------------------------------------------------------------------------------------------------


def test_a_rate_limit_with_seconds(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _refusal(ca, 429, "rateLimited", Retry_After="3600"))
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"], replaces="aki.serial")
        assert len(ca.posts("/order")) == 1  # a limit is no objection to `replaces`
    assert caught.value.kind is ProblemKind.RATE
    assert caught.value.status == 429
    assert caught.value.retry_after is not None
    assert abs(caught.value.retry_after - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=10)


def test_a_rate_limit_with_a_date(mini_ca: MiniCa) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=3)
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _refusal(ca, 429, "rateLimited", Retry_After=format_datetime(moment, usegmt=True)))
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"])
    assert caught.value.retry_after == moment


def test_subproblems_come_through(mini_ca: MiniCa) -> None:
    part = {
        "type": ACME + "rejectedIdentifier",
        "detail": "no",
        "identifier": {"type": "dns", "value": "a.example.com"},
    }
    body = {"type": ACME + "malformed", "detail": "Some names\x1b[2J are refused", "subproblems": [part]}
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/order", 400, body)
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"])
    assert caught.value.kind is ProblemKind.MALFORMED
    assert caught.value.detail == "Some names [2J are refused"
    assert [part.identifier for part in caught.value.subproblems] == ["a.example.com"]
    assert caught.value.subproblems[0].kind is ProblemKind.REJECTED_IDENTIFIER


@pytest.mark.parametrize("status", [404, 410])
def test_a_forgotten_order_is_an_order_problem(mini_ca: MiniCa, status: int) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/order/1", status, {"type": ACME + "malformed", "detail": "No such order"})
        with pytest.raises(CaProblem, match="No such order") as caught:
            client.order(f"{ca.url}/order/1")
    assert caught.value.kind is ProblemKind.ORDER


def test_an_answer_that_is_no_json(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/order/1", 200, b"<html>maintenance</html>")
        with pytest.raises(CaProblem, match="no JSON object") as caught:
            client.order(f"{ca.url}/order/1")
    assert caught.value.kind is ProblemKind.SERVER


@pytest.mark.parametrize("location", ["http://ca.example/order/1", "/order/1", "https://ca.example/a b", "https://"])
def test_an_order_at_an_unusable_address(mini_ca: MiniCa, location: str) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _order(ca, headers={"Location": location}))
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"])
    assert caught.value.kind is ProblemKind.UNREACHABLE


def test_an_address_of_the_directory_that_is_gone_makes_it_be_read_again(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        with pytest.raises(CaProblem):
            client.new_order(["a.example.com"])  # 404
        ca.script("/order", _created(ca))
        assert client.new_order(["a.example.com"]).status == "pending"
        assert [asked.path for asked in ca.asked].count("/dir") == 2


# --- orders ----------------------------------------------------------------------------------------------------------


def test_an_order_names_profile_and_predecessor(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _created(ca, replaces="aki.serial"))
        state = client.new_order(["a.example.com", "b.example.com"], profile="shortlived", replaces="aki.serial")
        payload = ca.posts("/order")[0].payload
    assert payload == {
        "identifiers": [{"type": "dns", "value": "a.example.com"}, {"type": "dns", "value": "b.example.com"}],
        "profile": "shortlived",
        "replaces": "aki.serial",
    }
    assert state.replaces == "aki.serial"
    assert state.url == f"{ca.url}/order/1"


@pytest.mark.parametrize(
    ("status", "short_type"), [(409, "alreadyReplaced"), (404, "malformed"), (403, "unauthorized")]
)
def test_a_refused_predecessor_is_told_and_not_asked_for_again(mini_ca: MiniCa, status: int, short_type: str) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _refusal(ca, status, short_type))
        with pytest.raises(ReplacesRefused) as caught:
            client.new_order(["a.example.com"], profile="classic", replaces="aki.serial")
        assert len(ca.posts("/order")) == 1
    assert caught.value.already_replaced == (short_type == "alreadyReplaced")
    assert (caught.value.status, caught.value.detail) == (status, "No.")


def test_a_refusal_without_predecessor_is_no_refusal_of_one(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order", _refusal(ca, 400, "malformed"))
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"], profile="")
        assert "profile" not in ca.posts("/order")[0].payload
    assert not isinstance(caught.value, ReplacesRefused)


def test_a_new_order_is_never_sent_twice_by_itself(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca))
        ca.script("/order", lambda asked: None)
        client.order(f"{ca.url}/order/1")
        with pytest.raises(CaProblem) as caught:
            client.new_order(["a.example.com"])
        assert len(ca.posts("/order")) == 1
    assert caught.value.kind is ProblemKind.UNREACHABLE


def test_a_chain_is_cut_out_of_what_stands_around_it(mini_ca: MiniCa) -> None:
    pem = mini_ca.bundle.read_bytes()
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/cert", 200, b"\x1b]junk\r\n" + pem.replace(b"\n", b"\r\n") + b"\nsubject=evil\n" + pem)
        assert client.download(f"{ca.url}/cert") == pem + pem


@pytest.mark.parametrize(
    "body", [b"", b"junk", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "many"]
)
def test_what_is_no_chain(mini_ca: MiniCa, body: bytes | str) -> None:
    sent = mini_ca.bundle.read_bytes() * 21 if isinstance(body, str) else body
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.say("/cert", 200, sent)
        with pytest.raises(CaProblem, match="no PEM chain"):
            client.download(f"{ca.url}/cert")


def test_a_ca_without_revocation(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        directory = ca.directory()
        del directory["revokeCert"]
        ca.script("/dir", lambda asked: answer(200, directory))
        with pytest.raises(CaProblem, match="no revocations"):
            client.revoke(mini_ca.bundle.read_bytes())


# --- waiting ---------------------------------------------------------------------------------------------------------


def _timed(poll: Callable[[], OrderState]) -> tuple[OrderState, float]:
    started = time.monotonic()
    return poll(), time.monotonic() - started


def test_waits_until_the_order_is_ready(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", *[_order(ca)] * 3, _order(ca, "ready"))
        state, seconds = _timed(lambda: client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never))
        assert state.status == "ready"
        assert len(ca.posts("/order/1")) == 4
        assert seconds >= 0.3  # 20 + 40 + 80 + 160 ms


def test_retry_after_goes_before_the_own_pace(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, headers={"Retry_After": "1"}), _order(ca, "ready"))
        state, seconds = _timed(lambda: client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never))
    assert state.status == "ready"
    assert seconds >= 1


def test_a_retry_after_seen_before_is_waited_for(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, "ready"))
        after = datetime.now(UTC) + timedelta(seconds=0.7)
        _, seconds = _timed(
            lambda: client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never, after=after)
        )
    assert seconds >= 0.65


def test_a_retry_after_beyond_the_deadline_ends_the_wait_at_once(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, "processing", headers={"Retry_After": "3600"}))
        state, seconds = _timed(
            lambda: client.poll(f"{ca.url}/order/1", until=is_valid, deadline=soon(600), stop=never)
        )
    assert seconds < 300
    assert state.status == "processing"
    assert state.retry_after is not None


def test_the_deadline_ends_the_wait_with_the_last_state(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, "pondering"))
        state, seconds = _timed(
            lambda: client.poll(f"{ca.url}/order/1", until=is_valid, deadline=soon(0.5), stop=never)
        )
    assert state.status == "pondering"
    assert 0.1 < seconds < 60


def test_a_deadline_gone_by_still_looks_once(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, "valid"))
        state = client.poll(f"{ca.url}/order/1", until=is_valid, deadline=soon(-5), stop=never)
    assert state.status == "valid"


def test_stop_ends_the_wait(mini_ca: MiniCa) -> None:
    stopped = threading.Event()
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, headers={"Retry_After": "500"}))
        timer = threading.Timer(0.4, stopped.set)
        timer.start()
        state, seconds = _timed(
            lambda: client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(600), stop=stopped.is_set)
        )
        timer.join()
    assert state.status == "pending"
    assert seconds < 300


def test_an_invalid_order_ends_the_wait(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca, "invalid", error={"type": ACME + "caa", "detail": "forbidden"}))
        state = client.poll(f"{ca.url}/order/1", until=is_valid, deadline=soon(), stop=never)
    assert state.problem is not None
    assert state.problem.kind is ProblemKind.CAA


def test_a_wait_survives_passing_trouble(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _order(ca), lambda asked: answer(502, b"bad gateway"), _order(ca, "ready"))
        state = client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never)
    assert state.status == "ready"


def test_a_wait_ends_with_lasting_trouble(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", lambda asked: answer(502, b"bad gateway"))
        with pytest.raises(CaProblem, match="502") as caught:
            client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never)
        assert len(ca.posts("/order/1")) == 3
    assert caught.value.kind is ProblemKind.SERVER


def test_a_wait_ends_with_a_problem_at_once(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        ca.script("/order/1", _refusal(ca, 429, "rateLimited", Retry_After="60"))
        with pytest.raises(CaProblem) as caught:
            client.poll(f"{ca.url}/order/1", until=is_ready, deadline=soon(), stop=never)
        assert len(ca.posts("/order/1")) == 1
    assert caught.value.retry_after is not None


def test_a_client_serves_one_thread(mini_ca: MiniCa) -> None:
    asked_once, go_on = threading.Event(), threading.Event()

    with RogueCa(mini_ca) as ca, ca.client() as client:

        def slow(asked: Asked) -> Reply:
            asked_once.set()
            go_on.wait(10)
            return _order(ca)(asked)

        ca.script("/order/1", slow)
        thread = threading.Thread(target=_look, args=(client, f"{ca.url}/order/1"))
        thread.start()
        assert asked_once.wait(10)
        with pytest.raises(RuntimeError, match="one thread"):
            client.order(f"{ca.url}/order/1")
        go_on.set()
        thread.join()


def _look(client: Client, url: str) -> None:
    assert client.order(url).status == "pending"


def test_threads_share_one_reading_of_the_directory(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca:
        ca.script("/order/1", _order(ca))

        def work() -> None:
            with ca.client() as client:
                client.order(f"{ca.url}/order/1")

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        paths = [asked.path for asked in ca.asked]
    assert paths.count("/dir") == 1
    assert paths.count("/nonce") == 8


def test_threads_share_one_failure_of_the_directory(mini_ca: MiniCa) -> None:
    problems: list[CaProblem] = []
    ended, together = threading.Event(), threading.Barrier(8)
    with RogueCa(mini_ca) as ca:

        def hang(asked: Asked) -> Reply:
            ended.wait(SECONDS)
            return None

        ca.script("/dir", hang)

        def work() -> None:
            together.wait(SECONDS)
            with ca.client(read_timeout=1.5) as client, pytest.raises(CaProblem) as caught:
                client.order(f"{ca.url}/order/1")
            problems.append(caught.value)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ended.set()
        assert [asked.path for asked in ca.asked] == ["/dir"], "one waited for it, and not each in turn"
    assert [problem.short_type for problem in problems] == ["timeout"] * 8
    assert len({id(problem) for problem in problems}) == 8
