"""The Providers tab: drafts that a worker checks, terms, registration, disabling, removing."""

import re

import pytest
from django.utils import timezone
from django_q.models import OrmQ

from autossl_panel.autossl.models import Account, AccountStatus, Provider, ProviderState
from tests.web.scene import Scene
from tests.web.test_pages import check

DRAFT = {"name": "Pebble", "directory_url": "https://127.0.0.1:14000/dir", "max_names": "100"}


def test_a_directory_is_added_as_a_draft_that_a_worker_checks(as_root):
    answer = as_root.post("/providers/add/", {**DRAFT, "private_ca": "yes"})
    row = Provider.objects.get(name="Pebble")
    assert (row.state, row.private_ca) == (ProviderState.CHECKING, True)
    assert answer["Location"] == f"/providers/?choose={row.pk}"
    assert OrmQ.objects.count() == 1
    html = as_root.get(answer["Location"]).content.decode()
    assert "The directory is being read." in html
    assert f'hx-get="/providers/{row.pk}/state/?doing=checking"' in html
    assert as_root.get(f"/providers/{row.pk}/state/").status_code == 200


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"name": "-"}, "name", "is not a name"),
        ({"directory_url": ""}, "directory_url", "Enter the https:// address"),
        ({"name": "letsencrypt"}, "name", "is in the list already"),
        ({"directory_url": "http://ca.example/"}, "directory_url", "is not an https:// address"),
        ({"ca_bundle": "junk"}, "ca_bundle", "not a bundle of certificates"),
        ({"eab_kid": "kid"}, "eab_hmac_key", "needs both"),
        ({"max_names": "many"}, "max_names", "is not a number"),
        ({"max_names": ""}, "max_names", "Enter a number of names"),
    ],
)
def test_a_draft_that_is_wrong_comes_back_with_what_was_typed(change, field, said, as_root):
    answer = as_root.post("/providers/add/", {**DRAFT, **change})
    html = answer.content.decode()
    assert answer.status_code == 200
    assert said in html
    assert f'aria-describedby="{field}-e" autofocus' in html
    assert not Provider.objects.filter(name="Pebble").exists()
    if "directory_url" not in change:
        assert DRAFT["directory_url"] in html


def test_all_that_is_wrong_is_told_at_once_and_a_secret_is_asked_for_again(as_root):
    wrong = {"name": "letsencrypt", "directory_url": "http://x/", "ca_bundle": "junk", "max_names": "0"}
    html = as_root.post("/providers/add/", {**wrong, "eab_kid": "kid", "eab_hmac_key": "a b"}).content.decode()
    check(html)
    for name in (*wrong, "eab_hmac_key"):
        assert f'id="{name}-e"' in html, name
    assert html.count("autofocus") == 1
    assert 'aria-describedby="name-e" autofocus' in html
    assert "base64url" in html
    right = {**DRAFT, "directory_url": "", "eab_kid": "kid-7", "eab_hmac_key": "c2VjcmV0"}
    html = as_root.post("/providers/add/", right).content.decode()
    assert "Enter the key once more." in html
    assert 'value="kid-7"' in html
    assert "c2VjcmV0" not in html
    assert not Provider.objects.filter(name="Pebble").exists()


def test_a_refused_draft_reopens_the_form_with_the_problem_at_its_field(as_root):
    row = Provider.objects.get(state=ProviderState.REFUSED)
    answer = as_root.get(f"/providers/{row.pk}/state/")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/providers/{row.pk}/edit/")
    html = as_root.get(f"/providers/{row.pk}/edit/").content.decode()
    assert "does not answer: connection refused." in html
    assert 'aria-describedby="directory_url-e" autofocus' in html
    assert f'href="/providers/{row.pk}/remove/"' in html, "what was a mistake goes from here, too"
    as_root.post(f"/providers/{row.pk}/edit/", {**DRAFT, "name": "ignored"})
    row.refresh_from_db()
    assert (row.name, row.state, row.directory_url) == ("Our own CA", ProviderState.CHECKING, DRAFT["directory_url"])


