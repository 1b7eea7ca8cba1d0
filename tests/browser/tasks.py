"""Each screen's main task, a function each, in the order in which they follow one another on one server.

A task acts through a `Hand` only, so that it goes by mouse and by keyboard alike, and says what has become of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from autossl_panel.autossl import options
from autossl_panel.autossl.models import (
    Account,
    Certificate,
    Channel,
    Job,
    JobState,
    Options,
    Preview,
    Provider,
    Rehearsal,
    Run,
)
from autossl_panel.hosting.models import Exclusion, ExclusionPattern, FeatureList, HostingUser
from autossl_panel.people.adapter import PROVED_AT
from autossl_panel.people.models import Session, User
from autossl_panel.people.session_store import SessionStore
from tests.browser.hands import Hand, named
from tests.web.scene import PASSWORD


@dataclass(frozen=True, slots=True)
class Task:
    """Begins at `path`."""

    path: str
    do: Callable[[Hand], None]
    who: str = "root"
    # With the live run of the scene
    live: bool = False


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("main").get_by_role("link", name=named(name)).first


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=named(name)).first


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(named(label)).first


def says(page: Page, text: str) -> None:
    expect(page.get_by_text(text).filter(visible=True).first).to_be_visible()


def undo(hand: Hand) -> None:
    hand.press(hand.page.locator("#toast").get_by_role("button", name="Undo"))


def amber() -> HostingUser:
    return HostingUser.objects.get(name="amberfield")


def cancel_the_run(hand: Hand) -> None:
    hand.press(link(hand.page, "Cancel"))
    hand.press(button(hand.page, "Cancel the run"))
    expect(hand.page.locator("#slot")).to_contain_text("Cancelling")
    assert Run.objects.filter(cancelled_at__isnull=False, ended_at=None).exists()


def set_users(hand: Hand) -> None:
    hand.search("amber")
    hand.page.wait_for_url("**/users/?q=amber")
    hand.tick(field(hand.page, "Select amberfield"))
    hand.press(button(hand.page, "Disable"))
    says(hand.page, "AutoSSL is off for “amberfield”.")
    assert amber().autossl == "off"
    undo(hand)
    says(hand.page, "1 user is set as before.")
    assert amber().autossl == "feature-list"


def run_for_all(hand: Hand) -> None:
    hand.press(button(hand.page, "Run AutoSSL For All Users"))
    hand.page.wait_for_url("**/runs/*/*")
    assert Run.objects.get(ended_at=None).scope == "*"


def choose_a_provider(hand: Hand) -> None:
    """An hour after the sign-in, so that it is asked who is there; what was typed is kept."""
    page = hand.page
    google = Provider.objects.get(name="google")
    hand.tick(page.locator(f"input[name=provider][value='{google.pk}']"))
    hand.fill(page.locator(f"#eab_kid-{google.pk}"), "kid-1")
    hand.fill(page.locator(f"#eab_hmac_key-{google.pk}"), "c2VjcmV0LWhtYWMta2V5")
    hand.press(button(page, "Save"))
    says(page, "registers only those who agree to its terms")
    hand.tick(page.locator(f"input[name='agree_terms-{google.pk}']"))
    hand.fill(page.locator(f"#eab_hmac_key-{google.pk}"), "c2VjcmV0LWhtYWMta2V5")
    for session in Session.objects.filter(person__username="root", session_data__gt=""):
        store = SessionStore(session.pk)
        store[PROVED_AT] -= 3600
        store.save()
    hand.press(button(page, "Save"))
    expect(page.get_by_role("heading", name="Is it you?")).to_be_visible()
    hand.fill(page.get_by_label("Password"), PASSWORD)
    hand.press(page.get_by_role("button", name="Go on", exact=True))
    expect(page.locator(f"#busy-{google.pk}")).to_be_visible()
    assert Account.objects.get(provider=google).status == "registering"
    Account.objects.filter(provider=google).update(status="valid", url="https://ca.example/acct/1")


def order_fallbacks(hand: Hand) -> None:
    page = hand.page
    hand.choose(page.get_by_label("Provider to add to the order"), "Google Trust Services")
    hand.press(page.locator("#fallbacks").get_by_role("button", name="Add"))
    expect(page.locator(".order li").nth(1)).to_contain_text("Google Trust Services")
    hand.press(button(page, "Move Google Trust Services up"))
    expect(page.locator(".order li").first).to_contain_text("Google Trust Services")
    order = list(Provider.objects.filter(fallback__gt=0).order_by("fallback").values_list("name", flat=True))
    assert order == ["google", "zerossl"]


def keep_autossl(hand: Hand) -> None:
    hand.tick(hand.page.locator("input[name=provider][value=off]"))
    hand.press(button(hand.page, "Save"))
    says(hand.page, "Disable AutoSSL on this server?")
    hand.fill(field(hand.page, "Type “"), "not so")
    hand.press(button(hand.page, "Disable AutoSSL"))
    says(hand.page, "That is not the server’s name.")
    hand.press(link(hand.page, "Keep AutoSSL"))
    hand.page.wait_for_url("**/providers/")
    assert Provider.objects.filter(active=True).exists()


def profile(hand: Hand) -> None:
    page = hand.page
    google = Provider.objects.get(name="letsencrypt")
    page.goto(f"/providers/{google.pk}/profile/")
    hand.tick(page.locator("input[name=profile][value=tlsserver]"))
    hand.press(button(page, "Save"))
    says(page, "Saved. It holds from the next order on")
    google.refresh_from_db()
    assert google.profile == "tlsserver"


def add_a_provider(hand: Hand) -> None:
    hand.press(link(hand.page, "Add another provider"))
    hand.fill(hand.page.get_by_label("Name", exact=True), "Pebble")
    hand.fill(hand.page.get_by_label("Directory", exact=True), "https://127.0.0.1:14000/dir")
    hand.press(button(hand.page, "Add and check"))
    says(hand.page, "The directory is being read.")
    # It asks about the provider until it is left.
    hand.page.goto("about:blank")
    Provider.objects.filter(name="Pebble").delete()


def rehearse(hand: Hand) -> None:
    hand.press(link(hand.page, "Rehearse a run"))
    hand.fill(hand.page.get_by_label("Site optional"), "junipershop.example")
    agree = hand.page.get_by_label("I agree to the")
    if agree.count():
        hand.tick(agree)
    hand.press(button(hand.page, "Rehearse"))
    hand.page.wait_for_url("**/rehearsals/*/")
    assert Rehearsal.objects.filter(ended_at=None).exists()
    Rehearsal.objects.filter(ended_at=None).update(ended_at=timezone.now())


def change_options(hand: Hand) -> None:
    page = hand.page
    hand.fill(page.get_by_label("Public addresses"), "203.0.113.300")
    hand.press(button(page, "Save"))
    says(page, "the last number is above 255")
    expect(page.get_by_label("Public addresses")).to_be_focused()
    hand.fill(page.get_by_label("Public addresses"), "203.0.113.30")
    hand.choose(page.get_by_label("Key type"), "ECDSA P-384")
    hand.press(button(page, "Save"))
    says(page, "Save these options?")
    hand.press(page.locator("section.ask").get_by_role("button", name="Save"))
    says(page, "The options are saved.")
    row = Options.objects.get()
    assert (row.key_type, row.server_addresses) == ("p384", ["203.0.113.30"])


def add_a_channel(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "Add a channel"))
    hand.fill(field(page, "Name"), "Night watch")
    hand.tick(page.locator("input[name=kind][value=webhook]"))
    hand.fill(page.get_by_label("Where to"), "https://hooks.example/in/1")
    hand.press(page.get_by_role("button", name="Add", exact=True))
    says(page, "Night watch")
    assert Channel.objects.filter(name="Night watch").exists()


def exclude_by_pattern(hand: Hand) -> None:
    page = hand.page
    hand.fill(page.get_by_label("Pattern", exact=True), "blog*.brandtlaw.example")
    hand.press(button(page, "See what matches"))
    says(page, "Names to come that match")
    hand.press(button(page, "Exclude them"))
    expect(page.locator("#toast")).to_contain_text("“blog*.brandtlaw.example” is added")
    assert ExclusionPattern.objects.filter(pattern="blog*.brandtlaw.example").exists()
    undo(hand)
    says(page, "“blog*.brandtlaw.example” is removed again.")
    assert not ExclusionPattern.objects.filter(pattern="blog*.brandtlaw.example").exists()


def remove_a_pattern(hand: Hand) -> None:
    hand.press(link(hand.page, "Remove *.preview.example"))
    hand.press(button(hand.page, "Remove the pattern"))
    expect(hand.page.locator("#toast")).to_contain_text("“*.preview.example” is removed.")
    undo(hand)
    says(hand.page, "holds again")
    assert ExclusionPattern.objects.filter(pattern="*.preview.example").exists()


def pause_and_resume(hand: Hand) -> None:
    hand.press(link(hand.page, "Pause AutoSSL"))
    hand.press(button(hand.page, "Pause AutoSSL"))
    says(hand.page, "AutoSSL is paused")
    assert options.current(Run.objects.latest("pk").server).paused_at
    hand.press(button(hand.page, "Resume AutoSSL"))
    says(hand.page, "AutoSSL is resumed.")
    assert options.current(Run.objects.latest("pk").server).paused_at is None


def ask_for_a_preview(hand: Hand) -> None:
    Preview.objects.all().delete()
    hand.press(button(hand.page, "Preview"))
    says(hand.page, "The configuration is being read.")
    assert Preview.objects.get().scope == "*"


def read_a_preview(hand: Hand) -> None:
    page = hand.page
    hand.press(page.get_by_label("Filter by action").get_by_role("link", name="Skip"))
    page.wait_for_url("**action=skip**")
    expect(page.get_by_role("row", name="fennimore.example").first).to_be_visible()
    expect(page.get_by_role("row", name="brandtlaw.example")).to_have_count(0)
    hand.press(page.locator("tbody tr summary").first)
    expect(page.locator("tbody tr li").first).to_be_visible()


def read_the_logs(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "With failures"))
    page.wait_for_url("**state=failures**")
    hand.press(page.locator("tbody th a").first)
    page.wait_for_url("**/runs/*/*")
    hand.press(page.get_by_label("Level").get_by_role("link", name=named("Failures")))
    page.wait_for_url("**level=failure**")
    expect(page.locator("ol.log").first).to_contain_text("What to do")
    hand.press(link(page, "Whole run"))
    hand.press(link(page, "Lines of "))
    page.wait_for_url("**job=**")
    expect(page.locator("ol.log").first).to_be_visible()
    hand.press(link(page, "Whole run"))
    hand.press(page.locator("details.grp > summary", has_text="Done"))
    expect(page.locator("details.grp[open]")).to_be_visible()


def read_a_history(hand: Hand) -> None:
    hand.search("northwind.example")
    hand.press(link(hand.page, "Its history"))
    hand.page.wait_for_url("**/history/?name=northwind.example")
    expect(hand.page.get_by_role("main")).to_contain_text("northwind.example")


def revoke(hand: Hand) -> None:
    page = hand.page
    hand.press(page.get_by_label("Filter by state").get_by_role("link", name=re.compile(r"\bSecured")))
    page.wait_for_url("**state=secured**")
    hand.search("junipershop.example")
    page.wait_for_url("**q=junipershop**")
    hand.press(link(page, "Details of junipershop.example"))
    hand.press(link(page, "Revoke"))
    hand.tick(page.get_by_label("Its private key was disclosed"))
    hand.press(button(page, "Revoke it"))
    says(page, "The CA is being asked to revoke")
    assert Certificate.objects.get(revoke_wish__isnull=False).revoke_wish


def try_what_waits(hand: Hand) -> None:
    hand.search("lindner.example")
    hand.press(button(hand.page, "Try lindner.example now"))
    hand.page.wait_for_url("**/runs/*/*")
    assert Run.objects.get(ended_at=None)


def mend_a_problem(hand: Hand) -> None:
    page = hand.page
    # The first is open already.
    hand.press(page.locator("details.prob > summary").nth(1))
    expect(page.locator("details.prob[open]")).to_have_count(2)
    hand.press(page.locator("details.prob").first.get_by_role("link", name=named("Log lines")))
    page.wait_for_url("**/history/**")
    page.goto("/problems/")
    hand.press(page.locator("details.prob").first.get_by_role("button", name=named("Recheck")))
    page.wait_for_url("**/runs/*/*")
    assert Run.objects.get(ended_at=None).asked_from == "recheck"


def add_a_reseller(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "Add a person"))
    hand.fill(page.get_by_label("User name"), "tidewater")
    hand.choose(page.get_by_label("Role", exact=True), "reseller")
    hand.press(button(page, "Add the person"))
    says(page, "“tidewater” is added")
    assert User.objects.get(username="tidewater").role == "reseller"


def give_users_away(hand: Hand) -> None:
    page = hand.page
    hand.tick(field(page, "Select amberfield"))
    hand.choose(page.get_by_label("Owner to give them to"), "harborweb")
    hand.press(button(page, "Give"))
    says(page, "given to “harborweb”.")
    assert amber().owner.username == "harborweb"
    undo(hand)
    says(page, "1 hosting user is set as before.")
    assert amber().owner.username == "brightpeak"


def change_a_list(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "Edit parked"))
    hand.tick(page.get_by_label("Off", exact=True))
    hand.press(button(page, "Save"))
    expect(page.locator("#toast")).to_contain_text("“parked” says off.")
    undo(hand)
    says(page, "as before")
    assert FeatureList.objects.get(name="parked").autossl


def follow_the_trail(hand: Hand) -> None:
    page = hand.page
    hand.choose(page.get_by_label("Event"), "signed in")
    hand.press(button(page, "Filter"))
    page.wait_for_url("**event=person%3Asigned_in**")
    with page.expect_download() as download:
        hand.press(link(page, "NDJSON"))
    assert download.value.suggested_filename == "audit.ndjson"


def end_a_session(hand: Hand) -> None:
    page = hand.page
    hand.press(link(page, "Everybody’s"))
    hand.press(button(page, "End Firefox"))
    says(page, "The session has ended.")
    assert not Session.objects.filter(person__username="harborweb", address="198.51.100.9").exists()


def set_preferences(hand: Hand) -> None:
    page = hand.page
    hand.press(page.locator("#person summary"))
    hand.press(button(page, "Dark"))
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    hand.press(page.locator("#person summary"))
    hand.press(button(page, "As the system"))
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")


def exclude_an_own_name(hand: Hand) -> None:
    page = hand.page
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="mail.lindner.example", exact=True))
    hand.press(row.get_by_role("button", name="Exclude"))
    says(page, "“mail.lindner.example” is excluded.")
    assert Exclusion.objects.filter(name="mail.lindner.example").exists()
    undo(hand)
    says(page, "1 name is as before.")
    assert not Exclusion.objects.filter(name="mail.lindner.example").exists()


def check_the_own_account(hand: Hand) -> None:
    hand.press(button(hand.page, "Run AutoSSL"))
    expect(hand.page.get_by_role("link", name="Checking your sites")).to_be_visible()
    assert Run.objects.get(ended_at=None).scope == "user:lindner"


def run_for_ones_own(hand: Hand) -> None:
    hand.press(button(hand.page, "Run AutoSSL for my users"))
    hand.page.wait_for_url("**/runs/*/*")
    assert Run.objects.get(ended_at=None).scope == "owner:harborweb"


def rest() -> None:
    """No run lives, no job waits."""
    Job.objects.filter(ended_at=None).update(state=JobState.ENDED, outcome="failed", ended_at=timezone.now())
    Run.objects.filter(ended_at=None).update(ended_at=timezone.now())


TASKS: dict[str, Task] = {
    "cancel a run": Task("/users/", cancel_the_run, live=True),
    "read a preview": Task("/preview/", read_a_preview),
    "read the logs": Task("/runs/", read_the_logs),
    "a name's history": Task("/runs/", read_a_history),
    "users": Task("/users/", set_users),
    "run for all": Task("/users/", run_for_all),
    "preview": Task("/users/", ask_for_a_preview),
    "pause": Task("/users/", pause_and_resume),
    "options": Task("/options/", change_options),
    "a channel": Task("/options/", add_a_channel),
    "a pattern": Task("/patterns/", exclude_by_pattern),
    "a pattern removed": Task("/patterns/", remove_a_pattern),
    "certificates": Task("/certificates/", revoke),
    "pending": Task("/pending/", try_what_waits),
    "problems": Task("/problems/", mend_a_problem),
    "rehearse": Task("/providers/", rehearse),
    "profile": Task("/providers/", profile),
    "another provider": Task("/providers/", add_a_provider),
    "keep AutoSSL": Task("/providers/", keep_autossl),
    "people": Task("/people/", add_a_reseller),
    "ownership": Task("/people/users/?q=amber", give_users_away),
    "feature lists": Task("/people/lists/", change_a_list),
    "audit trail": Task("/people/audit/", follow_the_trail),
    "sessions": Task("/security/sessions/", end_a_session),
    "theme": Task("/runs/", set_preferences),
    "choose a provider": Task("/providers/", choose_a_provider),
    "fallbacks": Task("/providers/", order_fallbacks),
    "own names": Task("/status/{user}/", exclude_an_own_name, "lindner"),
    "own check": Task("/status/{user}/", check_the_own_account, "lindner"),
    "own users": Task("/users/", run_for_ones_own, "harborweb"),
}
