"""Pictures of every page with plausible rows: python -m tests.browser.shots FOLDER [NAME…]."""

import os
import shutil
import sys
import tempfile
import threading
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

PAGES = {
    "users": "/users/",
    "users-selected": "/users/?select=page&state=problems",
    "users-none": "/users/?q=norhtwind",
    "options": "/options/",
    "providers": "/providers/",
    "provider-add": "/providers/add/",
    "provider-refused": "/providers/{refused}/edit/",
    "provider-disable": "/providers/disable/",
    "runs": "/runs/",
    "run-live": "/runs/{live}/",
    "run-past": "/runs/{past}/",
    "run-lines": "/runs/{past}/?level=failure",
    "run-cancel": "/runs/{live}/cancel/",
    "certificates": "/certificates/",
    "certificates-held": "/certificates/?more=held",
    "certificates-none": "/certificates/?q=norhtwind",
    "certificate": "/certificates/{site}/",
    "certificate-foreign": "/certificates/{foreign}/",
    "revoke": "/certificates/issued/{issued}/revoke/",
    "pending": "/pending/",
    "problems": "/problems/",
    "problem": "/problems/{cause}/",
    "history": "/history/?name=junipershop.example",
    "history-none": "/history/?name=juniper",
}
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

    from autossl_panel.wsgi import application
    from tests.web import scene, troubles

    call_command("migrate", verbosity=0)
    made = troubles.add(scene.build())
    from autossl_panel.autossl.models import Installation, Problem, Provider

    juniper = Installation.objects.get(virtual_host__name="junipershop.example", until__isnull=True)
    ids = {
        "live": made.live.pk,
        "past": made.past.pk,
        "refused": Provider.objects.get(state="refused").pk,
        "site": juniper.virtual_host_id,
        "issued": juniper.certificate_id,
        "foreign": Installation.objects.get(certificate__ours=False).virtual_host_id,
        "cause": Problem.objects.filter(code="elsewhere").values_list("cause", flat=True).first(),
    }
    server = make_server("127.0.0.1", 0, application, server_class=Server, handler_class=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    folder.mkdir(parents=True, exist_ok=True)
    from playwright.sync_api import sync_playwright

    from tests.browser.conftest import launch

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for size, (width, theme) in SIZES.items():
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
            page = context.new_page()
            page.on("console", lambda message: say(f"console: {message.text}"))
            page.goto(url + "/sign-in/")
            if not wanted or "sign-in" in wanted:
                page.screenshot(path=folder / f"sign-in-{size}.png")
            page.fill("#u", "root")
            page.fill("#p", scene.PASSWORD)
            page.click("button")
            page.wait_for_url(url + "/users/")
            for name, path in PAGES.items():
                if wanted and name not in wanted:
                    continue
                page.goto(url + path.format(**ids))
                page.screenshot(path=folder / f"{name}-{size}.png", full_page=True)
                wide = page.evaluate("document.documentElement.scrollWidth")
                if wide > width:
                    say(f"{name} {size}: scrolls sideways, {wide} px")
            context.close()
        browser.close()
    server.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
