"""The Problems tab: one card a cause, the fix for these very names, and rechecking one, some or all."""

import re
from datetime import datetime, timedelta
from urllib.parse import unquote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl.log import Reader, causes
from autossl_panel.autossl.log.advice import advice
from autossl_panel.autossl.log.words import REASONS
from autossl_panel.autossl.models import Problem, Run
from autossl_panel.hosting.models import HostingUser, VirtualHost
from autossl_panel.web import problem_data
from autossl_panel.web.problem_data import Filter
from tests.web.scene import Scene
from tests.web.test_pages import check

MOVED = "14 names point to another server"


def heads(client, query: str = "") -> list[str]:
    return re.findall(r"<h3>([^<]+)</h3>", client.get(f"/problems/?{query}").content.decode())


def page(client, code: str, quiet: bool = False) -> str:
    cause = Problem.objects.filter(code=code, quiet=quiet).values_list("cause", flat=True)[0]
    html = client.get(f"/problems/{cause}/{'?kind=quiet' if quiet else ''}").content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html[html.index('<main id="main">') :]))


def lines(html: str) -> list[str]:
    return [line.replace("&quot;", '"') for line in re.findall(r"<code>([^<]+)</code>", html)]


def test_one_card_a_cause_the_most_affected_first(as_root, troubled: Scene):
    assert heads(as_root) == [
        MOVED,
        "CAA forbids letsencrypt.org",
        "Port 80 does not answer",
        "The challenge file is refused with 403",
        "IPv6 points elsewhere, IPv4 is right",
        "1 name does not exist in DNS",
    ]
    html = as_root.get("/problems/").content.decode()
    assert "20 names" in html
    assert "of 5 users" in html
    assert re.search(
        r'Problems</span><span id="tab-problems" class="count hot"><span class="sr">: </span>6</span>', html
    )


def test_the_first_card_is_open_and_spelled_out(as_root, troubled: Scene):
    html = as_root.get("/problems/").content.decode()
    assert html.count('<details class="prob" open') == 1
    card = html[html.index('class="prob-b"') : html.index("CAA forbids")]
    said = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", card))
    assert "Change the A record of each name from 198.51.100.7 to 203.0.113.10." in said
    assert "198.51.100.7 answers 404, the challenge file is not there (oldhost)" in said
    assert "14 names stay unsecured" in said
    assert "without your doing" in said
    assert "14 names of 1 user" in said
    assert "10 more" in said
    found = lines(card)
    assert found[:2] == [
        "blog17.northwind.example. IN A 198.51.100.7",
        "blog17.northwind.example. 3600 IN A 203.0.113.10",
    ]
    assert len(found) == 28, "each name once, its record now and as it should be"
    assert "Copy all 14" in said


def test_the_other_cards_open_from_their_own_page(as_root, troubled: Scene):
    html = as_root.get("/problems/").content.decode()
    address = re.search(r'hx-get="(/problems/caa-[0-9a-f]+/)"', html)[1]
    card = as_root.get(address, headers={"HX-Request": "true"}).content.decode()
    assert "<html" not in card
    assert 'brandtlaw.example. 3600 IN CAA 0 issue "letsencrypt.org"' in lines(card)
    assert "Recheck 2 names" in card


def test_the_pages_of_the_causes(as_root, troubled: Scene):
    assert "0 issue &quot;sectigo.com&quot;, at blog1.brandtlaw.example" in page(as_root, "caa")
    timeout = page(as_root, "connect_timeout")
    assert "www.lindner.example" in timeout.replace(". ", ".")
    assert "1 name is no longer covered after" in timeout
    assert "Covered" in timeout
    nxdomain = page(as_root, "nxdomain")
    assert "does not exist in DNS. Create an A record for it" in nxdomain
    assert "www.farm11.bluefjord.example. 3600 IN A 203.0.113.10" in nxdomain
    ipv6 = page(as_root, "ipv6_elsewhere")
    assert "IN AAAA 2001:db8:5::7" in ipv6
    assert "3600 IN AAAA 2001:db8:1::10" in ipv6
    assert "Exempt /.well-known/acme-challenge/ from access and firewall rules." in page(as_root, "http_status")


