"""The verdict over several addresses, without any network."""

import pytest

from autossl_panel.dcv import Outcome, Settings
from autossl_panel.dcv.fetch import Fetched
from autossl_panel.dcv.judge import judge

PUBLIC = Settings(resolvers=(), server_addresses=("198.51.100.1", "2001:DB8:0::1"))
FOUR, SIX, AWAY_SIX = "198.51.100.1", "2001:db8::1", "2001:db8::2"


def _f(address: str, code: str | None = None, reason: str = "", hops: int = 0) -> Fetched:
    return Fetched(address, code, reason, hop_address=address, hops=hops)


@pytest.mark.parametrize(
    ("fetched", "outcome", "code"),
    [
        ((_f(FOUR), _f(SIX)), Outcome.PASS, None),
        # A public CA falls back to IPv4 when IPv6 does not take the connection, and only then.
        ((_f(FOUR), _f(AWAY_SIX, "connect_timeout", "connect")), Outcome.PASS, None),
        ((_f(FOUR), _f(SIX, "connect_timeout", "connect")), Outcome.PASS, None),
        ((_f(FOUR), _f(AWAY_SIX, "connect_timeout", "answer")), Outcome.FAIL, "ipv6_elsewhere"),
        ((_f(FOUR), _f(AWAY_SIX, "connect_refused", "refused")), Outcome.FAIL, "ipv6_elsewhere"),
        ((_f(FOUR), _f(SIX, "http_status")), Outcome.FAIL, "ipv6_elsewhere"),
        ((_f(FOUR), _f(AWAY_SIX, "connect_timeout", "connect", 1)), Outcome.FAIL, "ipv6_elsewhere"),
        ((_f(FOUR), _f(AWAY_SIX, "unknown", "no_route")), Outcome.UNKNOWN, "unknown"),
        ((_f(FOUR, "connect_timeout", "connect"),), Outcome.UNKNOWN, "unknown"),
        ((_f(FOUR, "connect_timeout", "connect"), _f(AWAY_SIX, "http_status")), Outcome.FAIL, "elsewhere"),
        ((_f(FOUR, "http_status"), _f(SIX)), Outcome.FAIL, "http_status"),
        ((_f(SIX, "wrong_body"),), Outcome.FAIL, "wrong_body"),
        ((_f(AWAY_SIX, "wrong_body"),), Outcome.FAIL, "elsewhere"),
    ],
)
def test_verdicts(fetched: tuple[Fetched, ...], outcome: Outcome, code: str | None) -> None:
    assert judge(fetched, PUBLIC)[:2] == (outcome, code)


def test_a_private_ca_does_not_fall_back() -> None:
    private = Settings(resolvers=(), server_addresses=(FOUR,), private_ca=True)
    fetched = (_f(FOUR), _f(AWAY_SIX, "connect_timeout", "connect"))
    assert judge(fetched, private)[:2] == (Outcome.FAIL, "ipv6_elsewhere")


def test_the_fall_back_is_told() -> None:
    _, _, data = judge((_f(FOUR), _f(AWAY_SIX, "connect_timeout", "connect")), PUBLIC)
    assert data == {"warning": "ipv6_timeout", "address": AWAY_SIX}