def test_a_change_of_a_provider_in_use_is_tried_first_and_a_refused_one_reopens_the_form(as_root, scene: Scene):
    row, url = scene.provider, "https://127.0.0.1:14000/dir"
    before = row.directory_url
    answer = as_root.post(f"/providers/{row.pk}/edit/", {**DRAFT, "name": "ignored", "directory_url": url})
    row.refresh_from_db()
    assert (row.state, row.active, row.directory_url) == (ProviderState.READY, True, before)
    html = as_root.get(answer["Location"]).content.decode()
    check(html)
    assert "The directory is being read." in html
    assert "What was set before stays in force until then." in html
    html = as_root.get(f"/providers/{row.pk}/edit/").content.decode()
    check(html)
    assert "This change is being tried." in html
    assert f'value="{url}"' in html

    problem = {"field": "directory_url", "code": "unreachable", "text": "It does not answer."}
    Provider.objects.filter(pk=row.pk).update(draft={**row.draft, "problem": problem})
    answer = as_root.get(f"/providers/{row.pk}/state/?doing=checking")
    assert (answer.status_code, answer["HX-Redirect"]) == (204, f"/providers/{row.pk}/edit/")
    html = as_root.get(f"/providers/{row.pk}/edit/").content.decode()
    check(html)
    assert "This change was refused and is not in force" in html
    assert 'aria-describedby="directory_url-e" autofocus' in html
    assert "It does not answer." in html
    assert f'value="{url}"' in html
    html = as_root.get("/providers/").content.decode()
    check(html)
    assert "what was set before is in force: It does not answer." in html
    assert "A change was refused" in html
    assert "Not registered" not in html


def test_a_preset_is_contacted_when_it_is_chosen(as_root):
    row = Provider.objects.get(name="zerossl")
    as_root.post("/providers/", {"provider": str(row.pk)})
    row.refresh_from_db()
    assert row.state == ProviderState.CHECKING
    Provider.objects.filter(pk=row.pk).update(state=ProviderState.READY, terms_url="https://ca.example/terms")
    assert as_root.get(f"/providers/{row.pk}/state/")["HX-Redirect"] == f"/providers/?choose={row.pk}"
    html = as_root.get(f"/providers/?choose={row.pk}").content.decode()
    assert f'value="{row.pk}" checked' in html
    assert "https://ca.example/terms" in html


def test_a_contact_that_is_no_address_is_told_at_its_field_and_the_ticks_stay(as_root, scene: Scene):
    row = Provider.objects.get(name="google")
    Provider.objects.filter(pk=row.pk).update(eab_required=False, terms_url="https://ca.example/terms")
    typed = {"provider": str(row.pk), f"agree_terms-{row.pk}": "on", f"only-{row.pk}": "on"}
    html = as_root.post("/providers/", {**typed, f"contact-{row.pk}": "not an address"}).content.decode()
    assert "“not an address” is not an e-mail address: it is like name@example.com." in html
    assert re.search(rf'name="contact-{row.pk}"[^>]* value="not an address"[^>]* aria-invalid="true"', html)
    assert f'name="agree_terms-{row.pk}" checked' in html
    assert f'name="only-{row.pk}" checked' in html
    assert not Account.objects.filter(provider=row).exists()
    as_root.post("/providers/", {**typed, f"contact-{row.pk}": " mailto:Ops@HOST.example "})
    assert Account.objects.get(provider=row).contact == "Ops@host.example"


def test_terms_have_to_be_agreed_to(as_root, scene: Scene):
    row = Provider.objects.get(name="google")
    Provider.objects.filter(pk=row.pk).update(eab_required=False)
    html = as_root.post("/providers/", {"provider": str(row.pk), f"contact-{row.pk}": "me@x.example"}).content.decode()
    assert "registers only those who agree to its terms" in html
    assert "me@x.example" in html
    assert not Account.objects.filter(provider=row).exists()
    answer = as_root.post("/providers/", {"provider": str(row.pk), f"agree_terms-{row.pk}": "on"})
    account = Account.objects.get(provider=row)
    assert account.status == AccountStatus.REGISTERING
    assert account.terms_agreed_at is not None
    assert "The account is being registered." in as_root.get(answer["Location"]).content.decode()
    scene.provider.refresh_from_db()
    assert scene.provider.active, "the old one stays in use until the new one is registered"


