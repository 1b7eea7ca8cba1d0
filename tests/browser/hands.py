"""How a person gets something done on a page: with the mouse, or with the keyboard and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from playwright.sync_api import ElementHandle, Locator, Page, expect

from tests.support import ready

# Stops of Tab on the fullest page, and some more
MOST_STOPS = 400
# null: it is not on the page any more, another one has taken its place.
FOCUSED = "element => element.isConnected ? element === document.activeElement : null"
IN_GROUP = """element => {
    const at = document.activeElement;
    return element.isConnected ? at.type === "radio" && at.name === element.name && at.form === element.form : null;
}"""
# What has the focus is on the screen, and nothing lies over it. A control that its label stands for shows in the label.
SEEN = """element => {
    const shown = element.closest("label") ?? element;
    return [...shown.getClientRects()].some((box) => {
        const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
        return top && (shown.contains(top) || top.contains(shown));
    });
}"""
MOST_FRAMES = 40
MARKED = """element => element.matches(":focus-visible") && [element, element.closest("label")].some((one) => {
    const css = one && getComputedStyle(one);
    return css && css.outlineStyle !== "none" && parseFloat(css.outlineWidth) >= 2;
})"""


class Hand(Protocol):
    """The acts that a task is made of; each acts on what is on `page` now."""

    page: Page

    def press(self, target: Locator) -> None:
        """A link, a button, a summary."""

    def fill(self, target: Locator, text: str) -> None:
        """Text into a field, in place of what was in it."""

    def search(self, text: str) -> None:
        """Type into the search of the page, and ask."""

    def tick(self, target: Locator) -> None:
        """A box, or a radio button."""

    def choose(self, target: Locator, label: str) -> None:
        """An entry of a list."""


@dataclass(slots=True)
class Mouse:
    page: Page

    def press(self, target: Locator) -> None:
        target.click()

    def fill(self, target: Locator, text: str) -> None:
        target.click()
        target.fill(text)

    def search(self, text: str) -> None:
        field = self.page.get_by_role("searchbox")
        self.fill(field, text)
        field.press("Enter")

    def tick(self, target: Locator) -> None:
        target.click()

    def choose(self, target: Locator, label: str) -> None:
        target.select_option(label=label)


@dataclass(slots=True)
class Keyboard:
    """Asks of each stop it acts on that it is seen and that the focus shows there.

    What leads to another page is pressed on the element that has the focus, for then its page is waited for."""

    page: Page

    def press(self, target: Locator) -> None:
        self._reach(target).press("Enter")

    def fill(self, target: Locator, text: str) -> None:
        self._reach(target)
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def search(self, text: str) -> None:
        ready.wait(self.page)
        self.page.keyboard.press("/")
        field = self.page.get_by_role("searchbox")
        expect(field).to_be_focused()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)
        field.press("Enter")

    def tick(self, target: Locator) -> None:
        if target.get_attribute("type") != "radio":
            self._reach(target)
            self.page.keyboard.press("Space")
            return
        self._reach(target, IN_GROUP)
        if not target.is_checked() and target.evaluate(FOCUSED):
            self.page.keyboard.press("Space")
        for _ in range(MOST_STOPS):
            if target.is_checked():
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"the arrows do not get to {target}")

    def choose(self, target: Locator, label: str) -> None:
        self._reach(target)
        self.page.keyboard.press("Home")
        for _ in range(MOST_STOPS):
            if target.evaluate("element => element.selectedOptions[0].label.trim()") == label:
                return
            self.page.keyboard.press("ArrowDown")
        raise AssertionError(f"{target} has no “{label}”")

    def _reach(self, target: Locator, there: str = FOCUSED) -> ElementHandle:
        expect(target).to_be_attached()
        handle = target.element_handle()
        for _ in range(MOST_STOPS):
            reached = handle.evaluate(there)
            if reached:
                break
            if reached is None:
                handle = target.element_handle()
                continue
            self.page.keyboard.press("Tab")
        else:
            raise AssertionError(f"the keyboard does not get to {target}")
        if there == FOCUSED:
            assert handle.evaluate(SEEN), f"{target} has the focus, and something lies over it"
            for _ in range(MOST_FRAMES):
                if handle.evaluate(MARKED):
                    return handle
                # On a busy machine it is drawn a moment later
                self.page.wait_for_timeout(50)
            raise AssertionError(f"{target} has the focus and does not show it")
        return handle


def named(word: str) -> re.Pattern[str]:
    """A name that begins so; what a button counts comes after it."""
    return re.compile(f"^{re.escape(word)}")
