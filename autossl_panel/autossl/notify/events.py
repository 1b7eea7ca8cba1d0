"""What happened once: a certificate put in place, one that covers less than before, one that was revoked."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from autossl_panel import names as domain_names
from autossl_panel.hosting import exclusion_patterns
from autossl_panel.hosting.models import Domain, Exclusion, HostingUser, Server

from ..models import Certificate, Installation, Job, JobOutcome, Kind, Run
from .changes import Fact
from .matters import Matter

CHUNK = 500
RENEWALS = frozenset({"due", "ari", "key_type"})
REVOKED_LATELY = timedelta(days=30)
# RFC 5280 §5.3.1
REVOCATION_REASONS = {
    0: "unspecified", 1: "keyCompromise", 3: "affiliationChanged", 4: "superseded", 5: "cessationOfOperation",
    9: "privilegeWithdrawn",
}  # fmt: skip
JOB = (
    "virtual_host_id", "virtual_host__name", "user_id", "order__reason", "order__certificate_id",
    "order__certificate__fingerprint", "order__certificate__names", "order__certificate__not_after",
    "virtual_host__next_at",
)  # fmt: skip


def of_runs(ended: Iterable[Run], *, good: bool) -> list[Matter]:
    """What these runs put in place. Only where it costs names, unless `good` news are wanted too."""
    jobs = Job.objects.filter(run__in=list(ended), outcome=JobOutcome.SECURED, order__certificate__isnull=False)
    if not good:
        jobs = jobs.filter(order__reason="reduced_coverage")
    rows = list(jobs.order_by("pk").values_list(*JOB))
    reduced = {row[0]: row for row in rows if row[3] == "reduced_coverage"}
    dropped = _dropped(reduced)
    return [matter for row in rows for matter in _of_job(row, dropped.get(row[0], ()))]


def _of_job(row: tuple[Any, ...], dropped: tuple[str, ...]) -> list[Matter]:
    host, site, user, reason, _certificate, fingerprint, names, not_after, next_at = row
    if reason == "reduced_coverage":
        kind, about = Kind.REDUCED, dropped
    elif reason in RENEWALS:
        kind, about = Kind.RENEWED, tuple(names)
    else:
        kind, about = Kind.SECURED, tuple(names)
    happened: frozenset[Fact] = frozenset({("", str(kind))})
    return [
        Matter(
            kind,
            f"site:{host}:{fingerprint}",
            happened,
            code=reason,
            domain=site,
            names=about,
            next_at=next_at,
            not_after=not_after,
            host_id=host,
            site=site,
            user_id=user,
        )
    ]


def _dropped(rows: Mapping[int, tuple[Any, ...]]) -> dict[int, tuple[str, ...]]:
    """By site: the names that the certificate before covered, that are wished still, and that the new one lacks."""
    found: dict[int, tuple[str, ...]] = {}
    ids = list(rows)
    patterns: dict[Server, exclusion_patterns.Patterns] = {}
    for first in range(0, len(ids), CHUNK):
        part = ids[first : first + CHUNK]
        before: dict[int, list[str]] = {}
        earlier = Installation.objects.filter(virtual_host__in=part, until__isnull=False).order_by("until", "pk")
        for host, certificate, names in earlier.values_list("virtual_host_id", "certificate_id", "certificate__names"):
            if certificate != rows[host][4]:
                before[host] = names
        ended = _ended_wishes({rows[host][2] for host in part}, patterns)
        wished = Domain.objects.filter(virtual_host__in=part).order_by("virtual_host_id", "position")
        for host, name, added in wished.values_list("virtual_host_id", "name", "added"):
            had, has = domain_names.covers(before.get(host, ()), name), domain_names.covers(rows[host][6], name)
            over = ended[rows[host][2]]
            if had and not has and not over.by_name(name, added=added) and over.by_pattern(name, added=added) is None:
                found[host] = (*found.get(host, ()), name)
    return found


def _ended_wishes(
    ids: Collection[int], patterns: dict[Server, exclusion_patterns.Patterns]
) -> dict[int, exclusion_patterns.Ended]:
    """By hosting user: what ends the wish for names. `patterns` keeps those of a server that were read."""
    users = list(HostingUser.objects.select_related("server").filter(pk__in=ids))
    for server in {user.server for user in users} - patterns.keys():
        patterns[server] = exclusion_patterns.load(server)
    names: dict[int, set[str]] = {}
    for user_id, name in Exclusion.objects.filter(user__in=ids).values_list("user_id", "name"):
        names.setdefault(user_id, set()).add(name)
    return {
        user.pk: exclusion_patterns.Ended(
            frozenset(names.get(user.pk, ())),
            patterns[user.server].scope(user.owner_id, user.feature_list_id, user.pk),
        )
        for user in users
    }


def revocations(server: Server, now: datetime) -> list[Matter]:
    """Certificates of ours that were revoked lately, each with the newest site that had it."""
    lately = Certificate.objects.filter(ours=True, revoked_at__gt=now - REVOKED_LATELY)
    rows = (
        Installation.objects.filter(certificate__in=lately, virtual_host__server=server)
        .filter(virtual_host__gone_at__isnull=True)
        .order_by("certificate_id", "-since")
        .values_list(
            "certificate__fingerprint",
            "certificate__revoked_at",
            "certificate__revoked_reason",
            "certificate__not_after",
            "virtual_host_id",
            "virtual_host__name",
            "virtual_host__user_id",
            "virtual_host__next_at",
            "until",
        )
    )
    found: dict[str, Matter] = {}
    for fingerprint, at, reason, not_after, host, site, user, next_at, until in rows:
        data = {
            "at": at.isoformat() if at is not None else None,
            "reason": REVOCATION_REASONS.get(reason or 0, ""),
            "in_use": until is None,
        }
        found.setdefault(
            fingerprint,
            Matter(
                Kind.REVOKED,
                f"site:{host}:{fingerprint}",
                frozenset({("", "revoked")}),
                code="revoked",
                domain=site,
                data=data,
                next_at=next_at,
                not_after=not_after,
                host_id=host,
                site=site,
                user_id=user,
            ),
        )
    return list(found.values())
