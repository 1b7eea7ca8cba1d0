"""The Certificates tab: tiles, filters, search, order, what a row says, the timeline, and that it stays cheap."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl.models import Certificate, Installation, Job, JobState, Run
from autossl_panel.hosting.models import Domain, Severity, SiteState, VirtualHost
from tests.web.scene import Scene
from tests.web.test_runs import rows as cells

COLUMNS = {"site": 0, "state": 1, "names": 2, "issuer": 3, "expires": 4, "next": 5}


def table(client, query: str = "") -> list[list[str]]:
    """The rows of the table: the first body on the page with seven cells belongs to the timeline's table."""
    html = client.get(f"/certificates/?{query}").content.decode()
    if 'class="stack sites"' not in html:
        return []
    found = cells(html[html.index('class="stack sites"') :])
    return [row for row in found if len(row) == 7]


def names(client, query: str = "") -> list[str]:
    return [name_of(row) for row in table(client, query)]


def name_of(row: list[str]) -> str:
    """The name without its user, which stands below it."""
    return re.split(r"(?<=example)", row[0])[0].strip()


def row_of(client, name: str) -> dict[str, str]:
    (row,) = [row for row in table(client, f"q={name}&size=100") if name_of(row) == name]
    return {column: row[place] for column, place in COLUMNS.items()}


def tiles(client, query: str = "") -> dict[str, int]:
    html = client.get(f"/certificates/?{query}").content.decode()
    found = re.findall(r'<a class="tile"[^>]*><b[^>]*>(\d+)</b><span[^>]*>(?:<svg.*?</svg>)?([^<]+)', html)
    return {label.strip(): int(n) for n, label in found}


def test_tiles_count_what_their_filters_show(as_root, troubled: Scene):
    found = tiles(as_root)
    assert list(found) == ["All", "Secured", "Partly", "Unsecured", "Foreign", "Off"]
    assert found["All"] == sum(n for label, n in found.items() if label != "All")
    for state in ("secured", "partly", "unsecured", "foreign", "off"):
        html = as_root.get(f"/certificates/?state={state}").content.decode()
        assert f"of <b>{found[state.capitalize()]}</b>" in html
        assert len(table(as_root, f"state={state}&size=100")) == found[state.capitalize()]


def test_what_is_gone_has_a_tile_of_its_own(as_root, troubled: Scene):
    gone = VirtualHost.objects.get(name="eastgate.example")
    VirtualHost.objects.filter(pk=gone.pk).update(
        state=SiteState.GONE, severity=Severity.GONE, gone_at=troubled.now, next_at=None
    )
    assert tiles(as_root)["Gone"] == 1
    assert "eastgate.example" not in names(as_root, "q=eastgate")
    row = table(as_root, "state=gone")[0]
    assert row[1] == "Gone"
    assert "Site removed on" in row[5]


def test_the_worst_stands_first(as_root, troubled: Scene):
    states = [row[1] for row in table(as_root, "size=100")]
    order = ["Unsecured", "Expiring", "Partly", "Foreign", "Secured"]
    assert [state for state in dict.fromkeys(states) if state in order] == order


@pytest.mark.parametrize("sort", ["expires", "-expires", "user", "name", "-name", "-state", "nonsense"])
def test_every_order_shows_every_site(sort, as_root, troubled: Scene):
    html = as_root.get(f"/certificates/?sort={sort}&size=100").content.decode()
    assert f"of <b>{tiles(as_root)['All']}</b>" in html
    found = names(as_root, f"sort={sort}&size=100")
    if sort == "name":
        assert found == sorted(found)
    if sort in ("expires", "-expires"):
        ends = dict(VirtualHost.objects.values_list("name", "expires_at"))
        known = [ends[name] for name in found if ends[name]]
        assert known == sorted(known, reverse=sort == "-expires")
        assert len(known) == len([name for name in found[: len(known)] if ends[name]]), "without an end: last"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (
            "q=lindner",
            ["lindner.example", "blog1.lindner.example", "camping2.lindner.example", "farm3.lindner.example"],
        ),
        ("q=www.lindner.example", ["lindner.example"]),
        ("q=Sectigo", ["camping2.dockside.example"]),
        ("user=dockside&state=foreign", ["camping2.dockside.example"]),
        ("more=expiring", ["lindner.example"]),
        ("more=expired", []),
        ("more=held&user=lindner", ["lindner.example"]),
        ("q=nothingofthekind", []),
        ("state=nonsense&more=nonsense&q=www.lindner.example", ["lindner.example"]),
    ],
)
def test_search_and_filters(query, found, as_root, troubled: Scene):
    assert names(as_root, query) == found


