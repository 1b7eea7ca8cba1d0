"""How fast the pages of a panel with 10,000 users and 50,000 virtual hosts are, on a database of each kind."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.processes import SandboxProblem
from bench.nothing_due import database
from bench.results import Page, Pages

USERS, EACH, JOBS = 10_000, 5, 10_000
# Of pages that differ by what stands in the address only, so many are looked at.
ALIKE = 3


def run(
    repetitions: int, users: int = USERS, each: int = EACH, jobs: int = JOBS, alike: int = ALIKE
) -> Iterator[Pages]:
    """Every page `repetitions` times on each database."""
    folder = Path(tempfile.mkdtemp(prefix="as"))
    try:
        for name in ("SQLite", "PostgreSQL"):
            with database(name) as url:
                settings = {
                    "AUTOSSL_STATE_DIR": str(folder / name),
                    "DJANGO_SETTINGS_MODULE": "autossl_panel.settings",
                }
                if url:
                    settings["DATABASE_URL"] = url
                panel = Panel(settings, folder / "log")
                panel.run("migrate", "--verbosity", "0")
                yield _looked_at(name, panel, (users, each, jobs, repetitions, alike))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _looked_at(name: str, panel: Panel, numbers: tuple[int, int, int, int, int]) -> Pages:
    done = subprocess.run(
        [sys.executable, "-m", "bench.looking", *map(str, numbers)],
        env=panel.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SandboxProblem(f"bench.looking on {name}\n{done.stderr[-2000:]}")
    said = json.loads(done.stdout)
    users, each, jobs, repetitions, _alike = numbers
    return Pages(
        database=name,
        users=users,
        sites=users * each,
        jobs=jobs,
        repetitions=repetitions,
        pages=[Page(**page) for page in said["pages"]],
        poll_ms=said["poll_ms"],
        first_load_kb=said["first_load_kb"],
        not_led_to=said["not_led_to"],
    )
