"""Takes a page's picture, light and dark, as small files: WebP, which the browser itself writes."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page

from tests.pictures.stage import PASSWORD

THEMES = ("light", "dark")
# Chromium's quality of WebP: letters stay clear of fringes from here on
QUALITY = 82


class Camera:
    """Looks with the eyes of one person after the other; each signs in once a width."""

    def __init__(self, browser: Browser, url: str, folder: Path) -> None:
        self._browser, self._url, self._folder = browser, url, folder
        self._open: dict[tuple[str, int], BrowserContext] = {}

    def page(self, who: str, width: int) -> Page:
        """A page in which this person is signed in."""
        context = self._open.get((who, width))
        if context is not None:
            return context.pages[0]
        context = self._browser.new_context(
            base_url=self._url, viewport={"width": width, "height": 900}, locale="en-GB", timezone_id="UTC"
        )
        context.set_default_timeout(20_000)
        self._open[who, width] = context
        page = context.new_page()
        page.goto("/sign-in/")
        page.get_by_label("User name").fill(who)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_selector("#person")
        return page

    def take(self, page: Page, name: str, height: int) -> None:
        """Write <name>-light.webp and <name>-dark.webp, at most `height` CSS pixels of the page."""
        for theme in THEMES:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
            (self._folder / f"{name}-{theme}.webp").write_bytes(_shoot(page, height))


def _shoot(page: Page, height: int) -> bytes:
    size: Mapping[str, int] = page.evaluate(
        "({width: innerWidth, height: Math.ceil(document.body.getBoundingClientRect().bottom + scrollY)})"
    )
    clip = {"x": 0, "y": 0, "width": size["width"], "height": min(height, size["height"]), "scale": 1}
    asked = {"format": "webp", "quality": QUALITY, "clip": clip, "captureBeyondViewport": True}
    session = page.context.new_cdp_session(page)
    try:
        return base64.b64decode(session.send("Page.captureScreenshot", asked)["data"])
    finally:
        session.detach()
