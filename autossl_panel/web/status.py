"""SSL/TLS Status: a hosting user's own names, what is wrong with which, include and exclude, and a check with its log.

The page of a login; root and resellers open it for users that they may see, and act under their own name.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from autossl_panel import names as domain_names
from autossl_panel.autossl import domains, log, options, policies, runs
from autossl_panel.autossl.domains import Name, NameState, Site
from autossl_panel.autossl.log import readers
from autossl_panel.autossl.models import Account, Options, Run
from autossl_panel.hosting import excluded_names, visible
from autossl_panel.hosting.models import HostingUser

from . import access, messages, nothing, picking, run_data, run_page, shell, status_table, toasts, undo
from .marked import fill
from .paging import paginate
from .status_table import Filter
from .status_words import Reader
from .templatetags.panel import day

# Accounts of one login that the page offers to change to
ACCOUNTS = 100
# Lines of a check that the page shows; the whole log is one click away
LINES = 60
ACTS = ("exclude", "include")


@require_safe
@access.person
def status(request: access.PanelRequest) -> HttpResponse:
    """The page of the login's first hosting user; root and resellers begin with their list of users."""
    if not request.user.is_login:
        return redirect("users")
    first = _present(request).order_by("name").first()
    if first is not None:
        return redirect("status-user", first.pk)
    return shell.page(request, "status_none.html", "status")


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
def status_user(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The names of a hosting user; a post includes or excludes one, or those that are selected."""
    accounts, user = _accounts(request, pk)
    if request.method == "POST":
        return _post(request, user)
    accounts_there = policies.accounts_of(user.server)
    disabled = _disabled(accounts_there)
    sites = _sites(user, accounts_there)
    if request.htmx:
        return _fresh(request, user, sites, disabled)
    wish = Filter.of(request)
    totals = status_table.totals(sites)
    matching = status_table.matching(sites, wish)
    paging = paginate(request, matching)
    unticked = picking.left_out(request).intersection(name.domain_id for _site, name in matching)
    picked = picking.picked(request, [name.domain_id for _site, name in paging.rows], paging.total, unticked)
    context = {
        "hosting_user": user,
        "accounts": accounts if len(accounts) > 1 else [],
        "paused": _options(user).paused_at is not None,
        "disabled": disabled,
        # The notice on the page says it, with what it means for this user
        "disabled_told": disabled and user.enabled and not user.suspended,
        "totals": totals,
        "wish": wish,
        "chips": _chips(totals, wish),
        "paging": paging,
        "searched": nothing.searched(wish, totals.names, lambda wider: len(status_table.matching(sites, wider))),
        "groups": status_table.groups(paging.rows, Reader(request.user, access.now(), disabled), picked.rows),
        "picked": picked,
    }
    account = next((one for one in accounts_there if one.provider.active), None)
    slot = shell.slot(request.user, user.server, account=account, user=user)
    if request.user.is_login:
        followed = slot.live.run if slot.live else None
        context |= {"at_work": slot.live, "follow": followed is not None, **_log_of(request, user, followed)}
    else:
        context["at_work"] = _at_work(user)
    context["follows"] = bool(context["at_work"]) or status_table.due(sites, access.now())
    tab = "status" if request.user.is_login else "users"
    return shell.page(request, "status.html", tab, context, known=slot, server=user.server)


def _accounts(request: access.PanelRequest, pk: int) -> tuple[list[HostingUser], HostingUser]:
    """The hosting users that a login may change to, and the one whose page it is."""
    mine = _present(request)
    if not request.user.is_login:
        return [], get_object_or_404(mine, pk=pk)
    accounts = list(mine.order_by("name")[:ACCOUNTS])
    here = next((one for one in accounts if one.pk == pk), None)
    return accounts, here or get_object_or_404(mine, pk=pk)


def _present(request: access.PanelRequest) -> QuerySet[HostingUser]:
    """The hosting users that the person may see and that still have sites here."""
    rows = visible.users(request.user).filter(gone_at__isnull=True)
    return rows.select_related(
        "owner", "feature_list__provider_choice", "server__options__paused_by", "provider_choice"
    )


def _sites(user: HostingUser, accounts: Sequence[Account]) -> list[Site]:
    serve_www = _options(user).serve_www
    return domains.of_user(user, policies.for_user(user, accounts), access.now(), serve_www=serve_www)


def _disabled(accounts: Sequence[Account]) -> bool:
    """Whether AutoSSL is disabled on the server of these accounts: none of them is of the provider in use."""
    return not any(account.provider.active for account in accounts)


def _options(user: HostingUser) -> Options:
    """The options of its server, which came with the user where somebody has set any."""
    return getattr(user.server, "options", None) or options.current(user.server)


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter with how many names it shows."""

    state: str
    label: str
    n: int
    shown: bool

    @property
    def apart(self) -> bool:
        """Whether it is no state, and counts again names that have theirs."""
        return self.state == status_table.NEEDS


def _chips(totals: status_table.Totals, wish: Filter) -> list[Chip]:
    counts = totals.by_chip
    labels = {state.value: str(state.label) for state in NameState} | {status_table.NEEDS: _("Needs you")}
    states = (*status_table.CHIPS, *status_table.RARE)
    return [
        Chip(state, labels[state], n, n > 0 or state in status_table.CHIPS or wish.state == state)
        for state, n in ((state, counts[state]) for state in states)
    ]


def _fresh(request: access.PanelRequest, user: HostingUser, sites: Sequence[Site], disabled: bool) -> HttpResponse:
    """The cells of the rows that the page shows, in place; for the last time when nothing works on them any more."""
    shown = set(picking.ids(request.GET.getlist("shown")))
    rows = _rows(request, sites, shown, disabled=disabled)
    totals = status_table.totals(sites)
    context = {
        "hosting_user": user,
        "totals": totals,
        "chips": _chips(totals, Filter.of(request)),
        "rows": rows,
        "disabled": disabled,
        "oob": True,
    }
    changes = _at_work(user) is not None or status_table.due(sites, access.now())
    return render(request, "_status_cells.html", context, status=200 if changes else shell.STOP_POLLING)


def _at_work(user: HostingUser) -> Run | None:
    return runs.at_work_on(HostingUser.objects.filter(pk=user.pk)).first()


def _rows(
    request: access.PanelRequest, sites: Sequence[Site], shown: set[int], *, disabled: bool
) -> list[status_table.Row]:
    reader = Reader(request.user, access.now(), disabled)
    pairs = [(site, name) for site in sites for name in site.names if name.domain_id in shown]
    return [status_table.row(site, name, reader, frozenset()) for site, name in pairs]


# ---- include and exclude


def _post(request: access.PanelRequest, user: HostingUser) -> HttpResponse:
    """One name by its own button, or what is selected."""
    accounts = policies.accounts_of(user.server)
    before = _sites(user, accounts)
    act, wanted = _wanted(request, before)
    if act not in ACTS:
        return HttpResponseBadRequest()
    names = {name.domain_id: name for site in before for name in site.names}
    done = _do(act, user, [names[pk] for pk in sorted(wanted) if pk in names], request)
    after = _sites(user, accounts)
    toast = None
    if done:
        ids = [pk for pk, name in names.items() if name.name in set(done)]
        undoing = {"url": reverse("status-undo", args=[user.pk]), "act": act, "names": undo.pack_ids(ids)}
        said, page = _said(act, done, before, after), _page_of(user)
        toast = toasts.offer(request, said, undoing, page=page, focus=[f"b-{pk}" for pk in ids])
    if request.htmx:
        disabled = _disabled(accounts)
        shown = set(picking.ids(request.POST.getlist("shown")))
        totals = status_table.totals(after)
        context = {
            "hosting_user": user,
            "totals": totals,
            "chips": _chips(totals, Filter.of(request)),
            "disabled": disabled,
            "follows": bool(done),
            "rows": _rows(request, after, shown, disabled=disabled),
            "toast": toast,
            "oob": True,
        }
        return render(request, "_status_saved.html", context)
    if not done:
        messages.info(request, _("Nothing changes: it is so already.") if wanted else _("No name is selected."))
    return redirect(picking.after(request))


def _wanted(request: access.PanelRequest, sites: Sequence[Site]) -> tuple[str, Set[int]]:
    """What to do, and with which names, by id; with “all that match”, with all but those that were unticked."""
    for act in ACTS:
        if act in request.POST:
            return act, set(picking.ids([request.POST[act]]))
    wanted = picking.ticked(request, "names")
    left_out = picking.all_but(request, "names")
    if left_out is not None:
        wanted = (
            frozenset(name.domain_id for _site, name in status_table.matching(sites, Filter.of(request))) - left_out
        )
    return request.POST.get("bulk", ""), wanted


def _do(act: str, user: HostingUser, names: Sequence[Name], request: access.PanelRequest) -> list[str]:
    """Exclude or include those of `names` that are not so already; returns which."""
    change = excluded_names.exclude_names if act == "exclude" else excluded_names.include_names
    others = {name.name for name in names if (name.exclusion is None) == (act == "exclude")}
    return change(user, sorted(others), by=request.user, now=access.now()) if others else []


def _said(act: str, done: Sequence[str], before: Sequence[Site], after: Sequence[Site]) -> str:
    """What was done, and what follows."""
    n = len(done)
    who = f"“{domain_names.to_unicode(done[0])}”"
    if act == "include":
        if n == 1:
            return _("%(who)s is included again, and looked at within a minute.") % {"who": who}
        return _("%(n)d names are included again, and looked at within a minute.") % {"n": n}
    text = _("%(who)s is excluded.") % {"who": who} if n == 1 else _("%(n)d names are excluded.") % {"n": n}
    return format_html("{} {}", text, _lapse(before, after, n))


def _lapse(before: Sequence[Site], after: Sequence[Site], n: int) -> str:
    """What becomes of the certificates, above all of those of sites that no name is left of."""
    had = {site.pk for site in before if any(name.wished for name in site.names)}
    left = [site for site in after if site.pk in had and not any(name.wished for name in site.names)]
    ends = [site.installed.not_after for site in left if site.installed and site.installed.ours]
    if not ends:
        return ngettext(
            "The next certificate is asked for without it.", "The next certificates are asked for without them.", n
        )
    text = ngettext(
        "No name is left of its site: the certificate expires on %(day)s and is not renewed.",
        "No name is left of %(n)d sites: their certificates expire from %(day)s and are not renewed.",
        len(ends),
    )
    return fill(text, n=len(ends), day=day(min(ends)))


@require_POST
@access.person
def put_back(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Undo the last include or exclude of this page."""
    user = get_object_or_404(_present(request), pk=pk)

    def undo_it(known: Mapping[str, Any]) -> str:
        ids = set(undo.unpack_ids(known["names"]))
        names = [name for site in _sites(user, ()) for name in site.names if name.domain_id in ids]
        done = len(_do("include" if known["act"] == "exclude" else "exclude", user, names, request))
        said = ngettext("%(n)d name is as before.", "%(n)d names are as before.", done) % {"n": done}
        return toasts.as_before(said, done, len(ids))

    return toasts.put_back(request, undo_it, otherwise=_page_of(user))


# ---- the check of this account and its log


@require_POST
@access.person
def run(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Run AutoSSL for this user, or join what works on its sites already; the page shows how it goes."""
    user = get_object_or_404(_present(request), pk=pk)
    runs.start(runs.user_scope(user.name), by=request.user, asked_from="panel", server=user.server)
    return redirect("status-user", user.pk)


@require_GET
@access.person
def live(request: access.PanelRequest, pk: int) -> HttpResponse:
    """New lines of the check that the page follows; 286 once this user's part in it has ended."""
    user = get_object_or_404(_present(request), pk=pk)
    asked = request.GET.get("run", "")
    mine = HostingUser.objects.filter(pk=user.pk)
    found = get_object_or_404(runs.with_a_part_of(mine), pk=int(asked) if asked.isdecimal() and len(asked) < 19 else 0)
    # Asked before the lines are read: what is written meanwhile comes with the next poll.
    follow = runs.at_work_on(mine).filter(pk=found.pk).exists()
    cursor = run_page.read_cursor(request.GET.get("cursor", ""))
    if not follow:
        user.refresh_from_db(fields=["last_check_at"])
    context = {
        **_lines(request, user, found, cursor),
        "run": found,
        "follow": follow,
        "hosting_user": user,
        "oob": True,
    }
    return render(request, "_status_live.html", context, status=200 if follow else shell.STOP_POLLING)


def _log_of(request: access.PanelRequest, user: HostingUser, run: Run | None) -> dict[str, object]:
    """The check that works on the user's sites now, else the last one."""
    mine = HostingUser.objects.filter(pk=user.pk)
    found = run or runs.with_a_part_of(mine).order_by("-started_at", "-pk").first()
    return {"run": found, **(_lines(request, user, found, {}) if found is not None else {})}


def _lines(request: access.PanelRequest, user: HostingUser, found: Run, cursor: Mapping[int, int]) -> dict[str, object]:
    """What the run said of this user: of the survey, then site by site, after `cursor` only."""
    person = request.user
    quiet = run_data.quiet_lines(found, person).filter(user=user, seq__gt=cursor.get(0, 0))[:LINES]
    survey = [log.line(row, whole=person.is_root, reader=readers.of(person)) for row in quiet]
    jobs = run_data.of_run(found, person).filter(user=user, started_at__isnull=False)
    latest = jobs.order_by("-started_at", "-pk").select_related("user", "virtual_host")[: run_data.FOLLOWED]
    sites = run_data.sites(sorted(latest, key=lambda job: (job.started_at, job.pk)), person, dict(cursor))
    last_seq = survey[-1].seq if survey else 0
    return {"survey": survey, "sites": sites, "cursor": run_page.cursor_of(sites, last_seq, cursor)}


def _page_of(user: HostingUser) -> str:
    return reverse("status-user", args=[user.pk])
