"""The Problems tab: a card for each cause, the most affected first, with the fix for these very names."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from django.db.models import Count, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from autossl_panel.autossl import options, problem_facts, recheck, standstill
from autossl_panel.autossl.log import causes
from autossl_panel.autossl.models import Problem
from autossl_panel.hosting import visible

from . import access, nothing, problem_data, shell
from .paging import paginate
from .pending import answer, refused
from .problem_data import QUIET, Filter, Group, Totals

LABELS = {**causes.KINDS, QUIET: gettext_lazy("Left out quietly")}


@dataclass(frozen=True, slots=True)
class Chip:
    """A kind to filter by, with how many causes it has."""

    value: str
    label: str
    n: int


@require_safe
@access.operator
def problems(request: access.PanelRequest) -> HttpResponse:
    """The cards, closed but for the first one."""
    now, wish = access.now(), Filter.of(request)
    mine = problem_facts.visible(request.user)
    matching = problem_data.matching(mine, wish)
    found = problem_data.groups(matching, now)
    paging = paginate(request, found)
    cards = problem_data.heads(paging.rows, request.user)
    if cards:
        # Somebody who looks for one thing wants to read it at once.
        first = cards[0].group
        cards[0] = problem_data.whole(first, matching.filter(cause=first.cause), request.user, _addresses(request), now)
    counts = problem_data.counts(mine)
    kinds = {kind: counts.kinds.get(kind, 0) for kind in LABELS}
    # The one that is chosen is shown even where nothing is of it any more
    chips = [Chip(kind, str(LABELS[kind]), n) for kind, n in kinds.items() if n or kind == wish.kind]
    context = {
        "cards": cards,
        "paging": paging,
        "searched": nothing.searched(wish, counts.loud, lambda wider: _causes(problem_data.matching(mine, wider))),
        "chips": chips,
        "all": counts.loud,
        "codes": counts.codes.items(),
        "concerned": _concerned(found, matching) if found else "",
        "rechecked": Totals.of(one for one in found if one.rechecks),
        "wish": wish,
        "quiet": wish.kind == QUIET,
        # What somebody looks for may be there, and no problem
        "hidden": _quietly(mine, wish) if not found and wish.q else 0,
    }
    return shell.page(request, "problems.html", "problems", context)


def _concerned(found: Sequence[Group], rows: QuerySet[Problem]) -> str:
    users: int = rows.aggregate(n=Count("user", distinct=True))["n"]
    return Totals.of(found).sentence(users)


def _causes(rows: QuerySet[Problem]) -> int:
    return rows.order_by().values("cause").distinct().count()


def _quietly(mine: QuerySet[Problem], wish: Filter) -> int:
    return problem_data.matching(mine, replace(wish, kind=QUIET)).count() if wish.kind != QUIET else 0


@require_safe
@access.operator
def problem(request: access.PanelRequest, cause: str) -> HttpResponse:
    """A cause with all its names and records, or with those left out quietly; for htmx, what opens in its card."""
    now = access.now()
    quiet = request.GET.get("kind") == QUIET
    rows = _of(request, cause).filter(quiet=quiet)
    found = problem_data.groups(rows, now)
    if not found:
        raise Http404
    here = _addresses(request)
    listed = rows.order_by("user__name", "name").select_related("user", "virtual_host")
    if request.htmx:
        card = problem_data.whole(found[0], listed, request.user, here, now)
        server = access.server(request)
        stopped = standstill.stopped(options.current(server), standstill.account_in_use(server))
        return render(request, "_problem_card.html", {"card": card, "quiet": quiet, "stopped": stopped})
    paging = paginate(request, listed, size=100, total=found[0].names)
    context = {
        "card": problem_data.whole(found[0], paging.rows, request.user, here, now),
        "paging": paging,
        "alone": True,
        "quiet": quiet,
    }
    return shell.page(request, "problem.html", "problems", context)


def _of(request: access.PanelRequest, cause: str) -> QuerySet[Problem]:
    return problem_facts.visible(request.user).filter(cause=cause)


def _addresses(request: access.PanelRequest) -> Sequence[str]:
    """Where this server can be reached, as its options say."""
    server = access.server(request) if request.htmx else shell.counted_server(request)
    return [str(address) for address in options.current(server).server_addresses]


@require_POST
@access.operator
def recheck_all(request: access.PanelRequest) -> HttpResponse:
    """Check all that the filter finds and looking again can find mended."""
    found = problem_data.matching(problem_facts.visible(request.user), Filter.of(request))
    return _recheck(request, found.exclude(code__in=problem_data.NOT_TO_RECHECK))


@require_POST
@access.operator
def recheck_cause(request: access.PanelRequest, cause: str) -> HttpResponse:
    """Check the names of a cause, or one of them."""
    found = _of(request, cause).filter(quiet=request.GET.get("kind") == QUIET)
    if not found.exists():
        raise Http404
    name = request.POST.get("name", "")
    return _recheck(request, found.filter(name=name) if name else found)


def _recheck(request: access.PanelRequest, found: QuerySet[Problem]) -> HttpResponse:
    server = access.server(request)
    if refused(request, server):
        return redirect("problems")
    hosts = visible.virtual_hosts(request.user).filter(pk__in=found.values("virtual_host"))
    return answer(request, recheck.ask(server, hosts, by=request.user, now=access.now()), "problems")
