"""Notifications on the Options tab in a browser: tests are polled, a changed level is one change."""

import pytest
from playwright.sync_api import expect

from autossl_panel.autossl.models import Channel, Message

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_changed_level_counts_once_and_a_test_is_followed_until_it_is_over(visit):
    page = visit(path="/options/")
    page.get_by_role("radiogroup", name="To users").get_by_label("Failures only").check()
    expect(page.get_by_text("1 change is not saved")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()
    page.get_by_role("button", name="Send a test to on call").click()
    expect(page.get_by_text("A test is on its way")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Send a test to on call")).to_be_focused()
    Message.objects.update(state="failed")
    Channel.objects.update(problem={"code": "status", "text": "hooks.example answered 500."})
    expect(page.get_by_text("hooks.example answered 500.")).to_be_visible()
    expect(page.get_by_text("A test is on its way")).to_have_count(0)
