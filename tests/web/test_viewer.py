"""Every page in the viewer's language and time zone; times by their moment, not by the clock on the wall."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone, translation

from autossl_panel.autossl.limits.rows import NEVER
from autossl_panel.autossl.models import Account, Bucket
from autossl_panel.hosting.models import HostingUser
from autossl_panel.people import persons, zones
from autossl_panel.people.models import AuditEntry, User
from autossl_panel.web import marked, words
from autossl_panel.web.templatetags import panel
from tests.web.scene import Scene

TEMPLATES = Path(__file__).parents[2] / "templates"
WEB = Path(marked.__file__).parent


@pytest.fixture(autouse=True)
def nothing_stays_active() -> Iterator[None]:
    with timezone.override(None), translation.override("en"):
        yield


def foot(client: Client, path: str = "/options/") -> str:
    html = client.get(path).content.decode()
    found = re.search(r'<footer class="foot"><a [^>]*>([^<]*)</a>', html)
    assert found
    return found[1]


def test_without_a_word_from_the_browser_times_are_utc_and_the_foot_says_so(as_root: Client):
    assert foot(as_root) == "Times in UTC"


def test_the_browsers_zone_then_the_persons_own(as_root: Client, scene: Scene):
    as_root.cookies["autossl_zone"] = "Asia/Kolkata"
    assert foot(as_root) == "Times in Asia/Kolkata (UTC+5:30)"
    persons.set_zone(scene.root, "America/Argentina/Buenos_Aires")
    assert foot(as_root) == "Times in America/Argentina/Buenos_Aires (UTC−3)"
    persons.set_zone(scene.root, "UTC")
    assert foot(as_root) == "Times in UTC"


@pytest.mark.parametrize("told", ["", "Nowhere/Atall", "../../etc/passwd", "Europe", "/etc/localtime", "x" * 5000, "ä"])
def test_what_is_not_a_zone_is_as_if_nothing_was_told(told: str, as_root: Client):
    as_root.cookies["autossl_zone"] = told
    assert foot(as_root) == "Times in UTC"
    assert zones.find(told) is None


def test_a_zone_with_a_nul_is_none_and_no_page_is_made_for_it(as_root: Client):
    as_root.cookies["autossl_zone"] = "Europe/Berlin\x00"
    assert as_root.get("/users/").status_code == 400
    assert zones.find("Europe/Berlin\x00") is None


def test_one_viewers_zone_is_not_the_nexts(as_root: Client, as_reseller: Client):
    as_root.cookies["autossl_zone"] = "Asia/Tokyo"
    assert foot(as_root, "/users/") == "Times in Asia/Tokyo (UTC+9)"
    assert foot(as_reseller, "/users/") == "Times in UTC"


def test_a_time_is_shown_in_the_zone_with_its_utc_in_the_title():
    at = datetime(2026, 11, 23, 23, 41, 8, tzinfo=UTC)
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        html = panel.clock(at)
    assert html == ('<time datetime="2026-11-23T23:41:08Z" title="Mon 23 Nov 2026, 23:41:08 UTC">08:41:08</time>')


SPRING = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 02:00 becomes 03:00 in Berlin
AUTUMN = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)  # 03:00 becomes 02:00


@pytest.mark.parametrize(
    ("at", "now", "said"),
    [
        # The hour that is left out: a minute lies between 01:59 and 03:00.
        (SPRING - timedelta(minutes=1), SPRING + timedelta(minutes=10), ("today, 01:59", "11 min ago")),
        (SPRING, SPRING + timedelta(minutes=10), ("today, 03:00", "10 min ago")),
        (SPRING - timedelta(seconds=30), SPRING + timedelta(seconds=20), ("just now", "50 s ago")),
        # The hour that comes twice: 02:30 and 02:30 lie an hour apart.
        (AUTUMN - timedelta(minutes=30), AUTUMN + timedelta(minutes=30), ("today, 02:30", "60 min ago")),
        (AUTUMN + timedelta(minutes=30), AUTUMN - timedelta(minutes=30), ("today, 02:30", "in 60 min")),
        # Midnight is the zone's, not UTC's; so is the day after a day of 23 hours.
        (SPRING - timedelta(hours=2, minutes=1), SPRING, ("yesterday, 23:59", "2 h ago")),
        (SPRING + timedelta(hours=21), SPRING, ("tomorrow, 00:00", "in 21 h")),
        (SPRING + timedelta(hours=20, minutes=59), SPRING, ("today, 23:59", "in 21 h")),
    ],
)
def test_when_the_clock_is_put_forward_or_back(at: datetime, now: datetime, said: tuple[str, str]):
    berlin = ZoneInfo("Europe/Berlin")
    with timezone.override(berlin):
        for one, other in ((at, now), (at.astimezone(berlin), now.astimezone(berlin))):
            assert (words.moment(one, other), words.away(one, other)) == said


def test_the_foot_follows_the_clock():
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert words.zone(SPRING - timedelta(seconds=1)) == "Europe/Berlin (UTC+1)"
        assert words.zone(SPRING) == "Europe/Berlin (UTC+2)"


def test_the_year_is_the_zones():
    at, now = datetime(2026, 12, 31, 23, 30, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC)
    assert words.day(at, now) == "31 Dec"
    with timezone.override(ZoneInfo("Europe/Berlin")):
        assert words.day(at, now) == "1 Jan 2027"
        assert words.exact(at) == "Thu 31 Dec 2026, 23:30:00 UTC"


def test_moments_in_a_line_of_the_log_are_the_viewers():
    text = "Renewal waits until 2026-12-02 03:12 UTC for <a.example>"
    assert panel.told(text) == (
        'Renewal waits until <time datetime="2026-12-02T03:12:00Z" title="Wed 2 Dec 2026, 03:12:00 UTC">'
        "2026-12-02 03:12 UTC</time> for &lt;a.example&gt;"
    )
    with timezone.override(ZoneInfo("America/New_York")):
        assert ">2026-12-01 22:12</time>" in panel.told(text)
        assert ">2026-12-01 22:12:09</time>" in panel.told("retry after 2026-12-02 03:12:09 UTC.")
    assert panel.told("until 2026-13-45 03:12 UTC & more") == "until 2026-13-45 03:12 UTC &amp; more"
    assert panel.told("Nothing to do") == "Nothing to do"


def test_no_template_shows_a_time_in_another_way():
    """Every moment goes through a filter that makes a <time> with UTC in its title."""
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*(date|time|timesince|timeuntil|naturaltime)\b", text), path.name
        assert not re.search(r"{%\s*now\b", text), path.name


def test_no_sentence_of_a_page_shows_a_time_in_another_way():
    """In Python too: a day or a moment within a sentence is the filter's. Labels of charts have no place for one."""
    elsewhere = {"words.py", "charts.py", "run_table.py", "panel.py"}
    for path in WEB.rglob("*.py"):
        if path.name not in elsewhere:
            assert not re.search(r"\bwords\.(day|moment|clock)\(", path.read_text(encoding="utf-8")), path.name


