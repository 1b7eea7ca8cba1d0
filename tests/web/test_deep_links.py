"""A filter is an address: opened anew it shows the same, and the search keeps it. Pictures have their tables."""

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs

import pytest
from django.test import Client

from autossl_panel.autossl.models import Job, Problem
from autossl_panel.hosting.models import HostingUser, VirtualHost
from tests.web import provider_scene
from tests.web.scene import Scene


class Page(HTMLParser):
    """What a search form would send, which links are marked as current, and what stands in pictures and tables."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sent: dict[str, str] = {}
        self.current: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._searching = False
        self._select = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        if tag == "form":
            self._searching = values.get("role") == "search"
        if tag == "a" and values.get("aria-current") == "true":
            self.current.append(values.get("href") or "")
        if self._searching and tag == "input" and values.get("name"):
            self.sent[str(values["name"])] = values.get("value") or ""
        if tag == "select":
            self._select = values.get("name") or ""
        if self._searching and tag == "option" and "selected" in values:
            self.sent[self._select] = values.get("value") or ""


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/users/", "state=problems&sort=-name"),
        ("/users/", "owner=harborweb&q=north"),
        ("/runs/", "state=failures&outcome=failed"),
        ("/runs/{past}/", "level=failure&q=brandtlaw"),
        ("/certificates/", "state=secured&more=due&sort=expires&q=example"),
        ("/pending/", "for=retry&q=example&size=50"),
        ("/problems/", "kind=dns&q=example&size=50"),
        ("/people/", "state=reseller&q=a&size=50"),
        ("/people/users/", "state=root&q=am&size=100"),
        ("/people/tokens/", "q=a&size=50"),
        ("/patterns/", "q=a&size=100"),
        ("/status/{user}/", "state=secured&q=example&size=50"),
        ("/history/", "name=northwind.example&level=failure"),
        ("/people/audit/", "event=options%3Achanged&who=root&since=2026-01-01"),
    ],
)
def test_a_filter_is_kept_by_its_address_and_by_the_search(path, query, as_root: Client, troubled: Scene):
    user = HostingUser.objects.get(name="northwind")
    answer = as_root.get(f"{path.format(past=troubled.past.pk, user=user.pk)}?{query}")
    assert answer.status_code == 200
    page = Page(answer.content.decode())
    wished = {name: values[0] for name, values in parse_qs(query).items()}
    # The order of the rows is the reader's, whatever is searched for; who searches anew may begin with the default.
    assert {name: page.sent.get(name) for name in wished if name != "sort"} == {
        name: text for name, text in wished.items() if name != "sort"
    }


@pytest.mark.parametrize("path", ["/users/", "/runs/", "/certificates/", "/pending/", "/problems/", "/people/users/"])
def test_every_chip_leads_to_an_address_that_marks_it(path: str, as_root: Client, troubled: Scene):
    chips = [
        values["href"]
        for tag, values in Page(as_root.get(path).content.decode()).tags
        if tag == "a" and "chip" in (values.get("class") or "").split() and str(values["href"]).startswith("?")
    ]
    assert len(chips) > 1
    for href in chips:
        page = Page(as_root.get(f"{path}{href}").content.decode())
        assert page.current, (path, href)


@pytest.mark.parametrize(
    ("path", "query"),
    [("/pending/", "for=ca&size=50"), ("/problems/", "kind=ca&size=50"), ("/status/{user}/", "state=at-risk&size=50")],
)
def test_a_filter_that_nothing_is_left_of_is_still_the_one_that_is_marked(path: str, query: str, as_root, troubled):
    Problem.objects.all().delete()
    VirtualHost.objects.update(next_at=None)
    Job.objects.all().delete()
    html = as_root.get(f"{path.format(user=HostingUser.objects.get(name='junipershop').pk)}?{query}").content.decode()
    chips = html[html.index('class="chips"') :]
    marked = re.findall(r'<a class="chip[^"]*" href="([^"]*)" aria-current="true">', chips[: chips.index("</nav>")])
    assert [parse_qs(href.replace("&amp;", "&").removeprefix("?")) for href in marked] == [parse_qs(query)]
    others = re.findall(r'<a class="chip[^"]*" href="([^"]*)">', chips[: chips.index("</nav>")])
    assert others
    assert all("size=50" in href for href in others), "how many rows a page has is kept"


@pytest.mark.parametrize(("path", "charts"), [("/certificates/", 1), ("/runs/", 2)])
def test_a_picture_has_a_title_words_and_a_table(path: str, charts: int, as_root: Client, troubled: Scene):
    html = as_root.get(path).content.decode()
    tags = Page(html).tags
    pictures = [values for tag, values in tags if tag == "svg" and values.get("role") == "img"]
    assert len(pictures) == charts
    ids = {values.get("id") for tag, values in tags if tag in ("title", "desc")}
    for picture in pictures:
        assert set(str(picture["aria-labelledby"]).split()) <= ids
    assert html.count('<details class="behind">') == charts


def test_limits_in_use_have_their_numbers_beside_them_and_in_a_table(as_root: Client, scene: Scene):
    provider_scene.build(scene)
    for path in ("/providers/", f"/providers/{scene.provider.pk}/limits/"):
        meters = as_root.get(path).content.decode().partition('class="card-b meters"')[2].partition("</section>")[0]
        bars = meters.count('<svg class="bar thin"')
        assert bars >= 3
        rows = [cells for cells in re.findall(r"<tr><th scope=\"row\">(.+?)</th>(.+?)</tr>", meters)]
        assert len(rows) == bars
        orders = next(cells for head, cells in rows if head == "New orders, 3 hours")
        assert re.findall(r">(\d+)<", orders) == ["96", "240", "300"]
        assert "<span>96 of 300</span>" in meters
