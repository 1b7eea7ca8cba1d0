"""Revoked certificates as rows: what a person wishes, and what became known. Their sites are due at once.

What needs the network is in `revoking` and `revoked_lists`, which workers run.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people import audit
from autossl_panel.people.models import User

from . import holds, standing
from .models import Certificate, Installation

REVOKE = "autossl_panel.autossl.tasks.revoke_certificate"
# What a subscriber may say (RFC 5280 §5.3.1)
REASONS: Mapping[str, int] = {
    "unspecified": 0,
    "keyCompromise": 1,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
}


class RevocationProblem(ValueError):
    """Why a certificate cannot be revoked; `field` is `reason` or `certificate`."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field
        self.text = text


def ask(certificate: Certificate, reason: str, *, by: User | None, ring: bool = True) -> Certificate:
    """Have a certificate of ours revoked, for one of REASONS; a worker does it (`ring`), or who calls `revoking`."""
    if reason not in REASONS:
        raise RevocationProblem(
            "reason",
            _("“%(reason)s” is not a reason. There are: %(reasons)s.")
            % {"reason": reason, "reasons": ", ".join(REASONS)},
        )
    with transaction.atomic():
        row = Certificate.objects.select_for_update().get(pk=certificate.pk)
        _check(row)
        wish = {"reason": REASONS[reason], "by": by.username if by else ""}
        if row.revoke_wish == wish and row.revoke_problem is None:
            # A second click on what is under way
            return row
        row.revoke_wish = wish
        row.revoke_problem = None
        row.save(update_fields=["revoke_wish", "revoke_problem"])
        told = {"serial": row.serial, "reason": reason, "names": row.names}
        audit.record(by, "certificate:revoke", row.names[0] if row.names else row.serial, after=told)
        if ring:
            async_task(REVOKE, row.pk)
    return row


def _check(certificate: Certificate) -> None:
    if not certificate.ours or certificate.provider_id is None:
        raise RevocationProblem(
            "certificate", _("This certificate was not ordered by AutoSSL: only its owner revokes it.")
        )
    if certificate.revoked_at is not None:
        raise RevocationProblem(
            "certificate", _("It was revoked already, on %(day)s.") % {"day": f"{certificate.revoked_at:%Y-%m-%d}"}
        )
    if certificate.not_after <= timezone.now():
        raise RevocationProblem("certificate", _("It has expired: there is nothing left to revoke."))


def note(revoked: Mapping[int, tuple[datetime, int | None]], now: datetime) -> None:
    """Write which certificates (by id) are revoked, since when and why, and make the sites due that still use them."""
    hosts: dict[Server, set[int]] = defaultdict(set)
    with transaction.atomic():
        for pk, (at, reason) in revoked.items():
            said: dict[str, Any] = {"revoked_at": at, "revoked_reason": reason}
            Certificate.objects.filter(pk=pk).update(**said, revoke_wish=None, revoke_problem=None)
        current = Installation.objects.filter(certificate__in=list(revoked), until__isnull=True)
        for one in current.select_related("virtual_host__server"):
            hosts[one.virtual_host.server].add(one.virtual_host_id)
        for server, ids in hosts.items():
            # Our own retry ladder gives way; what the CA holds stays held.
            mine = VirtualHost.objects.filter(pk__in=ids, gone_at__isnull=True)
            hosting_users.lock(mine)
            mine.update(next_at=now, next_reason="revoked", retry_at=None)
            holds.end_waiting(mine)
            standing.show(server, ids, now)
