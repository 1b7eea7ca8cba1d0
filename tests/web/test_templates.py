"""Every template is rendered by a place of the walk (tests/browser/pages.py), so that axe and the eye get to see it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.template import Template
from django.test import Client
from django.test.signals import template_rendered

from autossl_panel.people.models import User
from tests.browser import pages
from tests.browser.pages import PAGES, REFUSALS, STATES, ids
from tests.web.scene import PASSWORD, Scene

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"


@pytest.fixture
def scene(db: None) -> Scene:
    return pages.build()


# What only a poll or a click brings, with the same cells and lines as the page that is walked
PIECES = {
    *("_live.html", "_run_groups_oob.html", "_status_live.html"),
    *("_pattern_counts.html", "_run_cells.html", "_site_cells.html", "_status_cells.html", "_user_cells.html"),
    *("_saved.html", "_status_saved.html", "_user_chips.html", "_slot_end.html"),
    "_site_news.html",
}


def test_every_template_is_looked_at(scene: Scene, signed_in: Callable[[User], Client]):
    """The same places, asked for without a browser: what none of them renders, nobody has looked at."""
    seen: set[str] = set()

    def note(template: Template, **_more: object) -> None:
        seen.add(str(template.name))

    template_rendered.connect(note)
    known = ids(scene)
    for who in sorted({person for place in PAGES.values() for person in place.who}):
        client = signed_in(User.objects.get(username=who)) if who else Client(SERVER_NAME="localhost")
        if not who:
            client.post("/sign-in/", {"username": "root", "password": PASSWORD})
        for place in (PAGES | STATES).values():
            if who in place.who:
                if place.before:
                    place.before()
                path = place.path.format(**known)
                fields = {name.format(**known): text.format(**known) for name, text in (place.post or {}).items()}
                answer = (
                    client.get(path, follow=True, SERVER_NAME="localhost")
                    if place.post is None
                    else client.post(path, fields, follow=True, SERVER_NAME="localhost")
                )
                assert answer.status_code in (200, 404), path
    template_rendered.disconnect(note)
    there = {str(file.relative_to(TEMPLATES)) for file in TEMPLATES.rglob("*.html")}
    not_seen = there - seen - {f"{name}.html" for name in REFUSALS} - {"error.html", "mail/digest.html"}
    assert not_seen == PIECES
