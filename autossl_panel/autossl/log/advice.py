"""Plain English for a problem's code: what is wrong and what to change, with the facts filled in.
Escaping and translation are done where it is shown; facts of strangers were cut and cleaned before."""

from collections.abc import Callable

from . import advice_on_cas
from .sentences import AGAIN as _AGAIN
from .sentences import Facts
from .sentences import name as _name
from .sentences import text as _text


def known(code: str) -> bool:
    """Whether there are sentences for this code."""
    return code in _WRITERS


def advice(code: str, data: Facts) -> str:
    """One to three sentences for the person who can mend it; a code that is not known here gives the general one."""
    write = _WRITERS.get(code)
    return write(data) if write else f"{_name(data)} could not be proved. {_AGAIN}"


def _url(data: Facts) -> str:
    """The URL, without the random token: the file is gone when somebody reads this."""
    before, path, _ = _text(data, "url").partition("/.well-known/acme-challenge/")
    return before + path or "the file that the CA asks for"


def _address(data: Facts) -> str:
    return _text(data, "address") or "its address"


def _nxdomain(data: Facts) -> str:
    zone, alias = _text(data, "zone"), _text(data, "alias")
    where = f" in the DNS zone {zone}" if zone else " in its DNS zone"
    if alias:
        return (
            f"{_name(data)} is an alias (CNAME) of {alias}, which does not exist. Create {alias}{where}, "
            "or point the alias elsewhere."
        )
    return f"{_name(data)} does not exist in DNS. Create an A record for it{where}, or exclude the name."


def _no_address(data: Facts) -> str:
    zone, alias = _text(data, "zone"), _text(data, "alias")
    where = f" in the DNS zone {zone}" if zone else " in its DNS zone"
    through = f" (an alias of {alias})" if alias else ""
    return f"{_name(data)}{through} has no address in DNS. Create an A record for {alias or 'it'}{where}."


def _said(data: Facts) -> str:
    detail = _text(data, "detail")
    return f" The resolver says: {detail}." if detail else ""


def _asked(data: Facts) -> str:
    target = _text(data, "target")
    return f"the CAA records of {target}" if _text(data, "record") == "CAA" else f"{_name(data)}"


def _dns_timeout(data: Facts) -> str:
    return (
        f"The nameservers did not answer in time when asked for {_asked(data)}.{_said(data)} Check that "
        "the nameservers of its zone are up and reachable."
    )


def _dns_servfail(data: Facts) -> str:
    return (
        f"The nameservers gave no usable answer (SERVFAIL) when asked for {_asked(data)}.{_said(data)} "
        "Check the delegation at the registrar and that its nameservers serve the zone."
    )


def _dnssec(data: Facts) -> str:
    return (
        f"The DNSSEC signatures of {_asked(data)} are broken.{_said(data)} Sign the zone again, or "
        "correct or remove the DS record at the registrar."
    )


def _elsewhere(data: Facts) -> str:
    away, here, cdn = _text(data, "from") or _address(data), _text(data, "to"), _text(data, "cdn")
    record = _text(data, "record") or "A"
    if cdn:
        return (
            f"{_name(data)} is behind {cdn} ({away}), and the file was not found there{_answered(data)}. "
            f"Let {cdn} pass /.well-known/acme-challenge/ to this server over HTTP."
        )
    if here:
        return (
            f"{_name(data)} points to {away}, which is not this server, and the file was not found "
            f"there{_answered(data)}. Change its {record} record from {away} to {here}."
        )
    return (
        f"{_name(data)} has the {record} record {away}, which is not this server, and the file was not "
        f"found there{_answered(data)}. Remove that record, or point it to this server."
    )


def _answered(data: Facts) -> str:
    status, server = _text(data, "status"), _text(data, "server")
    if status and server:
        return f" (status {status} from {server})"
    return f" (status {status})" if status else ""


def _ipv6_elsewhere(data: Facts) -> str:
    address = _address(data)
    if data.get("ours"):
        return (
            f"{_name(data)} works over IPv4, but not over IPv6: {address} is this server and does not "
            f"give the file{_answered(data)}. Let the web server listen for this site on {address} too, "
            "or remove the AAAA record."
        )
    return (
        f"{_name(data)} works over IPv4, but its AAAA record {address} leads elsewhere{_answered(data)}. "
        "Remove the AAAA record, or point it to this server's IPv6 address."
    )