def test_a_day_in_a_sentence_keeps_its_utc_and_all_else_is_escaped():
    at = datetime(2026, 11, 23, 23, 41, 8, tzinfo=UTC)
    with timezone.override(ZoneInfo("Asia/Tokyo")):
        html = marked.fill("<%(who)s> has %(n)d until %(day)s", who="a & b", n=2, day=panel.whole_day(at))
    assert html == (
        '&lt;a &amp; b&gt; has 2 until <time datetime="2026-11-23T23:41:08Z" title="Mon 23 Nov 2026, 23:41:08 UTC">'
        "24 Nov 2026</time>"
    )


def test_a_toast_says_a_day_as_every_page_does(as_root: Client, scene: Scene):
    user = HostingUser.objects.get(name="lindner")
    address, value = f"/users/{user.pk}/autossl/", {f"autossl-{user.pk}": "off"}
    at_once = as_root.post(address, value, headers={"HX-Request": "true"}).content.decode()
    for html in (at_once, as_root.get("/users/").content.decode()):
        toast = html[html.index('class="toast"') :]
        said = toast[: toast.index("</span>")]
        assert re.search(
            r'AutoSSL is off for “lindner”. \d+ certificates expire from <time datetime="[^"]+Z" title=', said
        )


def test_what_a_ca_says_of_a_moment_is_in_the_viewers_zone(as_root: Client, scene: Scene):
    said = "too many certificates already issued, retry after 2026-12-02 03:12:09 UTC"
    Account.objects.filter(provider=scene.provider).update(
        problem={"field": "contact", "code": "contact", "text": said, "link": ""}
    )
    Bucket.objects.create(
        owner=f"a:{Account.objects.get(provider=scene.provider).pk}",
        kind="consecutive",
        subject="a.example",
        blocked_until=NEVER,
        blocked_detail=said,
        empty_at=scene.now,
    )
    as_root.cookies["autossl_zone"] = "America/New_York"
    html = as_root.get("/providers/").content.decode()
    shown = '<time datetime="2026-12-02T03:12:09Z" title="Wed 2 Dec 2026, 03:12:09 UTC">2026-12-01 22:12:09</time>'
    # Above the page, at the account, and among the limits
    assert html.count(f"retry after {shown}") == 3
    assert "03:12:09 UTC<" not in html


