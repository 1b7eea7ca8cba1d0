"""Every page opens for those who may open it, in valid HTML with one h1 and nothing inline."""

import re
from html.parser import HTMLParser

import pytest
from django.template.loader import render_to_string

from autossl_panel.autossl.models import Installation, Problem
from tests.web.scene import Scene

ROOT = [
    "/options/",
    "/options/channels/add/",
    "/options/channels/{channel}/",
    "/options/channels/{channel}/remove/",
    "/providers/",
    "/providers/add/",
    "/providers/disable/",
    "/people/audit/",
]
BOTH = [
    "/preferences/",
    "/security/",
    "/security/password/",
    "/security/app/",
    "/security/passkeys/add/",
    "/security/sessions/",
    "/confirm/?next=/users/",
    "/users/",
    "/users/?q=shop&sort=-sites&size=50",
    "/users/?state=problems&sort=checked",
    "/users/?state=expiring&select=match",
    "/users/?q=nothingofthekind",
    "/runs/",
    "/runs/?state=failures",
    "/runs/?q=northwind",
    "/runs/{live}/",
    "/runs/{past}/",
    "/runs/{past}/?level=failure",
    "/runs/{past}/?q=northwind",
    "/runs/{past}/?group=quiet",
    "/runs/{past}/?group=done&page=2",
    "/runs/{past}/?user=northwind&domain=northwind.example",
    "/runs/?outcome=failed&scope=all&user=northwind",
    "/certificates/",
    "/certificates/?state=unsecured&sort=-expires&size=50",
    "/certificates/?more=held&user=lindner",
    "/certificates/?q=nothingofthekind",
    "/certificates/{site}/",
    "/certificates/issued/{issued}/revoke/",
    "/pending/",
    "/pending/?for=retry&q=northwind",
    "/pending/?q=nothingofthekind",
    "/problems/",
    "/problems/?kind=quiet",
    "/problems/?q=nothingofthekind",
    "/problems/{cause}/",
    "/history/",
    "/history/?name=northwind.example&level=failure",
    "/history/?name=nothingofthekind",
]


class Checker(HTMLParser):
    """Counts what the rules of the pages are about."""

    VOID = {"input", "meta", "link", "br", "wbr", "rect", "use", "path", "circle", "line"}

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.h1 = 0
        self.wrong: list[str] = []
        self.labelled: set[str] = set()
        self.fields: list[tuple[str, bool]] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "style" in values or any(name.startswith("on") for name in values):
            self.wrong.append(f"inline: {tag} {values}")
        if tag in ("script", "style") and not values.get("src"):
            self.wrong.append(f"inline {tag}")
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "label" and values.get("for"):
            self.labelled.add(values["for"])
        if tag in ("input", "select", "textarea") and values.get("type") not in ("hidden", "submit"):
            inside = "label" in self.open or "aria-label" in values
            self.fields.append((values.get("id", ""), inside))
        self.h1 += tag == "h1"
        if tag == "a" and not values.get("href"):
            self.wrong.append("a link without an address")
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in self.VOID:
            return
        if not self.open or self.open[-1] != tag:
            self.wrong.append(f"</{tag}> closes {self.open[-1:]} at {self.getpos()}")
        else:
            self.open.pop()


def check(html: str) -> None:
    found = Checker()
    found.feed(html)
    found.close()
    assert found.wrong == []
    assert found.open == []
    assert found.h1 == 1
    assert len(found.ids) == len(set(found.ids)), sorted(found.ids)
    assert [name for name, inside in found.fields if not inside and name not in found.labelled] == []
    assert "{%" not in html
    assert "{{" not in html


def filled(url: str, scene: Scene) -> str:
    """With the ids of the scene; sites and certificates are harborweb's."""
    installed = Installation.objects.get(virtual_host__name="northwind.example")
    cause = Problem.objects.filter(code="elsewhere", quiet=False).values_list("cause", flat=True).first()
    return url.format(
        live=scene.live.pk,
        past=scene.past.pk,
        channel=scene.channel.pk,
        site=installed.virtual_host_id,
        issued=installed.certificate_id,
        cause=cause,
    )


@pytest.mark.parametrize("url", ROOT + BOTH)
def test_root_opens_every_page(url, troubled: Scene, as_root):
    answer = as_root.get(filled(url, troubled))
    assert answer.status_code == 200
    check(answer.content.decode())
    assert "unsafe-inline" not in answer["Content-Security-Policy"]


@pytest.mark.parametrize("url", BOTH)
def test_a_reseller_opens_own_pages(url, troubled: Scene, as_reseller):
    answer = as_reseller.get(filled(url, troubled))
    assert answer.status_code == 200
    html = answer.content.decode()
    check(html)
    for strange in ("amberfield", "hallsteadt", "junipershop", "brightpeak"):
        assert not re.search(rf">[^<]*{strange}", html), strange


@pytest.mark.parametrize(
    "template", ["400.html", "403.html", "403_csrf.html", "404.html", "405.html", "413.html", "500.html", "nul.html"]
)
def test_pages_about_errors_need_nothing(template):
    check(render_to_string(template))


def test_what_is_not_there_is_told_to_everybody(client, db):
    answer = client.get("/no/such/page/")
    assert answer.status_code == 404
    check(answer.content.decode())


def test_static_files_are_served_with_the_pages(client, db):
    html = client.get("/sign-in/").content.decode()
    (sheet,) = re.findall(r'href="(/static/panel\.css\?v=[0-9a-f]{8})"', html)
    answer = client.get(sheet)
    assert answer.status_code == 200
    text = b"".join(answer.streaming_content).decode()
    assert "url(" not in text, "the policy allows no data: URI, and there is no image to fetch"
    assert b"".join(client.get("/static/django_htmx/htmx-2.min.js").streaming_content)
