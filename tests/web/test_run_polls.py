"""What a live run's page asks for again and again, and what it is told."""

import re
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from autossl_panel.autossl.models import Job, JobState, Level, LogLine, Problem, Run
from tests.web.scene import Scene


def cursor_of(html: str) -> str:
    return re.search(r'id="cursor" name="cursor" value="([^"]*)"', html)[1]


def test_the_poll_appends_each_line_once(as_root, scene: Scene):
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    url = f"/runs/{scene.live.pk}/live/"
    quiet = as_root.get(url, {"cursor": cursor_of(page)})
    assert quiet.status_code == 200
    assert "<li class" not in quiet.content.decode().split('id="lines"')[1]
    job = Job.objects.filter(run=scene.live, state=JobState.RUNNING).first()
    line(scene.live, job, 50, "check:secured", number=77)
    first = as_root.get(url, {"cursor": cursor_of(page)}).content.decode()
    assert first.count("77 secured") == 1
    again = as_root.get(url, {"cursor": cursor_of(first)}).content.decode()
    assert "77 secured" not in again
    # The last words of a site that ended between two polls are not lost.
    line(scene.live, job, 51, "check:secured", number=78)
    Job.objects.filter(pk=job.pk).update(
        state=JobState.ENDED, outcome="secured", ended_at=timezone.now() - timedelta(minutes=1)
    )
    last = as_root.get(url, {"cursor": cursor_of(again)}).content.decode()
    assert last.count("78 secured") == 1
    assert f"{job.pk}:" not in cursor_of(last)


def line(run: Run, job: Job, seq: int, event: str, **data: object) -> None:
    LogLine.objects.create(
        run=run,
        job=job,
        user=job.user,
        seq=seq,
        at=timezone.now(),
        level=Level.SUCCESS,
        depth=2,
        event=event,
        data=data,
    )


def test_the_polls_end_with_the_run(as_root, scene: Scene):
    assert as_root.get("/runs/slot/").status_code == 200
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())
    live = as_root.get(f"/runs/{scene.live.pk}/live/")
    assert live.status_code == 286
    assert "The run has ended" in live.content.decode()
    slot = as_root.get("/runs/slot/")
    assert slot.status_code == 286
    assert "Run AutoSSL For All Users" in slot.content.decode()
    assert "hx-trigger" not in slot.content.decode()


def test_with_the_end_of_a_run_the_tabs_and_the_head_are_told_anew(as_root, as_reseller, troubled: Scene):
    page = as_root.get("/users/").content.decode()
    assert 'id="tab-pending"' in page
    assert "hx-swap-oob" not in as_root.get("/runs/slot/").content.decode(), "only when something changed"
    Run.objects.filter(pk=troubled.live.pk).update(ended_at=timezone.now())
    Problem.objects.filter(code="nxdomain").delete()

    def told(client, at: str) -> dict[str, str]:
        headers = {"HX-Request": "true", "HX-Current-URL": f"http://testserver{at}"}
        html = client.get("/runs/slot/", headers=headers).content.decode()
        assert 'id="next-check" hx-swap-oob="true"' in html
        return dict(re.findall(r'id="tab-(\w+)"[^>]* hx-swap-oob="true"><span class="sr">: </span>(\d+)<', html))

    def listed(client) -> dict[str, str]:
        html = client.get("/users/").content.decode()
        return dict(re.findall(r'id="tab-(\w+)"[^>]*><span class="sr">: </span>(\d+)<', html))

    for client in (as_root, as_reseller):
        assert told(client, "/users/?q=a") == listed(client) != {}
    assert told(as_root, "/problems/?kind=dns").keys() == {"pending"}, "its own agrees with what it lists"


@pytest.mark.parametrize(
    "cursor", ["", "x", "1:2:3", "-1:-2", ",".join(f"{n}:1" for n in range(5000)), "9" * 40 + ":1"]
)
def test_a_cursor_that_is_none_does_no_harm(cursor, as_root, scene: Scene):
    assert as_root.get(f"/runs/{scene.live.pk}/live/", {"cursor": cursor}).status_code == 200


def test_a_poll_has_a_place_on_the_page_for_all_that_it_brings(as_root, as_reseller, scene: Scene):
    for client in (as_root, as_reseller):
        page = client.get(f"/runs/{scene.live.pk}/").content.decode()
        fresh = client.get(f"/runs/{scene.live.pk}/live/").content.decode()
        for one in re.findall(r'<[^>]*id="([^"]+)"[^>]*hx-swap-oob', fresh):
            assert f'id="{one}"' in page


def test_a_cursor_never_opens_another_ones_lines(as_reseller, scene: Scene):
    strange = Job.objects.filter(run=scene.live, user__name="hallsteadt").first()
    answer = as_reseller.get(f"/runs/{scene.live.pk}/live/", {"cursor": f"{strange.pk}:0"}).content.decode()
    assert "hallsteadt" not in answer


def test_a_poll_costs_few_questions_whatever_the_size_of_the_run(as_root, scene: Scene):
    with CaptureQueriesContext(connection) as queries:
        as_root.get(f"/runs/{scene.live.pk}/live/")
    assert len(queries) <= 12
    with CaptureQueriesContext(connection) as queries:
        as_root.get("/runs/slot/")
    assert len(queries) <= 8


def test_a_poll_brings_the_failures_only_when_there_are_more(scene, as_root):
    url = f"/runs/{scene.live.pk}/live/"
    html = as_root.get(url).content.decode()
    failed = re.search(r'id="failed" name="failed" value="(\d+)"', html)
    assert failed
    assert 'id="run-failed"' not in as_root.get(url, {"failed": failed[1]}).content.decode()
    assert 'id="run-failed"' in as_root.get(url, {"failed": int(failed[1]) - 1}).content.decode()
    assert 'id="run-failed"' in as_root.get(url, {"failed": "x"}).content.decode()
