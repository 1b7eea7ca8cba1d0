"""The audit trail's page: filters that are addresses, before and after, and files for elsewhere."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from autossl_panel.autossl import options, providers, runs
from autossl_panel.hosting import excluded_names, users
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import audit, persons, tokens
from autossl_panel.people.models import AuditEntry, User
from tests.web.scene import Scene
from tests.web.test_pages import check


@pytest.fixture
def trail(scene: Scene) -> Scene:
    """A morning's changes."""
    with audit.coming_from("panel", "198.51.100.9"):
        users.set_autossl(HostingUser.objects.filter(name="amberfield"), "off", by=scene.harborweb, now=scene.now)
        users.exclude(["northwind.example"], by=scene.harborweb, now=scene.now)
        runs.start("user:thistle", by=scene.root, asked_from="panel", server=scene.server)
        providers.check_again(scene.provider, by=scene.root)
    with audit.coming_from("command", "anna"):
        options.change(scene.server, {"log_days": "60", "replace_foreign": "yes"}, by=None)
    return scene


def test_the_names_that_a_user_excludes_lead_to_the_user(scene: Scene, as_root):
    user = HostingUser.objects.get(name="northwind")
    excluded_names.exclude_names(user, ["northwind.example"], by=scene.root, now=scene.now)
    html = page(as_root, "?event=name:excluded")
    assert 'href="/users/?q=northwind"' in html
    assert 'href="/users/?q="' not in html


def page(client, query: str = "") -> str:
    answer = client.get(f"/people/audit/{query}")
    assert answer.status_code == 200
    html = answer.content.decode()
    check(html)
    return html


def shown(client, query: str = "") -> int:
    return page(client, query).split("<tbody>")[-1].count("<tr>") if "<tbody>" in page(client, query) else 0


def test_moments_before_and_after_are_in_the_viewers_zone_with_their_utc(scene: Scene, as_root):
    until = datetime(2027, 7, 1, 22, 30, tzinfo=UTC)
    tokens.make(scene.root, "nightly", expires_at=until, read_only=False, by=scene.root, now=scene.now)
    as_root.cookies["autossl_zone"] = "Europe/Berlin"
    html = page(as_root, "?event=token:added")
    exact = 'datetime="2027-07-01T22:30:00Z" title="Thu 1 Jul 2027, 22:30:00 UTC"'
    assert f"<ins><time {exact}>2027-07-02 00:30</time></ins>" in html


def test_who_from_where_what_before_and_after(trail, as_root):
    html = page(as_root)
    assert "Set AutoSSL of a user" in html
    assert "<del>Use feature list</del>" in html
    assert "<ins>Disabled</ins>" in html
    assert "<del>no</del>" in html
    assert '<span class="mono">198.51.100.9</span>' in html
    assert "command line" in html
    assert 'href="/users/?q=amberfield"' in html
    assert f'href="/runs/{trail.server.runs.get(scope="user:thistle", ended_at=None).pk}/"' in html
    assert 'href="/users/?q=northwind"' in html
    assert html.index("Changed options") < html.index("Set AutoSSL of a user"), "newest first"


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ("", 5),
        ("?who=harborweb", 2),
        ("?who=HARBORWEB", 2),
        ("?who=harbor", 0),
        ("?event=options:changed", 1),
        ("?event=provider:", 1),
        ("?subject=wind", 1),
        ("?source=command", 1),
        ("?source=panel&who=root", 2),
        ("?since={today}", 5),
        ("?until={today}", 5),
        ("?since={tomorrow}", 0),
        ("?until={yesterday}", 0),
        ("?who=%27%22%3Cb%3E&subject=%25", 0),
    ],
)
def test_filters(query, number, trail, as_root):
    today = timezone.now().date()
    days = {"today": today, "tomorrow": today + timedelta(days=1), "yesterday": today - timedelta(days=1)}
    assert shown(as_root, query.format(**days)) == number


def test_days_are_those_of_the_viewer(trail, as_root):
    late = datetime(2025, 11, 24, 23, 30, tzinfo=UTC)
    AuditEntry.objects.create(event="options:changed", subject="late", source="panel", at=late)
    persons.set_zone(trail.root, "Europe/Berlin")
    assert shown(as_root, "?since=2025-11-25&until=2025-11-25") == 1
    assert shown(as_root, "?since=2025-11-24&until=2025-11-24") == 0
    assert as_root.get("/people/audit/?since=0001-01-01").status_code == 200


