"""SSL/TLS Status: own names with their state, filters, what nobody else may read."""

import re
from datetime import timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl import log
from autossl_panel.autossl.models import Job, Run
from autossl_panel.hosting.models import Domain, HostingUser, VirtualHost
from autossl_panel.people.models import Role
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import Scene, person
from tests.web.status.world import rows, shown, text
from tests.web.test_pages import check as check_html

STRANGERS = ("amberfield", "hallsteadt", "junipershop", "northwind", "harborweb", "brightpeak")


def test_a_login_lands_on_its_own_names(client_of, url):
    assert client_of.get("/")["Location"] == "/status/"
    assert client_of.get("/status/")["Location"] == url
    html = client_of.get(url).content.decode()
    check_html(html)
    said = text(html)
    assert "10 of 12 names are covered, 2 need you (1 of these still covered). 2 more are left out or excluded." in said
    assert "AutoSSL is on for this account." in said
    assert "Run AutoSSL" in html
    assert "Manage Users" not in html
    assert "account 1834420671" not in html, "the account with the CA is the host's"


def test_each_name_has_its_state_and_what_is_next(client_of, url):
    found = rows(client_of.get(url).content.decode())
    assert next(iter(found)) == "shop.lindner.example", "what needs somebody comes first"
    assert found["farm3.lindner.example"][0] == "Secured"
    assert re.fullmatch(
        r"Let's Encrypt, until \d+ \w+( \d{4})? Renews by itself on \d+ \w+( \d{4})? \.",
        found["farm3.lindner.example"][1],
    )
    assert found["mail.lindner.example"][0] == "At risk"
    assert "renewal is in doubt" in found["mail.lindner.example"][1]
    assert "Change its A record from 198.51.100.7 to 203.0.113.10." in found["mail.lindner.example"][1]
    assert found["shop.lindner.example"][0] == "Unsecured"
    assert "Create an A record for it in the DNS zone lindner.example" in found["shop.lindner.example"][1]
    assert found["new.lindner.example"] == ("Waiting", "No certificate Looked at within a minute.")
    assert found["pay.lindner.example"][0] == "Foreign"
    assert "Sectigo Limited, until" in found["pay.lindner.example"][1]
    assert found["intern.lindner.example"][0] == "Excluded"
    assert "Excluded by you on" in found["intern.lindner.example"][1]
    assert found["printer.local"][0] == "Left out"


def test_nothing_of_anybody_else_is_on_any_page(client_of, own: Own, url, scene: Scene):
    pages = (
        url,
        f"{url}?state=needs",
        "/runs/",
        f"/runs/{scene.live.pk}/",
        f"/runs/{scene.past.pk}/",
        f"/runs/{scene.past.pk}/?level=failure",
        f"/runs/{scene.past.pk}/?group=quiet",
        "/runs/slot/",
    )
    for page in pages:
        answer = client_of.get(page)
        assert answer.status_code in (200, 286), page
        html = answer.content.decode()
        if page != "/runs/slot/":
            check_html(html)
        for strange in STRANGERS:
            assert strange not in html, (page, strange)
        assert not re.search(r">\s*root\b", html), page
        assert "Providers" not in html
    said = b"".join(client_of.get(f"/runs/{scene.past.pk}/log.txt").streaming_content).decode()
    assert "lindner.example" in said
    for strange in STRANGERS:
        assert strange not in said


def test_a_problem_of_the_server_names_no_file_of_it(client_of, as_root, own: Own, url, scene: Scene):
    data = {"text": "unexpected “}” in someone-elses.conf", "file": "/etc/nginx/x.conf", "line": 3}
    VirtualHost.objects.filter(name="farm3.lindner.example").update(
        problem={"code": "foreign_broken", "domain": "", "data": data}
    )
    job = Job.objects.filter(run=scene.past, user=own.user).first()
    log.for_job(job).warn("install:stays_staged", reason="foreign_broken", text=data["text"], where="/etc/nginx/x:3")
    html = client_of.get(url).content.decode()
    assert "Somebody else's configuration is broken." in text(html)
    assert "Your host can look into it." in html
    for page in (url, f"/runs/{scene.past.pk}/?level=warn"):
        assert "someone-elses" not in client_of.get(page).content.decode()
        assert "/etc/nginx" not in client_of.get(page).content.decode()
    assert "someone-elses" in as_root.get(f"/runs/{scene.past.pk}/?level=warn").content.decode()


