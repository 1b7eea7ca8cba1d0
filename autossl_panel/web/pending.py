"""The Pending tab: sites that wait, for whom, since when, until when; and a person's check where it may begin now."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import overload

from django.db.models import Case, Count, Max, Q, QuerySet, When
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from autossl_panel.autossl import log, options, recheck, standstill, waiting
from autossl_panel.autossl.models import Job, Problem, Verdict
from autossl_panel.autossl.waiting import Kind
from autossl_panel.hosting import visible
from autossl_panel.hosting.models import Server, VirtualHost
from autossl_panel.names import to_unicode
from autossl_panel.people.models import User

from . import access, messages, places, seeking, shell
from .paging import paginate

KINDS = {
    Kind.CA: gettext_lazy("The CA"),
    Kind.LIMIT: gettext_lazy("A limit"),
    Kind.DEFERRAL: gettext_lazy("A deferral"),
    Kind.RETRY: gettext_lazy("A new try"),
    Kind.SERVER: gettext_lazy("This server"),
}
# Live jobs that are looked at: one reload puts more than these live at once
MOST_AT_WORK = 2000


@dataclass(frozen=True, slots=True)
class Row:
    """A site that waits, or a live job of one."""

    host: VirtualHost
    job: Job | None
    kind: str
    why: str
    since: datetime | None
    tries: int
    may_hurry: bool
    is_due: bool


@dataclass(frozen=True, slots=True)
class Chip:
    """A kind to filter by, with its number."""

    value: str
    label: str
    n: int


@require_safe
@access.operator
def pending(request: access.PanelRequest) -> HttpResponse:
    """The table, what comes next first; live jobs that wait stand above it."""
    now = access.now()
    mine = visible.virtual_hosts(request.user)
    kind = request.GET.get("for", "") if request.GET.get("for") in KINDS else ""
    q = request.GET.get("q", "").strip()[:253]
    jobs = _at_work(request.user, now)
    found = _in_order(mine, Kind(kind) if kind else None, jobs, q)
    counts = _counts(mine, jobs)
    total = None if q else counts[Kind(kind)] if kind else counts.total()
    paging = paginate(request, found, total=total)
    context = {
        "rows": _rows(paging.rows, jobs, now),
        "paging": paging,
        "chips": [
            Chip(one.value, str(label), counts[one]) for one, label in KINDS.items() if counts[one] or one == kind
        ],
        "total": counts.total(),
        "kind": kind,
        "q": q,
        "narrowed": bool(kind or q),
    }
    return shell.page(request, "pending.html", "pending", context)


def _at_work(person: User, now: datetime) -> dict[int, Job]:
    """Live jobs that wait, by their virtual host."""
    jobs = waiting.at_work(now).select_related("order")
    if not person.is_root:
        jobs = jobs.filter(user__in=visible.users(person))
    return {job.virtual_host_id: job for job in jobs.order_by("pk")[:MOST_AT_WORK]}


def _in_order(
    mine: QuerySet[VirtualHost], kind: Kind | None, jobs: Mapping[int, Job], q: str
) -> QuerySet[VirtualHost] | Sequence[VirtualHost]:
    """The sites of `mine` that wait for `kind`, with the word `q`: those that a live job has, then by their moment.

    A site that is at work waits for what its job waits for, whatever it waited for before.
    """
    ids = [host for host, job in jobs.items() if kind in (None, waiting.kind_of_job(job))]
    others = waiting.sites(mine, kind)
    if jobs:
        others = others.exclude(pk__in=list(jobs))
    if not q:
        return _InOrder(ids, others.order_by("next_at", "name"))
    # Words find few: those are sorted, where all that wait are walked along their index
    found = seeking.by_name(mine.filter(Q(pk__in=others.values("pk")) | Q(pk__in=ids)), q)
    place = Case(When(pk__in=ids, then=0), default=1)
    return found.order_by(place, "next_at", "name").select_related("user").defer("listens")


class _InOrder(Sequence[VirtualHost]):
    """The sites of live jobs by name, then the others in their order. Read slice by slice."""

    def __init__(self, at_work: Sequence[int], others: QuerySet[VirtualHost]) -> None:
        self._at_work = at_work
        self._others = others.select_related("user").defer("listens")

    def __len__(self) -> int:
        return len(self._at_work) + self._others.count()

    @overload
    def __getitem__(self, part: int) -> VirtualHost: ...

    @overload
    def __getitem__(self, part: slice) -> list[VirtualHost]: ...

    def __getitem__(self, part: int | slice) -> VirtualHost | list[VirtualHost]:
        if isinstance(part, int):
            return self[part : part + 1][0]
        start, stop, before = part.start or 0, len(self) if part.stop is None else part.stop, len(self._at_work)
        first: list[VirtualHost] = []
        if start < before:
            rows = VirtualHost.objects.filter(pk__in=list(self._at_work)).order_by("name", "pk")
            first = list(rows.select_related("user").defer("listens")[start:stop])
        return first if stop <= before else [*first, *self._others[max(start - before, 0) : stop - before]]


def _counts(mine: QuerySet[VirtualHost], jobs: Mapping[int, Job]) -> Counter[Kind]:
    found: Counter[Kind] = Counter(waiting.kind_of_job(job) for job in jobs.values())
    waits = waiting.sites(mine)
    if jobs:
        waits = waits.exclude(pk__in=list(jobs))
    for reason, n in waits.order_by().values_list("next_reason").annotate(n=Count("pk")):
        found[waiting.kind(reason)] += n
    return found


def _rows(hosts: Iterable[VirtualHost], jobs: Mapping[int, Job], now: datetime) -> list[Row]:
    found = list(hosts)
    ids = [host.pk for host in found]
    last = Job.objects.filter(virtual_host__in=ids, ended_at__isnull=False).order_by().values("virtual_host")
    ended = dict(last.values_list("virtual_host").annotate(at=Max("ended_at")))
    problems: dict[int, Problem] = {}
    for problem in Problem.objects.filter(virtual_host__in=ids, quiet=False).order_by("-since").defer("data"):
        problems[problem.virtual_host_id] = problem
    # A site whose names are tried again one by one counts no tries of its own
    names = Verdict.objects.filter(domain__virtual_host__in=ids).order_by().values_list("domain__virtual_host")
    tried = dict(names.annotate(most=Max("attempts")))
    return [_row(host, jobs.get(host.pk), problems.get(host.pk), ended, tried, now) for host in found]


def _row(
    host: VirtualHost,
    job: Job | None,
    problem: Problem | None,
    ended: Mapping[int, datetime],
    tried: Mapping[int, int],
    now: datetime,
) -> Row:
    if job is not None:
        why = job.get_state_display() if waiting.kind_of_job(job) == Kind.SERVER else _("its order is with the CA")
        return Row(
            host,
            job,
            str(KINDS[waiting.kind_of_job(job)]),
            _first_up(str(why)),
            job.started_at,
            job.attempt,
            False,
            False,
        )
    kind = waiting.kind(host.next_reason)
    # The oldest trouble says since when; a limit has none
    since = problem.since if problem is not None and kind != Kind.LIMIT else ended.get(host.pk)
    return Row(
        host=host,
        job=None,
        kind=str(KINDS[kind]),
        why=_why(host, problem),
        since=since,
        tries=host.attempts or tried.get(host.pk, 0),
        may_hurry=waiting.may_hurry(host.next_reason, host.held_until, now),
        is_due=host.next_at is not None and host.next_at <= now,
    )


def _why(host: VirtualHost, problem: Problem | None) -> str:
    """What it is held by, then the cause, with the name where it is not the site's own."""
    reason = _first_up(log.reason_text(host.next_reason))
    if problem is None or waiting.kind(host.next_reason) == Kind.LIMIT:
        return reason
    cause = _first_up(log.reason_text(problem.code))
    if problem.name != host.name:
        cause = f"{to_unicode(problem.name)}: {log.reason_text(problem.code)}"
    return cause if host.next_reason in ("held_back", problem.code) else f"{reason}. {cause}"


