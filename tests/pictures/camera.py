"""Takes a page's picture, light and dark, as small files: WebP, which the browser itself writes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.pictures.stage import PASSWORD

THEMES = ("light", "dark")
# Chromium's quality of WebP: letters are still clear, a page is some 60 kB
QUALITY = 62
# What was just swapped in has come to rest after this
SETTLE_MS = 400


class Camera:
    """Looks with the eyes of one person after the other; each signs in once a width."""

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser, self._url, self._folder = browser, url, folder
        self.taken: set[Path] = set()
        self._open: dict[tuple[str, int], BrowserContext] = {}

    def close(self) -> None:
        """Sign nobody out, but look no more."""
        for context in self._open.values():
            context.close()

    def page(self, who: str, width: int) -> Page:
        """A page in which this person is signed in."""
        context = self._open.get((who, width))
        if context is not None:
            return context.pages[0]
        context = self._browser.new_context(
            base_url=self._url, viewport={"width": width, "height": 900}, locale="en-GB", timezone_id="UTC"
        )
        context.set_default_timeout(60_000)
        self._open[who, width] = context
        page = context.new_page()
        page.goto("/sign-in/")
        page.get_by_label("User name").fill(who)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("#person")
        return page

    def take(self, page: Page, name: str, height: int, themes: Sequence[str] = THEMES) -> None:
        """Write <name>-<theme>.webp for each theme, at most `height` CSS pixels of the page."""
        size = page.viewport_size
        assert size is not None
        bottom = page.evaluate("Math.ceil(document.body.getBoundingClientRect().bottom + scrollY)")
        # The window is as high as the picture, so that what sticks to its edges is where people see it.
        page.set_viewport_size({"width": size["width"], "height": min(height, bottom)})
        for theme in themes:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.wait_for_timeout(SETTLE_MS)
            file = self._folder / f"{name}-{theme}.webp"
            file.write_bytes(_shoot(page))
            self.taken.add(file)
        page.set_viewport_size(size)


def _shoot(page: Page) -> bytes:
    session = page.context.new_cdp_session(page)
    try:
        asked = {"format": "webp", "quality": QUALITY}
        return base64.b64decode(session.send("Page.captureScreenshot", asked)["data"])
    finally:
        session.detach()
