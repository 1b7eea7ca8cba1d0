"""The heart with real parts in one process: a box, its helper in a thread, a registered provider, rows."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autossl_panel import pki
from autossl_panel.autossl import inventory, jobs, options, providers, registration, runs
from autossl_panel.autossl.models import Job, LogLine, Order, Provider, Run
from autossl_panel.helper.client import Client
from autossl_panel.helper.server import Server as HelperServer
from autossl_panel.helper.settings import Settings as HelperSettings
from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.sandbox.box import Box


class Parts:
    """What a test works with; `run` works a run for all through in the foreground."""

    def __init__(self, box: Box, settings: Any, folder: Path) -> None:
        self.box, self.folder = box, folder
        settings.AUTOSSL_HELPER_DIR = folder / "helper"
        settings.AUTOSSL_RUN_DIR = folder / "run"
        settings.AUTOSSL_HELPER_SOCKET = folder / "run" / "helper.sock"
        settings.AUTOSSL_HOMES = box.homes
        settings.AUTOSSL_HTTP_PORT, settings.AUTOSSL_HTTPS_PORT = box.http_port, box.https_port
        self.helper_settings = HelperSettings(
            folder=folder / "helper",
            socket=folder / "run" / "helper.sock",
            nginx_binary=box.nginx_bin,
            nginx_conf=box.nginx_conf,
            http_port=box.http_port,
            https_port=box.https_port,
        )
        self.helper = Client(self.helper_settings.socket)
        self.server: Server = servers.this()
        self.provider = self._provider()
        values = {"resolvers": box.resolver, "server_addresses": box.address, "reload_gap": "0"}
        options.change(self.server, values, by=None)

    def _provider(self) -> Provider:
        wish = providers.Draft(
            name="pebble",
            directory_url=self.box.directory_url,
            ca_bundle=self.box.ca_bundle.read_text(),
            private_ca=True,
        )
        provider = registration.probe(providers.draft(wish, by=None, ring=False))
        registration.register(providers.ask_to_use(provider, self.server, agree_terms=True, by=None, ring=False))
        provider.refresh_from_db()
        return provider

    @contextmanager
    def helper_up(self) -> Iterator[None]:
        """The helper answers as long as this lasts."""
        with HelperServer(self.helper_settings) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                yield
            finally:
                server.stop()
                thread.join()

    def discover(self) -> None:
        inventory.refresh(self.server, self.helper, now=datetime.now(UTC))

    def run(self, scope: str = runs.ALL) -> Run:
        """A run from start to end."""
        run = runs.start(scope, by=None, asked_from="command", server=self.server)
        jobs.work_through(run.pk, stop=threading.Event())
        run.refresh_from_db()
        assert run.ended_at is not None
        return run

    def job(self, run: Run, name: str) -> Job:
        return Job.objects.get(run=run, virtual_host__name=name)

    def site(self, name: str) -> VirtualHost:
        return VirtualHost.objects.get(server=self.server, name=name)

    def order(self, name: str) -> Order:
        """The newest order of a site: the newest of all may be of another that the same run works on beside it."""
        return Order.objects.filter(virtual_host__name=name).latest("pk")

    def events(self, run: Run, name: str) -> list[str]:
        """The events of a site's log, in order."""
        lines = LogLine.objects.filter(run=run, job__virtual_host__name=name).order_by("seq")
        return list(lines.values_list("event", flat=True))

    def shown(self, name: str) -> str | None:
        """The serial that a handshake shows."""
        facts = pki.handshake(self.box.address, self.box.https_port, name).facts
        return facts.serial if facts else None

    def issued(self, *names: str) -> int:
        """How many certificates the CA has issued for exactly these names."""
        return self.box.issued()[frozenset(names)]


@contextmanager
def parts_of(box: Box, settings: Any) -> Iterator[Parts]:
    """Parts on a box, with the helper up; takes the panel's lines out of the box's nginx in the end."""
    folder = Path(tempfile.mkdtemp(prefix="as", dir="/tmp")).resolve()
    try:
        parts = Parts(box, settings, folder)
        with parts.helper_up():
            yield parts
            parts.helper.detach()
        parts.helper.close()
    finally:
        shutil.rmtree(folder)
