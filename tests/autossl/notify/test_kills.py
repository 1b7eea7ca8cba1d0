"""SIGKILL of a sending worker at each step, on both databases: every message arrives, and only a death between the
server's answer and our commit sends one twice, with the same Message-ID.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.patience import SECONDS
from tests.support.postgresql import PostgreSQL
from tests.support.smtp import SmtpServer

ROOT = Path(__file__).resolve().parents[3]


class Panel:
    """A database with a worker's part that runs in processes of its own."""

    def __init__(self, folder: Path, database_url: str, smtp: SmtpServer) -> None:
        self.folder, self.database_url = folder, database_url
        self.environment = {
            **os.environ,
            "AUTOSSL_STATE_DIR": str(folder),
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "autossl_panel.settings",
            "AUTOSSL_SMTP_URL": smtp.url,
            "AUTOSSL_MAIL_FROM": "autossl@panel.example",
            "AUTOSSL_SERVER": "web.example",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(migrate, cwd=ROOT, env=self.environment, timeout=300, check=True)
        argv = [sys.executable, "-m", "tests.autossl.notify.sender"]
        pipe = subprocess.PIPE
        self._other = subprocess.Popen(argv, cwd=ROOT, env=self.environment, stdin=pipe, stdout=pipe, text=True)

    def do(self, what: str, number: int = 0) -> Any:
        """Have another process do it, which nobody kills."""
        assert self._other.stdin is not None
        assert self._other.stdout is not None
        print(what, number, file=self._other.stdin, flush=True)
        return json.loads(self._other.stdout.readline())

    def end(self) -> None:
        """The other process ends with its input."""
        self._other.communicate()

    def start(self, what: str, number: int = 0) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "tests.autossl.notify.sender", what, str(number)]
        return subprocess.Popen(argv, cwd=ROOT, env=self.environment, stdout=subprocess.DEVNULL)

    def hold(self) -> Callable[[], None]:
        """Keep everybody from writing to messages, as a slow disk would; returns what lets go."""
        if self.database_url:
            server = psycopg.connect(self.database_url)
            server.execute("LOCK TABLE autossl_message IN EXCLUSIVE MODE")

            def let_go() -> None:
                # PostgreSQL would go on with what a dead client asked for last: then nothing is sent twice at all.
                waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                server.execute(waiting).fetchall()
                server.close()

            return let_go
        file = sqlite3.connect(
            self.folder / "autossl.sqlite3", timeout=30, check_same_thread=False, isolation_level=None
        )
        file.execute("BEGIN IMMEDIATE")
        return file.close


@pytest.fixture(scope="module")
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def panel(request: pytest.FixtureRequest, smtp: SmtpServer) -> Iterator[Panel]:
    folder = Path(tempfile.mkdtemp(prefix="as"))
    database_url = ""
    if request.param == "postgresql":
        server: PostgreSQL = request.getfixturevalue("postgresql")
        database_url = server.url("kills_of_notify")
    try:
        made = Panel(folder, database_url, smtp)
        try:
            yield made
        finally:
            made.end()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _empty(smtp: SmtpServer) -> None:
    smtp.postbox.taken.clear()
    smtp.postbox.steps.clear()
    smtp.postbox.at = lambda step: None


@pytest.mark.parametrize(
    ("step", "copies"),
    [
        pytest.param("EHLO", 1, id="claimed, before it said who it is"),
        pytest.param("MAIL", 1, id="before the first word of the mail"),
        pytest.param("RCPT", 1, id="before the recipient was taken"),
        pytest.param("DATA", 2, id="the server has it, the answer never came"),
    ],
)
def test_a_worker_that_is_killed_while_it_sends(panel, smtp, step, copies):
    idents = panel.do("make", 3)
    there, dead = threading.Event(), threading.Event()

    def at(seen: str) -> None:
        if seen == step and not there.is_set():
            there.set()
            dead.wait(SECONDS)

    smtp.postbox.at = at
    worker = panel.start("deliver")
    try:
        assert there.wait(SECONDS), "it sends"
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        dead.set()
    assert panel.do("show")["messages"][0] == ["queued", 1]
    assert panel.do("deliver") == 2, (
        "the others at once: the dead one's claim is nobody's, its next try is a minute off"
    )
    assert panel.do("deliver", 2) == 1
    found = Counter(mail.ident for mail in smtp.postbox.taken)
    assert found == {f"<{ident}@panel.example>": copies if ident == idents[0] else 1 for ident in idents}
    assert panel.do("show")["messages"] == [["sent", 2], ["sent", 1], ["sent", 1]]


def test_a_worker_that_is_killed_between_the_answer_and_the_commit(panel, smtp):
    [ident] = panel.do("make", 1)
    let_go: list[Callable[[], None]] = []
    there = threading.Event()

    def at(step: str) -> None:
        if step == "DATA" and not there.is_set():
            let_go.append(panel.hold())
            there.set()

    smtp.postbox.at = at
    worker = panel.start("deliver")
    try:
        assert there.wait(SECONDS), "it sends"
        # Its answer is on the way or there; what it writes now has to wait for us.
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(1)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        for release in let_go:
            release()
    assert panel.do("show")["messages"] == [["queued", 1]]
    assert panel.do("deliver", 2) == 1
    assert [mail.ident for mail in smtp.postbox.taken] == [f"<{ident}@panel.example>"] * 2
    first, second = smtp.postbox.taken
    assert (first.message["Date"], first.part("text/plain")) == (second.message["Date"], second.part("text/plain"))
    assert panel.do("show")["messages"] == [["sent", 2]]


def test_two_workers_at_once_send_each_message_once(panel, smtp):
    idents = panel.do("make", 40)
    workers = [panel.start("deliver") for _ in range(3)]
    for worker in workers:
        assert worker.wait(SECONDS) == 0
    found = Counter(mail.ident for mail in smtp.postbox.taken)
    assert found == {f"<{ident}@panel.example>": 1 for ident in idents}


def test_a_worker_that_is_killed_while_it_tells_of_a_run_tells_nobody_twice_and_nobody_nothing(panel, smtp):
    panel.do("fail", 5)
    # It can read, and stands before its first write or in the middle of its one transaction.
    let_go = panel.hold()
    worker = panel.start("tell")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            worker.wait(4)
    finally:
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        let_go()
    assert panel.do("show") == {"messages": [], "notices": 0, "untold": 1}
    assert panel.do("tell") == 6
    assert panel.do("tell") == 0
    found = panel.do("show")
    assert (len(found["messages"]), found["notices"], found["untold"]) == (6, 5, 0)
    assert panel.do("deliver") == 6
    assert sorted(mail.recipient for mail in smtp.postbox.taken) == [
        "admin@example.org", *(f"u{n}@example.org" for n in range(5))
    ]  # fmt: skip
