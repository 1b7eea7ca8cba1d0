"""A run worked through with real parts: what each kind of end leaves in rows, log and handshakes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from autossl_panel import ca, dcv
from autossl_panel.autossl import jobs, options, orders, registration, runs, shaking
from autossl_panel.autossl.jobs import ordering, proving
from autossl_panel.autossl.jobs.runner import LOOK_EVERY
from autossl_panel.autossl.jobs.work import Bench
from autossl_panel.autossl.models import Installation, Job, JobOutcome, JobState, Order, Provider, Verdict
from autossl_panel.autossl.survey import survey
from autossl_panel.hosting.models import SiteState, VirtualHost
from autossl_panel.sandbox.box import Box
from autossl_panel.sandbox.sites import Points, Site
from tests.autossl.parts import Parts, parts_of

pytestmark = pytest.mark.django_db(transaction=True)

MAIN, WWW = "amber.example", "www.amber.example"


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    with Box(sites=[Site("amber", (MAIN, WWW))]) as started:
        yield started


@pytest.fixture
def parts(box: Box, settings: Any) -> Iterator[Parts]:
    with parts_of(box, settings) as found:
        yield found


def outcome(job: Job) -> tuple[str, str]:
    return job.outcome, job.outcome_reason


def test_a_site_is_secured_and_the_rows_say_how_it_was_proven(parts: Parts) -> None:
    issued = parts.issued(MAIN, WWW)
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    assert parts.events(run, MAIN) == [
        "site:begins",
        "dcv:passed",
        "dcv:passed",
        "plan:order",
        "order:placed",
        "order:issued",
        "install:verified",
        "job:secured",
    ]
    assert parts.issued(MAIN, WWW) == issued + 1
    order = Order.objects.get(virtual_host__name=MAIN)
    assert (order.closed_as, order.status, order.reason) == ("installed", "valid", "missing")
    installation = Installation.objects.get(virtual_host__name=MAIN, until__isnull=True)
    assert installation.certificate.serial == parts.shown(WWW)
    evidence = installation.evidence[0]
    assert (evidence["address"], evidence["port"]) == (parts.box.address, parts.box.https_port)
    assert evidence["serial"] == installation.certificate.serial
    host = parts.site(MAIN)
    assert (host.state, host.next_reason, host.attempts, host.problem) == (SiteState.SECURED, "renew", 0, None)
    assert host.next_at is not None
    assert host.next_at > datetime.now(UTC) + timedelta(days=50)
    assert set(Verdict.objects.values_list("outcome", flat=True)) == {"pass"}
    assert parts.helper.status().staged == {}

    requests = parts.box.ca_requests()
    again = parts.run()
    assert again.counts["outcomes"]["kept"] == 1
    assert not Job.objects.filter(run=again).exists()
    assert parts.box.ca_requests() == requests, "nothing to order: the CA hears nothing"


def test_names_that_all_fail_fail_the_job_and_wait_on_their_ladder(parts: Parts) -> None:
    parts.box.add_site(Site("bruno", ("bruno.example",), dns={"bruno.example": Points.NOWHERE}))
    try:
        parts.discover()
        run = parts.run(runs.user_scope("bruno"))
        assert outcome(parts.job(run, "bruno.example")) == (JobOutcome.FAILED, "dcv_all_failed")
        host = parts.site("bruno.example")
        assert host.state == SiteState.UNSECURED
        assert host.problem is not None
        assert host.problem["domain"] == "bruno.example"
        assert host.next_at is not None
        assert timedelta(seconds=30) < host.next_at - datetime.now(UTC) < timedelta(seconds=70)
        verdict = Verdict.objects.get(domain__name="bruno.example")
        assert (verdict.outcome, verdict.attempts) == ("fail", 1)
        assert verdict.first_failed_at is not None
        assert not Order.objects.filter(virtual_host=host).exists()

        # It is put right: the next check finds that out by itself.
        parts.box.set_dns("bruno.example", a=[parts.box.address])
        again = parts.run(runs.user_scope("bruno"))
        assert outcome(parts.job(again, "bruno.example")) == (JobOutcome.SECURED, "missing")
        verdict.refresh_from_db()
        assert (verdict.outcome, verdict.attempts) == ("pass", 0)
        assert [verdict.first_failed_at, verdict.retry_at] == [None, None]
    finally:
        parts.helper.detach()
        parts.box.remove_site("bruno.example")


class Refusing(ca.Client):
    """A CA that takes no order for a name of these: it says so with parts or, as Boulder of one name, in words only; or
    else finds out when the order is to be finalized.
    """

    refused: Sequence[str] = ()
    how = "parts"

    def new_order(self, names: Sequence[str], **more: Any) -> ca.OrderState:
        bad = [name for name in names if name in self.refused]
        if bad and self.how != "finalize":
            raise self._refusal(ca.ProblemKind.REJECTED_IDENTIFIER, bad)
        self.asked = bad
        return super().new_order(names, **more)

    def finalize(self, url: str, csr: bytes, *, order_url: str) -> ca.OrderState:
        if self.asked:
            raise self._refusal(ca.ProblemKind.CAA, self.asked)
        return super().finalize(url, csr, order_url=order_url)

    def _refusal(self, kind: ca.ProblemKind, bad: Sequence[str]) -> ca.CaProblem:
        urn = f"urn:ietf:params:acme:error:{kind}"
        parts = tuple(ca.SubProblem(name, urn, f"{name} is on a list", kind) for name in bad)
        if self.how == "parts":
            return ca.CaProblem(kind, type=urn, detail="Some names are refused", status=403, subproblems=parts)
        text = 'Cannot issue for "{0}": {0} is on a list' if self.how == "words" else CAA_WORDS
        return ca.CaProblem(kind, type=urn, detail=text.format(bad[0]), status=403)


CAA_WORDS = "Error finalizing order :: While processing CAA for {0}: CAA record for amber.example prevents issuance"


@pytest.mark.parametrize(
    ("how", "kind"), [("parts", "rejectedIdentifier"), ("words", "rejectedIdentifier"), ("finalize", "caa")]
)
def test_a_name_that_the_ca_refuses_is_left_out_of_one_further_order(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, how: str, kind: str
) -> None:
    monkeypatch.setattr(registration, "client", lambda account: _refusing(account, [WWW], how))
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.SECURED, "missing")
    events = parts.events(run, MAIN)
    assert events.count("plan:order") == 2
    assert events.count("order:name_refused") == 1
    assert Verdict.objects.get(domain__name=MAIN).outcome == "pass"
    verdict = Verdict.objects.get(domain__name=WWW)
    assert (verdict.code, verdict.data["kind"]) == ("ca_refused", kind)
    assert WWW in verdict.data["text"]
    assert verdict.refusals is not None
    refusal = verdict.refusals["pebble"]
    assert refusal["times"] == 1
    assert datetime.fromisoformat(refusal["until"]) > datetime.now(UTC) + timedelta(hours=23)
    first, second = Order.objects.order_by("pk")
    assert (first.closed_as, second.closed_as) == ("refused", "installed")
    assert second.names == [MAIN]
    host = parts.site(MAIN)
    assert host.state == SiteState.PARTLY
    assert host.problem is not None
    assert host.problem["code"] == "ca_refused"


def test_when_the_ca_refuses_every_name_there_is_no_further_order(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration, "client", lambda account: _refusing(account, [MAIN, WWW]))
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.FAILED, "ca_refused")
    assert Order.objects.count() == 1
    host = parts.site(MAIN)
    assert host.next_at is not None
    assert host.next_at > datetime.now(UTC) + timedelta(hours=20)


def _refusing(account: Any, names: Sequence[str], how: str = "parts") -> ca.Client:
    made = Refusing(
        account.provider.directory_url,
        registration.keys.made(account),
        account.url,
        ca_bundle=registration.keys.bundle(account.provider),
    )
    made.refused, made.how = names, how
    return made


def test_a_ca_that_cannot_be_reached_fails_the_job_once_and_says_when_it_is_tried_again(parts: Parts) -> None:
    Provider.objects.filter(pk=parts.provider.pk).update(directory_url=f"https://{parts.box.silent}:1/dir")
    run = parts.run()
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.FAILED, "ca_unreachable")
    assert job.problem is not None
    assert parts.box.silent in job.problem["data"]["text"]
    host = parts.site(MAIN)
    assert host.attempts == 1
    assert host.retry_at is not None
    assert not Order.objects.filter(closed_at__isnull=True).exists(), "the CA knows of no order"


def test_a_limit_of_the_ca_is_waited_for_as_long_as_it_says(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)

    class Limited(ca.Client):
        def new_order(self, names: Sequence[str], **more: Any) -> ca.OrderState:
            urn = "urn:ietf:params:acme:error:rateLimited"
            raise ca.CaProblem(ca.ProblemKind.RATE, type=urn, detail="too many orders", status=429, retry_after=until)

    monkeypatch.setattr(
        registration,
        "client",
        lambda account: Limited(
            account.provider.directory_url,
            registration.keys.made(account),
            account.url,
            ca_bundle=registration.keys.bundle(account.provider),
        ),
    )
    run = parts.run()
    assert outcome(parts.job(run, MAIN)) == (JobOutcome.WAITING, "rate_limited")
    host = parts.site(MAIN)
    assert (host.held_until, host.next_at, host.held_reason) == (until, until, "rate_limited")
    # A person's check clears our own holds, never the CA's.
    again = parts.run()
    assert not Job.objects.filter(run=again).exists()
    assert again.counts["outcomes"]["waiting"] == 1


def test_a_broken_site_of_somebody_else_holds_the_certificate_back_and_loses_nothing(parts: Parts) -> None:
    box = parts.box
    parts.discover()
    parts.helper.attach([parts.site(MAIN).key])
    VirtualHost.objects.filter(name=MAIN).update(attached=True)
    # The run will not wait for a reload that was not its own.
    token, body = dcv.new_token()
    parts.helper.challenge_put(token, body)
    row = 0
    while row < shaking.IN_A_ROW:
        path = f"/.well-known/acme-challenge/{token}"
        row = row + 1 if shaking.http_answers(MAIN, box.address, box.http_port, path, body) else 0
        time.sleep(0.05)
    broken = box.nginx_conf.parent / "sites-enabled" / "zz-broken.conf"
    broken.write_text("server {\n    listen 127.0.0.1:1;\n    server_name b.example;\n    frobnicate on;\n}\n")
    issued = parts.issued(MAIN, WWW)
    try:
        run = parts.run()
    finally:
        broken.unlink()
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.WAITING, "staged")
    assert job.problem is not None
    assert job.problem["code"] == "foreign_broken"
    assert (job.problem["data"]["file"], job.problem["data"]["line"]) == (str(broken), 4)
    host = parts.site(MAIN)
    assert host.problem == job.problem
    assert host.next_at is not None
    assert Order.objects.get(virtual_host=host).closed_at is None
    assert parts.shown(MAIN) is None

    again = parts.run()
    assert outcome(parts.job(again, MAIN)) == (JobOutcome.SECURED, "missing")
    assert parts.issued(MAIN, WWW) == issued + 1, "the certificate that waited is the one installed"
    assert parts.shown(MAIN) is not None


def test_a_cancelled_run_ends_and_orders_nothing(parts: Parts) -> None:
    parts.discover()
    issued = parts.issued(MAIN, WWW)
    run = runs.start(runs.ALL, by=None, asked_from="command", server=parts.server)
    runs.cancel(run, by=None)
    jobs.work_through(run.pk, stop=threading.Event())
    run.refresh_from_db()
    assert run.ended_at is not None
    assert parts.issued(MAIN, WWW) == issued


def test_paused_in_the_middle_of_an_order_it_stops_there_and_goes_on_with_that_order(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts.discover()
    issued = parts.issued(MAIN, WWW)
    new_order = ca.Client.new_order

    def paused_meanwhile(client: ca.Client, *given: Any, **more: Any) -> ca.OrderState:
        found = new_order(client, *given, **more)
        options.pause(parts.server, by=None, now=timezone.now())
        time.sleep(2 * LOOK_EVERY)
        return found

    monkeypatch.setattr(ca.Client, "new_order", paused_meanwhile)
    run = parts.run()
    job = parts.job(run, MAIN)
    assert outcome(job) == (JobOutcome.WAITING, "paused")
    order = Order.objects.get(virtual_host=parts.site(MAIN), closed_at__isnull=True)
    assert order.url
    assert (parts.site(MAIN).next_at, parts.site(MAIN).next_reason) == (None, "paused")
    assert parts.issued(MAIN, WWW) == issued
    monkeypatch.undo()
    options.resume(parts.server, by=None, now=timezone.now())
    again = parts.run()
    assert outcome(parts.job(again, MAIN)) == (JobOutcome.SECURED, "missing")
    order.refresh_from_db()
    assert order.closed_as == "installed", "it was this one that went on"
    assert parts.issued(MAIN, WWW) == issued + 1


def test_a_runner_that_is_told_to_stop_gives_its_jobs_back(parts: Parts) -> None:
    run = runs.start(runs.ALL, by=None, asked_from="command", server=parts.server)
    stop = threading.Event()
    stop.set()
    runner = jobs.Runner(parts.server, parts.helper, stop=stop.is_set)
    survey(run, parts.helper)
    assert runner.work()
    job = parts.job(run, MAIN)
    assert (job.state, job.attempt, job.holder) == (JobState.QUEUED, 0, "")
    run.refresh_from_db()
    assert run.ended_at is None
    jobs.work_through(run.pk, stop=threading.Event())
    job.refresh_from_db()
    assert outcome(job) == (JobOutcome.SECURED, "missing")


def test_a_detached_certificate_is_installed_again_without_an_order(parts: Parts) -> None:
    parts.run()
    serial, issued = parts.shown(MAIN), parts.issued(MAIN, WWW)
    assert serial is not None
    parts.helper.detach([parts.site(MAIN).key])
    run = parts.run()
    assert outcome(parts.job(run, MAIN))[0] == JobOutcome.SECURED
    assert parts.shown(MAIN) == serial
    assert parts.issued(MAIN, WWW) == issued


@pytest.mark.parametrize("save", [1, 2, 3, 4])
def test_an_order_that_another_worker_left_is_taken_up_and_never_placed_twice(parts: Parts, save: int) -> None:
    """Killed right before each save in turn: the next worker goes on, and the CA issues one certificate."""
    name = f"kilo{save}.example"
    parts.box.add_site(Site(f"kilo{save}", (name,)))
    try:
        parts.discover()
        with pytest.raises(_Killed):
            _work_until_killed(parts, f"kilo{save}", save)
        left = Job.objects.get(state=JobState.RUNNING)
        Job.objects.filter(pk=left.pk).update(holder="another:1:1:1", lease_until=None)
        jobs.work_through(left.run_id, stop=threading.Event())
        left.refresh_from_db()
        said = [f"{line.event} {line.data}" for line in left.lines.order_by("seq")]
        assert outcome(left) == (JobOutcome.SECURED, "missing"), said
        assert parts.issued(name) == 1
        assert parts.shown(name) is not None
        assert Order.objects.filter(virtual_host__name=name).count() == 1
    finally:
        parts.helper.detach()
        parts.box.remove_site(name)


class _Killed(BaseException):
    """What a SIGKILL looks like from inside."""


def _work_until_killed(parts: Parts, user: str, number: int) -> None:
    """Work a user's run up to its `number`-th save of an order, and not an instruction further."""
    run = runs.start(runs.user_scope(user), by=None, asked_from="command", server=parts.server)
    survey(run, parts.helper)
    found = jobs.claim(parts.server, "killed", 10)
    bench = Bench(parts.server, parts.helper, "killed")
    tasks = proving.attach(bench, proving.begin(bench, found, datetime.now(UTC)))
    prover = proving.Prover(bench, tasks)
    prover.start()
    prover.join()
    saves = 0

    class Dying(ordering.Orderer):
        def _record(self, *given: Any, **more: Any) -> None:
            nonlocal saves
            saves += 1
            if saves == number:
                raise _Killed
            super()._record(*given, **more)

    worker = Dying(bench, 0)
    try:
        worker._work(bench.ready.get()[2])  # type: ignore[arg-type]
    finally:
        worker._caller.close()
    assert saves >= number, "it was through before"


def test_the_map_of_the_order_has_a_step_for_each_status() -> None:
    assert set(orders.STEPS) == {"pending", "ready", "processing", "valid", "invalid"}
