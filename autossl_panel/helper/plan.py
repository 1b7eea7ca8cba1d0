"""From a wished state to the list of file and link changes: what `webservers` wants edited, read against the disk."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autossl_panel.helper import files
from autossl_panel.helper.journal import Changes, EditedMeanwhile, FileChange, LinkChange
from autossl_panel.helper.state import SiteState, State
from autossl_panel.helper.store import Store
from autossl_panel.webservers import nginx as configurations
from autossl_panel.webservers.model import ConfigurationProblem, Edits, Layout, Refusal, SiteWish, TlsWish
from autossl_panel.webservers.nginx import Configuration


@dataclass(frozen=True, slots=True)
class Wanted:
    """A wished state, the sites that it is about, and where their live links shall point (key → target)."""

    state: State
    keys: Collection[str]
    relinks: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Planned:
    """The changes; and the sites that `webservers` refuses to touch, with reasons (their changes are not in)."""

    changes: Changes
    refused: Mapping[str, Refusal]


class Planner:
    """Plans changes below one helper directory."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.state_file = folder / "state.json"
        self.snippets = folder / "snippets"
        self.http_conf = folder / "http.conf"
        self._store = store

    def plan(self, configuration: Configuration, wanted: Wanted, layout: Layout) -> Planned:
        """What has to change on disk. Raises EditedMeanwhile when a file is not as `configuration` read it."""
        try:
            edits = self._edits(configuration, wanted, layout)
        except ConfigurationProblem as problem:
            if configurations.unchanged(configuration):
                raise
            raise EditedMeanwhile(Path(problem.file)) from problem
        own = [*self._snippets_of(edits), *self._http_conf_of(edits), *self._own(self.state_file, wanted.state.dumps())]
        # Never a TLS block without a certificate: ours comes before the admin's goes, and goes after theirs is back.
        changes = [
            *(one for one in own if not _gives_up_tls(one)),
            *self._foreign(edits),
            *(one for one in own if _gives_up_tls(one)),
        ]
        links = [
            LinkChange(self._store.live / key, self._store.live_target(key), target)
            for key, target in wanted.relinks.items()
        ]
        links = [one for one in links if one.old != one.new]
        return Planned(Changes(links, changes, tuple(wanted.keys)), edits.refused)

    def _edits(self, configuration: Configuration, wanted: Wanted, layout: Layout) -> Edits:
        if not wanted.state.sites:
            return configurations.without(configuration, None, layout)
        wishes = {key: self._wish(key, wanted.state.sites.get(key)) for key in wanted.keys}
        return configurations.desired(configuration, wishes, layout)

    def _wish(self, key: str, site: SiteState | None) -> SiteWish:
        if site is None:
            return SiteWish(challenge=False, tls=None)
        tls = TlsWish(self._store.live / key) if site.tls else None
        return SiteWish(challenge=True, tls=tls, extra_names=site.extra_names)

    @staticmethod
    def _foreign(edits: Edits) -> list[FileChange]:
        found = []
        for path, content in edits.files.items():
            old = Path(path).read_bytes()
            if files.sha256(old) != edits.before[path]:
                raise EditedMeanwhile(Path(path))
            if old != content:
                found.append(FileChange(Path(path), old, content, ours=False))
        return found

    def _snippets_of(self, edits: Edits) -> list[FileChange]:
        return [
            change
            for stem, text in edits.snippets.items()
            for change in self._own(
                self.snippets / f"{stem}.conf", None if text is None else text.encode("utf-8", "surrogateescape")
            )
        ]

    def _http_conf_of(self, edits: Edits) -> Sequence[FileChange]:
        if edits.http_conf is None:
            return ()
        return self._own(self.http_conf, edits.http_conf.encode("utf-8", "surrogateescape") or None)

    @staticmethod
    def _own(path: Path, content: bytes | None) -> Sequence[FileChange]:
        try:
            old: bytes | None = path.read_bytes()
        except FileNotFoundError:
            old = None
        return () if old == content else (FileChange(path, old, content, ours=True),)


def _gives_up_tls(change: FileChange) -> bool:
    return _has_pair(change.old) and not _has_pair(change.new)


def _has_pair(content: bytes | None) -> bool:
    return content is not None and b"ssl_certificate" in content
