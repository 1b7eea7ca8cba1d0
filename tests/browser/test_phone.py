"""A phone's width, in German, whose words are long: nothing is cut, touches or stands at the wrong edge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from autossl_panel.people.models import User
from tests.browser import pages
from tests.browser.pages import PAGES, ids
from tests.browser.test_walk import go

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)

CUT = """() => [...document.querySelectorAll("td .btn")].filter((one) => one.scrollWidth > one.clientWidth + 1)
    .map((one) => one.textContent.trim())"""
# How far the line below a card's head stands from the buttons that wrapped above it
NEAREST = """() => [...document.querySelectorAll(".card-h:has(.btn) > p")].map((line) =>
    line.getBoundingClientRect().top - Math.max(...[...line.parentElement.querySelectorAll(".btn")]
        .filter((one) => one.compareDocumentPosition(line) & Node.DOCUMENT_POSITION_FOLLOWING)
        .map((one) => one.getBoundingClientRect().bottom)))"""
GAP = "one => one.querySelector('.fix').getBoundingClientRect().top - one.getBoundingClientRect().top"
FADES = "one => ['--before', '--more'].map((edge) => getComputedStyle(one).getPropertyValue(edge))"
TEXT_TOP = """one => {
    const words = document.createRange();
    const texts = document.createTreeWalker(one, NodeFilter.SHOW_TEXT, (text) => text.data.trim() ? 1 : 2);
    words.selectNodeContents(texts.nextNode());
    return words.getBoundingClientRect().top;
}"""
LEFT = "one => one.getBoundingClientRect().left"


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


@pytest.fixture
def phone(visit, scene: Scene) -> Page:
    page: Page = visit()
    User.objects.update(language="de")
    return page


def narrow(page: Page, scene: Scene, name: str) -> None:
    go(page, PAGES[name], ids(scene))
    page.set_viewport_size({"width": 360, "height": 900})


def test_buttons_of_rows_say_all_that_they_do(phone: Page, scene: Scene):
    for name in ("users", "status", "pending", "problem"):
        narrow(phone, scene, name)
        assert phone.evaluate(CUT) == [], name


def test_a_line_below_buttons_does_not_touch_them(phone: Page, scene: Scene):
    for name in ("problems", "run-past", "options", "status", "history"):
        narrow(phone, scene, name)
        found = phone.evaluate(NEAREST)
        assert found, name
        assert min(found) >= 6, name


def test_what_a_group_of_a_run_holds_stands_under_its_title(phone: Page, scene: Scene):
    narrow(phone, scene, "run-past")
    groups = phone.locator("details.grp > summary").filter(has=phone.locator(".push, .long"))
    assert groups.count() == 3
    for place in range(groups.count()):
        title = groups.nth(place).locator("b").evaluate(LEFT)
        assert groups.nth(place).locator(".push, .long").last.evaluate(LEFT) == pytest.approx(title, abs=1)


def test_what_to_do_follows_its_line_of_the_log_at_once(phone: Page, scene: Scene):
    narrow(phone, scene, "run-lines")
    advice = phone.locator(".log li:has(.fix)")
    assert advice.count() > 0
    for place in range(advice.count()):
        assert advice.nth(place).evaluate(GAP) < 10


def test_what_scrolls_sideways_says_so_until_its_end_is_there(phone: Page, scene: Scene):
    narrow(phone, scene, "providers")
    frame = phone.get_by_role("region", name="Vergleichstabelle")
    assert frame.evaluate("one => one.scrollWidth > one.clientWidth")
    assert frame.evaluate(FADES) == ["0px", "44px"]
    frame.evaluate("one => { one.scrollLeft = one.scrollWidth }")
    phone.wait_for_function(f"one => ({FADES})(one)[1] === '0px'", arg=frame.element_handle())
    go(phone, PAGES["certificates"], ids(scene))
    chart = phone.locator(".wrap:has(> .chart)")
    assert chart.evaluate(FADES) == ["0px", "0px"], "all of it is there"
    phone.set_viewport_size({"width": 360, "height": 900})
    assert chart.evaluate(FADES) == ["0px", "44px"]


def test_the_buttons_of_users_stand_in_one_column_at_the_edge(phone: Page, scene: Scene):
    narrow(phone, scene, "users")
    right = phone.locator("tbody .btn").evaluate_all("all => all.map((one) => one.getBoundingClientRect().right)")
    assert len(right) > 3
    assert max(right) - min(right) < 1
    phone.set_viewport_size({"width": 640, "height": 900})
    top = phone.locator(".bulk .btn[name]").evaluate_all("all => all.map((one) => one.getBoundingClientRect().top)")
    assert len(set(top)) == 1, "what is done with the selected stands in one line"


def test_an_empty_cell_has_no_label(phone: Page, scene: Scene):
    narrow(phone, scene, "options")
    tests = phone.locator("#channels td[data-l=Test]")
    assert [tests.nth(place).is_visible() for place in range(tests.count())] == [False, True]


def test_columns_stand_under_their_heads(phone: Page, scene: Scene):
    """On a wide screen."""
    go(phone, PAGES["people-users"], ids(scene))
    head = phone.locator(".hosting-t thead th").last
    cell = phone.locator(".hosting-t tbody td.mail").first
    pad = "one => one.getBoundingClientRect().left + parseFloat(getComputedStyle(one).paddingLeft)"
    assert cell.evaluate(pad) == pytest.approx(head.evaluate(pad), abs=1)


def test_how_many_names_stands_in_the_line_of_its_row(phone: Page, scene: Scene):
    """On a wide screen."""
    go(phone, PAGES["preview"], ids(scene))
    row = phone.locator(".foreseen tbody tr").filter(has=phone.locator(".fold")).first
    names = row.locator(".fold > summary").evaluate(TEXT_TOP)
    assert names == pytest.approx(row.locator("td").last.evaluate(TEXT_TOP), abs=1)
