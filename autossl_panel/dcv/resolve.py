"""Asking the configured resolvers: many questions over one UDP socket a resolver, TCP when an answer is cut off.
What an answer means for a name (no such name, dead nameservers, broken DNSSEC, our own resolver) is told apart here."""

import asyncio
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver

_PAYLOAD = 1232  # the largest UDP answer that no path fragments
_WAITS = (0.2, 0.3, 0.5)  # shares of the time-out: the first datagram, and two more when it got lost
_ALIASES = 10
_GOOD = frozenset((dns.rcode.NOERROR, dns.rcode.NXDOMAIN))
_FRESH = 10.0  # seconds for which a good answer vouches for the resolvers
_DNSSEC_ERRORS = frozenset((5, 6, 7, 8, 9, 10, 11, 12))  # RFC 8914: what a validator says of a broken chain
_CACHE = 20_000


class Trouble(StrEnum):
    """Why there is no address. RESOLVER is ours, all others are the name's."""

    NXDOMAIN = "nxdomain"
    NO_ADDRESS = "no_address"
    TIMEOUT = "dns_timeout"
    SERVFAIL = "dns_servfail"
    DNSSEC = "dnssec"
    RESOLVER = "unknown"


# What is said of a name whose two families fail differently: the graver first.
_GRAVITY = (
    Trouble.RESOLVER,
    Trouble.DNSSEC,
    Trouble.SERVFAIL,
    Trouble.TIMEOUT,
    Trouble.NO_ADDRESS,
    Trouble.NXDOMAIN,
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What DNS says to one question: texts of the records at the end of the alias chain, or why there are none."""

    records: tuple[str, ...] = ()
    trouble: Trouble | None = None
    aliases: tuple[str, ...] = ()
    zone: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Resolution:
    """All addresses of one name, or why it has none. `partial`: one family's trouble while the other answered."""

    addresses: tuple[str, ...] = ()
    trouble: Trouble | None = None
    aliases: tuple[str, ...] = ()
    zone: str = ""
    detail: str = ""
    partial: str = ""


class _Pending:
    """One question under way; each sending of it has an id of its own, all lead here."""

    __slots__ = ("future", "question")

    def __init__(self, question: Sequence[object], future: "asyncio.Future[dns.message.Message | None]") -> None:
        self.question = question
        self.future = future

    def settle(self, message: dns.message.Message | None) -> None:
        if not self.future.done():
            self.future.set_result(message)


class _Endpoint(asyncio.DatagramProtocol):
    """A connected UDP socket to one resolver: the kernel drops what others send, and tells of a closed port."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.pending: dict[int, _Pending] = {}
        self.good_at = float("-inf")
        self.transport: asyncio.DatagramTransport | None = None

    @property
    def shown(self) -> str:
        """As one writes it among the options: with its port where that is not 53."""
        if self.port == 53:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport is no subclass of DatagramTransport: no isinstance here.
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        if len(data) < 12:
            return
        pending = self.pending.get(int.from_bytes(data[:2], "big"))
        if pending is None:
            return
        message = _parse(data)
        # An answer to another question is a forgery or a mix-up: the true one may still come.
        if message is None or list(message.question) != list(pending.question):
            return
        if message.rcode() in _GOOD:
            self.good_at = asyncio.get_running_loop().time()
        pending.settle(message)

    def error_received(self, exc: Exception) -> None:
        for pending in tuple(self.pending.values()):
            pending.settle(None)

    def send(self, wire: bytes, pending: _Pending) -> int:
        """Send the question under a fresh id, and return the id."""
        number = secrets.randbelow(65536)
        while number in self.pending:
            number = secrets.randbelow(65536)
        self.pending[number] = pending
        if self.transport is None or self.transport.is_closing():
            pending.settle(None)
        else:
            self.transport.sendto(number.to_bytes(2, "big") + wire[2:])
        return number


def parse_resolver(text: str) -> tuple[str, int]:
    """Split `host`, `host:port` or `[v6]:port`; the port is 53 where none is given (ValueError on a bad port)."""
    text = text.strip()
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, int(rest[1:]) if rest.startswith(":") else 53
    if text.count(":") == 1:
        host, _, port = text.partition(":")
        return host, int(port)
    return text, 53


def system_resolvers() -> tuple[str, ...]:
    """The resolvers that this host uses itself, for settings that name none; empty where the host names none either."""
    try:
        return tuple(f"[{server}]:53" for server in dns.resolver.Resolver().nameservers)
    except dns.resolver.NoResolverConfiguration:
        return ()


class Resolver:
    """The configured resolvers as one; lives inside one event loop, opened by `async with`. Answers are kept while it
    lives, so that each name is asked once."""

    def __init__(self, resolvers: Sequence[str], *, timeout: float) -> None:
        self._timeout = timeout
        self._endpoints = [_Endpoint(*parse_resolver(text)) for text in resolvers or system_resolvers()]
        self._preferred = 0
        self._answers: dict[tuple[str, dns.rdatatype.RdataType], asyncio.Task[Answer]] = {}
        self._health: asyncio.Task[bool] | None = None

    async def __aenter__(self) -> "Resolver":
        loop = asyncio.get_running_loop()
        for endpoint in self._endpoints:
            try:
                await loop.create_datagram_endpoint(
                    lambda endpoint=endpoint: endpoint,  # type: ignore[misc]
                    remote_addr=(endpoint.host, endpoint.port),
                )
            except OSError:
                endpoint.transport = None  # no route to it: every question to it counts as refused
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._answers.values(), *([self._health] if self._health else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for endpoint in self._endpoints:
            if endpoint.transport is not None:
                endpoint.transport.close()

    async def resolve(self, name: str) -> Resolution:
        """A and AAAA of `name`, through aliases. One family is enough, as it is for the CA."""
        four, six = await asyncio.gather(
            self.lookup(name, dns.rdatatype.A),
            self.lookup(name, dns.rdatatype.AAAA),
        )
        addresses = (*four.records, *six.records)
        aliases = four.aliases or six.aliases
        if addresses:
            broken = next((a for a in (four, six) if a.trouble not in (None, Trouble.NO_ADDRESS)), None)
            return Resolution(addresses, None, aliases, partial=broken.trouble or "" if broken else "")
        worst = min((four, six), key=lambda answer: _GRAVITY.index(answer.trouble or Trouble.NO_ADDRESS))
        zone = four.zone or six.zone
        return Resolution((), worst.trouble, aliases, zone, worst.detail)

    async def lookup(self, name: str, kind: dns.rdatatype.RdataType) -> Answer:
        """The records of one type at the end of `name`'s aliases; the same question is asked once."""
        key = (name, kind)
        task = self._answers.get(key)
        if task is None:
            if len(self._answers) >= _CACHE:
                self._answers = {k: t for k, t in self._answers.items() if not t.done()}
            task = self._answers[key] = asyncio.create_task(self._lookup(name, kind))
        return await asyncio.shield(task)

    async def _lookup(self, name: str, kind: dns.rdatatype.RdataType) -> Answer:
        aliases: list[str] = []
        target = name
        for _ in range(_ALIASES):
            message = await self._ask(target, kind)
            if isinstance(message, Trouble) or message.rcode() not in _GOOD:
                return await self._judge(target, kind, message, tuple(aliases))
            records, target, passed = _follow(message, target, kind)
            aliases.extend(passed)
            if records:
                return Answer(records, None, tuple(aliases))
            zone = _zone(message, target)
            if message.rcode() == dns.rcode.NXDOMAIN:
                return Answer((), Trouble.NXDOMAIN, tuple(aliases), zone, target)
            if not passed:
                return Answer((), Trouble.NO_ADDRESS, tuple(aliases), zone, target)
        return Answer((), Trouble.SERVFAIL, tuple(aliases), "", f"{name} has too many aliases, or a loop of them")

    async def _judge(
        self, name: str, kind: dns.rdatatype.RdataType, message: dns.message.Message | Trouble, aliases: tuple[str, ...]
    ) -> Answer:
        """Whose fault it is that there is no answer: the name's, or our resolvers'."""
        asked = ", ".join(endpoint.shown for endpoint in self._endpoints)
        if isinstance(message, Trouble):
            if message is Trouble.TIMEOUT and await self._healthy():
                return Answer((), Trouble.TIMEOUT, aliases, "", "")
            return Answer((), Trouble.RESOLVER, aliases, "", f"no DNS resolver of this server answers ({asked})")
        if message.rcode() != dns.rcode.SERVFAIL:
            code = dns.rcode.to_text(message.rcode())
            return Answer((), Trouble.RESOLVER, aliases, "", f"the DNS resolver of this server says {code} ({asked})")
        codes, detail = _extended(message)
        if codes & _DNSSEC_ERRORS:
            return Answer((), Trouble.DNSSEC, aliases, "", detail)
        # RFC 4035 §3.2.2: with "checking disabled" a validator hands out what it would refuse. Then only the
        # signatures are wrong.
        unchecked = await self._ask(name, kind, checking_disabled=True)
        if not isinstance(unchecked, Trouble) and unchecked.rcode() in _GOOD:
            return Answer((), Trouble.DNSSEC, aliases, "", detail)
        if await self._healthy():
            return Answer((), Trouble.SERVFAIL, aliases, "", detail)
        return Answer((), Trouble.RESOLVER, aliases, "", f"the DNS resolver of this server fails ({asked})")

    async def _healthy(self) -> bool:
        """Whether the resolvers answer anything at all: lately, or now when asked for the root's nameservers."""
        now = asyncio.get_running_loop().time()
        if any(now - endpoint.good_at < _FRESH for endpoint in self._endpoints):
            return True
        if self._health is None or self._health.done():
            self._health = asyncio.create_task(self._probe())
        return await asyncio.shield(self._health)

    async def _probe(self) -> bool:
        message = await self._ask(".", dns.rdatatype.NS, timeout=min(self._timeout, 2.0))
        return not isinstance(message, Trouble) and message.rcode() != dns.rcode.SERVFAIL

    async def _ask(
        self,
        name: str,
        kind: dns.rdatatype.RdataType,
        *,
        checking_disabled: bool = False,
        timeout: float | None = None,
    ) -> dns.message.Message | Trouble:
        """One question to the resolvers in turn: the best answer; TIMEOUT when one stays silent and none answers,
        RESOLVER when all are known to be closed."""
        query = dns.message.make_query(name, kind, use_edns=0, payload=_PAYLOAD)
        if checking_disabled:
            query.flags |= dns.flags.CD
        wire = query.to_wire()
        loop = asyncio.get_running_loop()
        pending = _Pending(query.question, loop.create_future())
        sent: list[tuple[_Endpoint, int]] = []
        count = len(self._endpoints)
        open_ends = set(range(count))
        best: dns.message.Message | Trouble = Trouble.RESOLVER
        try:
            for attempt in range(max(len(_WAITS), count)):
                if not open_ends:
                    break
                index = _next(open_ends, (self._preferred + attempt) % count)
                endpoint = self._endpoints[index]
                pending.future = loop.create_future()
                sent.append((endpoint, endpoint.send(wire, pending)))
                wait = (timeout or self._timeout) * _WAITS[min(attempt, len(_WAITS) - 1)]
                done, message = await _within(pending.future, wait)
                if not done:
                    best = Trouble.TIMEOUT if isinstance(best, Trouble) else best
                    continue
                if message is not None and message.flags & dns.flags.TC:
                    message = await _over_tcp(endpoint, query, wait)
                if message is not None and message.rcode() in _GOOD:
                    self._preferred = index
                    return message
                best = message or best
                open_ends.discard(index)
            return best
        finally:
            for endpoint, number in sent:
                endpoint.pending.pop(number, None)


def _next(open_ends: set[int], wanted: int) -> int:
    """The wanted resolver, or another one when it has said no already."""
    return wanted if wanted in open_ends else min(open_ends)


async def _within(
    future: "asyncio.Future[dns.message.Message | None]", wait: float
) -> tuple[bool, dns.message.Message | None]:
    try:
        async with asyncio.timeout(wait):
            return True, await future
    except TimeoutError:
        return False, None


async def _over_tcp(endpoint: _Endpoint, query: dns.message.Message, wait: float) -> dns.message.Message | None:
    """The same question over TCP (RFC 7766), for an answer that UDP cut off; None when that does not work."""
    try:
        async with asyncio.timeout(max(wait, 1.0)):
            reader, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
            try:
                wire = query.to_wire()
                writer.write(struct.pack("!H", len(wire)) + wire)
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                message = _parse(await reader.readexactly(length))
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    if message is None or message.id != query.id or list(message.question) != list(query.question):
        return None
    return message


def _parse(data: bytes) -> dns.message.Message | None:
    """The message in `data`; None for what is no answer: anybody can send us a datagram."""
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError, struct.error):
        return None
    return message if message.flags & dns.flags.QR else None


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