def _http_status(data: Facts) -> str:
    status, server = _text(data, "status") or "an error", _text(data, "server") or "The web server"
    rules = {
        "401": "Exempt /.well-known/acme-challenge/ from the password.",
        "403": "Exempt /.well-known/acme-challenge/ from access and firewall rules.",
        "404": "Let /.well-known/acme-challenge/ reach this server's own web server, without rewriting.",
    }
    fix = rules.get(status, "Look into the site's error log: something in front of the file fails.")
    return f"{server} at {_address(data)} answered {status} for {_url(data)}. {fix}"


def _wrong_body(data: Facts) -> str:
    server = _text(data, "server") or "The web server"
    return (
        f"{server} at {_address(data)} answered with another page for {_url(data)}. "
        "Exempt /.well-known/acme-challenge/ from rewriting, caching and maintenance pages."
    )


def _connect_refused(data: Facts) -> str:
    reasons = {
        "closed": "took the connection and closed it without an answer",
        "not_http": "does not speak HTTP",
        "unreachable": "cannot be reached",
    }
    what = reasons.get(_text(data, "reason"), "refuses connections")
    return (
        f"{_hop(data)} {what} for {_url(data)}. Open the port in the firewall, and see that a web server listens there."
    )


def _hop(data: Facts) -> str:
    return _text(data, "hop_address") or _text(data, "address") or "The server"


def _connect_timeout(data: Facts) -> str:
    if _text(data, "reason") == "answer":
        return (
            f"{_hop(data)} took the connection but did not answer in time for {_url(data)}. Look "
            "at what is in front of the site, and at its load."
        )
    return f"{_hop(data)} does not answer on the port of {_url(data)}. Open the port in the firewall."


def _redirect_loop(data: Facts) -> str:
    return (
        f"The redirects of {_name(data)} do not end; the last one led to {_url(data)}. Exempt "
        "/.well-known/acme-challenge/ from redirects."
    )


def _redirect_refused(data: Facts) -> str:
    reason = _text(data, "reason")
    known = {
        "scheme": "to something other than http or https",
        "address": "to a bare address instead of a name",
        "private_address": "to a name with a non-public address",
        "bad_url": "to an address that is not valid",
    }
    where = known.get(reason, "to a place that a CA cannot follow" + (f" ({reason})" if reason else ""))
    return f"{_url(data)} redirects {where}. Exempt /.well-known/acme-challenge/ from redirects."


def _caa(data: Facts) -> str:
    identities = data.get("identities")
    identity = str(identities[0]) if isinstance(identities, list) and identities else "the CA"
    zone = _text(data, "zone") or "the domain"
    return f'The CAA records of {zone} do not let this CA issue. Add at {zone}: CAA 0 issue "{identity}".'


def _private_address(data: Facts) -> str:
    here = _text(data, "to")
    fix = f"Publish {here} instead." if here else "Publish this server's public address instead."
    return f"{_name(data)} has the address {_address(data)}, which cannot be reached from the internet. {fix}"


def _unknown(data: Facts) -> str:
    reason = _text(data, "reason")
    if reason == "resolver" or reason.startswith("resolver:"):
        detail = _text(data, "detail") or reason.partition(": ")[2]
        return (
            f"The check could not be made: {detail or 'no DNS resolver answers'}. Check the resolvers in the options."
        )
    if reason == "no_route":
        family = "IPv6" if _text(data, "record") == "AAAA" else "IPv4"
        return f"{_name(data)} has the address {_address(data)}, but this server has no {family} connection to test it."
    if reason == "own_address_timeout":
        return (
            f"This server does not reach its own address {_hop(data)}. Check its firewall, and whether "
            "its router lets it reach itself."
        )
    if reason == "stopped":
        return "The check was stopped."
    return f"The check could not be made on this server{f' ({reason})' if reason else ''}. {_AGAIN}"


_FOREIGN = {
    "expired": "has expired",
    "revoked": "is revoked",
    "weak": "has a weak key or signature",
    "chain": "has a broken chain",
    "mismatch": "does not cover the name or does not match its key",
}
_LET_REPLACE = (
    "Renew it where it comes from, or let AutoSSL replace it: "
    "on the Options tab, or with options set replace_foreign=yes."
)


def _foreign_defective(data: Facts) -> str:
    what = _FOREIGN.get(_defect(data), "is defective")
    since = f" on {_day(data)}" if what == "has expired" and _day(data) else ""
    return f"{_name(data)} has a certificate from elsewhere, which {what}{since}. {_LET_REPLACE}"