def test_what_is_left_out_quietly_counts_nowhere(as_root, troubled: Scene):
    html = as_root.get("/problems/?kind=quiet").content.decode()
    assert "unsecured" not in html[html.index("<main") :], "nothing is wrong with these"
    assert "left out" in html
    assert re.search(r"\d+ names? stays? left out", html)
    assert "Nothing is wrong with these" in html
    assert "Recheck all" not in html
    assert 'href="/problems/nxdomain-' in html
    assert "www.cedarworks.example" in page(as_root, "nxdomain", quiet=True).replace(". ", ".")
    assert "www.cedarworks" not in page(as_root, "nxdomain")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=lindner", ["Port 80 does not answer"]),
        ("q=blog1.brandtlaw.example", ["CAA forbids letsencrypt.org"]),
        ("q=nxdomain", ["1 name does not exist in DNS"]),
        ("q=forbids", ["CAA forbids letsencrypt.org"]),
        ("code=caa", ["CAA forbids letsencrypt.org"]),
        ("user=hallsteadt", ["The challenge file is refused with 403", "IPv6 points elsewhere, IPv4 is right"]),
        ("kind=web", ["Port 80 does not answer", "The challenge file is refused with 403"]),
        ("kind=web&user=lindner", ["Port 80 does not answer"]),
        ("kind=nonsense&code=caa", ["CAA forbids letsencrypt.org"]),
    ],
)
def test_filters_and_search(query, found, as_root, troubled: Scene):
    assert heads(as_root, query) == found


def test_a_search_that_finds_nothing_says_where_else_to_look(as_root, troubled: Scene):
    html = as_root.get("/problems/?q=<zz>").content.decode()
    assert "Nothing matches “&lt;zz&gt;”" in html
    quiet = as_root.get("/problems/?q=www.cedarworks.example").content.decode()
    assert "1 name that is left out quietly" in quiet
    assert 'href="/history/?name=www.cedarworks.example"' in quiet


def test_no_problems(as_root, scene: Scene):
    html = as_root.get("/problems/").content.decode()
    assert "No problems" in html
    assert "count hot" not in html


def test_a_reseller_sees_own_names_only(as_reseller, troubled: Scene):
    assert heads(as_reseller) == [MOVED, "CAA forbids letsencrypt.org", "1 name does not exist in DNS"]
    strange = Problem.objects.filter(user__name="lindner").values_list("cause", flat=True)[0]
    assert as_reseller.get(f"/problems/{strange}/").status_code == 404
    host = VirtualHost.objects.get(name="lindner.example")
    mine = Problem.objects.filter(user__name="northwind").first()
    Problem.objects.create(
        virtual_host=host, user=host.user, name=host.name, code=mine.code, cause=mine.cause, since=troubled.now
    )
    html = as_reseller.get(f"/problems/{mine.cause}/").content.decode()
    assert "lindner" not in html
    assert MOVED in html


def test_files_of_others_are_roots_to_read(as_root, as_reseller, troubled: Scene):
    host = VirtualHost.objects.get(name="northwind.example")
    data = {"text": "unexpected } in someone-elses.conf", "file": "/etc/nginx/someone-elses.conf", "line": 3}
    Problem.objects.create(
        virtual_host=host, user=host.user, name=host.name, code="foreign_broken", cause="foreign_broken-1",
        since=troubled.now, data=data,
    )  # fmt: skip
    assert "someone-elses" in as_root.get("/problems/foreign_broken-1/").content.decode()
    assert "someone-elses" not in as_reseller.get("/problems/foreign_broken-1/").content.decode()


def test_words_of_strangers_are_escaped(as_root, troubled: Scene):
    row = Problem.objects.filter(code="http_status").first()
    row.data = {**row.data, "server": "<script>alert(1)</script>", "status": 403}
    row.save()
    for answer in (as_root.get("/problems/"), as_root.get(f"/problems/{row.cause}/")):
        assert "<script>alert" not in answer.content.decode()
        assert "&lt;script&gt;alert" in answer.content.decode()


def test_a_draft_for_the_one_who_can_mend_it(as_root, troubled: Scene):
    html = as_root.get("/problems/").content.decode()
    assert "Mail this to" not in html, "nobody's address is known"
    HostingUser.objects.filter(name="northwind").update(email="anna@northwind.org")
    html = as_root.get("/problems/").content.decode()
    assert "Mail this to northwind" in html
    mail = re.search(r'href="(mailto:[^"]+)"', html)[1].replace("&amp;", "&")
    assert mail.startswith("mailto:anna@northwind.org?subject=14%20names%20point")
    body = unquote(mail.partition("&body=")[2])
    assert "Set to: blog17.northwind.example. 3600 IN A 203.0.113.10" in body
    assert '"' not in mail
    assert "<" not in mail


