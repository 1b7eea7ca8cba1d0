"""Previews as rows: asked for, found by who may see them, rung for again, forgotten. What stands in them is worked out
in `previewing`, by a worker; pages may read this module.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils import timezone
from django_q.tasks import async_task

from autossl_panel.hosting import visible as hosting_visible
from autossl_panel.hosting.models import HostingUser, Server
from autossl_panel.people.models import AuditEntry, User

from . import leases, runs
from .models import Preview, PreviewSite, Run

# For so long the same question has the same answer, where nobody has changed anything
FRESH = timedelta(minutes=1)
# The queue is read every second: a task that has not begun by then was lost, or waits behind others
LATE = timedelta(seconds=10)
RING_EVERY = timedelta(seconds=20)
MOST_ATTEMPTS = 3
# After this nobody believes it any more
KEPT = timedelta(days=1)
# What queues the work; named, not imported, because tasks stand above
WORK = "autossl_panel.autossl.tasks.preview"


def ask(
    scope: str, *, asked_by: User | None, server: Server, now: datetime | None = None, ring: bool = True
) -> Preview:
    """A preview of what a run of this scope would do: one that is at work or still fresh, else a new one.

    It changes nothing that is told in the audit trail. `ring` False: the caller works it out itself.
    """
    now = now or timezone.now()
    while True:
        with transaction.atomic():
            found = newest(server, scope)
            if found is not None and (found.ended_at is None or is_fresh(found, now)):
                return found
            fresh = Preview(server=server, scope=scope, asked_by=asked_by, asked_at=now, rung_at=now)
            Preview.objects.bulk_create([fresh], ignore_conflicts=True)
            made = Preview.objects.filter(server=server, scope=scope, ended_at__isnull=True).first()
            # The one that was at work may have ended between these two statements.
            if made is not None:
                if ring:
                    async_task(WORK, made.pk)
                return made


def newest(server: Server, scope: str) -> Preview | None:
    """The preview of a scope that was asked for last."""
    mine = Preview.objects.select_related("asked_by").filter(server=server, scope=scope)
    return mine.order_by("-asked_at", "-pk").first()


def is_fresh(found: Preview, now: datetime) -> bool:
    """Whether it would come out the same: it is new, came to its end, and nothing has happened since."""
    if found.at is None or found.ended_at is None or found.problem is not None or now - found.ended_at > FRESH:
        return False
    if AuditEntry.objects.filter(at__gt=found.at).exists():
        return False
    ran = Q(started_at__gt=found.at) | Q(ended_at__gt=found.at)
    return not Run.objects.filter(ran, server=found.server_id).exists()


# --- who may see what -------------------------------------------------------------------------------------------------


def visible(person: User) -> QuerySet[Preview]:
    """The previews that `person` may see: root all, a reseller those of own users, a hosting user's login none."""
    if person.is_root:
        return Preview.objects.all()
    if not person.is_reseller:
        return Preview.objects.none()
    own = hosting_visible.users(person).values_list(Concat(Value(runs.user_scope("")), "name"), flat=True)
    return Preview.objects.filter(Q(scope=runs.owner_scope(person)) | Q(scope__in=own))


def sites(found: Preview, person: User | None) -> QuerySet[PreviewSite]:
    """Its rows, as far as `person` may see their users now (None: who has the command line); none before its end."""
    rows = PreviewSite.objects.filter(preview=found)
    if found.ended_at is None:
        return rows.none()
    if person is None or person.is_root:
        return rows
    return rows.filter(user__in=hosting_visible.users(person))


def scope_of(person: User, server: Server, *, user: str = "", owner: str = "") -> str | None:
    """The scope of a run for one hosting user, for a reseller's, or for all that are `person`'s; None where there is no
    such user or reseller that the person may see.
    """
    if user:
        mine: QuerySet[HostingUser] = hosting_visible.users(person).filter(server=server, name=user)
        return runs.user_scope(user) if mine.exists() else None
    if owner and (not person.is_reseller or owner != person.username):
        known = person.is_root and User.objects.filter(username=owner, hosting_users__server=server).exists()
        return runs.owner_scope(User(username=owner)) if known else None
    return runs.ALL if person.is_root else runs.owner_scope(person)


# --- looked after -----------------------------------------------------------------------------------------------------


def lease(found: Preview) -> str:
    """The name of the right to work a preview out."""
    return f"preview:{found.pk}"


def ring_where_needed(server: Server, now: datetime) -> bool:
    """Ring again for previews that nobody is at; the task may have been lost with its worker."""
    # What is ahead of now was before a clock was set back: how long is not known.
    late = Q(asked_at__lt=now - LATE) | Q(asked_at__gt=now)
    rung = False
    for found in Preview.objects.filter(late, server=server, ended_at__isnull=True).order_by("pk"):
        if leases.held(lease(found)):
            continue
        waits = Q(rung_at__isnull=True) | Q(rung_at__lt=now - RING_EVERY) | Q(rung_at__gt=now)
        if Preview.objects.filter(waits, pk=found.pk).update(rung_at=now):
            async_task(WORK, found.pk)
            rung = True
    return rung


def forget(server: Server, now: datetime) -> None:
    """Remove what is old, and what a newer one of the same scope has come after."""
    ended = Preview.objects.filter(server=server, ended_at__isnull=False)
    newer = ended.filter(scope=OuterRef("scope"), pk__gt=OuterRef("pk"))
    for pk in list(ended.filter(Exists(newer) | Q(asked_at__lt=now - KEPT)).values_list("pk", flat=True)):
        # Before its row: a cascade would fetch each of its sites.
        PreviewSite.objects.filter(preview_id=pk).delete()
        Preview.objects.filter(pk=pk).delete()
