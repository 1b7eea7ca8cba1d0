"""What django-q2 calls. A task carries one integer, may come twice or never; the rows say what there is to do."""

from django.utils import timezone

from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server

from . import due, helpers, jobs, lifeline, previewing, registration, rehearsing, revoking, signs
from . import preview as previews
from . import rehearsal as rehearsals
from . import sweep as sweeping
from .models import Account, Certificate, Preview, Provider, Rehearsal
from .notify import post


def work(run_id: int) -> None:
    """Survey a run and work for its server as long as there is something to do and the budget lasts."""
    jobs.work(run_id, stop=lifeline.ended)


def beat(server_id: int) -> None:
    """Show that the queue is alive; ring again for work that nobody is at, and sweep when that is due."""
    server = Server.objects.filter(pk=server_id).first()
    if server is None:
        return
    signs.give(server.pk)
    if lifeline.ended():
        return
    jobs.ring_where_needed(server)
    previews.ring_where_needed(server, timezone.now())
    rehearsals.ring_where_needed(server, timezone.now())
    with signs.given(server):
        sweeping.sweep(server)


def sweep() -> None:
    """The one scheduled task, for clusters that run without `serve`."""
    server = servers.this()
    with signs.given(server):
        sweeping.sweep(server)


def check_provider(provider_id: int) -> None:
    """Read the directory of a provider's draft: the row then says ready or refused."""
    provider = Provider.objects.filter(pk=provider_id).first()
    if provider is not None:
        with signs.given(servers.this()):
            registration.probe(provider)


def register_account(account_id: int) -> None:
    """Register an account and use its provider, or say on the row why not."""
    account = Account.objects.select_related("provider").filter(pk=account_id).first()
    if account is not None:
        with signs.given(servers.this()):
            registration.register(account)


def carry_out_wish(account_id: int) -> None:
    """Do what a person asked for an account: another key, a new registration, agreement to new terms."""
    account = Account.objects.select_related("provider").filter(pk=account_id, wish__isnull=False).first()
    if account is not None:
        with signs.given(servers.this()):
            registration.carry_out(account)


def revoke_certificate(certificate_id: int) -> None:
    """Revoke a certificate as a person wished, or say on its row why not; its sites are begun with at once."""
    rows = Certificate.objects.select_related("provider", "account")
    certificate = rows.filter(pk=certificate_id, revoke_wish__isnull=False).first()
    if certificate is not None:
        server = servers.this()
        with signs.given(server):
            if revoking.carry_out(certificate).revoked_at is not None:
                # Visitors see a warning until another one is installed: the next sweep may be a minute away.
                due.start(server, timezone.now())


def deliver(server_id: int) -> None:
    """Send what is in the outbox of a server."""
    server = Server.objects.filter(pk=server_id).first()
    if server is not None:
        with signs.given(server):
            post.deliver(server, stop=lifeline.ended)


def preview(preview_id: int) -> None:
    """Work out what a run would do, for who asked for it."""
    found = Preview.objects.select_related("server").filter(pk=preview_id, ended_at__isnull=True).first()
    if found is not None:
        with signs.given(found.server), helpers.client() as helper:
            previewing.work_out(found.pk, helper, stop=lifeline.ended)


def rehearse(rehearsal_id: int) -> None:
    """Rehearse at a CA's staging directory."""
    found = Rehearsal.objects.select_related("server").filter(pk=rehearsal_id, ended_at__isnull=True).first()
    if found is not None:
        with signs.given(found.server), helpers.client() as helper:
            rehearsing.carry_out(found.pk, helper, stop=lifeline.ended)
