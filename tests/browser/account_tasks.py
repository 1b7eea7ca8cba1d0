"""The main tasks of pages about accounts: what a CA allows the server's own, and the tokens of a person's own."""

from __future__ import annotations

from playwright.sync_api import expect

from autossl_panel.autossl.models import Provider
from autossl_panel.people.models import ApiToken
from tests.browser.hands import Hand
from tests.browser.tasks import Task, button, link, says


def set_limits(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "All limits"))
    hand.fill(page.get_by_label("Failed proofs of one name in a row"), "many")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_label("Failed proofs of one name in a row")).to_have_attribute("aria-invalid", "true")
    hand.fill(page.get_by_label("Failed proofs of one name in a row"), "7")
    hand.press(page.get_by_role("button", name="Save", exact=True))
    says(page, "The limits are saved.")
    assert "7" in str(Provider.objects.get(active=True).limits)
    hand.press(button(page, "Go by what the CA publishes"))
    says(page, "those that the CA publishes again")
    assert Provider.objects.get(active=True).limits is None


def make_and_revoke_a_token(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "Make a token"))
    hand.fill(page.get_by_label("Name", exact=True), "night script")
    hand.press(button(page, "Make the token"))
    says(page, "“night script” is made")
    assert ApiToken.objects.get(name="night script").person.username == "harborweb"
    hand.press(link(page, "I have kept it"))
    hand.press(link(page, "Revoke night script"))
    hand.press(button(page, "Revoke the token"))
    says(page, "is revoked and opens nothing any more")
    assert not ApiToken.objects.filter(name="night script").exists()


# Root's, while the scene's run lives; a reseller's
FIRST = {"limits": Task("/providers/", set_limits, live=True)}
LAST = {"tokens": Task("/security/tokens/", make_and_revoke_a_token, "harborweb")}
