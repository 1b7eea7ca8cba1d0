"""While a request is under way, and when one fails: nothing jumps, is sent twice, or is lost in silence."""

import re

import pytest
from playwright.sync_api import Page, expect

from autossl_panel.autossl.models import Run
from autossl_panel.hosting.models import HostingUser
from tests.browser.conftest import later
from tests.browser.test_panel import radio, setting
from tests.support import ready
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


def no_run(scene: Scene) -> None:
    """No page polls then."""
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now)


def test_a_change_that_could_not_be_saved_is_told_taken_back_and_tried_again(visit, scene: Scene, complaints):
    no_run(scene)
    page = visit(path="/users/?q=amber")
    top = page.locator("tbody tr").bounding_box()
    page.route("**/autossl/", lambda route: route.abort())
    radio(page, "amberfield", "Disabled").click()
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("That was not saved. AutoSSL for amberfield. The panel cannot be reached.")
    expect(radio(page, "amberfield", "Use feature list")).to_be_checked()
    assert page.locator("tbody tr").bounding_box() == top, "nothing jumps"
    assert setting("amberfield") == "feature-list"
    page.unroute("**/autossl/")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “amberfield”.")
    expect(radio(page, "amberfield", "Disabled")).to_be_checked()
    expect(alert).to_be_empty()
    assert setting("amberfield") == "off"
    assert any("ERR_FAILED" in text for text in complaints)
    complaints.clear()


@pytest.mark.parametrize(
    ("status", "words", "way"),
    [
        (500, "The panel met an error", "Try again"),
        (502, "The panel met an error", "Try again"),
        (403, "older than your session", "Reload"),
        (404, "not there any more", "Reload"),
        (400, "did not take it", "Try again"),
    ],
)
def test_an_answer_that_is_an_error_is_told_in_words(visit, scene: Scene, complaints, status, words, way):
    no_run(scene)
    page = visit(path="/users/?q=amber")
    page.route("**/autossl/", lambda route: route.fulfill(status=status, body="<h1>no</h1>"))
    radio(page, "amberfield", "Disabled").click()
    expect(page.get_by_role("alert")).to_contain_text(words)
    expect(page.get_by_role("button", name=way)).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("alert")).to_be_empty()
    complaints.clear()


def test_a_page_that_stands_still_says_so_until_it_moves_again(visit, complaints):
    page = visit(timed=True)
    page.route("**/runs/slot/", lambda route: route.abort())
    page.route(re.compile("/users/$"), lambda route: route.abort())
    still = page.locator("#trouble [role=status]")
    later(page, 2)
    expect(still).to_have_text("This page is not up to date. The panel cannot be reached.")
    page.unroute_all()
    later(page, 5)
    expect(still).to_be_empty()
    complaints.clear()


