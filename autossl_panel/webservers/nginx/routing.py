"""Which block answers for (address, port, name), as nginx chooses: the map that an edit must not change for others."""

from collections import defaultdict
from dataclasses import dataclass, field

from autossl_panel.webservers.model import Moved
from autossl_panel.webservers.nginx.blocks import Block, Socket, blocks
from autossl_panel.webservers.nginx.read import Configuration

WILD4, WILD6 = "0.0.0.0", "::"  # noqa: S104  (what nginx calls them; nothing is bound here)


@dataclass(slots=True, eq=False)
class Listener:
    """One listening socket: its blocks' names, first wins, and its default."""

    address: str
    port: int
    names: dict[str, Block] = field(default_factory=dict)
    regexes: list[tuple[str, Block]] = field(default_factory=list)
    default: Block | None = None
    explicit: bool = False
    ssl: bool = False
    dual: bool = False
    flags: set[str] = field(default_factory=set)

    def add(self, block: Block, socket: Socket) -> None:
        self.ssl |= socket.listen.ssl
        self.dual |= socket.dual
        self.flags |= socket.flags
        if self.default is None or (socket.listen.default and not self.explicit):
            self.default, self.explicit = block, socket.listen.default
        for name in block.names:
            if name.startswith("~"):
                self.regexes.append((name, block))
            else:
                self.names.setdefault(name, block)

    def answers(self, name: str) -> Block | None:
        """The block for a name: exact, longest leading wildcard, longest trailing one; regular expressions not."""
        if name in self.names:
            return self.names[name]
        labels = name.split(".")
        for start in range(1, len(labels)):
            if (block := self.names.get("*." + ".".join(labels[start:]))) is not None:
                return block
        for end in range(len(labels) - 1, 0, -1):
            if (block := self.names.get(".".join(labels[:end]) + ".*")) is not None:
                return block
        return self.default


Listeners = dict[tuple[str, int], Listener]


def listeners(all_blocks: list[Block]) -> Listeners:
    """Every listening socket with what it knows."""
    found: Listeners = {}
    for block in all_blocks:
        for socket in dict.fromkeys(block.sockets):
            where = (socket.listen.address, socket.listen.port)
            if where not in found:
                found[where] = Listener(*where)
            found[where].add(block, socket)
    return found


def reached(found: Listeners, address: str, port: int) -> Listener | None:
    """The listener that takes a connection to an address: its own, else the wildcard of its family."""
    if (own := found.get((address, port))) is not None:
        return own
    if ":" in address:
        return found.get((WILD6, port))
    four = found.get((WILD4, port))
    six = found.get((WILD6, port))
    return four or (six if six is not None and six.dual else None)


def routing(configuration: Configuration) -> dict[tuple[str, int, str], str]:
    """(address, port, name) → block id for every socket and every name in it; the name '*' is the socket's default.

    Names are what server_name says, lower case, wildcards and regular expressions as written.
    """
    rows: dict[tuple[str, int, str], str] = {}
    for (address, port), listener in listeners(blocks(configuration)).items():
        for name, block in listener.names.items():
            rows[address, port, name] = block.id
        for name, block in listener.regexes:
            rows.setdefault((address, port, name), block.id)
        if listener.default is not None:
            rows[address, port, "*"] = listener.default.id
    return rows


def answers(configuration: Configuration, address: str, port: int, name: str) -> str | None:
    """The id of the block that nginx would choose for a connection to an address with a Host; None: nobody listens."""
    listener = reached(listeners(blocks(configuration)), address, port)
    block = listener.answers(name.lower().rstrip(".")) if listener else None
    return block.id if block else None


def moved(before: Configuration, after: Configuration) -> tuple[Moved, ...]:
    """Rows of others that an edit changed. A site's own row, a socket that was not there, and a refusal in the place
    of a default that only was the first block are no changes of others' rows."""
    return compare(blocks(before), blocks(after))


def compare(before: list[Block], after: list[Block]) -> tuple[Moved, ...]:
    """`moved`, over blocks."""
    old, new = listeners(before), listeners(after)
    stays = {block.id: block for block in after}
    by_place: dict[int, set[str]] = defaultdict(set)
    for places in (old, new):
        for address, port in places:
            by_place[port].add(address)
    changed = []
    for port, addresses in by_place.items():
        for address in sorted(addresses | {WILD4, WILD6}):
            was, now = reached(old, address, port), reached(new, address, port)
            if was is None or was.default is None:
                continue
            changed.extend(_rows(address, port, was, now, stays))
    return tuple(changed)


def _rows(address: str, port: int, was: Listener, now: Listener | None, stays: dict[str, Block]) -> list[Moved]:
    changed = []
    for name, block in was.names.items():
        after = now.names.get(name) if now else None
        if (after is None or after.id != block.id) and not _given_back(was, name, block, stays):
            changed.append(Moved(address, port, name, block.id, after.id if after else None))
    if now is None or now.default is None:
        return changed
    if [(name, b.id) for name, b in was.regexes] != [(name, b.id) for name, b in now.regexes]:
        changed.append(Moved(address, port, "~", "", None))
    first = was.default if was.default is None or not was.default.panels else None
    if first is not None and first.id != now.default.id and (was.explicit or not now.default.panels):
        changed.append(Moved(address, port, "*", first.id, now.default.id))
    for name in now.names.keys() - was.names.keys():
        # A new name of a site is its own row, unless a wildcard or expression of somebody else answered for it.
        held, taker = was.answers(name), now.names[name]
        if held is None or held is was.default or held.id == taker.id or name in ("", "_"):
            continue
        if not (taker.panels and taker.names == held.names):
            changed.append(Moved(address, port, name, held.id, taker.id))
    return changed


def _given_back(was: Listener, name: str, block: Block, stays: dict[str, Block]) -> bool:
    """A row that only our own files had made, and that they gave up."""
    if block.panels:
        return True
    where = (was.address, was.port)
    admins = block.admins
    if name in admins.names and any((s.listen.address, s.listen.port) == where for s in admins.sockets):
        return False
    # Ours, and taken by somebody else's listener, would be a loss: then the block still says that it listens there.
    left = stays.get(block.id)
    return left is None or not (
        name in left.names and any((s.listen.address, s.listen.port) == where for s in left.sockets)
    )
