"""What the kernel says of processes and of this machine. Knows nothing of what is measured."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all its descendants that live now, parents before children, siblings by age."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, at = [root], 0
    while at < len(found):
        found.extend(sorted(children.get(found[at], ())))
        at += 1
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time of these processes and of those of their children that have ended; 0 for one that is gone."""
    return sum(sum(int(ticks) for ticks in fields[11:15]) for pid in pids if (fields := _stat(pid))) / _TICKS


def peak_mb(pid: int) -> float:
    """The most memory (resident set, MB of 10⁶ bytes) the process ever held; 0 when it is gone."""
    try:
        status = (PROC / str(pid) / "status").read_text("utf-8", "replace")
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def command(pid: int) -> list[str]:
    """The words of its command line; empty when it is gone."""
    try:
        return (PROC / str(pid) / "cmdline").read_text("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return []


def parent(pid: int) -> int:
    """Its parent's pid; 0 when it is gone."""
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat that follow the name; the first is the state."""
    try:
        text = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def machine() -> str:
    """One line: processor, memory, system, load before the start."""
    model = re.search(r"^model name\s*:\s*(.+)$", (PROC / "cpuinfo").read_text("utf-8", "replace"), re.MULTILINE)
    total = re.search(r"^MemTotal:\s+(\d+) kB$", (PROC / "meminfo").read_text("utf-8"), re.MULTILINE)
    names = platform.freedesktop_os_release()
    parts = [
        f"{os.cpu_count()} × {model[1].strip() if model else platform.machine()}",
        f"{int(total[1]) * 1024 / 1e9:.0f} GB" if total else "",
        names.get("PRETTY_NAME", platform.system()),
        f"Linux {platform.release().split('-')[0]}",
        f"Python {platform.python_version()}",
        f"load {os.getloadavg()[0]:.1f} at the start",
    ]
    return ", ".join(filter(None, parts))
