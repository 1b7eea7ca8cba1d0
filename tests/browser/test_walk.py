"""Every page for everybody who opens it, light and dark, wide and narrow: nothing that axe-core, the browser or the
policy complains of, no word to anybody else, nothing that scrolls sideways."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.urls import resolve
from playwright.sync_api import Page

from autossl_panel.people.models import User
from tests.browser import pages
from tests.browser.conftest import sign_in
from tests.browser.pages import NO_PAGES, PAGES, ids
from tests.web.scene import Scene
from tests.web.test_access import OK, ROLES, TABLE

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WHO = sorted({person for place in PAGES.values() for person in place.who})
# 320 is 1280 at 400 %. Where the layout is the same, colours are looked at once.
WIDTHS = (1280, 360, 320)
LOOKED_AT = {"light": (1280, 360), "dark": (1280,)}
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""


def test_the_table_of_pages_is_complete():
    opened = {name for name, methods in TABLE.items() if OK in methods.get("get", ()) and name not in NO_PAGES}
    shown = {resolve(urlsplit(place.path.format_map(_One())).path).url_name for name, place in _there()}
    assert opened - shown == set(), "pages that nobody walks"
    assert len(ROLES) == 5


class _One(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 1


def _there():
    return [(name, place) for name, place in PAGES.items() if name != "not-found"]


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("theme", "language"), [("light", "en"), ("dark", "de")])
@pytest.mark.parametrize("who", WHO)
def test_every_page(visit, scene: Scene, live_server, complaints: list[str], who: str, theme: str, language: str):
    page: Page = visit(who, color_scheme=theme, viewport={"width": 1280, "height": 900})
    if who == "":
        # Whoever has given the password only is nobody yet.
        sign_in(page, "root", halfway=True)
    User.objects.update(language=language)
    page.add_init_script(WATCH)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    found: list[str] = []
    for name, place in PAGES.items():
        if who not in place.who:
            continue
        page.goto(place.path.format(**ids(scene)))
        found += [f"{name}: {directive} was violated" for directive in page.evaluate("window.violations")]
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            wrong = sideways(page, width) + (judged(page) if width in LOOKED_AT[theme] else [])
            found += [f"{name}, {width} px: {text}" for text in wrong]
    if who == "":
        # A page that is not there is a complaint of the browser's too.
        complaints[:] = [text for text in complaints if "404" not in text]
    assert found == []
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(live_server.url).netloc}


def sideways(page: Page, width: int) -> list[str]:
    needed = page.evaluate("document.documentElement.scrollWidth")
    return [f"scrolls sideways, {needed} px"] if needed > width else []


def judged(page: Page) -> list[str]:
    found = []
    for violation in Axe().run(page, options={"runOnly": RULES}).response["violations"]:
        nodes = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
        found.append(f"{violation['id']}: {violation['help']}: {nodes}")
    return found


def test_what_is_wrong_is_seen(browser):
    page = browser.new_page(viewport={"width": 360, "height": 600})
    page.set_content(
        '<html lang="en"><title>x</title><main><h1>x</h1><input><p style="color: #aaa; width: 500px">pale</p></main>'
    )
    assert sideways(page, 360)
    assert {text.partition(":")[0] for text in judged(page)} >= {"label", "color-contrast"}
    page.close()
