"""Exclusion patterns: what each excludes is counted before it holds, and undone for a minute."""

import re

import pytest
from django.test import Client

from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import AuditEntry
from autossl_panel.web.question import Question
from autossl_panel.web.templatetags.panel import day
from tests.web import provider_scene
from tests.web.scene import Scene
from tests.web.undoing import undo as undone

BLOGS = {"pattern": "Blog*.northwind.example ", "whose": "server"}


def question_of(client: Client, values: dict[str, str]) -> Question:
    answer = client.post("/patterns/", values)
    assert answer.status_code == 200
    found: Question = answer.context["question"]
    return found


def confirmed(client: Client, values: dict[str, str]) -> None:
    asked = question_of(client, values)
    answer = client.post("/patterns/", {**dict(asked.hidden), "sure": asked.sure})
    assert answer["Location"] == "/patterns/"


def undo(client: Client) -> str:
    assert undone(client, "/patterns/undo/", next="/patterns/")["Location"] == "/patterns/"
    return client.get("/patterns/").content.decode()


def test_what_matches_is_counted_before_it_holds(as_root, scene: Scene):
    asked = question_of(as_root, BLOGS)
    facts = {point.fact: point for point in asked.points}
    assert asked.title == "Exclude “blog*.northwind.example”?"
    assert facts["16 names are not asked for any more."].more == 6
    assert facts["It holds for:"].rest == "the whole server."
    assert not ExclusionPattern.objects.exists(), "nothing holds before the answer"
    answer = as_root.post("/patterns/", {**dict(asked.hidden), "sure": asked.sure})
    assert answer["Location"] == "/patterns/"
    row = ExclusionPattern.objects.get()
    assert (row.pattern, row.by) == ("blog*.northwind.example", scene.root)
    html = as_root.get("/patterns/").content.decode()
    assert "16 names are not asked for any more." in html
    assert AuditEntry.objects.get(event="pattern:added").person == scene.root
    due = VirtualHost.objects.filter(next_reason="changed", user__name="northwind")
    assert due.count() >= 8, "its sites are looked at within a minute"


def test_an_answer_to_another_pattern_asks_again(as_root):
    question_of(as_root, {**BLOGS, "sure": "shop*"})
    assert not ExclusionPattern.objects.exists()


def test_what_matches_nothing_is_asked_for_too(as_root):
    asked = question_of(as_root, {"pattern": "*.staging.example.com", "whose": "server"})
    assert "No name matches now." in [point.fact for point in asked.points]
    assert (asked.verb, asked.red) == ("Add it all the same", False)
    assert not ExclusionPattern.objects.exists(), "nothing holds before the answer"
    as_root.post("/patterns/", {**dict(asked.hidden), "sure": asked.sure})
    assert ExclusionPattern.objects.get().pattern == "*.staging.example.com"
    assert "No name matches now" in as_root.get("/patterns/").content.decode()


def test_the_way_back_keeps_what_was_typed(as_root):
    asked = question_of(as_root, {"pattern": "shop*", "whose": "user", "user": "lindner"})
    html = as_root.get(asked.back).content.decode()
    assert 'value="shop*"' in html
    assert '<option value="user" selected>' in html
    assert 'value="lindner"' in html


def test_the_way_back_goes_on_at_the_pattern(as_root):
    html = as_root.get("/patterns/?pattern=www.*&whose=server&user=").content.decode()
    assert re.search(r'<input id="pattern"[^>]* autofocus', html)
    assert "autofocus" not in as_root.get("/patterns/").content.decode()


def test_sites_that_lose_all_their_names_are_counted_with_the_first_end(as_root, scene: Scene):
    asked = question_of(as_root, {"pattern": "*lindner.example", "whose": "server"})
    (point,) = [point for point in asked.points if "lose" in point.fact]
    kept = list(VirtualHost.objects.filter(user__name="lindner", state__in=("secured", "partly")))
    assert len(kept) > 1
    assert point.fact == f"{len(kept)} sites lose all their names:"
    first = min(site.expires_at for site in kept if site.expires_at)
    assert point.rest == f"their certificates lapse, the first on {day(first)}."
    assert asked.typed == ""


