"""Which sites wait, and for whom: the CA, a limit, a deferral, their next try, or this server. Reads only."""

from datetime import datetime
from enum import StrEnum

from django.db.models import Q, QuerySet

from autossl_panel.hosting.models import VirtualHost

from .models import Job, JobState, OrderStatus, Phase


class Kind(StrEnum):
    """Whom a site waits for."""

    CA = "ca"
    LIMIT = "limit"
    DEFERRAL = "deferral"
    RETRY = "retry"
    SERVER = "server"


# Reasons of a next moment that nobody waits for: all is well until then, or nothing is to come
NO_WAITING = frozenset({
    "", "ok", "renew", "coverage", "ari", "due", "revoked", "provider_changed", "foreign", "foreign_expiring",
    "foreign_defective", "changed", "recheck", "cancelled", "disabled", "suspended", "gone",
    "no_provider", "all_excluded", "no_names",
})  # fmt: skip
_OF = {
    "rate_limited": Kind.LIMIT,
    "deferred": Kind.DEFERRAL,
    **dict.fromkeys(
        ("order_open", "order_stuck", "ca_unreachable", "ca_server", "ca_order", "ca_account", "ca_terms", "ca_eab",
         "ca_paused", "providers_down"),
        Kind.CA,
    ),
    **dict.fromkeys(
        ("clock", "staged", "detached", "foreign_broken", "nginx_not_running", "helper_gone", "busy", "attach_refused",
         "internal", "worker_died", "quarantined", "rolled_back", "unknown_order", "not_staged", "no_such_site"),
        Kind.SERVER,
    ),
}  # fmt: skip
# A person's check clears what our own ladder holds; these two no check can hurry
NOT_TO_HURRY = frozenset({"rate_limited", "clock"})


def kind(reason: str) -> Kind:
    """Whom a site waits for whose next moment has this reason."""
    return _OF.get(reason, Kind.RETRY)


def sites(hosts: QuerySet[VirtualHost], of: Kind | None = None) -> QuerySet[VirtualHost]:
    """Those of `hosts` whose next moment is one that they wait for; a reason that is not known here is a retry's."""
    ahead = hosts.filter(next_at__isnull=False)
    if of not in (None, Kind.RETRY):
        return ahead.filter(next_reason__in=[reason for reason, found in _OF.items() if found == of])
    others = NO_WAITING if of is None else NO_WAITING | _OF.keys()
    # Nearly all sites wait for their renewal: an index leads round them, where “not among” would look at each.
    ahead = ahead.filter(Q(next_reason__lt="renew") | Q(next_reason__gt="renew"))
    return ahead.exclude(next_reason__in=sorted(others))


def at_work(now: datetime) -> QuerySet[Job]:
    """Live jobs that wait: for the reload that puts them live, or for the CA."""
    at_ca = Q(order__status=OrderStatus.PROCESSING) | Q(order__retry_at__gt=now)
    running = Q(state=JobState.RUNNING, phase=Phase.ORDER) & at_ca
    return Job.objects.filter(Q(state=JobState.STAGED) | running)


def kind_of_job(job: Job) -> Kind:
    """Whom a job of `at_work` waits for."""
    return Kind.SERVER if job.state == JobState.STAGED else Kind.CA


def may_hurry(reason: str, held_until: datetime | None, now: datetime) -> bool:
    """Whether a person's check can begin before the moment has come: not where a limit of the CA holds the site."""
    return reason not in NOT_TO_HURRY and (held_until is None or held_until <= now)
