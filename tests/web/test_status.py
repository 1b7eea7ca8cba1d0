"""SSL/TLS Status: own names with state and fix, include and exclude, the check and its log; nothing of anybody else."""

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl import log, options
from autossl_panel.autossl.models import Job, JobState, Provider, Run
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Setting, VirtualHost
from autossl_panel.people.models import AuditEntry, Role, User
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import Scene, person
from tests.web.test_pages import check as check_html
from tests.web.undoing import undo

STRANGERS = ("amberfield", "hallsteadt", "junipershop", "northwind", "harborweb", "brightpeak")


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


@pytest.fixture
def client_of(own: Own, signed_in: Callable[[User], Client]) -> Client:
    return signed_in(own.login)


@pytest.fixture
def url(own: Own) -> str:
    return f"/status/{own.user.pk}/"


def text(html: str) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html)).strip())


def rows(html: str) -> dict[str, tuple[str, str]]:
    """State and what stands beside it, by name."""
    pattern = r'class="who">([^<]+)</span></th>\s*<td id="st-\d+"[^>]*>(.*?)</td>\s*<td id="nx-\d+"[^>]*>(.*?)</td>'
    return {name: (text(state), text(told)) for name, state, told in re.findall(pattern, html, re.DOTALL)}


def shown(client: Client, url: str) -> list[str]:
    return list(rows(client.get(url).content.decode()))


def pk(name: str) -> int:
    return Domain.objects.get(name=name).pk


def excluded() -> set[str]:
    return set(Exclusion.objects.values_list("name", flat=True))


def test_a_login_lands_on_its_own_names(client_of, url):
    assert client_of.get("/")["Location"] == "/status/"
    assert client_of.get("/status/")["Location"] == url
    html = client_of.get(url).content.decode()
    check_html(html)
    assert "10 of 12 names are covered, 2 need you. AutoSSL is on for this account." in text(html)
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
    assert '<span class="site-n">lindner.example</span>' in html
    assert 'class="site-n"' not in client_of.get(url).content.decode()


def test_a_name_is_excluded_and_included_again_by_its_button(client_of, own: Own, url):
    answer = client_of.post(url, {"exclude": pk("mail.lindner.example")})
    assert answer["Location"] == url
    assert "mail.lindner.example" in excluded()
    html = client_of.get(url).content.decode()
    assert "“mail.lindner.example” is excluded. The next certificate is asked for without it." in html
    assert f'action="/status/{own.user.pk}/undo/"' in html
    assert rows(html)["mail.lindner.example"][0] == "Excluded"
    host = VirtualHost.objects.get(name="lindner.example")
    assert host.next_reason == "changed"
    entry = AuditEntry.objects.get()
    assert (entry.person, entry.subject) == (own.login, "lindner")
    client_of.post(url, {"include": pk("mail.lindner.example")})
    assert "mail.lindner.example" not in excluded()
    assert "is included again" in client_of.get(url).content.decode()


def test_undo_puts_it_back(client_of, own: Own, url):
    client_of.post(url, {"exclude": pk("mail.lindner.example")})
    answer = undo(client_of, f"{url}undo/", next=f"{url}?state=needs")
    assert answer["Location"] == f"{url}?state=needs"
    assert "mail.lindner.example" not in excluded()
    assert "1 name is as before." in client_of.get(url).content.decode()
    client_of.post(url, {"include": pk("intern.lindner.example")})
    assert "intern.lindner.example" not in excluded()
    undo(client_of, f"{url}undo/")
    assert "intern.lindner.example" in excluded()
    undo(client_of, f"{url}undo/")
    assert "Undo was offered for a minute" in client_of.get(url).content.decode()


def test_an_undo_of_another_page_does_nothing_here(as_root, own: Own, url):
    other = HostingUser.objects.get(name="amberfield")
    as_root.post(f"/status/{other.pk}/", {"exclude": pk("amberfield.example")})
    undo(as_root, f"{url}undo/")
    assert "amberfield.example" in excluded()
    as_root.post(f"/users/{other.pk}/autossl/", {f"autossl-{other.pk}": "off"})
    undo(as_root, f"/status/{other.pk}/undo/")
    other.refresh_from_db()
    assert other.autossl == Setting.OFF


