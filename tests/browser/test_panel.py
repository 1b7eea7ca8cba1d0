"""The pages in a real browser: what script adds, and that everything goes without it."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from autossl_panel.autossl.models import Job, JobState, Level, LogLine, Run
from autossl_panel.hosting.models import HostingUser
from tests.browser.conftest import later
from tests.support import ready
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


def setting(name: str) -> str:
    return HostingUser.objects.get(name=name).autossl


def radio(page: Page, name: str, label: str):
    return page.get_by_role("group", name=f"AutoSSL for {name}").get_by_label(label)


def test_a_row_is_saved_at_once_with_a_toast_to_undo(visit):
    page = visit(path="/users/?q=amber")
    choice = radio(page, "amberfield", "Disabled")
    choice.check()
    toast = page.locator("#toast")
    expect(toast).to_contain_text("AutoSSL is off for “amberfield”. 6 certificates expire from")
    assert setting("amberfield") == "off"
    expect(choice).to_be_focused()
    toast.get_by_role("button", name="Undo").click()
    page.wait_for_url("**/users/?q=amber")
    expect(radio(page, "amberfield", "Use feature list")).to_be_checked()
    assert setting("amberfield") == "feature-list"


def test_selecting_counts_and_the_first_tick_moves_nothing(visit):
    page = visit()
    disable = page.get_by_role("button", name=re.compile("Disable"))
    expect(disable).to_have_attribute("aria-disabled", "true")
    before = page.locator("tbody tr").first.bounding_box()
    page.get_by_label("Select amberfield").check()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 1")
    assert page.locator("tbody tr").first.bounding_box() == before
    page.get_by_label("Select cedarworks").click(modifiers=["Shift"])
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 5")
    page.get_by_label("Select all on this page").check()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 18")
    page.get_by_label("More to select").click()
    page.get_by_role("link", name="None").click()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 0")


def test_bulk_on_all_that_match(visit):
    page = visit(path="/users/?owner=harborweb")
    page.get_by_label("More to select").click()
    page.get_by_role("link", name="All that match").click()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 5")
    page.get_by_label("Select northwind").uncheck()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 4")
    page.get_by_role("button", name=re.compile("Disable")).click()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for")
    assert setting("northwind") == "on"
    assert setting("dockside") == "off"


def add_line(run: Run, seq: int, number: int) -> Job:
    job = Job.objects.filter(run=run, state=JobState.RUNNING).first()
    LogLine.objects.create(
        run=run,
        job=job,
        user=job.user,
        seq=seq,
        at=timezone.now(),
        level=Level.SUCCESS,
        depth=2,
        event="check:secured",
        data={"number": number},
    )
    return job


def test_a_live_run_is_followed_to_its_end(visit, scene: Scene):
    page = visit(path=f"/runs/{scene.live.pk}/", timed=True)
    lines = page.get_by_role("log")
    add_line(scene.live, 50, 4711)
    later(page, 2)
    expect(lines).to_contain_text("4711 secured")
    failed = page.locator("#run-tiles .tile").first
    expect(failed).to_contain_text("4")
    page.get_by_text("Done", exact=True).click()
    expect(page.locator("details[open] ol.log")).to_contain_text("the new certificate is served")
    Job.objects.filter(run=scene.live).exclude(state=JobState.ENDED).update(
        state=JobState.ENDED, outcome="failed", ended_at=timezone.now()
    )
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    later(page, 2)
    expect(page.locator("#run-head")).to_contain_text("Ended in")
    expect(page.get_by_role("button", name="Run AutoSSL For All Users")).to_be_visible()
    expect(page.locator("details[open] ol.log")).to_contain_text("the new certificate is served")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(3):
        later(page, 2)
    ready.wait(page)
    assert asked == [], "nothing is polled after the end"


def test_the_table_of_users_is_kept_fresh_while_a_run_lives(visit, scene: Scene):
    page = visit(path="/users/?q=thistle", timed=True)
    expect(page.locator("tbody")).to_contain_text("Not checked yet")
    HostingUser.objects.filter(name="thistle").update(
        last_check_at=timezone.now(), last_check={"event": "check:secured", "data": {"number": 4711}}
    )
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    later(page, 5)
    expect(page.locator("tbody")).to_contain_text("4711 secured")
    expect(page.get_by_role("group", name="AutoSSL for thistle")).to_be_visible()


def test_cancel_asks_in_a_dialog(visit, scene: Scene):
    page = visit()
    page.get_by_role("link", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Cancel this run?")
    expect(dialog.get_by_role("link", name="Keep running")).to_be_focused()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.get_by_role("link", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#slot")).to_contain_text("Cancelling")
    assert page.url.endswith("/users/"), "back where it was asked"


def test_the_run_slot_stands_still(visit, scene: Scene):
    page = visit(timed=True)
    box = page.locator("#slot").bounding_box()
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    later(page, 2)
    expect(page.get_by_role("button", name="Run AutoSSL For All Users")).to_be_visible()
    idle = page.locator("#slot").bounding_box()
    assert idle["y"] == box["y"]
    assert abs(idle["height"] - box["height"]) <= 2


def test_options_count_what_is_not_saved_and_focus_the_first_mistake(visit):
    page = visit(path="/options/")
    page.get_by_label("Public addresses").fill("203.0.113.300")
    page.get_by_label("Keep logs").fill("60")
    expect(page.get_by_text("2 changes are not saved")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("the last number is above 255")).to_be_visible()
    expect(page.get_by_label("Public addresses")).to_be_focused()
    expect(page.get_by_label("Keep logs")).to_have_value("60")


def test_a_draft_is_polled_until_it_is_refused(visit):
    from autossl_panel.autossl.models import Provider, ProviderState

    page = visit(path="/providers/add/")
    page.get_by_label("Name", exact=True).fill("Pebble")
    page.get_by_label("Directory", exact=True).fill("https://127.0.0.1:14000/dir")
    page.get_by_role("button", name="Add and check").click()
    expect(page.get_by_text("The directory is being read.")).to_be_visible()
    Provider.objects.filter(name="Pebble").update(
        state=ProviderState.REFUSED,
        problem={"field": "ca_bundle", "code": "tls", "text": "Its certificate comes from an unknown root."},
    )
    page.wait_for_url("**/edit/")
    expect(page.get_by_text("Its certificate comes from an unknown root.")).to_be_visible()
    expect(page.get_by_label("CA bundle")).to_be_focused()


def test_the_theme_is_kept(visit):
    page = visit(color_scheme="light")
    page.locator("#person summary").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/runs/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_everything_goes_without_script(visit, scene: Scene):
    page = visit(java_script_enabled=False)
    page.get_by_role("searchbox").fill("amber")
    page.keyboard.press("Enter")
    page.wait_for_url("**/users/?q=amber")
    radio(page, "amberfield", "Disabled").check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toast")).to_contain_text("AutoSSL is off for “amberfield”.")
    page.get_by_role("button", name="Undo").click()
    expect(radio(page, "amberfield", "Use feature list")).to_be_checked()
    page.get_by_label("Select amberfield").check()
    page.get_by_role("button", name=re.compile("^Disable")).click()
    expect(radio(page, "amberfield", "Disabled")).to_be_checked()
    page.get_by_role("link", name="Open run").click()
    page.get_by_role("link", name="Reload").click()
    page.get_by_text("Done", exact=True).click()
    page.locator("details[open]").get_by_role("link", name="Show them").click()
    expect(page.locator("ol.log")).to_contain_text("the new certificate is served")
    page.goto(f"/runs/{scene.live.pk}/")
    page.get_by_role("link", name="Cancel").first.click()
    page.get_by_role("button", name="Cancel the run").click()
    expect(page.locator("#run-head")).to_contain_text("Cancelling")
    page.locator("#person summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_lost_workers_are_told_on_a_narrow_page_too(visit, scene: Scene):
    scene.server.beat.at = timezone.now() - timedelta(minutes=6)
    scene.server.beat.save()
    page = visit(viewport={"width": 320, "height": 800})
    expect(page.get_by_text("Workers last seen")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_the_menus_of_filters_open_within_a_narrow_page(visit, scene: Scene):
    page = visit(viewport={"width": 360, "height": 800})
    for path, menu in (("/runs/", "Outcome"), ("/runs/", "Scope"), ("/certificates/", "Sort"), ("/users/", "Owner")):
        page.goto(path)
        page.locator("main .tools summary, main .bulk summary", has_text=menu).first.click()
        opened = page.locator("main details[open] > ul").first.bounding_box()
        assert opened is not None
        assert opened["x"] >= 0, (path, menu)
        assert opened["x"] + opened["width"] <= 360, (path, menu)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, (path, menu)
