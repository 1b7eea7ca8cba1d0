"""One round of root, a reseller and a hosting user over one real box: each screen's main task, and what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from autossl_panel.sandbox.arrange import Login
from autossl_panel.sandbox.cases import RESELLER
from autossl_panel.sandbox.pebble import Pebble
from tests.browser.on_box import Visitors, choose_provider, panel_on_sites, wait_as_expected, wait_ended
from tests.browser.round_tasks import TASKS, Round
from tests.support.second_ca import second_ca
from tests.support.server import PASSWORD


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    with panel_on_sites(Login("bruno", PASSWORD, "user")) as panel:
        visitors = Visitors(browser, panel)
        yield visitors
        visitors.close()


@pytest.fixture
def staging(visitors: Visitors, tmp_path: Path) -> Iterator[Pebble]:
    """Another CA that asks the same DNS, as a staging directory does."""
    with second_ca(visitors.panel.box, tmp_path) as pebble:
        yield pebble


# What the policy of every page forbids
INLINE = "document.body.append(Object.assign(document.createElement('script'), {text: 'window.run = 1'}))"


@pytest.mark.slow
def test_every_screen_does_its_task(visitors: Visitors, staging: Pebble) -> None:
    root = visitors.sign_in("root")
    choose_provider(root, visitors.panel.box, ca_bundle=staging.ca_bundle.read_text())
    root.get_by_role("button", name="Run AutoSSL For All Users").click()
    wait_ended(root)
    wait_as_expected(visitors.panel)
    here = Round(visitors, root, visitors.sign_in(RESELLER), visitors.sign_in("bruno"), staging)
    for task in TASKS:
        task(here)
        assert visitors.complaints == [], task.__name__

    with root.expect_console_message(lambda message: "was violated by" in message.text):
        root.evaluate(INLINE)
    assert any("script-src" in text for text in visitors.complaints), "what the browser refuses is heard"
