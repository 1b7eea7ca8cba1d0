"""A Chromium, a panel to look at, and people who look."""

import os
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from autossl_panel.people import factors
from autossl_panel.people.models import User
from tests.support import ready
from tests.support.chromium import launch
from tests.web.scene import PASSWORD, Scene, build

# Playwright's loop runs in the thread that also asks the database.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")

# What comes at all comes soon, on a busy machine later; nothing waits so long for what has come.
PATIENCE = 20_000
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return build()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser refused or could not do; a test that expects some clears it."""
    return []


def opened(context: BrowserContext, complaints: list[str]) -> Page:
    """A page that is acted on when it is ready, and tells what the browser refused or could not do."""
    context.set_default_timeout(PATIENCE)
    page = ready.watch(context.new_page())
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return page


def later(page: Page, seconds: int) -> None:
    """What the timers of a page that is `timed` do within so many seconds, now: it asks anew, if it still asks."""
    ready.wait(page)
    page.clock.fast_forward(seconds * 1000)


def sign_in(page: Page, username: str, *, halfway: bool = False) -> None:
    """By password and, where the person has a second factor, by a recovery code, unless `halfway`."""
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"/(users|status(/\d+)?|sign-in/second-factor)/$"))
    if page.url.endswith("/second-factor/") and not halfway:
        page.get_by_label("Code").fill(factors.codes(User.objects.get(username=username))[0])
        page.keyboard.press("Enter")
        page.wait_for_url("**/users/")


@pytest.fixture
def visit(browser: Browser, live_server, scene: Scene, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """A signed-in page, `timed` for `later`; fails the test when the browser refused anything of it."""
    contexts: list[BrowserContext] = []

    def open_page(username: str = "root", path: str = "/", *, timed: bool = False, **options: object) -> Page:
        context = browser.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        page = opened(context, complaints)
        if timed:
            page.clock.install()
        page.goto("/sign-in/")
        if not username:
            return page
        sign_in(page, username)
        if path != "/":
            page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
