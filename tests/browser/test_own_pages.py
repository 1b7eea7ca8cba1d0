"""SSL/TLS Status and People in a real browser: by clicks, by keyboard alone, without script."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from autossl_panel.autossl import log
from autossl_panel.autossl.models import Job, JobState, Run
from autossl_panel.hosting.models import Domain, Exclusion, FeatureList, HostingUser, VirtualHost
from autossl_panel.people.models import Role, User
from tests.browser.conftest import later
from tests.support import ready
from tests.web import own_scene
from tests.web.own_scene import Own
from tests.web.scene import Scene

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def own(scene: Scene) -> Own:
    return own_scene.build(scene)


def excluded() -> set[str]:
    return set(Exclusion.objects.values_list("name", flat=True))


def row(page: Page, name: str):
    return page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))


def top_of(target) -> float:
    """Where it stands on the page, however far that is scrolled."""
    return target.evaluate("element => element.getBoundingClientRect().top + scrollY")


def press_until_focused(page: Page, target, key: str = "Tab", most: int = 120) -> None:
    for _ in range(most):
        if target.evaluate("element => element === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError("the keyboard does not get there")


def test_a_name_is_excluded_in_place_and_the_undo_is_at_hand(visit, own: Own):
    page = visit("lindner", f"/status/{own.user.pk}/")
    mail = row(page, "mail.lindner.example")
    place = top_of(mail)
    mail.get_by_role("button", name="Exclude").click()
    expect(mail).to_contain_text("Excluded by you on")
    expect(page.locator("#status-line")).to_contain_text("9 of 11 names are covered, 1 needs you.")
    button = mail.get_by_role("button", name="Include")
    expect(button).to_be_focused()
    assert top_of(mail) == place, "nothing jumps"
    assert excluded() == {"mail.lindner.example", "intern.lindner.example"}
    page.locator("#toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("1 name is as before.")).to_be_visible()
    assert excluded() == {"intern.lindner.example"}


def test_the_check_of_the_own_account_is_followed_to_its_end(visit, own: Own, scene: Scene):
    Run.objects.update(ended_at=timezone.now())
    Job.objects.update(state=JobState.ENDED, outcome="secured", ended_at=timezone.now())
    page = visit("lindner", f"/status/{own.user.pk}/", timed=True)
    page.get_by_role("button", name="Run AutoSSL").click()
    expect(page.get_by_role("link", name="Checking your sites")).to_be_visible()
    run = Run.objects.get(ended_at=None)
    assert run.scope == "user:lindner"
    host = VirtualHost.objects.get(name="shop.lindner.example")
    job = Job.objects.create(
        run=run, server=run.server, virtual_host=host, user=own.user, action="new", reason="missing", job_class=1,
        state=JobState.RUNNING, queued_at=timezone.now(), started_at=timezone.now(),
    )  # fmt: skip
    log.for_job(job).success("check:secured", number=4711)
    later(page, 2)
    expect(page.get_by_role("log")).to_contain_text("4711 secured")
    Domain.objects.get(name="shop.lindner.example").verdict.delete()
    VirtualHost.objects.filter(pk=host.pk).update(next_at=timezone.now())
    Job.objects.filter(pk=job.pk).update(state=JobState.ENDED, outcome="secured", ended_at=timezone.now())
    Run.objects.filter(pk=run.pk).update(ended_at=timezone.now())
    later(page, 2)
    expect(page.get_by_role("button", name="Run AutoSSL")).to_be_visible()
    later(page, 5)
    expect(row(page, "shop.lindner.example")).to_contain_text("Waiting")
    # What is said to be looked at within a minute is followed until it was.
    with page.expect_response(lambda answer: answer.status == 286):
        VirtualHost.objects.filter(user=own.user).update(next_at=timezone.now() + timedelta(days=1))
        later(page, 5)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for _ in range(3):
        later(page, 5)
    ready.wait(page)
    assert asked == [], "nothing is polled after the end"


def test_own_names_are_managed_by_keyboard_alone(visit, own: Own):
    page = visit("lindner", f"/status/{own.user.pk}/?q=mail")
    box = page.get_by_label("Select mail.lindner.example")
    press_until_focused(page, box)
    page.keyboard.press("Space")
    bulk = page.get_by_role("button", name=re.compile("^Exclude 1"))
    expect(bulk).not_to_have_attribute("aria-disabled", "true")
    press_until_focused(page, bulk, "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("“mail.lindner.example” is excluded.")
    press_until_focused(page, page.locator("#undo"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 name is as before.")).to_be_visible()
    assert excluded() == {"intern.lindner.example"}


def test_own_names_without_script(visit, own: Own, scene: Scene):
    Run.objects.update(ended_at=timezone.now())
    page = visit("lindner", f"/status/{own.user.pk}/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("farm3")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=farm3**")
    page.get_by_label("Select farm3.lindner.example").check()
    page.get_by_role("button", name=re.compile("^Exclude")).first.click()
    expect(page.locator("#toast")).to_contain_text("“farm3.lindner.example” is excluded.")
    page.get_by_role("button", name="Undo").click()
    row(page, "farm3.lindner.example").get_by_role("button", name="Exclude").click()
    expect(page.locator("#toast")).to_contain_text("“farm3.lindner.example” is excluded.")
    assert excluded() == {"farm3.lindner.example", "intern.lindner.example"}
    page.get_by_role("button", name="Run AutoSSL").click()
    expect(page.get_by_role("link", name="Reload")).to_be_visible()
    page.get_by_role("link", name="Whole log").click()
    expect(page.get_by_role("heading", name=re.compile("^Checking your sites"))).to_be_visible()


def test_a_login_is_added_and_given_its_account_by_keyboard_alone(visit, own: Own):
    page = visit("root", "/people/")
    press_until_focused(page, page.get_by_role("link", name="Add a person"))
    page.keyboard.press("Enter")
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("anna")
    press_until_focused(page, page.get_by_label("Signs in for"))
    page.keyboard.type("amberfield")
    press_until_focused(page, page.get_by_role("button", name="Add the person"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="“anna” is added")).to_be_visible()
    label, password = page.locator(".record.secret .rec > span"), page.locator("code.whole").inner_text()
    assert label.evaluate("one => one.getClientRects().length && one.offsetHeight") < 30, "its label stands in one line"
    anna = User.objects.get(username="anna")
    assert anna.check_password(password)
    assert HostingUser.objects.get(name="amberfield").login == anna


def test_hosting_users_are_given_away_in_bulk(visit, own: Own):
    page = visit("root", "/people/users/?state=root")
    page.get_by_label("Select all on this page").check()
    expect(page.locator(".bulk .sel")).to_contain_text("Selected 11")
    page.get_by_label("Select amberfield").uncheck()
    page.get_by_label("Owner to give them to").select_option("harborweb")
    page.get_by_role("button", name=re.compile("^Give 10")).click()
    expect(page.locator("#toast")).to_contain_text("10 hosting users are given to “harborweb”.")
    assert HostingUser.objects.get(name="amberfield").owner is None
    assert HostingUser.objects.filter(owner__username="harborweb").count() == 15
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("10 hosting users are set as before.")).to_be_visible()


def test_people_without_script(visit, own: Own):
    page = visit("root", "/people/", java_script_enabled=False)
    page.get_by_role("link", name="nobody").click()
    page.get_by_label("Role", exact=True).select_option(label="reseller")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("“nobody” is saved.")).to_be_visible()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.locator("#toast")).to_contain_text("is signed out everywhere")
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("link", name="Remove for good").click()
    page.get_by_role("button", name="Remove the person").click()
    expect(page.get_by_text("“nobody” is removed.")).to_be_visible()
    page.get_by_role("link", name="Feature lists").click()
    page.get_by_role("link", name="Edit parked").click()
    page.get_by_label("On", exact=True).check()
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#toast")).to_contain_text("“parked” says on.")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toast")).to_contain_text("“parked” is as before.")
    assert not FeatureList.objects.get(name="parked").autossl
    assert not User.objects.filter(username="nobody").exists()


def test_a_role_that_signs_in_for_nobody_has_no_such_field(visit, own: Own):
    page = visit("root", "/people/add/")
    expect(page.get_by_label("Signs in for")).to_be_visible()
    page.get_by_label("Role", exact=True).select_option(Role.RESELLER.value)
    expect(page.get_by_label("Signs in for")).to_be_hidden()


def test_chips_and_the_last_check_follow_what_the_page_swaps_in(visit, own: Own, scene: Scene):
    Run.objects.update(ended_at=timezone.now())
    Job.objects.update(state=JobState.ENDED, outcome="secured", ended_at=timezone.now())
    tomorrow = timezone.now() + timedelta(days=1)
    VirtualHost.objects.filter(user=own.user).update(next_at=tomorrow)
    page = visit("lindner", f"/status/{own.user.pk}/", timed=True)
    chips = page.get_by_role("navigation", name="Filter domains")
    expect(chips.get_by_role("link", name="At risk 1")).to_be_visible()
    expect(page.locator("#last-check")).not_to_contain_text("just now")
    page.get_by_role("button", name="Exclude mail.lindner.example").click()
    expect(chips.get_by_role("link", name="Excluded 2")).to_be_visible()
    expect(chips.get_by_role("link", name="At risk")).to_be_hidden()
    HostingUser.objects.filter(pk=own.user.pk).update(last_check_at=timezone.now())
    VirtualHost.objects.filter(user=own.user).update(next_at=tomorrow)
    later(page, 5)
    expect(page.locator("#last-check")).to_contain_text("just now")
