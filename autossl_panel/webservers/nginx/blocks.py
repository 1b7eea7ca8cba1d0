"""What a server block says: its names, its sockets, its certificate, whether all it does is redirect. Reads only."""

import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from autossl_panel.webservers.model import Listen
from autossl_panel.webservers.nginx.read import Configuration, Placed, Server
from autossl_panel.webservers.nginx.tokens import Statement

FLAGS = ("http2", "proxy_protocol")
_ALL = {"^", "^/", "^(.*)", "^(.*)$", "^/(.*)", "^/(.*)$", "(.*)", ".*", "^.*$", "^.*", "/(.*)", "/", "^/.*$", "^/.*"}
_HTTPS = re.compile(r"https://(\$\{?\w+\}?|[^/?#:$]*)", re.IGNORECASE)
_OURS = re.compile(r"/(?:snippets/([^/]+-[0-9a-f]{8}(?:\.\d+)?(?:\.names)?)|http)\.con\[f\]$")
_OWN = {"$host", "${host}", "$http_host", "${http_host}", "$server_name", "${server_name}"}
_SCHEME = re.compile(r"\$\{?(scheme|https|server_port)\b")
_MOST_PORTS = 1000


@dataclass(frozen=True, slots=True)
class Socket:
    """One `listen` with what an edit needs to know beyond its address."""

    listen: Listen
    flags: frozenset[str]
    dual: bool  # a [::] listener that takes IPv4 as well


@lru_cache(maxsize=65536)
def sockets_of(args: tuple[str, ...], tls_by_ssl_on: bool) -> tuple[Socket, ...]:
    """The sockets of a listen directive; none where only QUIC listens (that is UDP)."""
    if not args:
        return ()
    options = set(args[1:])
    if "quic" in options:
        return ()
    address, first, last = _endpoint(args[0])
    ssl, default = "ssl" in options or tls_by_ssl_on, bool(options & {"default_server", "default"})
    flags = frozenset(flag for flag in FLAGS if flag in options)
    dual = address == "::" and "ipv6only=off" in options
    return tuple(Socket(Listen(address, port, ssl, default), flags, dual) for port in range(first, last + 1))


def _endpoint(text: str) -> tuple[str, int, int]:
    if text.startswith("unix:"):
        return text, 0, 0
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.replace("-", "").isdigit():
        host, port = "", text
    else:
        host, _, port = text.partition(":")
    if host in ("", "*"):
        host = "0.0.0.0"  # noqa: S104  (read from a configuration, not bound)
    return _address(host), *_ports(port)


def _address(host: str) -> str:
    if ":" in host:
        try:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host))
        except OSError:
            return host.lower()
    return host.lower()


def _ports(port: str) -> tuple[int, int]:
    first, _, last = (port or "80").partition("-")
    try:
        low, high = int(first), int(last or first)
    except ValueError:
        return 80, 80
    return low, min(high, low + _MOST_PORTS)


IMPLIED = "80" if os.geteuid() == 0 else "8000"  # what nginx listens on where a block does not say


def stem_of(one: Placed) -> str | None:
    """The snippet that an include line of ours names: its file's stem; '' for the http-level file; None: not ours."""
    if one.statement.name != "include" or not one.statement.args:
        return None
    found = _OURS.search(one.statement.args[0])
    return (found[1] or "") if found else None


def _brought(one: Placed) -> bool:
    return bool(one.via) and any(stem_of(include) is not None for include in one.via)