def test_who_has_no_hand_on_the_server_is_told_whom_to_ask(client_of, as_root, url):
    VirtualHost.objects.filter(name="pay.lindner.example").update(
        problem={"code": "foreign_expiring", "domain": "pay.lindner.example", "data": {"not_after": "2027-07-04"}}
    )
    assert "or ask your host to let AutoSSL replace it" in text(client_of.get(url).content.decode())
    assert "on the Options tab" in text(as_root.get(url).content.decode())


def test_filters_search_and_chips(client_of, url):
    assert shown(client_of, f"{url}?state=needs") == ["shop.lindner.example", "mail.lindner.example"]
    assert shown(client_of, f"{url}?state=excluded") == ["intern.lindner.example"]
    assert shown(client_of, f"{url}?state=foreign") == ["pay.lindner.example"]
    assert shown(client_of, f"{url}?q=FARM3") == ["farm3.lindner.example", "www.farm3.lindner.example"]
    html = client_of.get(url).content.decode()
    chips = dict(re.findall(r'class="chip"[^>]*>(\w[\w ]*?) <span class="n"[^>]*>(\d+)<', html))
    assert chips == {
        "All": "14", "Secured": "8", "Foreign": "1", "Excluded": "1",
        "At risk": "1", "Unsecured": "1", "Waiting": "1", "Left out": "1",
    }  # fmt: skip
    assert sum(map(int, chips.values())) == 2 * int(chips["All"]), "each name stands in one of them"
    assert re.findall(r'class="chip apart"[^>]*>(\w[\w ]*?) <span class="n"[^>]*>(\d+)<', html) == [("Needs you", "2")]
    assert re.findall(r'class="n none" id="n-([\w-]+)"', html) == ["off"], "shown once there is something behind it"
    assert shown(client_of, f"{url}?state=at-risk") == ["mail.lindner.example"]
    assert shown(client_of, f"{url}?state=unsecured") == ["shop.lindner.example"]
    assert "Nothing matches “nowhere”" in client_of.get(f"{url}?q=nowhere").content.decode()
    assert len(shown(client_of, f"{url}?state=nonsense")) == 14


def test_a_name_that_is_filtered_away_from_its_site_says_whose_it_is(client_of, url):
    html = client_of.get(f"{url}?state=needs").content.decode()
    assert '<span class="site-n">lindner.<wbr>example</span>' in html
    assert 'class="site-n"' not in client_of.get(url).content.decode()


def test_unicode_names_are_readable_and_strangers_texts_escaped(client_of, own: Own, url):
    host = own_scene.site(own.user, "xn--bcher-kva.example")
    own_scene.verdict(host.domains.get(), "elsewhere")
    own_scene.add(host, "evil.example", "http_status")
    verdict = Domain.objects.get(name="evil.example").verdict
    verdict.data = {"status": "<img src=x>", "server": "<script>"}
    verdict.save()
    html = client_of.get(url).content.decode()
    assert "bücher.example (xn--bcher-kva.example)" in html
    assert "<img" not in html
    assert "<script>" not in html
    assert shown(client_of, f"{url}?q=Bücher")[0].startswith("bücher.example")


def a_thousand_domains(own: Own, moment) -> None:
    hosts = VirtualHost.objects.bulk_create(
        VirtualHost(
            server=own.user.server, user=own.user, key=f"s{n}-0", name=f"s{n:03}.many.example", appeared_at=moment
        )
        for n in range(250)
    )
    Domain.objects.bulk_create(
        Domain(virtual_host=host, name=f"{part}{host.name}", position=place)
        for host in hosts
        for place, part in enumerate(("", "www.", "mail.", "shop."))
    )


