"""The sites that are secured, and the watch over them: when is which served by a handshake."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from autossl_panel import pki
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.crowd import crowd
from autossl_panel.sandbox.processes import SandboxProblem

USERS, EACH = 40, 5
SITES = USERS * EACH
IN_FLIGHT = 8
ISSUER = "Pebble"
PATIENCE = 300.0  # seconds


def names() -> list[tuple[str, ...]]:
    """The names of each site."""
    return [site.names for site in crowd(USERS, EACH)]


def point_here(box: Box) -> None:
    """Have DNS lead every name to the box."""
    for site in names():
        for name in site:
            box.set_dns(name, a=[box.address])


def is_served(box: Box, name: str) -> bool:
    """Whether a fresh handshake for `name` shows a certificate of the box's CA that covers it."""
    facts = pki.handshake(box.address, box.https_port, name).facts
    return facts is not None and ISSUER in facts.issuer and facts.covers(name)


def wait_served(box: Box, what: str, tell: Callable[[], str]) -> float:
    """The moment (time.monotonic) when every site was served, by its first name; the others are looked at after it.

    Asks for one site until it is served, and then for the next: cheap for whom is watched. Raises SandboxProblem when
    it takes too long or another name is not served then.
    """
    deadline = time.monotonic() + PATIENCE
    for site in names():
        while not is_served(box, site[0]):
            if time.monotonic() > deadline:
                raise SandboxProblem(f"{what}: {site[0]} is not served after {PATIENCE:.0f} s\n{tell()}")
            time.sleep(0.05)
    served = time.monotonic()
    for name in [name for site in names() for name in site[1:]]:
        if not is_served(box, name):
            raise SandboxProblem(f"{what}: {name} is not served\n{tell()}")
    return served


def check_issued(box: Box, wanted: Sequence[tuple[str, ...]], what: str) -> None:
    """Exactly one certificate for each site, or SandboxProblem: a client that orders twice is not faster."""
    issued = box.issued()
    missing = [site for site in wanted if not issued[frozenset(site)]]
    if missing:
        raise SandboxProblem(f"{what}: no certificate for {len(missing)} sites, such as {missing[0]}")