def test_a_serial_is_found_however_it_is_typed(as_root, troubled: Scene):
    host = VirtualHost.objects.get(name="junipershop.example")
    Certificate.objects.filter(installations__virtual_host=host, installations__until=None).update(serial="4a17c09e3b8")
    for typed in ("04:a1:7c:09", "4A17C09E3B8", "04 a1 7c 09 e3"):
        assert names(as_root, f"q={typed}") == ["junipershop.example"], typed


def test_a_name_is_found_as_people_write_it(as_root, troubled: Scene):
    host = VirtualHost.objects.get(name="junipershop.example")
    Domain.objects.create(virtual_host=host, name="xn--grne-kche-r9ae.example", position=2)
    assert names(as_root, "q=Grüne-Küche") == ["junipershop.example"]


def test_a_search_that_finds_nothing_repeats_the_words(as_root, troubled: Scene):
    html = as_root.get("/certificates/?q=<norhtwind>").content.decode()
    assert "Nothing matches “&lt;norhtwind&gt;”" in html
    assert "Clear search and filters" in html


def test_a_row_says_what_is_installed_and_what_comes(as_root, troubled: Scene):
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=timezone.now())
    Job.objects.exclude(state=JobState.ENDED).update(state=JobState.ENDED, outcome="secured")
    juniper = row_of(as_root, "junipershop.example")
    assert juniper["state"] == "Secured"
    assert juniper["names"] == "2 / 2"
    assert juniper["issuer"] == "Let&#x27;s EncryptP-256"
    assert re.fullmatch(r"\d+ \w+( \d{4})?in \d+ days", juniper["expires"])
    assert juniper["next"].startswith("Renews ")
    assert juniper["next"].endswith("By the CA’s hint (ARI)")
    lindner = row_of(as_root, "lindner.example")
    assert lindner["state"] == "Expiring"
    assert lindner["next"].startswith("Deferred, next try today")
    assert "The connection timed out" in lindner["next"]
    law = row_of(as_root, "brandtlaw.example")
    assert (law["names"], law["issuer"], law["expires"]) == ("0 / 1", "none", "Not installed")
    assert law["next"].startswith("Waits until")
    foreign = row_of(as_root, "camping2.dockside.example")
    assert (foreign["issuer"], foreign["next"]) == ("Sectigo LimitedRSA 2048", "KeptNot by AutoSSL")
    assert row_of(as_root, "pixelforge.example")["next"] == "NothingAutoSSL is disabled"


def test_a_site_in_hand_says_what_is_done_with_it(as_root, troubled: Scene):
    job = Job.objects.filter(run=troubled.live, state=JobState.STAGED).select_related("virtual_host").first()
    assert row_of(as_root, job.virtual_host.name)["next"] == "Renewing nowWaits for the reload"


def test_an_expired_certificate_is_said_so(as_root, troubled: Scene):
    host = VirtualHost.objects.get(name="ivorylane.example")
    end = troubled.now - timedelta(days=2)
    Certificate.objects.filter(installations__virtual_host=host).update(not_after=end)
    VirtualHost.objects.filter(pk=host.pk).update(
        state=SiteState.UNSECURED, severity=Severity.UNSECURED, expires_at=end, names_covered=0
    )
    assert re.fullmatch(r"Expired \d+ \w+2 days ago|Expired \d+ \w+48 h ago", row_of(as_root, host.name)["expires"])


def test_chips_count_and_lead_back(as_root, troubled: Scene):
    html = as_root.get("/certificates/?more=held").content.decode()
    chip = re.search(r'<a class="chip" href="([^"]*)" aria-current="true">Held back <span class="n">(\d+)</span>', html)
    assert chip[1] == "?"
    assert int(chip[2]) == len(table(as_root, "more=held&size=100")) == 3, "one deferred, two whose user is off"


