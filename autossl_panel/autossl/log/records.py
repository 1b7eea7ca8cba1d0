"""The DNS record that mends a problem, as lines of a zone file (RFC 1035 §5.1). Pure: code and facts in, lines out.

What stands in DNS now is said without a TTL: preflight asks resolvers, which tell only what is left of it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from autossl_panel.names import registered_domain

Facts = Mapping[str, Any]

# seconds, for a record that somebody is to make: short enough to take back a mistake the same day
TTL = 3600
# RFC 8659 §4.1: a property that is not known and marked so forbids everything
CRITICAL = 128
PROPERTIES = frozenset(("issue", "issuewild", "iodef", "contactemail", "contactphone", "issuemail", "issuevmc"))


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record. `ttl` None: not known."""

    owner: str
    kind: str
    value: str
    ttl: int | None = None

    @property
    def line(self) -> str:
        """`www.example.com. 3600 IN A 203.0.113.10`"""
        ttl = f"{self.ttl} " if self.ttl is not None else ""
        return f"{self.owner.rstrip('.')}. {ttl}IN {self.kind} {self.value}"


@dataclass(frozen=True, slots=True)
class Change:
    """What to do in the zone: take `now` away and put `to` in its place. Either may be empty, never both."""

    now: tuple[Record, ...] = ()
    to: tuple[Record, ...] = ()

    @property
    def verb(self) -> str:
        """`set`, `add` or `remove`."""
        if not self.now:
            return "add"
        return "set" if self.to else "remove"


def change(code: str, facts: Facts, here: Sequence[str] = ()) -> Change | None:
    """The record to set for a problem of this code, None where no record mends it or too little is known.

    `here` are the public addresses by which this server can be reached, the site's own first.
    """
    make = _MAKERS.get(code)
    found = make(facts, tuple(here)) if make is not None else None
    return found if found is not None and (found.now or found.to) else None


def _texts(facts: Facts, key: str) -> tuple[str, ...]:
    value = facts.get(key)
    if isinstance(value, list | tuple):
        return tuple(str(item) for item in value)
    return (str(value),) if value else ()


def _kind(address: str) -> str:
    return "AAAA" if ":" in address else "A"


def _one(addresses: Sequence[str], kind: str) -> str | None:
    return next((address for address in addresses if _kind(address) == kind), None)


def _ours(facts: Facts, here: tuple[str, ...], kind: str) -> str | None:
    """This server's address for that name: of those that preflight named the site's own first, else any."""
    named = _texts(facts, "to")
    return _one([*(address for address in here if address in named), *named, *here], kind)


def _place(facts: Facts) -> tuple[str, Record | None]:
    """Where an address is to stand, and the alias that has to go for it: as deep as the name's own domain reaches.

    An alias that leads into a stranger's zone (a shop, a CDN) is the customer's to change, the record behind it is not.
    """
    name = str(facts.get("name") or "")
    owner = name
    for target in _texts(facts, "aliases") or _texts(facts, "alias"):
        if registered_domain(target) != registered_domain(name):
            return owner, Record(owner, "CNAME", f"{target.rstrip('.')}.")
        owner = target
    return owner, None


def _addressed(facts: Facts, addresses: Sequence[str], here: tuple[str, ...]) -> Change | None:
    """What stands there now, `addresses` or an alias into a stranger's zone, gives way to an address of ours."""
    owner, alias = _place(facts)
    if not owner:
        return None
    kind = _kind(addresses[0]) if addresses else "A" if _one(here, "A") else "AAAA"
    now = (alias,) if alias is not None else tuple(Record(owner, _kind(address), address) for address in addresses)
    ours = _ours(facts, here, kind)
    return Change(now, (Record(owner, kind, ours, TTL),) if ours else ())


def _elsewhere(facts: Facts, here: tuple[str, ...]) -> Change | None:
    """Addresses of another server; what lies behind a CDN is right as it is."""
    strangers = _texts(facts, "from") or _texts(facts, "address")
    return _addressed(facts, strangers, here) if strangers and not facts.get("cdn") else None


def _ipv6_elsewhere(facts: Facts, here: tuple[str, ...]) -> Change | None:
    """An AAAA that leads elsewhere, beside an A that is right; one that is ours is the web server's matter."""
    addresses = _texts(facts, "address")
    return _addressed(facts, addresses, here) if addresses and not facts.get("ours") else None


def _missing(facts: Facts, here: tuple[str, ...]) -> Change | None:
    """No address at all: an A record, and an AAAA where this server has nothing else."""
    found = _addressed(facts, (), here)
    return found if found is not None and found.to else None


def _private(facts: Facts, here: tuple[str, ...]) -> Change | None:
    """An address that the internet does not reach."""
    addresses = _texts(facts, "address")
    return _addressed(facts, addresses, here) if addresses else None


def _caa(facts: Facts, _here: tuple[str, ...]) -> Change | None:
    """One more issue property beside what is there (RFC 8659 §4.2); what no CA may pass over has to go first."""
    zone, identities = str(facts.get("zone") or ""), _texts(facts, "identities")
    if not zone:
        return None
    records = [(text, *_property(text)) for text in _texts(facts, "records")]
    critical = tuple(
        Record(zone, "CAA", text) for text, flags, tag, _value in records if flags & CRITICAL and tag not in PROPERTIES
    )
    issue = [value.partition(";")[0].strip() for _text, _flags, tag, value in records if tag == "issue"]
    if critical and (not issue or set(issue) & set(identities)):
        return Change(critical)
    to = (Record(zone, "CAA", f'0 issue "{identities[0]}"', TTL),) if identities else ()
    return Change(critical, to)


def _property(record: str) -> tuple[int, str, str]:
    """`0 issue "ca.example; k=v"` as flags, tag, value; what is not of that form has none of them."""
    flags, _space, rest = record.partition(" ")
    tag, _space, value = rest.partition(" ")
    return int(flags) if flags.isdecimal() else 0, tag.lower(), value.strip().strip('"').lower()


_MAKERS: dict[str, Callable[[Facts, tuple[str, ...]], Change | None]] = {
    "elsewhere": _elsewhere,
    "ipv6_elsewhere": _ipv6_elsewhere,
    "nxdomain": _missing,
    "no_address": _missing,
    "caa": _caa,
    "private_address": _private,
}
