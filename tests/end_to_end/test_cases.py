"""Every behaviour of the sample server, worked through by `autossl_check` alone and proven by handshakes; then detach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, MAX_NAMES, SITES, USERS
from autossl_panel.sandbox.proof import compare
from tests.support.server import PanelOnBox


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=SITES, nonce_reject=5) as started:
        yield started


@pytest.fixture(scope="module")
def before(box: Box) -> dict[str, bytes]:
    return files(box)


@pytest.fixture(scope="module")
def server(box: Box, before: dict[str, bytes]) -> Iterator[PanelOnBox]:
    with PanelOnBox(box) as found:
        found.set_up(max_names=MAX_NAMES)
        found.run("discover")
        for user in USERS:
            if not user.autossl:
                found.run("user", "set", user.login, "--autossl", "off")
            if user.suspended:
                found.run("user", "set", user.login, "--suspended", "yes")
        found.run("exclude", "add", *(name for case in CASES for name in case.excluded))
        yield found


def files(box: Box) -> dict[str, bytes]:
    """Every file of nginx's configuration, by path."""
    folder = box.nginx_conf.parent
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and (path.suffix == ".conf" or "sites" in str(path.parent))
    }


def differences(box: Box, server: PanelOnBox, *, replace_foreign: bool) -> list[str]:
    outcomes = compare(box, CASES, list(server.status().values()), replace_foreign=replace_foreign)
    assert len(outcomes) == len(CASES)
    return [f"{outcome.case.name}: {one}" for outcome in outcomes for one in outcome.differences]


def test_every_site_ends_as_the_rules_say(box: Box, server: PanelOnBox) -> None:
    done = server.command("autossl_check", "--all")
    assert done.returncode == 1, "sites that point elsewhere failed, and the exit status says so"
    assert "Traceback" not in done.stdout + done.stderr
    assert differences(box, server, replace_foreign=False) == []


def test_a_second_check_with_nothing_new_orders_nothing(box: Box, server: PanelOnBox) -> None:
    issued = box.issued()
    server.command("autossl_check", "--all")
    assert box.issued() == issued
    assert differences(box, server, replace_foreign=False) == []


def test_a_check_with_nothing_to_order_sends_the_ca_nothing(box: Box, server: PanelOnBox) -> None:
    requests = box.ca_requests()
    done = server.command("autossl_check", "--user", "fatima")
    assert done.returncode == 0, done.stdout + done.stderr
    assert box.ca_requests() == requests


def test_where_replacing_is_allowed_defective_ones_are_replaced(box: Box, server: PanelOnBox) -> None:
    server.run("options", "set", "replace_foreign=yes")
    server.command("autossl_check", "--all")
    assert differences(box, server, replace_foreign=True) == []


def test_an_unknown_user_is_usage(server: PanelOnBox) -> None:
    done = server.command("autossl_check", "--user", "nobody")
    assert done.returncode == 2
    assert "There is no hosting user “nobody”" in done.stderr


def test_detach_leaves_the_files_as_they_were(box: Box, server: PanelOnBox, before: dict[str, bytes]) -> None:
    assert files(box) != before
    server.run("detach")
    assert files(box) == before