def test_a_thousand_domains_are_few_questions_and_pages(client_of, as_root, own: Own, url, scene: Scene):
    a_thousand_domains(own, scene.now)
    for client, query in (
        (client_of, ""),
        (client_of, "?page=11&size=100"),
        (client_of, "?q=mail&state=waiting"),
        (as_root, ""),
        (as_root, "?select=match"),
    ):
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(f"{url}{query}")
        assert answer.status_code == 200
        assert len(queries) <= 15, (query, [one["sql"][:90] for one in queries])
    assert len(shown(client_of, url)) == 25
    assert len(shown(client_of, f"{url}?size=100")) == 100
    assert shown(client_of, f"{url}?q=s249")[-1] == "shop.s249.many.example"


def test_another_login_reads_nothing(own: Own, signed_in, url, scene: Scene):
    other = person("amberfield", Role.USER)
    HostingUser.objects.filter(name="amberfield").update(login=other)
    run = Run.objects.create(
        server=scene.server, scope="user:lindner", asked_from="panel", started_at=scene.now - timedelta(hours=1),
        ended_at=scene.now, asked_by=own.login,
    )  # fmt: skip
    client = signed_in(other)
    for page in (url, f"/runs/{run.pk}/", f"/runs/{run.pk}/live/", f"/runs/{run.pk}/log.txt"):
        assert client.get(page).status_code == 404, page
    assert "lindner" not in client.get("/runs/").content.decode()


def test_a_site_that_is_excluded_as_a_whole_asks_nothing_of_anybody(client_of, own: Own, url):
    host = VirtualHost.objects.get(name="pay.lindner.example")
    problem = {"code": "foreign_expiring", "domain": host.name, "data": {"not_after": "2026-12-01"}}
    VirtualHost.objects.filter(pk=host.pk).update(problem=problem)
    advice = "Renew the certificate where it comes from"
    assert advice in client_of.get(url).content.decode()
    for domain in host.domains.all():
        client_of.post(url, {"exclude": domain.pk})
    html = client_of.get(url).content.decode()
    assert rows(html)["pay.lindner.example"][0] == "Excluded"
    assert advice not in html


def test_what_is_held_back_is_looked_at_again_and_no_reason_goes_in_a_circle(client_of, own: Own, url, scene: Scene):
    later = scene.now + timedelta(hours=2)
    VirtualHost.objects.filter(name="farm3.lindner.example").update(next_at=later, next_reason="held_back")
    said = rows(client_of.get(url).content.decode())["farm3.lindner.example"][1]
    assert "Looked at again" in said
    assert "held back" not in said


def test_head_and_card_name_one_moment_of_the_last_check(client_of, own: Own, url, scene: Scene):
    Job.objects.filter(state__in=("queued", "running", "staged")).update(state="ended", outcome="secured")
    Run.objects.update(ended_at=scene.now, started_at=scene.now - timedelta(hours=2))
    HostingUser.objects.filter(name="lindner").update(last_check_at=scene.now - timedelta(minutes=90))
    html = client_of.get(url).content.decode()
    head = re.search(r'id="last-check"[^>]*>(<time.*?</time>)', html, re.DOTALL)[1]
    card = re.search(r'id="ran"[^>]*>.*?(<time.*?</time>)', html, re.DOTALL)[1]
    assert head == card
    assert "ago</time>" in html[html.index('id="last-check"') :].partition("</dd>")[0]
    HostingUser.objects.filter(name="lindner").update(last_check_at=timezone.now())
    fresh = text(re.search(r'<dd id="last-check".*?</dd>', client_of.get(url).content.decode(), re.DOTALL)[0])
    assert fresh == "just now", "said once"
