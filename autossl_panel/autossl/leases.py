"""Rights that one holder has for a while, by the database's clock: to install on a server, to survey a run.

Whoever dies loses them by not renewing. That clock may be set back: none holds for longer than it was taken for.
Nothing here knows what they are for.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from pathlib import Path

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from .models import Lease

# Seconds after which a lease that ran out is not even remembered
FORGOTTEN_AFTER = 86_400.0
# No work takes a lease for longer; pauses may
LONGEST_WORK = 600.0
# Who takes a lease of a name may do so for another time than its holder: what holds this much longer was not taken so
SPARE = 120.0


def new_holder() -> str:
    """A name for this process's work, never used twice; it tells its neighbours when the process is gone."""
    pid = os.getpid()
    return f"{_place()}:{pid}:{_started(pid)}:{uuid.uuid4().hex[:8]}"


def gone(holder: str) -> bool:
    """Whether a holder is surely dead: a process of this very machine that is no more. Others may only be late."""
    place, _colon, rest = holder.rpartition(":")[0].partition(":")
    pid, _colon, started = rest.partition(":")
    return place == _place() and pid.isdecimal() and _started(int(pid)) != started


@cache
def _place() -> str:
    """This machine and its numbering of processes: containers of one host count on their own."""
    return f"{socket.gethostname().replace(':', '-')[:16]}-{os.stat('/proc/self/ns/pid').st_ino}"


def _started(pid: int) -> str:
    """When a process began, in clock ticks: its number alone may be another's by now. "" where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # A killed process that nobody has asked for yet is as good as gone.
    return "" if fields[0] in "ZX" else fields[19]


def later(seconds: float) -> Combinable:
    """The moment `seconds` from now by the database's clock, which all hosts share."""
    return Now() + timedelta(seconds=seconds)


def take(name: str, holder: str, seconds: float) -> bool:
    """Take a lease that nobody holds, or that `holder` has already; True when it is ours for `seconds`.

    One that ends far later than it can have been taken for, because the clock was set back meanwhile, is left to its
    holder, who may be at work, for `seconds` from now.
    """
    free = Q(until__isnull=True) | Q(until__lt=Now()) | Q(holder=holder)
    mine = Lease.objects.filter(name=name)
    if mine.filter(free).update(holder=holder, until=later(seconds)):
        return True
    if (row := mine.first()) is not None:
        if gone(row.holder):
            return bool(mine.filter(holder=row.holder).update(holder=holder, until=later(seconds)))
        mine.filter(until__gt=later(max(2 * seconds, SPARE))).update(until=later(seconds))
        return False
    # Another may make it in the same moment: the update decides between us.
    Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
    return bool(mine.filter(free).update(holder=holder, until=later(seconds)))


def held(name: str) -> bool:
    """Whether somebody who is not surely dead holds a lease for its work."""
    row = Lease.objects.filter(name=name, until__gte=Now(), until__lte=later(LONGEST_WORK)).first()
    return row is not None and not gone(row.holder)


def renew(name: str, holder: str, seconds: float) -> bool:
    """Keep a lease that has not run out; False when it is no longer ours."""
    held = Lease.objects.filter(name=name, holder=holder, until__gte=Now())
    return bool(held.update(until=later(seconds)))


def release(name: str, holder: str) -> None:
    """Give a lease back; harmless when it is another's by now."""
    Lease.objects.filter(name=name, holder=holder).update(holder="", until=None)


def forget() -> int:
    """Remove what nobody holds: each run and preview has a name of its own, never used again. Returns how many."""
    nobodys = Q(until__isnull=True) | Q(until__lt=later(-FORGOTTEN_AFTER))
    return Lease.objects.filter(nobodys).delete()[0]


@contextmanager
def kept(name: str, holder: str, seconds: float, *, also: Callable[[], None] | None = None) -> Iterator[bool]:
    """Try for a lease, renew it (and call `also`) from a thread while the work lasts, give it back at the end.

    Yields whether it was ours.
    """
    if not take(name, holder, seconds):
        yield False
        return
    done = threading.Event()

    def keep() -> None:
        try:
            while not done.wait(seconds / 6):
                renew(name, holder, seconds)
                if also is not None:
                    also()
        finally:
            connection.close()

    keeper = threading.Thread(target=keep, name=f"lease {name}")
    keeper.start()
    try:
        yield True
    finally:
        done.set()
        keeper.join()
        release(name, holder)
