"""The store of certificates and private keys on disk: staged, versions, live. Keys are born here and never leave.

`staged/<order>/` waits for activation, `versions/<key>/<serial>/` is complete and immutable, `live/<key>` links to one.
"""

import contextlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autossl_panel import pki
from autossl_panel.helper import files
from autossl_panel.helper.protocol import HelperProblem
from autossl_panel.pki import CertificateFacts, KeyType, PairProblem

REQUEST, CHAIN, KEY, COMBINED = "request.json", "fullchain.pem", "privkey.pem", "combined.pem"
SERIAL = re.compile(r"[0-9a-f]{1,64}")
YOUNG = 3600.0  # seconds during which prune leaves an unknown order alone: its row may not be written yet
RETIRED = 7 * 86400.0  # seconds that a replaced version stays, for an admin who wants it back


@dataclass(frozen=True, slots=True)
class Request:
    """What an order is for."""

    order: str
    key: str
    names: tuple[str, ...]
    key_type: str
    csr: str


@dataclass(frozen=True, slots=True)
class Version:
    """A complete pair on disk, ready to be pointed at."""

    request: Request
    serial: str
    fingerprint: str
    folder: Path

    @property
    def target(self) -> str:
        """What live/<key> points at: relative, so that the helper's folder may move."""
        return f"../versions/{self.request.key}/{self.folder.name}"


