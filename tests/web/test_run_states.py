"""What a run's page says of sites that were cancelled, of workers that are away, of a CA that is down."""

import re
from datetime import timedelta

import pytest

from autossl_panel.autossl import log, runs
from autossl_panel.autossl.models import Beat, Job, JobState, Level, LogLine, Run
from autossl_panel.hosting.models import HostingUser
from autossl_panel.web import run_data
from tests.web.scene import Scene
from tests.web.test_pages import check


def test_what_a_cancel_leaves_is_not_counted_as_done(as_root, scene: Scene):
    before = runs.progress(scene.live)
    queued, total = before.queued, before.total
    assert queued
    as_root.post(f"/runs/{scene.live.pk}/cancel/")
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    check(page)
    live = page[page.index('id="slot"') : page.index("</section>", page.index('id="slot"'))]
    assert f'aria-valuenow="{before.through}"' in live
    assert f"{before.through} of {total} sites" in live
    assert f", {queued} cancelled" in live
    grey = re.search(r'id="slot-rest" class="f-rest" x="(\d+)" width="(\d+)"', live)
    assert grey
    assert (int(grey[1]), int(grey[2])) == (total - queued, queued)
    assert "You may leave this page; the run goes on." not in page
    assert f"{queued} sites are left as they were." in page
    assert "What is in hand finishes its step; nothing else is begun." in page
    tiles = re.search(r'id="run-tiles".*?</div>\s*</div>', page, re.DOTALL)
    numbers = [
        int(n) for n in re.findall(r"<b>(\d+)</b>", page[page.index('id="run-tiles"') : page.index('id="run-phases"')])
    ]
    assert tiles
    assert sum(numbers) == total, "each site is in one tile"
    done = re.search(r'id="sum-done">.*?<span class="dim">(\d+) sites?</span>', page, re.DOTALL)
    assert done
    assert int(done[1]) == before.secured + before.renewed + before.kept + before.skipped
    group = as_root.get(f"/runs/{scene.live.pk}/?group=cancelled", headers={"HX-Request": "true"}).content.decode()
    assert group.count('class="site" href="/history/') == min(queued, 25)


def test_a_run_that_no_worker_has_begun_with_waits_for_one(as_root, scene: Scene):
    scene.live.lines.all().delete()
    Run.objects.filter(pk=scene.live.pk).update(surveyed_at=None)
    Job.objects.filter(run=scene.live).delete()
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    check(page)
    head = page[page.index('id="run-head"') :]
    assert "Waits for a worker" in head
    assert "Running" not in head
    assert "going on" not in head
    assert "waits for a worker" in head[head.index('id="run-phases"') :]
    assert "Waits for a worker" in as_root.get("/runs/slot/").content.decode()
    LogLine.objects.create(run=scene.live, seq=1, at=scene.now, level="out", depth=0, event="run:started", data={})
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    assert "Waits for a worker" not in page
    assert "going on" in page


def test_while_the_workers_are_lost_no_time_is_promised(as_root, scene: Scene):
    assert "left</span>" in as_root.get("/runs/slot/").content.decode()
    Beat.objects.update(at=scene.now - timedelta(minutes=18))
    slot = as_root.get("/runs/slot/").content.decode()
    assert "left</span>" not in slot
    assert "Waits for a worker" in slot
    page = as_root.get(f"/runs/{scene.live.pk}/").content.decode()
    check(page)
    assert "It goes on as soon as a worker is there." in page


def test_a_ca_that_is_down_is_no_failed_proof(as_root, scene: Scene):
    problem = {"code": "ca_unreachable", "domain": "", "data": {"text": "Connection refused", "provider": "Pebble"}}
    proven = list(Job.objects.filter(run=scene.past, outcome="secured").order_by("pk")[:3])
    Job.objects.filter(pk__in=[job.pk for job in proven]).update(
        state=JobState.ENDED, outcome="waiting", outcome_reason="ca_unreachable", phase="order", problem=problem
    )
    one = proven[0]
    page = as_root.get(f"/runs/{scene.past.pk}/?job={one.pk}").content.decode()
    check(page)
    assert "Pebble cannot be reached from this server: Connection refused." in page
    assert "could not be proved" not in page
    bars = {bar.name: bar for bar in run_data.phases(scene.past, runs.progress(scene.past))}
    assert not bars["Order"].failed
    assert bars["Prove"].failed
    assert "3 wait" in bars["Order"].text
    assert "wait" not in bars["Prove"].text


def test_a_phase_that_stopped_a_site_has_no_tick(as_root, scene: Scene):
    page = as_root.get(f"/runs/{scene.past.pk}/").content.decode()
    phases = page[page.index('id="run-phases"') :].split("<li>")[1:6]
    signs = {re.search(r"</svg>(\w+)<span>", phase)[1]: re.search(r'href="[^"]*#(\w+)"', phase)[1] for phase in phases}
    assert signs == {"Survey": "ok", "Prove": "bad", "Order": "ok", "Install": "ok", "Verify": "ok"}


def test_a_run_cancelled_before_it_began_speaks_of_no_sites(as_root, scene: Scene):
    run = runs.start("quarrybank", by=scene.root, asked_from="panel")
    runs.cancel(run, by=scene.root)
    page = as_root.get(f"/runs/{run.pk}/").content.decode()
    assert "It was cancelled before a site was looked at." in page
    assert "0 sites" not in page


def test_one_site_that_needs_nothing_is_said_in_the_singular(scene: Scene):
    groups = [(JobState.ENDED, "secured", "verify", 2)]
    for kept, said in ((1, "1 needs nothing"), (2, "2 need nothing")):
        progress = runs.Progress(secured=2, kept=kept, groups=groups)
        assert run_data.phases(scene.past, progress)[0].text == said