def test_script_gets_the_cells_that_changed(client_of, url):
    ids = [pk("lindner.example"), pk("www.lindner.example"), pk("mail.lindner.example")]
    answer = client_of.post(url, {"exclude": ids[0], "shown": ids}, headers={"HX-Request": "true"})
    html = answer.content.decode()
    assert "<html" not in html
    for name, css in (("lindner.example", "Excluded"), ("www.lindner.example", "Excluded")):
        cell = html.split(f'id="st-{pk(name)}" hx-swap-oob="true">')[1].split("</td>")[0]
        assert css in text(cell), "an added www. goes with its name"
    assert "Excluded together with lindner.example" in html
    assert 'id="toast" hx-swap-oob="true"' in html
    assert 'id="status-line" hx-swap-oob="true"' in html


def test_bulk_excludes_what_is_selected(client_of, url):
    names = ["farm3.lindner.example", "www.farm3.lindner.example"]
    client_of.post(url, {"bulk": "exclude", "names": [pk(name) for name in names], "shown": [pk(n) for n in names]})
    assert set(names) <= excluded()
    html = text(client_of.get(url).content.decode())
    assert re.search(r"2 names are excluded\. No name is left of its site: the certificate expires on \d+ \w+", html)
    undo(client_of, f"{url}undo/")
    assert not set(names) & excluded()


def test_bulk_for_all_that_match_leaves_out_what_was_unticked(client_of, url):
    html = client_of.get(f"{url}?q=blog1&select=match").content.decode()
    assert 'name="matching" value="1"' in html
    shown_ids = [pk("blog1.lindner.example"), pk("www.blog1.lindner.example")]
    client_of.post(
        f"{url}?q=blog1&select=match",
        {"bulk": "exclude", "matching": "1", "shown": shown_ids, "names": shown_ids[:1]},
    )
    assert excluded() == {"blog1.lindner.example", "intern.lindner.example"}


def test_bulk_with_nothing_to_do_says_so(client_of, url):
    client_of.post(url, {"bulk": "exclude"})
    assert "No name is selected." in client_of.get(url).content.decode()
    client_of.post(url, {"bulk": "exclude", "names": pk("intern.lindner.example")})
    assert "Nothing changes: it is so already." in client_of.get(url).content.decode()
    client_of.post(url, {"bulk": "include", "names": pk("mail.lindner.example")})
    assert "Nothing changes: it is so already." in client_of.get(url).content.decode()
    assert client_of.post(url, {"bulk": "maybe"}).status_code == 400


def test_names_of_others_are_never_touched(client_of, own: Own, url):
    strange = pk("amberfield.example")
    client_of.post(url, {"exclude": strange})
    client_of.post(url, {"bulk": "exclude", "names": [strange]})
    client_of.post(f"{url}?q=amberfield", {"bulk": "exclude", "matching": "1"})
    assert excluded() == {"intern.lindner.example"}
    other = HostingUser.objects.get(name="amberfield")
    for page in ("", "run/", "undo/"):
        assert client_of.post(f"/status/{other.pk}/{page}", {"exclude": strange}).status_code == 404
    assert client_of.get(f"/status/{other.pk}/live/").status_code == 404
    assert client_of.get(f"/runs/slot/?user={other.pk}").status_code == 404


def test_root_and_the_owner_act_under_their_own_names(as_root, as_reseller, own: Own, url, scene: Scene, client_of):
    assert as_reseller.get(url).status_code == 404
    HostingUser.objects.filter(pk=own.user.pk).update(owner=scene.harborweb)
    html = as_reseller.get(url).content.decode()
    check_html(html)
    assert "SSL/TLS Status of lindner" in text(html)
    assert "Check “lindner”" in html
    as_reseller.post(url, {"exclude": pk("mail.lindner.example")})
    as_root.post(url, {"exclude": pk("shop.lindner.example")})
    assert [entry.person for entry in AuditEntry.objects.order_by("pk")] == [scene.harborweb, scene.root]
    found = rows(client_of.get(url).content.decode())
    assert "Excluded by your host on" in found["mail.lindner.example"][1]
    assert "Excluded by harborweb on" in rows(as_root.get(url).content.decode())["mail.lindner.example"][1]


def test_manage_users_leads_to_the_page(as_root, url):
    assert f'href="{url}">lindner</a>' in as_root.get("/users/?q=lindner").content.decode()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"suspended": True}, "This account is suspended."),
        ({"autossl": Setting.OFF}, "AutoSSL is off for this account."),
    ],
)
def test_what_is_off_says_so_what_follows_and_who_can_change_it(change, says, client_of, as_root, own: Own, url):
    HostingUser.objects.filter(pk=own.user.pk).update(**change)
    html = client_of.get(url).content.decode()
    check_html(html)
    assert says in html
    assert re.search(r"4 certificates stay in use; the first expires on \d+ \w+", text(html))
    assert "Your host can change this." in html
    assert f"/status/{own.user.pk}/run/" not in html
    assert rows(html)["farm3.lindner.example"][0] == "Off"
    assert "You can change this:" in as_root.get(url).content.decode()


