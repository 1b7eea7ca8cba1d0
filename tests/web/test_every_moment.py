"""Whatever a page says of a day or a time of day is a <time>, in the viewer's zone, with its UTC in the title."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from autossl_panel.people.models import User
from tests.browser import pages
from tests.browser.pages import PAGES, STATES, ids
from tests.web.scene import Scene

# Days that have no moment are those of charts; what one types is shown as it is.
APART = re.compile(r"<(time|figure|select|code|textarea)\b.*?</\1>", re.DOTALL)
MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
SAID = re.compile(
    rf"\b\d{{1,2}} (?:{MONTHS})\b|\b\d\d:\d\d\b|\b\d{{4}}-\d\d-\d\d\b|\bin \d+ (?:s|min|h|days?)\b|\d \w+ ago\b"
)
# Of how to write one, and of how many orders a CA lost lately
NO_MOMENT = ("“25:00”", "write it like 03:12 (UTC)", "orders in 30 days", "order in 30 days", "Ended in ")


@pytest.fixture
def scene(db: None) -> Scene:
    return pages.build()


@pytest.mark.parametrize("who", ["root", "harborweb", "lindner"])
def test_every_time_has_its_utc_in_its_title(who: str, scene: Scene, signed_in: Callable[[User], Client]):
    client, known = signed_in(User.objects.get(username=who)), ids(scene)
    client.cookies["autossl_zone"] = "Asia/Tokyo"
    bare: set[tuple[str, str]] = set()
    times = 0
    for name, place in (PAGES | STATES).items():
        if who not in place.who:
            continue
        if place.before:
            place.before()
        path = place.path.format(**known)
        fields = {field.format(**known): text.format(**known) for field, text in (place.post or {}).items()}
        answer = client.get(path, follow=True) if place.post is None else client.post(path, fields, follow=True)
        html = answer.content.decode()
        titles = re.findall(r'<time datetime="[^"]+Z" title="([^"]*)">', html)
        assert len(titles) == html.count("<time ")
        assert all(title.endswith(" UTC") for title in titles)
        times += len(titles)
        text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", APART.sub("", html)))
        for phrase in NO_MOMENT:
            text = text.replace(phrase, "")
        bare |= {(name, text[max(0, found.start() - 40) : found.end() + 20]) for found in SAID.finditer(text)}
    assert bare == set()
    assert times > 50
