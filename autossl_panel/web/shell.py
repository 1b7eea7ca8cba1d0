"""What stands around every page: server, provider, next check, the run slot, tabs, banners. Built once a full page."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Exists, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import render, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from autossl_panel.autossl import options, runs, schedule, waiting
from autossl_panel.autossl.log.render import scope_text
from autossl_panel.autossl.models import Account, Beat, LogLine, Options, Problem, Run
from autossl_panel.autossl.runs import Progress
from autossl_panel.autossl.standstill import account_in_use, stopped
from autossl_panel.hosting import servers, visible
from autossl_panel.hosting.models import HostingUser, Server
from autossl_panel.people.models import User

from . import access, banners, places, toasts
from .access import PanelRequest, now
from .banners import Banners

# What htmx takes as: swap, and ask no more
STOP_POLLING = 286
# The workers give a sign every five seconds.
LOST_AFTER = timedelta(seconds=30)
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
    # No worker has begun with it, or none gives a sign any more
    waits: bool = False

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
            return _("Waits for a worker") if self.waits else _("Looking at the sites")
        total = self.progress.total
        text = ngettext("%(done)d of %(total)d site", "%(done)d of %(total)d sites", total)
        text %= {"done": self.progress.through, "total": total}
        if self.progress.failed:
            text += ", " + _("%(n)d failed") % {"n": self.progress.failed}
        if self.progress.cancelled:
            text += ", " + _("%(n)d cancelled") % {"n": self.progress.cancelled}
        return text


@dataclass(frozen=True, slots=True)
class Slot:
    """What the run slot shows: a live run, or the blue button with what the last run did.

    `user` is whom the button runs, where the person signs in for hosting users; `paused`: nothing is ordered now.
    """

    live: LiveRun | None
    last: Run | None
    last_failed: int
    scope: str
    account: Account | None
    user: HostingUser | None = None
    paused: bool = False

    @property
    def has_provider(self) -> bool:
        return self.account is not None


@dataclass(frozen=True, slots=True)
class Seen:
    """What the foot says of the workers and the inventory."""

    server: Server
    workers_seen: datetime | None
    workers_lost: bool


@dataclass(frozen=True, slots=True)
class NextCheck:
    """When all users are checked next."""

    at: datetime
    is_due: bool


@dataclass(frozen=True, slots=True)
class Shell:
    """The facts around a page. A login reads nothing of the next check of all users."""

    server: Server
    tab: str
    account: Account | None
    next: NextCheck | None
    slot: Slot
    workers_seen: datetime | None
    workers_lost: bool
    inventory_problem: Mapping[str, object] | None
    banners: Banners
    toast: Mapping[str, object] | None
    # On the tabs: sites that wait, causes of problems
    pending: int
    problems: int
    # Why nobody's site can be checked now; "" where that is possible
    stopped: str

    @property
    def disabled(self) -> bool:
        """Whether AutoSSL is disabled: no provider is in use, so that nothing is ordered for anybody."""
        return self.account is None

    @property
    def next_check(self) -> datetime | None:
        return self.next.at if self.next is not None else None


def page(
    request: PanelRequest,
    template: str,
    tab: str,
    context: Mapping[str, object] | None = None,
    status: int = 200,
    *,
    known: Slot | LiveRun | None = None,
    server: Server | None = None,
) -> HttpResponse:
    """Render a full page with its shell; `server` is that of a login.

    `known` is the run slot, where the page has it; or a run that the page has counted, which may be the slot's.
    """
    person = request.user
    around = _shell(
        request, tab, known, (server or access.server(request)) if person.is_login else counted_server(request)
    )
    return render(request, template, {**(context or {}), "shell": around, "server": around.server}, status=status)


def plain(
    request: PanelRequest, template: str, context: Mapping[str, object] | None = None, status: int = 200
) -> HttpResponse:
    """Render a page that is not about AutoSSL: the frame with its header. `section` of the context: own, or people."""
    server = access.server(request)
    told = banners.of_plain(getattr(server, "options", None))
    around = {"section": "own", "server": server, "banners": told, "seen": seen(server, now())}
    return render(request, template, {**around, **(context or {})}, status=status)


def _shell(request: PanelRequest, tab: str, known: Slot | LiveRun | None, server: Server) -> Shell:
    moment, person = now(), request.user
    row: Options | None = getattr(server, "options", None)
    found = seen(server, moment)
    account = known.account if isinstance(known, Slot) else account_in_use(server)
    return Shell(
        server=server,
        tab=tab,
        account=account,
        # Without a provider nothing is renewed: there is no next check to promise
        next=None if person.is_login or account is None else next_check(server, moment),
        slot=known if isinstance(known, Slot) else slot(person, server, account=account, counted=known),
        workers_seen=found.workers_seen,
        workers_lost=found.workers_lost,
        inventory_problem=server.inventory_problem if person.is_root else None,
        banners=banners.of(person, server, account, row, moment),
        toast=toasts.of(request, moment),
        pending=getattr(server, "pending_sites", 0),
        problems=getattr(server, "problem_causes", 0),
        stopped="" if person.is_login else stopped(row, account),
    )


def options_of(server: Server) -> Options:
    """The options of a server, without another question where they came with it."""
    return getattr(server, "options", None) or options.current(server)


def is_paused(server: Server) -> bool:
    """Whether somebody paused AutoSSL on this server."""
    return options_of(server).paused_at is not None


def seen(server: Server, moment: datetime) -> Seen:
    """When the workers of a server gave their last sign."""
    beat: Beat | None = getattr(server, "beat", None)
    return Seen(server, beat.at if beat else None, _lost(beat, moment))


def _lost(beat: Beat | None, moment: datetime) -> bool:
    return beat is None or moment - beat.at > LOST_AFTER


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
    rows = Server.objects.select_related("options__paused_by", "beat")
    rows = rows.annotate(pending_sites=_Rows(sites.union(jobs)), problem_causes=_Rows(causes))
    if person.is_root:
        others = banners.others_in_trouble(OuterRef("pk")).order_by().values("pk")
        rows = rows.annotate(others_in_trouble=Exists(others))
    request.panel_server = servers.this(rows)
    return request.panel_server


def tab_counts(request: PanelRequest) -> dict[str, int]:
    """What the tabs of a page that stays open count now; that of the page itself agrees with what it lists."""
    found = counted_server(request)
    counts = {"pending": getattr(found, "pending_sites", 0), "problems": getattr(found, "problem_causes", 0)}
    at = places.path_of(places.here(request))
    return {tab: n for tab, n in counts.items() if at != resolve_url(tab)}


def _own(rows: QuerySet[Owned], person: User) -> QuerySet[Owned]:
    """Those of a person's own users; root's are all."""
    return rows if person.is_root else rows.filter(user__in=visible.users(person))


def next_check(server: Server, moment: datetime) -> NextCheck:
    """When the daily check of a server begins next."""
    at = schedule.next_check(options_of(server), moment)
    return NextCheck(at, at <= moment)


def slot(
    person: User,
    server: Server,
    *,
    account: Account | None,
    user: HostingUser | None = None,
    counted: LiveRun | None = None,
) -> Slot:
    """The run slot of a person: root sees the run for all, a reseller own run, else own part of the run for all.

    A login sees what works on own sites, or on those of `user`, one of its own. `counted` is a run of which all that
    the person may see is counted already.
    """
    if person.is_login:
        return _slot_of_login(person, server, account, user, counted)
    paused = is_paused(server)
    scope = own_scope(person)
    scopes = [scope] if person.is_root else [scope, runs.ALL]
    live = [run for run in Run.objects.filter(server=server, scope__in=scopes, ended_at__isnull=True)]
    live.sort(key=lambda run: run.scope != scope)
    for run in live:
        # With what is known of it: the workers' last sign came along
        run.server = server
        found = counted if counted is not None and counted.run == run else live_run(person, run)
        if run.scope == scope or found.progress.queued + found.progress.running + found.progress.staged:
            return Slot(found, None, 0, scope, account, paused=paused)
    last = Run.objects.filter(server=server, scope=scope, ended_at__isnull=False).order_by("-started_at").first()
    failed = last.counts.get("outcomes", {}).get("failed", 0) if last else 0
    return Slot(None, last, failed, scope, account, paused=paused)


def _slot_of_login(
    person: User, server: Server, account: Account | None, user: HostingUser | None, counted: LiveRun | None
) -> Slot:
    users = visible.users(person)
    if user is None:
        # The button needs to know for whom; of several users, their own pages do.
        several = list(users.filter(gone_at__isnull=True).select_related("feature_list")[:2])
        user = several[0] if len(several) == 1 else None
    if user is not None:
        users = users.filter(pk=user.pk)
    run = runs.at_work_on(users).first()
    if run is not None and counted is not None and counted.run == run:
        return Slot(counted, None, 0, "", account, user)
    if run is not None and run.server_id == server.pk:
        # With what is known of it: the workers' last sign came along
        run.server = server
    live = live_run(person, run, users) if run is not None else None
    return Slot(live, None, 0, "", account, user, paused=is_paused(server))


def own_scope(person: User) -> str:
    """What the blue button runs for this person."""
    return runs.ALL if person.is_root else runs.owner_scope(person)


def may_cancel(person: User, run: Run) -> bool:
    """Root cancels any run, a reseller own ones and those of own users, a login what it asked for itself.

    `run` is one that the person may see.
    """
    if person.is_login:
        return run.asked_by_id == person.pk
    return person.is_root or run.scope not in (runs.ALL, runs.DUE)


def live_run(person: User, run: Run, users: QuerySet[HostingUser] | None = None) -> LiveRun:
    """A run with its progress as far as the person may see it; of `users` only, where given."""
    if users is None and not person.is_root:
        users = visible.users(person)
    found = runs.progress(run, users)
    may = may_cancel(person, run) and run.cancelled_at is None
    waits = run.ended_at is None and _waits(run)
    if waits:
        # While nobody works the pace says nothing, and a time left would grow for ever
        found.seconds_left = None
    return LiveRun(run, run_title(run, person), found, segments(found), may, waits)


def _waits(run: Run) -> bool:
    """Whether no worker works on a live run: none has begun with it, or they are lost."""
    if _lost(getattr(run.server, "beat", None), now()):
        return True
    return run.surveyed_at is None and not LogLine.objects.filter(run=run, event="run:started").exists()


def run_title(run: Run, person: User) -> str:
    """“Run for all users”; who signs in for hosting users reads of own sites, whoever else it is for."""
    if person.is_login:
        return _("Checking your sites") if run.ended_at is None else _("Check of your sites")
    return _("Run for %(scope)s") % {"scope": scope_text(run.scope)}


def segments(found: Progress) -> tuple[Segment, ...]:
    """The bar: done, put off, failed, in hand, left as they were by a cancel."""
    done = found.secured + found.renewed + found.kept + found.skipped
    pieces, x = [], 0
    for name, width in (
        ("ok", done),
        ("warn", found.deferred + found.waiting),
        ("bad", found.failed),
        ("run", found.running + found.staged),
        ("rest", found.cancelled),
    ):
        pieces.append(Segment(name, x, width))
        x += width
    return tuple(pieces)
