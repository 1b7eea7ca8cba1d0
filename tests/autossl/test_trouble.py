"""What goes wrong at one site, or in the panel itself, ends that site's job and holds up nobody else."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from autossl_panel import ca, dcv
from autossl_panel.autossl import choices, jobs, options, orders, providers, registration, runs
from autossl_panel.autossl.models import Account, JobOutcome, JobState, LogLine, Order, Provider
from autossl_panel.hosting import exclusion_patterns, users
from autossl_panel.hosting.exclusion_patterns import Level
from autossl_panel.hosting.models import HostingUser, Setting
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Site
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)

MAIN, OTHER = "amber.example", "birch.example"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN,)), Site("birch", (OTHER,))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


@pytest.fixture
def staged(parts: Parts, box: Box) -> Parts:
    """Both sites have a certificate that is staged, because somebody else's configuration was broken."""
    run = runs.start(runs.ALL, by=None, asked_from="command", server=parts.server)
    broken = box.nginx.folder / "sites-enabled" / "zz-broken.conf"
    download = ca.Client.download

    def then_break(client: ca.Client, url: str) -> bytes:
        broken.write_text("server { no_such_directive; }\n")
        return download(client, url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ca.Client, "download", then_break)
        jobs.work_through(run.pk, stop=threading.Event())
    broken.unlink()
    assert Order.objects.filter(closed_at__isnull=True, staged_at__isnull=False).count() == 2
    return parts


def test_a_staged_certificate_that_the_helper_lost_is_ordered_again(staged: Parts) -> None:
    parts = staged
    lost = Order.objects.get(virtual_host__name=MAIN)
    for folder in ("staged", "done"):
        path = parts.folder / "helper" / folder / lost.ident
        if path.is_symlink():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
    run = parts.run()
    assert (parts.job(run, MAIN).outcome, parts.job(run, MAIN).outcome_reason) == (JobOutcome.FAILED, "unknown_order")
    assert parts.job(run, OTHER).outcome == JobOutcome.SECURED
    lost.refresh_from_db()
    assert lost.closed_as == "given_up"
    assert parts.job(parts.run(), MAIN).outcome == JobOutcome.SECURED