def _foreign_expiring(data: Facts) -> str:
    when = f"on {_day(data)}" if _day(data) else "soon"
    return f"{_name(data)} has a certificate from elsewhere, which expires {when}. {_LET_REPLACE}"


def _defect(data: Facts) -> str:
    defects = data.get("defects")
    return str(defects[0]) if isinstance(defects, list | tuple) and defects else ""


def _day(data: Facts) -> str:
    return _text(data, "not_after")[:10]


def _pattern(data: Facts) -> str:
    pattern, level = _text(data, "pattern"), _text(data, "level").replace("_", " ") or "server"
    return f"{level}'s pattern {pattern}" if pattern else ""


def _excluded(data: Facts) -> str:
    pattern = _pattern(data)
    if pattern:
        return f"{_name(data)} is excluded from AutoSSL by the {pattern}."
    return f"{_name(data)} is excluded from AutoSSL."


def _all_excluded(data: Facts) -> str:
    pattern = _pattern(data)
    if pattern:
        return (
            f"Every name of {_name(data)} is excluded, by the {pattern}. “exclude list” shows it, and “exclude remove "
            "--pattern” takes it away."
        )
    return f"Every name of {_name(data)} is excluded. Include one again with: exclude remove NAME."


def _no_route(data: Facts) -> str:
    family = _text(data, "family") or "IPv6"
    return (
        f"This server has no {family} connection, so names with {family} addresses cannot be judged and none is given "
        f"up. Give it {family}, or remove those addresses from DNS where nothing answers there."
    )


def _failing_alike(data: Facts) -> str:
    return (
        "Many names that passed before now fail in the same way, so the cause is more likely this server, its firewall "
        "or its resolvers than each of them. No name is given up for it while certificates last. Look at one of them: "
        "the log says what was seen."
    )


_WRITERS: dict[str, Callable[[Facts], str]] = {
    **advice_on_cas.WRITERS,
    "nxdomain": _nxdomain,
    "no_address": _no_address,
    "dns_timeout": _dns_timeout,
    "dns_servfail": _dns_servfail,
    "dnssec": _dnssec,
    "elsewhere": _elsewhere,
    "ipv6_elsewhere": _ipv6_elsewhere,
    "http_status": _http_status,
    "wrong_body": _wrong_body,
    "connect_refused": _connect_refused,
    "connect_timeout": _connect_timeout,
    "redirect_loop": _redirect_loop,
    "redirect_refused": _redirect_refused,
    "caa": _caa,
    "private_address": _private_address,
    "unknown": _unknown,
    "wildcard_unsupported": lambda data: (
        f"{_name(data)} is a wildcard: a CA proves it by a DNS record only. List the names one by one."
    ),
    "not_public": lambda data: f"{_name(data)} is not a public name, so no public CA issues for it.",
    "bad_name": lambda data: f"{_name(data)} is not a valid host name.",
    "excluded": _excluded,
    "www_not_served": lambda data: f"{_name(data)} does not reach this site. Add it to the site's names.",
    "over_limit": lambda data: (
        f"{_name(data)} does not fit: the provider takes no more names in one certificate. Give some of the site's "
        "names a server block of their own, exclude names, or choose a provider that takes more."
    ),
    "foreign_defective": _foreign_defective,
    "foreign_expiring": _foreign_expiring,
    "clock": lambda data: (
        "This server's clock is more than five minutes off the CA's, so no expiry can be judged. Set it right (NTP)."
    ),
    "resolver_dead": lambda data: (
        "No DNS resolver answers this server, so names cannot be judged and none is given up. Check the "
        "resolvers in the options, and that this server reaches them on port 53."
    ),
    "no_route": _no_route,
    "own_address": lambda data: (
        f"This server does not reach its own address {_text(data, 'address') or '(see the log)'}, so names that point "
        "there cannot be judged. Check its firewall, and whether its router lets it reach itself."
    ),
    "local_fault": lambda data: (
        "This server could not open connections of its own: see its limits of open files and ports, and its log."
    ),
    "failing_alike": _failing_alike,
    "loop": lambda data: (
        f"The last certificate of {_name(data)} did not mend what it was ordered for, so none is ordered again. See "
        "which certificate the web server gives for it, then check its user."
    ),
    "no_names": lambda data: (
        f"{_name(data)} has no name that a CA could certify. Give its server block a public server_name."
    ),
    "all_excluded": _all_excluded,
}