@pytest.mark.parametrize("day", ["yesterday", "2026-13-01", "10000-01-01", "0000-01-01"])
def test_what_is_no_day_is_told_at_its_field(day, trail, as_root):
    html = page(as_root, f"?until={day}&who=root")
    assert f"“{day}” is not a day" in html
    assert 'aria-describedby="wish-e"' in html
    assert 'value="root"' in html
    assert as_root.get(f"/people/audit.csv?until={day}").status_code == 400


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_the_first_and_the_last_day_leave_nothing_out(zone, trail, as_root):
    User.objects.filter(pk=trail.root.pk).update(zone=zone)
    everything = body(as_root.get("/people/audit.csv"))
    assert len(everything.splitlines()) == 6
    assert body(as_root.get("/people/audit.csv?since=0001-01-01&until=9999-12-31")) == everything
    for nothing in ("until=0001-01-01", "since=9999-12-31"):
        assert len(body(as_root.get(f"/people/audit.csv?{nothing}")).splitlines()) == 1


def test_pages(trail, as_root):
    audit.record_each(trail.root, "user:autossl_set", ((f"u{n}", None, {"autossl": "on"}) for n in range(60)))
    html = page(as_root)
    assert "Showing <b>1 – 25</b> of <b>65</b>" in html
    assert "Showing <b>51 – 65</b> of <b>65</b>" in page(as_root, "?page=3")
    assert 'href="?who=root&amp;page=2"' in page(as_root, "?who=root")


def test_nothing_yet_and_nothing_found(as_root):
    AuditEntry.objects.all().delete()
    assert "No entry yet" in page(as_root)
    assert "No entry matches" in page(as_root, "?who=nobody")


def test_a_page_is_few_questions(trail, as_root, django_assert_max_num_queries):
    audit.record_each(trail.root, "user:autossl_set", ((f"u{n}", None, {"autossl": "on"}) for n in range(60)))
    with django_assert_max_num_queries(8):
        as_root.get("/people/audit/?size=100")


def test_what_strangers_typed_is_escaped(as_root, scene):
    audit.record(None, "user:autossl_set", "<b>x</b>", before={"<i>": "<script>"}, after={"<i>": "&"})
    html = page(as_root)
    assert "<script>" not in html.split("<main")[1]
    assert "<b>x</b>" not in html


# --- files ------------------------------------------------------------------------------------------------------------


def body(answer) -> str:
    return b"".join(answer.streaming_content).decode()


def test_csv_holds_what_the_filter_shows(trail, as_root):
    answer = as_root.get("/people/audit.csv?who=harborweb")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="audit.csv"'
    rows = list(csv.DictReader(io.StringIO(body(answer))))
    assert [row["event"] for row in rows] == ["name:excluded", "user:autossl_set"]
    assert rows[1]["subject"] == "amberfield"
    assert json.loads(rows[1]["before"]) == {"autossl": "feature-list"}
    assert datetime.fromisoformat(rows[1]["at"]).tzinfo == UTC


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", '=1,"x"'])
def test_a_spreadsheet_takes_nothing_for_a_formula(text, as_root, scene):
    audit.record(None, "user:autossl_set", text, after={"x": text})
    with audit.coming_from("panel", text):
        audit.record(None, "user:autossl_set", text)
    for row in csv.reader(io.StringIO(body(as_root.get("/people/audit.csv")), newline="")):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝")), cell


def test_ndjson_is_one_object_a_line(trail, as_root):
    answer = as_root.get("/people/audit.ndjson?event=options:changed")
    (line,) = body(answer).splitlines()
    found = json.loads(line)
    assert found["after"] == {"log_days": "60", "replace_foreign": "yes"}
    assert (found["person"], found["source"], found["address"]) == ("", "command", "anna")


def test_the_links_to_the_files_keep_the_filter(trail, as_root):
    html = page(as_root, "?who=root&page=1")
    assert 'href="/people/audit.csv?who=root"' in html
    assert 'href="/people/audit.ndjson?who=root"' in html


def test_files_are_read_in_portions(trail, as_root):
    audit.record_each(trail.root, "user:autossl_set", ((f"u{n}", None, None) for n in range(5000)))
    answer = as_root.get("/people/audit.ndjson")
    assert answer.streaming
    assert len(body(answer).splitlines()) == 5005


def test_a_run_for_all_is_called_so(trail, as_root):
    runs.cancel(runs.start(runs.ALL, by=trail.root, asked_from="panel", server=trail.server), by=trail.root)
    html = page(as_root, "?event=run:cancelled")
    assert ">all users</a>" in html
    assert ">*</a>" not in html
    assert ">user thistle</a>" in page(as_root, "?event=run:started")
