"""The pictures of the documents: each page of the table can be taken, and the documents show what there is.

That the whole of it works through, with a CA and a web server, is in tests/end_to_end/test_pictures.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.urls import resolve
from playwright.sync_api import Browser

from tests.pictures.__main__ import LIVE, PICTURES, take
from tests.pictures.camera import THEMES, Camera
from tests.web.scene import Scene

DOCS = Path(__file__).resolve().parents[2] / "docs"
SHOTS = DOCS / "screenshots"
MOST_BYTES = 1_500_000
# RIFF, the length, then the form
WEBP = re.compile(rb"RIFF....WEBP", re.DOTALL)


def names() -> set[str]:
    themes = {**{name: picture.themes for name, picture in PICTURES.items()}, LIVE: THEMES}
    return {f"{name}-{theme}.webp" for name, of in themes.items() for theme in of}


@pytest.mark.django_db(transaction=True)
def test_a_page_is_taken_light_and_dark(browser: Browser, live_server, scene: Scene, tmp_path: Path):
    camera = Camera(browser, live_server.url, tmp_path)
    take(camera, "users")
    take(camera, "users-narrow")
    camera.close()
    taken = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert set(taken) == {"users-light.webp", "users-dark.webp", "users-narrow-light.webp"}
    assert all(WEBP.match(content) and len(content) > 5_000 for content in taken.values())
    assert taken["users-light.webp"] != taken["users-dark.webp"]


@pytest.mark.parametrize("name", sorted(PICTURES))
def test_a_picture_is_of_a_page_that_exists(name: str):
    assert resolve(PICTURES[name].path.partition("?")[0]).func is not None


def test_the_folder_has_what_the_table_says_and_is_small():
    files = {file.name: file.stat().st_size for file in SHOTS.iterdir()}
    assert set(files) == names(), "make screenshots"
    assert sum(files.values()) <= MOST_BYTES


def test_every_picture_is_shown_somewhere():
    pages = [DOCS.parent / "README.md", *DOCS.glob("*.md")]
    shown = {name for page in pages for name in re.findall(r"screenshots/([\w-]+\.webp)", page.read_text("utf-8"))}
    assert shown == names()
