"""What the tests lean on: addresses nobody else has, PostgreSQL that is not root, a browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg

from autossl_panel.sandbox.addresses import claim_address, free_port
from tests.support.chromium import chromium_path
from tests.support.postgresql import PostgreSQL


def test_a_claimed_address_is_refused_to_every_other_process() -> None:
    with claim_address() as claim:
        script = "import socket, sys; socket.socket(socket.AF_UNIX).bind('\\0autossl-panel/loopback/' + sys.argv[1])"
        other = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, claim.address], check=False, capture_output=True, text=True
        )
        assert "Address already in use" in other.stderr
    again = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, claim.address], check=False, capture_output=True, text=True
    )
    assert again.returncode == 0


def test_neighbours_belong_to_the_claim() -> None:
    with claim_address() as claim:
        assert claim.neighbour(7) == claim.address.removesuffix(".1") + ".7"


def test_a_taken_port_is_passed_over() -> None:
    with claim_address() as claim, socket.socket() as taken:
        taken.bind((claim.address, 5080))
        taken.listen()
        assert free_port(claim.address, 5080) != 5080
        assert free_port(claim.address, 5081) == 5081


def test_postgresql_runs_unprivileged_and_makes_databases(postgresql: PostgreSQL) -> None:
    with psycopg.connect(postgresql.url("support")) as connection:
        row = connection.execute("SELECT current_database(), pg_backend_pid()").fetchone()
    assert row is not None
    assert row[0] == "support"
    assert not postgresql.root_owned


def test_chromium_is_there() -> None:
    assert os.access(Path(chromium_path()), os.X_OK)
