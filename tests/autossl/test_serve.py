"""`serve`: what it refuses, what it restarts, and that it leaves nothing behind. Kills mid-run: tests/end_to_end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from autossl_panel.autossl import lifeline, serve
from autossl_panel.autossl.serve import Child, ServeProblem
from tests.support.patience import within


@pytest.mark.parametrize(
    ("text", "found"),
    [("127.0.0.1:8000", ("127.0.0.1", 8000)), ("[::1]:443", ("::1", 443)), ("0.0.0.0:1", ("0.0.0.0", 1))],
)
def test_where_to_listen(text: str, found: tuple[str, int]) -> None:
    assert serve.parse_bind(text) == found


@pytest.mark.parametrize("text", ["", "8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:70000", "x:http"])
def test_what_is_no_place_to_listen(text: str) -> None:
    with pytest.raises(ServeProblem, match="not ADDRESS:PORT"):
        serve.parse_bind(text)


def test_a_port_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServeProblem, match=f"127.0.0.1:{port} cannot be listened on"):
            serve._port_is_free("127.0.0.1", port)


def sleeper(name: str = "sleeper", seconds: float = 60) -> Child:
    return Child(name, lambda: [sys.executable, "-c", f"import time; time.sleep({seconds})"], dict(os.environ))


def test_a_child_that_dies_is_started_again_and_told_of() -> None:
    child = sleeper()
    said: list[str] = []
    assert child.look(said.append)
    first = child.process
    assert first is not None
    try:
        assert not child.look(said.append), "it runs"
        child.started_at -= serve.STEADY + 1
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert child.look(said.append), "it ran for long: at once"
        assert said == ["sleeper ended with status -9; it is started again"]
        assert child.process is not None
        assert child.process.pid != first.pid
    finally:
        child.remains()


def test_a_child_that_dies_at_once_is_started_ever_later() -> None:
    child = sleeper(seconds=0)
    pauses = []
    for _ in range(7):
        child.not_before = 0
        assert child.look(lambda _text: None)
        assert child.process is not None
        child.process.wait()
        child.look(lambda _text: None)
        pauses.append(child.pause)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]


def test_what_a_child_made_ends_with_it() -> None:
    code = "import subprocess, sys, time; subprocess.Popen(['/bin/sleep', '60']); print(flush=True); time.sleep(60)"
    child = Child("parent", lambda: [sys.executable, "-c", code], dict(os.environ))
    child.start()
    assert child.process is not None
    own = Path(f"/proc/{child.process.pid}/task/{child.process.pid}/children")
    assert within(lambda: bool(own.read_text().split()))
    grandchild = int(own.read_text().split()[0])
    child.remains()
    assert _gone(grandchild)


def _gone(pid: int) -> bool:
    def ended() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    return within(ended)


def test_children_die_with_a_parent_that_is_killed() -> None:
    code = (
        "import os, sys, time\n"
        "from autossl_panel.autossl.cluster import die_with_parent\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    die_with_parent(os.getppid())\n"
        "    print(os.getpid(), flush=True)\n"
        "    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    assert _gone(child)


def test_the_lifeline_ends_when_its_other_end_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lifeline.VARIABLE, raising=False)
    assert not lifeline.ended(), "workers that serve did not start"
    reading, writing = os.pipe()
    try:
        monkeypatch.setenv(lifeline.VARIABLE, str(reading))
        assert not lifeline.ended()
        os.close(writing)
        assert lifeline.ended()
        assert lifeline.ended(), "and stays so"
    finally:
        os.close(reading)


def test_one_at_a_time_and_nothing_of_ours_beside_the_helpers_socket(settings, tmp_path: Path) -> None:
    settings.AUTOSSL_STATE_DIR, settings.AUTOSSL_RUN_DIR = tmp_path, tmp_path / "run"
    with serve._only_one(), pytest.raises(ServeProblem, match="Another serve is running here"), serve._only_one():
        pass
    with serve._only_one():
        pass
    assert not (tmp_path / "run").exists()
