"""The Options tab: saved together or not at all, with what is wrong at its field."""

import re
from collections.abc import Mapping
from datetime import time, timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Certificate, Installation, Options, Run
from autossl_panel.hosting.models import Domain, SiteState, VirtualHost
from autossl_panel.people.models import AuditEntry
from autossl_panel.web.question import Question
from tests.web import provider_scene
from tests.web.scene import Scene

GOOD = {
    "resolvers": "192.0.2.53, 2001:db8::53",
    "server_addresses": "203.0.113.10",
    "key_type": "p384",
    "daily_at": "04:21",
    "log_days": "90",
    "reload_gap": "5",
    "replace_foreign": "on",
    "second_factor": "nobody",
    "audit_days": "400",
    "notify_user": "failures",
    "notify_admin": "all",
    "admin_addresses": "a@example.org, b@example.org",
}


def saved(client: Client, values: Mapping[str, str]) -> None:
    """Post, answering the question that may come by what it asks."""
    answer = client.post("/options/", values)
    if answer.status_code == 200:
        answer = client.post("/options/", {**values, "sure": answer.context["question"].sure})
    assert answer.status_code == 302, answer.content.decode()


def question_of(client: Client, values: Mapping[str, str]) -> Question:
    answer = client.post("/options/", values)
    assert answer.status_code == 200
    found: Question = answer.context["question"]
    return found


def test_options_are_saved(as_root, scene: Scene):
    saved(as_root, GOOD)
    row = options.current(scene.server)
    assert row.resolvers == ["192.0.2.53", "2001:db8::53"]
    assert (row.key_type, row.daily_at, row.log_days, row.reload_gap) == ("p384", time(4, 21), 90, 5)
    assert row.replace_foreign
    assert (row.notify_user, row.notify_admin) == ("failures", "all")
    assert row.admin_addresses == ["a@example.org", "b@example.org"]
    assert not row.serve_www, "a checkbox that is not sent is off"
    assert "The options are saved." in as_root.get("/options/").content.decode()


def test_a_reissue_is_confirmed_with_its_number_in_sight(as_root, scene: Scene):
    saved(as_root, {**GOOD, "reissue": "on", "reissue_seen": "p256"})
    assert not options.current(scene.server).reissue, "the number that was seen was another key type's"
    html = as_root.get("/options/").content.decode()
    assert 'name="reissue_seen" value="p384"' in html
    assert "Re-issue the " in html
    saved(as_root, {**GOOD, "reissue": "on", "reissue_seen": "p384"})
    assert options.current(scene.server).reissue
    saved(as_root, {**GOOD, "reissue": "on", "reissue_seen": "p384", "key_type": "rsa2048"})
    assert not options.current(scene.server).reissue


def test_another_key_type_is_saved_after_how_many_and_until_when_was_read(as_root, scene: Scene):
    values = {**GOOD, "serve_www": "on"}
    asked = question_of(as_root, values)
    assert [point.fact for point in asked.points] == ["81 certificates have another key type."]
    assert asked.choice is not None
    keep, anew = asked.choice.options
    assert (keep.value, keep.label) == ("", "Keep each until it is renewed anyway")
    assert (anew.value, anew.label) == ("on", "Re-issue all 81 now")
    assert "The last one not before " in anew.small
    assert dict(asked.hidden)["server_addresses"] == "203.0.113.10", "what was typed comes with the answer"
    assert options.current(scene.server).key_type == "p256", "nothing is saved before the answer"
    as_root.post("/options/", {**dict(asked.hidden), "sure": asked.sure, "reissue": "on"})
    row = options.current(scene.server)
    assert (row.key_type, row.reissue, row.serve_www) == ("p384", True, True)


def test_not_serving_www_counts_those_alone_that_no_wildcard_serves(as_root, scene: Scene):
    hosts = VirtualHost.objects.filter(gone_at__isnull=True).order_by("pk")[:2]
    Domain.objects.all().update(added=False)
    for host in hosts:
        Domain.objects.update_or_create(
            name=f"www.{host.name}", virtual_host=host, defaults={"added": True, "position": 90}
        )
    values = {**GOOD, "key_type": "p256"}
    facts = [point.fact for point in question_of(as_root, values).points]
    assert "2 names with www. are not asked for any more." in facts
    Domain.objects.create(name=f"*.{hosts[0].name}", virtual_host=hosts[0], position=91)
    facts = [point.fact for point in question_of(as_root, values).points]
    assert "1 name with www. is not asked for any more." in facts
    Domain.objects.create(name=f"*.{hosts[1].name}", virtual_host=hosts[1], position=91)
    saved(as_root, values)
    assert not options.current(scene.server).serve_www, "it costs nothing, so nothing is asked"


def test_an_answer_to_another_question_asks_again(as_root, scene: Scene):
    question_of(as_root, {**GOOD, "sure": "key_type:rsa2048"})
    question_of(as_root, {**GOOD, "serve_www": "on", "notify_admin": "none", "sure": "key_type:p384"})
    assert options.current(scene.server).key_type == "p256"


