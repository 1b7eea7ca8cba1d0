"""A PostgreSQL server of the test's own: never as root, on a free port of a claimed address, ended by pid."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

from autossl_panel.sandbox.addresses import claim_address, free_port
from autossl_panel.sandbox.processes import Processes, SandboxProblem

USER = "autossl"


def programs() -> Path:
    """The folder with `initdb` and `postgres` of the newest PostgreSQL; raises SandboxProblem when there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if not folders:
        raise SandboxProblem("PostgreSQL is not installed: on Debian, apt-get install postgresql")
    return folders[-1].parent


class PostgreSQL:
    """A started server without durability; `url(name)` makes a database of its own and returns its DATABASE_URL."""

    def __init__(self) -> None:
        self._claim = claim_address()
        self.address, self.port = self._claim.address, free_port(self._claim.address, 5432)
        self._folder = Path(tempfile.mkdtemp(prefix="aspg"))
        self._bin = programs()
        self._drop: list[str] = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            account = _account()
            os.chown(self._folder, account.pw_uid, account.pw_gid)
            self._drop = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups"]
        self._processes = Processes()
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        data = self._folder / "data"
        initdb = [
            str(self._bin / "initdb"),
            "-D",
            str(data),
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        ]
        made = subprocess.run([*self._drop, *initdb], capture_output=True, text=True, timeout=120, cwd="/", check=False)
        if made.returncode != 0:
            raise SandboxProblem(f"initdb\n{made.stdout}{made.stderr}")
        options = {
            "listen_addresses": self.address,
            "port": str(self.port),
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "shared_buffers": "64MB",
        }
        settings = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        process = self._processes.start(
            "postgres",
            [*self._drop, str(self._bin / "postgres"), "-D", str(data), *settings],
            log=self._folder / "log",
            cwd=Path("/"),
        )
        process.wait_listening(self.address, self.port, seconds=60)
        self._process = process
        self._wait_until_it_answers()

    def _wait_until_it_answers(self, seconds: float = 60) -> None:
        """It listens a moment before it takes sessions."""
        ask = [str(self._bin / "pg_isready"), "-q", "-h", self.address, "-p", str(self.port), "-U", USER]
        deadline = time.monotonic() + seconds
        while subprocess.run(ask, timeout=60, check=False).returncode != 0:
            if time.monotonic() > deadline or not self._process.alive:
                raise SandboxProblem(f"postgres does not answer\n{self._process.log_tail()}")
            time.sleep(0.02)

    @property
    def root_owned(self) -> bool:
        """Whether the server's process belongs to root."""
        return Path(f"/proc/{self._process.pid}").stat().st_uid == 0

    def url(self, database: str) -> str:
        """Make an empty database of this name; its DATABASE_URL."""
        where = ["-h", self.address, "-p", str(self.port), "-U", USER]
        createdb = [str(self._bin / "createdb"), *where, database]
        made = subprocess.run(createdb, capture_output=True, text=True, timeout=60, check=False)
        if made.returncode != 0:
            raise SandboxProblem(made.stderr)
        return f"postgres://{USER}@{self.address}:{self.port}/{database}"

    def stop(self) -> None:
        """End it at once, with what is connected to it, and remove its folder."""
        if hasattr(self, "_process"):
            # SIGTERM would wait for clients to leave.
            self._process.stop(signal.SIGQUIT)
        self._processes.stop()
        self._claim.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> PostgreSQL:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