def test_what_is_skipped_or_waits_does_not_need_nothing(scene: Scene):
    progress = runs.Progress(kept=1, skipped=2, waiting=1)
    assert run_data.phases(scene.past, progress)[0].text == "1 needs nothing, 2 skipped, 1 waits"


def test_a_check_of_a_user_for_whom_autossl_is_off_says_so_on_top(as_root, scene: Scene):
    user = HostingUser.objects.get(name="pixelforge")
    run = Run.objects.create(
        server=scene.server, scope="user:pixelforge", asked_from="panel", started_at=scene.now, surveyed_at=scene.now,
        ended_at=scene.now, counts={"skipped": 2, "outcomes": {"skipped": 2}},
    )  # fmt: skip
    writer = log.for_run(run.pk)
    writer.lines([writer.make("user:skipped", depth=1, user_id=user.pk, user=user.name, sites=2, reason="disabled")])
    html = as_root.get(f"/runs/{run.pk}/").content.decode()
    check(html)
    assert "AutoSSL is disabled for pixelforge." in html
    assert "need nothing" not in html
    assert "2 skipped" in html


def test_a_run_that_ends_while_one_looks_leaves_nothing_that_is_over(as_root, scene: Scene):
    run = Run.objects.create(
        server=scene.server, scope="user:quarrybank", asked_from="panel", started_at=scene.now, surveyed_at=scene.now
    )
    page = as_root.get(f"/runs/{run.pk}/").content.decode()
    assert 'id="follow-new"' in page
    assert 'id="grp-queued"' in page
    assert runs.end_if_done(run.pk, now=scene.now + timedelta(seconds=0.97))
    poll = as_root.get(f"/runs/{run.pk}/live/?cursor=0:0", headers={"HX-Request": "true"})
    assert poll.status_code == 286
    html = poll.content.decode()
    for name in ("follow-new", "grp-queued"):
        assert f'id="{name}" hx-swap-oob="delete"' in html
    assert 'id="sum-queued"' not in html
    assert 'id="tab-pending"' in html
    survey, live = html.split('id="run-lines"')[1].split('<ol id="lines"')
    assert "Ended after" not in survey
    assert "Ended after 1.0 s" in live
    page = as_root.get(f"/runs/{run.pk}/").content.decode()
    assert "Ended in 1.0 s" in page, "one figure"
    assert page.count("Ended after 1.0 s") == 1
    assert page.index("Ended after 1.0 s") > page.index('class="phases"')
    assert "follow-new" not in page


def told_of_the_whole(scene: Scene, number: int) -> Run:
    """A run that ended, with so many lines about the configuration before its last two."""
    run = Run.objects.create(
        server=scene.server, scope="user:quarrybank", asked_from="panel", started_at=scene.now, surveyed_at=scene.now
    )
    writer = log.for_run(run.pk)
    facts = {"text": "is not read", "file": "/etc/nginx/a", "line": 3}
    names = (f"n{n}.example" for n in range(number))
    writer.lines(writer.make("inventory:told", Level.WARN, depth=1, name=name, **facts) for name in names)
    writer.warn("run:trouble", reason="clock", server="here", names=1, found={})
    return run


def shown(html: str) -> list[str]:
    """What its page lists of the configuration."""
    return re.findall(r"n\d+\.example", html.split('id="run-lines"')[1].split("</ol>", maxsplit=1)[0])


@pytest.mark.parametrize(
    ("number", "left_out"), [(48, ""), (49, "One line is left out here."), (60, "12 lines are left out here.")]
)
def test_a_run_with_many_lines_of_its_own_says_how_it_ended(as_root, scene: Scene, number: int, left_out: str):
    run = told_of_the_whole(scene, number)
    assert runs.end_if_done(run.pk, now=scene.now)
    html = as_root.get(f"/runs/{run.pk}/").content.decode()
    check(html)
    assert html.count("Ended after") == 1
    assert "Trouble of this server" in html, "what it found last is a part of how it ended"
    listed = shown(html)
    assert len(listed) == (number if not left_out else 48)
    assert listed[0] == "n0.example"
    assert listed[-1] == f"n{number - 1}.example"
    assert ("left out here" in html) is bool(left_out)
    if left_out:
        gap = html.split(left_out)[1].split("</li>", maxsplit=1)[0]
        assert f'href="/runs/{run.pk}/log.txt"' in gap
    text = b"".join(as_root.get(f"/runs/{run.pk}/log.txt").streaming_content).decode()
    assert len(set(re.findall(r"n\d+\.example", text))) == number
    pages = [as_root.get(f"/runs/{run.pk}/?group=run&page={page}").content.decode() for page in (1, 2)]
    assert "Ended after" in pages[0]
    whole = told_of_the_whole(scene, 130)
    assert "n129.example" in as_root.get(f"/runs/{whole.pk}/?group=run&page=2").content.decode()


def test_the_last_poll_says_how_a_run_with_many_lines_ended(as_root, scene: Scene):
    run = told_of_the_whole(scene, 60)
    assert runs.end_if_done(run.pk, now=scene.now)
    poll = as_root.get(f"/runs/{run.pk}/live/?cursor=0:3", headers={"HX-Request": "true"})
    html = poll.content.decode()
    assert poll.status_code == 286
    assert html.count("Ended after") == 1
    assert "9 lines are left out here." in html
    assert shown(html)[0] == "n3.example"
    last = run.lines.order_by("seq").last()
    assert last is not None
    assert f'value="0:{last.seq}"' in html, "nothing is asked for twice"
