"""Each screen's main task on a real box, a function each, with the effect that it has outside of the panel.

They follow one another on one server, as in test_sandbox_round.py; each begins where its page is opened."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.cases import CASES
from autossl_panel.sandbox.pebble import Pebble
from tests.browser.hands import Keyboard
from tests.browser.on_box import SOON_SECONDS, Visitors, serial_of, served, wait_ended, wait_reloaded, wait_served
from tests.support.server import PASSWORD

MOVED = ("fahrrad-weber.example", "www.fahrrad-weber.example", "shop.gartenbau-lindner.example")
RECORD = re.compile(r"^(\S+)\. \d+ IN A (\S+)$")
# An hour after the sign-in
HOUR_LATER = """
from autossl_panel.people.adapter import PROVED_AT
from autossl_panel.people.models import Session
from autossl_panel.people.session_store import SessionStore
for session in Session.objects.filter(person__username="root", session_data__gt=""):
    store = SessionStore(session.pk)
    store[PROVED_AT] -= 3600
    store.save()
"""


@dataclass(frozen=True, slots=True)
class Round:
    """Who takes part, each on a page of their own, and the CA to rehearse at."""

    visitors: Visitors
    root: Page
    reseller: Page
    user: Page
    staging: Pebble

    @property
    def box(self) -> Box:
        return self.visitors.panel.box


def toast(page: Page) -> Locator:
    return page.locator("#toast")


def mend_names_that_point_elsewhere(here: Round) -> None:
    """The records that the card says are set in the DNS; a recheck secures the names, and the card is gone."""
    page, box = here.root, here.box
    assert served(box, MOVED[0]) is None
    page.goto("/problems/")
    card = page.get_by_role("group").filter(has=page.get_by_role("heading", name="3 names point to another server"))
    card.get_by_text("2 more records").click()
    records = [match for line in card.locator("code").all_inner_texts() if (match := RECORD.match(line))]
    assert {match[1]: match[2] for match in records} == dict.fromkeys(MOVED, box.address)
    for match in records:
        box.set_dns(match[1], a=[match[2]])
    card.get_by_role("button", name="Recheck 3 names").click()
    wait_ended(page)
    for name in MOVED:
        facts = wait_served(box, name, lambda facts, name=name: facts.covers(name))
        assert facts.serial in {issued.serial.lstrip("0") for issued in box.issuances()}
    page.goto("/problems/")
    expect(page.get_by_role("heading", name="2 names have no address in DNS")).to_be_visible()
    expect(page.get_by_role("heading", name="point to another server")).to_have_count(0)


def check_the_own_account(here: Round) -> None:
    """An own name is excluded: a check has its place on the certificate taken by one that had none. And back."""
    page, box = here.user, here.box
    site, name, next_one = "imkerei-wald.example", "blog.imkerei-wald.example", "termine.imkerei-wald.example"
    page.goto("/status/")
    before = served(box, site)
    assert before is not None
    assert (before.covers(name), before.covers(next_one)) == (True, False)
    page.get_by_role("button", name=f"Exclude {name}", exact=True).click()
    expect(toast(page)).to_contain_text(f"“{name}” is excluded.")
    page.get_by_role("button", name="Run AutoSSL").click()
    expect(page.get_by_role("link", name="Checking your sites")).to_be_visible()
    check = page.get_by_role("region", name="This check")
    expect(check.get_by_role("log").get_by_role("listitem").first).to_be_attached()
    expect(check.locator("#ran")).not_to_contain_text("Running", timeout=SOON_SECONDS * 1000)
    expect(page.get_by_role("button", name="Run AutoSSL")).to_be_visible()
    after = wait_served(box, site, lambda facts: facts.covers(next_one))
    assert not after.covers(name)
    page.reload()
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name, exact=True))
    expect(row).to_contain_text("Excluded")
    row.get_by_role("button", name="Include").click()
    expect(toast(page)).to_contain_text(f"“{name}” is included again")
    expect(row).not_to_contain_text("Excluded")


def disable_a_user_by_keyboard(here: Round) -> None:
    """The reseller turns AutoSSL off for a user and takes it back, and has the user checked: no hand on the mouse."""
    page, panel = here.reseller, here.visitors.panel
    hand = Keyboard(page)
    page.goto("/users/")
    before = serial_of(here.box, "tischlerei-eiche.example")
    choice = page.get_by_role("group", name="AutoSSL for hanna")
    hand.tick(choice.get_by_label("Disabled"))
    expect(toast(page)).to_contain_text("AutoSSL is off for “hanna”.")
    hand.press(toast(page).get_by_role("button", name="Undo"))
    expect(page.get_by_text("1 user is set as before.")).to_be_visible()
    expect(choice.get_by_role("radio", name="Use feature list default")).to_be_checked()
    hand.press(page.get_by_role("button", name="Check “hanna”"))
    wait_ended(page)
    page.goto("/users/")
    expect(page.get_by_role("row", name="hanna")).to_contain_text("1 failed: the name has no address in DNS")
    assert panel.status()["tischlerei-eiche.example"]["state"] == "secured"
    assert serial_of(here.box, "tischlerei-eiche.example") == before


def open_site(page: Page, name: str) -> None:
    page.goto(f"/certificates/?q={name}")
    page.get_by_role("rowheader").get_by_role("link", name=name).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def revoke_a_certificate(here: Round) -> None:
    """Who is there is asked first; then the CA has it revoked, and the site gets and serves another. And once more."""
    page, box = here.root, here.box
    site = "alpenblick.example"
    before = serial_of(box, site)
    assert not box.pebble.is_revoked(before)
    open_site(page, site)
    here.visitors.panel.run("shell", "--verbosity", "0", "--command", HOUR_LATER)
    _ask_to_revoke(page)
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    assert not box.pebble.is_revoked(before)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Go on", exact=True).click()
    second = _wait_replaced(here, site, before)
    open_site(page, site)
    _ask_to_revoke(page)
    third = _wait_replaced(here, site, second)
    assert not box.pebble.is_revoked(third)


def _ask_to_revoke(page: Page) -> None:
    page.get_by_role("link", name="Revoke", exact=True).click()
    page.get_by_label("Its private key was disclosed").check()
    page.get_by_role("button", name="Revoke it").click()


def _wait_replaced(here: Round, site: str, before: str) -> str:
    """The serial of what takes the place of a certificate that is being revoked."""
    expect(here.root.get_by_text("The CA is being asked to revoke")).to_be_visible()
    after = wait_served(here.box, site, lambda facts: facts.serial != before)
    assert after.covers(site)
    assert here.box.pebble.is_revoked(before)
    # It is served before the panel has looked
    wait_reloaded(here.root, ":".join(re.findall("..", after.serial.zfill(len(after.serial) + len(after.serial) % 2))))
    expect(here.root.get_by_text("renewed: the certificate is revoked").first).to_be_visible()
    return after.serial


def preview_a_run(here: Round) -> None:
    """What a run would do is read, and nothing of it is done."""
    page, box = here.root, here.box
    before = box.ca_requests()
    page.goto("/users/")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("link", name="JSON")).to_be_visible()
    page.get_by_label("Filter by action").get_by_role("link", name="Fail").click()
    row = page.get_by_role("row", name="segelclub-bucht.example")
    expect(row).to_contain_text("the name has no address in DNS")
    expect(page.get_by_role("row", name="alpenblick.example")).to_have_count(0)
    assert box.ca_requests() == before


def rehearse(here: Round) -> None:
    """Certificates are ordered at the staging CA, and none of them is served."""
    page, box = here.root, here.box
    site = "quartier-garten.example"
    before = serial_of(box, site)
    page.goto("/providers/")
    page.get_by_role("link", name="Rehearse a run").click()
    page.get_by_label("Staging directory").fill(here.staging.directory_url)
    page.get_by_role("button", name="Read the directory").click()
    expect(page.get_by_text("It answers, as")).to_be_visible()
    page.get_by_label("Site optional").fill(site)
    page.get_by_label("I agree to the terms of service").check()
    page.get_by_role("button", name="Rehearse").click()
    page.wait_for_url("**/rehearsals/*/")
    row = page.get_by_role("row", name=site)
    expect(row).to_contain_text("certificates in the chain", timeout=SOON_SECONDS * 1000)
    expect(page.get_by_text("site would get its certificate")).to_be_visible()
    issued = [issued.names for issued in here.staging.issuances()]
    assert issued == [(site, f"www.{site}")]
    assert serial_of(box, site) == before


def read_what_waits(here: Round) -> None:
    page = here.root
    page.goto("/pending/")
    row = page.get_by_role("row", name="segelclub-bucht.example")
    expect(row.get_by_role("button", name="Try segelclub-bucht.example now")).to_be_visible()


def read_the_logs(here: Round) -> None:
    """A name is followed through the runs; the last line of a run is in its text."""
    page = here.root
    page.goto("/runs/")
    page.get_by_role("searchbox").fill(MOVED[0])
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Its history").click()
    lines = page.locator("ol.log").first
    expect(lines).to_contain_text("Run 1, all users")
    page.goto("/runs/")
    page.get_by_role("rowheader").get_by_role("link").last.click()
    expect(page.get_by_role("heading", name="Run for all users")).to_be_visible()
    last = page.locator("ol.log").last.get_by_role("listitem").last
    text = last.inner_text().splitlines()[-1]
    assert text.startswith("Ended after ")
    with page.expect_download() as download:
        page.get_by_role("link", name="Plain text").click()
    assert Path(download.value.path()).read_text().splitlines()[-1].endswith(text)


def pause_and_resume(here: Round) -> None:
    """While AutoSSL is paused, a run orders nothing for a name that could be had."""
    page, box = here.root, here.box
    site = "segelclub-bucht.example"
    page.goto("/users/")
    page.get_by_role("link", name="Pause AutoSSL").click()
    page.get_by_role("button", name="Pause AutoSSL").click()
    expect(page.get_by_text("AutoSSL is paused: a run looks at the sites and orders nothing.")).to_be_visible()
    for name in (site, f"www.{site}"):
        box.set_dns(name, a=[box.address])
    issued = len(box.issuances())
    page.get_by_role("button", name="Run AutoSSL For All Users").click()
    wait_ended(page)
    expect(page.locator("#run-head")).to_contain_text("AutoSSL was paused")
    assert (served(box, site), len(box.issuances())) == (None, issued)
    page.get_by_role("button", name="Resume AutoSSL").click()
    expect(page.get_by_text("AutoSSL is resumed.")).to_be_visible()
    page.goto("/users/")
    page.get_by_role("button", name="Check “hanna”").click()
    wait_ended(page)
    assert wait_served(box, site, lambda facts: facts.covers(site)).covers(f"www.{site}")


def add_people(here: Round) -> None:
    """A reseller, and a login that signs in and sees the sites of its account and no others; the trail tells of it."""
    page = here.root
    _add_person(page, "suedhost", "reseller")
    _add_person(page, "clara-k", "user", "clara")
    login = here.visitors.sign_in("clara-k", PASSWORD)
    expect(login.get_by_role("heading", name="Your domains")).to_be_visible()
    own = {name for case in CASES if case.user == "clara" for name in case.names}
    assert set(login.get_by_role("rowheader").all_inner_texts()) >= own
    for case in CASES:
        if case.user != "clara":
            expect(login.get_by_role("rowheader", name=case.name, exact=True)).to_have_count(0)
    login.get_by_role("link", name="Log", exact=True).click()
    expect(login.get_by_text("alpenblick.example")).to_have_count(0)
    login.goto("/")
    login.context.close()
    page.goto("/people/audit/?subject=clara-k")
    row = page.get_by_role("row", name="Added a person")
    expect(row.get_by_role("rowheader")).to_contain_text("root")
    expect(row.get_by_role("rowheader")).to_contain_text("127.0.0.1")
    page.goto("/people/audit/?who=bruno")
    row = page.get_by_role("row", name="Excluded a name")
    expect(row).to_contain_text("blog.imkerei-wald.example")
    expect(row.get_by_role("rowheader")).to_contain_text("127.0.0.1")


def _add_person(page: Page, name: str, role: str, hosting_users: str = "") -> None:
    page.goto("/people/")
    page.get_by_role("link", name="Add a person").click()
    page.get_by_label("User name").fill(name)
    page.get_by_label("Role", exact=True).select_option(role)
    if hosting_users:
        page.get_by_label("Signs in for").fill(hosting_users)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_text(f"“{name}” is added")).to_be_visible()


def change_the_key_type(here: Round) -> None:
    """What a change of the key type costs is said first; re-issued, a site of a user who is checked serves RSA."""
    page, box = here.root, here.box
    site = "quartier-garten.example"
    before = served(box, site)
    assert before is not None
    assert before.key_kind == "ec"
    page.goto("/options/")
    page.get_by_label("Key type").select_option(label="RSA 2048")
    page.get_by_role("button", name="Save", exact=True).click()
    question = page.get_by_role("region", name="Save these options?")
    expect(question).to_contain_text("certificates have another key type.")
    question.get_by_label(re.compile(r"^Re-issue all \d+ now")).check()
    expect(question).to_contain_text("After everything that is due, within the CA’s limits.")
    question.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The options are saved.")).to_be_visible()
    page.goto("/users/")
    page.get_by_role("button", name="Check “goran”").click()
    wait_ended(page)
    after = wait_served(box, site, lambda facts: facts.key_kind == "rsa")
    assert (after.key_bits, after.covers(site), after.serial == before.serial) == (2048, True, False)


TASKS = (
    mend_names_that_point_elsewhere,
    check_the_own_account,
    disable_a_user_by_keyboard,
    revoke_a_certificate,
    preview_a_run,
    rehearse,
    read_what_waits,
    read_the_logs,
    pause_and_resume,
    add_people,
    change_the_key_type,
)
