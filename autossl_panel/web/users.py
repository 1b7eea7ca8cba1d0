"""Manage Users: who gets certificates. Rows are saved at once and can be undone for a minute."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from autossl_panel.autossl import lapse, runs
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.standstill import account_in_use
from autossl_panel.hosting import servers, visible
from autossl_panel.hosting import users as hosting_users
from autossl_panel.hosting.models import HostingUser, Setting
from autossl_panel.hosting.users import Change

from . import access, messages, nothing, picking, places, shell, toasts, undo, user_table
from .marked import fill
from .paging import paginate
from .shell import STOP_POLLING
from .templatetags.panel import EMPTY, day
from .user_filter import Filter
from .user_table import SORTS, STATE_FILTERS, Attention


@require_safe
@access.person
def home(request: access.PanelRequest) -> HttpResponse:
    """The first page: Manage Users; for root, Providers while none is chosen; for a login, its own names."""
    if request.user.is_login:
        return redirect("status")
    chosen = not request.user.is_root or Provider.objects.filter(active=True).exists()
    return redirect("users" if chosen else "providers")


@require_http_methods(["GET", "HEAD", "POST"])
@access.operator
def users(request: access.PanelRequest) -> HttpResponse:
    """The table; a post sets what is selected, or saves the rows that were changed."""
    if request.method == "POST":
        return _post(request)
    moment = access.now()
    mine = user_table.present(visible.users(request.user))
    attention = Attention.of(visible.virtual_hosts(request.user), moment)
    wish = Filter.of(request, STATE_FILTERS, SORTS)
    matching = user_table.narrowed(mine, wish, attention)
    listed = user_table.ordered(matching, wish.sort).select_related("owner", "feature_list")
    groups = user_table.groups(mine)
    counts = user_table.counts(groups, attention)
    lists, owners = user_table.menus(groups)
    paging = paginate(request, listed, total=None if wish.narrowed_past_state else counts[wish.state or "all"])
    if request.htmx:
        return _fresh(request, user_table.rows(paging.rows, "root", frozenset()), counts)
    unticked = matching.filter(pk__in=off).values_list("pk", flat=True) if (off := picking.left_out(request)) else ()
    picked = picking.picked(request, [user.pk for user in paging.rows], paging.total, unticked)
    context = {
        "wish": wish,
        "counts": counts,
        "paging": paging,
        "searched": nothing.searched(
            wish, counts["all"], lambda wider: user_table.narrowed(mine, wider, attention).count()
        ),
        "rows": user_table.rows(paging.rows, "root", picked.rows),
        "oob": False,
        "picked": picked,
        "lists": lists,
        "owners": owners if request.user.is_root else [],
    }
    return shell.page(request, "users.html", "users", context)


def _fresh(request: access.PanelRequest, rows: list[user_table.Row], counts: dict[str, int]) -> HttpResponse:
    """The cells and numbers that a run changes, in place; for the last time when no run is live any more."""
    live = shell.slot(request.user, servers.this(), account=None).live
    return render(request, "_user_cells.html", {"rows": rows, "counts": counts}, status=200 if live else STOP_POLLING)


def _post(request: access.PanelRequest) -> HttpResponse:
    bulk = request.POST.get("bulk")
    if bulk is not None:
        if bulk not in Setting.values:
            return HttpResponseBadRequest()
        chosen = _chosen(request)
        changes = hosting_users.set_autossl(chosen, bulk, by=request.user, now=access.now())
        if not changes:
            some = chosen.exists()
            messages.info(request, _("Nothing changes: it is set so already.") if some else _("No user is selected."))
    else:
        changes = _save_rows(request)
        if not changes:
            messages.info(request, _("Nothing changes: it is set so already."))
    if changes:
        _offer_undo(request, changes)
    return redirect(picking.after(request))


def _offer_undo(request: access.PanelRequest, changes: list[Change]) -> dict[str, object]:
    undoing = {"url": resolve_url("users-undo"), "changes": undo.pack(changes)}
    focus = [f"three-{change.user_id}" for change in changes]
    return toasts.offer(request, _said(changes), undoing, page=resolve_url("users"), focus=focus)


def _chosen(request: access.PanelRequest) -> QuerySet[HostingUser]:
    """The users that are ticked; with “all that match”, all of the filter's but those that were unticked."""
    mine = user_table.present(visible.users(request.user))
    left_out = picking.all_but(request, "users")
    if left_out is None:
        return mine.filter(pk__in=picking.ticked(request, "users"))
    attention = Attention.of(visible.virtual_hosts(request.user), access.now())
    return user_table.narrowed(mine, Filter.of(request, STATE_FILTERS, SORTS), attention).exclude(pk__in=left_out)


