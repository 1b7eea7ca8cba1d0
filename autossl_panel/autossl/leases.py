"""Rights that one holder has for a while, by the database's clock: to install on a server, to survey a run.

Whoever dies loses them by not renewing. Nothing here knows what they are for.
"""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from .models import Lease


def new_holder() -> str:
    """A name for this process's work, never used twice: host and pid for people, the rest for uniqueness."""
    return f"{socket.gethostname()[:20]}:{os.getpid()}:{uuid.uuid4().hex[:16]}"


def later(seconds: float) -> Combinable:
    """The moment `seconds` from now by the database's clock, which all hosts share."""
    return Now() + timedelta(seconds=seconds)


def take(name: str, holder: str, seconds: float) -> bool:
    """Take a lease that nobody holds, or that `holder` has already; True when it is ours for `seconds`."""
    free = Q(until__isnull=True) | Q(until__lt=Now()) | Q(holder=holder)
    mine = Lease.objects.filter(name=name)
    if mine.filter(free).update(holder=holder, until=later(seconds)):
        return True
    if mine.exists():
        return False
    # Another may make it in the same moment: the update decides between us.
    Lease.objects.bulk_create([Lease(name=name)], ignore_conflicts=True)
    return bool(mine.filter(free).update(holder=holder, until=later(seconds)))


def renew(name: str, holder: str, seconds: float) -> bool:
    """Keep a lease that has not run out; False when it is no longer ours."""
    held = Lease.objects.filter(name=name, holder=holder, until__gte=Now())
    return bool(held.update(until=later(seconds)))


def release(name: str, holder: str) -> None:
    """Give a lease back; harmless when it is another's by now."""
    Lease.objects.filter(name=name, holder=holder).update(holder="", until=None)


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
