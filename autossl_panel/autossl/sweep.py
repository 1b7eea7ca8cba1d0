"""What is looked after once a minute: new sites, what is due, the daily check, lost jobs, old logs, what CAs say."""

import logging
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from autossl_panel.helper.client import Client, HelperGone, HelperProblem
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.changes import chunks
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.people import audit, sessions

from . import (
    certain,
    due,
    helpers,
    inventory,
    jobs,
    leases,
    leftovers,
    limits,
    measuring,
    preview,
    registration,
    rehearsal,
    renewal_info,
    revoked_lists,
    revoking,
    runs,
    shares,
    trouble,
    waiting,
)
from . import options as option_rows
from .apart import Apart
from .models import Job, LogLine, Options, Order, Run
from .notify import post, telling
from .policy.needs import CLOCK_TOLERANCE

log = logging.getLogger("autossl_panel.sweep")

# A little less than the minute after which the bell for it comes again
PAUSE = 50.0
# Seconds between two looks for lists of revoked certificates
LISTS_EVERY = 600.0
# Old runs removed in one sweep
REMOVED = 100


def sweep(server: Server, *, now: datetime | None = None) -> bool:
    """Look after everything of `server` that has its moment; False where a sweep was made just now."""
    holder = leases.new_holder()
    # Never given back: it runs out when the next sweep is due.
    if not leases.take(sweep_lease(server), holder, PAUSE):
        return False
    now = now or timezone.now()
    with helpers.client() as helper:
        _look_for_sites(server, helper, now)
        leftovers.look(server, now)
        daily = _start_daily(server, now)
        if daily:
            _prune(server, helper)
    _heed_clock(server, now)
    _right_moments(server, now)
    due.start(server, now)
    shares.note(server, now)
    jobs.ring_where_needed(server)
    preview.ring_where_needed(server, now)
    rehearsal.ring_where_needed(server, now)
    _forget(server, certain.moment(server, now))
    measuring.measure(server, now)
    limits.prune(now=now)
    each = Apart(log)
    with each.piece("what there is to tell could not all be told"):
        telling.sweep(server, now=now)
    with each.piece("what was told could not all be sent"):
        post.deliver(server)
    _ask_cas(server, holder, now, each, daily=daily)
    each.end()
    return True


def _ask_cas(server: Server, holder: str, now: datetime, each: Apart, *, daily: bool) -> None:
    """Last, what CAs may keep waiting; each takes seconds at most to begin with, and says what it found on rows.

    None of it waits for another part of it.
    """
    if daily:
        with each.piece("directories could not all be read again"):
            registration.look_again(server, now)
        with each.piece("lists of revoked certificates could not be forgotten"):
            revoked_lists.forget_unused()
    with each.piece("what was asked for providers and accounts could not all be done"):
        registration.carry_out_all(server)
    with each.piece("revocations could not all be taken up"):
        revoking.carry_out_all(server, now)
    with each.piece("renewal information could not be asked for"):
        renewal_info.ask(server, now)
    # Which lists there are takes as long to find out as the rest of a sweep, and none is read more than once an hour.
    if leases.take(f"lists:{server.pk}", holder, LISTS_EVERY):
        with each.piece("lists of revoked certificates could not be read"):
            revoked_lists.look(server, now)


def sweep_lease(server: Server) -> str:
    """The name of the right to sweep, which is never given back and runs out."""
    return f"sweep:{server.pk}"


def _look_for_sites(server: Server, helper: Client, now: datetime) -> None:
    """A site or name that is new in the configuration is due at once. Costs nothing where no file changed."""
    surveying = Run.objects.filter(server=server, ended_at__isnull=True, surveyed_at__isnull=True)
    if not surveying.exists():
        inventory.refresh(server, helper, now=now)


def _start_daily(server: Server, now: datetime) -> bool:
    """Start the check of all users when its minute has come, once a day. While AutoSSL is paused it has no work, but
    how sites stand is judged by it.
    """
    row = option_rows.current(server)
    # The day whose moment came last: just before midnight it is easily missed by a sweep.
    day = now.date() if now.time() >= row.daily_at else now.date() - timedelta(days=1)
    if row.daily_done_on is None:
        # A panel that is set up in the afternoon begins with the next day; its new sites are checked anyway.
        Options.objects.filter(pk=row.pk, daily_done_on__isnull=True).update(daily_done_on=day)
        return False
    # Done on a day to come: the clock ran ahead then. Not compared with `day`, which is yesterday where the minute of a
    # check that was made today has been moved to later.
    not_done = Q(daily_done_on__lt=day) | Q(daily_done_on__gt=now.date())
    if not Options.objects.filter(not_done, pk=row.pk).update(daily_done_on=day):
        return False
    runs.start(runs.ALL, by=None, asked_from="schedule", server=server, now=now)
    return True


def _heed_clock(server: Server, now: datetime) -> None:
    """Sites that this host's wrong clock held are due as soon as it is right: some certificates last an hour."""
    held = VirtualHost.objects.filter(server=server, next_reason="clock", next_at__isnull=True)
    if not held.exists():
        return
    registration.look_at_clock(server)
    if abs(trouble.clock_offset(server)) <= CLOCK_TOLERANCE:
        hosting_users.make_due(held, now)


def _right_moments(server: Server, now: datetime) -> None:
    """Sites whose next moment was set while this host's clock ran ahead are due: it may lie years off. Not by a clock
    that is known to be wrong.
    """
    if abs(trouble.clock_offset(server)) > CLOCK_TOLERANCE:
        return
    for part in waiting.beyond(now):
        ids = [pk for pk, of in part.values_list("pk", "server_id") if of == server.pk]
        for some in chunks(ids):
            hosting_users.make_due(VirtualHost.objects.filter(pk__in=some), now)


def _prune(server: Server, helper: Client) -> None:
    """Once a day: keys and chains that no open order needs any more."""
    keep = Order.objects.filter(virtual_host__server=server, closed_at__isnull=True)
    try:
        helper.prune(list(keep.values_list("ident", flat=True)))
    except (HelperGone, HelperProblem) as problem:
        log.warning("nothing was pruned: %s", problem)


def _forget(server: Server, now: datetime) -> None:
    """Remove what has been kept long enough: runs with their log, previews, sessions that ran out, old entries of the
    trail. `now` has certainly come.
    """
    sessions.forget(now)
    leases.forget()
    preview.forget(server, now)
    audit.forget(now - timedelta(days=option_rows.audit_days()), now=now)
    before = now - timedelta(days=option_rows.current(server).log_days)
    rehearsal.forget(server, before)
    for run_id in Run.objects.filter(server=server, ended_at__lt=before).values_list("pk", flat=True)[:REMOVED]:
        LogLine.objects.filter(run_id=run_id).delete()
        Job.objects.filter(run_id=run_id).delete()
        Run.objects.filter(pk=run_id).delete()
