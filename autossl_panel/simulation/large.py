"""The year with everything on estates that show time and memory: each play in a process of its own, figures kept in a
file beside the page, so that what was not played anew keeps its day.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import autossl_panel

USUAL, LARGEST = 30_000, 1_000_000
DAYS = 365


class LargeProblem(RuntimeError):
    """A play that gave no figures, or a file of figures that cannot be read."""


@dataclass(frozen=True, slots=True)
class Large:
    """The figures of one play: `seconds` it took, `worked` at work on a processor (None: not noted), `peak_kb` of
    memory, on so many `cores`, on a `day` (ISO 8601).
    """

    virtual_hosts: int
    days: int
    orders: int
    expired_while_renewable: int
    refused_429: int
    seconds: float
    peak_kb: int
    cores: int
    day: str
    worked: float | None = None


def play(hosts: int, days: int, today: date) -> Large:
    """Play a year in a process of its own, whose peak of memory is nobody else's. Raises LargeProblem."""
    words = [sys.executable, "-m", "autossl_panel", "simulate", "--brief", "--hosts", str(hosts), "--days", str(days)]
    paths = [str(Path(autossl_panel.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    with subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    ) as child:
        assert child.stdout is not None
        text = child.stdout.read()
        _pid, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    try:
        said = json.loads(text.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise LargeProblem(f"a play of {hosts:,} sites ended with {child.returncode} and no figures") from error
    worked = round(usage.ru_utime + usage.ru_stime, 1)
    return Large(**said, peak_kb=usage.ru_maxrss, cores=os.cpu_count() or 1, day=today.isoformat(), worked=worked)


def read(path: Path) -> list[Large]:
    """The figures of a file; none where there is no file. Raises LargeProblem, OSError."""
    if not path.exists():
        return []
    try:
        return [Large(**one) for one in json.loads(path.read_text(encoding="utf-8"))["plays"]]
    except (ValueError, TypeError, KeyError) as error:
        raise LargeProblem(f"{path}: these are no figures of plays ({error})") from error


def keep(path: Path, known: Iterable[Large], played: Iterable[Large]) -> Sequence[Large]:
    """Write what was played over what was known of the same size; returns all, the smallest first. Raises OSError."""
    found = {(one.virtual_hosts, one.days): one for one in (*known, *played)}
    all_of_them = [found[key] for key in sorted(found)]
    text = json.dumps({"plays": [asdict(one) for one in all_of_them]}, indent=2)
    path.write_text(f"{text}\n", encoding="utf-8")
    return all_of_them
