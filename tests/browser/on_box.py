"""A panel that serves the sample sites of a box, seen in a browser: what tests of the real thing have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Browser, BrowserContext, Page, expect

from autossl_panel import pki
from autossl_panel.sandbox.arrange import Login, arrange
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES, MAX_NAMES, RESELLER, SITES
from autossl_panel.sandbox.proof import compare
from tests.support import ready
from tests.support.server import PASSWORD, PanelOnBox

# From the click to the end of the run
MOST_SECONDS = 120
# For what a worker does by itself
SOON_SECONDS = 90
# A browser says it in its console too, though not of each directive
WATCH = """document.addEventListener("securitypolicyviolation",
    (event) => console.error(`${event.violatedDirective} was violated by ${event.blockedURI}`));"""


@contextmanager
def panel_on_sites(*people: Login) -> Iterator[PanelOnBox]:
    """A panel that serves the sample sites, for root, the reseller and these; no provider is in use yet."""
    logins = [Login("root", PASSWORD, "root"), Login(RESELLER, PASSWORD, "reseller"), *people]
    with Box(sites=SITES, nonce_reject=5) as box, PanelOnBox(box) as started:
        arrange(box, started.panel, logins)
        started.serve()
        yield started


@dataclass(slots=True)
class Visitors:
    """Everybody who signs in, each with a browser context of their own; notes what the browser complains of."""

    browser: Browser
    panel: PanelOnBox
    complaints: list[str] = field(default_factory=list)
    _contexts: list[BrowserContext] = field(default_factory=list)

    def sign_in(self, name: str, password: str = PASSWORD) -> Page:
        """A page on which `name` has just signed in."""
        context = self.browser.new_context(base_url=self.panel.panel.environment["AUTOSSL_URL"])
        self._contexts.append(context)
        context.set_default_timeout(20_000)
        context.add_init_script(WATCH)
        context.on("console", lambda message: self._heard(message.text) if message.type == "error" else None)
        context.on("weberror", lambda error: self._heard(str(error.error)))
        page = ready.watch(context.new_page())
        page.goto("/")
        page.get_by_label("User name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Sign in")).to_have_count(0)
        return page

    def _heard(self, text: str) -> None:
        self.complaints.append(text)

    def close(self) -> None:
        for context in self._contexts:
            context.close()


def choose_provider(page: Page, box: Box, *, ca_bundle: str = "") -> None:
    """Add the box's CA as any ACME directory, agree to its terms, be registered.

    `ca_bundle`: roots to trust beside the CA's own.
    """
    page.wait_for_url("**/providers/")
    page.get_by_role("link", name="Add another provider").click()
    page.get_by_label("Name", exact=True).fill("Pebble")
    page.get_by_label("Directory", exact=True).fill(box.directory_url)
    page.get_by_label("Names per certificate").fill(str(MAX_NAMES))
    page.get_by_label("Certifies names and addresses that are not public").check()
    page.get_by_role("button", name="Add and check").click()
    # Without the CA's own root the worker cannot trust the directory: the form is opened again, at that field's place.
    page.wait_for_url("**/edit/")
    expect(page.get_by_label("Directory", exact=True)).to_be_focused()
    page.get_by_label("CA bundle").fill(box.ca_bundle.read_text() + ca_bundle)
    page.get_by_role("button", name="Save and check").click()
    agree = page.get_by_label("I agree to the terms of service")
    expect(agree).to_be_visible()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("registers only those who agree to its terms")).to_be_visible()
    agree.check()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Pebble account")).to_be_visible()


def wait_ended(page: Page) -> None:
    """The run that `page` shows is watched to its end, without a reload."""
    page.wait_for_url("**/runs/*/*")
    expect(page.locator("#run-head")).to_contain_text("Ended in", timeout=MOST_SECONDS * 1000)


def wait_as_expected(panel: PanelOnBox) -> None:
    """A site that a run of the sweep had in hand ends a moment after the run for all."""
    deadline = time.monotonic() + SOON_SECONDS
    while True:
        outcomes = compare(panel.box, CASES, panel.panel.status(), replace_foreign=False)
        differences = [f"{one.case.name}: {each}" for one in outcomes for each in one.differences]
        if not differences or time.monotonic() > deadline:
            break
        time.sleep(1)
    assert differences == []


def served(box: Box, name: str) -> pki.CertificateFacts | None:
    """What a handshake for `name` shows; None where the server ends it."""
    return pki.handshake(box.address, box.https_port, name).facts


def serial_of(box: Box, name: str) -> str:
    facts = served(box, name)
    assert facts is not None
    return facts.serial


def wait_served(box: Box, name: str, wanted: Callable[[pki.CertificateFacts], bool]) -> pki.CertificateFacts:
    """The certificate that handshakes for `name` show once it is as `wanted`."""
    deadline = time.monotonic() + SOON_SECONDS
    while True:
        facts = served(box, name)
        if facts is not None and wanted(facts):
            return facts
        assert time.monotonic() < deadline, f"{name} shows {facts}"
        time.sleep(0.2)


def wait_reloaded(page: Page, text: str) -> None:
    """The page says `text` once it is loaded anew, for it does not follow what workers do."""
    deadline = time.monotonic() + SOON_SECONDS
    while not page.get_by_text(text).count():
        assert time.monotonic() < deadline, f"{page.url} does not say “{text}”"
        page.reload()
