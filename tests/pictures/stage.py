"""The town on a box, with the panel set up on it by its own commands and at work: what the pictures are taken of."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from autossl_panel.sandbox.addresses import Stand, free_port
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.pebble import Pebble, PebbleOptions
from autossl_panel.sandbox.processes import Processes
from autossl_panel.sandbox.sites import Site
from tests.pictures import town
from tests.support.receiver import Receiver
from tests.support.smtp import SmtpServer

PASSWORD = "correct horse battery"
SERVER = "web03.harbor-hosting.example"
DAY = 86400
# What the CA allows: a few sites fewer than there are
ORDERS = 70
CHOSEN, SHORT, STAGING = "Pebble", "Pebble 45", "Pebble staging"
PEOPLE = (("root", "root"), ("harborweb", "reseller"), ("brightpeak", "reseller"), ("lindner", "user"))


class Stage:
    """A context manager: the box, further CAs, a mail server, a webhook's receiver and the panel; all end with it."""

    def __init__(self, stand: Stand | None, say: Callable[[str], None]) -> None:
        self._stand, self._say = stand, say
        self._known: set[str] = set()
        self._stack = ExitStack()

    def __enter__(self) -> Stage:
        with self._stack as stack:
            self.folder = Path(tempfile.mkdtemp(prefix="as"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.box = stack.enter_context(
                Box(sites=list(town.settled()), pebble=PebbleOptions(slow=True), stand=self._stand)
            )
            self._short = self._another_ca(stack, 14100, PebbleOptions(validity_seconds=45 * DAY))
            self._staging = self._another_ca(stack, 14200, PebbleOptions())
            self._mail = stack.enter_context(SmtpServer())
            self._mail.postbox.answers["gone@northwind.example"] = "550 5.1.1 No such user here"
            self._hook = stack.enter_context(Receiver())
            settings = {
                **self.box.environment(self.folder / "state", self.folder / "run"),
                "AUTOSSL_SERVER": SERVER,
                # Whose the commands of root are in the audit trail
                "SUDO_USER": "anna",
                "AUTOSSL_SMTP_URL": self._mail.url,
                "AUTOSSL_MAIL_FROM": "AutoSSL <autossl@harbor-hosting.example>",
            }
            self.panel = Panel(settings, self.folder / "serve.log")
            stack.callback(self.panel.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def settle(self) -> None:
        """People, users, providers and options, and a first run for the sites that are there."""
        self._options()
        self._users(town.settled())
        self.panel.run("exclude", "add", *town.EXCLUDED)
        self._providers()
        self._say("the first runs")
        self._check("--all")
        self.box.add_sites(town.early())
        self._users(town.early())
        for name in sorted({site.user for site in town.early()}):
            self._check("--user", name)

    def _check(self, *words: str) -> None:
        """A run; where some of its sites stay unsecured, it says so by its exit status."""
        asked = [*self.panel.argv, "autossl_check", *words]
        subprocess.run(asked, env=self.panel.environment, stdout=subprocess.DEVNULL, check=False)

    def open(self) -> str:
        """Start web and workers; the URL."""
        return self.panel.serve("127.0.0.1", free_port("127.0.0.1", 8000))

    def arrive(self) -> None:
        """More sites move in, some of them with DNS that still leads elsewhere. The panel meets them by itself."""
        self.box.add_sites(town.arriving())

    @property
    def staging_url(self) -> str:
        """The directory where the CA in use lets one rehearse."""
        return self._staging.directory_url

    def _another_ca(self, stack: ExitStack, port: int, options: PebbleOptions) -> Pebble:
        processes = Processes()
        stack.callback(processes.stop)
        folder = self.folder / f"ca-{port}"
        folder.mkdir()
        ca = Pebble(
            processes,
            folder,
            address=self.box.address,
            port=free_port(self.box.address, port),
            management_port=free_port(self.box.address, port + 1000),
            resolver=self.box.resolver,
            http_port=self.box.http_port,
            https_port=self.box.https_port,
            options=options,
        )
        ca.wait()
        return ca

    def _options(self) -> None:
        self.panel.run("migrate", "--verbosity", "0")
        addresses, to = f"server_addresses={self.box.address}", "admin_addresses=certs@harbor-hosting.example"
        # Far enough away, so that no daily check comes into the pictures
        daily = "daily_at=16:12" if datetime.now(UTC).hour < 12 else "daily_at=04:12"
        self.panel.run("options", "set", f"resolvers={self.box.resolver}", addresses, to, daily, "reload_gap=1")
        for name, role in PEOPLE:
            self.panel.run("person", "add", name, "--role", role, "--password-stdin", stdin=f"{PASSWORD}\n")
        for name, autossl in (("business", "on"), ("starter", "on"), ("parked", "off")):
            self.panel.run("feature-list", "set", name, "--autossl", autossl)
        way = ["--kind", "webhook", "--private", "yes", "--level", "failures", "--target", f"{self._hook.url}/in"]
        self.panel.run("notify", "add", "on call", *way)

    def _users(self, sites: Iterable[Site]) -> None:
        """What the town says of those whose first sites these are."""
        self.panel.run("discover")
        new = {site.user for site in sites} - self._known
        for one in (one for one in town.HOUSEHOLDS if one.name in new):
            self.panel.run(
                *("user", "set", one.name, "--owner", one.owner, "--feature-list", one.feature_list), *one.words
            )
        self._known |= new

    def _providers(self) -> None:
        """The CA in use with its staging directory, a second whose certificates live shorter, for some."""
        for name, directory, bundle in (
            (STAGING, self._staging.directory_url, self._staging.ca_bundle),
            (SHORT, self._short.directory_url, self._short.ca_bundle),
            (CHOSEN, self.box.directory_url, self.box.ca_bundle),
        ):
            self.panel.run(
                "provider", "add", name, "--directory", directory, "--ca-bundle", str(bundle), "--private-ca"
            )
            if name != STAGING:
                self.panel.run("provider", "use", name, "--agree-tos")
        self.panel.run("provider", "limits", CHOSEN, "--set", f"orders={ORDERS}/3h")
        for one in town.HOUSEHOLDS:
            if one.short and one.name in self._known:
                self.panel.run("user", "set-provider", one.name, SHORT)
