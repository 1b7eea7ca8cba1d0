"""Child processes that end with the box, also when its own process is killed. Knows nothing of what they do."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# Reads one process group a line. At the end of its input, which comes also when the writer is killed, it ends them.
_KEEPER = r"""
trap '' INT HUP TERM
groups=
while read -r word; do
  [ "$word" = done ] && exit 0
  groups="$groups $word"
done
for group in $groups; do kill -s TERM -- "-$group" 2>/dev/null; done
sleep 1
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
exit 0
"""


class SandboxProblem(RuntimeError):
    """Something the sandbox needs is missing or did not start; the text says what, with the end of its log."""


def find_program(name: str, package: str) -> str:
    """The program's path; raises SandboxProblem naming the Debian package when it is missing."""
    found = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise SandboxProblem(f"{name} is not installed: on Debian, apt-get install {package}")
    return found


def _read(path: Path) -> str:
    """The file's text; empty when its process is gone meanwhile."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


class Process:
    """One running program with its log file; made by `Processes.start`."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    def children(self) -> frozenset[int]:
        """Process ids of its direct children."""
        return frozenset(
            int(stat.parent.name)
            for stat in Path("/proc").glob("[0-9]*/stat")
            if (text := _read(stat)) and int(text.rpartition(")")[2].split()[1]) == self.pid
        )

    def log_tail(self, lines: int = 12) -> str:
        """The last lines of what it wrote."""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def wait_listening(self, address: str, port: int, seconds: float = 60) -> None:
        """Return when it accepts connections there; raises SandboxProblem with its log when it does not in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not self.alive:
                break
            with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=1):
                return
            time.sleep(0.01)
        raise SandboxProblem(f"{self.name} does not listen on {address}:{port}\n{self.log_tail()}")

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 10) -> None:
        """End it by its pid: `number` first, SIGKILL to its process group when it does not go in time."""
        if self.alive:
            self._popen.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(seconds)
        # Workers of a program that was killed outlive it in its group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()


class Processes:
    """Starts programs, each in a session of its own, and ends them newest first.

    A shell at the other end of a pipe ends them when this process is gone without having done so. (PR_SET_PDEATHSIG
    would fire when the *thread* that started a program ends.)
    """

    def __init__(self) -> None:
        self._running: list[Process] = []
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program with its output in `log`; raises SandboxProblem when it cannot be executed."""
        with log.open("ab") as stream:
            try:
                popen = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    cwd=cwd,
                    env=None if env is None else dict(env),
                    start_new_session=True,
                )
            except OSError as error:
                raise SandboxProblem(f"{name}: {argv[0]}: {error.strerror}") from error
        self._tell(str(popen.pid))
        process = Process(name, popen, log)
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End all that still run, newest first; harmless when called again."""
        while self._running:
            self._running.pop().stop()
        if self._keeper.poll() is None:
            self._tell("done")
            self._keeper.wait()
        if self._keeper.stdin is not None:
            self._keeper.stdin.close()

    def _tell(self, word: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(word.encode() + b"\n")
        self._keeper.stdin.flush()
