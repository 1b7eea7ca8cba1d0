"""Preview and Rehearse in a real browser: asked for, waited for, read; by clicks, by keyboard alone, without script."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from autossl_panel.autossl import previewing
from autossl_panel.autossl.models import Account, AccountStatus, Preview, Rehearsal, Run
from tests.support import ready
from tests.web import foreseen, rehearsed
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)
Visit = Callable[..., Page]


@pytest.fixture
def idle(scene: Scene) -> Scene:
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    scene.live.jobs.all().delete()
    return scene


def test_a_preview_is_asked_for_waited_for_and_filtered(visit: Visit, idle: Scene) -> None:
    page = visit("root", "/users/")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_text("The configuration is being read.")).to_be_visible()
    previewing.work_out(Preview.objects.get().pk, foreseen.Helper())  # type: ignore[arg-type]
    expect(page.get_by_text("The last site would be done at about")).to_be_visible()
    expect(page.locator("main .search .kbd")).to_have_text("/")
    expect(page.get_by_text("neither DNS nor the CA was asked")).to_be_visible()
    page.get_by_label("Filter by action").get_by_role("link", name="Skip").click()
    page.wait_for_url("**action=skip**")
    expect(page.get_by_role("row", name="fennimore.example")).to_contain_text("AutoSSL is off for this user")
    ready.wait(page)
    page.keyboard.press("/")
    page.keyboard.type("pixelforge")
    page.keyboard.press("Enter")
    expect(page.get_by_role("row", name="pixelforge.example", exact=False).first).to_be_visible()
    expect(page.get_by_text("fennimore.example")).to_have_count(0)
    assert "action=skip" in page.url, "the filter is kept"
    page.goto("/preview/?q=northwind.example")
    row = page.locator("tbody tr").first
    expect(row.locator("li").first).to_be_hidden()
    row.locator("summary").focus()
    page.keyboard.press("Enter")
    expect(row.locator("li").first).to_be_visible()


def test_another_scope_by_keyboard(visit: Visit, idle: Scene) -> None:
    foreseen.work_out(idle)
    page = visit("root", "/preview/")
    page.locator("summary", has_text="Scope").focus()
    page.keyboard.press("Enter")
    page.get_by_label("One user").focus()
    page.keyboard.type("lindner")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Preview of a run for user lindner")).to_be_visible()
    expect(page.get_by_role("heading", name="No preview yet")).to_be_visible()
    page.locator("#preview .empty button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("The configuration is being read.")).to_be_visible()
    assert Preview.objects.filter(scope="user:lindner").exists()


def test_without_script(visit: Visit, idle: Scene) -> None:
    page = visit("harborweb", "/users/", java_script_enabled=False)
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("link", name="Reload")).to_be_visible()
    made = Preview.objects.get()
    assert made.scope == "owner:harborweb"
    previewing.work_out(made.pk, foreseen.Helper())  # type: ignore[arg-type]
    page.get_by_role("link", name="Reload").click()
    expect(page.get_by_role("row", name="northwind.example").first).to_be_visible()
    expect(page.get_by_text("amberfield.example")).to_have_count(0)


def test_a_rehearsal_is_asked_for_and_read(visit: Visit, idle: Scene) -> None:
    rehearsed.read(idle)
    page = visit("root", "/providers/")
    page.get_by_role("link", name="Rehearse a run").click()
    page.get_by_label("Site optional").fill("junipershop.example")
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_text("registers only those who agree to its terms")).to_be_visible()
    expect(page.get_by_label("Site optional")).to_have_value("junipershop.example")
    page.get_by_label("I agree to the").check()
    page.get_by_role("button", name="Rehearse").click()
    page.wait_for_url("**/rehearsals/*/")
    expect(page.get_by_role("row", name="junipershop.example")).to_contain_text("Queued")
    Account.objects.filter(status=AccountStatus.REGISTERING).update(status=AccountStatus.REFUSED)
    problem = {"code": "ca_account", "text": "The CA says no."}
    Rehearsal.objects.update(ended_at=timezone.now(), problem=problem)
    expect(page.get_by_text("The rehearsal stopped.")).to_be_visible()
    page.get_by_role("link", name="Rehearsals").click()
    expect(page.get_by_role("row", name="junipershop.example")).to_contain_text("Stopped")
