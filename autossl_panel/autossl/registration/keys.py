"""The private keys of ACME accounts: files in the state directory, 0600, never rows; who may use or change one when.

An account's key is `<provider>-<server>.pem`. While it is being replaced, the one that follows lies beside it:
`.new.pem` for the same account (RFC 8555 §7.3.5), `.anew.pem` for a new registration.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path

from django.conf import settings

from autossl_panel.ca.account import new_account_key

from ..models import Account, Provider

PAUSE = 0.05


class Next(StrEnum):
    """What a key that waits beside the account's is for."""

    ROLLED = "new"
    ANEW = "anew"


def folder() -> Path:
    """Where the keys are, made when missing."""
    path: Path = settings.AUTOSSL_STATE_DIR / "accounts"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def path(account: Account, following: Next | None = None) -> Path:
    """The file of the account's key, or of the one that is to follow it."""
    middle = f".{following}" if following else ""
    return folder() / f"{account.provider_id}-{account.server_id}{middle}.pem"


def stamp(account: Account) -> tuple[int, int] | None:
    """Something that changes when the key does; None without one."""
    try:
        found = path(account).stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns


def bundle(provider: Provider, *, draft: bool = False) -> Path | None:
    """A file with the provider's CA bundle, kept in step with the row; None where the system's roots serve.

    `draft`: another file, for a provider as a change would have it.
    """
    if not provider.ca_bundle:
        return None
    file = folder() / f"{provider.pk}-bundle{'.draft' if draft else ''}.pem"
    wanted = provider.ca_bundle.encode()
    if not file.exists() or file.read_bytes() != wanted:
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(wanted)
        fresh.replace(file)
    return file


def made(account: Account, following: Next | None = None) -> bytes:
    """The key in PEM form, made when there is none: on the disk before anybody hears of it."""
    file = path(account, following)
    if not file.exists():
        _write_once(file, new_account_key())
    return file.read_bytes()


def promote(account: Account, following: Next) -> None:
    """Put the key that waited in the account's place, in one step."""
    path(account, following).replace(path(account))
    _sync_folder()


def drop(account: Account, following: Next) -> None:
    """Take away a key that will not be used."""
    path(account, following).unlink(missing_ok=True)


def _write_once(file: Path, content: bytes) -> None:
    """Put `content` at `file` whole and 0600; where another process was first, its content stays."""
    draft = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
    _sync_folder()


def _sync_folder() -> None:
    descriptor = os.open(folder(), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- who may use it -------------------------------------------------------------------------------------------------
#
# Two locks: whoever changes the key holds the gate while it waits for those who use it, so that no new ones come in.
# Both go with the process that held them.


@contextmanager
def in_use(account: Account, *, stop: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """While this lasts nobody changes the key; many may use it at once. False where `stop` came first."""
    with ExitStack() as held:
        with ExitStack() as gate:
            if not _locked(gate, account, "gate", fcntl.LOCK_EX, stop):
                yield False
                return
            ours = _locked(held, account, "lock", fcntl.LOCK_SH, stop)
        yield ours


@contextmanager
def alone(account: Account, *, seconds: float) -> Iterator[bool]:
    """While this lasts nobody else uses the key. False where it was in use for all of `seconds`."""
    ends = time.monotonic() + seconds

    def late() -> bool:
        return time.monotonic() > ends

    with ExitStack() as held:
        if not _locked(held, account, "gate", fcntl.LOCK_EX, late):
            yield False
            return
        yield _locked(held, account, "lock", fcntl.LOCK_EX, late)


def _locked(held: ExitStack, account: Account, name: str, how: int, stop: Callable[[], bool]) -> bool:
    file = folder() / f"{account.provider_id}-{account.server_id}.{name}"
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    held.callback(os.close, descriptor)
    while True:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if stop():
                return False
            time.sleep(PAUSE)