class Block:
    """A server block, understood. With `admins`, what our own snippets say in it is left out."""

    def __init__(self, server: Server, number: int, *, admins: bool = False) -> None:
        self.server, self.number = server, number
        self.speak_tls: frozenset[tuple[str, int]] = frozenset()
        self.id, self.placed = server.id, server.placed
        self.panels = _brought(server.placed)
        self.statements = server.statements
        self.includes = tuple(one for one in server.statements if stem_of(one) is not None)
        if admins and self.includes:
            self.statements = tuple(o for o in server.statements if not _brought(o) and stem_of(o) is None)
        self.by_name: dict[str, list[Placed]] = {}
        for one in self.statements:
            self.by_name.setdefault(one.statement.name, []).append(one)

    @cached_property
    def admins(self) -> "Block":
        """The same block as if the panel were not there."""
        if not self.includes:
            return self
        block = Block(self.server, self.number, admins=True)
        block.speak_tls = self.speak_tls
        return block

    def all(self, name: str) -> list[Placed]:
        return self.by_name.get(name, [])

    @cached_property
    def ssl_on(self) -> bool:
        return any(one.statement.args == ("on",) for one in self.all("ssl"))

    @cached_property
    def implied(self) -> bool:
        """No listen of its own, or of the admin's: nginx gives it one."""
        return not self.all("listen")

    @property
    def written(self) -> tuple[Socket, ...]:
        """The sockets as this block alone says them."""
        if self.implied:
            return sockets_of((IMPLIED,), self.ssl_on)
        return tuple(s for one in self.all("listen") for s in sockets_of(one.statement.args, self.ssl_on))

    @cached_property
    def sockets(self) -> tuple[Socket, ...]:
        """With TLS where any block says so for the socket."""
        return tuple(
            replace(s, listen=replace(s.listen, ssl=True))
            if not s.listen.ssl and (s.listen.address, s.listen.port) in self.speak_tls
            else s
            for s in self.written
        )

    @cached_property
    def words(self) -> tuple[tuple[str, Placed], ...]:
        """Each server_name as written, lower case, with its place; each once."""
        seen: dict[str, Placed] = {}
        for one in self.all("server_name"):
            for arg in one.statement.args:
                seen.setdefault(_name(arg), one)
        return tuple(seen.items())

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What nginx matches: '.x' is x and *.x; '' where no name is given."""
        found: dict[str, None] = {}
        for word, _placed in self.words:
            for name in (word[1:], f"*{word}") if word.startswith(".") else (word,):
                found.setdefault(name)
        return tuple(found) or ("",)

    @cached_property
    def tls(self) -> bool:
        return any(s.listen.ssl for s in self.sockets)

    @property
    def statement(self) -> Statement:
        return self.placed.statement

    def last(self, name: str) -> str | None:
        """The one argument of a directive of this block, None without."""
        found = [one.statement.args[0] for one in self.all(name) if one.statement.args]
        return found[0] if found else None

    def redirects(self, one: Placed) -> bool:
        """Whether a statement sends every request of a name of this block to the same name over HTTPS."""
        statement = one.statement
        if statement.name in ("return", "rewrite"):
            return self._redirect(statement)
        if statement.name == "if":
            return not _SCHEME.search(" ".join(statement.args)) and any(self._redirect(s) for s in statement.block)
        if statement.name == "location" and statement.args in (
            ("/",),
            ("^~", "/"),
            ("~", "^"),
            ("~", "^/"),
            ("~", ".*"),
        ):
            return any(self._redirect(s) for s in statement.block)
        return False

    def _redirect(self, statement: Statement) -> bool:
        args = statement.args
        if statement.name == "return" and args:
            target = args[-1]
        elif statement.name == "rewrite" and len(args) > 1 and args[0] in _ALL:
            target = args[1]
        else:
            return False
        found = _HTTPS.match(target)
        return bool(found) and ((host := found[1].lower() if found else "") in _OWN or host in self.names)

    @cached_property
    def redirections(self) -> tuple[Placed, ...]:
        return tuple(one for one in self.statements if self.redirects(one))


def _name(arg: str) -> str:
    if arg.startswith("~"):
        return arg
    return socket.gethostname().lower() if arg == "$hostname" else arg.lower()


def blocks(configuration: Configuration) -> list[Block]:
    """All server blocks in nginx's order."""
    found = [Block(server, number) for number, server in enumerate(configuration.servers)]
    listens = {socket.listen for block in found for socket in block.written}
    speak_tls = frozenset((one.address, one.port) for one in listens if one.ssl)
    if any(not one.ssl and (one.address, one.port) in speak_tls for one in listens):
        for block in found:
            block.speak_tls = speak_tls
    return found


def inherited(configuration: Configuration, name: str) -> Iterator[str]:
    """Arguments of a directive at http level."""
    for one in configuration.http_statements:
        if one.statement.name == name and one.statement.args:
            yield one.statement.args[0]
