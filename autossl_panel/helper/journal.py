"""What is about to change, on disk before the first change: whoever finds a journal can put everything back.

One change at a time. The undo never puts an old copy over a file that somebody else has edited since.
"""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autossl_panel.helper import files

_NOT_OURS_TO_CHANGE = (errno.EPERM, errno.EACCES, errno.EROFS, errno.EBUSY)
OWN_MODE = 0o644  # snippets hold no secrets, and a web server without root's rights reads them


class EditedMeanwhile(Exception):
    """Somebody changed a file between our reading and our writing; `path` says which."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self.path = path


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file: its content before and after, None where there is none. `ours`: below the helper's own folder."""

    path: Path
    old: bytes | None
    new: bytes | None
    ours: bool


@dataclass(frozen=True, slots=True)
class LinkChange:
    """One link of the store: where it pointed and where it will."""

    path: Path
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Changes:
    """A whole change of the sites `keys`, in an order in which the web server could start after each step.

    Links that come or turn are first, then the files as given, then links that go; the undo runs backwards.
    """

    links: Sequence[LinkChange]
    files: Sequence[FileChange]
    keys: Sequence[str] = ()

    def apply(self) -> None:
        """Make the change. Raises EditedMeanwhile and ForeignOwner with part of it done: undo it then."""
        self._relink([(one.path, one.new) for one in self.links if one.new is not None])
        for change in self.files:
            if change.old != change.new:
                _write(change.path, change.old, change.new, ours=change.ours)
        self._relink([(one.path, one.new) for one in self.links if one.new is None])

    @staticmethod
    def _relink(links: Sequence[tuple[Path, str | None]]) -> None:
        for path, target in links:
            files.link(path, target)
        for folder in {path.parent for path, _target in links}:
            files.sync_folder(folder)

    def overlay(self) -> dict[str, bytes | None]:
        """Path → content as it will be, for who wants to look ahead."""
        return {os.path.realpath(one.path): one.new for one in self.files}

    def made(self) -> bool:
        """Whether everything is on disk as it was meant to be."""
        return all(_content(one.path) == one.new for one in self.files) and all(
            _target(change.path) == change.new for change in self.links
        )

    def undo(self) -> list[Path]:
        """Put everything back, in the opposite order; returns files that were left: with somebody's newer edit, or
        no longer ours to change."""
        left = []
        self._relink([(one.path, one.old) for one in self.links if one.new is None])
        for one in reversed(self.files):
            now = _content(one.path)
            if now == one.old:
                continue
            if not one.ours and now != one.new:
                left.append(one.path)
                continue
            try:
                _write(one.path, now, one.old, ours=one.ours)
            except (EditedMeanwhile, files.ForeignOwner):
                # One file must not keep the others, and every later change, from being put right.
                left.append(one.path)
        self._relink([(one.path, one.old) for one in self.links if one.new is not None])
        return left


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _target(path: Path) -> str | None:
    try:
        return os.readlink(path)
    except FileNotFoundError:
        return None


def _write(path: Path, expected: bytes | None, content: bytes | None, *, ours: bool) -> None:
    if ours:
        if content is None:
            path.unlink(missing_ok=True)
            files.sync_folder(path.parent)
        else:
            files.replace(path, content, OWN_MODE)
        return
    files.must_be_trusted(path)
    if content is None or expected is None or _content(path) != expected:
        raise EditedMeanwhile(path)
    try:
        files.replace_like(path, content, expected)
    except (files.ChangedMeanwhile, FileNotFoundError) as error:
        raise EditedMeanwhile(path) from error
    except OSError as error:
        if error.errno not in _NOT_OURS_TO_CHANGE:
            raise
        raise files.ForeignOwner(path, f"cannot be replaced: {error.strerror}") from error


class Journal:
    """The journal of one helper directory: `journal.json` while a change is under way, `tested` once nginx took it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.json"
        self._tested = folder / "journal.tested"

    def begin(self, changes: Changes) -> None:
        """Write down what is about to change; on return it survives a power cut."""
        if self._path.exists():
            raise RuntimeError("an unsettled journal is there")
        self._tested.unlink(missing_ok=True)
        files.replace(self._path, json.dumps(_to_plain(changes)).encode(), 0o600)

    def tested(self) -> None:
        """The configuration test passed: from here on the change may be finished instead of undone."""
        files.replace(self._tested, b"", 0o600)

    def end(self) -> None:
        """The change is whole, or wholly undone."""
        self._path.unlink(missing_ok=True)
        self._tested.unlink(missing_ok=True)
        files.sync_folder(self._path.parent)

    def unfinished(self) -> tuple[Changes, bool] | None:
        """What a killed process left, and whether the configuration test had passed."""
        try:
            data: Mapping[str, Any] = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            # A kill between the two unlinks of `end` leaves the mark alone.
            self._tested.unlink(missing_ok=True)
            return None
        return _from_plain(data), self._tested.exists()


def _to_plain(changes: Changes) -> dict[str, object]:
    # Latin 1 maps each byte to one character and back, whatever encoding a configuration file has.
    return {
        "links": [[os.fspath(one.path), one.old, one.new] for one in changes.links],
        "files": [[os.fspath(one.path), _text(one.old), _text(one.new), one.ours] for one in changes.files],
        "keys": list(changes.keys),
    }


def _from_plain(data: Mapping[str, Any]) -> Changes:
    return Changes(
        links=[LinkChange(Path(path), old, new) for path, old, new in data["links"]],
        files=[FileChange(Path(path), _bytes(old), _bytes(new), ours) for path, old, new, ours in data["files"]],
        keys=tuple(data["keys"]),
    )


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("latin-1")


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")
