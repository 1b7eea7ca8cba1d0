"""Which of a run's sites become jobs, and which comes first: for the survey that queues them, and for a preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from . import choosing, policy, priority
from .choosing import Outlook
from .facts import Need
from .models import Job, JobState
from .sites import Site

# What holds every site alike: no other provider is asked for it, and a line of the run tells it
SAID_ONCE = ("paused", "clock")


@dataclass(frozen=True, slots=True)
class Turn:
    """A site's place among the jobs: they are claimed by class, then turn, then expiry."""

    job_class: int
    turn: int
    not_after: datetime | None
    site: Site
    need: Need


def need(site: Site, outlook: Outlook, now: datetime) -> Need:
    """What a site needs by the rules of its own provider; of another one, where its own makes it wait for too long."""
    found = policy.need(site.facts, site.options, now)
    if found.action not in choosing.WAITS or found.reason in SAID_ONCE:
        return found
    return choosing.instead_of_waiting(site, found, outlook, now).need


def turns(todo: Sequence[tuple[Site, Need]], now: datetime) -> list[Turn]:
    """The places of what one hosting user's sites need."""
    ranked = sorted(
        ((priority.job_class(found, site.facts, now), site, found) for site, found in todo),
        key=lambda one: (one[0], expiry(one[1]) or now),
    )
    return [
        Turn(job_class, priority.turn(nth, found), expiry(site), site, found)
        for nth, (job_class, site, found) in enumerate(ranked)
    ]


def expiry(site: Site) -> datetime | None:
    """When the certificate that is installed ends."""
    return site.facts.installed.not_after if site.facts.installed else None


def busy(ids: Sequence[int]) -> dict[int, int]:
    """Those of these virtual hosts that have a live job, with its run."""
    if not ids:
        return {}
    mine = set(ids)
    between = Job.objects.filter(virtual_host__gte=min(mine), virtual_host__lte=max(mine))
    live = between.exclude(state=JobState.ENDED).values_list("virtual_host_id", "run_id")
    return {host: run for host, run in live if host in mine}