def recheck(client, address: str, **fields: str) -> Run | None:
    client.post(address, fields)
    return Run.objects.filter(asked_from="recheck", ended_at=None).first()


def due(*names: str) -> set[str]:
    return set(VirtualHost.objects.filter(next_reason="recheck").values_list("name", flat=True))


@pytest.fixture
def idle(troubled: Scene) -> Scene:
    """No run is under way."""
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=troubled.now)
    return troubled


def test_rechecking_one_name(as_root, idle: Scene):
    row = Problem.objects.filter(code="elsewhere", quiet=False).order_by("name").first()
    run = recheck(as_root, f"/problems/{row.cause}/recheck/", name=row.name)
    assert due() == {row.virtual_host.name}
    assert run.scope == "user:northwind"


def test_rechecking_a_cause(as_root, idle: Scene):
    cause = Problem.objects.filter(code="elsewhere").values_list("cause", flat=True)[0]
    run = recheck(as_root, f"/problems/{cause}/recheck/")
    assert len(due()) == 14
    assert run.scope == "user:northwind"


def test_rechecking_all_that_the_filter_finds(as_root, idle: Scene):
    run = recheck(as_root, "/problems/recheck/?kind=web")
    assert due() == {"lindner.example", "camping6.hallsteadt.example"}
    assert run.scope == "due"
    assert run.asked_by == idle.root


def test_a_reseller_rechecks_own_names_only(as_reseller, idle: Scene):
    recheck(as_reseller, "/problems/recheck/")
    owners = VirtualHost.objects.filter(next_reason="recheck").values_list("user__owner__username", flat=True)
    assert set(owners) == {"harborweb"}


def test_a_recheck_without_a_name_of_the_cause_checks_nothing(as_root, idle: Scene):
    cause = Problem.objects.filter(code="elsewhere").values_list("cause", flat=True)[0]
    answer = as_root.post(f"/problems/{cause}/recheck/", {"name": "lindner.example"}, follow=True)
    assert "There is nothing to check" in answer.content.decode()
    assert due() == set()


def test_while_paused_nothing_is_rechecked(as_root, idle: Scene):
    idle.server.options.paused_at = idle.now
    idle.server.options.save()
    assert "Recheck all" not in as_root.get("/problems/").content.decode()
    answer = as_root.post("/problems/recheck/", follow=True)
    assert "AutoSSL is paused. Nothing was tried." in answer.content.decode()
    assert due() == set()


def test_risk_and_consequences(troubled: Scene):
    rows = Problem.objects.filter(code="caa", quiet=False)
    rows.update(expires_at=troubled.now - timedelta(days=1))
    (group,) = problem_data.groups(rows, troubled.now)
    assert group.risk == "2 expired"
    card = problem_data.whole(group, rows, troubled.root, [], troubled.now)
    assert [said for said, _bold in card.consequences] == ["2 certificates have expired", "2 names stay unsecured"]
    rows.update(covered=True, expires_at=troubled.now + timedelta(days=3))
    (group,) = problem_data.groups(rows, troubled.now)
    assert group.risk.startswith("2 until ")
    assert not group.is_bad
    rows.update(expires_at=None)
    (group,) = problem_data.groups(rows, troubled.now)
    assert group.risk == "no site at risk"


def test_the_database_sorts_codes_into_kinds_as_the_words_do(troubled: Scene):
    host = VirtualHost.objects.first()
    for code in sorted({*REASONS, "never_heard_of"}):
        Problem.objects.all().delete()
        Problem.objects.create(
            virtual_host=host, user=host.user, name=host.name, code=code, cause="c", since=troubled.now
        )
        rows = Problem.objects.all()
        found = [kind for kind in causes.KINDS if problem_data.matching(rows, Filter("", kind, "", "")).exists()]
        assert found == [causes.kind(code)], code


def alone(code: str, now: datetime, **data: object) -> Problem:
    """Nothing is wrong but this, with one site."""
    host = VirtualHost.objects.filter(user__name="quarrybank").first()
    Problem.objects.all().delete()
    VirtualHost.objects.filter(pk=host.pk).update(next_at=now + timedelta(days=60))
    return Problem.objects.create(
        virtual_host=host, user=host.user, name=host.name, code=code, cause="c", since=now, data=data
    )


def test_what_ails_a_whole_site_is_counted_by_sites(as_root, troubled: Scene):
    Run.objects.filter(ended_at__isnull=True).update(ended_at=troubled.now)
    alone("foreign_defective", troubled.now, defects=["expired"])
    html = as_root.get("/problems/").content.decode()
    assert "<b>1 site</b>" in html
    assert "1 site stays unsecured" in html
    assert "Recheck 1 site" in html