def test_an_error_of_ours_at_one_site_fails_that_job_and_no_other(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = orders.advance

    def trips(order: Order, tools: orders.Tools) -> orders.Progress:
        if MAIN in order.names:
            raise KeyError("tripped")
        return advance(order, tools)

    monkeypatch.setattr(orders, "advance", trips)
    run = parts.run()
    failed, good = parts.job(run, MAIN), parts.job(run, OTHER)
    assert (failed.outcome, failed.outcome_reason) == (JobOutcome.FAILED, "internal")
    assert failed.problem is not None
    assert failed.problem["data"]["text"] == "KeyError: 'tripped'"
    assert good.outcome == JobOutcome.SECURED
    # It is tried again as any failure is, not in a loop.
    next_at = parts.site(MAIN).next_at
    assert next_at is not None
    assert next_at > datetime.now(UTC) + timedelta(seconds=30)


@pytest.mark.parametrize("content", [None, b"no key"], ids=["lost", "unreadable"])
def test_an_account_key_that_is_lost_is_told_and_not_replaced_in_silence(parts: Parts, content: bytes | None) -> None:
    account = parts.provider.accounts.get()
    path = registration.keys.path(account)
    key = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    run = parts.run()
    for name in (MAIN, OTHER):
        job = parts.job(run, name)
        assert (job.outcome, job.outcome_reason) == (JobOutcome.FAILED, "ca_account")
        assert job.problem is not None
        assert "account key" in job.problem["data"]["text"]
    assert path.exists() == (content is not None)
    path.write_bytes(key)
    assert parts.job(parts.run(), MAIN).outcome == JobOutcome.SECURED


def test_a_ca_that_says_when_to_come_again_is_not_asked_before(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    later = datetime.now(UTC) + timedelta(hours=3)

    def busy(client: ca.Client, *_names: object, **_more: object) -> ca.OrderState:
        raise ca.CaProblem(ca.ProblemKind.SERVER, type="urn:x", detail="busy", status=503, retry_after=later)

    monkeypatch.setattr(ca.Client, "new_order", busy)
    run = parts.run()
    # Who asks after the other was answered is not let through any more
    reasons = {job.outcome_reason for job in run.jobs.all()}
    assert "ca_server" in reasons
    assert reasons <= {"ca_server", "rate_limited"}
    for job in run.jobs.select_related("virtual_host"):
        assert (job.virtual_host.next_at, job.virtual_host.held_until) == (later, later)


def test_the_commands_exit_status_says_that_certificates_wait(parts: Parts, box: Box) -> None:
    broken = box.nginx.folder / "sites-enabled" / "zz-broken.conf"
    download = ca.Client.download

    def then_break(client: ca.Client, url: str) -> bytes:
        broken.write_text("server { no_such_directive; }\n")
        return download(client, url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ca.Client, "download", then_break)
        with pytest.raises(SystemExit) as ended:
            call_command("autossl_check", "--all", stdout=io.StringIO())
    broken.unlink()
    assert ended.value.code == 1
    call_command("autossl_check", "--all", stdout=io.StringIO())
    assert Order.objects.filter(closed_as="installed").count() == 2


def test_a_clock_that_was_set_right_holds_nothing_back_any_longer(parts: Parts) -> None:
    Provider.objects.update(clock_offset=3600)
    assert parts.job(parts.run(), MAIN).outcome == JobOutcome.SECURED
    assert abs(Provider.objects.get(pk=parts.provider.pk).clock_offset) < 60


@pytest.mark.parametrize(
    ("withdraw", "reason"),
    [
        (lambda: HostingUser.objects.filter(name="amber").update(suspended=True), "suspended"),
        (lambda: HostingUser.objects.filter(name="amber").update(autossl=Setting.OFF), "disabled"),
        (lambda: users.exclude([MAIN], by=None, now=datetime.now(UTC)), "all_excluded"),
    ],
    ids=["suspended", "disabled", "excluded"],
)
def test_what_is_withdrawn_while_its_names_are_proven_is_not_ordered(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, withdraw: Callable[[], object], reason: str
) -> None:
    check = dcv.check

    def then_withdraw(*given: Any, **named: Any) -> Any:
        withdraw()
        return check(*given, **named)

    monkeypatch.setattr(dcv, "check", then_withdraw)
    run = parts.run()
    job = parts.job(run, MAIN)
    assert (job.outcome, job.outcome_reason) == (JobOutcome.SKIPPED, reason)
    assert not Order.objects.filter(virtual_host__name=MAIN).exists()
    assert parts.job(run, OTHER).outcome == JobOutcome.SECURED


def test_a_site_that_leaves_nginx_before_its_certificate_is_installed_has_not_failed(
    parts: Parts, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    enabled = next((box.nginx.folder / "sites-enabled").glob(f"amber-{MAIN}*"))
    target = enabled.readlink()
    download = ca.Client.download

    def then_vanish(client: ca.Client, url: str) -> bytes:
        enabled.unlink(missing_ok=True)
        return download(client, url)

    monkeypatch.setattr(ca.Client, "download", then_vanish)
    run = parts.run()
    enabled.symlink_to(target)
    job = parts.job(run, MAIN)
    assert (job.outcome, job.outcome_reason) == (JobOutcome.SKIPPED, "gone")
    assert "install:stays_staged" not in parts.events(run, MAIN)
    assert parts.job(run, OTHER).outcome == JobOutcome.SECURED


def test_an_unsigned_order_at_a_provider_that_is_no_longer_used_holds_nothing_up(parts: Parts) -> None:
    parts.discover()
    old = Provider.objects.create(name="old", directory_url="https://127.0.0.1:1/dir", private_ca=True)
    account = Account.objects.create(provider=old, server=parts.server, url="https://127.0.0.1:1/acct/1")
    order = orders.new(
        "o-old",
        parts.site(MAIN),
        names=[MAIN],
        reason="missing",
        key_type="p256",
        provider=old,
        account=account,
        installed=None,
        now=datetime.now(UTC),
    )
    order.url = "https://127.0.0.1:1/order/1"
    order.save()
    assert parts.job(parts.run(), MAIN).outcome == JobOutcome.SECURED
    order.refresh_from_db()
    assert order.closed_as == "given_up"


def test_an_error_of_ours_in_preflight_leaves_the_names_to_the_ca(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trips(*_given: Any, **_named: Any) -> Any:
        raise KeyError("tripped")

    monkeypatch.setattr(dcv, "check", trips)
    run = parts.run()
    # Unknown is our trouble, not the name's: a first issue is tried, and no job stays in hand.
    assert parts.events(run, MAIN)[1:5] == ["dcv:unknown", "dcv:unknown", "plan:order", "order:placed"]
    assert parts.job(run, OTHER).state == JobState.ENDED


def second_provider(parts: Parts) -> Provider:
    """The same CA under another name, with an account of its own."""
    wish = providers.Draft(
        name="second",
        directory_url=parts.box.directory_url,
        ca_bundle=parts.box.ca_bundle.read_text(),
        private_ca=True,
    )
    provider = registration.probe(providers.draft(wish, by=None, ring=False))
    registration.register(providers.ask_to_use(provider, parts.server, agree_terms=True, by=None, ring=False))
    providers.activate(parts.provider)
    return provider


def test_each_site_is_ordered_from_its_users_own_provider(parts: Parts) -> None:
    second = second_provider(parts)
    parts.discover()
    choices.choose_for_user(HostingUser.objects.get(name="amber"), second, by=None, now=datetime.now(UTC))
    run = parts.run()
    assert parts.job(run, MAIN).outcome == parts.job(run, OTHER).outcome == JobOutcome.SECURED
    by_site = {
        order.virtual_host.name: (order.provider.name, order.account.provider.name)
        for order in Order.objects.select_related("virtual_host", "provider", "account__provider")
    }
    assert by_site == {MAIN: ("second", "second"), OTHER: ("pebble", "pebble")}


def test_a_pattern_that_is_added_while_names_are_proven_is_heeded(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = dcv.check

    def then_exclude(*given: Any, **named: Any) -> Any:
        exclusion_patterns.add_pattern("*amber*", Level(parts.server), by=None, now=datetime.now(UTC))
        return check(*given, **named)

    monkeypatch.setattr(dcv, "check", then_exclude)
    run = parts.run()
    assert (parts.job(run, MAIN).outcome, parts.job(run, MAIN).outcome_reason) == (JobOutcome.SKIPPED, "all_excluded")
    assert parts.job(run, OTHER).outcome == JobOutcome.SECURED


def test_a_pause_while_names_are_proven_orders_nothing(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    check = dcv.check

    def then_pause(*given: Any, **named: Any) -> Any:
        options.pause(parts.server, by=None, now=datetime.now(UTC))
        return check(*given, **named)

    monkeypatch.setattr(dcv, "check", then_pause)
    run = parts.run()
    for name in (MAIN, OTHER):
        job = parts.job(run, name)
        assert (job.outcome, job.outcome_reason) == (JobOutcome.WAITING, "paused")
    assert not Order.objects.exists()
    monkeypatch.setattr(dcv, "check", check)
    run = parts.run()
    assert "run:paused" in LogLine.objects.filter(run=run).values_list("event", flat=True)
    assert not run.jobs.exists()
    options.resume(parts.server, by=None, now=datetime.now(UTC))
    run = parts.run()
    assert {parts.shown(name) is not None for name in (MAIN, OTHER)} == {True}
