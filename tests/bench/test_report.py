"""Medians, goals and the page, from results that are made up here."""

from __future__ import annotations

import json

import pytest

from bench import report, results
from bench.__main__ import DOCS
from bench.report import Measured
from bench.results import NothingDue, Page, Pages, Pipeline


def pipeline(client: str, seconds: float, requests: int = 1800, mb: float = 100.0) -> Pipeline:
    return Pipeline(
        client=client,
        certificates=200,
        seconds=seconds,
        requests=requests,
        cpu=4.0,
        stages={"all issued": seconds / 2, "all served": seconds},
        memory={"web": mb, "worker 1": 80.0},
    )


def quiet(database: str, *seconds: float, worker_mb: float = 120) -> NothingDue:
    return NothingDue(
        database=database,
        users=10_000,
        sites=50_000,
        files=60_002,
        seconds=seconds,
        command=[one + 1 for one in seconds],
        helper=[0.5 for _ in seconds],
        first_reading=60,
        helper_mb=800,
        worker_mb=worker_mb,
        first_reading_mb=110,
    )


def looked_at(database: str, ms: float = 40, queries: int = 9, poll: float = 8, kb: float = 41) -> Pages:
    return Pages(
        database=database,
        users=10_000,
        sites=50_000,
        jobs=10_000,
        repetitions=5,
        pages=[
            Page("users", "root", "/users/", 20, queries, 9.0),
            Page("users", "root", "/users/?size=100", ms, 8, 12.6),
            Page("runs", "reseller00", "/runs/", 15, 7, 5.0),
        ],
        poll_ms=poll,
        first_load_kb=kb,
        not_led_to=["hidden"],
    )


def measured(panel: Pipeline, other: Pipeline, *nothing_due: NothingDue) -> Measured:
    clients = [results.middle([one]) for one in (panel, other)]
    return Measured("2 × processor", "2026-11-23", {"acme": "5.9.0"}, clients, nothing_due)


def test_a_clients_line_is_the_median_of_its_rounds_and_its_worst_memory() -> None:
    found = results.middle([pipeline("x", 10, mb=90), pipeline("x", 40), pipeline("x", 20, requests=2000, mb=110)])
    assert (found.repetitions, found.seconds, found.per_second) == (3, 20, 10)
    assert (found.slowest, found.fastest) == (5, 20)
    assert found.requests_each == 9
    assert found.cpu_ms_each == 20
    assert found.stages == {"all issued": 10, "all served": 20}
    assert found.memory == {"web": 110, "worker 1": 80}


def test_every_goal_is_met() -> None:
    seen = measured(
        pipeline("AutoSSL Panel", 10), pipeline("mod_md", 12, requests=3000),
        quiet("SQLite", 3, 4, 9), quiet("PostgreSQL", 5.0),
    )  # fmt: skip
    assert [met for _goal, _said, met in report.goals(seen)] == [True] * 7


@pytest.mark.parametrize(
    ("seen", "missed"),
    [
        (measured(pipeline("AutoSSL Panel", 13), pipeline("mod_md", 12)), "as fast as"),
        (measured(pipeline("AutoSSL Panel", 10, requests=1922), pipeline("mod_md", 12)), "CA requests"),
        (measured(pipeline("AutoSSL Panel", 10, mb=150), pipeline("mod_md", 12)), "MB"),
        (measured(pipeline("AutoSSL Panel", 10), pipeline("mod_md", 12), quiet("SQLite", 1, 5.1, 6)), "on SQLite"),
        (
            measured(pipeline("AutoSSL Panel", 10), pipeline("mod_md", 12), quiet("PostgreSQL", 1, worker_mb=150)),
            "a worker with 50,000",
        ),
    ],
)
def test_a_missed_goal_is_said(seen: Measured, missed: str) -> None:
    assert [missed in goal for goal, _said, met in report.goals(seen) if not met] == [True]
    assert "| **no** |" in report.as_markdown(seen)


def test_the_page_and_its_json_hold_the_same_figures() -> None:
    seen = measured(pipeline("AutoSSL Panel", 10), pipeline("mod_md", 16), quiet("SQLite", 3, 4, 9))
    page = report.as_markdown(seen)
    assert "| AutoSSL Panel | 20.0 | 20.0 to 20.0 | 10.0 | 9.00 | 20.0 | – |" in page
    assert "| mod_md | all served | 16.0 |" in page
    assert "| SQLite | 4.00 | 3.00 to 9.00 | 0.50 | 5.00 | 60 | 120 | 110 | 800 |" in page
    said = json.loads(report.as_json(seen))
    assert said["clients"][0]["per_second"] == 20
    assert said["nothing_due"][0]["seconds"] == [3, 4, 9]
    assert [one["met"] for one in said["goals"]] == [True] * 5


def test_pages_have_goals_and_a_table() -> None:
    both = (looked_at("SQLite"), looked_at("PostgreSQL", ms=70))
    seen = Measured("2 × processor", "2026-11-23", {}, (), (), both)
    assert [met for _goal, _said, met in report.goals(seen)] == [True] * 8
    page = report.as_markdown(seen)
    assert "| Page | SQLite, ms | PostgreSQL, ms | queries | kB | addresses | slowest |" in page
    assert "| `users` | 40 | 70 | 9 | 13 | 2 | `/users/?size=100` |" in page
    assert "| `runs` | 15 | 15 | 7 | 5 | 1 | `/runs/` |" in page
    assert "3 addresses on each database" in page
    assert "No link leads to: `hidden`." in page
    assert json.loads(report.as_json(seen))["pages"][1]["pages"][1]["ms"] == 70


def test_of_a_pages_addresses_the_slowest_is_written_down_and_the_most_of_each_figure() -> None:
    all_of_it = looked_at("SQLite")
    short = all_of_it.in_short()
    assert short.pages == [
        Page("runs", "reseller00", "/runs/", 15, 7, 5.0, addresses=1),
        Page("users", "root", "/users/?size=100", 40, 9, 12.6, addresses=2),
    ]
    assert short.in_short() == short
    seen = Measured("2 × processor", "2026-11-23", {}, (), (), (all_of_it,))
    assert [len(one["pages"]) for one in json.loads(report.as_json(seen))["pages"]] == [2]


def test_the_page_is_made_again_of_its_json() -> None:
    seen = Measured(
        "2 × processor", "2026-11-23", {"acme": "5.9.0"},
        [results.middle([pipeline("AutoSSL Panel", 10)])], [quiet("SQLite", 3, 4, 9)], [looked_at("SQLite")],
    )  # fmt: skip
    text = report.as_json(seen)
    assert report.as_markdown(report.from_json(text)) == report.as_markdown(seen)
    assert report.as_json(report.from_json(text)) == text


def test_what_is_written_down_in_the_documents_says_one_thing() -> None:
    text = (DOCS / "benchmarks.json").read_text(encoding="utf-8")
    assert (DOCS / "benchmarks.md").read_text(encoding="utf-8") == report.as_markdown(report.from_json(text))
    assert report.as_json(report.from_json(text)) == text


@pytest.mark.parametrize(
    ("pages", "missed"),
    [
        (looked_at("SQLite", ms=100.4), "100 ms"),
        (looked_at("SQLite", queries=16), "15 queries"),
        (looked_at("SQLite", poll=20.1), "polls"),
        (looked_at("SQLite", kb=150.5), "first load"),
    ],
)
def test_a_page_that_misses_its_goal_is_said(pages: Pages, missed: str) -> None:
    seen = Measured("2 × processor", "2026-11-23", {}, (), (), (pages,))
    assert [missed in goal for goal, _said, met in report.goals(seen) if not met] == [True]
