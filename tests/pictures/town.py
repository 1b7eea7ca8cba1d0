"""A hosting server as it might be: who has which sites, and what is wrong with them. Starts nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from autossl_panel.sandbox.sites import Existing, Kind, Points, Site


@dataclass(frozen=True, slots=True)
class Household:
    """A hosting user: whose it is, and what it follows."""

    name: str
    owner: str = "root"
    feature_list: str = "business"
    words: tuple[str, ...] = ()  # more for `user set`
    short: bool = False  # from the CA whose certificates live shorter


HOUSEHOLDS = (
    Household("amberfield"),
    Household("ateliermo", feature_list="starter"),
    Household("bluefjord", "harborweb"),
    Household("brandtlaw", "harborweb"),
    Household("cedarworks", short=True),
    Household("dockside", "harborweb"),
    Household("eastgate", feature_list="parked", words=("--autossl", "on")),
    Household("fennimore", feature_list="starter", words=("--autossl", "off")),
    Household("greenmile", "brightpeak"),
    Household("hallsteadt", "brightpeak"),
    Household("ivorylane", feature_list="starter"),
    Household("junipershop"),
    Household("lindner", words=("--login", "lindner", "--email", "anna@lindner.example")),
    Household("northwind", "harborweb", words=("--email", "gone@northwind.example")),
    Household("oakandash", feature_list="starter", short=True),
    Household("pixelforge", "harborweb", words=("--suspended", "yes")),
    Household("quarrybank"),
    Household("thistle", feature_list="starter"),
)


def _site(user: str, name: str, *more: str, **wishes: object) -> Site:
    """`name` and its www., then `more` labels under it."""
    names = (name, f"www.{name}", *(f"{label}.{name}" for label in more))
    return Site(user, names, **wishes)  # type: ignore[arg-type]


def _row(user: str, labels: str) -> Iterator[Site]:
    """Plain sites: the user's own name, then labels under it."""
    yield _site(user, f"{user}.example")
    yield from _more(user, labels)


def _more(user: str, labels: str) -> Iterator[Site]:
    """Plain sites under the user's own name."""
    for label in labels.split():
        yield _site(user, f"{label}.{user}.example")


def _away(name: str, *labels: str) -> dict[str, Points]:
    return {(f"{label}.{name}" if label else name): Points.ELSEWHERE for label in labels}


def settled() -> Iterator[Site]:
    """What is there when the panel comes to the server."""
    yield from _row("amberfield", "shop blog events press")
    yield from _row("ateliermo", "")
    yield from _row("bluefjord", "")
    yield from _row("brandtlaw", "")
    yield from _row("cedarworks", "shop garden tools")
    yield _site("dockside", "dockside.example", existing=Existing.SOUND)
    yield _site("dockside", "harbour-tours.example", existing=Existing.EXPIRING)
    yield from _row("eastgate", "rooms")
    yield from _row("fennimore", "")
    yield from _row("ivorylane", "")
    yield from _row("junipershop", "shop wholesale returns")
    yield _site("lindner", "bakery-lindner.example")
    yield from _row("northwind", "")
    yield from _row("oakandash", "menu")
    yield from _row("pixelforge", "portfolio")
    yield _site("quarrybank", "quarrybank.example", kind=Kind.SPLIT, existing=Existing.SELF_SIGNED)
    yield _site("quarrybank", "members.quarrybank.example", kind=Kind.BASIC_AUTH)
    yield _site("quarrybank", "booking.quarrybank.example", kind=Kind.PROXY)


def early() -> Iterator[Site]:
    """What moves in first; each of these users is checked alone."""
    yield from _row("greenmile", "shop farm blog camping recipes stories jobs")
    yield _site("thistle", "thistle.example", existing=Existing.EXPIRED)
    for label in ("salt", "lake"):
        name = f"{label}.hallsteadt.example"
        yield _site("hallsteadt", name, dns=dict.fromkeys((name, f"www.{name}"), Points.NOWHERE))


def arriving() -> Iterator[Site]:
    """What moves in later, with what is wrong with it; the run in the pictures is about these. No user is new."""
    yield from _more("bluefjord", "boats rental ferry cabins fishing guide shop news weather")
    yield _site("bluefjord", "kayak.bluefjord.example", "api", dns={"api.kayak.bluefjord.example": Points.NOWHERE})
    yield from _row("hallsteadt", "museum tickets archive")
    yield _site("brandtlaw", "brandt-notary.example")
    yield _site("lindner", "lindner.example", "shop", "mail", dns=_away("lindner.example", "shop"))
    yield _site("lindner", "recipes.lindner.example")
    yield _site("lindner", "cafe-lindner.example", dns=_away("cafe-lindner.example", "", "www"))
    yield from _more("northwind", "sails charter crew marina boats courses weather forum shop")
    for label in ("old", "beta", "archive", "wiki"):
        name = f"{label}.northwind.example"
        yield _site("northwind", name, dns=_away(name, "", "www"))
    yield from _more("quarrybank", "rooms wines kitchen terrace")
    yield _site("amberfield", "wholesale.amberfield.example")


EXCLUDED = ("www.rooms.eastgate.example",)
