"""Manage Users: filters, order, pages; settings saved at once, in bulk and without script; undo; Check."""

import re
from datetime import timedelta
from html import unescape

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl.models import Run
from autossl_panel.hosting.models import HostingUser, SiteState, VirtualHost
from tests.web.scene import Scene
from tests.web.undoing import undo


def named(html: str) -> list[str]:
    return re.findall(r'class="who"[^>]*>([^<]+)<', html)


def shown(client, query: str = "") -> list[str]:
    return named(client.get(f"/users/{query}").content.decode())


def setting(name: str) -> str:
    return HostingUser.objects.get(name=name).autossl


def pk(name: str) -> int:
    return HostingUser.objects.get(name=name).pk


def test_search_finds_users_and_sites(as_root):
    assert shown(as_root, "?q=north") == ["northwind"]
    assert shown(as_root, "?q=camping6.hall") == ["hallsteadt"]
    html = as_root.get("/users/?q=norhtwind").content.decode()
    assert "Nothing matches “norhtwind”" in html
    assert "Clear search" in html


def test_filters(as_root, scene: Scene):
    assert shown(as_root, "?state=disabled") == ["fennimore", "pixelforge"]
    assert shown(as_root, "?state=problems") == ["bluefjord", "brandtlaw", "hallsteadt", "lindner", "northwind"]
    assert shown(as_root, "?state=expiring") == ["lindner"]
    parked = HostingUser.objects.get(name="eastgate").feature_list_id
    assert shown(as_root, f"?list={parked}") == ["eastgate", "northwind"]
    assert shown(as_root, "?owner=brightpeak") == ["greenmile", "hallsteadt"]
    assert "northwind" not in shown(as_root, "?owner=root")


def test_anothers_certificate_that_has_expired_secures_nothing_and_is_a_problem(as_root, scene: Scene):
    host = VirtualHost.objects.get(user__name="dockside", state=SiteState.FOREIGN)
    host.names_covered, host.problem = 2, None
    host.save()
    frac = re.compile(r'<span class="frac">(\d+)<span> / 3</span>')
    assert frac.search(as_root.get("/users/?q=dockside").content.decode())[1] == "3"
    assert "dockside" not in shown(as_root, "?state=problems")
    host.names_covered, host.problem = 0, {"code": "foreign_defective", "domain": host.name, "data": {}}
    host.save()
    assert frac.search(as_root.get("/users/?q=dockside").content.decode())[1] == "2"
    assert "dockside" in shown(as_root, "?state=problems")


def test_the_chips_say_what_the_filters_find(as_root):
    html = as_root.get("/users/").content.decode()
    chips = dict(re.findall(r'class="chip"[^>]*>(\w[\w ]*?) <span class="n"[^>]*>(\d+)<', html))
    assert chips == {"All": "18", "Enabled": "16", "Disabled": "2", "With problems": "5", "Expiring": "1"}


def test_order(as_root):
    assert shown(as_root, "?sort=-name")[0] == "thistle"
    worst_first = shown(as_root, "?sort=sites")
    assert worst_first[:3] == ["brandtlaw", "hallsteadt", "northwind"]
    assert worst_first[-1] == "thistle"
    assert shown(as_root, "?sort=-checked")[0] == "amberfield"
    assert shown(as_root, "?sort=nonsense")[0] == "amberfield"


def test_pages(as_root, scene: Scene):
    feature_list = HostingUser.objects.first().feature_list
    HostingUser.objects.bulk_create(
        HostingUser(server=scene.server, name=f"zz{n:03}", feature_list=feature_list) for n in range(60)
    )
    assert len(shown(as_root)) == 25
    assert len(shown(as_root, "?size=50")) == 50
    assert shown(as_root, "?page=4") == ["zz057", "zz058", "zz059"]
    assert shown(as_root, "?page=999") == ["zz057", "zz058", "zz059"], "too large a number gives the last page"
    assert len(shown(as_root, "?page=x&size=7")) == 25


