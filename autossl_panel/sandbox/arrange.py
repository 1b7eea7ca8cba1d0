"""Sets the panel up on a box of the sample sites, as an admin would on a new server: by its own commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, MAX_NAMES, USERS
from autossl_panel.sandbox.panel import Panel


@dataclass(frozen=True, slots=True)
class Login:
    """Who may sign in; the role is root, reseller or user: a login for the hosting user of its name."""

    name: str
    password: str
    role: str


def arrange(box: Box, panel: Panel, logins: Iterable[Login]) -> None:
    """Database, options, sites, people, and what the cases say of users. No provider is in use: nothing begins."""
    panel.run("migrate", "--verbosity", "0")
    panel.run("options", "set", f"resolvers={box.resolver}", f"server_addresses={box.address}", "reload_gap=1")
    panel.run("discover")
    for login in logins:
        words = ["person", "add", login.name, "--role", login.role, "--password-stdin"]
        words += ["--for", login.name] if login.role == "user" else []
        panel.run(*words, stdin=f"{login.password}\n")
    for user in USERS:
        wishes = [
            *(["--owner", user.owner] if user.owner else []),
            *([] if user.autossl else ["--autossl", "off"]),
            *(["--suspended", "yes"] if user.suspended else []),
        ]
        if wishes:
            panel.run("user", "set", user.login, *wishes)
    panel.run("exclude", "add", *(name for case in CASES for name in case.excluded))


def use_provider(box: Box, panel: Panel, *, max_names: int = MAX_NAMES) -> None:
    """The box's CA as the provider in use: from now on, workers order whatever is due."""
    directory = ["--directory", box.directory_url, "--ca-bundle", str(box.ca_bundle)]
    panel.run("provider", "add", "pebble", *directory, "--private-ca", "--max-names", str(max_names))
    panel.run("provider", "use", "pebble", "--agree-tos")