def _follow(
    message: dns.message.Message, name: str, kind: dns.rdatatype.RdataType
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """Walk the aliases inside one answer: records at the end, the last name reached, the aliases passed."""
    aliases: list[str] = []
    found: dict[str, tuple[str, ...]] = {}
    onward: dict[str, str] = {}
    for rrset in message.answer:
        owner = _text(rrset.name)
        if rrset.rdtype == kind:
            found[owner] = tuple(record.to_text() for record in rrset)
        elif rrset.rdtype == dns.rdatatype.CNAME:
            onward[owner] = _text(rrset[0].target)
    at = name.lower().rstrip(".")
    while at not in found and at in onward and len(aliases) < _ALIASES:
        at = onward[at]
        aliases.append(at)
    return found.get(at, ()), at, tuple(aliases)


def _zone(message: dns.message.Message, name: str) -> str:
    """The zone that denied the records: the owner of the SOA beside the denial, if the name lies below it."""
    for rrset in message.authority:
        if rrset.rdtype == dns.rdatatype.SOA:
            zone = _text(rrset.name)
            if zone and (name == zone or name.endswith("." + zone)):
                return zone
    return ""


def _extended(message: dns.message.Message) -> tuple[set[int], str]:
    """RFC 8914 codes of an answer, and the resolver's own words, cut to a sentence of printable text."""
    errors = message.extended_errors()
    words = "; ".join(error.text for error in errors if error.text)
    return {int(error.code) for error in errors}, "".join(c for c in words if c.isprintable())[:200]
