"""Import contracts, and what docs promise to be complete about."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import get_commands

from autossl_panel.autossl.log import advice_names, advice_sites
from autossl_panel.autossl.options import READERS

ROOT = Path(__file__).resolve().parents[1]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
OURS = sorted(name for name, app in get_commands().items() if app.startswith("autossl_panel."))


def test_imports_point_down() -> None:
    lint = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--config", ".importlinter", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("command", OURS)
def test_every_command_is_in_operating(command: str) -> None:
    # Typed with a hyphen: feature-list.
    assert re.search(rf"`({command}|{command.replace('_', '-')})[ `]", OPERATING)


def test_every_setting_is_in_operating() -> None:
    settings = (ROOT / "autossl_panel" / "settings.py").read_text(encoding="utf-8")
    servers = (ROOT / "autossl_panel" / "hosting" / "servers.py").read_text(encoding="utf-8")
    read = set(re.findall(r'(?:_directory|_port|environ(?:\.get)?)[(\[]\s*"([A-Z_]+)"', settings + servers))
    assert {"AUTOSSL_STATE_DIR", "AUTOSSL_HTTPS_PORT", "DATABASE_URL", "AUTOSSL_SERVER"} <= read
    missing = {name for name in read - {"XDG_STATE_HOME"} if f"| `{name}` |" not in OPERATING}
    assert not missing


@pytest.mark.parametrize("option", sorted(READERS))
def test_every_option_is_in_operating(option: str) -> None:
    assert f"| `{option}` |" in OPERATING


@pytest.mark.parametrize("code", sorted({**advice_names.WRITERS, **advice_sites.WRITERS}))
def test_every_problem_with_advice_is_explained(code: str) -> None:
    assert f"`{code}`" in (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")


def test_links_lead_somewhere() -> None:
    """Every relative link and anchor of the documents."""
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if "://" in target:
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path) if path else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor:
                heads = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}, target


def test_make_help_lists_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = "help setup demo test test-slow lint bench simulate capacity screenshots messages lock clean"
    for target in targets.split():
        assert re.search(rf"^  make {target} +\S", shown, re.MULTILINE), target