def test_a_feature_list_that_says_off_and_no_provider_say_so(client_of, own: Own, url, scene: Scene):
    own.user.feature_list.autossl = False
    own.user.feature_list.save()
    assert "by its feature list “business”" in client_of.get(url).content.decode()
    own.user.feature_list.autossl = True
    own.user.feature_list.save()
    Provider.objects.update(active=False)
    html = client_of.get(url).content.decode()
    assert "AutoSSL is disabled on this server." in html
    assert rows(html)["new.lindner.example"][0] == "Unsecured"


def test_a_pause_says_so_and_who_ends_it(client_of, as_root, as_reseller, own: Own, url, scene: Scene):
    options.pause(scene.server, by=scene.root, now=scene.now)
    HostingUser.objects.filter(pk=own.user.pk).update(owner=scene.harborweb)
    VirtualHost.objects.filter(user=own.user).update(next_reason="paused", next_at=None)
    html = client_of.get(url).content.decode()
    check_html(html)
    assert "AutoSSL is paused on this server." in html
    assert "Your host can change this." in html
    assert rows(html)["new.lindner.example"] == ("Waiting", "No certificate Waits until AutoSSL goes on.")
    assert "Root can change this." in as_reseller.get(url).content.decode()
    html = as_root.get(url).content.decode()
    assert 'href="/pause/"' in html
    assert html.count("AutoSSL is paused on this server.") == 1, "told once, with what it means for this user"


def test_run_starts_a_check_of_the_own_account_and_joins_it(client_of, own: Own, url, scene: Scene):
    Run.objects.filter(ended_at=None).update(ended_at=timezone.now())
    assert client_of.post(f"{url}run/")["Location"] == url
    run = Run.objects.get(ended_at=None)
    assert (run.scope, run.asked_by, run.asked_from) == ("user:lindner", own.login, "panel")
    client_of.post(f"{url}run/")
    assert Run.objects.filter(ended_at=None).count() == 1
    html = client_of.get(url).content.decode()
    assert "Checking your sites" in html
    assert "This check" in html
    assert "Cancel" in html, "what it asked for, it may cancel"
    assert client_of.post(f"/runs/{run.pk}/cancel/").status_code == 302
    run.refresh_from_db()
    assert run.cancelled_at is not None


def test_a_check_that_others_asked_for_is_not_a_logins_to_cancel(client_of, as_root, own: Own, url, scene: Scene):
    Run.objects.filter(ended_at=None).update(ended_at=timezone.now())
    as_root.post(f"/users/{own.user.pk}/check/")
    run = Run.objects.get(ended_at=None)
    assert client_of.get(f"/runs/{run.pk}/cancel/").status_code == 404
    assert client_of.post(f"/runs/{run.pk}/cancel/").status_code == 404
    assert "your host" in client_of.get(f"/runs/{run.pk}/").content.decode()
    assert client_of.post("/runs/").status_code == 404, "there is no run for all users behind a login's button"


def test_the_page_follows_the_own_part_of_a_run_for_all(client_of, own: Own, url, scene: Scene):
    job = Job.objects.filter(run=scene.live, user=own.user).first()
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING, outcome="", ended_at=None)
    html = client_of.get(url).content.decode()
    assert f"{url}live/?run={scene.live.pk}" in html
    cursor = re.search(r'id="cursor" name="cursor" value="([^"]*)"', html)[1]
    quiet = client_of.get(f"{url}live/", {"run": scene.live.pk, "cursor": cursor})
    assert quiet.status_code == 200
    assert "<li" not in quiet.content.decode()
    log.for_job(job).success("check:secured", number=4711)
    fresh = client_of.get(f"{url}live/", {"run": scene.live.pk, "cursor": cursor}).content.decode()
    assert fresh.count("4711 secured") == 1
    assert "northwind" not in fresh
    Job.objects.filter(pk=job.pk).update(state=JobState.ENDED, outcome="secured")
    assert client_of.get(f"{url}live/", {"run": scene.live.pk}).status_code == 286
    assert "Last check" in client_of.get(url).content.decode(), "the rest of the run is not this account's"


@pytest.mark.parametrize("run", ["", "x", "999999", "9" * 40])
def test_a_run_that_is_none_is_not_followed(run, client_of, url):
    assert client_of.get(f"{url}live/", {"run": run}).status_code == 404


