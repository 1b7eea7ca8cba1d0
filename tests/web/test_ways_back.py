"""An act that leads to a run knows the way back to the page it was asked for on; only this panel's pages count."""

import re

import pytest
from django.utils.http import urlencode

from autossl_panel.autossl.models import Job, Problem, Run
from autossl_panel.hosting.models import VirtualHost
from tests.web.scene import Scene
from tests.web.test_pages import check


@pytest.fixture
def idle(troubled: Scene) -> Scene:
    """Nothing is live, so that what is asked for begins a run."""
    Job.objects.all().delete()
    Run.objects.filter(ended_at=None).update(ended_at=troubled.now)
    return troubled


def way(client, url: str) -> tuple[str, str] | None:
    html = client.get(url).content.decode()
    check(html)
    found = re.search(r'<p class="way-back"><a href="([^"]*)">.*?</svg>([^<]*)</a>', html)
    return (found[1].replace("&amp;", "&"), found[2]) if found is not None else None


def test_a_recheck_leads_to_the_run_and_back_to_the_filtered_problems(as_root, idle: Scene):
    problem = Problem.objects.filter(quiet=False, virtual_host__held_until=None).first()
    place = f"/problems/?user={problem.user.name}"
    assert f'name="next" value="{place}"' in as_root.get(place).content.decode()
    answer = as_root.post(f"/problems/{problem.cause}/recheck/", {"name": problem.name, "next": place})
    assert re.fullmatch(r"/runs/\d+/\?from=.*", answer.url)
    assert way(as_root, answer.url) == (place, "Back to Problems")


def test_a_check_of_a_site_leads_back_there_and_that_to_the_filtered_list(as_root, idle: Scene):
    site = VirtualHost.objects.get(name="junipershop.example")
    place = f"/certificates/{site.pk}/?{urlencode({'from': '/certificates/?q=juniper'})}"
    html = as_root.get("/certificates/?q=juniper").content.decode()
    assert f'href="/certificates/{site.pk}/?from=/certificates/%3Fq%3Djuniper"' in html
    html = as_root.get(place).content.decode()
    check(html)
    assert '<a href="/certificates/?q=juniper">Certificates</a>' in html
    answer = as_root.post(f"/certificates/{site.pk}/check/", {"next": place})
    assert way(as_root, answer.url) == (place, "Back to the site")


@pytest.mark.parametrize(
    "away", ["//evil.example/problems/", "https://evil.example/problems/", "/nowhere/", "/sign-out/", "problems"]
)
def test_what_is_no_page_to_go_back_to_is_no_way(away, as_root, idle: Scene):
    run = Run.objects.latest("pk")
    assert way(as_root, f"/runs/{run.pk}/?{urlencode({'from': away})}") is None
    site = VirtualHost.objects.get(name="junipershop.example")
    html = as_root.get(f"/certificates/{site.pk}/?{urlencode({'from': away})}").content.decode()
    assert '<a href="/certificates/">Certificates</a>' in html