def test_external_account_binding_is_asked_for_and_kept_for_the_worker(as_root):
    row = Provider.objects.get(name="google")
    post = {"provider": str(row.pk), f"agree_terms-{row.pk}": "on"}
    assert "give its key id and HMAC key" in as_root.post("/providers/", post).content.decode()
    html = as_root.post("/providers/", {**post, f"eab_kid-{row.pk}": "kid-1"}).content.decode()
    assert "needs both" in html
    assert 'value="kid-1"' in html
    as_root.post("/providers/", {**post, f"eab_kid-{row.pk}": "kid-1", f"eab_hmac_key-{row.pk}": "c2VjcmV0"})
    row.refresh_from_db()
    assert (row.eab_kid, row.eab_hmac_key) == ("kid-1", "c2VjcmV0")
    assert Account.objects.get(provider=row).status == AccountStatus.REGISTERING
    assert "c2VjcmV0" not in as_root.get("/providers/").content.decode(), "the key is never shown again"


def test_a_refused_registration_is_told_at_its_field(as_root, scene: Scene):
    row = Provider.objects.get(name="google")
    Account.objects.create(
        provider=row,
        server=scene.server,
        status=AccountStatus.REFUSED,
        problem={"field": "eab_kid", "code": "eab", "text": "The CA does not know this key."},
    )
    html = as_root.get(f"/providers/?choose={row.pk}").content.decode()
    assert "The CA does not know this key." in html
    assert f'aria-describedby="e-{row.pk}"' in html


def test_disabling_says_what_lapses_and_asks_for_the_servers_name(as_root, scene: Scene):
    assert as_root.post("/providers/", {"provider": "off"})["Location"] == "/providers/disable/"
    html = as_root.get("/providers/disable/").content.decode()
    assert "<b>81 certificates</b> will not be renewed." in html
    assert "1 within 30 days" in html
    wrong = as_root.post("/providers/disable/", {"server": "web04"})
    assert "That is not the server’s name." in wrong.content.decode()
    scene.provider.refresh_from_db()
    assert scene.provider.active
    as_root.post("/providers/disable/", {"server": scene.server.name.upper()})
    scene.provider.refresh_from_db()
    assert not scene.provider.active
    assert "AutoSSL is disabled" in as_root.get("/providers/").content.decode()
    assert as_root.get("/")["Location"] == "/providers/"


def test_only_what_was_never_used_can_be_removed(as_root, scene: Scene):
    html = as_root.post(f"/providers/{scene.provider.pk}/remove/").content.decode()
    assert "is in use. Choose another provider first." in html
    row = Provider.objects.get(name="zerossl")
    assert "Remove “ZeroSSL”?" in as_root.get(f"/providers/{row.pk}/remove/").content.decode()
    as_root.post(f"/providers/{row.pk}/remove/")
    assert not Provider.objects.filter(name="zerossl").exists()
    assert "“ZeroSSL” is removed." in as_root.get("/providers/").content.decode()


def test_register_again_needs_the_terms_that_are_in_force(as_root, scene: Scene):
    as_root.post(f"/providers/{scene.provider.pk}/register/")
    assert Account.objects.get(provider=scene.provider).status == AccountStatus.REGISTERING
    Account.objects.update(status=AccountStatus.VALID, terms_agreed_at=timezone.now())
    Provider.objects.filter(pk=scene.provider.pk).update(terms_url="https://ca.example/new-terms")
    html = as_root.post(f"/providers/{scene.provider.pk}/register/", follow=True).content.decode()
    assert "registers only those who agree" in html
    assert "changed its terms" in html
    assert Account.objects.get(provider=scene.provider).status == AccountStatus.VALID


def test_asking_the_directory_again(as_root, scene: Scene):
    as_root.post(f"/providers/{scene.provider.pk}/check/")
    as_root.post(f"/providers/{scene.provider.pk}/check/")
    assert OrmQ.objects.count() == 1


@pytest.mark.parametrize(
    "terms", ["javascript:alert(1)", "data:text/plain,Do%20what%20<b>thou", "https://ca.example/terms"]
)
def test_only_an_address_for_people_becomes_a_link(as_root, terms: str):
    """What a CA gives as its terms is a stranger's text."""
    Provider.objects.filter(active=True).update(terms_url=terms)
    Account.objects.update(terms_url=terms, terms_agreed_at=timezone.now())
    html = as_root.get("/providers/").content.decode()
    assert html.count(f'href="{terms}"') == (2 if terms.startswith("https:") else 0)
    assert "<b>thou" not in html
    assert "terms of service" in html.lower()