def test_to_let_a_whole_server_lapse_its_name_is_typed(as_root, scene: Scene):
    asked = question_of(as_root, {"pattern": "***", "whose": "server"})
    assert asked.typed == scene.server.name
    answer = {**dict(asked.hidden), "sure": asked.sure}
    assert not question_of(as_root, answer).wrong, "nothing was typed yet, without the field"
    again = as_root.post("/patterns/", {**answer, "typed": "another"})
    assert again.context["question"].wrong
    assert "That is not the server’s name. Nothing was changed." in again.content.decode()
    assert not ExclusionPattern.objects.exists()
    as_root.post("/patterns/", {**answer, "typed": f" {scene.server.name.upper()} "})
    assert ExclusionPattern.objects.get().pattern == "*"


def test_a_reseller_types_it_too_for_all_users(as_reseller, scene: Scene):
    assert question_of(as_reseller, {"pattern": "*", "whose": "mine"}).typed == scene.server.name
    large = HostingUser.objects.filter(owner=scene.harborweb).first()
    assert large is not None
    of_one = question_of(as_reseller, {"pattern": "*", "whose": "user", "user": large.name})
    assert of_one.typed == "", "one user's are looked over at a glance"


def test_adding_is_undone(as_root):
    confirmed(as_root, BLOGS)
    assert "is removed again" in undo(as_root)
    assert not ExclusionPattern.objects.exists()
    assert "which is over" in undo(as_root)


def test_the_same_again_is_told_at_the_field_before_it_is_counted(as_root, scene: Scene):
    asked = question_of(as_root, BLOGS)
    exclusion_patterns.add_pattern("blog*.northwind.example", Level(scene.server), by=None, now=scene.now)
    for sent in (BLOGS, {**dict(asked.hidden), "sure": asked.sure}):
        html = as_root.post("/patterns/", sent).content.decode()
        assert "is in the list already for whom you chose. Nothing was saved." in html
        assert 'aria-describedby="pattern-e" autofocus' in html
    assert ExclusionPattern.objects.count() == 1
    assert question_of(as_root, {**BLOGS, "whose": "reseller:harborweb"}).title


@pytest.mark.parametrize("level", ["server", "reseller", "list", "user"])
def test_removing_is_undone_at_every_level(level, as_root, scene: Scene):
    provider_scene.patterns(scene)
    row = {
        "server": ExclusionPattern.objects.filter(owner=None, feature_list=None, user=None),
        "reseller": ExclusionPattern.objects.filter(owner=scene.harborweb),
        "list": ExclusionPattern.objects.filter(feature_list__name="business"),
        "user": ExclusionPattern.objects.filter(user__name="quarrybank"),
    }[level].get()
    before = (row.pattern, row.owner_id, row.feature_list_id, row.user_id)
    assert row.pattern in as_root.get(f"/patterns/{row.pk}/remove/").content.decode()
    assert as_root.post(f"/patterns/{row.pk}/remove/")["Location"] == "/patterns/"
    assert not ExclusionPattern.objects.filter(pattern=row.pattern).exists()
    assert "holds again" in undo(as_root)
    again = ExclusionPattern.objects.get(pattern=row.pattern)
    assert (again.pattern, again.owner_id, again.feature_list_id, again.user_id) == before