def test_the_head_counts_names_and_sites_each_as_such(as_root, idle: Scene):
    html = as_root.get("/problems/").content.decode()
    assert "20 names of 5 users are not secured as they should be." in html
    assert "Recheck all 20 names" in html
    host = alone("foreign_defective", idle.now, defects=["expired"]).virtual_host
    html = as_root.get("/problems/").content.decode()
    assert "1 site of 1 user is not secured as it should be." in html
    assert re.search(r"</svg>Recheck 1 site</button></form>\s*<p>1 site of", html)
    Problem.objects.create(
        virtual_host=host, user=host.user, name=f"www.{host.name}", code="nxdomain", cause="d", since=idle.now, data={}
    )
    html = as_root.get("/problems/").content.decode()
    assert "1 name and 1 site of 1 user are not secured as they should be." in html
    assert "</svg>Recheck all</button>" in html


def test_what_does_not_fit_is_not_among_what_is_rechecked(as_root, idle: Scene):
    host = alone("over_limit", idle.now, limit=100).virtual_host
    html = as_root.get("/problems/").content.decode()
    assert "1 name of 1 user is not secured as it should be." in html
    assert 'action="/problems/recheck/' not in html
    assert "There is nothing to check" in as_root.post("/problems/recheck/", follow=True).content.decode()
    assert due() == set()
    Problem.objects.create(
        virtual_host=host, user=host.user, name=f"www.{host.name}", code="nxdomain", cause="d", since=idle.now, data={}
    )
    html = as_root.get("/problems/").content.decode()
    assert "2 names of 1 user are not secured" in html
    assert re.search(r"</svg>Recheck 1 name</button></form>\s*<p>2 names of", html)


def test_a_name_without_an_address_was_seen_without_records(as_root, troubled: Scene):
    row = alone("no_address", troubled.now, detail="quarrybank.example")
    html = as_root.get("/problems/").content.decode()
    assert re.search(r"<dt>Seen</dt>\s*<dd>no A or AAAA record</dd>", html), row.name


def test_what_does_not_fit_is_not_to_be_rechecked(as_root, troubled: Scene):
    alone("over_limit", troubled.now, limit=100)
    for address in ("/problems/", "/problems/c/"):
        html = as_root.get(address).content.decode()
        assert "Next try" not in html
        assert 'action="/problems/c/recheck/' not in html
    alone("no_address", troubled.now)
    assert 'action="/problems/c/recheck/' in as_root.get("/problems/c/").content.decode()


@pytest.mark.parametrize("address", ["/problems/", "/problems/?kind=dns&q=northwind", "/problems/{cause}/"])
def test_it_asks_few_questions(address, as_root, as_reseller, troubled: Scene):
    cause = Problem.objects.filter(code="elsewhere").values_list("cause", flat=True)[0]
    page = address.format(cause=cause)
    for client in (as_root, as_reseller):
        with CaptureQueriesContext(connection) as queries:
            client.get(page)
        assert len(queries) <= 15


def test_anothers_certificate_is_mended_from_its_card_by_who_may(as_root, as_reseller, troubled: Scene):
    """One site: its button; root is led to the setting for all such. A hosting user is sent to no page of root's."""
    site = VirtualHost.objects.get(name="camping2.dockside.example")
    told = {"name": site.name, "defects": ["expired"], "not_after": "2026-11-13T00:00:00+00:00"}
    Problem.objects.create(
        virtual_host=site, user=site.user, name=site.name, code="foreign_defective", cause="foreign_defective-9",
        since=troubled.now, data=told,
    )  # fmt: skip
    for client in (as_root, as_reseller):
        html = client.get("/problems/foreign_defective-9/").content.decode()
        check(html)
        assert f'action="/certificates/{site.pk}/takeover/"' in html
        assert ('href="/options/#o1"' in html) == (client is as_root)
        assert "whoever runs this server" not in html
    answer = as_reseller.post(
        f"/certificates/{site.pk}/takeover/", {"on": "1", "next": "/problems/foreign_defective-9/"}
    )
    assert answer["Location"] == "/problems/foreign_defective-9/"
    site.refresh_from_db()
    assert site.takeover
    assert "takeover/" not in as_root.get("/problems/foreign_defective-9/").content.decode()
    said = advice("foreign_defective", told, Reader.USER)
    assert "ask whoever runs this server" in said
    assert "Options" not in said
