"""Which sites wait, and for whom: the CA, a limit, a deferral, their next try, or this server. Reads only."""

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from autossl_panel.hosting.models import VirtualHost

from .facts import LONGEST_OF_A_NAME, LONGEST_OF_A_SITE
from .log.words import REASONS
from .models import Job, JobState, Order, OrderStatus, Phase
from .policy.needs import CLOCK_TOLERANCE


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
# Set to the moment in which somebody says so
AT_ONCE = ("changed", "recheck")
# What a name may wait for its turn by itself; each other reason of ours is the site's
OF_A_NAME = ("held_back", "ca_refused", "coverage")
OF_A_SITE = tuple(sorted(
    reason
    for reason in REASONS
    if _OF.get(reason, Kind.RETRY) not in (Kind.CA, Kind.LIMIT)
    and reason not in {*NO_WAITING, *OF_A_NAME, *AT_ONCE, "clock", "loop"}
))  # fmt: skip
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


def beyond(now: datetime) -> Iterator[QuerySet[VirtualHost]]:
    """Sites whose next moment is farther off than any that would be set at `now`, of all servers, part by part: this
    host's clock ran ahead when it was set. What the rules say of it then (`facts.holds`) is that nothing holds them.

    Each part is a range of the index on reason and moment, which the server in the question would lead past. Not what
    hangs on a certificate or on the word of a CA, nor what an open order waits for by a moment of its own.
    """
    each = (AT_ONCE, CLOCK_TOLERANCE), (OF_A_SITE, LONGEST_OF_A_SITE), (OF_A_NAME, LONGEST_OF_A_NAME)
    parts = [Q(next_reason__in=reasons, next_at__gt=now + longest) for reasons, longest in each]
    own = Q(next_reason="held_back", next_at__gt=now + LONGEST_OF_A_SITE, retry_at=F("next_at"))
    waits = Order.objects.filter(virtual_host=OuterRef("pk"), closed_at__isnull=True, retry_at__gt=now)
    for part in (*parts, own):
        yield VirtualHost.objects.filter(part).exclude(Exists(waits))


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
