"""Where the focus is once something was done by keyboard: at what tells of it, never at the head of the page."""

import pytest
from playwright.sync_api import Page, expect

from autossl_panel.autossl.models import Account, Provider
from autossl_panel.hosting.models import ExclusionPattern, HostingUser
from tests.browser import pages
from tests.browser.hands import Keyboard
from tests.browser.tasks import rest
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return pages.build()


def is_focused(page: Page, selector: str, text: str) -> None:
    """What has the focus, and is no part of the page that everything is in."""
    place = page.locator(selector)
    expect(place).to_contain_text(text)
    expect(place).to_be_focused()
    assert page.evaluate("document.activeElement !== document.body")


def test_bulk_acts_lead_to_what_they_offer_to_undo(visit, scene: Scene):
    rest()
    page = visit(path="/users/?q=amber")
    hand = Keyboard(page)
    hand.tick(page.get_by_label("Select amberfield"))
    hand.press(page.locator("button[name=bulk][value=off]"))
    is_focused(page, "#toast .toast", "AutoSSL is off")
    page.keyboard.press("Tab")
    expect(page.locator("#undo")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#toast .toast")).to_have_count(0)
    amber = HostingUser.objects.get(name="amberfield")
    expect(page.locator(f"#three-{amber.pk}")).to_be_focused()
    hand.tick(page.get_by_label("Select amberfield"))
    hand.press(page.locator("button[name=bulk][value=off]"))
    is_focused(page, "main .said", "Nothing changes")
    page.goto(f"/status/{amber.pk}/")
    hand.tick(page.locator("tbody .pick input[type=checkbox]").first)
    hand.press(page.locator(".bulk button[name=bulk][value=exclude]"))
    is_focused(page, "#toast .toast", "excluded")
    hand.press(page.locator("tbody button[name=include]").first)
    expect(page.locator("#toast .toast")).to_contain_text("included")
    assert page.evaluate("document.activeElement !== document.body")


def test_saving_adding_and_choosing_lead_to_their_message(visit, scene: Scene):
    rest()
    page = visit(path="/options/")
    hand = Keyboard(page)
    hand.press(page.get_by_role("button", name="Save", exact=True))
    is_focused(page, "main .said", "The options are saved.")
    page.goto("/patterns/")
    hand.fill(page.locator("#pattern"), "*.focus.example")
    page.keyboard.press("Enter")
    hand.press(page.get_by_role("button", name="Add it all the same"))
    is_focused(page, "#toast .toast", "*.focus.example")
    assert ExclusionPattern.objects.filter(pattern="*.focus.example").exists()
    second = Provider.objects.get(name="google")
    page.goto(f"/providers/?choose={second.pk}")
    hand.fill(page.locator(f"#eab_kid-{second.pk}"), "kid-1")
    hand.fill(page.locator(f"#eab_hmac_key-{second.pk}"), "c2VjcmV0LWhtYWMta2V5")
    hand.tick(page.locator(f"input[name='agree_terms-{second.pk}']"))
    hand.press(page.get_by_role("button", name="Save", exact=True))
    expect(page.locator(f"#busy-{second.pk}")).to_be_visible()
    assert page.evaluate("document.activeElement !== document.body")
    # What a worker does
    Provider.objects.update(active=False)
    Provider.objects.filter(pk=second.pk).update(active=True)
    Account.objects.filter(provider=second).update(status="valid")
    is_focused(page, "main .said", "“Google Trust Services” is now the provider.")


@pytest.mark.parametrize("script", [True, False])
def test_ordering_fallbacks_stays_at_the_order(script: bool, visit, scene: Scene):
    rest()
    page = visit(path="/providers/", java_script_enabled=script)
    hand = Keyboard(page)

    def step(button: str, then: str) -> None:
        hand.press(page.locator(button))
        expect(page.locator(then)).to_be_focused()
        expect(page.locator(then)).to_be_in_viewport()

    first = Provider.objects.get(fallback=1).pk
    hand.press(page.locator("#fallbacks").get_by_role("button", name="Add"))
    page.wait_for_url("**/providers/#up-*")
    second = Provider.objects.get(fallback=2).pk
    expect(page.locator(f"#up-{second}")).to_be_focused()
    step(f"#up-{second}", f"#down-{second}")
    step(f"#down-{second}", f"#up-{second}")
    step(f"#remove-{second}", "#fallback-add")
    assert list(Provider.objects.filter(fallback__isnull=False).values_list("pk", flat=True)) == [first]


def test_pausing_leads_to_what_says_so_and_resuming_to_its_message(visit, scene: Scene):
    rest()
    page = visit(path="/pending/")
    hand = Keyboard(page)
    hand.press(page.locator("#pause"))
    hand.press(page.get_by_role("dialog").get_by_role("button", name="Pause AutoSSL"))
    is_focused(page, "#paused", "AutoSSL is paused on this server.")
    hand.press(page.locator("#paused button"))
    is_focused(page, "main .said", "looked at within a minute")