def test_users_that_are_gone_are_not_shown(as_root):
    HostingUser.objects.filter(name="amberfield").update(gone_at=timezone.now())
    assert "amberfield" not in shown(as_root)


def test_a_row_is_saved_at_once_and_can_be_undone(as_root):
    url = f"/users/{pk('amberfield')}/autossl/"
    answer = as_root.post(url, {f"autossl-{pk('amberfield')}": "off"}, headers={"HX-Request": "true"})
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "AutoSSL is off for “amberfield”. 6 certificates expire from" in html
    assert 'value="off" hx-swap-oob="true"' in html
    assert 'id="n-enabled" hx-swap-oob="true">15<' in html
    assert 'id="n-disabled" hx-swap-oob="true">3<' in html
    assert setting("amberfield") == "off"
    assert "AutoSSL is off for" not in as_root.get("/options/").content.decode(), "it stays on its page"
    assert "AutoSSL is off for" in as_root.get("/users/").content.decode(), "for a minute"
    assert undo(as_root, "/users/undo/", next="/users/?q=amber")["Location"] == "/users/?q=amber"
    assert setting("amberfield") == "feature-list"
    assert "1 user is set as before." in as_root.get("/users/").content.decode()
    assert "set as before" not in as_root.get("/users/").content.decode(), "that is told once"


def test_undo_is_offered_for_a_minute(as_root):
    as_root.post(f"/users/{pk('amberfield')}/autossl/", {f"autossl-{pk('amberfield')}": "off"})
    session = as_root.session
    session["toast"] = {**session["toast"], "until": (timezone.now() - timedelta(seconds=1)).timestamp()}
    session.save()
    assert "is off for" not in as_root.get("/users/").content.decode()
    undo(as_root, "/users/undo/")
    assert setting("amberfield") == "off"
    assert "Undo was offered for a minute" in as_root.get("/users/").content.decode()


def test_undo_never_overrides_what_somebody_else_set_meanwhile(as_root):
    as_root.post(f"/users/{pk('amberfield')}/autossl/", {f"autossl-{pk('amberfield')}": "off"})
    HostingUser.objects.filter(name="amberfield").update(autossl="on")
    undo(as_root, "/users/undo/")
    assert setting("amberfield") == "on"
    assert "Nothing was undone: it has been changed since." in as_root.get("/users/").content.decode()


def test_undo_of_many_leaves_the_one_that_somebody_else_set_and_says_so(as_root):
    as_root.post("/users/", {"bulk": "off", "users": [pk("amberfield"), pk("ateliermo")]})
    HostingUser.objects.filter(name="amberfield").update(autossl="on")
    undo(as_root, "/users/undo/")
    assert [setting("amberfield"), setting("ateliermo")] == ["on", "feature-list"]
    assert "1 user is set as before. 1 was changed since and stays." in as_root.get("/users/").content.decode()


def test_bulk_sets_what_is_selected(as_root):
    ids = [pk("amberfield"), pk("ateliermo")]
    as_root.post("/users/", {"bulk": "off", "users": ids, "shown": [*ids, pk("bluefjord")]})
    assert [setting(name) for name in ("amberfield", "ateliermo", "bluefjord")] == ["off", "off", "on"]
    assert "AutoSSL is off for 2 users. 7 certificates expire" in as_root.get("/users/").content.decode()
    undo(as_root, "/users/undo/")
    assert [setting(name) for name in ("amberfield", "ateliermo")] == ["feature-list", "feature-list"]


def test_bulk_for_all_that_match_leaves_out_what_was_unticked(as_root):
    html = as_root.get("/users/?owner=harborweb&select=match").content.decode()
    assert 'name="matching" value="1"' in html
    mine = [pk(name) for name in named(html)]
    as_root.post(
        "/users/?owner=harborweb&select=match",
        {"bulk": "off", "matching": "1", "shown": mine, "users": [one for one in mine if one != pk("northwind")]},
    )
    assert HostingUser.objects.filter(owner__username="harborweb", autossl="off").count() == len(mine) - 1
    assert setting("northwind") == "on"
    assert (
        not HostingUser.objects.filter(autossl="off")
        .exclude(owner__username="harborweb")
        .exclude(name="fennimore")
        .exists()
    )


