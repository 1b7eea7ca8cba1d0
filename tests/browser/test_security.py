"""Passkeys and the rest of a person's security in a real browser, with an authenticator that it only plays."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from autossl_panel.autossl.models import Provider
from autossl_panel.people import factors
from autossl_panel.people.adapter import PROVED_AT
from autossl_panel.people.models import Session, User
from autossl_panel.people.session_store import SessionStore
from tests.browser.conftest import opened
from tests.people.test_factors import code
from tests.web.scene import PASSWORD, Scene

pytestmark = pytest.mark.django_db(transaction=True)
DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def open_page(browser: Browser, live_server, scene: Scene, complaints: list[str]) -> Iterator[Callable[..., Page]]:
    """A page of a browser that has a passkey device; fails the test when the browser refused anything."""
    contexts: list[BrowserContext] = []

    def open_one(**options: object) -> Page:
        context = browser.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        page = opened(context, complaints)
        devices = context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})
        page.goto("/sign-in/")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


def sign_in(page: Page, username: str = "root") -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


def sign_out(page: Page) -> None:
    page.locator("#person summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def add_passkey(page: Page, name: str, *, alone: bool) -> None:
    page.goto("/security/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill(name)
    if not alone:
        page.get_by_label("Let it sign in alone").uncheck()
    page.get_by_role("button", name="Make the passkey").click()


def root() -> User:
    return User.objects.get(username="root")


def test_a_passkey_alone_signs_in_and_confirms(open_page, scene: Scene):
    page = open_page()
    sign_in(page)
    page.wait_for_url("**/users/")
    add_passkey(page, "Laptop", alone=True)
    page.wait_for_url("**/security/recovery-codes/")
    expect(page.locator(".codes li")).to_have_count(10)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as text").click()
    assert download.value.suggested_filename == "autossl-recovery-codes.txt"
    (key,) = factors.of(root()).passkeys
    assert (key.name, key.alone) == ("Laptop", True)
    sign_out(page)

    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/users/")
    expect(page.locator("#person summary")).to_contain_text("root")

    # An hour later: what was typed is kept while the passkey says who it is.
    store = SessionStore(Session.objects.get(person=root()).pk)
    store[PROVED_AT] -= 3600
    store.save()
    page.goto("/providers/add/")
    page.get_by_label("Name", exact=True).fill("Pebble")
    page.get_by_label("Directory", exact=True).fill("https://127.0.0.1:14000/dir")
    page.get_by_role("button", name="Add and check").click()
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_text("The directory is being read.")).to_be_visible()
    assert Provider.objects.filter(name="Pebble").exists()


def test_a_passkey_beside_the_password_is_the_second_factor(open_page):
    page = open_page()
    sign_in(page)
    page.wait_for_url("**/users/")
    add_passkey(page, "Old key", alone=False)
    page.wait_for_url("**/security/recovery-codes/")
    assert [key.alone for key in factors.of(root()).passkeys] == [False]
    sign_out(page)
    sign_in(page)
    page.wait_for_url("**/sign-in/second-factor/")
    button = page.get_by_role("button", name="Use a passkey")
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/users/")
    # The same device is not taken twice.
    add_passkey(page, "Again", alone=False)
    expect(page.get_by_role("main").get_by_role("alert").first).to_contain_text("a passkey of yours already")
    page.goto("/security/")
    page.get_by_role("link", name="Remove Old key").click()
    expect(page.get_by_text("The password alone signs in from then on.")).to_be_visible()
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url("**/security/")
    assert not factors.has_any(root())


def test_a_passkey_is_not_asked_for_before_the_script_is_there(open_page):
    page = open_page()
    sign_in(page)
    page.wait_for_url("**/users/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/passkeys.js*", hold)
    with page.expect_request("**/passkeys.js*"):
        page.goto("/security/passkeys/add/", wait_until="commit")
    page.wait_for_function("document.getElementById('name')?.focus() ?? document.activeElement.id === 'name'")
    page.keyboard.type("Laptop")
    page.keyboard.press("Enter")
    held[0].continue_()
    page.get_by_role("button", name="Make the passkey").click()
    page.wait_for_url("**/security/recovery-codes/")
    assert [key.name for key in factors.of(root()).passkeys] == ["Laptop"]


def test_whoever_types_a_code_already_is_not_led_to_the_passkey(open_page):
    factors.add_passkey(root(), "Old key", {}, by=root())
    page = open_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/passkeys.js*", hold)
    with page.expect_request("**/passkeys.js*"):
        sign_in(page)
    page.wait_for_function("document.getElementById('c')?.focus() ?? document.activeElement.id === 'c'")
    held[0].continue_()
    expect(page.get_by_role("button", name="Use a passkey")).to_be_visible()
    expect(page.get_by_label("Recovery code")).to_be_focused()


def test_a_device_without_a_passkey_for_us_says_so(open_page):
    page = open_page()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("alert")).to_contain_text("No passkey was used.")
    sign_in(page)
    page.wait_for_url("**/users/")


def test_an_app_is_set_up_and_used_without_script(open_page, scene: Scene):
    page = open_page(java_script_enabled=False)
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()
    sign_in(page)
    page.locator("#person summary").click()
    page.get_by_role("link", name="Security").click()
    page.get_by_role("link", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    secret = re.sub(r"\s", "", page.locator(".secret").inner_text())
    page.get_by_label("Type its code").fill(code(secret))
    page.get_by_role("button", name="Set up").click()
    one = page.locator(".codes code").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("10 of 10 are left")).to_be_visible()
    sign_out(page)
    sign_in(page)
    page.get_by_label("Code").fill(one)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Manage AutoSSL")).to_be_visible()
    assert factors.of(root()).codes_left == 9


def test_ending_another_session_throws_it_out(open_page, complaints: list[str]):
    mine, other = open_page(), open_page()
    for page in (mine, other):
        sign_in(page)
        page.wait_for_url("**/users/")
    mine.goto("/security/sessions/")
    expect(mine.get_by_text("This session")).to_have_count(1)
    mine.get_by_role("button", name="End", exact=False).last.click()
    expect(mine.get_by_text("The session has ended.")).to_be_visible()
    # Its page polls: it says so at once, and its next click leads to sign in.
    expect(other.locator("#trouble [role=status]")).to_contain_text("Your session is over: sign in, then try again.")
    other.get_by_role("link", name="Logs").click()
    other.wait_for_url("**/sign-in/?next=/runs/")
    complaints[:] = [text for text in complaints if "401" not in text]


def test_the_trail_is_filtered_and_taken_along(open_page, scene: Scene):
    page = open_page()
    sign_in(page)
    page.wait_for_url("**/users/")
    page.goto("/people/audit/")
    page.get_by_label("Event").select_option("person:signed_in")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/people/audit/?*event=person%3Asigned_in*")
    expect(page.locator("tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "audit.csv"


@pytest.mark.parametrize("scripted", [True, False])
def test_a_token_is_made_taken_along_and_revoked(open_page, live_server, scripted):
    """By script into the clipboard; without, a click on it selects all of it."""
    page = open_page(permissions=["clipboard-read", "clipboard-write"], java_script_enabled=scripted)
    sign_in(page)
    page.wait_for_url("**/users/")
    page.goto("/security/tokens/")
    page.get_by_role("link", name="Make a token").click()
    page.get_by_label("Name").fill("monitoring")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#secret").inner_text()
    if scripted:
        page.get_by_role("button", name="Copy the token").click()
        expect(page.locator(".rec")).to_contain_text("Copied")
        assert page.evaluate("navigator.clipboard.readText()") == secret
    else:
        expect(page.get_by_role("button", name="Copy the token")).to_be_hidden()
        page.locator("#secret").click()
        page.keyboard.press("Control+C")
    call = page.request.get(
        "/json-api/get_autossl_check_schedule?api.version=1", headers={"Authorization": f"whm root:{secret}"}
    )
    assert call.json()["metadata"]["reason"] == "OK"
    page.get_by_role("link", name="I have kept it").click()
    expect(page.locator("tbody tr")).to_contain_text("127.0.0.1")
    page.get_by_role("link", name="Revoke monitoring of root").click()
    page.get_by_role("button", name="Revoke the token").click()
    expect(page.get_by_text("No token yet")).to_be_visible()
    gone = page.request.get(
        "/json-api/get_autossl_check_schedule?api.version=1", headers={"Authorization": f"whm root:{secret}"}
    )
    assert gone.status == 401