def _save_rows(request: access.PanelRequest) -> list[Change]:
    """Save the rows whose radio differs from what was shown: a setting that somebody else changed meanwhile stays."""
    wanted: dict[str, list[int]] = {}
    for pk in picking.ids(request.POST.getlist("shown")):
        value = request.POST.get(f"autossl-{pk}", "")
        if value in Setting.values and value != request.POST.get(f"was-{pk}"):
            wanted.setdefault(value, []).append(pk)
    mine = visible.users(request.user)
    changes: list[Change] = []
    for value, ids in wanted.items():
        changes += hosting_users.set_autossl(mine.filter(pk__in=ids), value, by=request.user, now=access.now())
    return changes


@require_POST
@access.operator
def set_one(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Save one row's radio at once; the answer is the toast."""
    user = get_object_or_404(visible.users(request.user), pk=pk)
    value = request.POST.get(f"autossl-{pk}", "")
    if value not in Setting.values:
        return HttpResponseBadRequest()
    mine = visible.users(request.user).filter(pk=user.pk)
    changes = hosting_users.set_autossl(mine, value, by=request.user, now=access.now())
    toast = None
    if changes:
        toast = _offer_undo(request, changes)
    if not request.htmx:
        return redirect("users")
    counts = user_table.counts_of(request.user, access.now()) if changes else None
    context = {"toast": toast, "oob": True, "pk": pk, "value": value, "counts": counts}
    return render(request, "_saved.html", context)


@require_POST
@access.operator
def put_back(request: access.PanelRequest) -> HttpResponse:
    """Undo the last change, where nobody has changed it since."""

    def undo_it(known: Mapping[str, Any]) -> str:
        changes = undo.unpack(known["changes"])
        done = hosting_users.undo_autossl(visible.users(request.user), changes, by=request.user, now=access.now())
        said = ngettext("%(n)d user is set as before.", "%(n)d users are set as before.", done) % {"n": done}
        return toasts.as_before(said, done, len(changes))

    return toasts.put_back(request, undo_it, otherwise=resolve_url("users"))


@require_POST
@access.operator
def check(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Run AutoSSL for one user, or land on the run that has the user's work before it."""
    mine = visible.users(request.user)
    user = get_object_or_404(mine, pk=pk)
    if account_in_use(user.server) is None and not runs.at_work_on(mine.filter(pk=user.pk)).exists():
        messages.bad(request, " ".join((_("AutoSSL is disabled on this server."), _("Nothing was tried."))))
        return redirect(places.back(request, resolve_url("users")))
    run = runs.start(runs.user_scope(user.name), by=request.user, asked_from="panel", server=user.server)
    return redirect("run", run.pk)


def _said(changes: list[Change]) -> str:
    """What was set, and what follows."""
    ids = [change.user_id for change in changes]
    after = {change.after for change in changes}
    if len(after) > 1:
        return ngettext("%(n)d user is saved.", "%(n)d users are saved.", len(ids)) % {"n": len(ids)}
    if len(ids) == 1:
        who = "“" + HostingUser.objects.values_list("name", flat=True).get(pk=ids[0]) + "”"
    else:
        who = ngettext("%(n)d user", "%(n)d users", len(ids)) % {"n": len(ids)}
    value = after.pop()
    if value == Setting.ON:
        return _("AutoSSL is on for %(who)s. New sites are checked within a minute.") % {"who": who}
    if value == Setting.FEATURE_LIST:
        return ngettext("%(who)s uses its feature list again.", "%(who)s use their feature lists again.", len(ids)) % {
            "who": who
        }
    return fill(_("AutoSSL is off for %(who)s."), who=who) + _lapse(ids)


def _lapse(ids: list[int]) -> SafeString:
    """“ 2 certificates expire from 14 Dec.”: what is no longer renewed."""
    # By portions: SQLite takes only so many ids in one question
    parts = [
        lapse.of(HostingUser.objects.filter(pk__in=ids[start : start + 500]), access.now())
        for start in range(0, len(ids), 500)
    ]
    number = sum(part.certificates for part in parts)
    first = min((part.first for part in parts if part.first is not None), default=None)
    if first is None:
        return EMPTY
    text = ngettext("%(n)d certificate expires on %(day)s.", "%(n)d certificates expire from %(day)s.", number)
    return fill(f" {text}", n=number, day=day(first))
