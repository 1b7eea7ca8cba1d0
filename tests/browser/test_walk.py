"""Every page for everybody who opens it, light and dark, wide and narrow: nothing that axe-core, the browser or the
policy complains of, no word to anybody else, nothing that scrolls sideways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from urllib.parse import urljoin, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import resolve
from playwright.sync_api import Page, Route

from autossl_panel.people.models import User
from tests.browser import pages
from tests.browser.conftest import sign_in
from tests.browser.pages import NO_PAGES, PAGES, REFUSALS, STATES, Place, ids
from tests.support import ready
from tests.web.scene import Scene
from tests.web.test_access import OK, ROLES, TABLE

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WHO = sorted({person for place in PAGES.values() for person in place.who})
# Among the quick tests those with few pages are walked both ways, root's light and in English; a reseller's are root's.
WAYS = [
    *(
        pytest.param(who, "light", "en", marks=[pytest.mark.slow] if who == "harborweb" else [], id=f"{who}-light-en")
        for who in WHO
    ),
    *(
        pytest.param(
            who, "dark", "de", marks=[pytest.mark.slow] if who in ("root", "harborweb") else [], id=f"{who}-dark-de"
        )
        for who in WHO
    ),
]
AXE = Axe().axe_script
# 320 is 1280 at 400 %. Where the layout is the same, colours are looked at once.
PHONE = 360
WIDTHS = (1280, PHONE, 320)
LOOKED_AT = {"light": (1280, PHONE), "dark": (1280,)}
WATCH = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""
# What moves in is there: half way in, it is pale. What goes round for ever, or by scrolling, is not waited for.
AT_REST = """() => Promise.all(document.getAnimations()
    .filter(({ effect, timeline }) => timeline === document.timeline && effect.getComputedTiming().endTime !== Infinity)
    .map((moving) => moving.finished.catch(() => null))).then(() => null)"""
# What is pressed and is less than 24 px wide or high, whatever room is around it. A box is pressed by its label, too;
# what stands in a line of text is as high as that.
SMALL = """() => [...document.querySelectorAll("a, button, summary, input, select, textarea")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && getComputedStyle(one).display !== "inline")
    .filter((one) => !one.matches(".sr, .sr *, thead *, [tabindex='-1']"))
    .map((one) => one.matches("[type=radio], [type=checkbox]") ? one.closest("label") ?? one : one)
    .filter((one) => one.offsetWidth < 24 || one.offsetHeight < 24)
    .map((one) => `${one.offsetWidth} × ${one.offsetHeight}: ${one.outerHTML.slice(0, 120)}`)"""
# What an open menu lies over is no target until it closes: of its size nothing can be said.
JUDGE = """async (options) => {
    const found = await axe.run({ ...options, elementRef: true });
    const open = [...document.querySelectorAll("details.menu[open] > ul")].map((menu) => menu.getBoundingClientRect());
    const covered = (one) => {
        const box = one.getBoundingClientRect();
        return open.some((over) => box.left < over.right && over.left < box.right
            && box.top < over.bottom && over.top < box.bottom) && !one.closest("details.menu[open]");
    };
    return found.violations.map(({ id, help, nodes }) => ({
        id, help,
        nodes: nodes.filter((node) => id !== "target-size" || !covered(node.element)).map((node) => node.html),
    })).filter((one) => one.nodes.length);
}"""
NEXT = "() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))"
# As a form of the page would be sent, with the token of the page
SEND = """([path, fields]) => {
    const form = document.createElement("form");
    form.method = "post";
    form.action = path;
    const token = document.querySelector("input[name=csrfmiddlewaretoken]").value;
    for (const [name, value] of Object.entries({ csrfmiddlewaretoken: token, ...fields })) {
        const field = document.createElement("input");
        Object.assign(field, { type: "hidden", name, value });
        form.append(field);
    }
    document.body.append(form);
    form.submit();
}"""


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
@pytest.mark.parametrize(("who", "theme", "language"), WAYS)
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
    known = ids(scene)
    for name, place in (PAGES | STATES).items():
        if who in place.who:
            go(page, place, known)
            found += [f"{name}, {text}" for text in wrong(page, theme)]
    for name in REFUSALS if who == "" else ():
        page.route("**/refused/", partial(refuse, name))
        page.goto("/refused/")
        found += [f"{name}, {text}" for text in wrong(page, theme)]
        page.unroute("**/refused/")
    if who == "":
        # A page that is not there is a complaint of the browser's too.
        complaints[:] = [text for text in complaints if "404" not in text]
    assert found == [], "\n".join(found)
    assert {urlsplit(url).netloc for url in asked} == {urlsplit(live_server.url).netloc}


def go(page: Page, place: Place, known: Mapping[str, object]) -> None:
    """Open what is to be looked at."""
    page.set_viewport_size({"width": 1280, "height": 900})
    if place.before:
        place.before()
    path = place.path.format(**known)
    page.goto(place.start.format(**known) or path)
    if place.post is not None:
        with page.expect_navigation():
            page.evaluate(
                SEND, [path, {name.format(**known): text.format(**known) for name, text in place.post.items()}]
            )
    for selector in place.press:
        page.locator(selector).filter(visible=True).first.click()
        # What is opened tells of it a moment later
        page.evaluate(NEXT)
        ready.wait(page)
    page.evaluate(AT_REST)


def refuse(name: str, route: Route) -> None:
    """Answer with that refusal's page, under the policy of every page."""
    answer = route.fetch(url=urljoin(route.request.url, "/no/such/page/"))
    page = render_to_string(f"{name}.html", {"request": HttpRequest()})
    route.fulfill(response=answer, status=200, body=page)


