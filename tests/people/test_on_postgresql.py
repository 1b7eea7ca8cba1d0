"""People, sessions, second factors, tokens, the trail, the API once more, over PostgreSQL, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgresql import PostgreSQL

ROOT = Path(__file__).resolve().parents[2]
AGAIN = [
    "tests/people/test_factors.py",
    "tests/people/test_append_only.py",
    "tests/people/test_tokens.py",
    "tests/api/test_calls.py",
    "tests/api/test_reading.py",
    "tests/api/test_previews.py",
    "tests/web/test_sessions.py",
    "tests/web/test_at_once.py",
    "tests/web/test_nul.py",
    "tests/hosting/test_users.py",
    "tests/test_every_write.py",
]


@pytest.mark.slow
def test_the_same_holds_over_postgresql(postgresql: PostgreSQL) -> None:
    environment = {**os.environ, "DATABASE_URL": postgresql.url("people")}
    # Of an outer run with several workers or coverage, this one knows nothing.
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_", "COVERAGE_"))]:
        del environment[name]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *AGAIN, "-k", "not installation"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "passed" in done.stdout
