"""The page of capacity: every figure of a play, causes by what they are, large plays with their day."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from autossl_panel.simulation import capacity, large
from autossl_panel.simulation.capacity import Measured, Sizes
from autossl_panel.simulation.judge import Tally
from autossl_panel.simulation.large import Large, LargeProblem
from autossl_panel.simulation.play import Result
from autossl_panel.simulation.scenarios import Setting
from autossl_panel.simulation.times import DAY, HOUR

ROOT = Path(__file__).resolve().parents[2]
TODAY = date(2026, 11, 26)
BIG = Large(1_000_000, 365, 1_763_763, 0, 0, 635.0, 1_246_364, 2, "2026-11-20")


def test_a_small_measurement_fills_every_table() -> None:
    told: list[str] = []
    sizes = Sizes(new=(60,), steady=40, year=40, a_day=20, lifetimes=(160 * HOUR,))
    page = capacity.as_markdown(capacity.measure(sizes, say=told.append, today=TODAY, large=[BIG]))
    assert "Day: 2026-11-26." in page
    assert "| 60 |" in page
    assert re.search(r"^\| 160 h \| yes \|", page, re.MULTILINE)
    assert "| 1,000,000 | 365 | 1,763,763 | 0 | 0 | 635 s | - | 1,217 MiB | 2 | 2026-11-20 |" in page
    assert "60 new sites, one account" in told


def test_what_expired_is_told_by_its_cause() -> None:
    tally = Tally()
    tally.unrenewable_by.update({"off": 12, "names": 3})
    setting = Setting(hosts=10, days=10, lifetime=90 * DAY)
    found = Measured(TODAY, (), (), [Result(setting, tally, 0, 0, 0, 0.0)])
    [head, line] = re.findall(r"^\| (?:certificates of \| orders|90 d).*$", capacity.as_markdown(found), re.MULTILINE)
    assert "names or CAs failing" not in head
    assert line.endswith("| 15 | 12 the panel off, 3 names failing |")


def test_a_play_of_its_own_gives_the_figures_of_the_command_and_its_memory() -> None:
    found = large.play(40, 20, TODAY)
    assert (found.virtual_hosts, found.days, found.day) == (40, 20, "2026-11-26")
    assert (found.expired_while_renewable, found.refused_429) == (0, 0)
    assert found.orders > 30
    assert found.peak_kb > 10_000
    assert found.worked is not None
    with pytest.raises(LargeProblem, match="a play of 0 sites ended with 2 and no figures"):
        large.play(0, 20, TODAY)


def test_what_is_not_played_anew_keeps_its_day(tmp_path: Path) -> None:
    path = tmp_path / "capacity.json"
    assert large.read(path) == []
    small = replace(BIG, virtual_hosts=30_000, worked=40.8)
    assert large.keep(path, [], [BIG, small]) == [small, BIG]
    anew = replace(small, day="2026-11-26", orders=7)
    assert large.keep(path, large.read(path), [anew]) == [anew, BIG]
    assert large.read(path) == [anew, BIG]


@pytest.mark.parametrize("text", ["{", "[]", '{"plays": [{"days": 3}]}', '{"plays": 3}'])
def test_a_file_of_other_things_is_told_before_anything_is_played(tmp_path: Path, text: str) -> None:
    (tmp_path / "page.json").write_text(text)
    with pytest.raises(CommandError, match=r"page\.json: these are no figures of plays"):
        call_command("simulate", "--capacity", str(tmp_path / "page.md"), stdout=StringIO(), stderr=StringIO())
    assert not (tmp_path / "page.md").exists()


def test_large_alone_is_no_use() -> None:
    with pytest.raises(CommandError, match="--large goes with --capacity") as wrong:
        call_command("simulate", "--large", stdout=StringIO())
    assert wrong.value.returncode == 2


def test_the_figures_beside_the_page_can_be_read() -> None:
    found = {one.virtual_hosts: one for one in large.read(ROOT / "docs" / "capacity.json")}
    assert {large.USUAL, large.LARGEST} <= found.keys()
    assert all(not (one.expired_while_renewable or one.refused_429) for one in found.values())
    assert all(date.fromisoformat(one.day) and one.seconds > 0 for one in found.values())
