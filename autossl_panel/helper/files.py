"""Files that survive a power cut, and the rule whose files may be touched. Nothing here knows what is in them."""

import contextlib
import hashlib
import os
import secrets
import stat
from pathlib import Path

TEMPORARY = ".autossl-"  # no include mask takes a name that begins with a dot


class ChangedMeanwhile(Exception):
    """A file is not any more what it was when it was read."""


class ForeignOwner(Exception):
    """A file that is not ours to change, or that somebody besides root and ourselves could: its `path` and why."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(f"{path}: {text}")
        self.path, self.text = path, text


def temporary(folder: Path) -> Path:
    """A fresh name in `folder` that neither a web server's mask nor a listing of ours takes up."""
    return folder / f"{TEMPORARY}{secrets.token_hex(8)}"


def sync_folder(folder: Path) -> None:
    """Make renames and unlinks in `folder` survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, content: bytes, mode: int, *, durable: bool = True) -> None:
    """Write a file that must not exist yet; the caller's umask does not matter."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, content: bytes, mode: int, *, durable: bool = True) -> None:
    """Put `content` at `path` whole, by one rename; with `durable` it is there after a power cut as well."""
    draft = temporary(path.parent)
    try:
        write_new(draft, content, mode, durable=durable)
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def replace_like(path: Path, content: bytes, expected: bytes) -> None:
    """Replace a file of the admin's: owner, mode and extended attributes stay as they were. No symlinks here.

    Raises ChangedMeanwhile when it does not hold what is `expected`, looked at the instant before.
    """
    before = path.lstat()
    draft = temporary(path.parent)
    try:
        write_new(draft, content, 0o600)
        if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(draft, before.st_uid, before.st_gid)
        for name in os.listxattr(path, follow_symlinks=False):
            # Where the file system or our rights do not allow it, the attribute is a default that comes by itself.
            with contextlib.suppress(OSError):
                os.setxattr(draft, name, os.getxattr(path, name, follow_symlinks=False), follow_symlinks=False)
        draft.chmod(stat.S_IMODE(before.st_mode))
        # Writing took as long as the disk: an editor may have saved meanwhile.
        if path.read_bytes() != expected:
            raise ChangedMeanwhile(str(path))
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def link(path: Path, target: str | None) -> None:
    """Point the symlink `path` at `target` by one rename, or take it away (None). The caller syncs the folder."""
    if target is None:
        path.unlink(missing_ok=True)
        return
    draft = temporary(path.parent)
    draft.symlink_to(target)
    try:
        draft.rename(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def sweep(folder: Path) -> None:
    """Take away drafts that a killed process left in one of our own folders."""
    for entry in os.scandir(folder):
        if entry.name.startswith(TEMPORARY):
            if entry.is_dir(follow_symlinks=False):
                remove_tree(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)


def remove_tree(folder: Path) -> None:
    """Remove one of our own folders of plain files: renamed first, so that no half of it is ever taken for whole."""
    grave = folder if folder.name.startswith(TEMPORARY) else temporary(folder.parent)
    if grave is not folder:
        folder.rename(grave)
    for entry in os.scandir(grave):
        Path(entry.path).unlink()
    grave.rmdir()


def sha256(content: bytes) -> str:
    """Lower hex."""
    return hashlib.sha256(content).hexdigest()


def must_be_trusted(path: Path) -> None:
    """Raise ForeignOwner unless `path`, no symlink, and each folder above belong to root or to ourselves alone."""
    must_be_ours(path)
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ForeignOwner(path, "is not a plain file")
    # What even root may not write is immutable, or its file system is read-only.
    if not os.access(path.parent, os.W_OK) or (os.geteuid() == 0 and not os.access(path, os.W_OK)):
        raise ForeignOwner(path, "cannot be written: read-only or immutable")


def must_be_ours(path: Path) -> None:
    """Raise ForeignOwner when a step of `path`, which has no symlinks, is in the hands of somebody else."""
    for step in (path, *path.parents):
        state = step.lstat()
        if stat.S_ISLNK(state.st_mode):
            raise ForeignOwner(step, "is a symbolic link where a file or folder was expected")
        if state.st_uid not in (0, os.geteuid()):
            raise ForeignOwner(step, f"belongs to user {state.st_uid}, not to root")
        shared_folder = stat.S_ISDIR(state.st_mode) and state.st_mode & stat.S_ISVTX
        if state.st_mode & stat.S_IWOTH and not shared_folder:
            raise ForeignOwner(step, "may be written by everybody")
        if state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getegid()) and not shared_folder:
            raise ForeignOwner(step, f"may be written by group {state.st_gid}")


def read_public(path: Path, limit: int = 1024 * 1024) -> bytes | None:
    """The content of a plain file of at most `limit` bytes, or None; never waits on a pipe or a device."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        content = stream.read(limit + 1)
    return content if len(content) <= limit else None
