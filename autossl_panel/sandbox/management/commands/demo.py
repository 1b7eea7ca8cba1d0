"""A hosting server in a box, AutoSSL run on it, and the panel to click."""

from __future__ import annotations

import signal
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from autossl_panel.sandbox.demo import Demo
from autossl_panel.sandbox.processes import SandboxProblem


class Command(BaseCommand):
    help = (
        "Start a sandbox of a CA, a DNS server and a web server with sample sites, run AutoSSL for all users there, "
        "show the result as a table, and keep the panel up until Ctrl-C."
    )
    # The demo's panel has a state directory and a database of its own; this process touches neither.
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="stop after the table; the last line is JSON")
        parser.add_argument("--folder", type=Path, default=Path(".sandbox"), help="where all of it lives (.sandbox)")

    def handle(self, *args: Any, once: bool, folder: Path, **options: Any) -> None:
        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        # SIGINT too: a shell starts what it puts into the background with it ignored.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        try:
            status = Demo(folder, self._say).run(once=once)
        except SandboxProblem as problem:
            raise CommandError(str(problem)) from problem
        except KeyboardInterrupt:
            raise SystemExit(130) from None
        if status:
            raise SystemExit(status)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
