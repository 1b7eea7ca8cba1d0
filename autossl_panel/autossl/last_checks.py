"""What a check did for each user, in one event: the “last check” of Manage Users and of SSL/TLS Status."""

from collections import Counter
from datetime import datetime

from django.db.models import Count

from autossl_panel.hosting.models import HostingUser, SiteState, VirtualHost
from autossl_panel.hosting.users import lock

from . import policy
from .models import Job, JobOutcome, Run

# Why a job ended whose run could not go on
RUN_FAILED = "run_failed"
# What a user's “last check” says first; “stopped” is what ended with a run that could not go on
WORST_FIRST = ("failed", "deferred", "waiting", "stopped", "cancelled")


def note(run: Run, now: datetime, *, partial: bool) -> None:
    """What the run did for each user it had jobs for, as the users' “last check”.

    `partial`: it was of what is due, and so looked at a part of their sites.
    """
    counts: dict[int, Counter[str]] = {}
    worst: dict[int, str] = {}
    rows = Job.objects.filter(run=run).values_list("user_id", "outcome", "action", "outcome_reason", "problem")
    for user_id, outcome, action, reason, problem in rows.iterator():
        ended = "renewed" if is_renewal(outcome, action) else "stopped" if reason == RUN_FAILED else outcome
        counts.setdefault(user_id, Counter())[ended] += 1
        if outcome in (JobOutcome.FAILED, JobOutcome.DEFERRED, JobOutcome.WAITING):
            worst.setdefault(user_id, problem["code"] if problem else reason)
    lock(HostingUser.objects.filter(pk__in=list(counts)))
    alike: dict[tuple[str, str, int, int, int], list[int]] = {}
    worse = _worse_than_they_look(run)
    sites = _sites_beside(run) if partial else {}
    for user_id, counter in counts.items():
        worked_on = counter.total() - counter["cancelled"] - counter["stopped"]
        part = (worked_on, sites[user_id]) if 0 < worked_on < sites.get(user_id, 0) else (0, 0)
        bad = next((name for name in WORST_FIRST if counter[name]), "")
        if not bad and user_id in worse:
            number, reason = worse[user_id]
            alike.setdefault(("check:kept", reason, number, 0, 0), []).append(user_id)
            continue
        outcome = bad or next((name for name in ("secured", "renewed") if counter[name]), "nothing_to_do")
        key = (f"check:{outcome}", worst.get(user_id, ""), counter[outcome], *part)
        alike.setdefault(key, []).append(user_id)
    for (event, reason, number, worked_on, of), ids in alike.items():
        partly = {"worked_on": worked_on, "sites": of} if of else {}
        set_for(ids, now, event, reason=reason, number=number, **partly)


def _sites_beside(run: Run) -> dict[int, int]:
    """How many sites the users have that the run had work for."""
    sites = VirtualHost.objects.filter(user__in=Job.objects.filter(run=run).values("user"), gone_at__isnull=True)
    return dict(sites.order_by().values_list("user").annotate(n=Count("pk")))


def _worse_than_they_look(run: Run) -> dict[int, tuple[int, str]]:
    """By the run's users: how many certificates from elsewhere are kept for the worst reason, and that reason.

    No job was made for these; a check that says “secured” of the others would hide them.
    """
    rows = VirtualHost.objects.filter(
        user__in=Job.objects.filter(run=run).values("user"),
        state__in=(SiteState.FOREIGN, SiteState.UNSECURED),
        problem__isnull=False,
    )
    found: dict[int, list[str]] = {}
    for user_id, problem in rows.values_list("user_id", "problem").iterator():
        if problem and problem["code"] in policy.FOREIGN_WORSE:
            found.setdefault(user_id, []).append(problem["code"])
    return {user_id: (codes.count(min(codes)), min(codes)) for user_id, codes in found.items()}


def set_for(user_ids: list[int], now: datetime, event: str, **data: str | int) -> None:
    """Set the “last check” of users to one event, rendered like a log line."""
    for start_ in range(0, len(user_ids), 500):
        HostingUser.objects.filter(pk__in=user_ids[start_ : start_ + 500]).update(
            last_check_at=now, last_check={"event": event, "data": data}
        )


def is_renewal(outcome: str, action: str) -> bool:
    """Whether a job that ended so renewed a certificate."""
    return outcome == JobOutcome.SECURED and action == "renew"
