"""Rows of runs and sites as the workers leave them, for tests of notifications."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from autossl_panel.autossl.models import (
    Account,
    AccountStatus,
    Certificate,
    Installation,
    Job,
    JobOutcome,
    JobState,
    Message,
    Order,
    Outcome,
    Provider,
    ProviderState,
    Run,
    UntoldRun,
    Verdict,
)
from autossl_panel.autossl.notify import digest
from autossl_panel.hosting.models import Domain, Server, SiteState, VirtualHost

ADMIN = "admin@example.org"


class Runs:
    """Makes runs that have ended, with jobs as the workers leave them."""

    def __init__(self, server: Server, provider: Provider) -> None:
        self.server, self.provider = server, provider

    def ended(self, now: datetime, scope: str = "user:amber", **fields: Any) -> Run:
        run = Run.objects.create(
            server=self.server,
            scope=scope,
            asked_from="panel",
            provider_name="pebble",
            started_at=now - timedelta(minutes=1),
            surveyed_at=now,
            ended_at=now,
            **fields,
        )
        UntoldRun.objects.create(run=run)
        return run

    def job(self, run: Run, host: VirtualHost, outcome: str, reason: str = "", code: str = "", **fields: Any) -> Job:
        problem = {"code": code, "domain": host.name, "data": {"name": host.name}} if code else None
        return Job.objects.create(
            run=run,
            server=self.server,
            virtual_host=host,
            user=host.user,
            action="new",
            reason="missing",
            job_class=1,
            queued_at=run.started_at,
            state=JobState.ENDED,
            ended_at=run.ended_at,
            outcome=outcome,
            outcome_reason=reason,
            problem=problem,
            **fields,
        )

    def failed(self, now: datetime, *hosts: VirtualHost, code: str = "nxdomain", **fields: Any) -> Run:
        """A run in which these sites failed for one cause; their rows and verdicts say so too."""
        run = self.ended(now, **fields)
        for host in hosts:
            self.job(run, host, JobOutcome.FAILED, "dcv_all_failed", code)
            fail(host, code, now)
        return run

    def secured(self, now: datetime, host: VirtualHost, certificate: Certificate, reason: str, **fields: Any) -> Run:
        """A run that put a certificate in place."""
        run = self.ended(now, **fields)
        order = Order.objects.create(
            ident=f"o-{run.pk}",
            virtual_host=host,
            provider=self.provider,
            account=self.provider.accounts.get(),
            names=certificate.names,
            reason=reason,
            key_type="p256",
            created_at=now,
            certificate=certificate,
            closed_at=now,
            closed_as="installed",
        )
        self.job(run, host, JobOutcome.SECURED, reason, order=order)
        VirtualHost.objects.filter(pk=host.pk).update(state=SiteState.SECURED, problem=None)
        return run


def fail(host: VirtualHost, code: str, now: datetime, *names: str, data: Any = None) -> None:
    """Verdict rows and the site's problem, as jobs leave them."""
    found = Domain.objects.filter(virtual_host=host)
    for domain in found.filter(name__in=names) if names else found:
        facts = {"name": domain.name, **(data or {})}
        Verdict.objects.update_or_create(
            domain=domain,
            defaults={
                "at": now,
                "outcome": Outcome.UNKNOWN if code == "unknown" else Outcome.FAIL,
                "code": code,
                "data": facts,
                "first_failed_at": now,
                "last_failed_at": now,
                "retry_at": now + timedelta(days=1),
            },
        )
    about = names[0] if names else host.name
    VirtualHost.objects.filter(pk=host.pk).update(
        problem={"code": code, "domain": about, "data": {"name": about, **(data or {})}},
        next_at=now + timedelta(days=1),
        names_wanted=found.count(),
    )


def installed(site: VirtualHost, now: datetime, *names: str, days_left: float = 80, **fields: Any) -> Certificate:
    """A certificate that a site has from now on, in place of another."""
    end = now + days_left * timedelta(days=1)
    Installation.objects.filter(virtual_host=site, until__isnull=True).update(until=now)
    certificate = Certificate.objects.create(
        fingerprint=f"{Certificate.objects.count() + 1:064x}", serial="1", names=list(names), issuer="CN=test",
        not_before=end - timedelta(days=90), not_after=end, key_kind="ec", key_bits=256, pem="",
        **{"ours": True, **fields},
    )  # fmt: skip
    Installation.objects.create(virtual_host=site, certificate=certificate, since=now, key_matches=True)
    return certificate


def another_provider(server: Server, name: str = "b-own") -> Provider:
    """A provider with an account that takes orders, for whoever chooses it; not the one in use."""
    row = Provider.objects.create(
        name=name, directory_url="https://127.0.0.1:1/own", state=ProviderState.READY, private_ca=True
    )
    Account.objects.create(
        provider=row, server=server, status=AccountStatus.VALID, url="https://127.0.0.1:1/own/1", thumbprint="o"
    )
    return row


def queued(server: Server, now: datetime, address: str, **fields: Any) -> Message:
    """A message that waits to be sent: a small one."""
    payload = {**digest.of_test(digest.Frame(server.name, now, (), {})), "type": "test"}
    values = {"way": "mail", "payload": payload, "made_at": now, "retry_at": now, **fields}
    return Message.objects.create(server=server, ident=uuid.uuid4().hex, address=address, **values)
