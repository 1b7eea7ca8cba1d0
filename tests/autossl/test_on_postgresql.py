"""Leases, claims and endings once more, over PostgreSQL: the same tests in a process of their own.

What waits for a lock, is in a race or speaks SQL of its own is looked at in every run; the rest with the slow tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.postgresql import PostgreSQL

HERE = Path(__file__).parent
AGAIN = [
    "test_leases.py",
    "test_lock_order.py",
    "test_jobs.py",
    "sweep/test_starting.py",
    "sweep/test_moments.py",
    "sweep/test_forgetting.py",
    "test_verdicts.py",
    "test_log.py",
    "test_survey.py",
    "test_survey_meanwhile.py",
    "test_undecided.py",
    "test_inventory.py",
    "test_recheck.py",
    "test_census.py",
    "../web/test_site_numbers.py",
    "test_measuring.py",
    "../hosting/test_connections.py",
    "../hosting/test_exclusion_patterns.py",
    "../hosting/test_excluded_names.py",
    "../hosting/test_name_search.py",
    "notify/test_telling.py",
]


MORE = [
    "test_orders.py",
    "test_due_while_due.py",
    "test_lapse.py",
    "test_failing_alike.py",
    "test_placing.py",
    "test_renewal_info.py",
    "test_sites.py",
    "test_choices.py",
    "test_losses.py",
    "test_options.py",
    "test_forecasting.py",
    "preview/test_contents.py",
    "preview/test_asking.py",
    "notify/test_telling_kinds.py",
]


LIMITS = [
    "test_limits.py",
    "test_limits_forgetting.py",
    "test_limits_directories.py",
    "test_limits_two_providers.py",
    "test_limits_races.py",
    "test_limits_stamps.py",
    "test_limits_machine.py",
    "test_pacing.py",
]


@pytest.mark.parametrize(
    ("database", "names"),
    [
        pytest.param("again", AGAIN, id="again"),
        pytest.param("limits", LIMITS, id="limits"),
        pytest.param("more", MORE, id="more", marks=pytest.mark.slow),
    ],
)
def test_the_same_holds_over_postgresql(postgresql: PostgreSQL, database: str, names: list[str]) -> None:
    environment = {**os.environ, "DATABASE_URL": postgresql.url(database)}
    # Of an outer run with several workers or coverage, this one knows nothing.
    for name in [name for name in environment if name.startswith(("PYTEST_", "COV_", "COVERAGE_"))]:
        del environment[name]
    files = [str(HERE / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files],
        env=environment,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "passed" in done.stdout