def test_bulk_with_nothing_selected_says_so(as_root):
    as_root.post("/users/", {"bulk": "off"})
    assert "No user is selected." in as_root.get("/users/").content.decode()
    assert as_root.post("/users/", {"bulk": "maybe"}).status_code == 400


def test_save_without_script_changes_only_the_rows_that_were_changed(as_root):
    amber, birch = pk("amberfield"), pk("ateliermo")
    HostingUser.objects.filter(pk=birch).update(autossl="on")  # by somebody else, since the page was opened
    as_root.post(
        "/users/",
        {
            "save": "1",
            "shown": [amber, birch],
            f"was-{amber}": "feature-list",
            f"autossl-{amber}": "off",
            f"was-{birch}": "feature-list",
            f"autossl-{birch}": "feature-list",
        },
    )
    assert (setting("amberfield"), setting("ateliermo")) == ("off", "on")


def test_a_reseller_never_touches_another_ones_users(as_reseller, scene: Scene):
    strange = [pk("amberfield"), pk("hallsteadt")]
    before = dict(HostingUser.objects.values_list("name", "autossl"))
    as_reseller.post("/users/", {"bulk": "off", "users": strange})
    as_reseller.post(
        "/users/", {"shown": strange, **{f"was-{one}": "on" for one in strange}, f"autossl-{strange[0]}": "off"}
    )
    as_reseller.post("/users/?owner=root", {"bulk": "on", "matching": "1", "shown": []})
    after = dict(HostingUser.objects.values_list("name", "autossl"))
    assert {name for name in after if after[name] != before[name]} <= set(
        HostingUser.objects.filter(owner=scene.harborweb).values_list("name", flat=True)
    )
    session = as_reseller.session
    session["toast"] = {
        "id": "1",
        "text": "",
        "page": "/users/",
        "focus": [],
        "until": (timezone.now() + timedelta(seconds=30)).timestamp(),
        "undo": {"url": "/users/undo/", "changes": [["off", "feature-list", f"{strange[0]}"]]},
    }
    session.save()
    undo(as_reseller, "/users/undo/")
    assert setting("amberfield") == "feature-list"


def test_check_runs_one_user(as_root, scene: Scene):
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    answer = as_root.post(f"/users/{pk('quarrybank')}/check/")
    run = Run.objects.get(scope="user:quarrybank")
    assert answer["Location"] == f"/runs/{run.pk}/"
    assert run.asked_by == scene.root
    assert as_root.post(f"/users/{pk('quarrybank')}/check/")["Location"] == f"/runs/{run.pk}/"


def test_ten_thousand_users_are_few_questions(as_root, scene: Scene):
    feature_list = HostingUser.objects.first().feature_list
    HostingUser.objects.bulk_create(
        (HostingUser(server=scene.server, name=f"u{n:05}", feature_list=feature_list) for n in range(10_000)),
        batch_size=2000,
    )
    users = list(HostingUser.objects.filter(name__startswith="u0"))
    VirtualHost.objects.bulk_create(
        (
            VirtualHost(
                server=scene.server,
                user=user,
                key=f"{user.name}-{n}",
                name=f"s{n}.{user.name}.example",
                appeared_at=scene.now,
                state="secured",
            )
            for user in users
            for n in range(2)
        ),
        batch_size=2000,
    )
    as_root.get("/users/")
    for query in ("", "?size=100&page=50", "?sort=sites", "?state=problems", "?q=s1.u07"):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            answer = as_root.get(f"/users/{query}")
        assert answer.status_code == 200
        assert len(queries) <= 15, query


def links(html: str, css: str) -> list[str]:
    place = html.partition(css)[2].partition("</nav>" if css == 'class="pages"' else "</thead>")[0]
    return [unescape(href) for href in re.findall(r'href="([^"]*)"', place)]


