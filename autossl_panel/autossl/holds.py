"""What keeps a site from being tried, and what of it a person's check ends."""

from datetime import datetime

from django.db.models import QuerySet

from autossl_panel.hosting.models import VirtualHost

from . import policy
from .models import Verdict


def clear(hosts: QuerySet[VirtualHost], rows: QuerySet[Verdict], now: datetime) -> None:
    """A person's check of `hosts`, whose names' verdicts are `rows`, ends what our own preflight and retry ladder hold,
    never what the CA holds; but where the CA waits for a person to act there, that person has come.

    How often a CA refused a name is remembered, so that one that refuses once more is left alone for longer.
    """
    hosts.filter(retry_at__isnull=False).update(retry_at=None)
    hosts.filter(held_reason__in=policy.PERSON_ENDS).update(held_until=None, held_reason="", held_provider="")
    rows.filter(retry_at__isnull=False).update(retry_at=None)
    for row in rows.filter(refusals__isnull=False):
        over = {
            name: {**one, "until": min(one["until"], now.isoformat())} for name, one in (row.refusals or {}).items()
        }
        Verdict.objects.filter(pk=row.pk).update(refusals=over)
