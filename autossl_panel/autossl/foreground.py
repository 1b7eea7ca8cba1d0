"""Working in this process: what commands do where no `serve` runs, and what they share with it where one does."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.conf import settings
from django.db.models.functions import Now

from autossl_panel.helper.client import Client, HelperGone
from autossl_panel.hosting.models import Server

from . import helpers
from .models import Beat

# A beat comes every five seconds; after four missed ones nobody is at work
BEAT_SECONDS = 20


def workers_alive(server: Server) -> bool:
    """Whether workers of `server` gave a sign lately."""
    return Beat.objects.filter(server=server, at__gt=Now() - timedelta(seconds=BEAT_SECONDS)).exists()


@contextmanager
def helper() -> Iterator[Client]:
    """A client of the helper that answers; where none does, one is started for as long as this lasts."""
    client = helpers.client()
    try:
        client.ping()
    except HelperGone:
        quiet = {**os.environ, "AUTOSSL_HELPER_QUIET": "1"}
        process = subprocess.Popen(helper_command(), stdin=subprocess.DEVNULL, env=quiet)
        try:
            _wait_for(client, process)
            yield client
        finally:
            client.close()
            process.terminate()
            process.wait(timeout=30)
        return
    try:
        yield client
    finally:
        client.close()


def helper_command() -> list[str]:
    """The command line of this server's helper."""
    settings.AUTOSSL_RUN_DIR.mkdir(parents=True, exist_ok=True, mode=0o750)
    return [
        sys.executable,
        "-m",
        "autossl_panel.helper",
        "--helper-dir",
        str(settings.AUTOSSL_HELPER_DIR),
        "--socket",
        str(settings.AUTOSSL_HELPER_SOCKET),
        "--nginx-bin",
        settings.AUTOSSL_NGINX_BIN,
        "--nginx-conf",
        str(settings.AUTOSSL_NGINX_CONF),
        "--allow-uid",
        str(os.getuid()),
    ]


def _wait_for(client: Client, process: subprocess.Popen[bytes], seconds: float = 15) -> None:
    """Return when the helper answers; raises HelperGone where it ended or never does."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            client.ping()
            return
        except HelperGone:
            if process.poll() is not None:
                raise HelperGone(f"it ended at once with status {process.returncode}; its message is above") from None
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