def test_undo_does_nothing_for_whom_is_gone(as_root, scene: Scene):
    provider_scene.patterns(scene)
    row = ExclusionPattern.objects.get(feature_list__name="business")
    as_root.post(f"/patterns/{row.pk}/remove/")
    HostingUser.objects.filter(feature_list__name="business").update(
        feature_list=FeatureList.objects.get(name="parked")
    )
    FeatureList.objects.get(name="business").delete()
    assert "whom it was for is gone" in undo(as_root)
    assert not ExclusionPattern.objects.filter(pattern=row.pattern).exists()


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"pattern": ""}, "pattern", "The pattern is empty."),
        ({"pattern": "a b"}, "pattern", "cannot be in a domain name"),
        ({"user": "nobody-here", "whose": "user"}, "user", "There is no hosting user “nobody-here”."),
        ({"whose": "reseller:nobody"}, "whose", "Choose for whom the pattern holds."),
        ({"whose": "mine"}, "whose", "Choose for whom the pattern holds."),
    ],
)
def test_what_is_wrong_stands_at_its_field(values, field, said, as_root):
    html = as_root.post("/patterns/", {**BLOGS, **values}).content.decode()
    assert said in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    if field != "pattern":
        assert 'value="Blog*.northwind.example"' in html, "what was typed stays"
    assert not ExclusionPattern.objects.exists()


def test_all_that_is_wrong_is_told_at_once(as_root):
    html = as_root.post("/patterns/", {"pattern": "a b", "whose": "user", "user": "nobody-here"}).content.decode()
    assert "cannot be in a domain name" in html
    assert "There is no hosting user “nobody-here”." in html
    assert 'aria-describedby="pattern-e" autofocus' in html
    assert html.count("autofocus") == 1


def test_a_reseller_has_own_users_only(as_reseller, scene: Scene):
    provider_scene.patterns(scene)
    html = as_reseller.get("/patterns/").content.decode()
    assert "*.preview.example" in html
    assert "blog*.northwind.example" not in html, "the server's are root's"
    assert "The whole server" not in html
    foreign = ExclusionPattern.objects.get(user__name="quarrybank")
    assert as_reseller.post(f"/patterns/{foreign.pk}/remove/").status_code == 404
    refused = as_reseller.post("/patterns/", {"pattern": "*", "whose": "user", "user": "quarrybank"})
    assert "There is no hosting user “quarrybank”." in refused.content.decode()
    assert "Choose for whom" in as_reseller.post("/patterns/", {"pattern": "*", "whose": "server"}).content.decode()
    confirmed(as_reseller, {"pattern": "blog1.*", "whose": "mine"})
    assert ExclusionPattern.objects.get(pattern="blog1.*").owner == scene.harborweb
    assert as_reseller.get(f"/patterns/counts/?shown={foreign.pk}").content.decode().strip() == ""


def test_what_each_excludes_is_counted_after_the_page_is_there(as_root, scene: Scene):
    provider_scene.patterns(scene)
    row = ExclusionPattern.objects.get(pattern="blog*.northwind.example")
    html = as_root.get("/patterns/").content.decode()
    assert f"shown={row.pk}" in html
    assert "See which names" in html, "without script a link says it"
    counted = as_root.get(f"/patterns/counts/?shown={row.pk}&shown=x").content.decode()
    assert f'id="n-{row.pk}"' in counted
    assert ">16 names<" in counted


def test_a_link_chooses_for_whom(as_root):
    html = as_root.get("/patterns/?whose=user&user=lindner").content.decode()
    assert '<option value="user" selected>' in html
    assert 'name="user" class="input" value="lindner"' in html


def test_search_and_nothing(as_root, scene: Scene):
    assert "No pattern excludes anything" in as_root.get("/patterns/").content.decode()
    provider_scene.patterns(scene)
    assert "*.quarrybank.example" in as_root.get("/patterns/?q=quarry").content.decode()
    assert "Nothing matches “zzz”" in as_root.get("/patterns/?q=zzz").content.decode()


def test_it_reads_in_german(as_root, scene: Scene):
    provider_scene.patterns(scene)
    scene.root.language = "de"
    scene.root.save(update_fields=["language"])
    assert "Ausschlussmuster" in as_root.get("/patterns/").content.decode()