def test_the_timeline_tells_the_three_kinds_apart(as_root, troubled: Scene):
    html = as_root.get("/certificates/").content.decode()
    legend = html[html.index('class="legend"') : html.index("</ul>", html.index('class="legend"'))]
    numbers = [int(n) for n in re.findall(r"<b>(\d+)</b>", legend)]
    held = VirtualHost.objects.filter(severity__in=[Severity.HELD, Severity.LAPSING]).count()
    foreign = VirtualHost.objects.filter(state=SiteState.FOREIGN).count()
    assert numbers[1:] == [held, foreign]
    assert sum(numbers) == Installation.objects.filter(until=None).count()
    assert f"{sum(numbers)} certificates:" in html


def test_the_timeline_has_what_is_defective_and_another_s_where_autossl_is_off(as_root, troubled: Scene):
    def foreign() -> int:
        html = as_root.get("/certificates/").content.decode()
        legend = html[html.index('class="legend"') : html.index("</ul>", html.index('class="legend"'))]
        return int(re.findall(r"<b>(\d+)</b>", legend)[-1])

    before = foreign()
    one, two = Installation.objects.filter(until=None, certificate__ours=True)[:2]
    for place, severity in ((one, Severity.UNSECURED), (two, Severity.OFF)):
        Certificate.objects.filter(pk=place.certificate_id).update(ours=False, self_signed=False)
        VirtualHost.objects.filter(pk=place.virtual_host_id).update(severity=severity)
    assert foreign() == before + 2


def test_a_reseller_sees_own_sites(as_reseller, troubled: Scene):
    found = {row[0].split(".example")[-1].strip() for row in table(as_reseller, "size=100")}
    assert found == {"northwind", "bluefjord", "brandtlaw", "dockside", "pixelforge"}
    assert tiles(as_reseller)["All"] == VirtualHost.objects.filter(user__owner=troubled.harborweb).count()
    assert names(as_reseller, "q=junipershop") == []


def test_a_hosting_users_login_has_another_page(signed_in, troubled: Scene):
    from tests.web.scene import person

    assert signed_in(person("amberfield", "user")).get("/certificates/").status_code == 404


def test_nothing_there_yet(as_root, scene: Scene):
    Run.objects.all().delete()
    VirtualHost.objects.all().delete()
    html = as_root.get("/certificates/").content.decode()
    assert "No sites yet" in html
    assert 'class="fig"' not in html


def test_cells_are_kept_fresh_while_a_run_lives(as_root, troubled: Scene):
    assert 'id="fresh"' in as_root.get("/certificates/").content.decode()
    answer = as_root.get("/certificates/?q=lindner.example", headers={"HX-Request": "true"})
    assert answer.status_code == 200
    html = answer.content.decode()
    assert html.count('hx-swap-oob="true"') == 5 * 4 + 2 * (len(tiles(as_root)) - 1), (
        "the cells, and the tiles of states"
    )
    assert f'id="n-secured" hx-swap-oob="true">{tiles(as_root)["Secured"]}<' in html
    assert "<html" not in html
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=timezone.now())
    assert as_root.get("/certificates/?q=lindner", headers={"HX-Request": "true"}).status_code == 286
    assert 'id="fresh"' not in as_root.get("/certificates/").content.decode()


@pytest.mark.parametrize("query", ["", "state=secured&page=2", "q=lindner&sort=user", "more=expiring", "sort=-expires"])
def test_it_asks_few_questions(query, as_root, as_reseller, troubled: Scene):
    for client in (as_root, as_reseller):
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/certificates/?{query}&size=100")
        assert len(queries) <= 15, query


def test_expired_certificates_are_found_at_once(as_root, troubled: Scene):
    VirtualHost.objects.filter(name="farm3.lindner.example").update(expires_at=troubled.now - timedelta(hours=1))
    assert names(as_root, "more=expired") == ["farm3.lindner.example"]
    assert names(as_root, "more=expired&user=dockside") == []
    html = as_root.get("/certificates/").content.decode()
    assert re.search(r'more=expired">Expired <span class="n is-bad">1</span>', html)
