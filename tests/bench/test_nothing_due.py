"""A small estate, both databases: runs that find nothing to do read every site and write a line for every user."""

from __future__ import annotations

import pytest

from bench import nothing_due

# Enough lines that the survey writes them all at once
USERS = 110


@pytest.mark.slow
def test_runs_keep_every_site_on_both_databases() -> None:
    found = list(nothing_due.run(1, users=USERS, each=2))
    assert [one.database for one in found] == ["SQLite", "PostgreSQL"]
    for one in found:
        assert (one.users, one.sites) == (USERS, 2 * USERS)
        assert len(one.seconds) == len(one.command) == len(one.helper) == 1
        assert 0 < one.helper[0] < one.command[0]
        assert 0 < one.seconds[0] < one.command[0]
        assert 20 < one.helper_mb < 150
        assert 20 < one.worker_mb < 150
        assert 20 < one.first_reading_mb < 150
