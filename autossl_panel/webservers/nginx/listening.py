"""Which TLS sockets a site without TLS gets, which sockets need a refusing default. Pure arithmetic on listeners."""

from collections.abc import Iterable

from autossl_panel.webservers.model import Layout
from autossl_panel.webservers.nginx.blocks import Block, sockets_of
from autossl_panel.webservers.nginx.read import Placed
from autossl_panel.webservers.nginx.routing import WILD4, WILD6, Listener, Listeners, listeners


class Sockets:
    """The sockets of the configuration as admins wrote it: what ours must fit in, whichever of ours are there."""

    def __init__(self, all_blocks: Iterable[Block], layout: Layout, elsewhere: Iterable[Placed] = ()) -> None:
        self.layout = layout
        self._elsewhere = [
            (socket, one)
            for one in elsewhere
            if "udp" not in one.statement.args
            for socket in sockets_of(one.statement.args, tls_by_ssl_on=False)
            if socket.listen.port == layout.https_port
        ]
        self.admins: Listeners = listeners([block.admins for block in all_blocks if not block.panels])
        self._plain: dict[bool, set[str]] = {False: set(), True: set()}
        self._tls: dict[bool, set[str]] = {False: set(), True: set()}
        for (address, port), listener in self.admins.items():
            if port == layout.http_port and not listener.ssl:
                self._plain[":" in address].add(address)
                if listener.dual:
                    self._plain[False].add(WILD4)
            elif port == layout.https_port:
                self._tls[":" in address].add(address)
        self._tls_dual = (dual := self.admins.get((WILD6, layout.https_port))) is not None and dual.dual

    def plain(self, block: Block) -> list[str]:
        """Addresses on which the block takes plain HTTP where CAs and people come."""
        found: dict[str, None] = {}
        for socket in block.admins.sockets:
            listen = socket.listen
            if listen.port == self.layout.http_port and not listen.ssl and not listen.address.startswith("unix:"):
                found[listen.address] = None
                if self.admins[listen.address, listen.port].dual:
                    # One block's ipv6only=off holds for the socket, and so for every block on it.
                    found[WILD4] = None
        return list(found)

    def wanted(self, block: Block) -> list[str]:
        """Addresses for the TLS listeners of a block that has plain ones, in the form that others use there.

        A specific address would take connections from everybody who listens on the wildcard, so it is used only
        where nobody does; who listens on the wildcard must also be where others have specific addresses.
        """
        found: dict[str, None] = {}
        for address in self.plain(block):
            found.update(dict.fromkeys(self._form(address)))
        return list(found)

    def _form(self, address: str) -> list[str]:
        six = ":" in address
        wild = WILD6 if six else WILD4
        tls, plain = self._tls[six], self._plain[six]
        specific = sorted(tls - {wild})
        if not six and self._tls_dual and WILD4 not in tls:
            wild = WILD6  # one socket takes both families: another for IPv4 could not be bound
            tls = tls | {WILD6}
        if address in specific:
            return [address]
        if wild in tls or (not specific and WILD6 * six + WILD4 * (not six) in plain):
            return [wild] if address not in (WILD4, WILD6) else [wild, *specific]
        if address not in (WILD4, WILD6):
            return [address]
        here = {one for one in self.layout.server_addresses if (":" in one) == six}
        return sorted((tls | here | plain) - {WILD4, WILD6})

    def at(self, address: str) -> Listener | None:
        """The admins' listener on an address at the HTTPS port."""
        return self.admins.get((address, self.layout.https_port))

    def taken(self, address: str) -> Placed | None:
        """Where the stream or mail block listens on this too: nginx tests that well, but cannot start with it."""
        for socket, one in self._elsewhere:
            other = socket.listen.address
            family = (":" in other) == (":" in address) or (socket.dual and other == WILD6)
            if other == address or (family and {other, address} & {WILD4, WILD6}):
                return one
        return None

    def flags(self, address: str) -> set[str]:
        """What others have switched on for the whole socket."""
        return listener.flags if (listener := self.at(address)) else set()

    def needs_refusal(self, address: str) -> bool:
        """No default there but the first block, and that one is for names of its own."""
        listener = self.at(address)
        if listener is None or listener.default is None:
            return True
        return not listener.explicit and any(name not in ("", "_") for name in listener.default.names)
