"""The sample server from the first run to the last detach, by commands alone: no `serve` runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from autossl_panel.sandbox.arrange import Login, arrange, use_provider
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, RESELLER, SITES
from autossl_panel.sandbox.panel import Panel
from autossl_panel.sandbox.proof import compare


@pytest.fixture
def box() -> Iterator[Box]:
    with Box(sites=SITES, nonce_reject=5) as started:
        yield started


@pytest.fixture
def panel(box: Box, tmp_path: Path) -> Iterator[Panel]:
    with tempfile.TemporaryDirectory(prefix="as") as run_dir:
        yield Panel(box.environment(tmp_path / "state", Path(run_dir)), tmp_path / "serve.log")


def files(box: Box) -> dict[str, bytes]:
    """nginx's own files, links told from what they lead to."""
    folder = box.nginx.folder
    found = {}
    for path in [folder / "nginx.conf", *sorted(folder.glob("sites-*/*"))]:
        found[str(path)] = b"-> " + bytes(path.readlink()) if path.is_symlink() else path.read_bytes()
    return found


def wrong(box: Box, panel: Panel, *, replace_foreign: bool = False) -> list[str]:
    """Every difference from the expected ends."""
    outcomes = compare(box, CASES, panel.status(), replace_foreign=replace_foreign)
    return [f"{outcome.case.name}: {each}" for outcome in outcomes for each in outcome.differences]


def test_every_case_ends_as_expected_and_detach_leaves_no_trace(box: Box, panel: Panel) -> None:
    before = files(box)
    arrange(box, panel, [Login(RESELLER, "a-long-password", "reseller")])
    use_provider(box, panel)
    assert files(box) == before

    # Some sites fail, as they should.
    assert panel.watch("autossl_check", "--all") == 1
    assert wrong(box, panel) == []
    served = [case for case in CASES if case.end.served]
    assert box.issued() == {frozenset(case.end.covered): 1 for case in served}

    # Nothing to order: the CA hears nothing.
    requests, issued = box.ca_requests(), box.issued()
    assert panel.watch("autossl_check", "--all") == 1
    assert box.ca_requests() == requests
    assert wrong(box, panel) == []

    panel.run("options", "set", "replace_foreign=yes")
    assert panel.watch("autossl_check", "--user", "clara") == 0
    assert wrong(box, panel, replace_foreign=True) == []
    replaced = [case for case in CASES if case.end_replacing]
    assert box.issued() - issued == {
        frozenset(case.end_replacing.covered): 1 for case in replaced if case.end_replacing
    }

    panel.run("detach")
    assert files(box) == before
    box.nginx.test()
