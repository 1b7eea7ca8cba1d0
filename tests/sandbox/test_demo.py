"""The demo's own parts; the whole of it runs in tests/end_to_end/."""

from __future__ import annotations

from pathlib import Path

import pytest

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, Case
from autossl_panel.sandbox.demo import Demo, summary
from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.processes import SandboxProblem
from autossl_panel.sandbox.proof import Outcome, Shown

PLAIN = CASES[0]


def outcome(case: Case, shown: str, *differences: str) -> Outcome:
    seen = tuple(Shown(name, shown, covers=True) for name in case.names)
    return Outcome(case, case.end.state, case.end.problem, case.end.covered, seen, differences)


def test_the_last_line_counts_what_is_secured_and_served() -> None:
    off = next(case for case in CASES if case.end.state == "off")
    assert summary([outcome(PLAIN, "panel"), outcome(off, "nothing")], 12.5) == {
        "virtual_hosts": 2,
        "secured": 1,
        "served": 1,
        "as_expected": True,
        "seconds": 12.5,
    }


def test_a_secured_site_that_shows_nothing_is_not_served_and_not_as_expected() -> None:
    result = summary([outcome(PLAIN, "nothing", "shows nothing instead of panel")], 1.0)
    assert (result["secured"], result["served"], result["as_expected"]) == (1, 0, False)


def test_a_certificate_without_the_name_does_not_count_as_served() -> None:
    shown = tuple(Shown(name, "panel", covers=False) for name in PLAIN.names)
    assert not Outcome(PLAIN, "secured", None, PLAIN.end.covered, shown, ()).served


def test_a_second_demo_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    import fcntl

    with (tmp_path / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(SandboxProblem, match="a demo is running in"):
            Demo(tmp_path, print).run(once=True)


def test_a_command_that_fails_is_told_with_its_words(tmp_path: Path) -> None:
    panel = Panel({"AUTOSSL_STATE_DIR": str(tmp_path / "state")}, tmp_path / "serve.log")
    with pytest.raises(SandboxProblem, match=r"autossl-panel options set never=1: status"):
        panel.run("options", "set", "never=1")


def test_the_panel_of_a_box_knows_only_its_own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://somebody@else/database")
    monkeypatch.setenv("AUTOSSL_SECRET_KEY", "somebody-elses")
    with Box() as box:
        panel = Panel(box.environment(tmp_path / "state", tmp_path / "run"), tmp_path / "serve.log")
    assert "DATABASE_URL" not in panel.environment
    assert "AUTOSSL_SECRET_KEY" not in panel.environment
    assert panel.environment["AUTOSSL_HTTP_PORT"] == str(box.http_port)
    assert panel.environment["AUTOSSL_NGINX_CONF"] == str(box.nginx_conf)
