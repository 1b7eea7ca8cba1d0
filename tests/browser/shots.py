"""Pictures of every page with plausible rows: python -m tests.browser.shots FOLDER [NAME…]."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = {"1280-light": (1280, "light"), "1280-dark": (1280, "dark"), "360-light": (360, "light")}


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main(folder: Path, wanted: list[str]) -> None:
    state = tempfile.mkdtemp(prefix="as")
    os.environ["AUTOSSL_STATE_DIR"] = state
    os.environ["DJANGO_SETTINGS_MODULE"] = "autossl_panel.settings"
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    try:
        shoot(folder, wanted)
    finally:
        shutil.rmtree(state, ignore_errors=True)


def shoot(folder: Path, wanted: list[str]) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    from autossl_panel.people import factors
    from autossl_panel.wsgi import application
    from tests.browser import pages

    call_command("migrate", verbosity=0)
    made = pages.build()
    server = make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # A name, not an address: where passkeys can be had
    url = f"http://localhost:{server.server_port}"
    folder.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    from tests.support.chromium import launch

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for size, (width, theme) in SIZES.items():
            left = {name: place for name, place in pages.PAGES.items() if not wanted or name in wanted}
            for who in ("", "root", "lindner", "nobody"):
                # Each page once, as the first who opens it sees it
                mine = {name: left.pop(name).path for name, place in list(left.items()) if who in place.who}
                if not mine:
                    continue
                context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
                page = context.new_page()
                page.on("console", lambda message: say(f"console: {message.text}"))
                page.goto(url + "/sign-in/")
                sign_in(page, who or "root", factors.codes(made.root)[0] if who == "root" else "")
                for name, path in mine.items():
                    page.goto(url + path.format(**pages.ids(made)))
                    page.screenshot(path=folder / f"{name}-{size}.png", full_page=True)
                    if name == "users":
                        page.click("#person summary")
                        page.screenshot(path=folder / f"person-menu-{size}.png")
                    wide = page.evaluate("document.documentElement.scrollWidth")
                    if wide > width:
                        say(f"{name} {size}: scrolls sideways, {wide} px")
                context.close()
        browser.close()
    server.shutdown()


def sign_in(page: Page, who: str, code: str) -> None:
    from tests.web.scene import PASSWORD

    page.fill("#u", who)
    page.fill("#p", PASSWORD)
    page.click("button")
    page.wait_for_url(re.compile(r"/(users|status(/\d+)?|sign-in/second-factor)/$"))
    if code:
        page.fill("#c", code)
        page.press("#c", "Enter")
        page.wait_for_url("**/users/")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
