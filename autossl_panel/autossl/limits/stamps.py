"""The stamp: what tells that this database is not an old copy, nor a copied one, of what has asked the CA.

A file beside the account keys (0600) and the account's row carry the same random stamp and a count of permits. The
row counts in the transaction of the permit; the file follows after its commit and **before the request**. So for every
request ever sent the file counts at least as far as its permit:

    row ≥ file   nothing that was sent is missing here (the file may lag where a process died before it sent)
    row < file   an older copy of the database: exactly file - row permits are missing, sent or not
    otherwise    (no file, another stamp, a file that was itself copied) nobody knows how many

The file knows its own inode and this machine, so that a copied folder is noticed. A whole machine that is set back or
copied, disk and all, notices nothing by itself: `start_spent` is for who did it.
"""

import fcntl
import json
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Max

from autossl_panel.people import audit
from autossl_panel.people.models import User

from ..ledger import Kind
from ..models import Account, Bucket, Order, Provider
from . import rows

LENGTH = 256


class StampProblem(Exception):
    """The stamp cannot be kept; without it no request may be sent. The text names the file and the cause."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the file says."""

    stamp: str
    count: int


def path_of(account: Account) -> Path:
    """The file of an account's stamp."""
    folder: Path = settings.AUTOSSL_STATE_DIR / "accounts"
    return folder / f"{account.provider_id}-{account.server_id}.ledger"


def look(account: Account, *, now: datetime, keep: timedelta) -> None:
    """Compare file and row (locked by the caller); a difference is put down on the row as a loss at `now`.

    `keep`: for how long a loss counts. Changes the row's `ledger_` fields; the caller saves them. Raises StampProblem.
    """
    path = path_of(account)
    try:
        found = _read(path)
        virgin = not account.ledger_stamp and not account.ledger_count
        # An order without a URL may be the very one that this permit is for, saved in the same transaction.
        if virgin and not Order.objects.filter(account=account).exclude(url="").exists():
            # Nothing was ever asked by this row; what is lost, if anything, is what the file has counted.
            if found is None and not path.exists():
                account.ledger_stamp = _make(path, 0)
                return
            if found is not None and found.count == 0:
                account.ledger_stamp = found.stamp
                return
        if found is None or found.stamp != account.ledger_stamp:
            count = max(account.ledger_count, found.count if found is not None else 0)
            account.ledger_stamp = _make(path, count)
            _lost(account, now, found.count if virgin and found is not None else None, count, keep)
        elif found.count > account.ledger_count:
            _lost(account, now, found.count - account.ledger_count, found.count, keep)
    except OSError as error:
        raise StampProblem(f"{path}: {error.strerror or error}") from error


def _lost(account: Account, now: datetime, number: int | None, count: int, keep: timedelta) -> None:
    before = account.ledger_spent_at
    if before is not None and now - before < keep and number is not None:
        # Both losses count; that the older one is dated later costs only time.
        number = None if account.ledger_lost is None else account.ledger_lost + number
    account.ledger_count = count
    _spend_all(account, now, number, None)


def start_spent(account: Account, *, now: datetime, by: User | None) -> None:
    """A person says that permits were given that nothing here can know of: a whole machine was set back, or copied."""
    with transaction.atomic():
        row = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("provider").get(pk=account.pk)
        _spend_all(row, now, None, by)
        row.save(update_fields=["ledger_spent_at", "ledger_lost"])


def _spend_all(account: Account, now: datetime, number: int | None, by: User | None) -> None:
    # Later than anything that is written down, also by who heard the CA's time a little ahead of us.
    mine = (rows.shared_owner(account.provider), rows.own_owner(account))
    buckets = Bucket.objects.filter(owner__in=mine).exclude(kind=Kind.REQUESTS)
    latest = buckets.aggregate(mark=Max("mark"))["mark"] or 0.0
    account.ledger_spent_at = max(now, datetime.fromtimestamp(latest, UTC)) + timedelta(milliseconds=1)
    account.ledger_lost = number
    audit.record(by, "limits:started_spent", account.provider.name, after={"permits_lost": number})


