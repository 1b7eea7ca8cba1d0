"""The verbs that change the web server: attach, activate, confirm, rollback, detach. One at a time, under one lock."""

import logging
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from autossl_panel.helper import files
from autossl_panel.helper.batch import Batch
from autossl_panel.helper.changer import Changer, Item
from autossl_panel.helper.inventory import Inventory, fingerprint, sound
from autossl_panel.helper.nginx import Nginx
from autossl_panel.helper.protocol import Activation, HelperProblem, Result
from autossl_panel.helper.settings import Settings
from autossl_panel.helper.state import SiteState, State, Unconfirmed
from autossl_panel.helper.store import Store
from autossl_panel.webservers import nginx as configurations
from autossl_panel.webservers.model import ConfigurationProblem, Site
from autossl_panel.webservers.nginx import Configuration

log = logging.getLogger("autossl_panel.helper")

Targets = tuple[tuple[str, int], ...]
_GONE = Result(False, "no_such_site", "The web server's configuration has no such site any more.")


class WebServer:
    """One nginx and what we have in its configuration."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._store = store
        self._nginx = Nginx(settings.nginx_binary, settings.nginx_conf)
        self._inventory = Inventory(settings.nginx_conf, self._nginx.prefix(), store)
        self._changer = Changer(settings, store, self._inventory, self._nginx)
        self._in_step: Configuration | None = None
        self.lock = threading.Lock()

    def start(self) -> None:
        """Settle what a killed process left."""
        self._changer.start()
        try:
            self._changer.settle()
        except OSError:
            # A full disk, say. Each verb tries again before it does anything, and tells.
            log.exception("what was cut off could not be settled")

    @property
    def state(self) -> State:
        """What is attached and what waits for proof."""
        return self._changer.state

    def master(self) -> int | None:
        """The pid of the running nginx, None without one."""
        try:
            return self._nginx.master()
        except (OSError, HelperProblem):
            return None

    def inventory(self, unless: str | None) -> Iterator[tuple[bool, object]]:
        """The parts of an inventory's answer, read whole before this returns."""
        with self.lock:
            self._changer.settle()
            self._keep_in_step()
            return self._inventory.answer(unless)

    def _keep_in_step(self) -> None:
        """After an admin's edit: blocks of ours that repeat what an admin's block says say the new thing."""
        try:
            configuration = self._inventory.read()
            if configuration is self._in_step:
                return
            repeated = [
                Item(site.key, site.key, self.state.sites[site.key])
                for site in configurations.sites(configuration).sites
                if site.redirects_only and site.key in self.state.sites and self.state.sites[site.key].tls
            ]
            given_up = [
                Item(site.key, site.key, replace(self.state.sites[site.key], tls=False))
                for site in configurations.sites(configuration).sites
                if site.attached and self._replaced(site) and not self._listens_for(site) and sound(site)
            ]
            if given_up:
                # Ours would go on being served beside the admin's, and would not be renewed any more.
                for key, result in self._run(given_up, (), good="given_up", bad="refused").items():
                    log.info("the admin has installed another certificate: %s: %s %s", key, result.code, result.text)
            if repeated and self._changer.differs(repeated):
                for key, result in self._run(repeated, (), good="in_step", bad="refused").items():
                    log.info("kept in step with the admin's block: %s: %s %s", key, result.code, result.text)
            self._in_step = self._inventory.read()
        except ConfigurationProblem as problem:
            log.info("nothing is kept in step while the configuration does not parse: %s", problem)
        except (HelperProblem, OSError) as problem:
            # Reading must not fail because nothing can be written; the next reading tries again.
            log.warning("nothing could be kept in step: %s", problem)

    def attach(
        self, keys: Collection[str], extra_names: Mapping[str, tuple[str, ...]], addresses: Sequence[str]
    ) -> dict[str, Result]:
        """Let these sites answer challenges, also by the extra names; a site that has TLS of ours keeps it."""
        with self.lock:
            self._changer.settle()
            sites, results = self._sites(keys)
            # Where an admin has put a certificate beside ours nothing is switched off, or on, without a decision.
            kept = {key for key, site in sites.items() if site.attached and self._replaced(site)}
            items = [
                Item(key, key, self._attached_site(sites[key], extra_names.get(key)))
                for key in keys
                if key in sites and key not in kept
            ]
            results |= {key: Result(True, "attached") for key in keys if key in kept}
            return results | self._run(items, addresses, good="attached", bad="refused")

    def _attached_site(self, site: Site, extra_names: tuple[str, ...] | None) -> SiteState:
        before = self.state.sites.get(site.key, SiteState())
        if self._replaced(site):
            before = replace(before, tls=False)
        return before if extra_names is None else replace(before, extra_names=extra_names)

    def _replaced(self, site: Site) -> bool:
        """Whether the admin has given a site of ours another certificate since."""
        ours = self.state.sites.get(site.key, SiteState()).tls
        return ours and site.certificate_path is not None and not self._store.has(Path(site.certificate_path))

    def _listens_for(self, site: Site) -> bool:
        """Whether the site has its TLS listener from us alone."""
        snippet = files.read_public(self._store.folder / "snippets" / f"{site.key}.conf") or b""
        return snippet.startswith(b"listen ")

    def detach(self, keys: Collection[str] | None) -> dict[str, Result]:
        """Take everything of ours out of these sites, or of all."""
        with self.lock:
            self._changer.settle()
            chosen = self._attached() if keys is None else keys
            items = [Item(id=key, key=key, site=None) for key in chosen]
            return self._run(items, (), good="detached", bad="refused")

    def _attached(self) -> list[str]:
        """Every site that has lines of ours, also where our own state was lost."""
        try:
            found = {site.key for site in configurations.sites(self._inventory.read()).sites if site.attached}
        except ConfigurationProblem:
            found = set()
        return sorted(found | set(self.state.sites))

    def activate(self, orders: Sequence[Activation], addresses: Sequence[str]) -> dict[str, Result]:
        """Put staged orders live where nobody else's certificate has come meanwhile."""
        with self.lock:
            self._changer.settle()
            self._nginx.program()
            if self._nginx.master() is None:
                return {one.order: _not_running() for one in orders}
            sites, results = self._sites([one.key for one in orders])
            results = {one.order: results[one.key] for one in orders if one.key in results}
            items = []
            for one in orders:
                if one.key in sites:
                    made = self._item(one, sites[one.key], addresses)
                    if isinstance(made, Result):
                        results[one.order] = made
                    else:
                        items.append(made)
            found = self._run(items, addresses, good="activated", bad="quarantined")
            for order, result in found.items():
                if result.code == "quarantined":
                    self._store.quarantine(order, result.text)
            return results | found

    def _item(self, one: Activation, site: Site, addresses: Sequence[str]) -> Item | Result:
        """What an activation changes, or why it does not."""
        if (why := self._store.why_quarantined(one.order)) is not None:
            return Result(False, "quarantined", why)
        try:
            version = self._store.version(one.order)
        except HelperProblem as problem:
            return Result(False, problem.code, problem.text)
        if version.request.key != one.key:
            return Result(False, "refused", f"Order {one.order} was made for {version.request.key}.")
        installed = fingerprint(site.certificate_path)
        if installed not in (one.expect_fingerprint, version.fingerprint):
            text = "Another certificate has been installed since it was decided to replace the old one."
            return Result(False, "changed_meanwhile", text, site.certificate_path or "")
        wish = SiteState(tls=True, extra_names=one.extra_names)
        target = self._store.live_target(one.key)
        if target == version.target and installed == version.fingerprint and self.state.sites.get(one.key) == wish:
            # Asked again, such as by a worker whose answer got lost.
            return Result(True, "activated", targets=_targets(site, addresses))
        waits = self._waits(one, target, again=target == version.target)
        return Item(one.order, one.key, wish, relink=True, target=version.target, waits=waits)

    def _waits(self, one: Activation, target: str | None, *, again: bool) -> Unconfirmed:
        """The way back for an activation that starts where the live link points at `target`."""
        unproven = next((other for other in self.state.unconfirmed.values() if other.key == one.key), None)
        if unproven is not None:
            # What was never proven is nothing to go back to.
            return replace(unproven, order=one.order)
        before = self.state.sites.get(one.key, SiteState())
        if again:
            return Unconfirmed(one.order, one.key, None, replace(before, tls=False))
        return Unconfirmed(one.order, one.key, target, before)

    def confirm(self, orders: Collection[str]) -> dict[str, Result]:
        """These are proven: forget the way back."""
        with self.lock:
            self._changer.settle()
            live = [order for order in orders if order in self.state.unconfirmed or self._store.is_live(order)]
            self._changer.record(self.state.without_unconfirmed(live))
            for order in live:
                self._store.settle(order)
            confirmed, not_active = Result(True, "confirmed"), Result(False, "not_active", "This order is not live.")
            return {order: confirmed if order in live else not_active for order in orders}

    def rollback(self, orders: Collection[str]) -> dict[str, Result]:
        """Put back what was there before these orders' activation."""
        with self.lock:
            self._changer.settle()
            waiting = self.state.unconfirmed
            results = {order: Result(True, "not_active") for order in orders if order not in waiting}
            chosen = {order: waiting[order] for order in orders if order in waiting}
            _sites, missing = self._sites([one.key for one in chosen.values()])
            gone = [order for order, one in chosen.items() if one.key in missing and missing[one.key] is _GONE]
            # Nobody is served by a block that is not there any more: nothing to go back to, and nothing to wait for.
            self._changer.record(self.state.without_unconfirmed(gone))
            results |= {order: replace(_GONE, ok=True, code="not_active") for order in gone}
            items = [self._way_back(one) for order, one in chosen.items() if order not in gone]
            return results | self._run(items, (), good="rolled_back", bad="refused")

    def _way_back(self, one: Unconfirmed) -> Item:
        site, target = one.previous, one.previous_target
        if target is None or not (self._store.live / target / "fullchain.pem").exists():
            site, target = replace(site, tls=False), None
        return Item(one.order, one.key, site, relink=True, target=target, settles=one.order)

    def _run(self, items: Sequence[Item], addresses: Sequence[str], *, good: str, bad: str) -> dict[str, Result]:
        if not items:
            return {}
        batch = Batch(self._changer, addresses, good, bad)
        batch.run(items)
        if batch.after is None:
            return batch.results
        sites = {site.key: site for site in configurations.sites(batch.after).sites}
        for item in items:
            if batch.results[item.id].ok and item.key in sites:
                found = _targets(sites[item.key], addresses)
                batch.results[item.id] = replace(batch.results[item.id], targets=found)
        return batch.results

    def _sites(self, keys: Collection[str]) -> tuple[dict[str, Site], dict[str, Result]]:
        """The configuration's sites by key, and a refusal for each key that is not there or cannot be read."""
        try:
            found = configurations.sites(self._inventory.read())
        except ConfigurationProblem as problem:
            fault = Result(False, "foreign_broken", problem.text, problem.file, problem.line)
            return {}, dict.fromkeys(keys, fault)
        sites = {site.key: site for site in found.sites}
        return sites, {key: _GONE for key in keys if key not in sites}


def _not_running() -> Result:
    return Result(False, "nginx_not_running", "nginx is not running; the certificate stays staged.")


def _targets(site: Site, addresses: Sequence[str]) -> Targets:
    """Where a handshake meets a site: a wildcard listener at the server's own addresses, else on loopback."""
    found = {
        (address, listen.port): None
        for listen in site.listens
        if listen.ssl
        for address in _reachable(listen.address, addresses)
    }
    return tuple(found)


def _reachable(address: str, addresses: Sequence[str]) -> Sequence[str]:
    if address in ("0.0.0.0", "*", ""):  # noqa: S104 - compared, not bound
        return [one for one in addresses if ":" not in one] or ["127.0.0.1"]
    if address in ("::", "[::]"):
        return [one for one in addresses if ":" in one] or ["::1"]
    return [address.strip("[]")]
