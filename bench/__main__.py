"""`make bench`: everything side by side in one run, then docs/benchmarks.md and docs/benchmarks.json.

Exit status 1 only when something broke; a goal that is missed is said in the page and at the end.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from autossl_panel.sandbox.processes import SandboxProblem, find_program
from bench import alone, apache, measure, nothing_due, pages, panel, report, results
from bench.report import Measured
from bench.results import NothingDue, Pages, Pipeline

DOCS = Path(__file__).resolve().parents[1] / "docs"
CLIENTS: dict[str, Callable[[], Pipeline]] = {
    "panel": panel.run,
    "mod_md": apache.run,
    "acme": lambda: alone.run("shipped"),
    "layer": lambda: alone.run("own"),
}
PARTS = (*CLIENTS, "nothing-due", "pages")
# What each needs beside Python
PROGRAMS = (("nginx", "nginx"), ("pebble", "pebble"), ("apache2", "apache2"))


def main() -> int:
    """Measure, say each figure as it comes, write the page."""
    chosen = _arguments()
    if chosen.again:
        _write(report.from_json((DOCS / "benchmarks.json").read_text(encoding="utf-8")))
        return 0
    machine = measure.machine()
    print(machine, flush=True)
    try:
        for program, package in PROGRAMS if chosen.only != ["pages"] else ():
            find_program(program, package)
        clients = _clients(chosen.rounds, [part for part in chosen.only if part in CLIENTS])
        quiet = _nothing_due(chosen.rounds) if "nothing-due" in chosen.only else []
        looked_at = _pages(chosen.rounds) if "pages" in chosen.only else []
    except SandboxProblem as problem:
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    measured = Measured(
        machine=machine,
        day=f"{datetime.now(UTC):%Y-%m-%d}",
        versions=_versions(),
        clients=[results.middle(found) for found in clients if found],
        nothing_due=quiet,
        pages=looked_at,
    )
    if set(chosen.only) == set(PARTS):
        _write(measured)
    for goal, said, met in report.goals(measured):
        print(f"{'met   ' if met else 'MISSED'} {goal}: {said}")
    return 0


def _write(measured: Measured) -> None:
    (DOCS / "benchmarks.md").write_text(report.as_markdown(measured), encoding="utf-8")
    (DOCS / "benchmarks.json").write_text(report.as_json(measured), encoding="utf-8")
    print("written: docs/benchmarks.md, docs/benchmarks.json")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Speed and memory beside other clients.")
    parser.add_argument("--rounds", type=int, default=3, help="repetitions of everything (3)")
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), help="some parts; then the page is not written"
    )
    parser.add_argument("--again", action="store_true", help="measure nothing: write the page from its JSON")
    return parser.parse_args()


def _clients(rounds: int, parts: list[str]) -> list[list[Pipeline]]:
    found: dict[str, list[Pipeline]] = {part: [] for part in parts}
    for number in range(1, rounds + 1):
        for part in parts:
            one = CLIENTS[part]()
            found[part].append(one)
            said = (
                f"{one.per_second:.1f} certificates/s, {one.requests_each:.2f} requests, {one.cpu_ms_each:.1f} ms CPU"
            )
            print(f"round {number}: {one.client}: {said}", flush=True)
    return list(found.values())


def _nothing_due(rounds: int) -> list[NothingDue]:
    found = []
    print("writing a server of 50,000 virtual hosts; this takes minutes", flush=True)
    for one in nothing_due.run(rounds):
        found.append(one)
        print(f"nothing due, {one.database}: {', '.join(f'{s:.2f}' for s in one.seconds)} s", flush=True)
    return found


def _pages(rounds: int) -> list[Pages]:
    found = []
    print("writing the rows of 10,000 users; this takes minutes", flush=True)
    for one in pages.run(max(5, rounds)):
        found.append(one)
        for page in one.in_short().pages:
            print(
                f"{one.database}: {page.name}: {page.ms:.0f} ms, {page.queries} queries, {page.kb:.0f} kB: {page.url}"
            )
        print(f"{one.database}: poll {one.poll_ms:.1f} ms, first load {one.first_load_kb:.0f} kB", flush=True)
        if one.not_led_to:
            print(f"no link leads to: {', '.join(one.not_led_to)}", flush=True)
    return found


def _versions() -> dict[str, str]:
    return {name: metadata.version(name) for name in ("acme", "Django", "django-q2", "psycopg")} | {
        "Apache": apache.version()
    }


if __name__ == "__main__":
    sys.exit(main())
