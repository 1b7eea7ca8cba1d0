"""Small truths of the pages: plurals, moments that are known, names as they are written, grouped numbers."""

import re
from datetime import timedelta

import pytest

from autossl_panel.autossl import log, standing
from autossl_panel.autossl.models import Job, Preview, PreviewAction, PreviewSite, Provider
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.web import preview_table, provider_rows, words
from autossl_panel.web.run_data import Site
from tests.web import own_scene
from tests.web.scene import Scene
from tests.web.status.world import rows as names_of


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"user": "a", "todo": 1, "sites": 5}, "a: 1 of 5 sites needs work"),
        ({"user": "a", "todo": 2, "sites": 5}, "a: 2 of 5 sites need work"),
    ],
)
def test_one_site_needs_work_and_two_need_it(data, says):
    assert log.render("user:begins", data) == says


def test_one_site_waits_for_its_next_try():
    data = {"user": "a", "waiting": 1, "sites": 5, "kept": 4}
    assert log.render("user:waits", data) == "a: 1 of 5 sites waits for its next try, 4 kept"


def test_numbers_are_grouped_from_five_digits_on():
    assert [words.number(n) for n in (0, 9999, 10_000, 1_234_567)] == ["0", "9999", "10,000", "1,234,567"]


def test_a_name_keeps_its_own_letters_where_a_sentence_begins_with_it(scene: Scene):
    job = Job.objects.filter(run=scene.past).first()
    assert job is not None
    job.problem = {"code": "elsewhere", "domain": "xn--mller-kva.example", "data": {}}
    assert Site(job, True).problem == "müller.example: points to another server"
    job.problem = {"code": "elsewhere", "domain": job.virtual_host.name, "data": {}}
    assert Site(job, True).problem == "Points to another server"


def test_a_preview_says_the_moment_that_pending_knows(scene: Scene):
    found = Preview.objects.create(server=scene.server, scope="*", asked_at=scene.now, at=scene.now)
    one, other = VirtualHost.objects.filter(user__name="brandtlaw").order_by("pk")
    at = scene.now + timedelta(minutes=38)
    VirtualHost.objects.filter(pk=one.pk).update(next_at=at)
    VirtualHost.objects.filter(pk=other.pk).update(next_at=None)
    made = [
        PreviewSite(
            preview=found, virtual_host=host, user=host.user, action=PreviewAction.FAIL, reason="dcv_all_failed"
        )
        for host in (one, other)
    ]
    known, unknown = preview_table.rows(made, found)
    assert known.at == at
    assert (unknown.at, unknown.when) == (None, "again later")


def test_the_provider_in_use_is_no_fallback_to_add(as_root, scene: Scene):
    board = provider_rows.board(scene.server, scene.now, {})
    assert board.current is not None
    assert board.current.usable
    assert board.current not in board.more_fallbacks
    html = as_root.get("/providers/").content.decode()
    assert "(in use)" not in html


def test_nothing_is_said_of_none_within_thirty_days(as_root, scene: Scene):
    VirtualHost.objects.update(expires_at=scene.now + timedelta(days=60))
    html = as_root.get("/providers/disable/").content.decode()
    assert "The first expires on" in html
    assert "within 30 days" not in html
    VirtualHost.objects.filter(state=SiteState.SECURED).update(expires_at=scene.now + timedelta(days=3))
    assert re.search(r", \d+ within 30 days\.", as_root.get("/providers/disable/").content.decode())


def test_an_expired_certificate_of_another_is_unsecured_for_root_and_for_its_user(scene: Scene, signed_in, as_root):
    own = own_scene.build(scene)
    pay = VirtualHost.objects.get(name="pay.lindner.example")
    certificate = pay.installations.get(until=None).certificate
    certificate.not_after = scene.now - timedelta(days=3)
    certificate.save()
    Provider.objects.filter(active=True).update(problem=None)
    standing.record(scene.server, [pay.pk], scene.now)
    pay.refresh_from_db()
    assert pay.state == SiteState.UNSECURED
    user = signed_in(own.login).get(f"/status/{own.user.pk}/").content.decode()
    assert names_of(user)["pay.lindner.example"][0] == "Unsecured"
    page = as_root.get(f"/certificates/{pay.pk}/").content.decode()
    assert "Unsecured" in page
    assert "Let AutoSSL take over" in page, "it is still another's, whom somebody may allow to be replaced"
    assert "Kept" in re.sub(r"<[^>]+>", "", page)
