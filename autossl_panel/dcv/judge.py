"""From what each address gave to one verdict on the name: pure, no network.
The measure is the CA's own verdict; what is this server's trouble must never be called the name's."""

from collections.abc import Sequence
from ipaddress import ip_address

from .addresses import is_ipv6
from .fetch import Fetched
from .model import Json, Outcome, Settings

# Edges of content networks by what they call themselves in the Server header.
_EDGES = {
    "cloudflare": "Cloudflare",
    "cloudfront": "Amazon CloudFront",
    "akamai": "Akamai",
    "sucuri": "Sucuri",
    "cloudproxy": "Sucuri",
    "bunnycdn": "bunny.net",
    "keycdn": "KeyCDN",
    "imperva": "Imperva",
    "ddos-guard": "DDoS-Guard",
    "fastly": "Fastly",
}


def judge(fetched: Sequence[Fetched], settings: Settings) -> tuple[Outcome, str | None, dict[str, Json]]:
    """The verdict over all addresses of a name: each must give the file, with one exception: a public CA that gets no
    connection over IPv6 falls back to IPv4. A definite failure outranks our own trouble."""
    own = _numbers(settings.server_addresses)
    four = [_verdict(f, own) for f in fetched if not is_ipv6(f.address)]
    six = [_verdict(f, own) for f in fetched if is_ipv6(f.address)]
    four_right = bool(four) and all(code is None for code, _, _ in four)
    if four_right and six and not settings.private_ca and all(_falls_back(code, f) for code, _, f in six):
        data: dict[str, Json] = {"warning": "ipv6_timeout", "address": six[0][2].address} if _silent(six) else {}
        return Outcome.PASS, None, data
    failures = [v for v in (*four, *six) if v[0] not in (None, "unknown")]
    unknown = [v for v in (*four, *six) if v[0] == "unknown"]
    if failures:
        code, reason, first = failures[0]
        if four_right:
            return Outcome.FAIL, "ipv6_elsewhere", {**_facts(first, reason, own), "seen": first.code or ""}
        if code == "elsewhere":
            return Outcome.FAIL, "elsewhere", _elsewhere(first, fetched, settings, own)
        assert code is not None
        return Outcome.FAIL, code, _facts(first, reason, own)
    if unknown:
        _, reason, first = unknown[0]
        return Outcome.UNKNOWN, "unknown", _facts(first, reason, own)
    return Outcome.PASS, None, {}


Verdict = tuple[str | None, str, Fetched]


def _verdict(fetched: Fetched, own: frozenset[str]) -> Verdict:
    """One address: its code, why, and the evidence."""
    if fetched.code == "connect_timeout" and _number(fetched.hop_address) in own:
        return "unknown", "own_address_timeout", fetched
    if fetched.code in (None, "unknown") or not own or _number(fetched.address) in own:
        return fetched.code, fetched.reason, fetched
    return "elsewhere", fetched.reason, fetched


def _falls_back(code: str | None, fetched: Fetched) -> bool:
    return code is None or (fetched.hops == 0 and fetched.code == "connect_timeout" and fetched.reason == "connect")


def _silent(six: Sequence[Verdict]) -> bool:
    return any(code is not None for code, _, _ in six)


def _facts(fetched: Fetched, reason: str, own: frozenset[str]) -> dict[str, Json]:
    """What advice needs to know of one address."""
    data: dict[str, Json] = {
        "address": fetched.address,
        "record": "AAAA" if is_ipv6(fetched.address) else "A",
        "url": fetched.url,
        "ours": _number(fetched.address) in own,
    }
    if reason:
        data["reason"] = reason
    if fetched.status:
        data["status"] = fetched.status
    if fetched.server:
        data["server"] = fetched.server
    if fetched.body:
        data["body"] = fetched.body
    if fetched.hops:
        data["hops"] = fetched.hops
        data["hop_address"] = fetched.hop_address
    return data


def _elsewhere(first: Fetched, fetched: Sequence[Fetched], settings: Settings, own: frozenset[str]) -> dict[str, Json]:
    family = is_ipv6(first.address)
    strangers = [f.address for f in fetched if _number(f.address) not in own and f.code is not None]
    ours = [a for a in settings.server_addresses if is_ipv6(a) == family]
    data = {**_facts(first, first.reason, own), "seen": first.code or "", "from": strangers, "to": ours}
    edge = next((brand for mark, brand in _EDGES.items() if mark in first.server.lower()), None)
    if edge is not None:
        data["cdn"] = edge
    return data


def _numbers(addresses: Sequence[str]) -> frozenset[str]:
    return frozenset(_number(address) for address in addresses)


def _number(address: str) -> str:
    """One spelling for each address: an admin may write IPv6 in many."""
    try:
        return str(ip_address(address.strip()))
    except ValueError:
        return address
