"""The Preview page: what it says of whom, its filters, its states; asking for one; JSON."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django_q.models import OrmQ

from autossl_panel.autossl import options, providers
from autossl_panel.autossl.models import Preview, PreviewSite
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people.models import AuditEntry
from tests.web import foreseen
from tests.web.scene import Scene, at_rest
from tests.web.test_runs import rows as cells


@pytest.fixture
def idle(scene: Scene) -> Scene:
    return at_rest(scene)


@pytest.fixture
def previewed(idle: Scene) -> Scene:
    return foreseen.add(idle)


def page(client: Client, query: str = "") -> str:
    return client.get(f"/preview/?size=100&{query}").content.decode()


def table(client: Client, query: str = "") -> dict[str, list[str]]:
    html = page(client, query)
    return {re.split(r"(?<=example)", row[0])[0]: row for row in cells(html)} if "<tbody>" in html else {}


def tiles(client: Client, query: str = "") -> dict[str, int]:
    found = re.findall(r'<a class="tile"[^>]*><b>(\d+)</b><span[^>]*><svg.*?</svg>([^<]+)</span>', page(client, query))
    return {label: int(n) for n, label in found}


def test_the_tiles_count_what_the_filters_show(as_root, previewed):
    found = tiles(as_root)
    assert found["All"] == sum(n for label, n in found.items() if label != "All") > 80
    for label, action in (("Order", "order"), ("Wait", "wait"), ("Keep", "keep"), ("Skip", "skip"), ("Renew", "renew")):
        assert len(table(as_root, f"action={action}")) == found[label], label


def test_a_row_says_what_why_for_which_names_and_when(as_root, previewed):
    rows = table(as_root, "q=lindner.example")
    renewed = rows["lindner.example"]
    assert renewed[1] == "Renew, urgent"
    assert renewed[2].startswith("2 names of lindner.example")
    assert "Renewal is due" in renewed[3]
    assert "Let’s Encrypt" in renewed[3]
    assert renewed[4] == "now"
    waits = next(iter(table(as_root, "action=wait").values()))
    assert "A limit of the CA. Let’s Encrypt: 8 of 8 new orders of the account used" in waits[3]
    skipped = next(iter(table(as_root, "action=skip").values()))
    assert (skipped[3], skipped[4]) == ("AutoSSL is off for this user", "never")


def test_the_summary_is_in_whole_numbers(as_root, previewed):
    html = page(as_root)
    found = Preview.objects.get(scope="*")
    assert f"{found.orders} orders fit into the rate limits." in html
    assert f"{found.limited} sites wait for their turn at a limit." in html
    assert "The last site would be done at about" in html
    assert "neither DNS nor the CA was asked" in html


@pytest.mark.parametrize(
    ("q", "finds"), [("northwind", 31), ("blog1.NORTHWIND.example", 1), ("AutoSSL is off", 2), ("zzz", 0)]
)
def test_search_by_site_user_and_reason(q, finds, as_root, previewed):
    found = table(as_root, f"q={q}")
    assert len(found) == finds or (q == "AutoSSL is off" and len(found) >= finds)
    if not finds:
        assert "Nothing in this preview matches “zzz”" in page(as_root, f"q={q}")


def test_pages_keep_their_filter(as_root, previewed):
    html = as_root.get("/preview/?action=keep&size=25&page=2").content.decode()
    assert "Showing <b>26 – 50</b>" in html
    assert "action=keep" in html.split('aria-label="Pages"')[1]


def test_asking_makes_a_row_and_rings_and_leaves_no_trace_in_the_trail(as_root, idle):
    before = AuditEntry.objects.count()
    answer = as_root.post("/preview/")
    assert (answer.status_code, answer["Location"]) == (302, "/preview/")
    made = Preview.objects.get()
    assert (made.scope, made.asked_by) == ("*", idle.root)
    assert OrmQ.objects.count() == 1
    assert AuditEntry.objects.count() == before
    html = page(as_root)
    assert 'hx-trigger="every 1s"' in html
    assert "The configuration is being read." in html
    assert "<noscript>" in html


def test_the_card_alone_is_polled_and_stops_by_itself(as_root, previewed):
    htmx = {"HX-Request": "true"}
    html = as_root.get("/preview/?user=quarrybank", headers=htmx).content.decode()
    assert "<b>2 of 6 sites</b>" in html
    assert html.lstrip().startswith("<section")
    html = as_root.get("/preview/?user=northwind", headers=htmx).content.decode()
    assert "every 1s" not in html
    assert "northwind.example" in html


def test_a_scope_of_one_user_or_of_a_resellers(as_root, previewed):
    assert {row[0].removesuffix("northwind") for row in table(as_root, "user=northwind").values()}
    assert len(table(as_root, "user=northwind")) == 31
    own = HostingUser.objects.filter(owner=previewed.harborweb).values_list("virtual_hosts__name", flat=True)
    assert set(table(as_root, "owner=harborweb")) == set(own)
    assert as_root.post("/preview/", {"user": "amberfield"})["Location"] == "/preview/?user=amberfield"
    assert Preview.objects.filter(scope="user:amberfield").exists()
    assert as_root.post("/preview/", {"owner": "brightpeak"})["Location"] == "/preview/?owner=brightpeak"


def test_a_user_that_there_is_not_is_said_and_stays_typed(as_root, previewed):
    for answer in (as_root.get("/preview/?user=norhtwind"), as_root.post("/preview/", {"user": "norhtwind"})):
        html = answer.content.decode()
        assert "There is no hosting user “norhtwind”." in html
        assert 'value="norhtwind"' in html
    assert "There is no reseller “zzz”" in as_root.get("/preview/?owner=zzz").content.decode()


def test_a_reseller_sees_own_users_only(as_reseller, previewed):
    own = set(HostingUser.objects.filter(owner=previewed.harborweb).values_list("virtual_hosts__name", flat=True))
    assert set(table(as_reseller)) == own
    assert tiles(as_reseller)["All"] == len(own)
    assert len(table(as_reseller, "user=northwind")) == 31
    for query in ("user=amberfield", "owner=brightpeak"):
        html = as_reseller.get(f"/preview/?{query}").content.decode()
        assert "There is no" in html
        assert "<tbody>" not in html
        assert as_reseller.get(f"/preview/preview.json?{query}").status_code == 404
    assert as_reseller.post("/preview/", {"user": "amberfield"}).status_code == 200
    assert not Preview.objects.filter(scope="user:amberfield").exists()
    HostingUser.objects.filter(name="northwind").update(owner=None)
    assert set(table(as_reseller)) == {name for name in own if "northwind" not in name}
    assert "orders fit" not in page(as_reseller), "numbers of others are not told"


def test_empty_states_say_what_comes_next(as_root, as_reseller, idle):
    for client in (as_root, as_reseller):
        html = page(client)
        assert "No preview yet" in html
        assert client.get("/preview/preview.json").status_code == 404
    foreseen.work_out(idle, "user:thistle")
    assert "There is nothing here that a run would look at." in page(as_root, "user=thistle")


def test_without_a_provider_or_paused_it_says_so(as_root, idle):
    options.pause(idle.server, by=idle.root, now=idle.now)
    foreseen.work_out(idle)
    assert "AutoSSL is paused." in page(as_root)
    options.resume(idle.server, by=idle.root, now=idle.now)
    providers.disable(by=idle.root)
    foreseen.work_out(idle)
    html = page(as_root)
    assert "A run would order nothing." in html
    assert "Choose a provider" in html


def test_one_that_could_not_be_worked_out_says_so(as_root, as_reseller, previewed):
    Preview.objects.all().update(problem={"code": "internal", "text": "RuntimeError: a wall fell down"})
    assert "a wall fell down" in page(as_root)
    assert "could not be worked out" in page(as_reseller)
    assert "a wall fell down" not in page(as_reseller)


def test_as_json(as_root, as_reseller, previewed):
    def read(client: Client, query: str = "") -> dict[str, Any]:
        answer = client.get(f"/preview/preview.json?{query}")
        assert answer["Content-Type"] == "application/json"
        found: dict[str, Any] = json.loads(b"".join(answer.streaming_content))
        return found

    found = read(as_root)
    assert len(found["sites"]) == PreviewSite.objects.filter(preview__scope="*").count()
    assert found["counts"] == {**dict.fromkeys(found["counts"], 0), **Preview.objects.get(scope="*").counts}
    assert {site["user"] for site in read(as_reseller)["sites"]} <= set(
        HostingUser.objects.filter(owner=previewed.harborweb).values_list("name", flat=True)
    )
    assert len(read(as_root, "user=northwind")["sites"]) == 31


def test_the_button_stands_beside_the_run(as_root, as_reseller, idle):
    for client in (as_root, as_reseller):
        html = client.get("/users/").content.decode()
        assert re.search(r'id="run-now".*?action="/preview/".*?id="preview-now"', html, re.DOTALL)


def test_few_queries(as_root, as_reseller, previewed):
    for client in (as_root, as_reseller):
        with CaptureQueriesContext(
            connection,
        ) as asked:
            client.get("/preview/?action=keep&q=north")
        assert len(asked) <= 15, len(asked)