def test_the_persons_language_goes_before_the_browsers(as_root: Client, scene: Scene):
    answer = as_root.get("/options/", headers={"accept-language": "de"})
    assert '<html lang="de"' in answer.content.decode()
    assert answer["Content-Language"] == "de"
    persons.set_language(scene.root, "en")
    answer = as_root.get("/options/", headers={"accept-language": "de"})
    assert '<html lang="en"' in answer.content.decode()
    assert answer["Content-Language"] == "en"
    assert '<html lang="en"' in as_root.get("/options/", headers={"accept-language": "xx, fr;q=0.5"}).content.decode()


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [("language", "de", "de"), ("zone", "Europe/Berlin", "Europe/Berlin"), ("shortcuts", "off", False)],
)
def test_the_menu_sets_one_and_goes_back(field: str, text: str, value: object, as_root: Client, scene: Scene):
    answer = as_root.post("/preferences/", {field: text, "next": "/runs/?state=failures"})
    assert answer["Location"] == "/runs/?state=failures"
    person = User.objects.get(pk=scene.root.pk)
    assert getattr(person, field) == value
    assert {person.language, person.zone, person.shortcuts} - {"", True} == {value}
    entry = AuditEntry.objects.get(event="person:prefers")
    assert (entry.person, entry.subject, entry.after) == (scene.root, "root", {field: value})


def test_the_page_saves_all_and_says_so(as_root: Client):
    answer = as_root.post("/preferences/", {"language": "", "zone": "Europe/Berlin", "shortcuts": "on"}, follow=True)
    html = answer.content.decode()
    assert "Your preferences are saved." in html
    assert '<option value="Europe/Berlin" selected>Berlin</option>' in html


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [
        ("zone", "Nowhere/Atall", "There is no time zone “Nowhere/Atall”."),
        ("language", "xx", "There is no language “xx”"),
    ],
)
def test_what_is_not_there_is_told_at_its_field_and_nowhere_else(field, text, said, as_root: Client, scene: Scene):
    answer = as_root.post("/preferences/", {field: text, "next": "https://elsewhere.example/"})
    assert answer.status_code == 200
    assert said in answer.content.decode()
    assert f'aria-describedby="{field}-e" autofocus' in answer.content.decode()
    assert not AuditEntry.objects.filter(event="person:prefers").exists()


def test_nobody_is_sent_elsewhere(as_root: Client):
    answer = as_root.post("/preferences/", {"shortcuts": "on", "next": "https://elsewhere.example/"})
    assert answer["Location"] == "/preferences/"


def test_names_in_a_line_of_the_log_are_as_people_read_them():
    kitchen = '<span title="xn--grne-kche-r9ae.example">grüne-küche.example</span>'
    assert panel.told("xn--grne-kche-r9ae.example: kept, <b> until 2026-13-45") == (
        f"{kitchen}: kept, &lt;b&gt; until 2026-13-45"
    )
    assert panel.told("For *.xn--grne-kche-r9ae.example.") == (
        'For <span title="*.xn--grne-kche-r9ae.example">*.grüne-küche.example</span>.'
    )
    assert panel.told("xn--zzzzzz99999.example & more") == "xn--zzzzzz99999.example &amp; more", "no A-label"
