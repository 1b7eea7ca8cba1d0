"""Signs of life that the workers of a server give; `serve` restarts them when none comes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.models.functions import Now

from autossl_panel.hosting.models import Server

from .models import Beat

EVERY = 5.0
# No task but a runner's may take longer: after this it counts as hanging
LONGEST = 240.0


def give(server_id: int) -> None:
    """Say that a task of this server came through the queue, by the database's clock."""
    if not Beat.objects.filter(server_id=server_id).update(at=Now()):
        Beat.objects.bulk_create([Beat(server_id=server_id, at=Now())], ignore_conflicts=True)


@contextmanager
def given(server: Server) -> Iterator[None]:
    """Go on giving signs while a task that may take long is at work: it keeps the beats behind it waiting."""
    done = threading.Event()

    def keep() -> None:
        try:
            for _time in range(int(LONGEST / EVERY)):
                give(server.pk)
                if done.wait(EVERY):
                    return
        finally:
            connection.close()

    keeper = threading.Thread(target=keep, name="signs", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
