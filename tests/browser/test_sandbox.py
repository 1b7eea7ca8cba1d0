"""The product's main job in a real browser, on a real server: proven by TLS handshakes, not by rows alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from autossl_panel.sandbox.cases import CASES, RESELLER
from autossl_panel.sandbox.proof import shown
from tests.browser.on_box import Visitors, choose_provider, panel_on_sites, serial_of, wait_as_expected, wait_ended
from tests.support import ready


@pytest.fixture
def visitors(browser: Browser) -> Iterator[Visitors]:
    with panel_on_sites() as panel:
        visitors = Visitors(browser, panel)
        yield visitors
        visitors.close()


def test_root_runs_autossl_for_all_users_and_a_reseller_disables_one(visitors: Visitors) -> None:
    box = visitors.panel.box
    secured = next(case for case in CASES if case.user == "goran" and case.end.served)
    assert not shown(box, secured.name, frozenset()).covers

    page = visitors.sign_in("root")
    choose_provider(page, box)
    page.get_by_role("button", name="Run AutoSSL For All Users").click()
    page.wait_for_url("**/runs/*/*")
    run_url = page.url
    expect(page.locator("#run-head")).to_contain_text("Running")
    # A second click, from another window, lands on the same run.
    other = ready.watch(page.context.new_page())
    other.goto("/users/")
    other.get_by_role("link", name="Open run").click()
    assert other.url == run_url
    other.close()
    # It is watched to its end without a reload.
    wait_ended(page)
    expect(page.locator("#lines li").first).to_be_attached()
    wait_as_expected(visitors.panel)

    # The log is opened: failures first, each with what to do; then everything by user and site.
    page.goto(run_url)
    failed = page.get_by_role("heading", name="Failed")
    expect(failed).to_be_visible()
    page.get_by_text("Show lines").first.click()
    expect(page.get_by_text("What to do").first).to_be_visible()
    page.goto("/runs/")
    expect(page.locator("tbody tr", has_text="All users").first).to_contain_text("root")

    page = visitors.sign_in(RESELLER)
    page.wait_for_url("**/users/")
    expect(page.locator("tbody tr")).to_have_count(2)
    before = serial_of(box, secured.name)
    page.get_by_role("group", name="AutoSSL for goran").get_by_label("Disabled").check()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “goran”.")
    page.get_by_role("button", name="Check “goran”").click()
    wait_ended(page)
    page.reload()
    page.get_by_text("Left as they are").click()
    expect(page.locator("details[open]")).to_contain_text("goran: skipped, AutoSSL is off for this user")
    assert serial_of(box, secured.name) == before, "what is installed stays"
    page.goto("/users/")
    expect(page.locator("tbody tr", has_text="goran")).to_contain_text("Skipped, disabled")
    assert page.request.get("/options/").status == 404
    assert visitors.complaints == []