def wrong(page: Page, theme: str) -> Iterator[str]:
    yield from (f"{directive} was violated" for directive in page.evaluate("window.violations"))
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        yield from (f"{width} px: {text}" for text in sideways(page, width))
        if width == PHONE:
            yield from (f"{width} px: too small to press, {text}" for text in page.evaluate(SMALL))
        if width in LOOKED_AT[theme]:
            yield from (f"{width} px: {text}" for text in judged(page, colours=width == WIDTHS[0]))


def sideways(page: Page, width: int) -> list[str]:
    needed = page.evaluate("document.documentElement.scrollWidth")
    return [f"scrolls sideways, {needed} px"] if needed > width else []


def judged(page: Page, *, colours: bool = True) -> list[str]:
    found = []
    rules = {"color-contrast": {"enabled": colours}}
    # Nothing here plays, and no rule of these reads the stylesheets, which would be asked for once more.
    options = {"runOnly": RULES, "resultTypes": ["violations"], "rules": rules, "preload": False, "selectors": False}
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    for violation in page.evaluate(JUDGE, options):
        nodes = "; ".join(html[:120] for html in violation["nodes"][:3])
        found.append(f"{violation['id']}: {violation['help']}: {nodes}")
    return found


def test_what_is_wrong_is_seen(browser):
    page = browser.new_page(viewport={"width": 360, "height": 600})
    page.set_content(
        '<html lang="en"><title>x</title><main><h1>x</h1><input size="1">'
        '<p style="color: #aaa; width: 500px">pale</p></main>'
    )
    assert sideways(page, 360)
    assert page.evaluate(SMALL)
    assert {text.partition(":")[0] for text in judged(page)} >= {"label", "color-contrast"}
    at = "position: absolute; top: %dpx"
    menu = f'<details class="menu" open><summary>m</summary><ul style="{at}; left: 0">a</ul></details>'
    small = f'<a href="/" style="{at % 100}">x</a><a href="/" style="{at % 112}">y</a>'
    for top, seen in ((95, False), (300, True)):
        page.set_content(f'<html lang="en"><title>x</title><main><h1>x</h1>{small}{menu % top}</main>')
        assert ("target-size" in {text.partition(":")[0] for text in judged(page)}) is seen
    page.close()
