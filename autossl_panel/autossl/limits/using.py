"""How much a CA has been asked for: for pages, commands and previews; and what is forgotten. Decides nothing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, F, Func, IntegerField, Max, Q, QuerySet, Subquery

from ..ledger import PROVIDER_WIDE, REMEMBERED, Kind, Ledger, Limit, Use
from ..models import Account, Bucket
from . import rows

# Of the rows that were fullest when written so many are looked at: what has run out since may have been ahead
LOOKED_AT = 20
# What counts of many subjects, of which the fullest is shown
MANY = frozenset({Kind.DOMAIN, Kind.SET, Kind.FAILURES, Kind.CONSECUTIVE})
# A name that failed and was never asked for again is forgotten after this
FAILURES_KEPT = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Usage:
    """One limit: `used` of `allowed` of `published` within `seconds` by the fullest of `subjects`.

    `label` is what people call that one, "" where the account or the provider is meant. `frees_at`: when the next of it
    comes back; None where nothing is used, or where only a success or a person gives back.
    """

    kind: Kind
    subject: str
    label: str
    used: int
    allowed: int
    published: int
    seconds: int
    subjects: int
    frees_at: datetime | None


@dataclass(frozen=True, slots=True)
class Refused:
    """What the CA refused all the same, until when (None: until a person acts, at `url`), in its words."""

    kind: Kind
    subject: str
    label: str
    until: datetime | None
    detail: str
    url: str


@dataclass(frozen=True, slots=True)
class Report:
    """An account's limits. `spent_at`: since when it counts `lost` permits (None: any number) that it cannot know."""

    limits: tuple[Usage, ...]
    refused: tuple[Refused, ...]
    spent_at: datetime | None
    lost: int | None


def usage(account: Account, *, now: datetime) -> Report:
    """How an account stands. `now`: the CA's time, as near as the caller knows it. Reads only, by five queries."""
    paper = rows.sheet(account)
    at = rows.seconds(now)
    some = list(_fullest(paper, now))
    subjects = _subjects(paper, now) | {Kind.CONSECUTIVE: getattr(some[0], "failing", 0) if some else 0}
    limits = []
    for limit in paper.limits:
        if limit.kind is Kind.CONSECUTIVE:
            mine = [row for row in some if row.kind == Kind.FAILURES and row.in_a_row]
        else:
            mine = [row for row in some if row.kind == limit.kind and row.used]
        limits.append(_usage(paper, limit, mine, subjects.get(limit.kind, 0), at))
    spent_at = account.ledger_spent_at
    if spent_at is not None and now - spent_at > rows.longest(paper.limits):
        spent_at = None
    return Report(tuple(limits), tuple(_refused(paper, now)), spent_at, account.ledger_lost if spent_at else None)


def _live(now: datetime) -> Q:
    return Q(empty_at__gt=now, used__gt=0)


def _subjects(paper: rows.Sheet, now: datetime) -> dict[str, int]:
    """Of how many subjects something counts, by kind."""
    live = _of(paper).filter(_live(now)).exclude(kind=Kind.REQUESTS)
    return dict(live.order_by().values_list("kind").annotate(number=Count("pk")))


def _fullest(paper: rows.Sheet, now: datetime) -> Iterator[Bucket]:
    """The rows that say how much is used: the fullest of each kind that has many, the others whole.

    Each of them is found by an index of its own, however many rows there are.
    """
    wanted = Q()
    for kind in Kind:
        mine = Bucket.objects.filter(owner=paper.owner(kind), kind=kind)
        if kind in MANY:
            top = mine.filter(_live(now)).order_by("-used", "pk")
            wanted |= Q(pk__in=top.values("pk")[:LOOKED_AT])
        elif kind is not Kind.REQUESTS:
            wanted |= Q(owner=paper.owner(kind), kind=kind, subject="") & _live(now)
    failing = Bucket.objects.filter(owner=paper.owner(Kind.FAILURES), kind=Kind.FAILURES, in_a_row__gt=0)
    top = failing.order_by("-in_a_row", "pk")
    wanted |= Q(pk__in=top.values("pk")[:LOOKED_AT])
    number = failing.order_by().annotate(number=Func(F("pk"), function="COUNT", output_field=IntegerField()))
    # In order, so that of several that are as full the same one is shown each time
    found = Bucket.objects.filter(wanted).annotate(failing=Subquery(number.values("number")))
    return found.order_by("-used", "pk").iterator()