class Store:
    """The pairs below one helper directory. Its verbs need no lock: each ends with one rename that decides."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.staged = folder / "staged"
        self.versions = folder / "versions"
        self.live = folder / "live"
        self.quarantined = folder / "quarantine"
        self.done = folder / "done"

    def prepare(self) -> None:
        """Make the folders, and clear away drafts of a process that was killed."""
        for path in (self.staged, self.versions, self.live, self.quarantined, self.done):
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
            files.sweep(path)
        for entry in os.scandir(self.versions):
            files.sweep(Path(entry.path))
        for entry in os.scandir(self.staged):
            files.sweep(Path(entry.path))
        files.sync_folder(self.folder)

    def gen_csr(self, order: str, key: str, names: tuple[str, ...], key_type: str) -> str:
        """The CSR of an order, with a private key made for it; asked again, the same CSR."""
        known = self.request(order)
        if known is None:
            known = self._make_request(order, key, names, key_type)
        if (known.key, known.names, known.key_type) != (key, names, key_type):
            raise HelperProblem("conflict", f"Order {order} was made for {', '.join(known.names)} of {known.key}.")
        return known.csr

    def _make_request(self, order: str, key: str, names: tuple[str, ...], key_type: str) -> Request:
        key_pem = pki.new_key(KeyType(key_type))
        request = Request(order, key, names, key_type, pki.make_csr(key_pem, names).decode("ascii"))
        draft = files.temporary(self.staged)
        draft.mkdir(mode=0o700)
        try:
            files.write_new(draft / KEY, key_pem, 0o600)
            files.write_new(draft / REQUEST, json.dumps(asdict(request)).encode(), 0o600)
            files.sync_folder(draft)
            draft.rename(self.staged / order)
        except OSError:
            files.remove_tree(draft)
            # Another thread may have been first: then that order is the order.
            if (first := self.request(order)) is not None:
                return first
            raise
        files.sync_folder(self.staged)
        return request

    def stage(self, order: str, chain: bytes) -> CertificateFacts:
        """Keep an issued chain beside its key when the two are a sound pair for the order's names."""
        request = self.request(order)
        if request is None:
            raise HelperProblem("unknown_order", f"The helper has no private key of an order {order}.")
        folder = self._home(order, request.key)
        facts = self._checked(chain, (folder / KEY).read_bytes(), request)
        if not (folder / CHAIN).exists() or (folder / CHAIN).read_bytes() != chain:
            if folder.parent != self.staged:
                raise HelperProblem("conflict", f"Order {order} was installed with another certificate.")
            files.replace(folder / CHAIN, chain, 0o600)
        return facts

    @staticmethod
    def _checked(chain: bytes, key_pem: bytes, request: Request) -> CertificateFacts:
        try:
            return pki.check_pair(chain, key_pem, names=request.names, now=datetime.now(UTC))
        except PairProblem as problem:
            raise HelperProblem(f"pair_{problem.code}", problem.text) from problem

    def request(self, order: str) -> Request | None:
        """What the order is for, wherever its pair is; None when it is unknown here."""
        for folder in (self.staged / order, self.quarantined / order):
            if (found := self._read_request(folder)) is not None:
                return found
        with contextlib.suppress(FileNotFoundError):
            # An installed order's key lives on in its version, which this link finds without a search.
            return self._read_request((self.done / order).resolve(strict=True))
        return None

    def _home(self, order: str, key: str) -> Path:
        for folder in (self.staged / order, self.quarantined / order):
            if (folder / REQUEST).exists():
                return folder
        return (self.done / order).resolve()

    @staticmethod
    def _read_request(folder: Path) -> Request | None:
        try:
            data: dict[str, Any] = json.loads((folder / REQUEST).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        return Request(**data | {"names": tuple(data["names"])})

    def version(self, order: str) -> Version:
        """The order's pair as a complete version, made from what is staged; checked once more, today."""
        request = self.request(order)
        if request is None:
            raise HelperProblem("unknown_order", f"The helper has no pair of an order {order}.")
        folder = self._home(order, request.key)
        if not (folder / CHAIN).exists():
            raise HelperProblem("not_staged", f"The certificate of order {order} has not been staged.")
        chain, key_pem = (folder / CHAIN).read_bytes(), (folder / KEY).read_bytes()
        facts = self._checked(chain, key_pem, request)
        version = Version(request, facts.serial, facts.fingerprint, self.versions / request.key / facts.serial)
        if version.folder.exists() and (version.folder / CHAIN).read_bytes() != chain:
            # A CA that counts anew, or another CA: a number is not enough to tell two certificates apart.
            other = version.folder.with_name(f"{facts.serial}.{facts.fingerprint[:8]}")
            version = replace(version, folder=other)
        if not version.folder.exists():
            self._make_version(version, chain, key_pem)
        if not (self.done / order).is_symlink():
            files.link(self.done / order, version.target)
            files.sync_folder(self.done)
        return version

    def _make_version(self, version: Version, chain: bytes, key_pem: bytes) -> None:
        site = version.folder.parent
        site.mkdir(mode=0o700, exist_ok=True)
        draft = files.temporary(site)
        draft.mkdir(mode=0o700)
        try:
            files.write_new(draft / CHAIN, chain, 0o644)
            files.write_new(draft / KEY, key_pem, 0o600)
            files.write_new(draft / COMBINED, key_pem + chain, 0o600)
            files.write_new(draft / REQUEST, json.dumps(asdict(version.request)).encode(), 0o600)
            files.sync_folder(draft)
            draft.rename(version.folder)
        except BaseException:
            files.remove_tree(draft)
            raise
        files.sync_folder(site)
        files.sync_folder(self.versions)

    def has(self, path: Path) -> bool:
        """Whether a certificate's path is one that we give to a web server."""
        return path.is_relative_to(self.live)

    def live_target(self, key: str) -> str | None:
        """What live/<key> points at now."""
        try:
            return os.readlink(self.live / key)
        except FileNotFoundError:
            return None

    def live_serial(self, key: str) -> str:
        """The serial that is live for a site, '' for none."""
        return (self.live_target(key) or "").rsplit("/", 1)[-1].partition(".")[0]

    def is_live(self, order: str) -> bool:
        """Whether a live link points at the order's version."""
        try:
            target = os.readlink(self.done / order)
        except FileNotFoundError:
            return False
        return self.live_target(target.split("/")[-2]) == target

    def settle(self, order: str) -> None:
        """The order is proven: its staged copy has done its duty."""
        if (self.staged / order).exists():
            files.remove_tree(self.staged / order)
            files.sync_folder(self.staged)

    def quarantine(self, order: str, why: str) -> None:
        """Put a pair aside that the web server would not take, with the reason; it is not tried again."""
        if not (self.staged / order).exists():
            return
        files.replace(self.staged / order / "why", why.encode(), 0o600)
        (self.staged / order).rename(self.quarantined / order)
        files.sync_folder(self.staged)
        files.sync_folder(self.quarantined)

    def why_quarantined(self, order: str) -> str | None:
        """The reason, or None when the order is not in quarantine."""
        try:
            return (self.quarantined / order / "why").read_text("utf-8", "replace")
        except FileNotFoundError:
            return None

    def orders(self) -> Iterator[tuple[Request, bool]]:
        """Each order that waits, and whether its certificate is staged."""
        for name in self._names(self.staged):
            if (request := self._read_request(self.staged / name)) is not None:
                yield request, (self.staged / name / CHAIN).exists()

    def quarantined_orders(self) -> dict[str, str]:
        """order → reason."""
        return {name: self.why_quarantined(name) or "" for name in self._names(self.quarantined)}

    def live_serials(self) -> dict[str, str]:
        """site key → serial."""
        return {name: self.live_serial(name) for name in self._names(self.live)}

    @staticmethod
    def _names(folder: Path) -> list[str]:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))

    def prune(self, keep: Collection[str], in_use: Collection[str]) -> tuple[int, int]:
        """Remove orders that nobody keeps and versions that nothing points at; returns how many of each.

        `in_use` are link targets that must stay, such as what a roll-back would go back to.
        """
        now, orders, versions = time.time(), 0, 0
        for parent in (self.staged, self.quarantined):
            for name in self._names(parent):
                if name not in keep and now - (parent / name).stat().st_mtime > YOUNG:
                    files.remove_tree(parent / name)
                    orders += 1
        for key in self._names(self.versions):
            site = self.versions / key
            used = {self.live_target(key), *in_use}
            for serial in self._names(site):
                if f"../versions/{key}/{serial}" in used or now - (site / serial).stat().st_mtime < RETIRED:
                    continue
                files.remove_tree(site / serial)
                versions += 1
        for name in self._names(self.done):
            if not (self.done / name).exists():
                (self.done / name).unlink()
        return orders, versions