def test_a_session_that_is_over_is_told_in_place(visit, scene: Scene, complaints):
    page = visit(path="/users/?q=amber", timed=True)
    page.context.clear_cookies()
    later(page, 2)
    expect(page.locator("#trouble [role=status]")).to_contain_text("Your session is over: sign in, then try again.")
    expect(page.get_by_role("link", name="amberfield")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(3):
        later(page, 5)
    ready.wait(page)
    assert asked == [], "nothing more is asked without a session"
    complaints.clear()
    page.locator("#trouble").get_by_role("link", name="Sign in").click()
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/users/?q=amber")


def test_a_form_is_sent_once_and_its_button_keeps_its_width(visit, scene: Scene):
    no_run(scene)
    page = visit(path="/users/?q=thistle")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    button = page.get_by_role("button", name="Check “thistle”")
    # In one breath: a browser that is leaving answers no more questions.
    before, after, css = button.evaluate(
        """button => {
            const width = () => button.getBoundingClientRect().width;
            const before = width();
            button.click();
            button.click();
            return [before, width(), button.className];
        }"""
    )
    assert before == after
    assert "busy" in css
    page.wait_for_url("**/runs/*/*")
    assert len(sent) == 1
    page.go_back()
    expect(page.get_by_role("button", name="Check “thistle”")).not_to_have_attribute("aria-disabled", "true")


def test_focus_and_scroll_stay_while_a_run_is_watched(visit, scene: Scene):
    page = visit(path=f"/runs/{scene.live.pk}/", timed=True)
    link = page.get_by_role("link", name=re.compile("^Lines of ")).first
    link.focus()
    page.evaluate("window.scrollTo(0, 300)")
    with page.expect_response("**/live/*"):
        later(page, 2)
    ready.wait(page)
    expect(link).to_be_focused()
    assert page.evaluate("window.scrollY") == 300


def test_tabs_stay_where_they_are_whichever_is_the_current_one(visit, scene: Scene):
    no_run(scene)
    page = visit(path="/users/")
    for first in ("Manage Users", "Persons"):
        names = page.locator(".tabs a .steady").all_inner_texts()
        assert first in names
        stood: dict[str, object] = {}
        for name in names:
            page.locator(".tabs a", has_text=name).click()
            expect(page.locator(".tabs a[aria-current]")).to_contain_text(name)
            for place in page.locator(".tabs a .steady").all():
                box = place.bounding_box()
                assert box is not None
                assert stood.setdefault(place.inner_text(), (box["x"], box["width"])) == (box["x"], box["width"])
        page.get_by_role("link", name="People").click()
        expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_motion_stops_where_the_person_wants_none(visit):
    page = visit(reduced_motion="reduce")
    moving = "document.getAnimations().filter(a => a.playState === 'running').length"
    assert page.evaluate(moving) == 0
    page = visit(reduced_motion="no-preference")
    assert page.evaluate(moving) > 0


def test_forced_colours_keep_edges(visit):
    page = visit(forced_colors="active")
    edge = "getComputedStyle(document.querySelector('.btn.green')).borderTopStyle"
    assert page.evaluate(edge) == "solid"


def test_the_browsers_zone_is_told_at_sign_in(visit, scene: Scene):
    page = visit(timezone_id="Asia/Tokyo")
    expect(page.locator("footer")).to_contain_text("Times in Asia/Tokyo (UTC+9)")
    HostingUser.objects.filter(name="thistle").update(
        last_check_at="2026-03-29T01:00:00Z", last_check={"event": "check:secured", "data": {"number": 1}}
    )
    page.goto("/users/?q=thistle")
    time = page.locator("td.res time")
    expect(time).to_contain_text("10:00")
    expect(time).to_have_attribute("title", "Sun 29 Mar 2026, 01:00:00 UTC")


def test_without_script_times_are_utc(visit):
    page = visit(timezone_id="Asia/Tokyo", java_script_enabled=False)
    expect(page.locator("footer")).to_contain_text("Times in UTC")


def narrowest(page: Page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def test_trouble_fits_at_320_pixels(visit, scene: Scene, complaints):
    no_run(scene)
    page = visit(path="/users/?q=amber", viewport={"width": 320, "height": 640})
    page.route("**/autossl/", lambda route: route.abort())
    radio(page, "amberfield", "Disabled").click()
    expect(page.get_by_role("alert")).to_contain_text("That was not saved.")
    assert narrowest(page) <= 320
    complaints.clear()


def test_undo_happens_in_place_and_leaves_the_focus_where_things_are_as_before(visit, scene: Scene, complaints):
    no_run(scene)
    page = visit(path="/users/?q=amber")
    radio(page, "amberfield", "Disabled").click()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “amberfield”.")
    page.evaluate("window.same = true")
    ready.wait(page)
    page.keyboard.press("u")
    expect(page.locator("#toast")).to_contain_text("1 user is set as before.")
    expect(radio(page, "amberfield", "Use feature list")).to_be_focused()
    assert setting("amberfield") == "feature-list"
    assert page.evaluate("window.same"), "the page was not loaded again"
    assert page.url.endswith("/users/?q=amber")
    # What was put in place does what the page did: it saves, counts, and answers to keys.
    radio(page, "amberfield", "Disabled").click()
    expect(page.locator("#undo")).to_be_visible()
    page.keyboard.press("x")
    expect(page.locator("[data-n]").first).to_have_text("1")
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    # A toast is closed for good, here and on the server.
    expect(page.locator("#toast .toast")).to_have_count(0)
    page.reload()
    expect(page.locator("#toast .toast")).to_have_count(0)
    assert setting("amberfield") == "off"


def test_an_undo_that_another_tab_overtook_is_told_in_place(visit, scene: Scene):
    no_run(scene)
    page = visit(path="/users/?q=amber")
    radio(page, "amberfield", "Disabled").click()
    expect(page.locator("#undo")).to_be_visible()
    other = ready.watch(page.context.new_page())
    other.goto("/users/?q=amber")
    other.locator(".three [type=radio][value=on]").click()
    expect(other.locator("#toast")).to_contain_text("AutoSSL is on")
    page.locator("#undo").click()
    said = page.locator(".said")
    expect(said).to_contain_text("This was not undone")
    expect(said).to_be_focused()
    expect(page.locator(".three [type=radio][value=on]")).to_be_checked()
    assert setting("amberfield") == "on"


def test_what_was_unticked_of_all_that_match_stays_so_on_the_next_page(visit, scene: Scene):
    no_run(scene)
    feature_list = HostingUser.objects.first().feature_list
    HostingUser.objects.bulk_create(
        HostingUser(server=scene.server, name=f"zz{n:03}", feature_list=feature_list) for n in range(12)
    )
    page = visit(path="/users/?select=match")
    page.get_by_label("Select amberfield").uncheck()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("[data-n]").first).to_have_text("29")
    page.get_by_label("Select zz011").uncheck()
    page.get_by_role("link", name="Previous").click()
    expect(page.get_by_label("Select amberfield")).not_to_be_checked()
    page.get_by_role("button", name=re.compile("^Disable")).click()
    expect(page.locator("#toast")).to_contain_text("26 users")
    assert HostingUser.objects.exclude(autossl="off").count() == 2
    expect(page.locator("[data-n]").first).to_have_text("0")


def test_a_page_is_not_shown_in_the_zone_that_the_browser_has_left(visit, scene: Scene):
    no_run(scene)
    page = visit(timezone_id="Asia/Tokyo")
    expect(page.locator(".foot")).to_contain_text("UTC+9")
    page.context.add_cookies([{"name": "autossl_zone", "value": "Europe/Berlin", "url": page.url}])
    page.goto("/users/?q=amber")
    expect(page.locator(".foot")).to_contain_text("UTC+9")
    assert page.url.endswith("/users/?q=amber")


def test_back_shows_what_its_address_says(visit, scene: Scene):
    no_run(scene)
    page = visit(path="/users/?q=amber")
    radio(page, "amberfield", "Disabled").click()
    expect(page.locator("#undo")).to_be_visible()
    page.get_by_label("Select amberfield").check()
    page.get_by_label("Search users and sites").fill("pixel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="pixelforge")).to_be_visible()
    page.get_by_role("link", name=re.compile("^Disabled")).click()
    expect(page).to_have_url(re.compile("state=disabled"))
    HostingUser.objects.filter(name="amberfield").update(autossl="on")
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?q=pixel$"))
    expect(page.get_by_label("Search users and sites")).to_have_value("pixel")
    page.go_back()
    expect(page).to_have_url(re.compile(r"\?q=amber$"))
    expect(page.get_by_label("Search users and sites")).to_have_value("amber")
    expect(page.get_by_role("link", name="amberfield")).to_be_visible()
    expect(page.locator(".three [type=radio][value=on]")).to_be_checked()
    expect(page.get_by_label("Select amberfield")).not_to_be_checked()
    expect(page.locator("[data-n]").first).to_have_text("0")
    page.go_forward()
    expect(page.get_by_role("link", name="pixelforge")).to_be_visible()
