"""The Preview page: what a run for all, for one user or for a reseller's users would do; asked for by a post."""

from django.http import Http404, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.autossl import preview as heart
from autossl_panel.autossl import preview_told as told
from autossl_panel.autossl.models import Preview
from autossl_panel.people.models import Role, User

from . import access, preview_table, shell
from .paging import paginate


@require_http_methods(["GET", "HEAD", "POST"])
@access.operator
def preview(request: access.PanelRequest) -> HttpResponse:
    """The newest preview of a scope; a post asks for one. For htmx the card alone, until it is ready."""
    if request.method == "POST":
        return _ask(request)
    scope, problem = _scope(request, request.GET)
    found = heart.newest(access.server(request), scope) if scope is not None else None
    context = _context(request, found, scope or "", problem)
    if request.htmx:
        return render(request, "_preview.html", context)
    return shell.page(
        request,
        "preview.html",
        "preview",
        context,
    )


@require_safe
@access.operator
def as_json(request: access.PanelRequest) -> HttpResponseBase:
    """All of the newest preview of a scope, for other programs."""
    scope, _problem = _scope(request, request.GET)
    found = heart.newest(access.server(request), scope) if scope is not None else None
    if found is None:
        raise Http404
    rows = heart.sites(found, request.user).select_related("user")
    answer = StreamingHttpResponse(told.pieces(found, rows), content_type="application/json")
    answer["Content-Disposition"] = f'attachment; filename="autossl-preview-{found.pk}.json"'
    return answer


def _ask(request: access.PanelRequest) -> HttpResponse:
    scope, problem = _scope(request, request.POST)
    if scope is None:
        context = _context(request, None, "", problem)
        return shell.page(request, "preview.html", "preview", context)
    heart.ask(scope, asked_by=request.user, server=access.server(request), now=access.now())
    return redirect(f"{resolve_url('preview')}{_query(request.POST)}")


def _query(said: QueryDict) -> str:
    """Where the scope that was asked for stands, as an address says it."""
    kept = QueryDict(mutable=True)
    for name in ("user", "owner"):
        if value := said.get(name, "").strip():
            kept[name] = value
            break
    return f"?{kept.urlencode()}" if kept else ""


def _scope(request: access.PanelRequest, said: QueryDict) -> tuple[str | None, str]:
    """The scope that is meant; None and what is wrong with it where there is none such."""
    user, owner = said.get("user", "").strip()[:64], said.get("owner", "").strip()[:64]
    found = heart.scope_of(request.user, access.server(request), user=user, owner=owner)
    if found is not None:
        return found, ""
    if user:
        return None, _("There is no hosting user “%(name)s”.") % {"name": user}
    return None, _("There is no reseller “%(name)s” with users on this server.") % {"name": owner}


def _context(request: access.PanelRequest, found: Preview | None, scope: str, problem: str) -> dict[str, object]:
    said = request.POST if request.method == "POST" else request.GET
    context: dict[str, object] = {
        "preview": found,
        "scope": scope,
        "title": preview_table.title(scope) if scope else "",
        "scope_query": _query(said).removeprefix("?"),
        "asked": {"user": said.get("user", "").strip()[:64], "owner": said.get("owner", "").strip()[:64]},
        "problem": problem,
        "owners": _owners(request),
    }
    if found is None or found.ended_at is None or found.problem is not None:
        return context
    rows = heart.sites(found, request.user)
    wish = preview_table.Wish.of(request)
    counts = preview_table.counts(found, rows, request.user)
    total = sum(counts.values())
    known = None if wish.q else counts.get(wish.action, 0) if wish.action else total
    paging = paginate(request, preview_table.narrowed(rows, wish).select_related("user"), total=known)
    return {
        **context,
        "wish": wish,
        "paging": paging,
        "rows": preview_table.rows(paging.rows, found),
        "tiles": preview_table.tiles(counts),
        "total": total,
        # What it says of all its sites is of others, too, where some have another owner since.
        "whole": total == found.sites,
    }


def _owners(request: access.PanelRequest) -> list[str]:
    """Resellers with users here, for root to choose from."""
    if not request.user.is_root:
        return []
    mine = User.objects.filter(role=Role.RESELLER, hosting_users__server=access.server(request))
    return list(mine.order_by("username").values_list("username", flat=True).distinct())
