"""Changing the web server's configuration: journal, edit, compare who answers which name, test, reload; or all back.

A web server is never reloaded into a configuration that has not passed its own test.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from autossl_panel.helper import files
from autossl_panel.helper import state as states
from autossl_panel.helper.files import ForeignOwner
from autossl_panel.helper.inventory import Inventory
from autossl_panel.helper.journal import OWN_MODE, Changes, EditedMeanwhile, Journal
from autossl_panel.helper.nginx import Nginx, taken_by_others
from autossl_panel.helper.plan import Planner, Wanted
from autossl_panel.helper.protocol import HelperProblem, Result
from autossl_panel.helper.settings import Settings
from autossl_panel.helper.state import SiteState, State, Unconfirmed
from autossl_panel.helper.store import Store
from autossl_panel.webservers import nginx as configurations
from autossl_panel.webservers.model import ConfigurationProblem, Layout
from autossl_panel.webservers.nginx import Configuration

log = logging.getLogger("autossl_panel.helper")

PATIENCE = 5  # times that an admin may save a file while we write before we say so


@dataclass(frozen=True, slots=True)
class Item:
    """One wanted change of one site: what it shall be (None: left altogether), and where its live link shall point."""

    id: str
    key: str
    site: SiteState | None
    relink: bool = False
    target: str | None = None
    waits: Unconfirmed | None = None
    settles: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a set of changes did not go through. `blames` are the ids of items that are known to be the reason; where
    each has its own, it is in `each`."""

    code: str
    text: str
    file: str = ""
    line: int | None = None
    blames: tuple[str, ...] = ()
    each: Mapping[str, "Fault"] = field(default_factory=dict)

    def result(self, code: str | None = None) -> Result:
        """The same for a caller, under another code if given."""
        return Result(False, code or self.code, self.text, self.file, self.line)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A set of changes that is on disk and passed the test: to be finished or withdrawn."""

    changes: Changes
    after: Configuration


class Changer:
    """Makes a set of changes whole or not at all. One caller at a time."""

    def __init__(self, settings: Settings, store: Store, inventory: Inventory, nginx: Nginx) -> None:
        self._settings = settings
        self._inventory = inventory
        self._nginx = nginx
        self._journal = Journal(settings.folder)
        self._planner = Planner(settings.folder, store)
        self.state = State()

    def start(self) -> None:
        """Make the folder and read the state. What a killed process left is settled by `settle`."""
        self._planner.snippets.mkdir(mode=0o755, exist_ok=True)
        self._planner.snippets.chmod(0o755)
        files.sweep(self._planner.snippets)
        self.state = states.load(self._planner.state_file)

    def settle(self) -> None:
        """Finish what had passed its test when the process died, else put everything back; test before any reload."""
        found = self._journal.unfinished()
        if found is None:
            return
        changes, tested = found
        log.warning(
            "a change of %d files was cut off; the test had %spassed", len(changes.files), "" if tested else "not "
        )
        for one in changes.files:
            if not one.ours:
                files.sweep(one.path.parent)
        finished = tested and changes.made() and self._passes()
        if not finished:
            self._undo(changes)
        if finished or self._passes():
            try:
                self._nginx.reload()
            except HelperProblem as problem:
                log.error("%s", problem)
        self._journal.end()

    def _passes(self) -> bool:
        try:
            complaint = self._nginx.test()
        except HelperProblem as problem:
            complaint = problem.text
        if complaint is not None:
            log.error("the configuration does not pass its test: %s", complaint)
        return complaint is None

    def differs(self, items: Sequence[Item]) -> bool:
        """Whether these items would change a file at all."""
        try:
            configuration = self._inventory.read()
            return bool(self._planner.plan(configuration, self._wanted(items, ()), self._layout()).changes.files)
        except EditedMeanwhile:
            self._inventory.forget()
            return False

    def attempt(self, items: Sequence[Item], addresses: Sequence[str]) -> Attempt | Fault:
        """Put these changes on disk and test them; after a Fault everything is as it was. Nothing is reloaded yet."""
        for _time in range(PATIENCE):
            try:
                made = self._attempt_once(items, addresses)
            except EditedMeanwhile as edited:
                log.info("%s was edited meanwhile; reading it again", edited)
                self._inventory.forget()
                continue
            except ConfigurationProblem as problem:
                return Fault("foreign_broken", problem.text, problem.file, problem.line)
            except ForeignOwner as refusal:
                return Fault("refused", f"{refusal.path} {refusal.text}.", str(refusal.path))
            return made
        return Fault("busy", "The web server's files are being edited by somebody else; it will be tried again.")

    def _attempt_once(self, items: Sequence[Item], addresses: Sequence[str]) -> Attempt | Fault:
        before = self._inventory.read()
        wanted = self._wanted(items, addresses)
        planned = self._planner.plan(before, wanted, self._layout(wanted.state))
        if refused := [item for item in items if item.key in planned.refused]:
            why = {item.id: planned.refused[item.key] for item in refused}
            return _blaming({one: Fault("refused", its.text, its.file, its.line) for one, its in why.items()})
        fault = _untouchable(before, planned.changes, items) or self._foresee(before, planned.changes, items)
        if fault is not None:
            return fault
        self._journal.begin(planned.changes)
        try:
            self._inventory.forget()
            planned.changes.apply()
            self.state = wanted.state
            verdict = self._judge()
        except BaseException:
            self.withdraw(planned.changes)
            raise
        if isinstance(verdict, Fault):
            self.withdraw(planned.changes)
            return verdict
        return Attempt(planned.changes, verdict)

    def _wanted(self, items: Sequence[Item], addresses: Sequence[str]) -> Wanted:
        state = self.state.with_addresses(addresses)
        for item in items:
            state = state.with_site(item.key, item.site)
            if item.waits is not None:
                state = state.with_unconfirmed(item.waits)
        state = state.without_unconfirmed(item.settles for item in items if item.settles)
        return Wanted(
            state=state,
            keys=tuple(dict.fromkeys(item.key for item in items)),
            relinks={item.key: item.target for item in items if item.relink},
        )

    def _layout(self, state: State | None = None) -> Layout:
        return Layout(
            helper_dir=self._settings.folder,
            http_port=self._settings.http_port,
            https_port=self._settings.https_port,
            server_addresses=(state or self.state).server_addresses,
            auth_request=self._nginx.has_module("http_auth_request_module"),
        )

    def _foresee(self, before: Configuration, changes: Changes, items: Sequence[Item]) -> Fault | None:
        """What speaks against these changes before anything is written; that others keep their names is planned so."""
        try:
            after = self._inventory.preview(changes.overlay())
        except ConfigurationProblem as problem:
            return Fault("refused", problem.text, problem.file, problem.line)
        return self._taken(before, after, items)

    def _taken(self, before: Configuration, after: Configuration, items: Sequence[Item]) -> Fault | None:
        master = self._nginx.master()
        if master is None:
            return None
        known, wanted = _endpoints(before), _endpoints(after)
        taken = taken_by_others(wanted, self._nginx.sockets(master))
        if not taken:
            return None
        first = taken[0]
        text = f"{first.holder} listens on {first.address} port {first.port}, so that nginx cannot."
        if any((one.address, one.port) in known for one in taken):
            return Fault("foreign_broken", text)
        new = {(one.address, one.port) for one in taken}
        users = {
            site.key
            for site in configurations.sites(after).sites
            if any((listen.address, listen.port) in new for listen in site.listens)
        }
        return Fault("port_taken", text, blames=tuple(item.id for item in items if item.key in users))

    def _judge(self) -> Configuration | Fault:
        """What is on disk now, when it parses and passes the web server's own test."""
        try:
            after = self._inventory.read()
        except ConfigurationProblem as problem:
            return Fault("test", problem.text, problem.file, problem.line)
        complaint = self._nginx.test()
        return after if complaint is None else fault_of("test", complaint)

    def finish(self) -> bool:
        """Reload what `attempt` put on disk; False when the web server is not running: then only the files changed."""
        self._journal.tested()
        reloaded = self._nginx.reload()
        self._journal.end()
        return reloaded

    def withdraw(self, changes: Changes) -> None:
        """Put everything back that `attempt` changed."""
        self._undo(changes)
        self._journal.end()

    def record(self, state: State) -> None:
        """A new state that changes no configuration."""
        if state != self.state:
            files.replace(self._planner.state_file, state.dumps(), OWN_MODE)
            self.state = state

    def base_fault(self) -> Fault | None:
        """What is wrong with the configuration without any change of ours."""
        complaint = self._nginx.test()
        if complaint is None:
            return None
        fault = fault_of("foreign_broken", complaint)
        if fault.file:
            return fault
        try:
            place = configurations.place_of(self._inventory.read(), fault.text)
        except ConfigurationProblem as problem:
            return Fault("foreign_broken", problem.text, problem.file, problem.line)
        return fault if place is None else replace(fault, file=place[0], line=place[1])

    def _undo(self, changes: Changes) -> None:
        self._inventory.forget()
        left = changes.undo()
        self.state = states.load(self._planner.state_file)
        if left:
            self._keep_their_edit(changes.keys, left)

    def _keep_their_edit(self, keys: Sequence[str], left: Sequence[Path]) -> None:
        """Somebody edited these files after we did: their text stays, our lines go back to what the state says."""
        for _time in range(PATIENCE):
            try:
                configuration = self._inventory.read()
                self._planner.plan(configuration, Wanted(self.state, keys, {}), self._layout()).changes.apply()
            except EditedMeanwhile:
                self._inventory.forget()
                continue
            except (ConfigurationProblem, ForeignOwner) as problem:
                log.error("our lines stay in %s, which somebody edited: %s", ", ".join(map(str, left)), problem)
            self._inventory.forget()
            return


