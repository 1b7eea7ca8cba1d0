"""Certificates, Pending, Problems and Logs in a real browser: their main tasks, without script too."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from autossl_panel.autossl.models import Certificate, Installation, Job, JobState, Level, LogLine, Run
from autossl_panel.hosting.models import SiteState, VirtualHost
from tests.browser.conftest import later
from tests.support import ready
from tests.web import troubles
from tests.web.scene import Scene, build

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def scene(transactional_db: None) -> Scene:
    return troubles.add(build())


def idle(scene: Scene) -> None:
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now())


def test_a_row_opens_and_a_certificate_is_revoked(visit, scene: Scene):
    idle(scene)
    page = visit(path="/certificates/?q=junipershop.example&sort=name")
    row = page.get_by_role("row", name=re.compile("^junipershop"))
    details = row.get_by_role("link", name="Details of junipershop.example")
    expect(details).to_have_attribute("aria-expanded", "false")
    details.focus()
    page.keyboard.press("Enter")
    expect(details).to_have_attribute("aria-expanded", "true")
    opened = page.locator("tr.detail:visible")
    expect(opened).to_contain_text("E8, then ISRG Root X1")
    opened.get_by_role("link", name="Revoke", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("junipershop.example uses it now.")
    expect(dialog.get_by_role("link", name="Keep it")).to_be_focused()
    dialog.get_by_role("link", name="Keep it").click()
    expect(dialog).to_be_hidden()
    opened.get_by_role("link", name="Revoke", exact=True).click()
    dialog.get_by_label("Its private key was disclosed").check()
    dialog.get_by_role("button", name="Revoke it").click()
    page.wait_for_url("**/certificates/*/")
    expect(page.get_by_role("status").first).to_contain_text("The CA is being asked to revoke")
    assert Certificate.objects.filter(revoke_wish__isnull=False).count() == 1
    page.goto("/certificates/?q=junipershop.example")
    page.get_by_role("link", name="Details of junipershop.example").click()
    page.get_by_role("link", name="Details of junipershop.example").click()
    expect(page.locator("tr.detail:visible")).to_have_count(0)


def test_a_revocation_is_followed_to_its_end_and_nothing_changes_before(visit, scene: Scene):
    idle(scene)
    installed = Installation.objects.get(virtual_host__name="junipershop.example", until=None)
    rows = Certificate.objects.filter(pk=installed.certificate_id)
    rows.update(revoke_wish={"reason": 1, "by": "root"})
    page = visit(path=f"/certificates/{installed.virtual_host_id}/", timed=True)
    detail = page.locator("#detail")
    link = detail.get_by_role("link", name="Every line of the log about it")
    link.focus()
    for _ in range(2):
        later(page, 2)
        ready.wait(page)
    expect(detail).to_contain_text("asked for by root; a worker does it")
    expect(link).to_be_focused()
    pem = detail.get_by_role("link", name="Certificate and chain")
    pem.focus()
    rows.update(revoke_wish=None, revoked_at=timezone.now())
    VirtualHost.objects.filter(pk=installed.virtual_host_id).update(state=SiteState.UNSECURED)
    later(page, 2)
    expect(detail.locator("dt", has_text="Revoked")).to_be_visible()
    expect(page.locator("#site-state")).to_contain_text("Unsecured")
    expect(pem).to_be_focused()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    later(page, 4)
    ready.wait(page)
    assert [url for url in asked if "news=" in url] == [], "nothing is polled after the end"


def test_the_list_of_runs_says_when_one_has_ended(visit, scene: Scene):
    page = visit(path="/runs/", timed=True)
    row = page.get_by_role("row").filter(has=page.locator(f"#took-{scene.live.pk}"))
    expect(row).to_contain_text("Running")
    before = row.bounding_box()
    row.get_by_role("link").first.focus()
    Run.objects.filter(pk=scene.live.pk).update(ended_at=timezone.now(), counts={"outcomes": {"failed": 4711}})
    later(page, 5)
    expect(page.locator(f"#failed-{scene.live.pk}")).to_contain_text("4711")
    expect(row).not_to_contain_text("Running")
    expect(row.get_by_role("link").first).to_be_focused()
    assert before
    after = row.bounding_box()
    assert after
    assert after["y"] == before["y"]


def test_cells_change_in_place_while_a_run_lives(visit, scene: Scene):
    page = visit(path="/certificates/?q=lindner.example", timed=True)
    name = VirtualHost.objects.get(name="lindner.example")
    cell = page.locator(f"#next-{name.pk}")
    expect(cell).to_contain_text("Deferred, next try")
    page.get_by_role("link", name="Details of lindner.example").click()
    VirtualHost.objects.filter(pk=name.pk).update(next_reason="rate_limited", problem=None)
    idle(scene)
    later(page, 5)
    expect(cell).to_contain_text("Waits until")
    expect(page.locator("tr.detail:visible")).to_contain_text("www.lindner.example")


def test_a_problem_is_copied_and_rechecked(visit, scene: Scene):
    idle(scene)
    page = visit(path="/problems/", permissions=["clipboard-read", "clipboard-write"])
    card = page.locator("details.prob").first
    one = card.get_by_role("button", name="Copy the record for blog17.northwind.example")
    width = one.bounding_box()["width"]
    one.click()
    expect(one).to_contain_text("Copied")
    assert abs(one.bounding_box()["width"] - width) < 1
    assert page.evaluate("navigator.clipboard.readText()") == "blog17.northwind.example. 3600 IN A 203.0.113.10"
    card.get_by_role("button", name="Copy all 14").click()
    lines = page.evaluate("navigator.clipboard.readText()").splitlines()
    assert len(lines) == 14
    assert all(line.endswith(" 3600 IN A 203.0.113.10") for line in lines)
    other = page.locator("details.prob", has_text="CAA forbids")
    other.locator("summary").click()
    expect(other).to_contain_text('CAA 0 issue "letsencrypt.org"')
    other.get_by_role("button", name="Recheck 2 names").click()
    page.wait_for_url("**/runs/*/*")
    assert Run.objects.filter(asked_from="recheck", scope="user:brandtlaw").exists()


def test_new_lines_are_followed_only_at_the_foot(visit, scene: Scene):
    job = Job.objects.filter(run=scene.live, state=JobState.RUNNING).first()
    seen = iter(range(1, 10_000))

    def say(lines: int) -> int:
        for number in (numbers := [next(seen) for _ in range(lines)]):
            line = {"run": scene.live, "job": job, "user": job.user, "seq": 100 + number, "at": timezone.now()}
            LogLine.objects.create(
                **line, level=Level.SUCCESS, depth=2, event="check:secured", data={"number": 4000 + number}
            )
        return 4000 + numbers[-1]

    last = say(80)
    page = visit(path=f"/runs/{scene.live.pk}/", timed=True)
    log = page.get_by_role("log")

    def arrived(lines: int) -> str:
        number = say(lines)
        later(page, 2)
        return f"{number} secured"

    at_its_foot = (
        "(() => { const log = document.getElementById('live-lines');"
        " return log.scrollHeight - log.scrollTop - log.clientHeight <= 1 })()"
    )
    expect(log).to_contain_text(f"{last} secured")
    # The page has its lines before its script has run
    page.wait_for_function(at_its_foot)
    expect(log).to_contain_text(arrived(5))
    page.wait_for_function(at_its_foot)
    log.evaluate("log => { log.scrollTop = 100 }")
    expect(log).to_contain_text(arrived(5))
    assert log.evaluate("log => log.scrollTop") == 100, "who reads further up is left there"
    follow = page.get_by_label("Follow new lines")
    follow.uncheck()
    follow.check()
    assert page.evaluate(at_its_foot), "asking for it leads to the foot"
    follow.uncheck()
    stood = log.evaluate("log => log.scrollTop")
    expect(log).to_contain_text(arrived(5))
    assert log.evaluate("log => log.scrollTop") == stood


def test_all_of_it_goes_without_script(visit, scene: Scene):
    idle(scene)
    page = visit(path="/certificates/?q=junipershop.example", java_script_enabled=False)
    page.get_by_role("link", name="Details of junipershop.example").click()
    page.wait_for_url(f"**/certificates/{VirtualHost.objects.get(name='junipershop.example').pk}/")
    expect(page.get_by_role("main")).to_contain_text("by 5 handshakes in a row")
    page.goto("/certificates/")
    page.get_by_text("Show as a table").click()
    expect(page.get_by_role("region", name=re.compile("^Table"))).to_contain_text("Week from")
    page.goto("/problems/")
    page.locator("details.prob", has_text="CAA forbids").locator("summary").click()
    page.get_by_role("link", name="What to do, and the names").first.click()
    expect(page.get_by_role("main")).to_contain_text('CAA 0 issue "letsencrypt.org"')
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    page.get_by_role("button", name="Recheck blog1.brandtlaw.example").click()
    page.wait_for_url("**/runs/*/*")
    Run.objects.filter(asked_from="recheck").update(ended_at=timezone.now())
    page.goto("/pending/")
    page.get_by_role("button", name="Try lindner.example now").click()
    page.wait_for_url("**/runs/*/*")
    page.goto("/history/")
    page.get_by_role("searchbox").fill("lindner.example")
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_contain_text("Renewal waits until")
