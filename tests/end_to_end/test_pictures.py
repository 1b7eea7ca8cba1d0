"""`make screenshots` from its first step to its last: the town, its CAs and web server, a run, a page."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_it_works_through(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.pictures", str(tmp_path), "problems"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    themes = ("light", "dark")
    assert {file.name for file in tmp_path.iterdir()} == {
        f"{name}-{theme}.webp" for name in ("run-live", "problems") for theme in themes
    }
    assert "4 pictures" in done.stdout
