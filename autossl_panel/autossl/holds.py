"""What keeps a site from being tried, and what of it a person's check ends."""

from datetime import datetime
from typing import TypeVar

from django.db.models import F, Model, Q, QuerySet

from autossl_panel.hosting import users
from autossl_panel.hosting.models import VirtualHost
from autossl_panel.people.models import User

from . import limits, policy
from .models import Account, Verdict

Row = TypeVar("Row", bound=Model)


def clear(hosts: QuerySet[VirtualHost], rows: QuerySet[Verdict], now: datetime, *, by: User | None) -> None:
    """A person's check of `hosts`, whose names' verdicts are `rows`, ends what our own preflight and retry ladder hold,
    never what the CA holds; but where the CA waits for a person to act there, that person has come.

    How often a CA refused a name is remembered, so that one that refuses once more is left alone for longer. Whoever
    asks before its time climbs no rung of the ladder: where it fails again, it stands where it stood. In a transaction.
    """
    users.lock(hosts)
    users.lock(rows)
    _stand(hosts, Q(retry_at__gt=now) | Q(retry_at__isnull=True, next_at__gt=now))
    _stand(rows, Q(retry_at__gt=now))
    hosts.filter(retry_at__isnull=False).update(retry_at=None)
    _end_pauses(hosts.filter(held_reason__in=policy.PERSON_ENDS), by)
    rows.filter(retry_at__isnull=False).update(retry_at=None)
    for row in rows.filter(refusals__isnull=False):
        over = {
            name: {**one, "until": min(one["until"], now.isoformat())} for name, one in (row.refusals or {}).items()
        }
        Verdict.objects.filter(pk=row.pk).update(refusals=over)


def _stand(rows: QuerySet[Row], waits: Q) -> None:
    """Take back the rung that the next failure of those that wait still would climb."""
    rows.filter(waits, attempts__gt=0).update(attempts=F("attempts") - 1)


def end_waiting(hosts: QuerySet[VirtualHost]) -> list[int]:
    """What waited for a limit is needed for another reason now, which the limit may not count; the ids of these sites.
    What a CA refuses is kept with the limits, and holds there."""
    waiting = hosts.filter(held_reason="rate_limited")
    ids = list(waiting.values_list("pk", flat=True))
    VirtualHost.objects.filter(pk__in=ids).update(held_until=None, held_reason="", held_provider="")
    return ids


def _end_pauses(paused: QuerySet[VirtualHost], by: User | None) -> None:
    """Names that a CA had paused may be asked for once more: whether somebody acted there, the CA will say."""
    found = paused.values_list("server", "held_provider", "domains__name").distinct()
    accounts: dict[tuple[int, str], Account | None] = {}
    for server, provider, name in found:
        key = (server, provider)
        if key not in accounts:
            mine = Account.objects.select_related("provider").filter(server=server, provider__name=provider)
            accounts[key] = mine.first()
        account = accounts[key]
        if account is not None:
            limits.unpause(account, name, by=by)
    paused.update(held_until=None, held_reason="", held_provider="")
