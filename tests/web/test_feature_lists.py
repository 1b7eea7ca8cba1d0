"""People, feature lists: what they say, how much follows from it, undo, removing with another list for the users."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from autossl_panel.hosting import feature_lists
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, Setting
from autossl_panel.people.models import AuditEntry
from tests.web.scene import Scene
from tests.web.test_pages import check as check_html
from tests.web.undoing import undo

PAGE = "/people/lists/"


def page_of(name: str) -> str:
    return f"{PAGE}{FeatureList.objects.get(name=name).pk}/"


def cells(html: str, name: str) -> list[str]:
    row = html.split(f">{name}</a>")[1].split("</tr>", maxsplit=1)[0]
    return [re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", cell)).strip() for cell in row.split("</td>")[:-2]]


def test_the_table_counts_who_follows_and_with_what(as_root, scene: Scene):
    html = as_root.get(PAGE).content.decode()
    check_html(html)
    assert cells(html, "business") == ["On", "11", "9", "44"]
    assert cells(html, "parked") == ["Off", "2", "0", "0"]


def test_the_list_of_new_users_is_marked(as_root):
    html = as_root.get(PAGE).content.decode()
    assert "new hosting users get it" not in html
    feature_lists.default_feature_list()
    assert "new hosting users get it" in as_root.get(PAGE).content.decode()


def test_a_list_is_added(as_root, scene: Scene):
    check_html(as_root.get(f"{PAGE}add/").content.decode())
    assert as_root.post(f"{PAGE}add/", {"name": "basic", "autossl": "off"})["Location"] == PAGE
    assert not FeatureList.objects.get(name="basic").autossl
    assert AuditEntry.objects.get().person == scene.root


@pytest.mark.parametrize(("name", "says"), [("", "needs a name"), ("parked", "already"), ("x" * 65, "65 characters")])
def test_a_name_that_cannot_be_stays_in_its_field(name, says, as_root):
    html = as_root.post(f"{PAGE}add/", {"name": name, "autossl": "off"}).content.decode()
    check_html(html)
    assert says in html
    assert "Nothing was saved." in html
    assert f'value="{name}"' in html
    assert re.search(r'value="off" checked', html)
    assert FeatureList.objects.count() == 3
    # A browser cuts at maxlength without a word
    assert int(re.search(r'id="name"[^>]*maxlength="(\d+)"', html)[1]) > len(name) + 64


def test_switching_off_says_before_and_after_what_follows(as_root, scene: Scene):
    html = as_root.get(page_of("business")).content.decode()
    check_html(html)
    assert "11 hosting users have it, 9 follow what it says." in html
    assert "9 hosting users get no certificates any more." in html
    assert re.search(r"44 certificates lapse; the first expires on <time[^>]*>\d+ \w+", html)
    assert as_root.post(page_of("business"), {"name": "business", "autossl": "off"})["Location"] == PAGE
    assert not FeatureList.objects.get(name="business").autossl
    html = as_root.get(PAGE).content.decode()
    assert re.search(r"“business” says off\. 44 certificates expire from <time[^>]*>\d+ \w+</time>\.", html)
    assert "first expires" in cells(html, "business")[-1]
    undo(as_root, "/people/undo/", next=PAGE)
    assert FeatureList.objects.get(name="business").autossl
    assert "“business” is as before." in as_root.get(PAGE).content.decode()


def test_switching_on_says_how_many_sites_are_checked(as_root):
    HostingUser.objects.filter(name="eastgate").update(autossl=Setting.FEATURE_LIST)
    html = as_root.get(page_of("parked")).content.decode()
    check_html(html)
    assert "2 sites are checked within a minute." in html
    as_root.post(page_of("parked"), {"name": "parked", "autossl": "on"})
    assert FeatureList.objects.get(name="parked").autossl
    assert "“parked” says on." in as_root.get(PAGE).content.decode()


def test_renaming(as_root):
    as_root.post(page_of("parked"), {"name": "kept", "autossl": "off"})
    assert "“kept” is saved." in as_root.get(PAGE).content.decode()
    assert HostingUser.objects.get(name="eastgate").feature_list.name == "kept"
    html = as_root.post(page_of("kept"), {"name": "business", "autossl": "on"}).content.decode()
    assert "already. Nothing was saved." in html
    assert not FeatureList.objects.get(name="kept").autossl
    as_root.post(page_of("kept"), {"name": "kept", "autossl": "off"})
    assert "Nothing changes" in as_root.get(PAGE).content.decode()


def test_a_list_that_nobody_has_is_removed(as_root):
    as_root.post(f"{PAGE}add/", {"name": "basic", "autossl": "on"})
    html = as_root.get(f"{page_of('basic')}remove/").content.decode()
    check_html(html)
    assert "No hosting user has it." in html
    assert as_root.post(f"{page_of('basic')}remove/")["Location"] == PAGE
    assert not FeatureList.objects.filter(name="basic").exists()


def test_a_list_in_use_goes_with_another_one_for_its_users(as_root, scene: Scene):
    parked = FeatureList.objects.get(name="parked")
    ExclusionPattern.objects.create(server=scene.server, feature_list=parked, pattern="dev.*", at=scene.now)
    remove = f"{page_of('parked')}remove/"
    html = as_root.get(remove).content.decode()
    check_html(html)
    assert "<b>2 hosting users</b> have it and get another one." in html
    assert "<b>1 exclusion pattern</b> of the list goes too." in html
    html = as_root.post(remove, {"move_to": ""}).content.decode()
    check_html(html)
    assert "“parked” has 2 users. Choose the list that they get. Nothing was removed." in html
    starter = FeatureList.objects.get(name="starter")
    as_root.post(remove, {"move_to": starter.pk})
    assert not FeatureList.objects.filter(name="parked").exists()
    assert HostingUser.objects.get(name="northwind").feature_list == starter
    assert "“parked” is removed. 2 hosting users have “starter” now." in as_root.get(PAGE).content.decode()


def test_the_default_list_stays(as_root):
    default = feature_lists.default_feature_list()
    html = as_root.post(f"{PAGE}{default.pk}/remove/").content.decode()
    assert "“default” stays" in html
    html = as_root.post(f"{PAGE}{default.pk}/", {"name": "other", "autossl": "on"}).content.decode()
    assert "“default” keeps its name" in html
    assert FeatureList.objects.filter(name="default").exists()


def test_many_lists_are_few_questions(as_root):
    FeatureList.objects.bulk_create(FeatureList(name=f"list {n}") for n in range(200))
    with CaptureQueriesContext(connection) as queries:
        as_root.get(PAGE)
    assert len(queries) <= 10
    with CaptureQueriesContext(connection) as queries:
        as_root.get(page_of("business"))
    assert len(queries) <= 12
