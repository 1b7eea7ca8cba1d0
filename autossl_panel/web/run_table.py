"""The table of runs: filters, what each row says, and the charts above it. Counts are of a person's own part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from autossl_panel.autossl import runs as heart
from autossl_panel.autossl.models import DailyShare, Job, JobOutcome, JobState, Provider, Run
from autossl_panel.hosting import name_search, visible
from autossl_panel.hosting.models import Domain, HostingUser, Server
from autossl_panel.people.models import User

from . import charts, words
from .access import PanelRequest

STATE_FILTERS = ("failures", "all", "person")
OUTCOMES = (
    (JobOutcome.FAILED.value, gettext_lazy("Failed sites")),
    (JobOutcome.DEFERRED.value, gettext_lazy("Deferred sites")),
    (JobOutcome.WAITING.value, gettext_lazy("Waiting sites")),
    (JobOutcome.SECURED.value, gettext_lazy("Secured or renewed sites")),
    (JobOutcome.CANCELLED.value, gettext_lazy("Cancelled sites")),
)
SCOPES = (
    ("all", gettext_lazy("All users")),
    ("due", gettext_lazy("What is due")),
    ("user", gettext_lazy("One user")),
    ("owner", gettext_lazy("A reseller’s users")),
)
SCOPE_OF = {
    "all": Q(scope=heart.ALL),
    "due": Q(scope=heart.DUE),
    "user": Q(scope__startswith=heart.user_scope("")),
    "owner": Q(scope__startswith="owner:"),
}
# Runs in the chart of outcomes, days in that of the share
CHARTED, SHARED = 30, 90
SOURCES = {
    "panel": gettext_lazy("panel"),
    "command": gettext_lazy("command line"),
    "schedule": gettext_lazy("daily"),
    "sweep": gettext_lazy("due"),
    "discovery": gettext_lazy("new site"),
    "api": gettext_lazy("API"),
    "recheck": gettext_lazy("recheck"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the list shows it: counts of the person's own part."""

    run: Run
    scope: str
    # The user that it was for alone
    user: str
    wide: bool
    by: str
    source: str
    provider: str
    secured: int
    renewed: int
    deferred: int
    waiting: int
    failed: int

    @property
    def pk(self) -> str:
        """The run's number as it stands in ids: a number would be written by the language's rules each time."""
        return str(self.run.pk)


def jobs_of(person: User) -> QuerySet[Job]:
    """The jobs that a person may read: root all, others those of own users."""
    if person.is_root:
        return Job.objects.all()
    return Job.objects.filter(user__in=visible.users(person))


@dataclass(frozen=True, slots=True)
class Wish:
    """What the address says about which runs to show."""

    q: str
    state: str
    outcome: str
    scope: str
    user: str

    @classmethod
    def of(cls, request: PanelRequest) -> "Wish":
        """Read it from the query string; what means nothing is left out."""
        query = request.GET
        state, outcome, scope = (query.get(name, "") for name in ("state", "outcome", "scope"))
        return cls(
            q=query.get("q", "").strip().lower()[:253],
            state=state if state in STATE_FILTERS else "",
            outcome=outcome if outcome in dict(OUTCOMES) else "",
            scope=scope if scope in dict(SCOPES) else "",
            user=query.get("user", "").strip()[:64],
        )

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state or self.outcome or self.scope or self.user)


def matching(mine: QuerySet[Run], person: User, wish: Wish) -> QuerySet[Run]:
    """The runs that a filter finds."""
    found = mine
    if wish.state == "failures":
        found = found.filter(ended_in(person, JobOutcome.FAILED))
    elif wish.state == "all":
        found = found.filter(scope=heart.ALL)
    elif wish.state == "person":
        found = found.filter(asked_by__isnull=False)
    if wish.outcome:
        found = found.filter(ended_in(person, wish.outcome))
    if wish.scope:
        found = found.filter(SCOPE_OF[wish.scope])
    if wish.user:
        jobs = jobs_of(person).filter(user__name=wish.user)
        found = found.filter(Q(pk__in=jobs.values("run_id")) | Q(scope=heart.user_scope(wish.user)))
    return found.filter(_about(person, wish.q)) if wish.q else found


def _about(person: User, q: str) -> Q:
    """Runs that had work for a user or site whose name has `q` in it, or were for that user alone.

    Their numbers are fetched: there are few runs, and the question is asked for counting and for a page.
    """
    users = HostingUser.objects.filter(name__icontains=q).order_by().values("pk")
    hosts = Domain.objects.filter(name_search.has("name", q)).order_by().values("virtual_host")
    jobs = jobs_of(person).filter(Q(user__in=users) | Q(virtual_host__in=hosts))
    ids = set(jobs.order_by().values_list("run_id", flat=True).distinct())
    return Q(pk__in=ids) | Q(scope__startswith="user:", scope__icontains=q)


