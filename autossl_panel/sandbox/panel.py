"""The panel on a box, as an admin runs it: its commands as processes of their own, and `serve`. Imports no Django."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autossl_panel.sandbox.addresses import free_port
from autossl_panel.sandbox.processes import Process, Processes, SandboxProblem

PACKAGE_PARENT = Path(__file__).resolve().parents[2]
DRAIN_SECONDS = 60
# What `serve` says when the web answers, and when it cannot begin.
READY = "AutoSSL Panel is ready"
PORT_IN_USE = "cannot be listened on"
BEATS = """
from autossl_panel.autossl.foreground import workers_alive
from autossl_panel.hosting import servers
print(workers_alive(servers.this()))
"""


class Panel:
    """Runs `autossl-panel` commands with the given AUTOSSL_* settings and nothing else of this process's."""

    def __init__(self, settings: Mapping[str, str], log: Path, say: Callable[[str], None] | None = None) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOSSL_")}
        for name in ("DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
            kept.pop(name, None)
        path = os.pathsep.join(filter(None, [str(PACKAGE_PARENT), kept.get("PYTHONPATH", "")]))
        self.environment = {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **settings}
        self._log = log
        self._say = say
        self._processes: Processes | None = None
        self._serve: Process | None = None

    @property
    def argv(self) -> list[str]:
        return [sys.executable, "-m", "autossl_panel"]

    def run(self, *words: str, stdin: str = "") -> str:
        """Run a command to its end, say and return what it printed; raises SandboxProblem when it fails."""
        self._tell(words)
        result = subprocess.run(
            [*self.argv, *words],
            env=self.environment,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise SandboxProblem(f"autossl-panel {shlex.join(words)}: status {result.returncode}\n{result.stdout}")
        if self._say is not None:
            for line in result.stdout.splitlines():
                self._say(f"  {line}")
        return result.stdout

    def watch(self, *words: str) -> int:
        """Run a command with its output on this terminal; returns its exit status."""
        self._tell(words)
        return subprocess.run([*self.argv, *words], env=self.environment, check=False).returncode

    def status(self) -> Sequence[Mapping[str, Any]]:
        """The virtual hosts of `autossl_status --json`."""
        result = subprocess.run(
            [*self.argv, "autossl_status", "--json"], env=self.environment, stdout=subprocess.PIPE, check=True
        )
        hosts: Sequence[Mapping[str, Any]] = json.loads(result.stdout)["virtual_hosts"]
        return hosts

    def serve(self, address: str, port: int, seconds: float = 60) -> str:
        """Start web, workers and helper; returns the URL when all answer. Takes another port where this one is in use.

        Raises SandboxProblem with the log of `serve` when it ends, or is not ready in time.
        """
        deadline = time.monotonic() + seconds
        self._processes = Processes()
        while True:
            port = free_port(address, port)
            url = f"http://{address}:{port}"
            words = ["serve", "--bind", f"{address}:{port}"]
            self._tell(words)
            self.environment["AUTOSSL_URL"] = url
            self._log.unlink(missing_ok=True)
            self._serve = self._processes.start("serve", [*self.argv, *words], log=self._log, env=self.environment)
            while READY not in self._log.read_text(encoding="utf-8", errors="replace"):
                if not self._serve.alive or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            else:
                self._wait_for_workers(deadline)
                return url
            if PORT_IN_USE not in self._serve.log_tail() or time.monotonic() > deadline:
                raise SandboxProblem(f"the panel does not answer on {address}:{port}\n{self._serve.log_tail(30)}")

    def _wait_for_workers(self, deadline: float) -> None:
        """Without a beat of theirs, a check would do their work itself."""
        while time.monotonic() < deadline:
            asked = [*self.argv, "shell", "--verbosity", "0", "-c", BEATS]
            if (
                subprocess.run(asked, env=self.environment, check=True, stdout=subprocess.PIPE).stdout.strip()
                == b"True"
            ):
                return
            time.sleep(0.2)
        raise SandboxProblem(f"the workers give no sign\n{self.log_tail()}")

    @property
    def serving(self) -> bool:
        """Whether `serve` was started and still runs."""
        return self._serve is not None and self._serve.alive

    @property
    def serve_pid(self) -> int | None:
        return self._serve.pid if self._serve is not None else None

    def log_tail(self) -> str:
        """The last lines of what `serve` wrote."""
        return self._serve.log_tail(30) if self._serve is not None else ""

    def stop(self) -> None:
        """Have `serve` drain and end; harmless when it does not run."""
        if self._serve is not None and self._processes is not None:
            self._serve.stop(signal.SIGTERM, DRAIN_SECONDS)
            self._processes.stop()

    def _tell(self, words: Sequence[str]) -> None:
        if self._say is not None:
            self._say(f"$ autossl-panel {shlex.join(words)}")
