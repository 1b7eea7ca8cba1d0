"""The keyboard alone: what look.md lists, on the markup that every page has."""

import re

import pytest
from playwright.sync_api import Page, expect

from autossl_panel.hosting.models import HostingUser
from tests.support import ready
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


def press(page: Page, keys: str) -> None:
    for key in keys.split():
        ready.wait(page)
        page.keyboard.press(key)


def row(page: Page):
    """The row that keys act on, which is marked."""
    return page.locator("tbody tr.here")


def test_rows_are_walked_selected_and_set(visit):
    page = visit()
    press(page, "j j j")
    expect(row(page)).to_contain_text("bluefjord")
    expect(page.get_by_role("link", name="bluefjord")).to_be_focused()
    press(page, "k x")
    expect(page.get_by_label("Select ateliermo")).to_be_checked()
    press(page, "j j Shift+X")
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 3")
    expect(row(page)).to_contain_text("brandtlaw")
    press(page, "2")
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “brandtlaw”.")
    expect(page.get_by_role("link", name="brandtlaw")).to_be_focused()
    assert HostingUser.objects.get(name="brandtlaw").autossl == "off"
    press(page, "u")
    expect(page.locator("#toast")).to_contain_text("1 user is set as before.")
    assert HostingUser.objects.get(name="brandtlaw").autossl == "feature-list"


@pytest.mark.parametrize("path", ["/users/", "/security/"])
def test_the_list_of_keys_is_seen_only_when_asked_for(visit, path: str):
    page = visit(path=path)
    expect(page.locator("#keys")).to_be_hidden()
    press(page, "?")
    expect(page.locator("#keys")).to_be_visible()
    press(page, "Escape")
    expect(page.locator("#keys")).to_be_hidden()


def test_the_ends_of_the_table_are_ends(visit):
    page = visit()
    press(page, "k")
    expect(row(page)).to_contain_text("thistle")
    press(page, "j")
    expect(row(page)).to_contain_text("thistle")
    press(page, "Tab")
    expect(row(page)).to_contain_text("thistle")
    page.locator("#q").focus()
    expect(row(page)).to_have_count(0)


def test_check_and_open(visit):
    page = visit(path="/users/?q=thistle")
    press(page, "j c")
    page.wait_for_url("**/runs/*/*")
    press(page, "g l")
    page.wait_for_url("**/runs/")
    press(page, "j Enter")
    page.wait_for_url("**/runs/*/*")


def test_every_table_has_it_for_free(visit, scene: Scene):
    page = visit(path="/runs/")
    press(page, "j j")
    expect(row(page)).to_have_count(1)
    press(page, "x 1 c u")  # Nothing of these is there: nothing happens.
    expect(page).to_have_url(re.compile("/runs/$"))


@pytest.mark.parametrize(
    ("keys", "url"), [("g p", "/providers/"), ("g o", "/options/"), ("g u", "/users/"), ("g l", "/runs/")]
)
def test_g_goes_to_the_tabs(visit, keys: str, url: str):
    page = visit(path="/preferences/")
    press(page, keys)
    page.wait_for_url("**" + url)


def test_what_arrows_pass_on_the_way_is_not_saved(visit):
    page = visit(path="/users/?q=pixelforge")
    three = page.get_by_role("group", name="AutoSSL for pixelforge")
    three.get_by_label("Disabled").focus()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    press(page, "ArrowDown ArrowDown")
    expect(three.locator("input[value=on]")).to_be_checked()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is on for “pixelforge”.")
    assert len(sent) == 1
    press(page, "ArrowDown ArrowDown Tab")
    expect(page.locator("#toast")).to_contain_text("feature list")
    assert HostingUser.objects.get(name="pixelforge").autossl == "feature-list"
    assert len(sent) == 2


def test_the_search_is_focused_left_and_emptied(visit):
    page = visit(path="/users/?q=amber")
    field = page.get_by_role("searchbox")
    press(page, "/")
    expect(field).to_be_focused()
    page.keyboard.type("jx1?/")
    expect(field).to_have_value("jx1?/")
    expect(page.get_by_role("dialog")).to_have_count(0)
    press(page, "Escape")
    page.wait_for_url("**/users/?q=")
    press(page, "/ Escape")
    expect(page.get_by_role("searchbox")).not_to_be_focused()


def test_the_list_of_keys_names_what_this_person_has(visit):
    page = visit()
    press(page, "?")
    dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(dialog.get_by_text("Providers")).to_be_visible()
    press(page, "j g l")
    expect(page).to_have_url(re.compile("/users/$"))
    press(page, "Escape")
    expect(dialog).to_be_hidden()
    page = visit("harborweb")
    page.get_by_role("button", name="Keyboard shortcuts").click()
    expect(page.get_by_role("dialog").get_by_text("Manage Users")).to_be_visible()
    expect(page.get_by_role("dialog").get_by_text("Providers")).to_be_hidden()


def test_with_a_modifier_a_key_is_the_browsers(visit):
    page = visit()
    press(page, "j Control+j Alt+x Control+/ Meta+2")
    expect(row(page)).to_contain_text("amberfield")
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 0")
    expect(page.get_by_role("searchbox")).not_to_be_focused()


def test_they_are_switched_off_in_the_menu(visit):
    page = visit()
    page.locator("#person summary").click()
    page.get_by_role("group", name="Single keys act").get_by_role("button", name="Off").click()
    expect(page.get_by_role("button", name="Keyboard shortcuts")).to_have_count(0)
    press(page, "j / ? g l")
    expect(row(page)).to_have_count(0)
    expect(page.get_by_role("searchbox")).not_to_be_focused()
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page).to_have_url(re.compile("/users/$"))


def test_escape_closes_what_is_open(visit):
    page = visit(path="/users/?q=amber")
    page.locator("#person summary").click()
    press(page, "Escape")
    expect(page.locator("#person")).not_to_have_attribute("open", "")
    expect(page.locator("#person summary")).to_be_focused()
    press(page, "j 2")
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off")
    press(page, "Escape")
    expect(page.locator("#toast")).to_be_empty()
