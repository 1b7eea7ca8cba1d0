"""Rehearse: a provider's CA at its staging directory, before anything is ordered in earnest; and what came of it. A
worker does it, pages write rows.
"""

from collections.abc import Mapping, Sequence

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.autossl import log, options, standstill
from autossl_panel.autossl import rehearsal as heart
from autossl_panel.autossl.models import Provider, ProviderState, Rehearsal, RehearsalSite
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.autossl.rehearsal import Wish

from . import access, shell
from .fields import Field
from .paging import paginate

FIELDS = ("directory_url", "site", "number", "contact", "agree_terms")
SHOWN = 5


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def rehearse(request: access.PanelRequest) -> HttpResponse:
    """Where a provider lets one rehearse, what that takes, and the last ones; a post does one step."""
    if request.method == "POST":
        return _act(request)
    return _page(request, _chosen(request.GET.get("provider", "")), {}, None)


@require_safe
@access.root
def rehearsals(request: access.PanelRequest) -> HttpResponse:
    """All that are kept, the newest first."""
    paging = paginate(request, heart.past(access.server(request)))
    return shell.page(request, "rehearsals.html", "logs", {"paging": paging, "rows": rows(paging.rows)})


@require_safe
@access.root
def rehearsal(request: access.PanelRequest, pk: int) -> HttpResponse:
    """One, with its sites and its log; for htmx the card alone, until it has ended."""
    found = get_object_or_404(heart.past(access.server(request)), pk=pk)
    sites = found.sites.select_related("virtual_host__user")
    context = {
        "found": found,
        "sites": [_site(one) for one in sites],
        "lines": heart.lines(found),
        "problem": _problem(found),
        **_counts(sites),
    }
    if request.htmx:
        return render(request, "_rehearsal.html", context)
    return shell.page(request, "rehearsal.html", "logs", context)


def _act(request: access.PanelRequest) -> HttpResponse:
    provider = _chosen(request.POST.get("provider", ""))
    values = {name: request.POST.get(name, "").strip() for name in FIELDS}
    if provider is None:
        return redirect("rehearse")
    try:
        if request.POST.get("do") == "directory":
            heart.set_directory(provider, values["directory_url"], by=request.user)
            if heart.directory_of(provider):
                heart.read_directory(provider, by=request.user)
        elif request.POST.get("do") == "read":
            heart.read_directory(provider, by=request.user)
        else:
            wish = _wish(values)
            found = heart.ask(provider, access.server(request), wish, by=request.user, now=access.now())
            return redirect("rehearsal", found.pk)
    except ProviderProblem as problem:
        return _page(request, provider, values, problem)
    return redirect(f"{resolve_url('rehearse')}?provider={provider.pk}")


def _wish(values: Mapping[str, str]) -> Wish:
    number = values["number"] or "1"
    if not number.isdecimal() or len(number) > 6:
        raise ProviderProblem("number", _("“%(text)s” is not a number.") % {"text": number})
    return Wish(values["site"], int(number), agree_terms=bool(values["agree_terms"]), contact=values["contact"])


def _chosen(text: str) -> Provider | None:
    """The provider that is meant, else the one in use, else the first that one can rehearse with."""
    ready = Provider.objects.order_by("-active", "position", "name")
    if text.isdecimal() and len(text) < 19:
        return ready.filter(pk=int(text)).first()
    return next((one for one in ready if one.active or heart.directory_of(one)), None) or ready.first()


def _page(
    request: access.PanelRequest, provider: Provider | None, values: Mapping[str, str], problem: ProviderProblem | None
) -> HttpResponse:
    server = access.server(request)
    staging = heart.staging(provider) if provider is not None else None
    account = heart.account_of(staging, server) if staging is not None else None
    given = {"directory_url": heart.directory_of(provider) if provider is not None else "", "number": "1", **values}
    if problem is None and staging is not None and staging.state == ProviderState.REFUSED and staging.problem:
        problem = ProviderProblem("directory_url", log.spoken(str(staging.problem["text"])))
    fields = {}
    for name in FIELDS:
        here = problem is not None and problem.field == name
        fields[name] = Field(name, given.get(name, ""), problem.text if problem is not None and here else "", here)
    last = list(heart.past(server)[: SHOWN + 1])
    context = {
        "provider": provider,
        "choices": _choices(provider),
        "staging": staging,
        "account": account,
        "agreed": staging is not None and heart.is_agreed(staging, account),
        "busy": staging is not None and staging.state == ProviderState.CHECKING,
        "ready": staging is not None and staging.state == ProviderState.READY,
        "most": heart.MOST,
        "fields": fields,
        "other_problem": problem.text if problem is not None and problem.field not in FIELDS else "",
        "at_work": next((one for one in last if one.ended_at is None), None),
        "rows": rows(last[:SHOWN]),
        "more": len(last) > SHOWN,
        # Neither stands in its way
        "stopped": standstill.stopped(options.current(server), standstill.account_in_use(server)),
    }
    if request.htmx:
        return render(request, "_rehearse_form.html", context)
    return shell.page(request, "rehearse.html", "providers", context)


def _choices(provider: Provider | None) -> list[Provider]:
    """Providers to rehearse with: those whose staging directory is known, the one in use, the one that is asked for."""
    found = Provider.objects.order_by("-active", "position", "name")
    return [one for one in found if one.active or one == provider or heart.directory_of(one)]


# --- what is shown of one ---------------------------------------------------------------------------------------------


def rows(found: Sequence[Rehearsal]) -> list[dict[str, object]]:
    """What a list says of each."""
    sites: dict[int, list[RehearsalSite]] = {}
    for one in RehearsalSite.objects.filter(rehearsal__in=found).select_related("virtual_host"):
        sites.setdefault(one.rehearsal_id, []).append(one)
    return [
        {"found": one, "problem": _problem(one), "first": sites.get(one.pk, [])[:1], **_counts(sites.get(one.pk, []))}
        for one in found
    ]


def _counts(sites: object) -> dict[str, int]:
    outcomes = [one.outcome for one in sites]  # type: ignore[attr-defined]
    return {"total": len(outcomes), "issued": outcomes.count("issued"), "failed": outcomes.count("failed")}


def _problem(found: Rehearsal) -> str:
    """What kept it from being tried, in a sentence."""
    if found.problem is None:
        return ""
    text = log.reason_text(found.problem["code"])
    said = f"{text}: {log.spoken(found.problem['text'])}" if found.problem["text"] else text
    return said[:1].upper() + said[1:]


def _site(row: RehearsalSite) -> dict[str, object]:
    why = log.reason_text(row.reason) if row.reason else ""
    return {
        "row": row,
        "host": row.virtual_host,
        "why": why[:1].upper() + why[1:],
        "left_out": [(name, log.reason_text(code)) for name, code in row.left_out if code != "excluded"],
    }
