"""What goes wrong at an admin's first try: each a clear message, and nothing lost."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.support.server import PanelOnBox


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", ("amber.example", "www.amber.example"))]) as started:
        yield started


@pytest.fixture(scope="module")
def server(box: Box) -> Iterator[PanelOnBox]:
    with PanelOnBox(box) as found:
        found.set_up(provider=False)
        found.run("discover")
        yield found


def provider_add(server: PanelOnBox, *words: str) -> subprocess.CompletedProcess[str]:
    done = server.command("provider", "add", "x", *words)
    assert "Traceback" not in done.stdout + done.stderr
    assert " x " not in server.run("provider", "list"), "a refused provider is not added"
    return done


def test_a_directory_that_nobody_answers_at(server: PanelOnBox) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        done = provider_add(server, "--directory", f"https://127.0.0.1:{port}/dir")
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "refuses connections" in done.stderr


def test_a_directory_with_a_certificate_that_nobody_trusts(server: PanelOnBox, box: Box) -> None:
    done = provider_add(server, "--directory", box.directory_url)
    assert done.returncode == 1
    assert "certificate" in done.stderr


def test_an_address_that_is_no_acme_directory(server: PanelOnBox, box: Box) -> None:
    url = box.directory_url.rsplit("/", 1)[0] + "/nonce-plz"
    done = provider_add(server, "--directory", url, "--ca-bundle", str(box.ca_bundle))
    assert done.returncode == 1
    assert "ACME" in done.stderr


def test_terms_that_are_not_agreed_to(server: PanelOnBox, box: Box) -> None:
    bundle = ["--ca-bundle", str(box.ca_bundle), "--private-ca"]
    server.run("provider", "add", "pebble", "--directory", box.directory_url, *bundle)
    done = server.command("provider", "use", "pebble")
    assert done.returncode == 2
    assert "terms of service" in done.stderr
    assert not [line for line in server.run("provider", "list").splitlines() if line.startswith("*")]


def test_a_check_without_a_provider_fails_and_says_so(server: PanelOnBox) -> None:
    done = server.command("autossl_check", "--all")
    assert done.returncode == 1
    assert "No provider is chosen" in done.stdout


def test_an_nginx_that_does_not_parse_names_file_and_line_and_keeps_the_rows(server: PanelOnBox, box: Box) -> None:
    path = box.nginx_conf.parent / "sites-enabled" / "zz-broken.conf"
    path.write_text("server {\n    listen 80;\n    server_name broken.example\n}\n")
    try:
        done = server.command("discover")
        assert done.returncode == 1
        assert f"{path}:" in done.stderr
        assert "as they were" in done.stderr
        assert set(server.status()) == {"amber.example"}
    finally:
        path.unlink()
    assert server.command("discover").returncode == 0


def test_without_an_nginx_configuration(server: PanelOnBox) -> None:
    done = server.command("discover", AUTOSSL_NGINX_CONF="/nowhere/nginx.conf")
    assert done.returncode == 1
    assert "/nowhere/nginx.conf" in done.stderr
    assert "Traceback" not in done.stderr
    assert set(server.status()) == {"amber.example"}


def test_without_an_nginx_program_nothing_is_edited(server: PanelOnBox, box: Box) -> None:
    server.run("provider", "use", "pebble", "--agree-tos")
    path = box.nginx_conf.parent / "sites-enabled"
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    done = server.command("autossl_check", "--all", AUTOSSL_NGINX_BIN="/nowhere/nginx")
    assert done.returncode == 1
    assert "/nowhere/nginx" in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert not box.issued()


@pytest.mark.parametrize("mode", ["readonly", "full"])
def test_a_state_directory_that_takes_nothing(mode: str, tmp_path: Path, server: PanelOnBox) -> None:
    if mode == "full":
        # A file stands where the directory would be made: as root, permissions alone would not stop us.
        folder = tmp_path / "taken"
        folder.write_text("")
    else:
        folder = Path("/proc/autossl")
    done = server.command("autossl_status", AUTOSSL_STATE_DIR=str(folder / "state"))
    assert done.returncode == 2
    assert f"AUTOSSL_STATE_DIR {folder}/state:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_disk_loses_nothing(server: PanelOnBox, tmp_path: Path) -> None:
    """A disk with no room, for a process that may write files of no size at all."""
    before = server.status()
    done = subprocess.run(
        ["prlimit", "--fsize=0", *server.panel.argv, "options", "set", "log_days=9"],
        env=server.panel.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode != 0
    assert os.WIFSIGNALED(done.returncode) or "database" in done.stderr.lower() or done.returncode < 0
    assert server.status() == before
    assert "log_days=30" in server.run("options", "get")
