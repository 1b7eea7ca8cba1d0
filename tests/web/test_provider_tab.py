"""The Providers tab as a whole: scores, the comparison, consequences before saving, fallbacks, limits, profiles."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation

from autossl_panel.autossl import choices, drafts, options
from autossl_panel.autossl.models import Account, AccountStatus, Bucket, Provider, ProviderState, Run
from autossl_panel.ca import presets
from autossl_panel.hosting.models import Domain, VirtualHost
from autossl_panel.people.models import AuditEntry
from autossl_panel.web.provider_rows import Row
from tests.web import provider_scene
from tests.web.provider_scene import Made
from tests.web.scene import Scene
from tests.web.test_pages import check


@pytest.fixture
def made(scene: Scene) -> Made:
    return provider_scene.build(scene)


def text(client, url: str = "/providers/") -> str:
    return client.get(url).content.decode()


def named(name: str) -> Provider:
    return Provider.objects.get(name=name)


def ready(name: str, **fields: object) -> Provider:
    """A preset whose directory was read."""
    values = {"state": ProviderState.READY, "terms_url": "", "eab_required": False, "checked_at": "2026-01-01T00:00Z"}
    Provider.objects.filter(name=name).update(**{**values, **fields})
    return named(name)


def cells(html: str, label: str) -> list[str]:
    """A line of the comparison, without its marks."""
    line = re.search(rf'<th scope="row">{re.escape(label)}</th>(.*?)</tr>', html, re.DOTALL)
    assert line is not None, label
    return [re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td.*?</td>", line[1], re.DOTALL)]


PAGES = ("/providers/", "/providers/{pk}/limits/", "/providers/{pk}/profile/", "/providers/{pk}/anew/")


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("paused", [False, True])
def test_each_page_is_valid_and_asks_the_database_fifteen_times_at_most(page, paused, as_root, scene, made: Made):
    provider_scene.pause_name(made.account, "shop1.hallsteadt.example")
    if paused:
        options.pause(scene.server, by=scene.root, now=scene.now)
    url = page.format(pk=scene.provider.pk)
    as_root.get(url)
    with CaptureQueriesContext(connection) as asked:
        html = text(as_root, url)
    assert len(asked) <= 15, "\n".join(query["sql"][:200] for query in asked.captured_queries)
    check(html)


# ---- scores and the comparison


def test_each_provider_has_its_score_and_says_what_it_would_cost(as_root, made: Made):
    html = text(as_root)
    scores = {int(n) for n in re.findall(r'<span class="score"><b>(\d+)</b> of 100', html)}
    assert max(scores) > 90 > min(scores)
    assert html.count("2 names a certificate: 17 sites would lose names") == 3
    assert '<span class="score">for trials</span>' in html
    assert "number 1 in the fallback order" in html
    assert "7 users have it whichever is in use" in html


def test_what_a_directory_that_never_answered_would_say_is_not_known(as_root, made: Made):
    asked = {"directory_url": "https://dead.example/dir", "state": ProviderState.REFUSED, "position": 0}
    asked |= {"problem": {"field": "directory_url", "code": "unreachable", "text": "it does not answer"}}
    Provider.objects.create(name="dead", checked_at="2026-01-01T00:00Z", **asked)
    place = [provider.name for provider in Provider.objects.all()].index("dead")
    html = text(as_root)
    assert cells(html, "Renewal hints (ARI)")[place] == "not contacted"
    assert cells(html, "EAB")[place] == "not contacted"
    # One that answered before and does not now has said so.
    Provider.objects.filter(name="dead").update(website="https://dead.example")
    html = text(as_root)
    assert (cells(html, "Renewal hints (ARI)")[place], cells(html, "EAB")[place]) == ("No", "Not needed")


def test_the_comparison_is_what_is_stated_read_and_measured(as_root, made: Made):
    html = text(as_root)
    names = [str(provider) for provider in Provider.objects.all()]
    by_name = {label: dict(zip(names, cells(html, label), strict=True)) for label in (
        "Proof (DCV)", "Wildcard", "Names a certificate", "Validity", "Delivery here", "Delivery stated",
        "Redirects followed", "Renewal hints (ARI)", "EAB", "New orders",
    )}  # fmt: skip
    assert by_name["Proof (DCV)"]["Let’s Encrypt"] == "HTTP, DNS, TLS-ALPN"
    assert by_name["Wildcard"]["Actalis"] == "No"
    assert by_name["Names a certificate"]["Actalis"] == "2"
    assert by_name["Validity"]["Let’s Encrypt"].startswith("90 days classic (90 days), tlsserver (45 days)")
    assert by_name["Delivery here"]["Let’s Encrypt"] == "2.1 s of 1204"
    assert by_name["Delivery here"]["ZeroSSL"] == "4 min 10 s of 31"
    assert by_name["Delivery here"]["Actalis"] == "not measured"
    assert by_name["Delivery stated"]["ZeroSSL"] == "minutes"
    assert by_name["Redirects followed"]["Let’s Encrypt"] == "10"
    assert by_name["Redirects followed"]["ZeroSSL"] == "not stated"
    assert by_name["Renewal hints (ARI)"]["Actalis"] == "not contacted"
    assert by_name["EAB"]["Google Trust Services"] == "Once, within 7 days"
    assert by_name["New orders"]["Let’s Encrypt"] == "300 in 3 hours"
    assert by_name["New orders"]["Google Trust Services"] == "not stated"


def test_the_points_add_up_and_say_why(as_root, made: Made):
    html = text(as_root)
    columns = zip(*(
        [int(cell.split()[0]) for cell in cells(html, label)]
        for label in re.findall(r'<th scope="row">([^<]*, \d+ points)</th>', html)
    ), strict=True)  # fmt: skip
    scores = re.findall(r'<th scope="row">Score</th>', html)
    assert len(scores) == 2
    listed = [int(n) for n in re.findall(r'<span class="score"><b>(\d+)</b> of 100', html)]
    assert [sum(column) for column in columns] == listed
    assert "17 of 100 sites would lose names" in html
    assert "measured: 2.1 s" in html
    assert "no site here has one" in html


def test_wildcards_count_only_where_somebody_has_one(as_root, made: Made):
    Domain.objects.create(virtual_host=VirtualHost.objects.first(), name="*.amberfield.example", position=9)
    html = text(as_root)
    assert "no site here has one" not in html
    assert "not issued" in html


# ---- consequences before saving


def test_a_provider_that_takes_fewer_names_asks_first(as_root, scene: Scene, made: Made):
    row = ready("actalis")
    post = {"provider": str(row.pk), f"contact-{row.pk}": "me@x.example"}
    answer = as_root.post("/providers/", post)
    html = answer.content.decode()
    check(html)
    assert "Use “Actalis” for this server?" in html
    assert "<b>17 sites lose names</b> at their next renewal: they are secured for more than 2." in html
    assert not Account.objects.filter(provider=row).exists(), "nothing is saved before it is confirmed"
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', html))
    hidden = {name: value for name, value in hidden.items() if name not in ("csrfmiddlewaretoken", "next")}
    assert hidden == {**post, "sure": str(row.pk)}
    as_root.post("/providers/", hidden)
    account = Account.objects.get(provider=row)
    assert (account.status, account.contact, account.use_then) == (AccountStatus.REGISTERING, "me@x.example", True)


def test_a_ca_for_trials_asks_first(as_root, made: Made):
    row = ready("letsencrypt-staging", terms_url="https://ca.example/terms")
    post = {"provider": str(row.pk), f"agree_terms-{row.pk}": "on"}
    html = as_root.post("/providers/", post).content.decode()
    assert "No browser trusts its certificates." in html
    assert f'name="agree_terms-{row.pk}" value="on"' in html


def test_one_without_wildcards_asks_where_somebody_has_one(as_root, made: Made):
    row = ready("actalis", max_names=100)
    Domain.objects.create(virtual_host=VirtualHost.objects.first(), name="*.amberfield.example", position=9)
    html = as_root.post("/providers/", {"provider": str(row.pk)}).content.decode()
    assert "1 site has a name with a wildcard." in html


def test_what_is_wrong_is_told_before_what_it_costs(as_root, made: Made):
    row = ready("actalis", eab_required=True)
    html = as_root.post("/providers/", {"provider": str(row.pk)}).content.decode()
    assert "give its key id and HMAC key" in html
    assert "Use “Actalis” for this server?" not in html


def test_one_that_costs_nothing_is_used_without_a_question(as_root, made: Made):
    row = ready("actalis", max_names=100)
    assert as_root.post("/providers/", {"provider": str(row.pk)})["Location"] == f"/providers/?choose={row.pk}"
    assert Account.objects.get(provider=row).use_then


def test_registering_only_needs_no_question_and_does_not_use_it(as_root, made: Made):
    row = ready("actalis")
    as_root.post("/providers/", {"provider": str(row.pk), f"only-{row.pk}": "on"})
    account = Account.objects.get(provider=row)
    assert (account.status, account.use_then) == (AccountStatus.REGISTERING, False)
    assert AuditEntry.objects.filter(event="provider:registered", subject="actalis").exists()


# ---- the fallback order


def order() -> list[str]:
    return [provider.name for provider in choices.fallbacks()]


def test_fallbacks_are_added_moved_and_taken_out_by_plain_forms(as_root, scene: Scene, made: Made):
    def post(**fields: object) -> str:
        answer = as_root.post("/providers/fallbacks/", fields)
        page, _sharp, place = answer["Location"].partition("#")
        html = text(as_root, page)
        assert f'id="{place}"' in html, "the page is shown where the next step is at hand"
        return html

    html = post(who=scene.provider.pk, add="yes")
    assert order() == ["zerossl", "letsencrypt"]
    assert 'aria-label="Move ZeroSSL up" disabled' in html
    post(up=scene.provider.pk)
    assert order() == ["letsencrypt", "zerossl"]
    post(down=scene.provider.pk)
    assert order() == ["zerossl", "letsencrypt"]
    post(up=made.zerossl.pk)
    assert order() == ["zerossl", "letsencrypt"], "the first stays the first"
    post(remove=made.zerossl.pk)
    html = post(remove=scene.provider.pk)
    assert order() == []
    assert "No other provider is asked: while the CA fails, its sites wait." in html
    events = AuditEntry.objects.filter(event="provider:fallbacks_set").values_list("after", flat=True)
    assert len(events) == 5


def test_one_that_is_not_registered_cannot_be_a_fallback(as_root, made: Made):
    html = text(as_root)
    google = named("google")
    assert f'<option value="{google.pk}">' not in html
    as_root.post("/providers/fallbacks/", {"who": google.pk, "add": "yes"})
    assert "There is no account with “Google Trust Services”" in text(as_root)
    for nothing in ({}, {"up": "x"}, {"add": "yes", "who": "9" * 30}):
        as_root.post("/providers/fallbacks/", nothing)
        assert "Choose a provider. Nothing was changed." in text(as_root)
    assert order() == ["zerossl"]


def test_a_fallback_that_fails_or_is_passed_over_says_so(as_root, scene: Scene, made: Made):
    assert "works" in text(as_root)
    Account.objects.filter(pk=made.second.pk).update(
        faults=3, down_since=scene.now, down_until=scene.now + timedelta(minutes=2)
    )
    assert "fails; left alone until" in text(as_root)
    Account.objects.filter(pk=made.second.pk).update(faults=1, down_until=None)
    assert "1 fault in a row" in text(as_root)
    Account.objects.filter(pk=made.second.pk).update(status=AccountStatus.REFUSED)
    assert "passed over" in text(as_root)


# ---- limits


def test_limits_in_use_are_told_with_what_is_left_and_when_it_comes_back(as_root, made: Made):
    html = text(as_root)
    assert "New orders, 3 hours" in html
    assert "96 of 300" in html
    assert "144 more; the next comes back" in html
    assert "northwind.example, 7 days" in html
    assert "the fullest of 2 registered domains" in html
    assert '<rect class="f-warn" x="0" width="31" height="8"/><rect class="f-tick" x="40"' in html
    assert "shop1.hallsteadt.example" in html
    assert "Requests, 1 second" not in html, "the tab shows what people ask for; all of them are one click away"
    assert "Requests, 1 second" in text(as_root, f"/providers/{made.account.provider_id}/limits/")


def test_a_limit_that_is_used_up_is_red_and_says_when_it_frees(as_root, made: Made):
    row = Bucket.objects.get(kind="orders")
    row.entries = [[row.mark, 240]]
    row.save()
    html = text(as_root)
    assert "240 of 300" in html
    assert "Used up; the next comes back" in html
    assert "f-bad" in html


def test_a_paused_name_is_told_with_the_cas_link_and_unpaused(as_root, made: Made):
    provider_scene.pause_name(made.account, "shop1.hallsteadt.example")
    html = text(as_root)
    assert "The CA has paused shop1.hallsteadt.example." in html
    assert 'href="https://ca.example/unpause?jwt=ey"' in html
    url = f"/providers/{made.account.provider_id}/limits/unpause/"
    html = as_root.post(url, {"name": "shop1.hallsteadt.example"}, follow=True).content.decode()
    assert "“shop1.hallsteadt.example” may be ordered again." in html
    assert "The CA has paused" not in html
    html = as_root.post(url, {"name": "shop1.hallsteadt.example"}, follow=True).content.decode()
    assert "“shop1.hallsteadt.example” is not paused." in html


def test_limits_are_changed_and_taken_back(as_root, scene: Scene, made: Made):
    url = f"/providers/{scene.provider.pk}/limits/"
    shown = dict(re.findall(r'name="(\w+)" class="input mono" value="([^"]*)"', text(as_root, url)))
    assert shown["orders"] == "300/3h/continuous"
    html = as_root.post(url, shown, follow=True).content.decode()
    assert "Nothing changes: it is set so already." in html
    scene.provider.refresh_from_db()
    assert scene.provider.limits is None
    html = as_root.post(url, {"orders": shown["orders"]}, follow=True).content.decode()
    assert "Nothing changes: it is set so already." in html, "what is left out is not lifted"
    html = as_root.post(url, {**shown, "orders": "600/3h", "domain": "none"}, follow=True).content.decode()
    assert "The limits are saved." in html
    assert "Changed by a person" in html
    assert "96 of 600" in html
    html = as_root.post(url, {"reset": "yes"}, follow=True).content.decode()
    assert "those that the CA publishes again" in html
    assert "96 of 300" in html


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("orders", "many", "is not a limit"),
        ("domain", "50", "does not say within which time"),
        ("set", "5/0s", "is not a time"),
    ],
)
def test_a_wrong_limit_is_told_at_its_field_and_keeps_what_was_typed(field, value, said, as_root, scene, made: Made):
    url = f"/providers/{scene.provider.pk}/limits/"
    html = as_root.post(url, {field: value, "failures": "7/1h"}).content.decode()
    assert said in html
    assert "Nothing was saved." in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert f'value="{value}"' in html
    assert 'value="7/1h"' in html
    scene.provider.refresh_from_db()
    assert scene.provider.limits is None


def test_a_ca_whose_limits_nobody_knows_says_so(as_root, made: Made):
    html = text(as_root, f"/providers/{made.zerossl.pk}/limits/")
    assert "publishes nothing that the panel knows of" in html
    assert "publishes no limits that the panel knows of" in html
    html = text(as_root, f"/providers/{named('actalis').pk}/limits/")
    assert "No account is registered here yet" in html


def test_a_database_that_was_set_back_is_told(as_root, scene: Scene, made: Made):
    Account.objects.filter(pk=made.account.pk).update(ledger_spent_at=scene.now, ledger_lost=12)
    assert "12 orders are counted as placed since" in text(as_root)
    Account.objects.filter(pk=made.account.pk).update(ledger_lost=None)
    assert "Counted as used up since" in text(as_root)


# ---- profiles


def test_profiles_are_the_directorys_own_with_what_is_known_of_each(as_root, scene: Scene, made: Made):
    VirtualHost.objects.filter(user__name="junipershop").update(names_covered=30)
    html = text(as_root, f"/providers/{scene.provider.pk}/profile/")
    assert html.count('type="radio" name="profile"') == 4
    assert "100 names a certificate, valid for 90 days" in html
    assert "25 names a certificate, valid for 160 hours" in html
    assert html.count("8 sites would lose names") == 2


def test_a_profile_is_chosen_and_the_renewal_set_with_it(as_root, scene: Scene, made: Made):
    url = f"/providers/{scene.provider.pk}/profile/"
    html = as_root.post(url, {"profile": "tlsserver", "renew": "40"}, follow=True).content.decode()
    assert "Saved. It holds from the next order on" in html
    scene.provider.refresh_from_db()
    assert (scene.provider.profile, scene.provider.max_names, scene.provider.renew_fraction) == ("tlsserver", 25, 0.4)
    assert 'value="40"' in html
    as_root.post(url, {"profile": "", "renew": ""})
    scene.provider.refresh_from_db()
    assert (scene.provider.profile, scene.provider.max_names, scene.provider.renew_fraction) == ("", 100, None)


def test_a_profile_that_costs_names_asks_first(as_root, scene: Scene, made: Made):
    VirtualHost.objects.filter(user__name="junipershop").update(names_covered=30)
    url = f"/providers/{scene.provider.pk}/profile/"
    html = as_root.post(url, {"profile": "shortlived", "renew": "40"}).content.decode()
    check(html)
    assert "<b>8 sites lose names</b>" in html
    scene.provider.refresh_from_db()
    assert (scene.provider.profile, scene.provider.renew_fraction) == ("", None)
    hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', html))
    assert (hidden["profile"], hidden["renew"], hidden["sure"]) == ("shortlived", "40", "shortlived")
    as_root.post(url, {name: hidden[name] for name in ("profile", "renew", "sure")})
    scene.provider.refresh_from_db()
    assert (scene.provider.profile, scene.provider.renew_fraction) == ("shortlived", 0.4)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"profile": "gold", "renew": ""}, "offers no profile “gold”"),
        ({"profile": "", "renew": "5"}, "from 10 to 90 percent"),
    ],
)
def test_what_is_wrong_with_a_profile_saves_nothing(values, said, as_root, scene: Scene, made: Made):
    html = as_root.post(f"/providers/{scene.provider.pk}/profile/", values).content.decode()
    assert said in html
    assert "Nothing was saved." in html
    scene.provider.refresh_from_db()
    assert (scene.provider.profile, scene.provider.renew_fraction) == ("", None)


def test_a_directory_without_profiles_says_so(as_root, made: Made):
    html = text(as_root, f"/providers/{made.zerossl.pk}/profile/")
    assert "offers none to choose from" in html
    assert "100 names a certificate, valid for 90 days" in html


def test_without_a_run_and_with_one(as_root, scene: Scene, made: Made):
    Run.objects.update(ended_at=scene.now)
    with CaptureQueriesContext(connection) as asked:
        as_root.get("/providers/")
    assert len(asked) <= 15


def test_what_a_preset_notes_is_said_in_the_readers_language(made):
    for one in presets.PRESETS:
        row = Row(Provider(name=one.slug, stated={"note": one.note}), None)
        assert row.note == one.note
        with translation.override("de"):
            assert row.note != one.note, one.slug
    assert Row(Provider(name="own", stated={"note": "Ours."}), None).note == "Ours."


@pytest.mark.parametrize("key", ["", "c3RpbGwtdW51c2Vk"], ids=["spent", "unused"])
def test_what_binds_an_account_stays_where_the_form_leaves_it_alone(as_root, key):
    """The HMAC key is never shown again, and gone once it has done its work."""
    made = Provider.objects.create(
        name="bound", directory_url="https://ca.example/dir", eab_kid="kid-1", eab_hmac_key=key, state="ready"
    )
    form = {"directory_url": made.directory_url, "eab_kid": "kid-1", "eab_hmac_key": "", "max_names": "7"}
    assert as_root.post(f"/providers/{made.pk}/edit/", form).status_code == 302
    made.refresh_from_db()
    typed = drafts.wished(made)
    assert (typed.max_names, typed.eab_kid, typed.eab_hmac_key) == (7, "kid-1", key)
    # For another CA, or another key id, both are needed.
    for changed in ({"directory_url": "https://other.example/dir"}, {"eab_kid": "kid-2"}):
        refused = as_root.post(f"/providers/{made.pk}/edit/", {**form, **changed})
        assert "External account binding needs both" in refused.content.decode()
