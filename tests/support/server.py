"""A sandbox with the panel set up on it by its own commands, as an admin would: what end-to-end tests begin with."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from autossl_panel.sandbox.addresses import free_port
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.panel import Panel

PASSWORD = "correct horse battery"


class PanelOnBox:
    """A panel with its own state directory on `box`; a context manager that stops `serve` if it was started."""

    def __init__(self, box: Box, *, database_url: str = "", **environment: str) -> None:
        self.box = box
        self.folder = Path(tempfile.mkdtemp(prefix="as"))
        settings = box.environment(self.folder / "state", self.folder / "run")
        if database_url:
            settings["DATABASE_URL"] = database_url
        # The box's own address: on 127.0.0.1 another test's panel would take the same port
        self.port = free_port(box.address, 8000)
        self.url = f"http://{box.address}:{self.port}"
        settings["AUTOSSL_URL"] = self.url
        self.panel = Panel({**settings, **environment}, self.folder / "serve.log")

    def set_up(self, *, max_names: int = 100, provider: bool = True) -> None:
        """Migrated, options set, provider in use."""
        self.run("migrate", "--verbosity", "0")
        addresses = f"server_addresses={self.box.address}"
        self.run("options", "set", f"resolvers={self.box.resolver}", addresses, "reload_gap=1")
        if provider:
            words = ["--directory", self.box.directory_url, "--ca-bundle", str(self.box.ca_bundle), "--private-ca"]
            self.run("provider", "add", "pebble", *words, "--max-names", str(max_names))
            self.run("provider", "use", "pebble", "--agree-tos")

    def run(self, *words: str, stdin: str = "") -> str:
        """A command that must work; what it printed."""
        return self.panel.run(*words, stdin=stdin)

    def command(self, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """A command, whatever its exit status."""
        return subprocess.run(
            [*self.panel.argv, *words],
            env={**self.panel.environment, **environment},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def person(self, name: str, role: str) -> None:
        """Somebody who signs in with PASSWORD."""
        self.run("person", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")

    def serve(self) -> None:
        """Start web, workers and helper; returns when the web answers."""
        self.url = self.panel.serve(self.box.address, self.port)

    def status(self) -> dict[str, Mapping[str, Any]]:
        """The virtual hosts of `autossl_status --json`, by name."""
        return {row["name"]: row for row in json.loads(self.run("autossl_status", "--json"))["virtual_hosts"]}

    def __enter__(self) -> PanelOnBox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.panel.stop()
        shutil.rmtree(self.folder, ignore_errors=True)
