"""python -m tests.pictures FOLDER [NAME…]: the pictures of the documents. One more is a line in PICTURES."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.support.chromium import launch
from tests.pictures import network
from tests.pictures.camera import Camera
from tests.pictures.stage import CHOSEN, Stage

# From the click to the end of the run
MOST_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Picture:
    """An address, who opens it, what is clicked there, and how much of it is seen (CSS pixels)."""

    path: str
    who: str = "root"
    width: int = 1280
    height: int = 1000
    act: Callable[[Page], None] | None = None


def _open(text: str) -> Callable[[Page], None]:
    """Follow the first link with this text."""
    return lambda page: page.locator("main").get_by_role("link", name=text).first.click()


def _unfold(text: str) -> Callable[[Page], None]:
    return lambda page: page.get_by_text(text).first.click()


PICTURES: dict[str, Picture] = {
    "users": Picture("/users/"),
    "providers": Picture("/providers/"),
    "options": Picture("/options/", height=1400),
    "runs": Picture("/runs/"),
    "run": Picture("/runs/", act=_open("All users")),
    "run-site": Picture("/runs/"),
    "certificates": Picture("/certificates/"),
    "certificate": Picture("/certificates/?q=junipershop.example", act=_open("junipershop.example")),
    "pending": Picture("/pending/"),
    "problems": Picture("/problems/"),
    "status": Picture("/status/", who="lindner"),
    "people": Picture("/people/"),
    "audit": Picture("/people/audit/"),
    "security": Picture("/security/"),
    "users-narrow": Picture("/users/", width=360, height=900),
    "problems-narrow": Picture("/problems/", width=360, height=900),
}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    stand = network.enter("tests.pictures", arguments)
    folder, wanted = Path(arguments[0]), arguments[1:]
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with Stage(stand, say) as stage, sync_playwright() as playwright:
        stage.settle()
        browser = launch(playwright)
        camera = Camera(browser, stage.open(), folder)
        run(stage, camera)
        for name, picture in PICTURES.items():
            if not wanted or name in wanted:
                take(camera, name, picture)
        browser.close()
    size = sum(file.stat().st_size for file in folder.glob("*.webp"))
    say(f"{len(list(folder.glob('*.webp')))} pictures, {size // 1000} kB, {time.monotonic() - began:.0f} s")


def run(stage: Stage, camera: Camera) -> None:
    """More sites move in, root has AutoSSL run for all users; a picture half way, then its end."""
    page = camera.page("root", 1280)
    stage.arrive()
    page.goto("/users/")
    page.get_by_role("button", name="Run AutoSSL For All Users").click()
    page.wait_for_url("**/runs/*/")
    expect(page.locator("#run-failed li")).not_to_have_count(0, timeout=MOST_SECONDS * 1000)
    camera.take(page, "run-live", 1100)
    expect(page.locator("#run-head")).to_contain_text("Ended in", timeout=MOST_SECONDS * 1000)


def take(camera: Camera, name: str, picture: Picture) -> None:
    say(name)
    page = camera.page(picture.who, picture.width)
    page.goto(picture.path)
    if picture.act is not None:
        picture.act(page)
    page.wait_for_load_state("networkidle")
    camera.take(page, name, picture.height)


if __name__ == "__main__":
    main(sys.argv[1:])
