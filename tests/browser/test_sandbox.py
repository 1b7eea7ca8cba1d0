"""The product's main job in a real browser, on a real server: proven by TLS handshakes, not by rows alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from autossl_panel import pki
from autossl_panel.sandbox.arrange import Login, arrange
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, MAX_NAMES, RESELLER, SITES
from autossl_panel.sandbox.proof import compare, shown
from tests.support.server import PASSWORD, PanelOnBox

# From the click to the end of the run
MOST_SECONDS = 120


@pytest.fixture
def panel() -> Iterator[PanelOnBox]:
    """A panel that serves the sample sites; no provider is in use yet."""
    with Box(sites=SITES, nonce_reject=5) as box, PanelOnBox(box) as started:
        arrange(box, started.panel, [Login("root", PASSWORD, "root"), Login(RESELLER, PASSWORD, "reseller")])
        started.serve()
        yield started


@pytest.fixture
def sign_in(browser: Browser, panel: PanelOnBox) -> Iterator[Callable[[str], Page]]:
    contexts = []

    def open_page(name: str) -> Page:
        context = browser.new_context(base_url=panel.panel.environment["AUTOSSL_URL"])
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.goto("/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        return page

    yield open_page
    for context in contexts:
        context.close()


def choose_provider(page: Page, box: Box) -> None:
    """Add the box's CA as any ACME directory, agree to its terms, be registered."""
    page.wait_for_url("**/providers/")
    page.get_by_role("link", name="Add another provider").click()
    page.get_by_label("Name", exact=True).fill("Pebble")
    page.get_by_label("Directory", exact=True).fill(box.directory_url)
    page.get_by_label("Names a certificate").fill(str(MAX_NAMES))
    page.get_by_label("Certifies names and addresses that are not public").check()
    page.get_by_role("button", name="Add and check").click()
    # Without the CA's own root the worker cannot trust the directory: the form is opened again, at that field's place.
    page.wait_for_url("**/edit/")
    expect(page.get_by_label("Directory", exact=True)).to_be_focused()
    page.get_by_label("CA bundle").fill(box.ca_bundle.read_text())
    page.get_by_role("button", name="Save and check").click()
    agree = page.get_by_label("I agree to the terms of service")
    expect(agree).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("registers only who agrees to its terms")).to_be_visible()
    agree.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Pebble account")).to_be_visible()


def wait_as_expected(panel: PanelOnBox) -> None:
    """A site that a run of the sweep had in hand ends a moment after the run for all."""
    deadline = time.monotonic() + 40
    while True:
        outcomes = compare(panel.box, CASES, panel.panel.status(), replace_foreign=False)
        differences = [f"{one.case.name}: {each}" for one in outcomes for each in one.differences]
        if not differences or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert differences == []


def serial_of(box: Box, name: str) -> str:
    facts = pki.handshake(box.address, box.https_port, name).facts
    assert facts is not None
    return facts.serial


def test_root_runs_autossl_for_all_users_and_a_reseller_disables_one(panel: PanelOnBox, sign_in) -> None:
    box = panel.box
    secured = next(case for case in CASES if case.user == "goran" and case.end.served)
    assert not shown(box, secured.name, frozenset()).covers

    page = sign_in("root")
    choose_provider(page, box)
    page.get_by_role("button", name="Run AutoSSL For All Users").click()
    page.wait_for_url("**/runs/*/*")
    run_url = page.url
    expect(page.locator("#run-head")).to_contain_text("Running")
    # A second click, from another window, lands on the same run.
    other = page.context.new_page()
    other.goto("/users/")
    other.get_by_role("link", name="Open run").click()
    assert other.url == run_url
    other.close()
    # It is watched to its end without a reload.
    expect(page.locator("#run-head")).to_contain_text("Ended in", timeout=MOST_SECONDS * 1000)
    expect(page.locator("#lines li").first).to_be_attached()
    wait_as_expected(panel)

    # The log is opened: failures first, each with what to do; then everything by user and site.
    page.goto(run_url)
    failed = page.get_by_role("heading", name="Failed")
    expect(failed).to_be_visible()
    page.get_by_text("Show lines").first.click()
    expect(page.get_by_text("What to do").first).to_be_visible()
    page.goto("/runs/")
    expect(page.locator("tbody tr", has_text="All users").first).to_contain_text("root")

    page = sign_in(RESELLER)
    page.wait_for_url("**/users/")
    expect(page.locator("tbody tr")).to_have_count(2)
    before = serial_of(box, secured.name)
    page.get_by_role("group", name="AutoSSL for goran").get_by_label("Disabled").check()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “goran”.")
    page.get_by_role("button", name="Check “goran”").click()
    page.wait_for_url("**/runs/*/*")
    expect(page.locator("#run-head")).to_contain_text("Ended in")
    page.reload()
    page.get_by_text("Left as they are").click()
    expect(page.locator("details[open]")).to_contain_text("goran: skipped, AutoSSL is off for this user")
    assert serial_of(box, secured.name) == before, "what is installed stays"
    page.goto("/users/")
    expect(page.locator("tbody tr", has_text="goran")).to_contain_text("Skipped, disabled")
    assert page.request.get("/options/").status == 404
