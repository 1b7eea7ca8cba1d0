"""SIGKILL to each kind of process in the middle of a run: it ends all the same, and nothing is ordered twice."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from autossl_panel import pki
from autossl_panel.sandbox.box import Box
from tests.support.patience import within
from tests.support.postgresql import PostgreSQL
from tests.support.server import PanelOnBox

USERS, SITES_EACH = 8, 5
SITES = USERS * SITES_EACH
# Wide enough for all; every order has its permit
LIMITS = ("orders=1000/3h", "domain=1000/7d", "set=50/7d", "failures=50/1h", "consecutive=1000", "requests=1000/1s")
# Orders in hand when something dies: their permits may be spent twice
IN_HAND = 8
# From the kill to the end of the run
SECONDS = 300


class Served:
    """A panel that serves on a box of 40 sites, and the processes of its workers."""

    def __init__(self, box: Box, panel: PanelOnBox, database_url: str) -> None:
        self.box, self.panel, self._database_url = box, panel, database_url

    def _one(self, query: str) -> str:
        if self._database_url:
            with psycopg.connect(self._database_url) as connection:
                row = connection.execute(query.encode()).fetchone()
        else:
            file = self.panel.folder / "state" / "autossl.sqlite3"
            with closing(sqlite3.connect(file, timeout=30)) as database:
                row = database.execute(query).fetchone()
        return str(row[0]) if row else ""

    def count(self, query: str) -> int:
        """A number that a query answers."""
        return int(self._one(query))

    def pid_of(self, victim: str) -> int:
        """The process id of a victim by its role."""
        serve = self.panel.panel.serve_pid
        assert serve is not None
        if victim == "helper":
            return next(pid for pid in children(serve) if "autossl_panel.helper" in command(pid))
        main = next(pid for pid in children(serve) if "autossl.cluster" in command(pid))
        sentinel = next(pid for pid in children(main))
        # In the order they are made: two workers, the monitor, the pusher
        first, second, monitor, _pusher = children(sentinel)
        runner = int(self._one("select holder from autossl_slot where holder <> ''").split(":")[1])
        assert runner in (first, second)
        idle = second if runner == first else first
        return {"main": main, "monitor": monitor, "runner": runner, "idle worker": idle}[victim]


def children(pid: int) -> list[int]:
    """In the order they were made, as the kernel tells them: their numbers begin anew at some time."""
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def left_behind(folder: Path) -> list[str]:
    """Processes whose environment names the panel's folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder).encode() in (entry / "environ").read_bytes() and entry.name != str(os.getpid()):
                found.append(command(int(entry.name)))
        except OSError:
            continue
    return found


def besides_check(folder: Path) -> list[str]:
    return [line for line in left_behind(folder) if "autossl_check" not in line]


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    database_url = ""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        database_url = server.url(f"kill{time.monotonic_ns()}")
    with Box(users=USERS, per_user=SITES_EACH) as box, PanelOnBox(box, database_url=database_url) as panel:
        panel.set_up()
        panel.run("provider", "limits", "pebble", "--set", *LIMITS)
        panel.serve()
        yield Served(box, panel, database_url)


# One over each database; tests/autossl/test_on_postgresql.py has claims and endings over the other one.
QUICK = {("runner", "sqlite"), ("main", "postgresql")}
EVERY = [
    pytest.param(
        victim,
        database,
        marks=() if (victim, database) in QUICK else pytest.mark.slow,
        id=f"{victim}-{database}".replace(" ", "-"),
    )
    for victim in ("runner", "idle worker", "main", "monitor", "helper")
    for database in ("sqlite", "postgresql")
]


@pytest.mark.parametrize(("victim", "served"), EVERY, indirect=["served"])
def test_a_killed_process_costs_a_moment_and_no_certificate(victim: str, served: Served) -> None:
    box, panel = served.box, served.panel
    check = subprocess.Popen(
        [*panel.panel.argv, "autossl_check", "--all"],
        env=panel.panel.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for_certificates(box, 8)
        pid = served.pid_of(victim)
        os.kill(pid, signal.SIGKILL)
        output, _nothing = check.communicate(timeout=SECONDS)
    finally:
        if check.poll() is None:
            check.kill()
            check.wait()
    assert check.returncode == 0, f"{output}\n{panel.panel.log_tail()}"
    issued = box.issued()
    assert len(issued) == SITES
    assert set(issued.values()) == {1}, "no site may get a second certificate"
    # A permit that was held by who died stays spent; none is missing, and the count goes on.
    spent = served.count("select sum(used) from autossl_bucket where kind = 'orders'")
    assert SITES <= spent <= SITES + IN_HAND
    assert served.count("select count(*) from autossl_bucket where kind = 'set' and used > 0") == SITES
    assert served.count("select count(*) from autossl_account where ledger_spent_at is not null") == 0
    serials = {f"{int(one.serial, 16):x}" for one in box.issuances()}
    for site in box.sites.values():
        for name in site.names:
            shown = pki.handshake(box.address, box.https_port, name)
            assert shown.facts is not None, f"{name}: {shown.problem}"
            assert f"{int(shown.facts.serial, 16):x}" in serials
    assert {row["state"] for row in panel.status().values()} == {"secured"}
    panel.panel.stop()
    assert left_behind(panel.folder) == []
    helper = panel.folder / "state" / "helper"
    assert list((helper / "staged").iterdir()) == []
    assert not (helper / "journal.json").exists()


@pytest.mark.parametrize("served", ["sqlite"], indirect=True)
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_a_panel_that_is_stopped_in_the_middle_leaves_nothing_and_goes_on_later(
    served: Served, number: signal.Signals
) -> None:
    box, panel = served.box, served.panel
    check = subprocess.Popen([*panel.panel.argv, "autossl_check", "--all"], env=panel.panel.environment)
    try:
        wait_for_certificates(box, 5)
        serve = panel.panel.serve_pid
        assert serve is not None
        os.kill(serve, number)
        assert within(lambda: not panel.panel.serving), "it does not end"
        assert within(lambda: not besides_check(panel.folder)), besides_check(panel.folder)
        if number == signal.SIGTERM:
            # Given back, not abandoned
            assert served.count("select count(*) from autossl_job where state = 'running'") == 0
        panel.panel.stop()
        panel.serve()
        assert check.wait(timeout=SECONDS) == 0, panel.panel.log_tail()
    finally:
        if check.poll() is None:
            check.kill()
            check.wait()
    assert set(box.issued().values()) == {1}
    assert len(box.issued()) == SITES
    assert {row["state"] for row in panel.status().values()} == {"secured"}


def wait_for_certificates(box: Box, number: int) -> None:
    assert within(lambda: len(box.issuances()) >= number), "the run does not begin"