def test_the_cells_are_kept_fresh_until_the_work_is_done(client_of, own: Own, url, scene: Scene):
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.QUEUED, outcome="", ended_at=None)
    asked = {"shown": [pk("farm3.lindner.example"), pk("amberfield.example")]}
    answer = client_of.get(url, asked, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    assert re.findall(r'id="st-(\d+)"', answer.content.decode()) == [str(pk("farm3.lindner.example"))]
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.ENDED, outcome="secured")
    assert client_of.get(url, asked, headers={"HX-Request": "true"}).status_code == 200, "a site is looked at soon"
    VirtualHost.objects.filter(user=own.user).update(next_at=scene.now + timedelta(days=1))
    HostingUser.objects.filter(pk=own.user.pk).update(last_check_at=timezone.now())
    last = client_of.get(url, asked, headers={"HX-Request": "true"})
    assert last.status_code == 286
    html = last.content.decode()
    assert 'id="last-check" hx-swap-oob="true"><time' in html
    assert "just now" in html.split('id="last-check"')[1].split("</dd>")[0]
    assert 'id="n-secured" hx-swap-oob="true">' in html
    page = client_of.get(url).content.decode()
    assert 'id="fresh"></div>' in page
    assert 'id="last-check"' in page


def test_the_numbers_follow_what_is_excluded_and_the_page_its_next_check(client_of, url):
    VirtualHost.objects.update(next_at=timezone.now() + timedelta(days=1))
    page = client_of.get(url).content.decode()
    assert 'id="fresh"></div>' in page
    pks = [pk("mail.lindner.example")]
    headers = {"HX-Request": "true"}
    html = client_of.post(url, {"exclude": pks[0], "shown": pks}, headers=headers).content.decode()
    for state, n in (("excluded", 2), ("at-risk", 0), ("needs", 1)):
        assert re.search(rf'class="n[^"]*" id="n-{state}"', page), "a place for it"
        assert re.search(rf'id="n-{state}" hx-swap-oob="true">{n}<', html), state
    assert re.search(r'id="fresh" hx-swap-oob="true" hx-get="[^"]+"[^>]*hx-trigger="every 5s"', html)


def test_a_login_of_several_accounts_chooses_at_the_top(client_of, own: Own, url):
    second = HostingUser.objects.get(name="amberfield")
    HostingUser.objects.filter(pk=second.pk).update(login=own.login)
    assert client_of.get("/status/")["Location"] == f"/status/{second.pk}/"
    html = client_of.get(url).content.decode()
    check_html(html)
    chooser = html.split('aria-label="Account"')[1].split("</nav>")[0]
    assert re.findall(r'href="(/status/\d+/)"(?: aria-current="page")?>(\w+)', chooser) == [
        (f"/status/{second.pk}/", "amberfield"),
        (url, "lindner"),
    ]
    assert f'action="/status/{own.user.pk}/run/"' in html
    assert "run-now" not in client_of.get("/runs/").content.decode(), "which of them, the log does not know"


def test_a_login_that_is_for_nobody_is_told_so(own: Own, signed_in):
    client = signed_in(own.other)
    assert client.get("/status/").status_code == 200
    check_html(client.get("/status/").content.decode())
    assert "No account is yours yet" in client.get("/status/").content.decode()
    assert client.get("/runs/").status_code == 200
    assert "No runs yet" in client.get("/runs/").content.decode()


def test_an_account_that_is_gone_is_not_shown(client_of, own: Own, url):
    HostingUser.objects.filter(pk=own.user.pk).update(gone_at=timezone.now())
    assert client_of.get(url).status_code == 404


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


def test_polls_cost_few_questions(client_of, own: Own, url, scene: Scene):
    Job.objects.filter(run=scene.live, user=own.user).update(state=JobState.RUNNING, outcome="", ended_at=None)
    for address, most in ((f"{url}live/?run={scene.live.pk}", 10), (f"/runs/slot/?user={own.user.pk}", 10), (url, 15)):
        with CaptureQueriesContext(connection) as queries:
            client_of.get(address)
        assert len(queries) <= most, (address, len(queries))


def test_the_log_of_a_login_costs_few_questions(client_of, scene: Scene):
    for page in ("/runs/", f"/runs/{scene.past.pk}/", f"/runs/{scene.live.pk}/"):
        with CaptureQueriesContext(connection) as queries:
            client_of.get(page)
        assert len(queries) <= 20, (page, len(queries))


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
