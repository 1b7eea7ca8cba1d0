"""The box itself: a CA, a DNS server and a web server with sites, on an address and in a folder of their own."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType

from autossl_panel.sandbox import nginx as web
from autossl_panel.sandbox.addresses import Stand, claim_address, free_port
from autossl_panel.sandbox.crowd import crowd
from autossl_panel.sandbox.nameserver import NameServer
from autossl_panel.sandbox.pebble import DAYS_90, Issued, Pebble, PebbleOptions
from autossl_panel.sandbox.processes import Processes
from autossl_panel.sandbox.sites import CATCH_ALL, Ground, Site, certificate_files, page, place, render


class Box:
    """A started sandbox; use it as a context manager, or call `stop`. It also ends when this process is killed.

    `sites`, and `per_user` plain sites for each of `users`, are served at the start. Addresses: `address` is this
    server's, `elsewhere` another server that answers 404, `silent` one where nothing listens; drawn from loopback, or
    those of `stand`. Raises SandboxProblem when something is missing or does not start.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        sites: Sequence[Site] = (),
        users: int = 0,
        per_user: int = 0,
        nonce_reject: int = 0,
        validity_seconds: int = DAYS_90,
        pebble: PebbleOptions | None = None,
        start_nginx: bool = True,
        stand: Stand | None = None,
    ) -> None:
        self._own_folder = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="as")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        # nginx answers with the real path of its files; comparing is easier when there is only one.
        self.folder = self.folder.resolve()
        self.homes = self.folder / "homes"
        self.homes.mkdir(exist_ok=True)
        self._claim = None if stand else claim_address()
        self._processes = Processes()
        self._lock = threading.Lock()
        self._stopped = False
        self.sites: dict[str, Site] = {}
        options = pebble or PebbleOptions(nonce_reject=nonce_reject, validity_seconds=validity_seconds)
        try:
            self._take(stand)
            self._start([*sites, *crowd(users, per_user)], options, start_nginx)
        except BaseException:
            self.stop()
            raise

    def _take(self, stand: Stand | None) -> None:
        if stand is None:
            assert self._claim is not None
            address, neighbour = self._claim.address, self._claim.neighbour
            ports = free_port(address, 5080), free_port(address, 5443)
            stand = Stand(address, neighbour(2), neighbour(3), neighbour(4), *ports)
        self.address, self.elsewhere = stand.address, stand.elsewhere
        self.application, self.silent = stand.application, stand.silent
        self.http_port, self.https_port = stand.http_port, stand.https_port

    def _start(self, sites: Sequence[Site], options: PebbleOptions, start_nginx: bool) -> None:
        dns_port = free_port(self.address, 8053)
        self.resolver = f"{self.address}:{dns_port}"
        folders = {name: self.folder / name for name in ("ca", "dns", "nginx", "others")}
        for path in folders.values():
            path.mkdir(exist_ok=True)
        self.pebble = Pebble(
            self._processes,
            folders["ca"],
            address=self.address,
            port=free_port(self.address, 14000),
            management_port=free_port(self.address, 15000),
            resolver=self.resolver,
            http_port=self.http_port,
            https_port=self.https_port,
            options=options,
        )
        self.dns = NameServer(
            self._processes,
            folders["dns"],
            address=self.address,
            port=dns_port,
            management_port=free_port(self.address, 8055),
        )
        others = web.others(
            self._processes,
            folders["others"],
            elsewhere=self.elsewhere,
            application=self.application,
            http_port=self.http_port,
        )
        self.nginx = web.Nginx(self._processes, folders["nginx"], sites=sum(len(site.names) for site in sites))
        self.nginx.put_site("00-catch-all", CATCH_ALL.format(address=self.address, http_port=self.http_port))
        self.dns.wait()
        for site in sites:
            self._put(site)
        if start_nginx:
            self.nginx.start()
            self.nginx.wait(self.address, self.http_port)
        others.wait(self.elsewhere, self.http_port)
        self.pebble.wait()

    @property
    def directory_url(self) -> str:
        return self.pebble.directory_url

    @property
    def ca_bundle(self) -> Path:
        return self.pebble.ca_bundle

    @property
    def nginx_conf(self) -> Path:
        return self.nginx.conf

    @property
    def nginx_bin(self) -> str:
        return self.nginx.binary

    @property
    def ground(self) -> Ground:
        """Where sites stand: the addresses, ports and folders that their files name."""
        return Ground(
            self.address,
            self.elsewhere,
            self.application,
            self.silent,
            self.http_port,
            self.https_port,
            self.homes,
            self.nginx.folder,
        )

    def environment(self, state_dir: Path, run_dir: Path) -> dict[str, str]:
        """The panel's AUTOSSL_* settings for this box; `run_dir` holds sockets, so its path must be short."""
        return {
            "AUTOSSL_STATE_DIR": str(state_dir),
            "AUTOSSL_HELPER_DIR": str(state_dir / "helper"),
            "AUTOSSL_RUN_DIR": str(run_dir),
            "AUTOSSL_HOMES": str(self.homes),
            "AUTOSSL_NGINX_BIN": self.nginx_bin,
            "AUTOSSL_NGINX_CONF": str(self.nginx_conf),
            "AUTOSSL_HTTP_PORT": str(self.http_port),
            "AUTOSSL_HTTPS_PORT": str(self.https_port),
        }

    def add_site(self, site: Site) -> Path:
        """One more site, served when this returns; returns its nginx file."""
        return self.add_sites([site])[0]

    def add_sites(self, sites: Iterable[Site]) -> list[Path]:
        """More sites by one reload, served when this returns; returns their nginx files."""
        paths = [self._put(site) for site in sites]
        self.nginx.reload()
        return paths

    def remove_site(self, name: str) -> None:
        """Take a site out of the web server and its names out of DNS."""
        site = self.sites.pop(name)
        self.nginx.remove_site(site.file)
        for each in site.names:
            self.dns.set_addresses(each)
        self.nginx.reload()

    def set_dns(self, name: str, a: Iterable[str] = (), aaaa: Iterable[str] = ()) -> None:
        """Exactly these addresses for a name from now on; none takes it out of DNS."""
        self.dns.set_addresses(name, a=a, aaaa=aaaa)

    def issuances(self) -> tuple[Issued, ...]:
        """Every certificate that Pebble issued, in order."""
        with self._lock:
            return self.pebble.issuances()

    def issued(self) -> Counter[frozenset[str]]:
        """How many certificates Pebble issued for each set of names."""
        with self._lock:
            return self.pebble.issued()

    def ca_requests(self) -> int:
        """How many ACME requests the CA has answered so far."""
        return self.pebble.requests()

    def _put(self, site: Site) -> Path:
        ground = self.ground
        page(site, ground)
        certificate_files(site, ground)
        for name, addresses in place(site, ground).items():
            self.dns.set_addresses(name, a=addresses)
        self.sites[site.name] = site
        return self.nginx.put_site(site.file, render(site, ground))

    def stop(self) -> None:
        """End everything by pid, give the address back, remove the folder if it was made here."""
        if self._stopped:
            return
        self._stopped = True
        steps: list[Callable[[], None]] = [self._processes.stop]
        if self._claim is not None:
            steps.append(self._claim.release)
        if hasattr(self, "dns"):
            steps.insert(0, self.dns.close)
        for step in steps:
            step()
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Box:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
