"""A run's page: failures first, then what is in hand line by line, then everything else by user and site."""

from collections.abc import Mapping

from django.http import HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET, require_safe

from autossl_panel.autossl import log
from autossl_panel.autossl import runs as heart
from autossl_panel.autossl.models import JobState, Run

from . import access, run_data, runs, shell
from .paging import paginate

MOST_FAILURES = 20


@require_safe
@access.operator
def run(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The page; with a filter, the lines of what matches; for htmx, those lines alone."""
    found = get_object_or_404(heart.visible(request.user).select_related("asked_by", "server"), pk=pk)
    narrowed = _narrowed(request)
    if request.htmx:
        return render(request, "_log.html", _log(request, found, narrowed))
    context = _state(request, found)
    # While a run lives, its counts would be old as soon as they are shown.
    levels = run_data.level_counts(found, request.user) if found.ended_at else {}
    context |= {"levels": levels, **narrowed}
    if any(narrowed.values()):
        context |= _log(request, found, narrowed)
    else:
        moment = access.now()
        run_lines = run_data.run_lines(found, request.user)
        context["run_lines"] = run_lines
        if found.ended_at is None:
            sites = run_data.sites(run_data.followed(found, request.user, moment), request.user)
            context |= {"sites": sites, "cursor": _cursor(sites, run_lines)}
    return shell.page(request, "run.html", "logs", context)


@require_GET
@access.operator
def live(request: access.PanelRequest, pk: int) -> HttpResponse:
    """What has changed since the cursor: the numbers in place, new lines to append. 286 once the run has ended."""
    found = get_object_or_404(heart.visible(request.user).select_related("asked_by", "server"), pk=pk)
    cursor = _read_cursor(request.GET.get("cursor", ""))
    jobs = {job.pk: job for job in run_data.followed(found, request.user, access.now())}
    gone = [job_id for job_id in cursor if job_id and job_id not in jobs]
    if gone:
        # What was followed a moment ago may have said its last words since.
        rest = run_data.of_run(found, request.user).filter(pk__in=gone).select_related("user", "virtual_host")
        jobs = {job.pk: job for job in rest} | jobs
    sites = run_data.sites(jobs.values(), request.user, cursor)
    run_lines = run_data.run_lines(found, request.user, after=cursor.get(0, 0))
    context = _state(request, found)
    context |= {"sites": sites, "run_lines": run_lines, "oob": True}
    context["cursor"] = _cursor([site for site in sites if site.job.pk not in gone], run_lines, cursor)
    return render(request, "_live.html", context, status=shell.STOP_POLLING if found.ended_at else 200)


@require_safe
@access.operator
def text(request: access.PanelRequest, pk: int) -> StreamingHttpResponse:
    """The log as a plain text file."""
    found = get_object_or_404(heart.visible(request.user), pk=pk)
    pieces = run_data.as_text(
        found, request.user, f"{shell.run_title(found)}, {found.started_at:%Y-%m-%d %H:%M:%S} UTC"
    )
    response = StreamingHttpResponse(pieces, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="autossl-run-{found.pk}.txt"'
    return response


def _narrowed(request: access.PanelRequest) -> dict[str, str]:
    query = request.GET
    return {
        "group": query.get("group", "") if query.get("group") in (*run_data.GROUPS, "quiet", "run") else "",
        "level": query.get("level", "") if query.get("level") in run_data.LEVELS else "",
        "q": query.get("q", "").strip().lower()[:253],
        "job": query.get("job", ""),
    }


def _log(request: access.PanelRequest, found: Run, narrowed: Mapping[str, str]) -> dict[str, object]:
    """The lines of the sites that match, a page of sites at a time; or of the survey."""
    group, person = narrowed["group"], request.user
    if group == "run":
        return {"run_lines": run_data.run_lines(found, person, most=2000), "run": found}
    if group == "quiet":
        paging = paginate(request, run_data.quiet_lines(found, person, q=narrowed["q"]), size=100)
        return {"quiet": [log.line(row) for row in paging.rows], "paging": paging, "run": found}
    jobs = run_data.matching(run_data.of_run(found, person), **narrowed)
    sites = paginate(request, jobs, size=25)
    context: dict[str, object] = {"sites": run_data.sites(sites.rows, request.user), "paging": sites, "run": found}
    if narrowed["q"] or narrowed["level"]:
        quiet = run_data.quiet_lines(found, person, narrowed["level"], narrowed["q"])[:100]
        context["quiet"] = [log.line(row) for row in quiet]
    return context


def _state(request: access.PanelRequest, found: Run) -> dict[str, object]:
    """The numbers of a run and its failures."""
    live_run = shell.live_run(request.user, found)
    progress = live_run.progress
    moment = found.ended_at or access.now()
    return {
        "run": found,
        "live": live_run,
        "cancel_here": live_run.may_cancel and found.scope != shell.own_scope(request.user),
        "progress": progress,
        "row": runs.described(found),
        "took": moment - found.started_at,
        "phases": run_data.phases(found, request.user, progress.total),
        "failures": run_data.failures(found, request.user, MOST_FAILURES) if progress.failed else [],
        "more_failures": max(0, progress.failed - MOST_FAILURES),
        "in_hand": progress.running + progress.staged,
        "put_off": progress.deferred + progress.waiting,
        "done": progress.secured + progress.renewed + progress.kept + progress.skipped + progress.cancelled,
        "ended": JobState.ENDED,
        "eta": progress.limited_until if progress.limited_until and progress.limited_until > access.now() else None,
    }


def _cursor(sites: list[run_data.Site], run_lines: list[log.Line], before: Mapping[int, int] | None = None) -> str:
    """Which line of each followed site was the last: “0:3,17:9”."""
    before = before or {}
    seqs = {0: run_lines[-1].seq if run_lines else before.get(0, 0)}
    for site in sites:
        seqs[site.job.pk] = site.last_seq or before.get(site.job.pk, 0)
    return ",".join(f"{job}:{seq}" for job, seq in seqs.items())


def _read_cursor(text: str) -> dict[int, int]:
    """The other way; what is not a cursor is left out."""
    found = {}
    for piece in text.split(",")[: 2 * run_data.FOLLOWED]:
        job, _colon, seq = piece.partition(":")
        if job.isdecimal() and seq.isdecimal() and len(piece) < 30:
            found[int(job)] = int(seq)
    return found
