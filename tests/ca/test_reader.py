"""What a CA tells anybody: renewal information (RFC 9773), and its time by its own Date headers."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from autossl_panel.ca import CaProblem, ProblemKind
from tests.ca.authority import Authority, MiniCa
from tests.ca.rogue import ACME, RogueCa, answer, problem

ARI_ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
START, END = "2026-03-02T04:00:00Z", "2026-03-03T04:00:00+02:00"


class Ticks:
    """Monotonic seconds that pass as a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def _info(**more: Any) -> dict[str, Any]:
    return {"suggestedWindow": {"start": START, "end": END}, **more}


def test_a_window_is_read_without_an_account(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.reader(clock=lambda: NOON) as reader:
        body = _info(explanationURL="https://ca.example/incident?id=1")
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(200, body, Retry_After="21600"))
        found = reader.renewal_info(ARI_ID)
        assert [(one.method, one.path) for one in ca.asked] == [("GET", "/dir"), ("GET", f"/renewal/{ARI_ID}")]
    assert found.start == datetime(2026, 3, 2, 4, tzinfo=UTC)
    assert found.end == datetime(2026, 3, 3, 2, tzinfo=UTC)
    assert found.explanation_url == "https://ca.example/incident?id=1"
    assert found.next_at == NOON + timedelta(hours=6)


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        (None, timedelta(hours=6)),
        ("3600", timedelta(hours=1)),
        ("0", timedelta(minutes=1)),
        ("-5", timedelta(hours=6)),
        ("99999999999", timedelta(days=1)),
        (format_datetime(NOON + timedelta(hours=2), usegmt=True), timedelta(hours=2)),
        (format_datetime(NOON - timedelta(hours=2), usegmt=True), timedelta(minutes=1)),
        ("soon", timedelta(hours=6)),
    ],
)
def test_when_it_is_asked_next(mini_ca: MiniCa, said: str | None, wait: timedelta) -> None:
    with RogueCa(mini_ca) as ca, ca.reader(clock=lambda: NOON) as reader:
        headers = {} if said is None else {"Retry_After": said}
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(200, _info(), **headers))
        assert reader.renewal_info(ARI_ID).next_at == NOON + wait


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://a b", 5, "https://" + "x" * 2000])
def test_an_explanation_that_is_no_link_is_left_out(mini_ca: MiniCa, url: object) -> None:
    with RogueCa(mini_ca) as ca, ca.reader() as reader:
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(200, _info(explanationURL=url)))
        assert reader.renewal_info(ARI_ID).explanation_url == ""


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        {},
        {"suggestedWindow": []},
        {"suggestedWindow": {"start": START}},
        {"suggestedWindow": {"start": END, "end": START}},
        {"suggestedWindow": {"start": START, "end": START}},
        {"suggestedWindow": {"start": "tomorrow", "end": END}},
        {"suggestedWindow": {"start": "0001-01-01T00:00:00+14:00", "end": END}},
    ],
)
def test_a_window_that_is_none(mini_ca: MiniCa, body: object) -> None:
    with RogueCa(mini_ca) as ca, ca.reader() as reader:
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(200, body))
        with pytest.raises(CaProblem, match="without a usable window") as caught:
            reader.renewal_info(ARI_ID)
    assert caught.value.kind is ProblemKind.SERVER


