"""The CA's renewal information (RFC 9773): asked by the sweep at the CA's pace, stored with a moment drawn from it.

What it means is decided in `policy.hints` and `policy.times`. A CA that fails leaves what is known as it was.
"""

import logging
import random
import time
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, F, OuterRef, Q, QuerySet

from autossl_panel import ca
from autossl_panel.hosting.models import Server, VirtualHost

from . import holds, registration, standing
from .apart import Apart
from .models import Certificate, Installation, Provider
from .policy import hints
from .policy.hints import Window

log = logging.getLogger("autossl_panel.renewal_info")

# In one sweep at most so many questions, and none begun after so many seconds: 300 a minute are 100,000 in six hours
MOST = 300
SECONDS = 15.0
# Without an answer: after a minute, then ever later, at most after six hours
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=6)
# A certificate that the CA says nothing usable of
LATER = timedelta(hours=6)
UNKNOWN = timedelta(days=1)
# Up to a tenth is added to each pause, so that what was asked together drifts apart
SPREAD = 0.1

_OF_THE_CA = frozenset({ca.ProblemKind.SERVER, ca.ProblemKind.UNREACHABLE, ca.ProblemKind.RATE})


def ask(server: Server, now: datetime) -> int:
    """Ask for the certificates of `server` whose moment has come; how many were asked for.

    Only for those of ours that are installed now, at providers whose directory offers renewal information; a fault at
    one holds up no other.
    """
    asked, ends, each = 0, time.monotonic() + SECONDS, Apart(log)
    rested = Q(ari_paused_until__isnull=True) | Q(ari_paused_until__lte=now)
    for provider in Provider.objects.filter(rested).exclude(renewal_info_url=""):
        with each.piece("renewal information of %s", provider):
            asked += _ask_one_ca(server, provider, now, ends)
    each.end()
    return asked


def due(server: Server, provider: Provider, now: datetime) -> QuerySet[Certificate]:
    """The certificates to ask for, the longest waiting first; those that were never asked for before all."""
    current = Installation.objects.filter(
        certificate=OuterRef("pk"),
        until__isnull=True,
        virtual_host__server=server,
        virtual_host__gone_at__isnull=True,
    )
    rows = Certificate.objects.filter(provider=provider, ours=True, not_after__gt=now, revoked_at__isnull=True)
    rows = rows.filter(Q(ari_next_at__isnull=True) | Q(ari_next_at__lte=now)).exclude(ari_id="")
    return rows.filter(Exists(current)).defer("pem").order_by(F("ari_next_at").asc(nulls_first=True), "pk")[:MOST]


def _ask_one_ca(server: Server, provider: Provider, now: datetime, ends: float) -> int:
    asked = 0
    moved: list[Certificate] = []
    with registration.reader(provider) as reader:
        for certificate in due(server, provider, now):
            if time.monotonic() > ends:
                break
            asked += 1
            try:
                info = reader.renewal_info(certificate.ari_id)
            except ca.CaProblem as problem:
                if _not_heard(provider, certificate, problem, now):
                    break
                continue
            if provider.ari_faults:
                _pause(provider, 0, None)
            if store(certificate, info, random.random()):  # noqa: S311 - spreads load
                moved.append(certificate)
    for certificate in moved:
        _bring_forward(server, certificate, now)
    return asked


def store(certificate: Certificate, info: ca.RenewalInfo, draw: float) -> bool:
    """Keep what the CA said. In a window that is new, `draw` (0 to 1) picks the moment to renew at; then True."""
    window = Window(info.start, info.end)
    earlier = None
    if certificate.ari_start is not None and certificate.ari_end is not None:
        earlier = Window(certificate.ari_start, certificate.ari_end)
    link = info.explanation_url if len(info.explanation_url) <= 500 else ""
    values: dict[str, Any] = {"ari_next_at": _spread(info.next_at), "ari_explanation": link}
    changed = window != earlier or certificate.renewal_at is None
    if changed:
        life = certificate.not_before, certificate.not_after
        values |= {
            "ari_start": window.start,
            "ari_end": window.end,
            "renewal_at": hints.draw_at(window, draw),
            "forward_until": hints.forward_until(window, earlier, certificate.forward_until, *life),
        }
    for name, value in values.items():
        setattr(certificate, name, value)
    Certificate.objects.filter(pk=certificate.pk).update(**values)
    return changed


def _spread(moment: datetime, since: datetime | None = None) -> datetime:
    """Not before `moment`, and up to a tenth of the pause later."""
    pause = moment - (since or datetime.now(moment.tzinfo))
    return moment + max(pause, timedelta(0)) * SPREAD * random.random()  # noqa: S311 - spreads load


def _not_heard(provider: Provider, certificate: Certificate, problem: ca.CaProblem, now: datetime) -> bool:
    """Ask for this one later; True where the CA itself fails, and is to be left in peace for a while."""
    whole = problem.kind in _OF_THE_CA and problem.short_type != "window"
    later = _spread(now + (UNKNOWN if problem.status == 404 else LATER), now)
    if problem.retry_after is not None:
        later = max(later, problem.retry_after)
    if whole:
        # Not first again next time: this one alone may be what the CA fails at.
        later = now + FIRST_PAUSE * 5
        _pause(provider, provider.ari_faults + 1, problem.retry_after, now)
        log.warning("%s gives no renewal information: %s", provider, problem)
    Certificate.objects.filter(pk=certificate.pk).update(ari_next_at=later)
    return whole


def _pause(provider: Provider, faults: int, until: datetime | None, now: datetime | None = None) -> None:
    if faults and now is not None:
        pause = min(FIRST_PAUSE * 2 ** min(faults - 1, 10), LONGEST_PAUSE)
        until = max(until or now, now + pause)
    provider.ari_faults, provider.ari_paused_until = min(faults, 1000), until
    Provider.objects.filter(pk=provider.pk).update(ari_faults=provider.ari_faults, ari_paused_until=until)


def _bring_forward(server: Server, certificate: Certificate, now: datetime) -> None:
    """Sites that would be looked at later than the hint wants are looked at then, unless something else holds them."""
    assert certificate.renewal_at is not None
    # No hint counts in the last tenth of the lifetime: there the certificate is due anyway.
    latest = certificate.not_after - (certificate.not_after - certificate.not_before) / 10
    at = max(min(certificate.renewal_at, latest), now)
    current = Installation.objects.filter(certificate=certificate, until__isnull=True)
    hosts = VirtualHost.objects.filter(pk__in=current.values("virtual_host"), server=server, next_at__gt=at)
    hosts = hosts.exclude(retry_at__gt=at).exclude(Q(held_until__gt=at) & ~Q(held_reason="rate_limited"))
    ids = list(hosts.values_list("pk", flat=True))
    found = VirtualHost.objects.filter(pk__in=ids)
    found.update(next_at=at, next_reason="ari" if certificate.forward_until is not None else "renew")
    # An order that only a limit holds back may be free of it in a window.
    ended = holds.end_waiting(found.filter(held_until__gt=at))
    if ended:
        standing.show(server, ended, now)