def _usage(paper: rows.Sheet, limit: Limit, some: list[Bucket], subjects: int, at: float) -> Usage:
    """The fullest of `some`, as the ledger counts them now."""
    label = ""
    best: Use | None = None
    for row in some:
        paper.take_in(row)
        use = paper.ledger.use(limit.kind, row.subject, at)
        if best is None or use.used > best.used:
            label, best = row.label or row.subject, use
    if best is None:
        # Nothing is known of anybody; what was lost may be anybody's.
        best = paper.ledger.use(limit.kind, "", at)
    frees_at = rows.moment(best.frees_at) if best.frees_at is not None else None
    return Usage(
        limit.kind, best.subject, label, best.used, best.allowed, limit.number, limit.seconds, subjects, frees_at
    )


def _refused(paper: rows.Sheet, now: datetime) -> Iterator[Refused]:
    mine = {paper.shared_owner, paper.owner(Kind.ACCOUNT)}
    refused = Bucket.objects.filter(owner__in=mine, blocked_until__gt=now)
    for row in refused.order_by("-blocked_until", "kind", "subject"):
        until = None if row.blocked_until is None or row.blocked_until >= rows.NEVER else row.blocked_until
        kind = Kind(row.kind)
        yield Refused(kind, row.subject, row.label or row.subject, until, row.blocked_detail, row.blocked_url)


def _of(paper: rows.Sheet) -> QuerySet[Bucket]:
    return Bucket.objects.filter(
        Q(owner=paper.shared_owner, kind__in=list(PROVIDER_WIDE)) | Q(owner=rows.own_owner(paper.account))
    )


def forecast(account: Account, *, now: datetime) -> Ledger:
    """The account's ledger in memory, to try a whole run on: what it spends is written nowhere. Locks nothing.

    Ask it with `ledger.order(…)` and POSIX seconds by the CA's clock.
    """
    paper = rows.sheet(account)
    live = Q(empty_at__gt=now, used__gt=0) | Q(in_a_row__gt=0) | Q(blocked_until__isnull=False)
    for row in _of(paper).filter(live).exclude(kind=Kind.REQUESTS, blocked_until=None).iterator(chunk_size=5000):
        paper.take_in(row)
    paper.rows.clear()
    return paper.ledger


def prune(*, now: datetime, most: int = 5000) -> int:
    """Forget up to `most` rows that say nothing any more; how many. For the sweep; `now` is this host's time.

    That may run ahead: of each owner nothing is forgotten past the moment that its CA gave for a permit last, so rows
    of who asks for nothing stay until its next one. Failures that nobody ever learnt the end of join the row of
    failures of their name before they are forgotten.
    """
    gone = 0
    for owner, latest in _heard(now):
        gone += _forget(owner, min(now, rows.moment(latest)), most - gone)
    return gone


def _heard(now: datetime) -> list[tuple[str, float]]:
    """Whose rows may say nothing any more, with the latest moment by the CA's clock that is written down for it."""
    by_the_ca = Bucket.objects.exclude(kind=Kind.REQUESTS)
    some = by_the_ca.filter(_over(now), empty_at__lte=now).order_by().values("owner").distinct()
    marked = by_the_ca.filter(owner__in=some).order_by().values_list("owner").annotate(latest=Max("mark"))
    return sorted(marked)


def _over(at: datetime) -> Q:
    return Q(blocked_until=None) | Q(blocked_until__lte=at - timedelta(seconds=REMEMBERED))


def _forget(owner: str, at: datetime, most: int) -> int:
    """Forget up to `most` of an owner's rows that say nothing any more at a moment by the CA's clock.

    What somebody has locked is just being asked for, and not waited for: they lock one row after the other, too.
    """
    empty = Q(owner=owner, empty_at__lte=at) & _over(at)
    failures = Bucket.objects.filter(empty, kind=Kind.FAILURES, used__gt=0)
    old = (Q(in_a_row=0) | Q(empty_at__lte=at - FAILURES_KEPT)) & empty
    with transaction.atomic():
        failures.filter(pk__in=_free(failures, most)).update(
            in_a_row=F("in_a_row") + F("used"),
            used=0,
            entries=[],
            blocked_until=None,
            blocked_detail="",
            blocked_asked=None,
        )
        gone = Bucket.objects.filter(old)
        return gone.filter(pk__in=_free(gone, most)).delete()[0]


def _free(rows: QuerySet[Bucket], most: int) -> list[int]:
    """Those of these that nobody has locked, the oldest first; locked until the transaction ends."""
    free = rows.order_by("empty_at").select_for_update(skip_locked=True)
    return list(free.values_list("pk", flat=True)[:most])


def paused(account: Account) -> list[Refused]:
    """Names that the CA has paused for the account until a person acts."""
    mine = Bucket.objects.filter(owner=rows.own_owner(account), kind=Kind.CONSECUTIVE, blocked_until__gte=rows.NEVER)
    return [
        Refused(Kind.CONSECUTIVE, row.subject, row.subject, None, row.blocked_detail, row.blocked_url)
        for row in mine.order_by("subject")
    ]
