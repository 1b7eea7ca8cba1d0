"""python -m tests.pictures FOLDER [NAME…]: the pictures of the documents. One more is a line in PICTURES."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.pictures import network
from tests.pictures.camera import THEMES, Camera
from tests.pictures.stage import Stage
from tests.support.chromium import launch

# The picture that `run` takes, half way
LIVE = "run-live"
# From the click to the end of the run
MOST_SECONDS = 300
# What the page asks for as the system's own font, on a desktop as most have it
FONTS = Path(__file__).with_name("fonts.conf")


@dataclass(frozen=True, slots=True)
class Picture:
    """An address, who opens it, what is clicked there, and how much of it is seen (CSS pixels)."""

    path: str
    who: str = "root"
    width: int = 1280
    height: int = 900
    themes: Sequence[str] = ("light",)
    act: Callable[[Page], None] | None = None


def _run_of_root(page: Page) -> None:
    page.locator("tbody tr", has_text="root · panel").first.get_by_role("link").first.click()
    page.wait_for_url("**/runs/*/*")


def _lines_of_a_site(page: Page) -> None:
    _run_of_root(page)
    page.goto(f"{page.url}?domain=lindner.example")


def _site(page: Page) -> None:
    page.get_by_role("link", name="junipershop.example", exact=True).first.click()


def _worked_out(page: Page) -> None:
    page.locator("#preview").get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("As of", timeout=MOST_SECONDS * 1000)


def _rehearsal(page: Page) -> None:
    page.locator("tbody tr").first.get_by_role("link").first.click()
    page.wait_for_url("**/rehearsals/*/")


PICTURES: dict[str, Picture] = {
    "users": Picture("/users/", themes=THEMES),
    "users-narrow": Picture("/users/", width=360),
    "providers": Picture("/providers/"),
    "options": Picture("/options/"),
    "runs": Picture("/runs/", height=1120),
    "run": Picture("/runs/", themes=THEMES, act=_run_of_root),
    "run-site": Picture("/runs/", act=_lines_of_a_site),
    "preview": Picture("/preview/", act=_worked_out),
    "rehearsal": Picture("/rehearsals/", act=_rehearsal),
    "certificates": Picture("/certificates/", themes=THEMES),
    "certificate": Picture("/certificates/?q=junipershop.example", act=_site),
    "pending": Picture("/pending/", height=1150),
    "problems": Picture("/problems/", themes=THEMES),
    "problems-narrow": Picture("/problems/", width=360),
    "status": Picture("/status/", who="lindner", themes=THEMES),
    "people": Picture("/people/"),
    "people-users": Picture("/people/users/"),
    "audit": Picture("/people/audit/"),
    "security": Picture("/security/"),
}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    stand = network.enter("tests.pictures", arguments)
    if stand is None:
        say("No network namespace can be made here: the pictures show loopback addresses.")
    folder, wanted = Path(arguments[0]), arguments[1:] or list(PICTURES)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    expect.set_options(timeout=60_000)
    with Stage(stand, say) as stage, sync_playwright() as playwright:
        stage.settle()
        browser = launch(playwright, FONTCONFIG_FILE=str(FONTS))
        # A name, not an address: where passkeys can be had
        camera = Camera(browser, stage.open().replace("127.0.0.1", "localhost"), folder)
        run(stage, camera)
        rehearse(stage, camera)
        afterwards(camera)
        for name in wanted:
            say(name)
            take(camera, name)
        camera.close()
        browser.close()
    if len(arguments) == 1:
        for left in set(folder.glob("*.webp")) - camera.taken:
            left.unlink()
    files = list(folder.glob("*.webp"))
    size = sum(file.stat().st_size for file in files)
    say(f"{len(files)} pictures, {size // 1000} kB, in {time.monotonic() - began:.0f} s")


def run(stage: Stage, camera: Camera) -> None:
    """More sites move in, root has AutoSSL run for all users: a picture half way, then to its end."""
    page = camera.page("root", 1280)
    page.goto("/users/")
    # Last of all: within the minute the panel would begin with them by itself.
    stage.arrive()
    page.get_by_role("button", name="Run AutoSSL For All Users").click()
    page.wait_for_url("**/runs/*/*")
    secured = page.locator("#run-tiles .tile", has_text="Secured").locator("b")
    expect(secured).to_have_text(re.compile(r"^[1-9]\d$"), timeout=MOST_SECONDS * 1000)
    camera.take(page, LIVE, 1000)
    expect(page.locator("#run-head")).to_contain_text("Ended in", timeout=MOST_SECONDS * 1000)


def rehearse(stage: Stage, camera: Camera) -> None:
    """Root tries three sites at the staging directory of the CA in use."""
    page = camera.page("root", 1280)
    page.goto("/providers/rehearse/")
    page.get_by_label("Staging directory").fill(stage.staging_url)
    page.get_by_role("button", name=re.compile("^Read")).click()
    page.get_by_label("How many sites").fill("3")
    page.get_by_label("I agree to the").check()
    page.get_by_role("button", name="Rehearse").click()
    page.wait_for_url("**/rehearsals/*/")
    expect(page.get_by_text(re.compile("of 3 issued"))).to_be_visible(timeout=MOST_SECONDS * 1000)


def afterwards(camera: Camera) -> None:
    """What people change when they have seen it; it is in the audit trail then."""
    page = camera.page("harborweb", 1280)
    page.goto("/users/")
    page.get_by_role("group", name="AutoSSL for dockside").get_by_label("Enabled").first.check()
    expect(page.locator("#toast")).to_contain_text("dockside")
    page = camera.page("root", 1280)
    page.goto("/options/")
    page.get_by_label("Keep logs").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()


def take(camera: Camera, name: str) -> None:
    """One picture of the table."""
    picture = PICTURES[name]
    page = camera.page(picture.who, picture.width)
    page.goto(picture.path)
    if picture.act is not None:
        picture.act(page)
    page.wait_for_load_state("networkidle")
    camera.take(page, name, picture.height, picture.themes)


if __name__ == "__main__":
    main(sys.argv[1:])
