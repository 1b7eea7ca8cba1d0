"""The Logs tab: the list of runs; starting and cancelling one; the run slot's poll."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Count, Q, QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from autossl_panel.autossl import runs as heart
from autossl_panel.autossl.models import Job, JobOutcome, JobState, Provider, Run
from autossl_panel.hosting import servers, visible
from autossl_panel.names import sought
from autossl_panel.people.models import User

from . import access, messages, shell
from .paging import paginate

STATE_FILTERS = ("failures", "all", "person")
SOURCES = {
    "panel": gettext_lazy("panel"),
    "command": gettext_lazy("command line"),
    "schedule": gettext_lazy("daily"),
    "sweep": gettext_lazy("due"),
    "discovery": gettext_lazy("new site"),
    "api": gettext_lazy("API"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A run as the list shows it: counts of the person's own part."""

    run: Run
    scope: str
    wide: bool
    by: str
    source: str
    provider: str
    secured: int
    renewed: int
    deferred: int
    failed: int


def jobs_of(person: User) -> QuerySet[Job]:
    """The jobs that a person may read: root all, others those of own users."""
    if person.is_root:
        return Job.objects.all()
    return Job.objects.filter(user__in=visible.users(person))


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def runs(request: access.PanelRequest) -> HttpResponse:
    """The list of runs, newest first; a post starts the run of the blue button, or lands on the live one."""
    if request.method == "POST":
        if request.user.is_login:
            # The button of a login stands on a hosting user's page.
            raise Http404
        run = heart.start(shell.own_scope(request.user), by=request.user, asked_from="panel", server=servers.this())
        return redirect("run", run.pk)
    state, q = request.GET.get("state", ""), request.GET.get("q", "").strip().lower()[:253]
    mine = heart.visible(request.user)
    failed = Q(pk__in=jobs_of(request.user).filter(outcome=JobOutcome.FAILED).values("run_id"))
    counts = mine.aggregate(
        all=Count("pk"),
        failures=Count("pk", filter=failed),
        wide=Count("pk", filter=Q(scope=heart.ALL)),
        person=Count("pk", filter=Q(asked_by__isnull=False)),
    )
    found = mine
    if state == "failures":
        found = found.filter(failed)
    elif state == "all":
        found = found.filter(scope=heart.ALL)
    elif state == "person":
        found = found.filter(asked_by__isnull=False)
    if q:
        found = found.filter(_about(request.user, q))
    paging = paginate(request, found.order_by("-started_at", "-pk").select_related("asked_by"))
    context = {
        "rows": rows(request.user, paging.rows),
        "paging": paging,
        "counts": counts,
        "state": state if state in STATE_FILTERS else "",
        "q": q,
        "narrowed": bool(q or state in STATE_FILTERS),
    }
    return shell.page(request, "runs.html", "logs", context)


def _about(person: User, q: str) -> Q:
    """Runs that had work for a user or site whose name has `q` in it, or were for that user alone."""
    jobs = jobs_of(person).filter(Q(user__name__icontains=q) | Q(virtual_host__domains__name__contains=sought(q)))
    return Q(pk__in=jobs.values("run_id")) | Q(scope__startswith="user:", scope__icontains=q)


def rows(person: User, found: Sequence[Run]) -> list[Row]:
    """What the list says of some runs. Ended runs carry their counts; what lives, or is read in part, is counted."""
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
    called = _called()
    return [_row(person, run, numbers.get(run.pk, {}), called) for run in found]


def described(person: User, run: Run) -> Row:
    """A run with who asked for it and whose certificates it brings; not counted."""
    return _row(person, run, {}, _called())


def _called() -> dict[str, str]:
    return {provider.name: str(provider) for provider in Provider.objects.only("name", "display_name")}


def _row(person: User, run: Run, numbers: Mapping[str, int], called: Mapping[str, str]) -> Row:
    return Row(
        run=run,
        scope=_scope(person, run),
        wide=run.scope == heart.ALL,
        by=_by(person, run),
        provider=called.get(run.provider_name, run.provider_name),
        source=str(SOURCES.get(run.asked_from, run.asked_from)),
        secured=numbers.get("secured", 0),
        renewed=numbers.get("renewed", 0),
        deferred=numbers.get("deferred", 0),
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


@require_GET
@access.person
def slot(request: access.PanelRequest) -> HttpResponse:
    """What the run slot shows now; polled while a run lives, and told to stop at its end."""
    server = servers.this()
    user = None
    if request.user.is_login and request.GET.get("user"):
        asked = request.GET["user"]
        users = visible.users(request.user).select_related("feature_list")
        user = get_object_or_404(users, pk=int(asked) if asked.isdecimal() and len(asked) < 19 else 0)
    found = shell.slot(request.user, server, account=shell.account_in_use(server), user=user)
    status = 200 if found.live else shell.STOP_POLLING
    return render(request, "_slot.html", {"slot": found}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def cancel(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with what follows in numbers; a post cancels."""
    found = get_object_or_404(heart.visible(request.user), pk=pk)
    if not shell.may_cancel(request.user, found):
        raise Http404
    if request.method == "POST":
        if not heart.cancel(found, by=request.user):
            messages.info(request, _("The run had ended already."))
        return redirect("run", found.pk)
    if found.ended_at is not None or found.cancelled_at is not None:
        return redirect("run", found.pk)
    context = {"run": found, "title": shell.run_title(found, request.user), "live": shell.live_run(request.user, found)}
    if request.htmx:
        return render(request, "_cancel.html", context)
    return shell.page(request, "cancel.html", "logs", context)
