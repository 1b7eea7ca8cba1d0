"""Ten thousand sites that fail in one run: one mail, its causes grouped, no longer than for forty."""

from __future__ import annotations

from datetime import timedelta
from itertools import cycle

import pytest

from autossl_panel.autossl import options
from autossl_panel.autossl.models import Job, Message, Notice, Outcome, UntoldRun, Verdict
from autossl_panel.autossl.notify import mail, telling
from autossl_panel.hosting.models import Domain, SiteState, VirtualHost

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SITES = 10_000
CAUSES = ("nxdomain", "elsewhere", "caa", "http_status")


def test_ten_thousand_failing_sites_are_one_mail(server, admin, make_user, made, now):
    options.change(server, {"notify_user": "none"}, by=None)
    user = make_user("amber")
    hosts = VirtualHost.objects.bulk_create(
        (
            VirtualHost(
                server=server, user=user, key=f"k{n}", name=f"s{n}.example.com", appeared_at=now, names_wanted=1,
                state=SiteState.UNSECURED, next_at=now + timedelta(days=1),
                problem={"code": cause, "domain": f"s{n}.example.com", "data": {}},
            )
            for n, cause in zip(range(SITES), cycle(CAUSES), strict=False)
        ),
        batch_size=500,
    )  # fmt: skip
    domains = Domain.objects.bulk_create((Domain(virtual_host=host, name=host.name) for host in hosts), batch_size=500)
    Verdict.objects.bulk_create(
        (
            Verdict(domain=domain, at=now, outcome=Outcome.FAIL, code=cause, data={}, first_failed_at=now)
            for domain, cause in zip(domains, cycle(CAUSES), strict=False)
        ),
        batch_size=500,
    )
    run = made.ended(now, scope="*")
    Job.objects.bulk_create(
        (
            Job(
                run=run, server=server, virtual_host=host, user=user, action="new", reason="missing", job_class=1,
                queued_at=now, state="ended", ended_at=now, outcome="failed", outcome_reason="dcv_all_failed",
                problem=host.problem,
            )
            for host in hosts
        ),
        batch_size=500,
    )  # fmt: skip
    assert telling.after_run(run.pk, now=now) == 1
    message = Message.objects.get()
    assert message.payload["counts"] == {"unsecured": SITES}
    assert {group["code"]: group["sites"] for group in message.payload["groups"]} == dict.fromkeys(CAUSES, 2500)
    assert len(mail.email(message).message().as_bytes()) < 100_000
    assert Notice.objects.count() == SITES
    assert not UntoldRun.objects.exists()
    assert telling.look(server, now=now + timedelta(days=1)) == 0
