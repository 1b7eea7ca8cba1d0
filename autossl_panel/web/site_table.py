"""The table of Certificates: filters, counts, order, and what each row says. Aggregates in one walk over an index."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, DateField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.utils.translation import gettext_lazy as _

from autossl_panel.autossl.models import Certificate, Installation, Job, JobState
from autossl_panel.hosting.models import Severity, SiteState, VirtualHost

from . import certificate_words, foreign
from .access import PanelRequest
from .steps import Step, next_step

# A certificate this near to its end is news; one that lives less than ten days is, in its last day.
SOON, SHORT_LIFE, LAST_DAY = timedelta(days=7), timedelta(days=10), timedelta(days=1)
STATES = tuple(SiteState.values)
MORE = ("expired", "expiring", "held", "due", "elsewhere")
SORTS = {
    "state": ("severity", "name"),
    "expires": ("expires_at", "name"),
    # A name is a user's on its server; so one walk over the users' index gives the order
    "user": ("user__server", "user__name", "name"),
    "name": ("name", "pk"),
}
SORT_WORDS = (("state", _("State, worst first")), ("expires", _("Expiry")), ("user", _("User")), ("name", _("Site")))
# Which bar of the expiry timeline a working certificate belongs to
TIMELINE = {
    Severity.SECURED: "renews",
    Severity.PARTLY: "renews",
    Severity.HELD: "held",
    Severity.LAPSING: "held",
    Severity.FOREIGN: "foreign",
    Severity.FOREIGN_WORSE: "foreign",
}
# Those that may have a certificate of ours or of another
OF_ANYBODY = (Severity.UNSECURED, Severity.OFF)
HELD = (Severity.HELD, Severity.LAPSING)
# What a state can mean for the order, so that the index on it says nearly all
SEVERITIES = {
    SiteState.SECURED: (Severity.HELD, Severity.SECURED),
    SiteState.PARTLY: (Severity.HELD, Severity.PARTLY),
    SiteState.UNSECURED: (Severity.UNSECURED,),
    SiteState.FOREIGN: (Severity.FOREIGN_WORSE, Severity.FOREIGN),
    SiteState.OFF: (Severity.LAPSING, Severity.OFF),
    SiteState.GONE: (Severity.GONE,),
}


class Day(Func):
    """The day of a moment in UTC, without a call out of the database for each row."""

    output_field = DateField()
    template = "(%(expressions)s AT TIME ZONE 'UTC')::date"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="substr(%(expressions)s, 1, 10)", **context)


@dataclass(frozen=True, slots=True)
class Filter:
    """What the address says about which sites to show, and in which order."""

    q: str
    state: str
    more: str
    user: str
    sort: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Filter":
        """Read it from the query string; what means nothing is left out."""
        query = request.GET
        state, more, sort = query.get("state", ""), query.get("more", ""), query.get("sort", "")
        return cls(
            q=query.get("q", "").strip()[:253],
            state=state if state in STATES else "",
            more=more if more in MORE else "",
            user=query.get("user", "").strip()[:64],
            sort=sort if sort.removeprefix("-") in SORTS else "state",
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state or self.more or self.user)


@dataclass(frozen=True, slots=True)
class Numbers:
    """How many sites are in each state, have an expired certificate, are held back and due.

    And when what expires: (day, kind of bar, number).
    """

    states: Mapping[str, int]
    expired: int
    held: int
    due: int
    days: Sequence[tuple[date, str, int]]

    @property
    def present(self) -> int:
        return sum(n for state, n in self.states.items() if state != SiteState.GONE)


def numbers(hosts: QuerySet[VirtualHost], now: datetime) -> Numbers:
    """Count all of `hosts`, those that are gone among them."""
    states: Counter[str] = Counter()
    days: Counter[tuple[date, str]] = Counter()
    expired = held = due = 0
    for anothers, severity, state, day, n, awaited, at_once, over in _groups(hosts, now):
        if anothers:
            # The whole has them in the bars of ours
            for kind, number in _kinds(Severity(severity), n, awaited):
                days[day, kind] -= number
            days[day, "foreign"] += n
            continue
        states[state] += n
        due += at_once
        if state != SiteState.GONE:
            expired += over
        for kind, number in _kinds(Severity(severity), n, awaited) if day else ():
            days[day, kind] += number
        if severity in HELD:
            held += n
    return Numbers(states, expired, held, due, [(day, kind, n) for (day, kind), n in sorted(days.items()) if n])


def _groups(hosts: QuerySet[VirtualHost], now: datetime) -> QuerySet[VirtualHost, tuple[Any, ...]]:
    """All of `hosts` by severity, state and day; and once more those whose certificate is somebody else's, where the
    severity does not say it.

    These few are found by the severities' index: to ask beside each of all sites took as long as the counting. Both are
    one question.
    """
    others = Installation.objects.filter(
        virtual_host=OuterRef("pk"), until__isnull=True, certificate__ours=False, certificate__self_signed=False
    )
    unsaid = hosts.filter(Exists(others), severity__in=OF_ANYBODY, expires_at__gt=now)
    whole, part = (
        some.order_by()
        .values_list(Value(again), "severity", "state", Day(F("expires_at")))
        .annotate(
            n=Count("*"),
            awaited=Count("next_at"),
            due=Count("next_at", filter=Q(next_at__lte=now)),
            over=Count("expires_at", filter=Q(expires_at__lte=now)),
        )
        for some, again in ((hosts, 0), (unsaid, 1))
    )
    return whole.union(part, all=True)


def _kinds(severity: Severity, n: int, awaited: int) -> Iterator[tuple[str, int]]:
    """Of `n` certificates of ours, the bars of the timeline that they belong to; AutoSSL mends what it has a moment
    for.
    """
    if severity in OF_ANYBODY:
        mended = awaited if severity == Severity.UNSECURED else 0
        yield "renews", mended
        yield "held", n - mended
    elif severity in TIMELINE:
        yield TIMELINE[severity], n


def near(hosts: QuerySet[VirtualHost], now: datetime) -> QuerySet[VirtualHost]:
    """Those of `hosts` whose certificate has expired, or is so near to its end that it is news.

    Begins at the index on their ends and asks for a certificate's whole life only beside those few: the other way round
    a database without statistics walks through all installations.
    """
    long_lived = Installation.objects.filter(
        virtual_host=OuterRef("pk"),
        until__isnull=True,
        certificate__not_before__lte=F("certificate__not_after") - SHORT_LIFE,
    )
    ending = hosts.filter(gone_at__isnull=True, expires_at__lt=now + SOON)
    return ending.filter(Q(expires_at__lte=now + LAST_DAY) | Exists(long_lived))


def is_near(certificate: Certificate, now: datetime) -> bool:
    """The same of one certificate that has not expired."""
    life, left = certificate.not_after - certificate.not_before, certificate.not_after - now
    return timedelta(0) < left < (SOON if life >= SHORT_LIFE else LAST_DAY)


def expiring(hosts: QuerySet[VirtualHost], now: datetime) -> set[int]:
    """Those of `hosts` whose certificate is about to expire."""
    return set(near(hosts.filter(expires_at__gt=now), now).values_list("pk", flat=True))


def narrowed(
    hosts: QuerySet[VirtualHost], wish: Filter, counts: Numbers, soon: set[int], now: datetime
) -> QuerySet[VirtualHost]:
    """The sites that match a filter, but for its words; without a state, those that are here."""
    by_user = wish.sort.endswith("user") and not (wish.more or wish.q)
    if wish.state:
        hosts = hosts.filter(state=wish.state)
        # An index leads to the few in a rare state. In a common one are the first of all, in whichever order.
        if wish.sort.endswith("state") or 2 * counts.states.get(wish.state, 0) < counts.present:
            hosts = hosts.filter(severity__in=SEVERITIES[SiteState(wish.state)])
            by_user = False
    elif by_user:
        hosts = hosts.exclude(severity=Severity.GONE)
    else:
        hosts = hosts.filter(severity__lt=Severity.GONE)
    if by_user:
        # True of every user: it has SQLite walk along the index of users, whose sites it finds in their order, instead
        # of sorting all sites for the first of them
        hosts = hosts.filter(user__server__gt=0)
    if wish.more == "expired":
        hosts = hosts.filter(expires_at__lte=now)
    elif wish.more == "expiring":
        hosts = hosts.filter(pk__in=soon)
    elif wish.more == "held":
        hosts = hosts.filter(severity__in=HELD)
    elif wish.more == "due":
        hosts = hosts.filter(next_at__lte=now)
    elif wish.more == "elsewhere":
        hosts = foreign.sites(hosts)
    return hosts.filter(user__name=wish.user) if wish.user else hosts


def ordered(hosts: QuerySet[VirtualHost], sort: str) -> QuerySet[VirtualHost]:
    """In the order that the head of the table shows; what has no certificate has no expiry, and comes last.

    The other way round it is so to its last field: an index can be walked backwards, but not half of it.
    """
    by = sort.removeprefix("-")
    first, *rest = (F(field) for field in SORTS[by])
    nulls_last = True if by == "expires" else None
    if sort.startswith("-"):
        return hosts.order_by(first.desc(nulls_last=nulls_last), *(field.desc() for field in rest))
    return hosts.order_by(first.asc(nulls_last=nulls_last), *rest)


@dataclass(frozen=True, slots=True)
class Row:
    """A site as the table shows it."""

    host: VirtualHost
    certificate: Certificate | None
    issuer: str
    key: str
    expiring: bool
    expired: bool
    step: Step

    @property
    def pk(self) -> str:
        """The site's number as it stands in ids: a number would be written by the language's rules each time."""
        return str(self.host.pk)

    @property
    def none(self) -> bool:
        return self.certificate is None


def page_of(ids: Sequence[int]) -> list[VirtualHost]:
    """The sites of one page in its order; ordering all of them was done by their keys alone, from an index."""
    found = VirtualHost.objects.select_related("user").defer("listens", "docroot", "file").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def rows(hosts: Iterable[VirtualHost], soon: set[int], now: datetime, *, disabled: bool = False) -> list[Row]:
    """What the table says of the sites of one page. `disabled`: no provider is in use."""
    found = list(hosts)
    ids = [host.pk for host in found]
    current = Installation.objects.filter(virtual_host__in=ids, until__isnull=True).select_related("certificate")
    certificates = {one.virtual_host_id: one.certificate for one in current.defer("certificate__pem", "evidence")}
    jobs = {job.virtual_host_id: job for job in Job.objects.filter(virtual_host__in=ids).exclude(state=JobState.ENDED)}
    steps = {
        host.pk: next_step(host, certificates.get(host.pk), jobs.get(host.pk), now, disabled=disabled) for host in found
    }
    return [_row(host, certificates.get(host.pk), steps[host.pk], host.pk in soon, now) for host in found]


def _row(host: VirtualHost, certificate: Certificate | None, step: Step, soon: bool, now: datetime) -> Row:
    return Row(
        host=host,
        certificate=certificate,
        issuer=certificate_words.issuer(certificate) if certificate else "",
        key=certificate_words.key(certificate) if certificate else "",
        # Another's certificate and a site that is off are marked as such first
        expiring=soon and host.state in (SiteState.SECURED, SiteState.PARTLY),
        expired=certificate is not None and certificate.not_after <= now,
        step=step,
    )