def _untouchable(before: Configuration, changes: Changes, items: Sequence[Item]) -> Fault | None:
    """All files at once that are not ours to change, and the items whose sites are in them."""
    found: dict[str, ForeignOwner] = {}
    for path in (one.path for one in changes.files if not one.ours):
        try:
            files.must_be_trusted(path)
        except ForeignOwner as refusal:
            found[str(path)] = refusal
    if not found:
        return None
    why = {file: Fault("refused", f"{one.path} {one.text}.", file) for file, one in found.items()}
    sites = {site.key: os.path.realpath(site.file) for site in configurations.sites(before).sites}
    each = {item.id: why[file] for item in items if (file := sites.get(item.key, "")) in why}
    return _blaming(each) if each else next(iter(why.values()))


def _blaming(each: Mapping[str, Fault]) -> Fault:
    return replace(next(iter(each.values())), blames=tuple(each), each=each)


def _endpoints(configuration: Configuration) -> set[tuple[str, int]]:
    """Every address and port that nginx is to listen on; Unix sockets have no port, host names no number."""
    return {
        (address, port)
        for address, port, _name in configurations.routing(configuration)
        if port and (":" in address or address.replace(".", "").isdecimal())
    }


def fault_of(code: str, complaint: str) -> Fault:
    """What `nginx -t` printed, as a fault with file and line."""
    problem = configurations.parse_test_output(complaint)
    if problem is None:
        return Fault(code, complaint.strip()[-2000:])
    return Fault(code, problem.text, problem.file, problem.line)
