"""What every test of this folder goes by: nothing is done on a page before it is ready for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support import ready

PAGE = """<!doctype html><script src="/slow.js" defer></script>
<button onclick="this.textContent = window.there ? 'in time' : 'too early'">press</button>"""
ASKED = """document.body.classList.add("htmx-request");
    setTimeout(() => { document.body.classList.remove("htmx-request"); window.there = true; }, 300);"""


class Slow(BaseHTTPRequestHandler):
    """A page whose script takes a while."""

    def do_GET(self) -> None:
        script = self.path == "/slow.js"
        if script:
            threading.Event().wait(0.3)
        self.send_response(200)
        self.send_header("Content-Type", "text/javascript" if script else "text/html")
        self.end_headers()
        self.wfile.write(b"window.there = true" if script else PAGE.encode())

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = ready.watch(browser.new_page(base_url=f"http://127.0.0.1:{server.server_port}"))
    yield page
    page.close()
    server.shutdown()
    server.server_close()


def click(page: Page) -> None:
    page.get_by_role("button").click()


def key(page: Page) -> None:
    ready.wait(page)
    page.evaluate("document.querySelector('button').focus()")
    page.keyboard.press("Enter")


@pytest.mark.parametrize("act", [click, key])
def test_an_act_waits_for_the_scripts(page: Page, act: Callable[[Page], None]) -> None:
    page.goto("/", wait_until="commit")
    act(page)
    expect(page.get_by_role("button")).to_have_text("in time")


@pytest.mark.parametrize("act", [click, key])
def test_an_act_waits_for_what_was_asked_for(page: Page, act: Callable[[Page], None]) -> None:
    page.goto("/")
    page.evaluate("window.there = false")
    page.evaluate(ASKED)
    act(page)
    expect(page.get_by_role("button")).to_have_text("in time")