def _first_up(text: str) -> str:
    return text[:1].upper() + text[1:]


@require_POST
@access.operator
def try_now(request: access.PanelRequest, pk: int) -> HttpResponse:
    """A person's check of one site; where a limit of the CA holds it, it stays held."""
    host = get_object_or_404(visible.virtual_hosts(request.user).select_related("server"), pk=pk)
    if refused(request, host.server):
        return redirect("pending")
    mine = visible.virtual_hosts(request.user).filter(pk=host.pk)
    asked = recheck.ask(host.server, mine, by=request.user, now=access.now())
    return answer(request, asked, "pending")


def refused(request: access.PanelRequest, server: Server) -> bool:
    """Whether no check can begin on this server now; the next page says why."""
    stopped = standstill.stopped(options.current(server), standstill.account_in_use(server))
    if stopped:
        messages.bad(request, " ".join((stopped, _("Nothing was tried."))))
    return bool(stopped)


def answer(request: access.PanelRequest, asked: recheck.Asked, back: str) -> HttpResponse:
    """Lead to the run that was begun, or say why there is none."""
    if asked.run is not None:
        page = places.back(request, resolve_url(back))
        return redirect(places.leading_back(resolve_url("run", asked.run.pk), page))
    if asked.sites:
        messages.ok(request, _("A run is just looking for what is due; what you asked for is checked right after."))
    elif asked.held:
        messages.info(request, _("A limit of the CA holds it. A check would only spend what is left of the limit."))
    else:
        messages.info(request, _("There is nothing to check: AutoSSL is off for it, or it is gone."))
    return redirect(places.back(request, resolve_url(back)))
