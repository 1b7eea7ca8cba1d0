"""Names as long as they get, on every page: nothing scrolls sideways, hangs out of its card or lies over another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autossl_panel.people.models import User
from tests.browser import long_names, pages
from tests.browser.pages import PAGES, STATES, Place, ids
from tests.browser.test_walk import go, sideways

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.scene import Scene

WIDTHS = (1280, 360, 320)
# What hangs out of its card, and what holds more than its own box and lies over what stands beside it. What is cut or
# scrolls within its place does neither; nor does what floats above the page.
HANGING = """() => {
    const found = new Set();
    const say = (what, element, by) => found.add(
        `${what} by ${Math.round(by)} px: ${element.tagName} “${element.getAttribute("class") ?? ""}” `
        + element.textContent.trim().replace(/\\s+/g, " ").slice(0, 50));
    const held = (element, card) => {
        for (let one = element; one && one !== card; one = one.parentElement) {
            const style = getComputedStyle(one);
            if (style.position === "absolute" || style.position === "fixed") return true;
            if (one !== element && style.overflowX !== "visible") return true;
        }
        return false;
    };
    for (const card of document.querySelectorAll(".card, .dialog, .live, .trouble.on, .note")) {
        const box = card.getBoundingClientRect();
        if (!box.width) continue;
        for (const element of card.querySelectorAll("*")) {
            if (element.closest("svg") && element.tagName !== "svg" || !element.checkVisibility()) continue;
            const mine = element.getBoundingClientRect();
            if (mine.width < 2 || mine.height < 2) continue;
            const out = Math.max(mine.right - box.right, box.left - mine.left);
            if (out > 1.5 && !held(element, card)) say("out of its card", element, out);
            const style = getComputedStyle(element);
            const over = element.scrollWidth - element.clientWidth;
            if (element.clientWidth && over > 2 && style.overflowX === "visible" && style.display !== "inline"
                && !held(element, card) && !element.querySelector("details[open] > ul, .menu")) {
                say("over its neighbour", element, over);
            }
        }
    }
    // A table that scrolls within its card on a wide screen hides its buttons
    for (const wrap of document.querySelectorAll("main .wrap:has(.btn)")) {
        if (innerWidth >= 1280 && wrap.scrollWidth > wrap.clientWidth + 1) {
            say("a table with buttons scrolls", wrap, wrap.scrollWidth - wrap.clientWidth);
        }
    }
    return [...found].slice(0, 8);
}"""


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("who", "language"), [("root", "en"), ("lindner", "de")])
def test_no_name_is_too_long_for_a_page(visit, scene: Scene, who: str, language: str):
    page: Page = visit(who)
    known = ids(scene)
    long_names.build()
    User.objects.update(language=language)
    places = {name: place for name, place in {**PAGES, **_opened()}.items() if who in place.who}
    said = found(page, places, known)
    assert not said, "\n".join(said)


@pytest.mark.django_db(transaction=True)
def test_the_main_pages_hold_them(visit, scene: Scene):
    page: Page = visit()
    known = ids(scene)
    long_names.build()
    names = ("users", "certificates", "certificate", "problems", "problem", "pending", "run-past", "preview", "status")
    places = {name: PAGES[name] for name in names}
    assert found(page, places, known) == []


def _opened() -> dict[str, Place]:
    """What is opened by a click, where the click does not go by a name."""
    return {
        name: place for name, place in STATES.items() if place.press and place.post is None and "q=" not in place.path
    }


def found(page: Page, places: dict[str, Place], known: dict[str, object]) -> list[str]:
    said = []
    for name, place in places.items():
        go(page, place, known)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            said += [f"{name}, {width} px: {text}" for text in (*sideways(page, width), *page.evaluate(HANGING))]
    return said


def test_what_hangs_out_is_seen(browser):
    page = browser.new_page(viewport={"width": 1280, "height": 600})
    page.set_content(
        '<main><div class="card" style="width: 300px"><div style="display: grid; grid-template-columns: 80px 1fr">'
        f'<p>{"w" * 12}</p><p>why</p></div><div style="width: 320px; height: 9px"></div>'
        f'<div style="overflow: auto"><p>{"w" * 90}</p></div></div></main>'
    )
    said = page.evaluate(HANGING)
    assert {text.split(" by ")[0] for text in said} == {"out of its card", "over its neighbour"}, said
    page.close()
