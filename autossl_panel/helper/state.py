"""What the helper has put into the web server's configuration, and what of it still waits for a handshake's proof."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SiteState:
    """One attached site: challenges always, TLS with our live pair or not, and the www names we serve for it."""

    tls: bool = False
    extra_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """An activated order without proof: what its roll-back returns to."""

    order: str
    key: str
    previous_target: str | None
    previous: SiteState


@dataclass(frozen=True, slots=True)
class State:
    """All of it; a value, so that a change is a new one and its file's old content the way back."""

    sites: Mapping[str, SiteState] = field(default_factory=dict)
    unconfirmed: Mapping[str, Unconfirmed] = field(default_factory=dict)
    server_addresses: tuple[str, ...] = ()

    def with_addresses(self, addresses: Iterable[str]) -> "State":
        """The same with this server's public addresses as last told; none told, none changed."""
        return replace(self, server_addresses=tuple(addresses) or self.server_addresses)

    def with_site(self, key: str, site: SiteState | None) -> "State":
        """The same with one site set, or gone (None) with all that waits on it."""
        sites = {name: one for name, one in self.sites.items() if name != key}
        if site is not None:
            return replace(self, sites=sites | {key: site})
        waiting = {order: one for order, one in self.unconfirmed.items() if one.key != key}
        return replace(self, sites=sites, unconfirmed=waiting)

    def with_unconfirmed(self, one: Unconfirmed) -> "State":
        """The same with one more order that waits for proof; it replaces what waited for that site."""
        waiting = {order: other for order, other in self.unconfirmed.items() if other.key != one.key}
        return replace(self, unconfirmed=waiting | {one.order: one})

    def without_unconfirmed(self, orders: Iterable[str]) -> "State":
        """The same with these orders settled."""
        settled = set(orders)
        return replace(
            self, unconfirmed={order: one for order, one in self.unconfirmed.items() if order not in settled}
        )

    def dumps(self) -> bytes:
        """As its file holds it."""
        plain = {
            "sites": {key: asdict(site) for key, site in self.sites.items()},
            "unconfirmed": [asdict(one) for one in self.unconfirmed.values()],
            "server_addresses": self.server_addresses,
        }
        return json.dumps(plain, indent=1).encode()


def load(path: Path) -> State:
    """The state of a file, empty when there is none."""
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        return State()
    waiting = (_unconfirmed(one) for one in data["unconfirmed"])
    return State(
        sites={key: _site(site) for key, site in data["sites"].items()},
        unconfirmed={one.order: one for one in waiting},
        server_addresses=tuple(data["server_addresses"]),
    )


def _site(data: Mapping[str, object]) -> SiteState:
    names = data["extra_names"]
    assert isinstance(names, list)
    return SiteState(tls=bool(data["tls"]), extra_names=tuple(names))


def _unconfirmed(data: Mapping[str, object]) -> Unconfirmed:
    previous, target = data["previous"], data["previous_target"]
    assert isinstance(previous, dict)
    return Unconfirmed(str(data["order"]), str(data["key"]), None if target is None else str(target), _site(previous))
