"""While no provider is in use, each page says so to everybody who reads it, and promises nothing."""

import re

import pytest

from autossl_panel.autossl.models import Job, Provider, Run
from autossl_panel.hosting.models import Domain, HostingUser, SiteState, VirtualHost
from autossl_panel.web import words
from tests.web import own_scene
from tests.web.scene import Scene
from tests.web.status.world import rows, text
from tests.web.test_pages import check

PAGES = ("/certificates/", "/pending/", "/problems/", "/users/", "/runs/", "/options/", "/providers/")


@pytest.fixture
def off(troubled: Scene) -> Scene:
    Provider.objects.update(active=False)
    return troubled


@pytest.mark.parametrize("url", PAGES)
def test_every_page_says_it_to_root_with_what_lapses(url, as_root, off: Scene):
    html = as_root.get(url).content.decode()
    check(html)
    banner = re.search(r'id="disabled">(.*?)</div>', html, re.DOTALL)
    assert banner, url
    assert "AutoSSL is disabled on this server." in banner[1]
    ours = VirtualHost.objects.filter(
        state__in=(SiteState.SECURED, SiteState.PARTLY), gone_at__isnull=True, expires_at__gt=off.now
    )
    first = ours.order_by("expires_at").first()
    assert first is not None
    assert first.expires_at is not None
    said = f"{ours.count()} certificates will lapse, the first on {words.day(first.expires_at, off.now)}."
    assert said in re.sub(r"<[^>]+>", "", banner[1])
    assert '<time datetime="' in banner[1]
    assert 'href="/providers/"' in banner[1]
    head = re.search(r"Next regular check</dt>\s*<dd[^>]*>(.*?)</dd>", html, re.DOTALL)
    assert head
    assert text(head[1]) == "None"


def test_nobody_is_checked_and_the_buttons_say_why(as_root, off: Scene):
    user = HostingUser.objects.get(name="quarrybank")
    Run.objects.filter(ended_at__isnull=True).update(ended_at=off.now)
    Job.objects.filter(run__ended_at=off.now).delete()
    number = Run.objects.count()
    for url in ("/users/", f"/status/{user.pk}/"):
        html = as_root.get(url).content.decode()
        button = re.search(r"<button[^>]*>Check “quarrybank”", html)
        assert button, url
        assert 'disabled title="AutoSSL is disabled on this server."' in button[0]
    answer = as_root.post(f"/users/{user.pk}/check/", follow=True).content.decode()
    assert "AutoSSL is disabled on this server. Nothing was tried." in answer
    assert Run.objects.count() == number


def test_a_reseller_reads_who_can_change_it(as_reseller, off: Scene):
    html = as_reseller.get("/certificates/").content.decode()
    check(html)
    assert "Nothing is ordered or renewed. Root can change this." in html
    assert "will lapse" not in html


def test_no_site_is_promised_a_renewal_or_another_try(as_root, off: Scene):
    html = as_root.get("/certificates/").content.decode()
    main = html[html.index('id="main"') :]
    for promise in ("Renews", "Next try", "Looks again", "Deferred, next"):
        assert promise not in main, promise
    assert "Lapses: AutoSSL is disabled" in main
    assert "none of these is renewed" in main
    secured = VirtualHost.objects.filter(state=SiteState.SECURED).first()
    assert secured is not None
    page = as_root.get(f"/certificates/{secured.pk}/").content.decode()
    assert "Nothing <span" in page
    assert "· AutoSSL is disabled" in page
    waiting = as_root.get("/pending/").content.decode()
    assert "within a minute" not in re.search(r"<tbody>(.*)</tbody>", waiting, re.DOTALL)[1]  # type: ignore[index]


def test_a_hosting_user_reads_that_nothing_renews_and_no_name_is_called_unfit(scene: Scene, signed_in):
    own = own_scene.build(scene)
    Domain.objects.filter(virtual_host__name="blog1.lindner.example").update(unfit="not_public")
    url = f"/status/{own.user.pk}/"
    client = signed_in(own.login)
    # By a public CA's measure they cannot be asked for; without a provider nobody measures
    assert rows(client.get(url).content.decode())["printer.local"][0] == "Left out"
    Provider.objects.update(active=False)
    html = client.get(url).content.decode()
    check(html)
    shown = rows(html)
    assert shown["printer.local"][0] == "Unsecured"
    assert shown["blog1.lindner.example"][0] == "Secured"
    assert "nothing renews it" in shown["blog1.lindner.example"][1]
    assert "AutoSSL is on for this account" not in html
    line = re.search(r'id="status-line">(.*?)</p>', html)
    assert line
    assert line[1].endswith("AutoSSL is disabled on this server.")
    assert html.count("<b>AutoSSL is disabled on this server.</b>") == 1, "told once, with what it means for this user"
    host = VirtualHost.objects.get(name="blog1.lindner.example")
    HostingUser.objects.filter(pk=own.user.pk).update(owner=scene.harborweb)
    page = signed_in(scene.root).get(f"/certificates/{host.pk}/").content.decode()
    assert "At risk" not in page
