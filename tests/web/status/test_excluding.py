"""SSL/TLS Status: names excluded and included, one and many, undone."""

import re
from datetime import timedelta

from django.utils import timezone

from autossl_panel.hosting.models import HostingUser, Setting, VirtualHost
from autossl_panel.people.models import AuditEntry
from tests.web.own_scene import Own
from tests.web.scene import Scene
from tests.web.status.world import excluded, pk, rows, text
from tests.web.test_pages import check as check_html
from tests.web.undoing import undo


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
