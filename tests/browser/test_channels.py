"""Notifications on the Options tab in a browser: tests are polled, a changed level is one change, axe is content."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from autossl_panel.autossl.models import Channel, Message
from tests.autossl.notify.rows import queued
from tests.browser.test_panel import complaints, scene, visit  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_changed_level_counts_once_and_a_test_is_followed_until_it_is_over(visit):  # noqa: F811
    page = visit(path="/options/")
    page.get_by_role("radiogroup", name="To users").get_by_label("Failures only").check()
    expect(page.get_by_text("1 change is not saved")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()
    page.get_by_role("button", name="Send a test to on call").click()
    expect(page.get_by_text("A test is on its way")).to_be_visible()
    Message.objects.update(state="failed")
    Channel.objects.update(problem={"code": "status", "text": "hooks.example answered 500."})
    expect(page.get_by_text("hooks.example answered 500.")).to_be_visible()
    expect(page.get_by_text("A test is on its way")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(visit, scene, scheme):  # noqa: F811
    problem = {"code": "recipient", "text": "550 No such user"}
    queued(scene.server, scene.now, "gone@example.org", state="failed", problem=problem)
    Channel.objects.update(problem={"code": "status", "text": "it answered 500."}, problem_at=scene.now)
    page = visit(color_scheme=scheme)
    urls = ["", "channels/add/", f"channels/{scene.channel.pk}/", f"channels/{scene.channel.pk}/remove/"]
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 800})
        for url in urls:
            page.goto(f"/options/{url}")
            found = Axe().run(page)
            assert found.violations_count == 0, f"{url} at {width}: {found.generate_report()}"
            assert page.evaluate("document.documentElement.scrollWidth") <= width, url
