"""Serve the panel: web, workers and helper under one command."""

from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command

from autossl_panel.autossl import registration
from autossl_panel.autossl.management.base import Command as Base
from autossl_panel.autossl.management.base import failed, usage
from autossl_panel.autossl.serve import Serve, ServeProblem, parse_bind
from autossl_panel.hosting import servers


class Command(Base):
    help = "Serve the panel until SIGTERM or Ctrl-C: web, workers and, where none runs, the helper. Migrates first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--bind", metavar="ADDR:PORT", default="127.0.0.1:8000", help="where the web listens")

    def work(self, *, bind: str, **_: Any) -> int:
        try:
            address, port = parse_bind(bind)
        except ServeProblem as problem:
            usage(f"--bind: {problem}")
        try:
            call_command("migrate", verbosity=0, interactive=False)
            registration.seed()
            return Serve(servers.this(), address, port, self._say).run()
        except ServeProblem as problem:
            failed(str(problem))

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