def test_from_the_question_a_way_leads_back_to_the_form_with_what_was_typed(as_root, scene: Scene):
    asked = question_of(as_root, {**GOOD, "key_type": "rsa4096", "log_days": "77"})
    assert asked.again is not None
    html = as_root.post("/options/", {**dict(asked.hidden), "sure": asked.sure, asked.again[0]: "yes"}).content.decode()
    assert re.search(r'name="log_days"[^>]* value="77"', html)
    assert '<option value="rsa4096" selected>' in html
    assert "aria-invalid" not in html
    row = options.current(scene.server)
    assert (row.key_type, row.log_days) != ("rsa4096", 77), "nothing is saved by that"


def test_what_costs_nothing_is_saved_at_once(as_root, scene: Scene):
    as_root.post("/options/", {**GOOD, "key_type": "p256", "serve_www": "on", "log_days": "31"})
    assert options.current(scene.server).log_days == 31


def test_the_price_of_each_option_is_counted(as_root, scene: Scene):
    site = VirtualHost.objects.filter(state=SiteState.FOREIGN, gone_at__isnull=True).get()
    Installation.objects.filter(virtual_host=site, until__isnull=True).update(key_matches=False)
    site.domains.create(name="www.added.example", position=9, added=True)
    Run.objects.filter(pk=scene.past.pk).update(ended_at=scene.now - timedelta(days=8))
    values = {**GOOD, "key_type": "p256", "log_days": "7", "notify_admin": "none"}
    told = [point.fact for point in question_of(as_root, values).points]
    assert told == [
        "1 certificate from elsewhere is replaced at the next check.",
        "102 names with www. are not asked for any more.",
        "1 run is removed with its log.",
        "The administrator is told nothing,",
    ]
    assert not options.current(scene.server).replace_foreign
    saved(as_root, values)
    assert options.current(scene.server).replace_foreign


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("server_addresses", "203.0.113.10, 203.0.113.300", "the last number is above 255"),
        ("resolvers", "dns.example", "is not a resolver"),
        ("daily_at", "25:00", "is not a time of day"),
        ("daily_at", "", "Enter a time of day"),
        ("log_days", "", "Enter a number of days from 1 to 3650"),
        ("log_days", "0", "is not a number of days from 1 to 3650"),
        ("reload_gap", "soon", "is not a number of seconds"),
        ("key_type", "dsa", "is not a key type"),
        ("notify_user", "", "is not a level"),
        ("notify_admin", "loud", "is not a level"),
        ("admin_addresses", "a@example.org, nowhere", "“nowhere” is not an e-mail address"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(field, value, said, as_root, scene: Scene):
    before = options.texts(options.current(scene.server))
    answer = as_root.post("/options/", {**GOOD, field: value})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert said in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert f'id="{field}-e"' in html
    assert options.texts(options.current(scene.server)) == before
    assert 'value="04:21"' in html or field == "daily_at", "what was typed is kept"


def test_every_wrong_field_is_told_at_once_and_focus_goes_to_the_first(as_root):
    html = as_root.post("/options/", {**GOOD, "resolvers": "x", "log_days": "y"}).content.decode()
    assert html.count('aria-invalid="true"') == 2
    assert html.count("autofocus") == 1


def test_it_says_how_many_foreign_certificates_are_concerned(as_root):
    html = as_root.get("/options/").content.decode()
    assert "0 of 1 would be replaced at the next check." in html
    assert "Installed now: 81 P-256." in html


def test_what_is_counted_of_foreign_certificates_is_what_its_link_shows(as_root, scene: Scene):
    site = VirtualHost.objects.filter(state=SiteState.FOREIGN, gone_at__isnull=True).get()
    other = VirtualHost.objects.filter(state=SiteState.UNSECURED, gone_at__isnull=True).order_by("pk")[0]
    bought = Certificate.objects.create(
        fingerprint="e" * 64,
        serial="e" * 32,
        names=[other.name],
        issuer="CN=Elsewhere CA",
        not_before=scene.now - timedelta(days=100),
        not_after=scene.now - timedelta(days=10),
        key_kind="ec",
        key_bits=256,
        pem="",
        ours=False,
    )
    Installation.objects.create(virtual_host=other, certificate=bought, since=scene.now, key_matches=True)
    html = as_root.get("/options/").content.decode()
    assert "1 of 2 would be replaced at the next check." in html, "the expired one of an unsecured site is one of them"
    assert 'href="/certificates/?more=elsewhere"' in html
    table = as_root.get("/certificates/?more=elsewhere").content.decode()
    assert "of <b>2</b>" in table
    assert site.name in table
    assert other.name in table


def test_a_reissue_under_way_says_how_many_are_left(as_root, scene: Scene):
    assert "Under way" not in as_root.get("/options/").content.decode()
    Options.objects.filter(server=scene.server).update(key_type="p384", reissue=True)
    html = as_root.get("/options/").content.decode()
    assert "Under way: 81 certificates are left." in html
    assert "The last one not before" in html
    assert "how long that takes is said before it is saved" not in html


def test_patterns_for_the_server_are_shown_with_the_rest_as_a_number(as_root, scene: Scene):
    assert "None for the whole server." in as_root.get("/options/").content.decode()
    provider_scene.patterns(scene)
    html = as_root.get("/options/").content.decode()
    assert "<code>blog*.northwind.example</code>" in html
    assert "3 more, for the server, resellers, feature lists and users." in html


def shown_by(client: Client) -> dict[str, str]:
    """What a form that is opened now sends when nothing is changed in it."""
    context = client.get("/options/").context
    fields = {name: field.value for name, field in context["fields"].items()}
    boxes = ("replace_foreign", "serve_www", "reissue")
    texts = {name: value for name, value in fields.items() if name not in boxes}
    return {**texts, **{name: "on" for name in boxes if fields[name] == "yes"}, "shown": context["shown"]}


def test_a_change_in_another_tab_stands(as_root, scene: Scene):
    one, other = shown_by(as_root), shown_by(as_root)
    saved(as_root, {**one, "log_days": "31", "serve_www": ""})
    saved(as_root, {**other, "audit_days": "401"})
    row = options.current(scene.server)
    assert (row.log_days, row.audit_days, row.serve_www) == (31, 401, False)
    audited = AuditEntry.objects.filter(event="options:changed").latest("pk")
    assert audited.after == {"audit_days": "401"}


def test_where_two_tabs_changed_one_field_it_is_said_there_and_saved_by_another_click(as_root, scene: Scene):
    first = {**shown_by(as_root), "resolvers": "192.0.2.53, 192.0.2.54", "notify_user": "failures"}
    other = {**first, "log_days": "60", "resolvers": "192.0.2.53,192.0.2.54", "notify_user": "all"}
    saved(as_root, {**first, "log_days": "31"})
    answer = as_root.post("/options/", other)
    html = answer.content.decode()
    assert "Meanwhile this was set to “31”" in html
    assert "Meanwhile this was set to “Failures" in html
    assert html.count('aria-invalid="true"') == 2, "both wrote the same resolvers"
    assert 'name="log_days" class="input" type="number" min="1" max="3650" value="60"' in html, "what was typed stays"
    assert options.current(scene.server).log_days == 31
    saved(as_root, {**other, "shown": answer.context["shown"]})
    row = options.current(scene.server)
    assert (row.log_days, row.notify_user) == (60, "all")


def test_the_answer_to_a_question_leaves_another_tabs_change(as_root, scene: Scene):
    asked = question_of(as_root, {**shown_by(as_root), "notify_admin": "none"})
    saved(as_root, {**shown_by(as_root), "log_days": "31"})
    saved(as_root, {**dict(asked.hidden), "sure": asked.sure})
    row = options.current(scene.server)
    assert (row.log_days, row.notify_admin) == (31, "none")


def test_of_two_that_save_at_the_same_moment_the_second_is_told(scene: Scene):
    before = options.texts(options.current(scene.server))
    options.change(scene.server, {"log_days": "31"}, by=None, was=before)
    with pytest.raises(options.OptionProblem, match="changed meanwhile"):
        options.change(scene.server, {"log_days": "60"}, by=None, was=before)
    assert options.current(scene.server).log_days == 31


@pytest.mark.parametrize(
    "shown",
    ["", "{", "[]", '{"log_days": 3, "nothing": "x"}', 100_000 * "["],
    ids=["none", "half", "list", "other", "deep"],
)
def test_a_form_that_does_not_say_what_it_showed_sets_all(shown, as_root, scene: Scene):
    as_root.post("/options/", {**GOOD, "key_type": "p256", "serve_www": "on", "log_days": "31", "shown": shown})
    assert options.current(scene.server).log_days == 31


def test_the_first_wrong_field_is_the_first_on_the_page(as_root):
    html = as_root.post("/options/", {**GOOD, "resolvers": "x", "admin_addresses": "y"}).content.decode()
    assert 'aria-describedby="admin_addresses-e" autofocus' in html
    page = as_root.get("/options/").content.decode()
    places = [page.index(f'name="{name}"') for name in options.READERS if name != "reissue"]
    assert places == sorted(places)


def test_root_reads_whether_its_own_login_would_be_led_to_set_a_second_factor_up(as_root, scene: Scene):
    assert re.search(r"\d+ logins have none yet, yours among them\.", as_root.get("/options/").content.decode())
    Authenticator.objects.create(user=scene.root, type=Authenticator.Type.TOTP, data={})
    assert re.search(r"\d+ logins? (have|has) none yet\.", as_root.get("/options/").content.decode())