def test_a_certificate_that_the_ca_does_not_know(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.reader() as reader, pytest.raises(CaProblem) as caught:
        reader.renewal_info(ARI_ID)
    assert (caught.value.status, caught.value.type) == (404, ACME + "malformed")


def test_a_ca_without_renewal_information_is_not_asked_for_it(pebble: Authority) -> None:
    with pebble.reader() as reader, pytest.raises(CaProblem, match="no renewal information") as caught:
        reader.renewal_info(ARI_ID)
    assert caught.value.status == 404
    assert reader.requests <= 1


@pytest.mark.parametrize("ari_id", ["", "a/../b.c", "a.b.c", "a.b?c", "é.b"])
def test_what_is_no_ari_id_is_not_sent(mini_ca: MiniCa, ari_id: str) -> None:
    with RogueCa(mini_ca) as ca, ca.reader() as reader:
        with pytest.raises(CaProblem):
            reader.renewal_info(ari_id)
        assert [one.path for one in ca.asked] == ["/dir"]


def test_a_busy_ca_says_until_when(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.reader(clock=lambda: NOON) as reader:
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(503, b"busy", Retry_After="120"))
        with pytest.raises(CaProblem) as caught:
            reader.renewal_info(ARI_ID)
    assert caught.value.kind is ProblemKind.SERVER
    assert caught.value.retry_after == NOON + timedelta(minutes=2)


# --- the gate --------------------------------------------------------------------------------------------------------


def test_every_request_passes_the_gate_and_says_what_it_is_for(mini_ca: MiniCa) -> None:
    passed: list[str] = []
    with RogueCa(mini_ca) as ca, ca.client(gate=passed.append) as client:
        location = {"Location": f"{ca.url}/order/1"}
        bad = [lambda asked: problem(400, "badNonce", headers=ca.nonce())] * 2
        ca.script("/order", *bad, lambda asked: answer(201, {"status": "pending"}, **location, **ca.nonce()))
        ca.say("/order/1", 200, {"status": "pending"})
        ca.script(f"/renewal/{ARI_ID}", lambda asked: answer(200, _info()))
        client.order(client.new_order(["a.example.com"]).url)
        client.renewal_info(ARI_ID)
        assert len(passed) == client.requests == len(ca.asked)
    assert passed == ["directory", "newNonce", "newOrder", "newOrder", "newOrder", "other", "renewalInfo"]


def test_the_gate_is_passed_again_where_a_request_is_sent_again(mini_ca: MiniCa) -> None:
    passed: list[str] = []
    with RogueCa(mini_ca) as ca, ca.reader(gate=passed.append) as reader:
        reader.directory()
        ca.script(f"/renewal/{ARI_ID}", lambda asked: None, lambda asked: answer(200, _info()))
        reader.renewal_info(ARI_ID)
    assert passed == ["directory", "renewalInfo", "renewalInfo"]


def test_a_closed_gate_sends_nothing(mini_ca: MiniCa) -> None:
    def closed(resource: str) -> None:
        raise PermissionError(resource)

    with RogueCa(mini_ca) as ca, ca.client(gate=closed) as client:
        with pytest.raises(PermissionError, match="directory"):
            client.new_order(["a.example.com"])
        assert ca.asked == []


# --- the CA's time ---------------------------------------------------------------------------------------------------


def _date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def test_the_cas_time_goes_on_by_itself_whatever_this_hosts_clock_says(mini_ca: MiniCa) -> None:
    ticks, clock = Ticks(), [NOON + timedelta(days=3)]
    with RogueCa(mini_ca) as ca, ca.client(ticks=ticks, clock=lambda: clock[0]) as client:
        ca.script("/order/1", lambda asked: answer(200, {"status": "pending"}, Date=_date(NOON), **ca.nonce()))
        assert client.ca_time is None
        client.order(f"{ca.url}/order/1")
        assert client.ca_time == NOON
        ticks.now += 25.5
        clock[0] -= timedelta(days=300)
        assert client.ca_time == NOON + timedelta(seconds=25.5)
        assert client.date_offset == timedelta(days=-3)


def test_what_waited_in_a_cache_is_older_than_its_date(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client(ticks=Ticks()) as client:
        ca.script(
            "/order/1", lambda asked: answer(200, {"status": "pending"}, Date=_date(NOON), Age="90", **ca.nonce())
        )
        client.order(f"{ca.url}/order/1")
        assert client.ca_time == NOON + timedelta(seconds=90)


def test_time_that_was_heard_a_minute_ago_is_heard_anew(mini_ca: MiniCa) -> None:
    ticks = Ticks()
    with RogueCa(mini_ca) as ca, ca.client(ticks=ticks) as client:
        said = [NOON]
        ca.script("/nonce", lambda asked: answer(200, Date=_date(said[0]), **ca.nonce()))
        assert client.freshen() == NOON
        ticks.now += 60
        assert client.freshen() == NOON + timedelta(seconds=60)
        assert client.requests == 2
        ticks.now, said[0] = ticks.now + 1, NOON + timedelta(seconds=90)
        assert client.freshen() == NOON + timedelta(seconds=90)
        ca.script("/order/1", lambda asked: answer(200, {"status": "pending"}, **ca.nonce()))
        client.order(f"{ca.url}/order/1")
        assert client.requests == 4  # with the nonce that came along


def test_a_ca_without_date_has_no_time(mini_ca: MiniCa) -> None:
    with RogueCa(mini_ca) as ca, ca.client() as client:
        assert client.freshen() is None
        assert client.date_offset is None
