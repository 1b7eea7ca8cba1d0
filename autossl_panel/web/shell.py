"""What stands around every page: server, provider, next check, the run slot, tabs, banners. Built once a full page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import IntegerField, Model, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from autossl_panel.autossl import options, runs, waiting
from autossl_panel.autossl.log.render import scope_text
from autossl_panel.autossl.models import Account, Beat, Options, Problem, Run
from autossl_panel.autossl.runs import Progress
from autossl_panel.hosting import servers, visible
from autossl_panel.hosting.models import Server
from autossl_panel.people.models import User

from .access import PanelRequest, now

# What htmx takes as: swap, and ask no more
STOP_POLLING = 286
# The workers give a sign every five seconds.
LOST_AFTER = timedelta(seconds=30)
UNDO_FOR = timedelta(seconds=60)
MONTH = timedelta(days=30)
Owned = TypeVar("Owned", bound=Model)


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a progress bar: where it begins, how wide it is, which colour."""

    name: str
    x: int
    width: int


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run as the slot shows it."""

    run: Run
    title: str
    progress: Progress
    segments: tuple[Segment, ...]
    may_cancel: bool

    @property
    def surveying(self) -> bool:
        return self.run.surveyed_at is None

    @property
    def in_hand(self) -> int:
        return self.progress.running + self.progress.staged

    @property
    def valuetext(self) -> str:
        """The progress in words, for those who do not see the bar."""
        if self.surveying:
            return _("Looking at the sites")
        text = _("%(done)d of %(total)d sites") % {"done": self.progress.done, "total": self.progress.total}
        if self.progress.failed:
            text += ", " + _("%(n)d failed") % {"n": self.progress.failed}
        return text


@dataclass(frozen=True, slots=True)
class Slot:
    """What the run slot shows: a live run, or the blue button with what the last run did."""

    live: LiveRun | None
    last: Run | None
    last_failed: int
    scope: str
    has_provider: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """The facts around a page."""

    server: Server
    tab: str
    account: Account | None
    next_check: datetime
    check_is_due: bool
    slot: Slot
    workers_seen: datetime | None
    workers_lost: bool
    inventory_problem: Mapping[str, object] | None
    toast: Mapping[str, object] | None
    # On the tabs: sites that wait, causes of problems
    pending: int
    problems: int
    # Why nobody's site can be checked now; "" where that is possible
    stopped: str


def page(
    request: PanelRequest, template: str, tab: str, context: Mapping[str, object] | None = None, status: int = 200
) -> HttpResponse:
    """Render a full page with its shell."""
    return render(request, template, {**(context or {}), "shell": _shell(request, tab)}, status=status)


def _shell(request: PanelRequest, tab: str) -> Shell:
    moment = now()
    server = counted_server(request)
    beat: Beat | None = getattr(server, "beat", None)
    next_check = _next_check(server, moment)
    account = Account.objects.select_related("provider").filter(server=server, provider__active=True).first()
    return Shell(
        server=server,
        tab=tab,
        account=account,
        next_check=next_check,
        check_is_due=next_check <= moment,
        slot=slot(request.user, server, has_provider=account is not None),
        workers_seen=beat.at if beat else None,
        workers_lost=beat is None or moment - beat.at > LOST_AFTER,
        inventory_problem=server.inventory_problem if request.user.is_root else None,
        toast=_toast(request, moment),
        pending=getattr(server, "pending_sites", 0),
        problems=getattr(server, "problem_causes", 0),
        stopped=stopped(getattr(server, "options", None), has_provider=account is not None),
    )


def stopped(row: Options | None, *, has_provider: bool) -> str:
    """Why nothing is ordered or installed now, in a sentence; "" where nothing stands in the way."""
    if row is not None and row.paused_at is not None:
        return _("AutoSSL is paused.")
    return "" if has_provider else _("No provider is chosen.")


class _Rows(Subquery):
    """How many rows a query has, as a value of another one."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s) counted)"
    output_field = IntegerField()