def test_after_an_act_on_all_that_match_nothing_is_selected(as_root):
    data = {"bulk": "off", "matching": "1", "shown": [pk("northwind")], "users": []}
    answer = as_root.post("/users/?owner=harborweb&select=match&except=1&page=1", data)
    assert answer["Location"] == "/users/?owner=harborweb&page=1", "the exception is not hit by the next act"


def test_all_that_match_stay_selected_on_other_pages_and_in_other_orders(as_root, scene: Scene):
    feature_list = HostingUser.objects.first().feature_list
    HostingUser.objects.bulk_create(
        HostingUser(server=scene.server, name=f"zz{n:03}", feature_list=feature_list) for n in range(40)
    )
    off = pk("amberfield")
    gone = pk("thistle")
    HostingUser.objects.filter(pk=gone).update(gone_at=timezone.now())
    html = as_root.get(f"/users/?select=match&except={off},{gone},x&page=2").content.decode()
    assert "Selected <b data-n>56</b>" in html, "57 match; one was unticked on the first page"
    assert f'data-total="56" data-left="{off}"' in html
    assert f'name="users" value="{off}"' not in html
    assert all("select=match" in link and "except=" in link for link in links(html, 'class="pages"'))
    sorts = [link for link in links(html, "<thead>") if "sort=" in link]
    assert len(sorts) == 3
    assert all("select=match" in link for link in sorts)
    assert "select" not in html.split('<nav class="chips"')[1].split("</nav>")[0], "another filter begins anew"
    shown = [pk(f"zz{n:03}") for n in range(20)]
    url = f"/users/?select=match&except={off},{shown[0]}&page=2"
    as_root.post(url, {"bulk": "off", "matching": "1", "shown": shown, "users": shown[:-1]})
    kept = {setting("amberfield"), setting("zz019")}
    assert kept == {"feature-list"}, "unticked there, and here"
    assert setting("zz000") == "off", "unticked before, and ticked again here"
    assert setting("zz030") == "off"


def test_a_check_without_a_result_does_not_say_that_there_is_nothing_to_do_where_there_is(as_root, scene: Scene):
    user = HostingUser.objects.get(name="brandtlaw")
    for data in ({}, {"reason": "", "number": 0, "worked_on": 1, "sites": 2}):
        HostingUser.objects.filter(pk=user.pk).update(last_check={"event": "check:nothing_to_do", "data": data})
        user.virtual_hosts.update(state=SiteState.PARTLY)
        html = as_root.get("/users/?q=brandtlaw").content.decode()
        cell = re.search(rf'id="result-{user.pk}".*?</td>', html, re.DOTALL)[0]
        assert "No change, problems remain" in cell
        assert "is-warn" in cell
        user.virtual_hosts.update(state=SiteState.SECURED)
        html = as_root.get("/users/?q=brandtlaw").content.decode()
        cell = re.search(rf'id="result-{user.pk}".*?</td>', html, re.DOTALL)[0]
        assert "Nothing to do" in cell
        assert "worked on" not in cell


def test_a_check_of_a_part_is_no_good_sign_over_sites_that_stand_badly(as_root, scene: Scene):
    user = HostingUser.objects.get(name="brandtlaw")
    assert set(user.virtual_hosts.values_list("state", flat=True)) == {SiteState.UNSECURED}
    data = {"reason": "", "number": 1, "worked_on": 1, "sites": 2}
    HostingUser.objects.filter(pk=user.pk).update(last_check={"event": "check:secured", "data": data})
    html = as_root.get("/users/?q=brandtlaw").content.decode()
    cell = re.search(rf'id="result-{user.pk}".*?</td>', html, re.DOTALL)[0]
    assert "1 of 2 worked on: 1 secured" in cell
    assert "is-bad" in cell
    assert "is-ok" not in cell
    user.virtual_hosts.update(state=SiteState.SECURED)
    html = as_root.get("/users/?q=brandtlaw").content.decode()
    assert "is-ok" in re.search(rf'id="result-{user.pk}".*?</td>', html, re.DOTALL)[0]
