"""The Logs tab: the list of runs; starting and cancelling one; the run slot's poll."""

from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from autossl_panel.autossl import runs as heart
from autossl_panel.autossl import standstill
from autossl_panel.autossl.models import JobOutcome, Run
from autossl_panel.hosting import visible

from . import access, history, messages, nothing, picking, places, run_table, shell
from .paging import SIZES, paginate


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def runs(request: access.PanelRequest) -> HttpResponse:
    """The list of runs, newest first; a post starts the run of the blue button, or lands on the live one."""
    if request.method == "POST":
        if request.user.is_login:
            # The button of a login stands on a hosting user's page.
            raise Http404
        run = heart.start(
            shell.own_scope(request.user), by=request.user, asked_from="panel", server=access.server(request)
        )
        return redirect("run", run.pk)
    mine = heart.visible(request.user)
    if request.htmx:
        return _fresh(request, mine)
    wish = run_table.Wish.of(request)
    counts = mine.aggregate(
        all=Count("pk"),
        failures=Count("pk", filter=run_table.ended_in(request.user, JobOutcome.FAILED)),
        wide=Count("pk", filter=Q(scope=heart.ALL)),
        person=Count("pk", filter=Q(asked_by__isnull=False)),
    )
    only_state = not (wish.q or wish.outcome or wish.scope or wish.user)
    total = counts[{"failures": "failures", "all": "wide", "person": "person"}.get(wish.state, "all")]
    found = run_table.matching(mine, request.user, wish).order_by("-started_at", "-pk")
    paging = paginate(request, run_table.named(found), total=total if only_state else None)
    last = run_table.last(mine)
    both = {run.pk: run for run in (*paging.rows, *last)}
    rows = {row.run.pk: row for row in run_table.rows(request.user, list(both.values()))}
    context = {
        "rows": [rows[run.pk] for run in paging.rows],
        "live": [str(run.pk) for run in paging.rows if run.ended_at is None],
        "paging": paging,
        "searched": nothing.searched(
            wish, counts["all"], lambda wider: run_table.matching(mine, request.user, wider).count()
        ),
        "counts": counts,
        "wish": wish,
        "outcomes": run_table.OUTCOMES,
        "scopes": run_table.SCOPES,
        "named": history.find(request.user, wish.q) if wish.q and not request.user.is_login else None,
        "charts": run_table.drawn(
            [rows[run.pk] for run in last], shell.counted_server(request) if request.user.is_root else None
        ),
    }
    return shell.page(request, "runs.html", "logs", context)


def _fresh(request: access.PanelRequest, mine: QuerySet[Run]) -> HttpResponse:
    """The cells of runs that were shown alive, in place; for the last time when none of them lives any more."""
    shown = picking.ids(request.GET.getlist("shown"))[: SIZES[-1]]
    found = list(run_table.named(mine.filter(pk__in=shown)))
    live = any(run.ended_at is None for run in found)
    context = {"rows": run_table.rows(request.user, found)}
    return render(request, "_run_cells.html", context, status=200 if live else shell.STOP_POLLING)


@require_GET
@access.person
def slot(request: access.PanelRequest) -> HttpResponse:
    """What the run slot shows now; polled while a run lives, and told to stop at its end."""
    server = access.server(request)
    user = None
    if request.user.is_login and request.GET.get("user"):
        asked = request.GET["user"]
        users = visible.users(request.user).select_related("feature_list")
        user = get_object_or_404(users, pk=int(asked) if asked.isdecimal() and len(asked) < 19 else 0)
    found = shell.slot(request.user, server, account=standstill.account_in_use(server), user=user)
    if found.live:
        return render(request, "_slot.html", {"slot": found})
    # With the end of a run, what stands around the slot has changed, too.
    context: dict[str, object] = {"slot": found}
    if not request.user.is_login:
        # Without a provider there is none to promise
        due = shell.next_check(shell.counted_server(request), access.now()) if found.has_provider else None
        context |= {"tabs": shell.tab_counts(request), "next": due}
    return render(request, "_slot_end.html", context, status=shell.STOP_POLLING)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def cancel(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with what follows in numbers; a post cancels."""
    found = get_object_or_404(heart.visible(request.user), pk=pk)
    if not shell.may_cancel(request.user, found):
        raise Http404
    back = places.back(request, resolve_url("run", found.pk))
    if request.method == "POST":
        if not heart.cancel(found, by=request.user):
            messages.info(request, _("The run had ended already."))
        return redirect(back)
    if found.ended_at is not None or found.cancelled_at is not None:
        return redirect(back)
    live = shell.live_run(request.user, found)
    context = {"run": found, "title": shell.run_title(found, request.user), "live": live, "back": back}
    if request.htmx:
        return render(request, "_cancel.html", context)
    return shell.page(request, "cancel.html", "logs", context)
