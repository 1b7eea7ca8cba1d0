"""People, hosting users: owner, login, feature list, e-mail; one by one and in bulk, with undo."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from autossl_panel.autossl.models import Provider, ProviderChoice
from autossl_panel.hosting.models import FeatureList, HostingUser
from autossl_panel.people.models import AuditEntry, Role
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import Scene, person
from tests.web.test_pages import check as check_html
from tests.web.undoing import undo

PAGE = "/people/users/"


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


def named(html: str) -> list[str]:
    return re.findall(r'class="who"[^>]*>([^<]+)<', html)


def shown(client: Client, query: str = "") -> list[str]:
    return named(client.get(f"{PAGE}{query}").content.decode())


def pk(name: str) -> int:
    return HostingUser.objects.get(name=name).pk


def owner(name: str) -> str | None:
    user = HostingUser.objects.select_related("owner").get(name=name)
    return user.owner.username if user.owner else None


def wish(user: HostingUser, **changes: str) -> dict[str, str]:
    return {
        "owner": "root",
        "login": "",
        "feature_list": str(user.feature_list_id),
        "email": "",
        **changes,
    }


def test_the_table_says_whose_they_are(as_root, own: Own):
    html = as_root.get(PAGE).content.decode()
    check_html(html)
    assert len(named(html)) == 18
    row = next(one for one in html.split("<tr") if f'value="{own.user.pk}"' in one)
    assert "baker<wbr>@lindner.<wbr>example" in row
    assert "business" in row


def test_filters_search_and_order(as_root, own: Own):
    assert shown(as_root, "?owner=brightpeak") == ["greenmile", "hallsteadt"]
    assert "northwind" not in shown(as_root, "?state=root")
    assert "lindner" not in shown(as_root, "?state=no-login")
    assert shown(as_root, "?state=suspended") == ["fennimore"]
    parked = FeatureList.objects.get(name="parked").pk
    assert shown(as_root, f"?list={parked}") == ["eastgate", "northwind"]
    assert shown(as_root, "?q=baker@") == ["lindner"]
    assert shown(as_root, "?sort=-name")[0] == "thistle"
    assert shown(as_root, "?sort=owner&owner=brightpeak") == ["greenmile", "hallsteadt"]
    assert shown(as_root, "?sort=nonsense")[0] == "amberfield"
    html = as_root.get(f"{PAGE}?q=zzz").content.decode()
    check_html(html)
    assert "Nothing matches “zzz”" in html


def test_a_choice_of_provider_is_shown_where_there_is_one(as_root, own: Own):
    ProviderChoice.objects.create(user=own.user, provider=Provider.objects.get(name="google"))
    assert "Google Trust Services" in as_root.get(f"{PAGE}?q=lindner").content.decode()
    assert '<p class="fixed">Google Trust Services</p>' in as_root.get(f"{PAGE}{own.user.pk}/").content.decode()


def test_bulk_gives_to_a_reseller_and_undo_gives_back(as_root, scene: Scene):
    ids = [pk("amberfield"), pk("greenmile")]
    as_root.post(PAGE, {"bulk": "owner", "owner": "harborweb", "users": ids, "shown": ids})
    assert (owner("amberfield"), owner("greenmile")) == ("harborweb", "harborweb")
    html = as_root.get(PAGE).content.decode()
    assert "2 hosting users are given to “harborweb”." in html
    assert 'action="/people/undo/"' in html
    entries = AuditEntry.objects.filter(event="user:owner_set").order_by("subject")
    assert [(entry.subject, entry.before, entry.after) for entry in entries] == [
        ("amberfield", {"owner": "root"}, {"owner": "harborweb"}),
        ("greenmile", {"owner": "brightpeak"}, {"owner": "harborweb"}),
    ]
    undo(as_root, "/people/undo/", next=PAGE)
    assert (owner("amberfield"), owner("greenmile")) == (None, "brightpeak")
    assert "2 hosting users are set as before." in as_root.get(PAGE).content.decode()


def test_bulk_gives_back_to_root(as_root, scene: Scene):
    as_root.post(f"{PAGE}?owner=harborweb&select=match", {"bulk": "owner", "owner": "root", "matching": "1"})
    assert not HostingUser.objects.filter(owner=scene.harborweb).exists()
    assert "5 hosting users are root’s now." in as_root.get(PAGE).content.decode()


def test_bulk_for_all_that_match_leaves_out_what_was_unticked(as_root, scene: Scene):
    mine = [pk(name) for name in shown(as_root, "?owner=harborweb")]
    ticked = [one for one in mine if one != pk("northwind")]
    as_root.post(
        f"{PAGE}?owner=harborweb&select=match",
        {"bulk": "owner", "owner": "brightpeak", "matching": "1", "shown": mine, "users": ticked},
    )
    assert owner("northwind") == "harborweb"
    assert HostingUser.objects.filter(owner=scene.brightpeak).count() == 2 + 4


def test_bulk_sets_a_feature_list_and_undo_sets_it_back(as_root, scene: Scene):
    parked, before = FeatureList.objects.get(name="parked"), HostingUser.objects.get(name="amberfield").feature_list
    as_root.post(PAGE, {"bulk": "list", "list": parked.pk, "users": [pk("amberfield")]})
    assert HostingUser.objects.get(name="amberfield").feature_list == parked
    assert "1 hosting user has the feature list “parked” now." in as_root.get(PAGE).content.decode()
    undo(as_root, "/people/undo/")
    assert HostingUser.objects.get(name="amberfield").feature_list == before


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"bulk": "owner", "owner": ""}, "Choose whom to give them to. Nothing was changed."),
        ({"bulk": "owner", "owner": "nobodys"}, "Choose whom to give them to. Nothing was changed."),
        ({"bulk": "list", "list": "", "owner": "harborweb"}, "Choose a feature list. Nothing was changed."),
        ({"bulk": "list", "list": "999999"}, "Choose a feature list. Nothing was changed."),
    ],
)
def test_bulk_without_a_choice_says_so_at_its_field_and_keeps_the_ticks(data, says, as_root):
    before = dict(HostingUser.objects.values_list("pk", "owner"))
    html = as_root.post(f"{PAGE}?q=a", {**data, "users": [pk("amberfield")]}).content.decode()
    check_html(html)
    assert f"<span>{says}</span>" in html
    assert re.search(rf'id="b-{data["bulk"]}" [^>]*aria-invalid="true" aria-describedby="bulk-e" autofocus', html)
    assert re.findall(r'name="users" value="(\d+)" checked', html) == [str(pk("amberfield"))]
    assert re.findall(r"<b data-n>(\d+)</b>", html) == ["1"]
    assert ("<option selected>harborweb</option>" in html) == (data.get("owner") == "harborweb")
    assert dict(HostingUser.objects.values_list("pk", "owner")) == before


def test_a_wrong_bulk_of_all_that_match_keeps_what_was_unticked(as_root):
    mine = [pk(name) for name in shown(as_root, "?owner=harborweb")]
    ticked = [one for one in mine if one != pk("northwind")]
    data = {"bulk": "owner", "owner": "", "matching": "1", "shown": mine, "users": ticked}
    html = as_root.post(f"{PAGE}?owner=harborweb&select=match", data).content.decode()
    assert sorted(map(int, re.findall(r'name="users" value="(\d+)" checked', html))) == sorted(ticked)
    assert re.findall(r"<b data-n>(\d+)</b>", html) == [str(len(ticked))]
    assert 'name="matching" value="1"' in html


def test_bulk_that_changes_nothing_says_so(as_root):
    before = dict(HostingUser.objects.values_list("pk", "owner"))
    as_root.post(PAGE, {"bulk": "owner", "owner": "root", "users": [pk("amberfield")]})
    assert "Nothing changes: it is set so already." in as_root.get(PAGE).content.decode()
    assert dict(HostingUser.objects.values_list("pk", "owner")) == before


def test_bulk_with_nothing_selected_says_so(as_root):
    as_root.post(PAGE, {"bulk": "owner", "owner": "harborweb"})
    assert "No hosting user is selected." in as_root.get(PAGE).content.decode()


def test_one_is_saved_as_a_whole(as_root, own: Own, scene: Scene):
    user = HostingUser.objects.get(name="amberfield")
    parked, page = FeatureList.objects.get(name="parked"), f"{PAGE}{user.pk}/"
    check_html(as_root.get(page).content.decode())
    changes = {"owner": "harborweb", "login": "nobody", "feature_list": str(parked.pk), "email": "a@b.example"}
    assert as_root.post(page, wish(user, **changes, suspended="yes"))["Location"] == page
    user = HostingUser.objects.select_related("owner", "login").get(pk=user.pk)
    assert (user.owner, user.login, user.feature_list, user.email, user.suspended) == (
        scene.harborweb,
        own.other,
        parked,
        "a@b.example",
        True,
    )
    said = {(entry.event, entry.subject, entry.person) for entry in AuditEntry.objects.all()}
    events = ("user:owner_set", "user:login_set", "user:feature_list_set", "user:changed", "user:suspended")
    assert said == {(event, "amberfield", scene.root) for event in events}
    assert "“amberfield” is saved." in as_root.get(page).content.decode()
    as_root.post(page, wish(user, **changes, suspended="yes"))
    assert "Nothing changes: it is set so already." in as_root.get(page).content.decode()


@pytest.mark.parametrize(
    ("wrong", "field", "says"),
    [
        ({"owner": "nobodys"}, "owner", "There is no reseller “nobodys”."),
        ({"login": "nobodys"}, "login", "There is no person “nobodys”."),
        ({"login": "harborweb"}, "login", "“harborweb” is a reseller"),
        ({"feature_list": "999999"}, "feature_list", "There is no such feature list."),
        ({"email": "a@"}, "email", "“a@” is not an e-mail address: "),
    ],
)
def test_what_cannot_be_taken_is_told_at_its_field_and_saves_nothing(wrong, field, says, as_root, scene: Scene):
    user = HostingUser.objects.get(name="amberfield")
    typed = wish(user, **{"owner": "brightpeak", "email": "kept@b.example", **wrong})
    html = as_root.post(f"{PAGE}{user.pk}/", typed).content.decode()
    check_html(html)
    assert f"{says}" in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert f'value="{typed["email"]}"' in html
    user.refresh_from_db()
    assert (user.owner, user.email) == (None, "")
    assert not AuditEntry.objects.exists()


def test_all_that_is_wrong_is_told_at_once(as_root, scene: Scene):
    user = HostingUser.objects.get(name="amberfield")
    wrong = {"owner": "nobodys", "login": "harborweb", "feature_list": "999999", "email": "a@"}
    html = as_root.post(f"{PAGE}{user.pk}/", wish(user, **wrong)).content.decode()
    check_html(html)
    assert all(f'id="{field}-e"' in html for field in wrong)
    assert html.count("Nothing was saved.") == len(wrong)
    assert html.count("autofocus") == 1


def test_ten_thousand_users_are_few_questions(as_root, scene: Scene):
    feature_list = HostingUser.objects.first().feature_list
    login = person("many", Role.USER)
    HostingUser.objects.bulk_create(
        (
            HostingUser(server=scene.server, name=f"u{n:05}", feature_list=feature_list, login=login if n % 7 else None)
            for n in range(10_000)
        ),
        batch_size=2000,
    )
    for query in ("", "?size=100&page=50", "?sort=owner", "?q=u07", "?state=no-login&select=match"):
        with CaptureQueriesContext(connection) as queries:
            assert as_root.get(f"{PAGE}{query}").status_code == 200
        assert len(queries) <= 15, query
    with CaptureQueriesContext(connection) as queries:
        as_root.get(f"/people/{login.pk}/")
    assert len(queries) <= 15
    as_root.post(f"{PAGE}?q=u0&select=match", {"bulk": "owner", "owner": "harborweb", "matching": "1"})
    assert HostingUser.objects.filter(owner=scene.harborweb).count() == 10_005
    undo(as_root, "/people/undo/")
    assert HostingUser.objects.filter(owner=scene.harborweb).count() == 5
