"""A run's page: failures first, then what is in hand line by line, then everything else by user and site."""

from collections.abc import Mapping

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.functional import SimpleLazyObject
from django.views.decorators.http import require_GET, require_safe

from autossl_panel.autossl import log
from autossl_panel.autossl import runs as heart
from autossl_panel.autossl.log import readers
from autossl_panel.autossl.models import JobState, Run

from . import access, picking, places, run_data, run_lines, run_table, shell
from .paging import paginate

MOST_FAILURES = 20


@require_safe
@access.person
def run(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The page; with a filter, the lines of what matches; for htmx, those lines alone."""
    found = _found(request, pk)
    narrowed = _narrowed(request)
    if request.htmx:
        return render(request, "_log.html", _log(request, found, narrowed))
    live_run = shell.live_run(request.user, found)
    context = _state(request, found, live_run)
    # While a run lives, its counts would be old as soon as they are shown.
    levels = run_data.level_counts(found, request.user) if found.ended_at else {}
    shown = {name: value for name, value in narrowed.items() if name != "user"}
    context |= {"levels": levels, **shown, "user_name": narrowed["user"], "narrowed": any(narrowed.values())}
    if any(narrowed.values()):
        context |= _log(request, found, narrowed)
    else:
        moment = access.now()
        told = run_lines.read(found, request.user)
        context["run_lines"] = told
        if found.ended_at is None:
            sites = run_data.sites(run_data.followed(found, request.user, moment), request.user)
            context |= {"sites": sites, "cursor": cursor_of(sites, told.last_seq)}
    context["way_back"] = places.way_back(request)
    return shell.page(request, "run.html", "logs", context, known=live_run)


@require_GET
@access.person
def live(request: access.PanelRequest, pk: int) -> HttpResponse:
    """What has changed since the cursor: the numbers in place, new lines to append. 286 once the run has ended."""
    found = _found(request, pk)
    cursor = read_cursor(request.GET.get("cursor", ""))
    jobs = {job.pk: job for job in run_data.followed(found, request.user, access.now())}
    gone = [job_id for job_id in cursor if job_id and job_id not in jobs]
    if gone:
        # What was followed a moment ago may have said its last words since.
        rest = run_data.of_run(found, request.user).filter(pk__in=gone).select_related("user", "virtual_host")
        jobs = {job.pk: job for job in rest} | jobs
    sites = run_data.sites(jobs.values(), request.user, cursor)
    told = run_lines.read(found, request.user, after=cursor.get(0, 0))
    context = _state(request, found, shell.live_run(request.user, found))
    context |= {"sites": sites, "run_lines": told, "oob": True}
    context["failed_before"] = request.GET.get("failed", "")
    context["cursor"] = cursor_of([site for site in sites if site.job.pk not in gone], told.last_seq, cursor)
    if found.ended_at is not None and not request.user.is_login:
        # With the end of a run, what the tabs count has changed, too; the slot tells it of its own run only
        context["tabs"] = shell.tab_counts(request)
    return render(request, "_live.html", context, status=shell.STOP_POLLING if found.ended_at else 200)


@require_safe
@access.person
def text(request: access.PanelRequest, pk: int) -> StreamingHttpResponse:
    """The log as a plain text file."""
    found = get_object_or_404(heart.visible(request.user), pk=pk)
    pieces = run_data.as_text(
        found, request.user, f"{shell.run_title(found, request.user)}, {found.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    response = StreamingHttpResponse(pieces, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="autossl-run-{found.pk}.txt"'
    return response


@require_safe
@access.person
def ndjson(request: access.PanelRequest, pk: int) -> StreamingHttpResponse:
    """The log as one JSON object a line, for other programs."""
    found = get_object_or_404(heart.visible(request.user), pk=pk)
    response = StreamingHttpResponse(run_data.as_ndjson(found, request.user), content_type="application/x-ndjson")
    response["Content-Disposition"] = f'attachment; filename="autossl-run-{found.pk}.ndjson"'
    return response


def _found(request: access.PanelRequest, pk: int) -> Run:
    """The run, if the person may see it, with what its server says of the workers and of a pause."""
    runs = run_table.named(heart.visible(request.user)).select_related("server__beat", "server__options")
    return get_object_or_404(runs, pk=pk)


def _narrowed(request: access.PanelRequest) -> dict[str, str]:
    query = request.GET
    return {
        "group": query.get("group", "") if query.get("group") in (*run_data.GROUPS, "quiet", "run") else "",
        "level": query.get("level", "") if query.get("level") in run_data.LEVELS else "",
        "q": query.get("q", "").strip().lower()[:253],
        "job": query.get("job", ""),
        "user": query.get("user", "").strip()[:64],
        "domain": query.get("domain", "").strip()[:253],
    }


def _log(request: access.PanelRequest, found: Run, narrowed: Mapping[str, str]) -> dict[str, object]:
    """The lines of the sites that match, a page of sites at a time; or of the survey."""
    group, person = narrowed["group"], request.user
    if group in ("run", "quiet"):
        about = {name: narrowed[name] for name in ("level", "q", "user", "domain")}
        rows = (
            run_data.quiet_lines(found, person, **about) if group == "quiet" else run_lines.of_the_whole(found, person)
        )
        paging = paginate(request, rows, size=100)
        return {
            "quiet": [log.line(row, reader=readers.of(person)) for row in paging.rows],
            "paging": paging,
            "run": found,
        }
    jobs = run_data.matching(found, person, **narrowed)
    sites = paginate(request, jobs, size=25)
    context: dict[str, object] = {"sites": run_data.sites(sites.rows, request.user), "paging": sites, "run": found}
    if any(narrowed[name] for name in ("q", "level", "user", "domain")) and not group and not narrowed["job"]:
        about = {name: narrowed[name] for name in ("level", "q", "user", "domain")}
        quiet = run_data.quiet_lines(found, person, **about)[:100]
        context["quiet"] = [log.line(row, reader=readers.of(person)) for row in quiet]
    return context


def _state(request: access.PanelRequest, found: Run, live_run: shell.LiveRun) -> dict[str, object]:
    """The numbers of a run and, where they are shown, its failures."""
    progress = live_run.progress
    moment = found.ended_at or access.now()
    return {
        "run": found,
        "live": live_run,
        # Of a run that has ended, what was held says so itself
        "held_up": found.ended_at is None and shell.is_paused(found.server),
        "cancel_here": live_run.may_cancel and not _in_slot(request, found),
        "progress": progress,
        "row": run_table.described(request.user, found),
        "off_reason": run_data.off_reason(found, request.user),
        "took": moment - found.started_at,
        "phases": run_data.phases(found, progress, waits=live_run.waits),
        # Read when they are shown: most polls, and pages of some lines alone, need none
        "failures": SimpleLazyObject(lambda: run_data.failures(found, request.user, MOST_FAILURES)),
        "more_failures": max(0, progress.failed - MOST_FAILURES),
        "in_hand": progress.running + progress.staged,
        "put_off": progress.deferred + progress.waiting,
        "done": progress.secured + progress.renewed + progress.kept + progress.skipped,
        "ended": JobState.ENDED,
        "eta": progress.limited_until if progress.limited_until and progress.limited_until > access.now() else None,
    }


def _in_slot(request: access.PanelRequest, found: Run) -> bool:
    """Whether the run slot above shows this very run, and how to cancel it."""
    return request.user.is_login or found.scope == shell.own_scope(request.user)


def cursor_of(sites: list[run_data.Site], last_seq: int, before: Mapping[int, int] | None = None) -> str:
    """Which line of each followed site was the last, and of none (`last_seq`, 0 where no more came): “0:3,17:9”."""
    before = before or {}
    seqs = {0: last_seq or before.get(0, 0)}
    for site in sites:
        seqs[site.job.pk] = site.last_seq or before.get(site.job.pk, 0)
    return ",".join(f"{job}:{seq}" for job, seq in seqs.items())


def read_cursor(text: str) -> dict[int, int]:
    """The other way; what is not a cursor is left out."""
    found = {}
    for piece in text.split(",")[: 2 * run_data.FOLLOWED]:
        job, _colon, seq = piece.partition(":")
        numbers = picking.ids((job, seq))
        if len(numbers) == 2:
            found[numbers[0]] = numbers[1]
    return found