def counted_server(request: PanelRequest) -> Server:
    """This server's row with its options, the workers' last sign, and what the tabs count: one question for all."""
    found: Server | None = getattr(request, "panel_server", None)
    if found is not None and hasattr(found, "pending_sites"):
        return found
    person = request.user
    sites = waiting.sites(visible.virtual_hosts(person)).order_by().values("pk")
    jobs = _own(waiting.at_work(now()), person).order_by().values("virtual_host")
    causes = _own(Problem.objects.filter(quiet=False), person).values("cause").distinct()
    rows = Server.objects.select_related("options", "beat")
    rows = rows.annotate(pending_sites=_Rows(sites.union(jobs)), problem_causes=_Rows(causes))
    request.panel_server = servers.this(rows)
    return request.panel_server


def _own(rows: QuerySet[Owned], person: User) -> QuerySet[Owned]:
    """Those of a person's own users; root's are all."""
    return rows if person.is_root else rows.filter(user__in=visible.users(person))


def _next_check(server: Server, moment: datetime) -> datetime:
    """When the daily check begins next; it is over for today once it has begun."""
    row = getattr(server, "options", None) or options.current(server)
    at = datetime.combine(moment.date(), row.daily_at, tzinfo=moment.tzinfo)
    if row.daily_done_on is not None and row.daily_done_on >= moment.date():
        at += timedelta(days=1)
    elif at < moment and row.daily_done_on is None:
        # Never ran: a panel that was set up today begins tomorrow.
        at += timedelta(days=1)
    return at


def slot(person: User, server: Server, *, has_provider: bool) -> Slot:
    """The run slot of a person: root sees the run for all, a reseller own run, else own part of the run for all."""
    scope = own_scope(person)
    scopes = [scope] if person.is_root else [scope, runs.ALL]
    live = [run for run in Run.objects.filter(server=server, scope__in=scopes, ended_at__isnull=True)]
    live.sort(key=lambda run: run.scope != scope)
    for run in live:
        found = live_run(person, run)
        if run.scope == scope or found.progress.queued + found.progress.running + found.progress.staged:
            return Slot(found, None, 0, scope, has_provider)
    last = Run.objects.filter(server=server, scope=scope, ended_at__isnull=False).order_by("-started_at").first()
    failed = last.counts.get("outcomes", {}).get("failed", 0) if last else 0
    return Slot(None, last, failed, scope, has_provider)


def own_scope(person: User) -> str:
    """What the blue button runs for this person."""
    return runs.ALL if person.is_root else runs.owner_scope(person)


def may_cancel(person: User, run: Run) -> bool:
    """Root cancels any run, a reseller own ones and those of own users; `run` is one that the person may see."""
    return person.is_root or run.scope not in (runs.ALL, runs.DUE)


def live_run(person: User, run: Run) -> LiveRun:
    """A run with its progress as far as the person may see it."""
    users = None if person.is_root else visible.users(person)
    found = runs.progress(run, users)
    return LiveRun(run, run_title(run), found, segments(found), may_cancel(person, run) and run.cancelled_at is None)


def run_title(run: Run) -> str:
    """“Run for all users”."""
    return _("Run for %(scope)s") % {"scope": scope_text(run.scope)}


def segments(found: Progress) -> tuple[Segment, ...]:
    """The bar: done, put off, failed, in hand."""
    done = found.secured + found.renewed + found.kept + found.skipped + found.cancelled
    pieces, x = [], 0
    for name, width in (
        ("ok", done),
        ("warn", found.deferred + found.waiting),
        ("bad", found.failed),
        ("run", found.running + found.staged),
    ):
        pieces.append(Segment(name, x, width))
        x += width
    return tuple(pieces)


def offer_undo(request: PanelRequest, text: str, undo: Mapping[str, object] | None) -> dict[str, object]:
    """Keep what the next page's toast says, with what undo needs; it is offered for a minute."""
    toast: dict[str, object] = {"text": text, "until": (now() + UNDO_FOR).timestamp(), "undo": undo}
    request.session["toast"] = toast
    return toast


def _toast(request: PanelRequest, moment: datetime) -> Mapping[str, object] | None:
    toast = request.session.get("toast")
    if toast is None:
        return None
    if toast["until"] < moment.timestamp() or not toast["undo"]:
        # A toast without undo is told once.
        del request.session["toast"]
    return toast if toast["until"] >= moment.timestamp() else None
