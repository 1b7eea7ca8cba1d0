"""A name's history: everything that the logs of all runs say of its site, the newest run first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import F, QuerySet
from django.http import HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from autossl_panel.autossl import log
from autossl_panel.autossl.log import readers
from autossl_panel.autossl.models import Job, LogLine, Run
from autossl_panel.hosting import name_search, visible
from autossl_panel.hosting.models import Domain, VirtualHost
from autossl_panel.names import NameProblem, normalize
from autossl_panel.people.models import User

from . import access, run_data, shell
from .paging import paginate

RUNS_A_PAGE = 10
SUGGESTED = 20
# Survey lines of one user that are looked at: thirty days of hourly runs
MOST_QUIET = 2000


@dataclass(frozen=True, slots=True)
class Entry:
    """What one run did at the site: by a job, or by a line of its survey."""

    at: datetime
    run: Run
    title: str
    job: Job | None
    lines: tuple[log.Line, ...] = ()


@require_safe
@access.operator
def history(request: access.PanelRequest) -> HttpResponse:
    """The lines, a page of runs at a time; without such a name, those that are like it."""
    name = request.GET.get("name", "").strip()[:253]
    level = request.GET.get("level", "") if request.GET.get("level") in run_data.LEVELS else ""
    domain = find(request.user, name) if name else None
    context: dict[str, object] = {"name": name, "level": level, "domain": domain}
    if domain is None:
        context["like"] = _like(request.user, name) if name else []
        return shell.page(request, "history.html", "logs", context)
    host = domain.virtual_host
    entries = _entries(host, request.user, level)
    paging = paginate(request, entries, size=RUNS_A_PAGE)
    context |= {
        "host": host,
        "paging": paging,
        "entries": _with_lines(paging.rows, request.user, level),
        "runs": len({entry.run.pk for entry in entries}),
    }
    return shell.page(request, "history.html", "logs", context)


def find(person: User, text: str) -> Domain | None:
    """The name of a site that a person may see, however it was typed; of one that is here before one that is gone."""
    try:
        name = normalize(text)
    except NameProblem:
        return None
    mine = _names(person).filter(name=name)
    newest = mine.order_by(F("virtual_host__gone_at").asc(nulls_first=True), "-virtual_host_id")
    return newest.select_related("virtual_host", "virtual_host__user").first()


def _names(person: User) -> QuerySet[Domain]:
    """The names of sites that a person may see; root's are all."""
    rows = Domain.objects.all()
    return rows if person.is_root else rows.filter(virtual_host__user__in=visible.users(person))


def _like(person: User, text: str) -> list[str]:
    """Names that have the text in them."""
    mine = _names(person).filter(name_search.has("name", text))
    return list(mine.order_by("name").values_list("name", flat=True).distinct()[:SUGGESTED])


def _entries(host: VirtualHost, person: User, level: str) -> list[Entry]:
    """What each run did, the newest first; lines of jobs come later, for one page alone."""
    jobs = Job.objects.filter(virtual_host=host).select_related("run", "user", "virtual_host")
    found = [Entry(job.started_at or job.queued_at, job.run, _title(job.run), job) for job in _of_level(jobs, level)]
    quiet: dict[int, Entry] = {}
    for row in _quiet(host, level):
        line = log.line(row, whole=person.is_root, reader=readers.of(person))
        before = quiet.get(row.run_id)
        lines = (*before.lines, line) if before else (line,)
        quiet[row.run_id] = Entry(row.at, row.run, _title(row.run), None, lines)
    return sorted([*found, *quiet.values()], key=lambda entry: entry.at, reverse=True)


def _of_level(jobs: QuerySet[Job], level: str) -> QuerySet[Job]:
    return jobs.filter(lines__level=level).distinct() if level else jobs


def _quiet(host: VirtualHost, level: str) -> list[LogLine]:
    """What surveys said of the site where it needed no work."""
    rows = LogLine.objects.filter(job__isnull=True, user=host.user_id).select_related("run").order_by("-run", "seq")
    if level:
        rows = rows.filter(level=level)
    return [row for row in rows[:MOST_QUIET] if row.data.get("site") == host.name]


def _title(run: Run) -> str:
    return _("Run %(id)d, %(scope)s") % {"id": run.pk, "scope": log.scope_text(run.scope)}


def _with_lines(entries: Sequence[Entry], person: User, level: str) -> list[Entry]:
    """The entries of one page, with the lines of their jobs."""
    jobs = [entry.job for entry in entries if entry.job is not None]
    sites = {site.job.pk: site for site in run_data.sites(jobs, person)}
    found = []
    for entry in entries:
        if entry.job is None:
            found.append(entry)
            continue
        lines = [line for line in sites[entry.job.pk].lines if not level or line.level == level]
        found.append(replace(entry, lines=tuple(lines)))
    return found
