"""Forms in a real browser: what is typed is not left without a warning, and the way back sends nothing again."""

import pytest
from playwright.sync_api import Dialog, Page, Route, expect

from autossl_panel.autossl import options
from autossl_panel.people.models import User
from tests.web.scene import PASSWORD, Scene

pytestmark = pytest.mark.django_db(transaction=True)


def warned(page: Page, *, leave: bool) -> list[str]:
    """The kinds of dialogs that come from now on, each answered."""
    kinds: list[str] = []

    def answer(dialog: Dialog) -> None:
        kinds.append(dialog.type)
        if leave:
            dialog.accept()
        else:
            dialog.dismiss()

    page.on("dialog", answer)
    return kinds


def test_what_is_not_saved_is_not_left_without_a_warning(visit, scene: Scene):
    page = visit(path="/options/")
    kinds = warned(page, leave=True)
    page.get_by_label("Keep logs").fill("31")
    expect(page.get_by_text("1 change is not saved")).to_be_visible()
    page.get_by_role("link", name="Logs").first.click()
    page.wait_for_url("**/runs/**")
    assert kinds == ["beforeunload"]
    page.go_back()
    page.wait_for_url("**/options/")
    field = page.get_by_label("Keep logs")
    expect(field).to_have_value("31")
    expect(page.get_by_text("1 change is not saved")).to_be_visible()
    field.fill("32")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()
    page.get_by_label("Keep logs").fill("33")
    page.get_by_role("link", name="Discard").click()
    expect(page.get_by_label("Keep logs")).to_have_value("32")
    assert kinds == ["beforeunload"], "neither saving nor discarding leaves anything behind unasked"
    assert options.current(scene.server).log_days == 32


def test_what_was_refused_is_not_left_either(visit, scene: Scene):
    page = visit(path="/options/")
    kinds = warned(page, leave=False)
    page.get_by_label("Keep logs").fill("0")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing was saved", exact=True)).to_be_visible()
    page.get_by_label("Keep logs").press("End")
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Logs").first.click()
    expect(page.get_by_label("Keep logs")).to_have_value("0")
    assert kinds == ["beforeunload"]


def test_whoever_stays_can_save_at_once(visit, scene: Scene):
    """Another form was on its way, and is not any more."""
    page = visit(path="/options/")
    kinds = warned(page, leave=False)
    page.get_by_label("Keep logs").fill("31")
    expect(page.get_by_text("1 change is not saved")).to_be_visible()
    page.locator("#person summary").click()
    with page.expect_event("dialog"):
        page.get_by_role("button", name="Dark").click()
    expect(page.locator(".busy")).to_have_count(0)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()
    assert kinds == ["beforeunload"]
    assert options.current(scene.server).log_days == 31


def test_what_a_form_brings_back_is_counted_as_not_saved(visit, scene: Scene):
    """After an error and after the question before what costs: against what holds, not against how the page came."""
    page = visit(path="/options/")
    kinds = warned(page, leave=False)
    expect(page.locator("[data-unsaved-count]")).to_have_text("")
    page.get_by_label("Keep logs").fill("0")
    page.get_by_label("Key type", exact=True).select_option("p384")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing was saved", exact=True)).to_be_visible()
    expect(page.locator("form[data-unsaved][data-ready]")).to_be_attached()
    page.get_by_label("Keep logs").fill("31")
    expect(page.get_by_text("2 changes are not saved")).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_role("button", name="Back to the form").click()
    expect(page.get_by_label("Keep logs")).to_have_value("31")
    expect(page.get_by_label("Key type", exact=True)).to_have_value("p384")
    expect(page.get_by_text("2 changes are not saved")).to_be_visible()
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Logs").first.click()
    expect(page.get_by_label("Keep logs")).to_have_value("31")
    assert kinds == ["beforeunload"]
    page.get_by_role("link", name="Discard").click()
    expect(page.locator("[data-unsaved-count]")).to_have_text("")
    assert options.current(scene.server).log_days == 30


def test_the_way_back_from_a_rejected_form_is_a_page(visit):
    page = visit(path="/people/add/")
    page.get_by_label("User name").fill("a b")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_text("is not a login name")).to_be_visible()
    page.get_by_label("User name").fill("anna")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_text("“anna” is added and may sign in.")).to_be_visible()
    page.go_back()
    expect(page.get_by_role("heading", name="Add a person")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Add a person")).to_be_visible()
    page.go_forward()
    expect(page.get_by_role("link", name="anna", exact=True)).to_be_visible()
    assert User.objects.filter(username="anna").count() == 1


def test_the_way_back_to_a_sign_in_that_failed_is_a_page(visit):
    page = visit("")
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/users/")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_nothing_of_an_answer_can_be_clicked_before_it_is_a_page(visit):
    page = visit("")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/posted.js*", hold)
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password").fill("wrong")
    with page.expect_request("**/posted.js*"):
        page.get_by_role("button", name="Sign in").click(no_wait_after=True)
    page.wait_for_function("document.head && document.head.querySelector('script[src*=posted]')")
    assert page.evaluate("document.body") is None
    held[0].continue_()
    expect(page.get_by_role("alert")).to_be_visible()
