"""Runs that find nothing to do, over an estate of 50,000 sites, on a database of each kind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from autossl_panel.helper.client import Client
from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem, find_program
from bench import estate, measure
from bench.estate import Estate
from bench.results import NothingDue
from tests.support.postgresql import PostgreSQL

USERS, EACH = 10_000, 5


def run(repetitions: int, users: int = USERS, each: int = EACH) -> Iterator[NothingDue]:
    """`repetitions` runs on each database; the estate and its helper serve both."""
    folder = Path(tempfile.mkdtemp(prefix="as"))
    try:
        place = estate.build(folder / "estate", users, each)
        for name in ("SQLite", "PostgreSQL"):
            with _helper(place, folder) as helper, database(name) as url:
                settings = {
                    "AUTOSSL_STATE_DIR": str(folder / name),
                    "AUTOSSL_HELPER_DIR": str(place.helper),
                    "AUTOSSL_RUN_DIR": str(folder),
                    "AUTOSSL_HOMES": str(place.homes),
                    "AUTOSSL_NGINX_CONF": str(place.conf),
                    "DJANGO_SETTINGS_MODULE": "autossl_panel.settings",
                }
                if url:
                    settings["DATABASE_URL"] = url
                yield _measure(name, place, Panel(settings, folder / "log"), helper, repetitions)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _helper(place: Estate, folder: Path) -> Iterator[Process]:
    words = ["--helper-dir", str(place.helper), "--socket", str(folder / "helper.sock")]
    nginx = ["--nginx-bin", find_program("nginx", "nginx"), "--nginx-conf", str(place.conf)]
    ports = ["--http-port", str(estate.HTTP_PORT), "--https-port", str(estate.HTTPS_PORT)]
    processes = Processes()
    try:
        process = processes.start(
            "helper",
            [sys.executable, "-m", "autossl_panel.helper", *words, *nginx, *ports],
            log=folder / "helper.log",
        )
        deadline = time.monotonic() + 60
        while not (folder / "helper.sock").exists():
            if not process.alive or time.monotonic() > deadline:
                raise SandboxProblem(f"the helper does not answer\n{process.log_tail()}")
            time.sleep(0.05)
        yield process
    finally:
        processes.stop()


@contextmanager
def database(name: str) -> Iterator[str]:
    """The DATABASE_URL of an empty database of this kind; empty for SQLite, which lies in the state directory."""
    if name == "SQLite":
        yield ""
        return
    with PostgreSQL() as server:
        yield server.url("bench")


def _measure(name: str, place: Estate, panel: Panel, helper: Process, repetitions: int) -> NothingDue:
    panel.run("migrate", "--verbosity", "0")
    first_reading, first_reading_mb = _command(panel, "discover")
    _rows(panel, "settle")
    commands, worker_mb = [], 0.0
    # The first run writes how each site stands; from then on nothing changes.
    for number in range(repetitions + 1):
        seconds, mb = _command(panel, "autossl_check", "--all")
        worker_mb = max(worker_mb, mb)
        if number:
            commands.append(seconds)
    runs = json.loads(_rows(panel, "runs"))
    for one in runs:
        if one["seconds"] is None or one["kept"] != place.sites or one["jobs"]:
            raise SandboxProblem(f"{name}: a run did not end with all sites kept: {one}")
    return NothingDue(
        database=name,
        users=place.users,
        sites=place.sites,
        files=sum(1 for _ in (place.conf.parent / "sites-enabled").iterdir()) + place.sites + 2,
        seconds=[one["seconds"] for one in runs[1:]],
        command=commands,
        helper=_unchanged(panel.environment, repetitions),
        first_reading=first_reading,
        helper_mb=measure.peak_mb(helper.pid),
        worker_mb=worker_mb,
        first_reading_mb=first_reading_mb,
    )


def _command(panel: Panel, *words: str) -> tuple[float, float]:
    """Seconds of a command that works by itself, and its memory at the peak; what it prints goes to a file as it would
    to a pager.
    """
    with tempfile.TemporaryFile() as stream:
        start = time.monotonic()
        process = subprocess.Popen(
            [*panel.argv, *words], env=panel.environment, stdout=stream, stderr=subprocess.STDOUT
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, measure.peak_mb(process.pid))
            time.sleep(0.05)
        seconds = time.monotonic() - start
        if process.returncode != 0:
            stream.seek(0)
            said = stream.read().decode("utf-8", "replace")
            raise SandboxProblem(f"{' '.join(words)}: status {process.returncode}\n{said[-2000:]}")
    return seconds, peak


def _rows(panel: Panel, word: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench.rows", word], env=panel.environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SandboxProblem(f"bench.rows {word}\n{done.stderr[-2000:]}")
    return done.stdout


def _unchanged(environment: Mapping[str, str], repetitions: int) -> list[float]:
    """Seconds of the helper's answer alone."""
    found = []
    with Client(Path(environment["AUTOSSL_RUN_DIR"]) / "helper.sock") as client:
        known = client.inventory().hash
        for _ in range(repetitions):
            start = time.monotonic()
            if not client.inventory(unless=known).unchanged:
                raise SandboxProblem("the helper says that the configuration changed")
            found.append(time.monotonic() - start)
    return found
