"""Running nginx: its configuration test, its master process, the reload. What its files say is `webservers`' matter."""

import contextlib
import errno
import ipaddress
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from autossl_panel.helper.protocol import HelperProblem

TEST_SECONDS = 300.0  # 2,000 virtual hosts need 2 s; beyond this something hangs, such as a resolver
_PID = re.compile(rb"^[ \t]*pid[ \t]+([^;#\n]+);", re.MULTILINE)
_OPTION = re.compile(r"--(prefix|pid-path)=(\S+)")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


@dataclass(slots=True)
class Nginx:
    """One nginx: its program and main configuration file."""

    binary: str
    conf: Path
    _compiled: str = ""

    def test(self) -> str | None:
        """What `nginx -t` complains about, None when it passes. HelperProblem 'nginx_missing' without one."""
        result = self._run("-t", "-c", str(self.conf))
        return None if result.returncode == 0 else result.stderr

    def program(self) -> str:
        """The path of the program; HelperProblem 'nginx_missing' without one."""
        program = shutil.which(self.binary, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if program is None:
            raise HelperProblem("nginx_missing", f"There is no program {self.binary}. Set AUTOSSL_NGINX_BIN.")
        return program

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = self.program()
        try:
            return subprocess.run(
                [program, *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TEST_SECONDS,
                check=False,
                cwd="/",
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired as error:
            text = f"nginx {' '.join(arguments)} did not end within {TEST_SECONDS:.0f} seconds."
            raise HelperProblem("nginx_hangs", text) from error

    def pid_file(self) -> Path:
        """Where the master writes its pid: the configuration's `pid`, else what was compiled in."""
        found = _PID.search(self.conf.read_bytes())
        name = os.fsdecode(found[1].strip().strip(b"\"'")) if found else self._option("pid-path", "/run/nginx.pid")
        return Path(self._option("prefix", "/usr/share/nginx")) / name

    def prefix(self) -> Path:
        """What relative docroots are below; a guess where there is no program."""
        try:
            return Path(self._option("prefix", "/usr/share/nginx"))
        except HelperProblem:
            return Path("/usr/share/nginx")

    def has_module(self, name: str) -> bool:
        """Whether this nginx was compiled `--with-<name>`."""
        return f"--with-{name}" in self._compiled_with().split()

    def _option(self, name: str, default: str) -> str:
        found: dict[str, str] = dict(_OPTION.findall(self._compiled_with()))
        return found.get(name, default)

    def _compiled_with(self) -> str:
        if not self._compiled:
            self._compiled = self._run("-V").stderr
        return self._compiled

    def master(self) -> int | None:
        """The pid of the running master, None when nginx is not running."""
        try:
            pid = int(self.pid_file().read_text("ascii"))
            program = Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
        except (OSError, ValueError):
            return None
        # A pid file may outlive its process, and another program may have got the number since.
        return pid if program == Path(self.binary).name[:15] else None

    def reload(self) -> bool:
        """Have the master read its files again; False when it is not running. Only ever after a passed test."""
        pid = self.master()
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGHUP)
        except ProcessLookupError:
            return False
        except PermissionError as error:
            raise _not_ours(pid) from error
        return True

    def sockets(self, pid: int) -> set[str]:
        """The inodes of the sockets of a master and its workers. HelperProblem 'nginx_not_ours' for another user's.

        Old workers hold a socket that the master has just closed; nginx itself waits for them when it binds anew.
        """
        try:
            os.listdir(f"/proc/{pid}/fd")
        except PermissionError as error:
            raise _not_ours(pid) from error
        except FileNotFoundError:
            return set()
        return set().union(*(_sockets_of(one) for one in (pid, *_children(pid))))


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        return []


def _not_ours(pid: int) -> HelperProblem:
    text = f"The helper may not look at or signal nginx's master process {pid}: it belongs to another user."
    return HelperProblem("nginx_not_ours", text)


@dataclass(frozen=True, slots=True)
class Taken:
    """A port that another program listens on."""

    address: str
    port: int
    holder: str


def taken_by_others(listens: Collection[tuple[str, int]], own: Collection[str]) -> list[Taken]:
    """Those addresses and ports where sockets other than our `own` listen: neither -t nor a reload tells."""
    sockets = _listening()
    found = []
    for address, port in sorted(set(listens)):
        if any(at == address and inode in own for at, inode in sockets.get(port, ())):
            continue
        here = sockets.get(port, ())
        others = {inode for at, inode in here if _collide(at, address) and inode not in own}
        if not others and ":" not in address and not any(":" not in at for at, inode in here if inode in own):
            # A listener on [::] that takes IPv4 too looks like any other, but leaves nothing to bind.
            dual = {inode for at, inode in here if at == "::" and inode not in own}
            others = dual if dual and not _free(address, port) else set()
        if others:
            found.append(Taken(address, port, _holder(others)))
    return found


def _free(address: str, port: int) -> bool:
    """Whether nginx could bind there now, tried as nginx does; nobody is listened to meanwhile."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((address, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _collide(one: str, other: str) -> bool:
    if one == other:
        return True
    anywhere = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
    same_family = (":" in one) == (":" in other)
    return same_family and (one in anywhere or other in anywhere)


def _listening() -> dict[int, list[tuple[str, str]]]:
    """port → (address, inode) of each listening TCP socket of this machine."""
    found: dict[int, list[tuple[str, str]]] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), Path(table).open(encoding="ascii") as lines:
            next(lines)
            for line in lines:
                fields = line.split()
                if fields[3] == "0A":
                    address, port = fields[1].split(":")
                    found.setdefault(int(port, 16), []).append((_address(address), fields[9]))
    return found


def _address(text: str) -> str:
    words = [bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))


def _sockets_of(pid: int) -> set[str]:
    found = set()
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{name}")
                if target.startswith("socket:["):
                    found.add(target[8:-1])
    return found


def _holder(inodes: set[str]) -> str:
    for name in os.listdir("/proc"):
        if name.isdecimal() and _sockets_of(int(name)) & inodes:
            with contextlib.suppress(OSError):
                return f"{Path('/proc', name, 'comm').read_text().strip()} (pid {name})"
    return "another program"
