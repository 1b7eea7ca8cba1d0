"""Each screen's main task by mouse, by keyboard alone, and without script."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page, expect

from autossl_panel.people import factors
from autossl_panel.people.models import User
from tests.browser import account_tasks, pages
from tests.browser.hands import Hand, Keyboard, Mouse
from tests.browser.tasks import TASKS, rest
from tests.web.scene import PASSWORD, Scene

# The way, how it acts, and whether the browser runs script
WAYS: dict[str, tuple[Callable[[Page], Hand], bool]] = {
    "mouse": (Mouse, True),
    "keyboard": (Keyboard, True),
    "no-script": (Mouse, False),
}


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


def sign_in(hand: Hand, who: str) -> None:
    page = hand.page
    hand.fill(page.get_by_label("User name"), who)
    hand.fill(page.get_by_label("Password"), PASSWORD)
    hand.press(page.get_by_role("button", name="Sign in"))
    page.wait_for_url(re.compile(r"/(users|status/\d+|sign-in/second-factor)/$"))
    if page.url.endswith("/second-factor/"):
        hand.fill(page.get_by_label("Code"), factors.codes(User.objects.get(username=who))[0])
        page.keyboard.press("Enter")
        page.wait_for_url("**/users/")


def sign_out(hand: Hand) -> None:
    hand.press(hand.page.locator("#person summary"))
    hand.press(hand.page.get_by_role("button", name="Sign out"))
    expect(hand.page.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", WAYS)
def test_every_main_task(visit: Callable[..., Page], scene: Scene, way: str) -> None:
    act, script = WAYS[way]
    page = visit("", java_script_enabled=script)
    hand = act(page)
    failed: list[str] = []
    who = ""
    for name, task in (account_tasks.FIRST | TASKS | account_tasks.LAST).items():
        if task.who != who:
            if who:
                sign_out(hand)
            who = task.who
            sign_in(hand, who)
        if not task.live:
            rest()
        page.goto(task.path.format(**pages.ids(scene)))
        try:
            task.do(hand)
        except (AssertionError, PlaywrightError) as error:
            # The others are tried all the same: one run tells everything that is wrong.
            failed.append(f"{name}, {page.url}: {error}")
    sign_out(hand)
    assert not failed, "\n\n".join(failed)
