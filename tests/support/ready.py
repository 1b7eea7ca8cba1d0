"""When a page is ready for the next act: nobody acts on what is still loading, or is about to be replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, Playwright

# Finds the page itself while it loads, its scripts have not run, or an answer that htmx asked for is not in its place
ENGINE = """{
    queryAll(root) {
        const page = root.ownerDocument ?? root;
        const busy = page.readyState !== "complete"
            || page.querySelector(".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added");
        return busy && page.documentElement ? [page.documentElement] : [];
    },
    query(root) { return this.queryAll(root)[0] ?? null; },
}"""
BUSY = "busy=page"


def register(playwright: Playwright) -> None:
    """Before any page is made."""
    playwright.selectors.register("busy", ENGINE)


def watch(page: Page) -> Page:
    """From now on every act of a locator, and every look that expect takes, waits until the page is ready."""
    page.add_locator_handler(page.locator(BUSY), lambda: None)
    return page


def wait(page: Page) -> None:
    """For what no locator does: keys that are pressed wherever the focus is."""
    page.locator(BUSY).wait_for(state="detached")
