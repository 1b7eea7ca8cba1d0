"""A person's page: role, e-mail, password, second factor, deactivating, removing; nobody locks themselves out."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone

from autossl_panel.hosting.models import ExclusionPattern, HostingUser
from autossl_panel.people import factors
from autossl_panel.people.models import AuditEntry, Role, User
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import PASSWORD, Scene, person
from tests.web.test_pages import check as check_html
from tests.web.undoing import undo

NEW = "another horse battery"


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


@pytest.fixture
def harborweb(own: Own, scene: Scene) -> str:
    return f"/people/{scene.harborweb.pk}/"


def reread(one: User) -> User:
    return User.objects.get(pk=one.pk)


def test_the_page_shows_what_is_known(as_root, harborweb):
    html = as_root.get(harborweb).content.decode()
    check_html(html)
    assert 'value="office@harborweb.example"' in html
    for name in ("bluefjord", "brandtlaw", "dockside", "northwind", "pixelforge"):
        assert f">{name}</a>" in html


def test_an_address_is_saved_with_its_entry(as_root, harborweb, scene: Scene):
    assert as_root.post(harborweb, {"role": "reseller", "email": "new@harborweb.example"})["Location"] == harborweb
    assert reread(scene.harborweb).email == "new@harborweb.example"
    entry = AuditEntry.objects.get()
    assert (entry.person, entry.before, entry.after) == (
        scene.root,
        {"email": "office@harborweb.example"},
        {"email": "new@harborweb.example"},
    )
    assert HostingUser.objects.filter(owner=scene.harborweb).count() == 5


def test_an_address_that_is_none_stays_in_its_field(as_root, harborweb, scene: Scene):
    html = as_root.post(harborweb, {"role": "reseller", "email": "office"}).content.decode()
    check_html(html)
    assert "“office” is not an e-mail address: it is like name@example.com. Nothing was saved." in html
    assert 'value="office"' in html
    assert reread(scene.harborweb).email == "office@harborweb.example"


def test_all_that_is_wrong_is_told_at_once(as_root, own: Own):
    row = own.login
    before = set(row.hosting_logins.values_list("name", flat=True))
    typed = {"role": "user", "hosting_users": "nosuch, lindner, noneither", "email": "a@"}
    html = as_root.post(f"/people/{row.pk}/", typed).content.decode()
    check_html(html)
    assert "There are no hosting users “nosuch”, “noneither” on this server. Nothing was saved." in html
    assert "“a@” is not an e-mail address" in html
    assert html.count('aria-invalid="true"') == 2
    assert re.search(r'<input id="hosting_users"[^>]* autofocus', html)
    assert 'value="nosuch, lindner, noneither"' in html
    html = as_root.post(f"/people/{row.pk}/", {"role": "chief", "hosting_users": "", "email": "a@"}).content.decode()
    assert "“chief” is not a role." in html
    assert "“a@” is not an e-mail address" in html
    assert set(row.hosting_logins.values_list("name", flat=True)) == before
    assert not AuditEntry.objects.exists()


def test_a_hosting_user_that_has_a_login_is_told_before_a_role_is_asked_for(as_root, harborweb, own: Own):
    wish = {"role": "user", "email": "x", "hosting_users": "lindner"}
    html = as_root.post(harborweb, wish).content.decode()
    assert "“lindner” has the login “lindner” already. Nothing was saved." in html
    assert "“x” is not an e-mail address" in html
    assert "go back to root" not in html


def test_a_role_that_lets_hosting_users_go_is_asked_for_first(as_root, harborweb, scene: Scene):
    wish = {"role": "user", "email": "kept@b.example", "hosting_users": "amberfield"}
    html = as_root.post(harborweb, wish).content.decode()
    check_html(html)
    assert "<b>5 hosting users</b> go back to root." in html
    assert reread(scene.harborweb).role == Role.RESELLER
    form = html.split('class="acts">')[1]
    hidden = dict(re.findall(r'type="hidden" name="([a-z_]+)" value="([^"]*)"', form))
    del hidden["csrfmiddlewaretoken"]
    assert hidden == {**wish, "confirmed": "yes"}
    as_root.post(harborweb, hidden)
    row = reread(scene.harborweb)
    assert (row.role, row.email) == (Role.USER, "kept@b.example")
    assert not HostingUser.objects.filter(owner=row).exists()
    assert list(row.hosting_logins.values_list("name", flat=True)) == ["amberfield"]


def test_a_role_that_loses_nothing_is_saved_at_once(as_root, own: Own):
    assert as_root.post(f"/people/{own.other.pk}/", {"role": "reseller", "email": ""}).status_code == 302
    assert reread(own.other).role == Role.RESELLER


def test_whom_a_login_signs_in_for_is_set_in_one_field(as_root, own: Own):
    page = f"/people/{own.login.pk}/"
    assert 'name="hosting_users" class="input" value="lindner"' in as_root.get(page).content.decode()
    as_root.post(page, {"role": "user", "email": "", "hosting_users": "amberfield ateliermo"})
    assert set(own.login.hosting_logins.values_list("name", flat=True)) == {"amberfield", "ateliermo"}
    html = as_root.post(page, {"role": "user", "email": "", "hosting_users": "nobodys"}).content.decode()
    assert "There is no hosting user “nobodys” on this server. Nothing was saved." in html
    assert 'value="nobodys"' in html
    assert own.login.hosting_logins.count() == 2


def test_a_typed_password_ends_sessions_elsewhere(as_root, own: Own, signed_in):
    client = signed_in(own.login)
    page = f"/people/{own.login.pk}/"
    html = as_root.post(f"{page}password/", {"password": "short"}).content.decode()
    check_html(html)
    assert re.search(r'id="password" [^>]*aria-invalid="true" aria-describedby="password-e" autofocus', html)
    assert re.search(r'id="password-e">.*?too short.*?The password stays as it was\.', html, re.DOTALL)
    assert "short" not in re.findall(r'value="([^"]*)"', html)
    assert as_root.get(f"{page}password/")["Location"] == page, "opened again, it is the page"
    assert reread(own.login).check_password(PASSWORD)
    assert as_root.post(f"{page}password/", {"password": NEW})["Location"] == page
    assert reread(own.login).check_password(NEW)
    assert client.get("/status/")["Location"].startswith("/sign-in/")
    assert NEW not in str(list(AuditEntry.objects.values()))


def test_a_generated_password_is_shown_once(as_root, own: Own):
    html = as_root.post(f"/people/{own.login.pk}/password/", {"generate": "1", "password": "ignored"}).content.decode()
    check_html(html)
    password = re.search(r'<code class="whole">([^<]+)</code>', html)[1]
    assert reread(own.login).check_password(password)
    assert "It is shown this once." in html


def test_who_sets_the_own_password_stays_signed_in_here(as_root, scene: Scene, signed_in):
    elsewhere = signed_in(scene.root)
    as_root.post(f"/people/{scene.root.pk}/password/", {"password": NEW})
    assert as_root.get("/people/").status_code == 200
    assert elsewhere.get("/people/").status_code == 302


def test_deactivating_signs_out_and_can_be_undone(as_root, own: Own, signed_in):
    client, page = signed_in(own.login), f"/people/{own.login.pk}/"
    as_root.post(f"{page}active/", {"active": "no"})
    assert not reread(own.login).is_active
    assert client.get("/status/")["Location"].startswith("/sign-in/")
    html = as_root.get(page).content.decode()
    check_html(html)
    assert "is signed out everywhere and may not sign in." in html
    assert "Reactivate" in html
    assert undo(as_root, "/people/undo/", next=page)["Location"] == page
    assert reread(own.login).is_active
    assert "“lindner” is as before." in as_root.get(page).content.decode()


def test_reactivating(as_root, own: Own):
    User.objects.filter(pk=own.login.pk).update(is_active=False)
    as_root.post(f"/people/{own.login.pk}/active/", {"active": "yes"})
    assert reread(own.login).is_active
    as_root.post(f"/people/{own.login.pk}/active/", {"active": "yes"})
    assert "Nothing changes" in as_root.get("/people/").content.decode()


def test_undo_is_offered_for_a_minute(as_root, own: Own):
    as_root.post(f"/people/{own.login.pk}/active/", {"active": "no"})
    session = as_root.session
    session["toast"] = {**session["toast"], "until": (timezone.now() - timedelta(seconds=1)).timestamp()}
    session.save()
    undo(as_root, "/people/undo/")
    assert not reread(own.login).is_active
    assert "Undo was offered for a minute" in as_root.get("/people/").content.decode()


def test_removing_says_what_follows_and_does_it(as_root, harborweb, scene: Scene):
    ExclusionPattern.objects.create(server=scene.server, owner=scene.harborweb, pattern="dev.*", at=scene.now)
    html = as_root.get(f"{harborweb}remove/").content.decode()
    check_html(html)
    assert "<b>5 hosting users</b> go back to root." in html
    assert "<b>1 exclusion pattern</b> of the reseller goes too." in html
    assert as_root.post(f"{harborweb}remove/")["Location"] == "/people/"
    assert not User.objects.filter(username="harborweb").exists()
    assert HostingUser.objects.get(name="northwind").owner is None
    assert "“harborweb” is removed. 5 hosting users are root’s now." in as_root.get("/people/").content.decode()
    assert as_root.get(harborweb).status_code == 404


def test_a_second_factor_is_shown_and_taken_from_who_is_locked_out(as_root, harborweb, own: Own, scene: Scene):
    assert as_root.get(f"{harborweb}second-factor/")["Location"] == harborweb, "there is none"
    factors.add_passkey(scene.harborweb, "Laptop", {"response": {}}, by=scene.harborweb)
    assert "passkey" in as_root.get("/people/?q=harborweb").content.decode()
    assert "Remove the second factor" in as_root.get(harborweb).content.decode()
    html = as_root.get(f"{harborweb}second-factor/").content.decode()
    check_html(html)
    assert "<b>passkey</b> and the recovery codes are gone." in html
    as_root.post(f"{harborweb}second-factor/")
    assert not factors.has_any(scene.harborweb)
    assert "the password alone signs in" in as_root.get(harborweb).content.decode()
    assert AuditEntry.objects.get(event="second_factor:reset").person == scene.root
    as_root.post(f"{harborweb}second-factor/")
    assert "“harborweb” has no second factor." in as_root.get(harborweb).content.decode()


def test_nobody_locks_themselves_out(as_root, scene: Scene):
    page = f"/people/{scene.root.pk}/"
    person("second", Role.ROOT)
    html = as_root.get(page).content.decode()
    check_html(html)
    assert "Another root deactivates or removes you." in html
    assert "Another root changes your own role." in as_root.post(page, {"role": "user", "email": ""}).content.decode()
    as_root.post(f"{page}active/", {"active": "no"})
    assert "Another root deactivates you." in as_root.get(page).content.decode()
    assert "Another root removes you." in as_root.post(f"{page}remove/").content.decode()
    row = reread(scene.root)
    assert (row.role, row.is_active) == (Role.ROOT, True)


def test_the_last_active_root_is_kept_by_whoever_asks(as_root, scene: Scene):
    second = person("second", Role.ROOT)
    User.objects.filter(pk=scene.root.pk).update(is_active=True)
    as_root.post(f"/people/{second.pk}/active/", {"active": "no"})
    assert not reread(second).is_active
    as_root.post(f"/people/{second.pk}/remove/")
    assert not User.objects.filter(pk=second.pk).exists()
    assert User.objects.filter(role=Role.ROOT, is_active=True).count() == 1