def ended_in(person: User, outcome: str) -> Q:
    """Runs with a site that ended so."""
    return Q(pk__in=jobs_of(person).filter(outcome=outcome).values("run_id"))


def last(mine: QuerySet[Run]) -> list[Run]:
    """The runs that the chart of outcomes shows, the newest first."""
    ended = mine.filter(ended_at__isnull=False).order_by("-started_at", "-pk")
    return list(named(ended)[:CHARTED])


# Of so few runs each has its mark below
MARKED = 5


def drawn(shown: Sequence[Row], server: Server | None) -> dict[str, charts.Chart]:
    """What the last runs did, the newest first in `shown`; and how secured `server` was day by day."""
    oldest_first = shown[::-1]
    every = 6 if len(shown) > MARKED else 1
    marked = [row for place, row in enumerate(oldest_first, 1) if place % every == len(shown) % every]
    labels = dict(zip((row.run.pk for row in marked), _labels([row.run.started_at for row in marked]), strict=True))
    columns = [_column(row, labels.get(row.run.pk, "")) for row in oldest_first]
    found = {"outcomes": charts.outcomes(columns)} if len(shown) > 1 else {}
    if server is not None:
        days = DailyShare.objects.filter(server=server).order_by("-day")[:SHARED]
        found["share"] = charts.share([(one.day, one.secured, one.sites) for one in days[::-1]])
    return found


def _labels(moments: Sequence[datetime]) -> list[str]:
    """The day of each; of those on one day the time, which tells them apart."""
    days = [words.day(at, at) for at in moments]
    found = []
    for place, (at, day) in enumerate(zip(moments, days, strict=True)):
        time = words.clock(at)[:5]
        first = day if days.count(day) == 1 else f"{day}, {time}"
        found.append(time if place and days[place - 1] == day else first)
    return found


def _column(row: Row, label: str) -> charts.Column:
    at = row.run.started_at
    return charts.Column(
        label=label,
        numbers={"done": row.secured + row.renewed, "put_off": row.deferred + row.waiting, "failed": row.failed},
        head=f"{words.day(at, at)}, {words.clock(at)[:5]}, {row.scope}",
        href=resolve_url("run", row.run.pk),
        exact=words.exact(at),
    )


def rows(person: User, found: Sequence[Run]) -> list[Row]:
    """What the list says of some runs, of `named`. Ended ones carry their counts; what lives, or is read in part, is
    counted.
    """
    counted = [run.pk for run in found if run.ended_at is None or not person.is_root]
    numbers: dict[int, dict[str, int]] = {}
    groups = (
        jobs_of(person)
        .filter(run__in=counted, state=JobState.ENDED)
        .values_list("run_id", "outcome", "action")
        .annotate(n=Count("pk"))
        .order_by()
    )
    for run_id, outcome, action, n in groups:
        name = "renewed" if outcome == JobOutcome.SECURED and action == "renew" else outcome
        of_run = numbers.setdefault(run_id, {})
        of_run[name] = of_run.get(name, 0) + n
    for run in found:
        if run.pk not in counted:
            numbers[run.pk] = run.counts.get("outcomes", {})
    return [_row(person, run, numbers.get(run.pk, {})) for run in found]


def named(found: QuerySet[Run]) -> QuerySet[Run]:
    """Runs with whom a row names: who asked for it, and what the provider is called."""
    providers = Provider.objects.filter(name=OuterRef("provider_name")).order_by().values("display_name")
    return found.select_related("asked_by").annotate(called=Subquery(providers))


def described(person: User, run: Run) -> Row:
    """A run, one of `named`, with who asked for it and whose certificates it brings; not counted."""
    return _row(person, run, {})


def _row(person: User, run: Run, numbers: Mapping[str, int]) -> Row:
    kind, _colon, name = run.scope.partition(":")
    return Row(
        run=run,
        scope=_scope(person, run),
        user=name if kind == "user" and not person.is_login else "",
        wide=run.scope == heart.ALL,
        by=_by(person, run),
        provider=getattr(run, "called", None) or run.provider_name,
        source=str(SOURCES.get(run.asked_from, run.asked_from)),
        secured=numbers.get("secured", 0),
        renewed=numbers.get("renewed", 0),
        deferred=numbers.get("deferred", 0),
        waiting=numbers.get("waiting", 0),
        failed=numbers.get("failed", 0),
    )


def _scope(person: User, run: Run) -> str:
    kind, _colon, name = run.scope.partition(":")
    if kind == "user":
        return name
    if kind == "owner" and not person.is_login:
        return _("Users of %(name)s") % {"name": name}
    return _("Due") if run.scope == heart.DUE else _("All users")


def _by(person: User, run: Run) -> str:
    """Who asked; whom a login does not know is its host."""
    if run.asked_by is not None:
        if person.is_login:
            return _("you") if run.asked_by == person else _("your host")
        return run.asked_by.username
    return _("schedule") if run.asked_from != "command" else _("your host") if person.is_login else _("system")