def hold_still(provider: Provider) -> list[Account]:
    """Lock all accounts at a provider's directory until the transaction ends: nobody is given a permit there meanwhile.

    Before the provider's own row is locked, never after: whoever has a permit holds its account, and asks for a share
    of the provider as its order is committed.
    """
    shared = rows.shared_owner(provider)
    known = Account.objects.values_list("pk", "provider__directory_url")
    there = [pk for pk, url in known if rows.directory_owner(url) == shared]
    # Always in the same order
    return list(Account.objects.select_for_update().filter(pk__in=there).order_by("pk"))


def leave(provider: Provider) -> None:
    """Before the accounts of a provider are removed, in that transaction: what counts for them alone goes with them.

    What they may have lost of the buckets that they share stays with one of the others at the directory. Where the
    provider's row is locked, `hold_still` comes before that.
    """
    found = hold_still(provider)
    gone = [account for account in found if account.provider_id == provider.pk]
    heir = next((account for account in found if account.provider_id != provider.pk), None)
    Bucket.objects.filter(owner__in=[rows.own_owner(account) for account in gone]).delete()
    if heir is None:
        return
    for account in gone:
        _hand_on(account, heir, rows.longest(rows.limits_at(provider)))
    heir.save(update_fields=["ledger_spent_at", "ledger_lost"])


def _hand_on(account: Account, heir: Account, keep: timedelta) -> None:
    """Have `heir` count what `account` may have lost, which counts for so long."""
    given, had = account.ledger_spent_at, heir.ledger_spent_at
    if given is None or (had is not None and had - given > keep):
        return
    both = had is not None and given - had <= keep
    known = [heir.ledger_lost, account.ledger_lost] if both else [account.ledger_lost]
    # Both losses count; that the older one is dated later costs only time.
    heir.ledger_lost = None if None in known else sum(filter(None, known))
    heir.ledger_spent_at = max(given, had) if had is not None and both else given


def note(path: Path, stamp: str, count: int, *, sync: bool) -> None:
    """Have the file count up to `count`; called between the commit and the request. Raises StampProblem.

    Without `sync` a power failure may lose it, together with the permit: enough for an order that is free, one of which
    more or less in a week no limit is too narrow for.
    """
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        # The next look finds it missing, and everything spent.
        return
    except OSError as error:
        raise StampProblem(f"{path}: {error.strerror or error}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        known = _parse(os.pread(descriptor, LENGTH, 0), descriptor)
        if known is not None and known.stamp == stamp and known.count < count:
            _write(descriptor, Stamp(stamp, count), sync=sync)
    except OSError as error:
        raise StampProblem(f"{path}: {error.strerror or error}") from error
    finally:
        os.close(descriptor)


def _make(path: Path, count: int) -> str:
    """A new file with a new stamp, in place of any other."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
    stamp = secrets.token_hex(16)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        _write(descriptor, Stamp(stamp, count), sync=True)
    finally:
        os.close(descriptor)
    draft.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return stamp


def _write(descriptor: int, stamp: Stamp, *, sync: bool) -> None:
    said = {
        "stamp": stamp.stamp,
        "count": stamp.count,
        "inode": os.fstat(descriptor).st_ino,
        "machine": _machine(),
    }
    # One write of a fixed length in place: a new file would have a new inode.
    os.pwrite(descriptor, json.dumps(said).encode("ascii").ljust(LENGTH - 1) + b"\n", 0)
    if sync:
        os.fsync(descriptor)


def _read(path: Path) -> Stamp | None:
    """What the file says; None where there is none, or one that is not this machine's own."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        return _parse(os.pread(descriptor, LENGTH, 0), descriptor)
    finally:
        os.close(descriptor)


def _parse(text: bytes, descriptor: int) -> Stamp | None:
    try:
        said = json.loads(text)
        found = Stamp(str(said["stamp"]), int(said["count"]))
        own = said["inode"] == os.fstat(descriptor).st_ino and said["machine"] == _machine()
    except (ValueError, TypeError, KeyError):
        return None
    return found if own else None


@cache
def _machine() -> str:
    try:
        return Path("/etc/machine-id").read_text(encoding="ascii").strip()[:64]
    except (OSError, UnicodeDecodeError):
        return ""
