"""A person who is quicker than the page: what they press, and where they are, is not taken from them."""

import pytest
from playwright.sync_api import Page, Route, expect

from autossl_panel.autossl.models import Level, LogLine, Run
from autossl_panel.hosting.models import HostingUser
from tests.browser.conftest import later
from tests.browser.test_panel import add_line, radio
from tests.support import ready
from tests.web import own_scene
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)
# Longer than htmx takes to settle what it has put in place
SETTLED = 200


def at_once(page: Page, seen: str, act: str) -> None:
    """Does `act` as soon as something on the page has changed so that `seen` holds, before anything else can."""
    page.evaluate(
        f"""() => new MutationObserver((_, observer) => {{
            if (!({seen})) return;
            observer.disconnect();
            {act};
        }}).observe(document.body, {{ attributes: true, childList: true, subtree: true }})"""
    )


def test_the_focus_is_not_moved_in_a_dialog_that_is_open(visit, scene: Scene):
    page = visit()
    at_once(page, "document.querySelector('#dialog[open]')", "document.querySelector('#dialog form button').focus()")
    page.get_by_role("link", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    page.wait_for_timeout(SETTLED)
    expect(dialog.get_by_role("button", name="Cancel the run")).to_be_focused()


def test_an_undo_puts_the_focus_where_it_belongs_with_the_page(visit, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now)
    page = visit(path="/users/?q=amber")
    radio(page, "amberfield", "Disabled").click()
    page.evaluate("window.before = document.getElementById('main')")
    at_once(
        page,
        "document.getElementById('main') !== window.before",
        "window.landed = document.activeElement.closest('fieldset')?.className",
    )
    page.locator("#undo").click()
    expect(page.locator("#toast")).to_contain_text("1 user is set as before.")
    assert page.evaluate("window.landed") == "three"


def test_what_is_pressed_is_not_replaced_before_it_is_let_go_of(visit, scene: Scene):
    page = visit(timed=True)
    cancel = page.get_by_role("link", name="Cancel")
    cancel.hover()
    page.mouse.down()
    for _ in range(2):
        with page.expect_response("**/runs/slot/"):
            later(page, 2)
    ready.wait(page)
    page.mouse.up()
    expect(page.get_by_role("dialog")).to_contain_text("Cancel this run?")
    page.keyboard.press("Escape")
    # Let go of, the page is followed again.
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now)
    later(page, 2)
    expect(page.get_by_role("button", name="Run AutoSSL For All Users")).to_be_visible()


def test_lines_that_came_while_something_was_pressed_come_once_it_is_not(visit, scene: Scene):
    page = visit(path=f"/runs/{scene.live.pk}/", timed=True)
    page.get_by_role("heading", level=1).hover()
    page.mouse.down()
    add_line(scene.live, 50, 4711)
    with page.expect_response("**/live/*"):
        later(page, 2)
    ready.wait(page)
    expect(page.get_by_role("log")).not_to_contain_text("4711 secured")
    page.mouse.up()
    later(page, 2)
    expect(page.get_by_role("log")).to_contain_text("4711 secured")
    expect(page.get_by_role("log").get_by_text("4711 secured")).to_have_count(1)


def test_who_scrolls_up_as_lines_arrive_is_left_there(visit, scene: Scene):
    job = add_line(scene.live, 50, 4000)
    rows = [
        LogLine(run=scene.live, job=job, user=job.user, seq=100 + n, at=scene.now, level=Level.SUCCESS, depth=2,
                event="check:secured", data={"number": 4000 + n})
        for n in range(1, 80)
    ]  # fmt: skip
    LogLine.objects.bulk_create(rows)
    page = visit(path=f"/runs/{scene.live.pk}/")
    log = page.get_by_role("log")
    expect(log).to_contain_text("4079 secured")
    at_once(
        page,
        "document.getElementById('lines').textContent.includes('4711')",
        "document.getElementById('live-lines').scrollTop = 100",
    )
    add_line(scene.live, 200, 4711)
    expect(log).to_contain_text("4711 secured")
    page.wait_for_timeout(SETTLED)
    assert log.evaluate("log => log.scrollTop") == 100


def test_whoever_is_in_a_field_before_the_script_has_run_stays_there(visit, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now)
    page = visit(path="/users/?q=amber")
    radio(page, "amberfield", "Disabled").click()
    expect(page.locator("#undo")).to_be_visible()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/panel.js*", hold)
    with page.expect_request("**/panel.js*"):
        # As without script: a page comes, that says what was done and where things are as before.
        page.evaluate("HTMLFormElement.prototype.submit.call(document.querySelector('#toast form'))")
    page.wait_for_function("document.querySelector('#toast [data-focus]')")
    page.wait_for_function("document.getElementById('q').focus() ?? document.activeElement.id === 'q'")
    held[0].continue_()
    expect(page.locator("#toast")).to_contain_text("1 user is set as before.")
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert HostingUser.objects.get(name="amberfield").autossl == "feature-list"


def test_the_log_of_a_check_that_has_ended_is_read_from_its_head(visit, scene: Scene):
    own = own_scene.build(scene)
    Run.objects.update(ended_at=scene.now)
    run = Run.objects.create(server=own.user.server, scope="user:lindner", started_at=scene.now, ended_at=scene.now)
    rows = [
        LogLine(run=run, user=own.user, seq=n, at=scene.now, level=Level.SUCCESS, depth=2,
                event="check:secured", data={"number": 4000 + n})
        for n in range(1, 50)
    ]  # fmt: skip
    LogLine.objects.bulk_create(rows)
    log = visit("lindner", f"/status/{own.user.pk}/").get_by_role("log")
    expect(log).to_contain_text("4049 secured")
    assert log.evaluate("log => log.scrollHeight > log.clientHeight")
    assert log.evaluate("log => log.scrollTop") == 0


def test_copy_is_offered_only_once_the_script_copies(visit, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=scene.now)
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.goto("/security/tokens/add/")
    page.get_by_label("Name").fill("monitoring")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/panel.js*", hold)
    with page.expect_request("**/panel.js*"):
        page.evaluate("HTMLFormElement.prototype.submit.call(document.querySelector('#main form'))")
    page.wait_for_function(
        "document.querySelector('[data-copy]')?.checkVisibility({ visibilityProperty: true }) === false"
    )
    held[0].continue_()
    copy = page.get_by_role("button", name="Copy the token")
    expect(copy).to_be_visible()
    copy.click()
    expect(page.locator(".rec")).to_contain_text("Copied")
