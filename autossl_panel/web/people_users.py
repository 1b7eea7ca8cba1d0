"""People, the second tab: hosting users, their owner, login, feature list and e-mail; one by one or many at once."""

from collections.abc import Mapping, Sequence

from django.db.models import QuerySet
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl.models import ProviderChoice
from autossl_panel.hosting import editing, feature_lists, ownership, visible
from autossl_panel.hosting.changes import Change, UserProblem
from autossl_panel.hosting.models import FeatureList, HostingUser
from autossl_panel.hosting.users import email_of
from autossl_panel.people.models import Role, User

from . import access, messages, nothing, people_frame, people_user_table, picking, undo
from .paging import paginate
from .people import NOTHING, fields
from .people_user_table import SORTS, STATES
from .user_filter import ROOT, Filter


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def users(request: access.PanelRequest) -> HttpResponse:
    """The table; a post gives what is selected to an owner, or a feature list to it."""
    if request.method == "POST":
        return _post(request)
    return _page(request)


def _page(request: access.PanelRequest, problem: tuple[str, str] = ("", "")) -> HttpResponse:
    """The table; after a bulk act that said nothing of whom or what, with the `problem` at its field, and all ticks."""
    here = _present(request)
    wish = Filter.of(request, STATES, SORTS)
    counts = people_user_table.counts(here)
    matching = people_user_table.narrowed(here, wish)
    listed = people_user_table.ordered(matching, wish.sort).select_related("owner", "login", "feature_list")
    lists, owners = people_user_table.menus(here)
    total = None if wish.narrowed_past_state else counts[(wish.state or "all").replace("-", "_")]
    paging = paginate(request, listed, total=total)
    unticked = matching.filter(pk__in=off).values_list("pk", flat=True) if (off := picking.left_out(request)) else ()
    shown = [user.pk for user in paging.rows]
    if request.method == "POST":
        picked = picking.as_sent(request, "users", shown, paging.total, matching.values_list("pk", flat=True))
    else:
        picked = picking.picked(request, shown, paging.total, unticked)
    context = {
        "wish": wish,
        "counts": counts,
        "paging": paging,
        "searched": nothing.searched(
            wish, counts["all"], lambda wider: people_user_table.narrowed(here, wider).count()
        ),
        "rows": people_user_table.rows(paging.rows, picked.rows),
        "picked": picked,
        "problem": dict([problem]),
        "given": {name: request.POST.get(name, "") for name in ("owner", "list")},
        "lists": lists,
        "owners": owners,
        "resellers": _resellers(),
        "all_lists": FeatureList.objects.order_by("name"),
    }
    return people_frame.page(request, "people_users.html", people_frame.USERS, context)


def _present(request: access.PanelRequest) -> QuerySet[HostingUser]:
    return visible.users(request.user).filter(gone_at__isnull=True)


def _resellers() -> list[str]:
    return list(User.objects.filter(role=Role.RESELLER).order_by("username").values_list("username", flat=True))


def _post(request: access.PanelRequest) -> HttpResponse:
    act = request.POST.get("bulk", "")
    chosen = _chosen(request)
    if act == "owner":
        owner = _owner(request.POST.get("owner", ""))
        if owner is None:
            return _page(request, ("owner", _("Choose whom to give them to. Nothing was changed.")))
        else:
            changes = ownership.give(chosen, owner if isinstance(owner, User) else None, by=request.user)
            _tell(request, chosen, changes, "owners", _given(changes, owner))
    elif act == "list":
        asked = request.POST.get("list", "")
        row = FeatureList.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 19 else None
        if row is None:
            return _page(request, ("list", _("Choose a feature list. Nothing was changed.")))
        else:
            changes = feature_lists.move(chosen, row, by=request.user, now=access.now())
            _tell(request, chosen, changes, "lists", _moved(changes, row))
    else:
        return HttpResponseBadRequest()
    return redirect(picking.after(request))


def _chosen(request: access.PanelRequest) -> QuerySet[HostingUser]:
    """What is ticked; with “all that match”, all of the filter's but those that were unticked."""
    here = _present(request)
    left_out = picking.all_but(request, "users")
    if left_out is None:
        return here.filter(pk__in=picking.ticked(request, "users"))
    matching = people_user_table.narrowed(here, Filter.of(request, STATES, SORTS)).exclude(pk__in=left_out)
    return here.filter(pk__in=matching.order_by().values("pk"))


def _owner(name: str) -> User | str | None:
    """The reseller of that name, “root”, or None where it is neither."""
    return ROOT if name == ROOT else User.objects.filter(role=Role.RESELLER, username=name).first()


def _tell(
    request: access.PanelRequest, chosen: QuerySet[HostingUser], changes: Sequence[Change], kind: str, said: str
) -> None:
    if changes:
        focus = [f"who-{change.user_id}" for change in changes]
        people_frame.offer_undo(request, said, kind, undo.pack(changes), page=request.path, focus=focus)
    elif chosen.exists():
        messages.info(request, _("Nothing changes: it is set so already."))
    else:
        messages.info(request, _("No hosting user is selected."))


def _given(changes: Sequence[Change], owner: User | str) -> str:
    if owner == ROOT:
        text = ngettext("%(n)d hosting user is root’s now.", "%(n)d hosting users are root’s now.", len(changes))
        return text % {"n": len(changes)}
    text = ngettext(
        "%(n)d hosting user is given to “%(owner)s”.", "%(n)d hosting users are given to “%(owner)s”.", len(changes)
    )
    return text % {"n": len(changes), "owner": owner.username if isinstance(owner, User) else owner}


def _moved(changes: Sequence[Change], row: FeatureList) -> str:
    text = ngettext(
        "%(n)d hosting user has the feature list “%(list)s” now.",
        "%(n)d hosting users have the feature list “%(list)s” now.",
        len(changes),
    )
    return text % {"n": len(changes), "list": row.name}


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def user(request: access.PanelRequest, pk: int) -> HttpResponse:
    """One hosting user; a post saves every field, or none and says at each field why."""
    rows = visible.users(request.user).select_related("owner", "login", "feature_list")
    row = get_object_or_404(rows, pk=pk)
    values = {
        "owner": row.owner.username if row.owner else ROOT,
        "login": row.login.username if row.login else "",
        "feature_list": str(row.feature_list_id),
        "email": row.email,
        "suspended": "yes" if row.suspended else "no",
    }
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in values}
        values["suspended"] = "yes" if "suspended" in request.POST else "no"
        wish, problems = _read(values)
        if wish is not None:
            try:
                if editing.change(row, wish, by=request.user, now=access.now()):
                    messages.ok(request, _("“%(name)s” is saved.") % {"name": row.name})
                else:
                    messages.info(request, _("Nothing changes: it is set so already."))
            except UserProblem as problem:
                problems = {problem.field: problem.text}
            else:
                return redirect("people-user", row.pk)
    problems = {name: f"{text} {NOTHING}" for name, text in problems.items()}
    choice = ProviderChoice.objects.filter(user=row).select_related("provider").first()
    context = {
        "hosting_user": row,
        "fields": fields(values, problems),
        "resellers": _resellers(),
        "all_lists": FeatureList.objects.order_by("name"),
        "provider": choice.provider if choice else None,
        "patterns": row.exclusion_patterns.count(),
        "sites": row.virtual_hosts.filter(gone_at__isnull=True).count(),
    }
    return people_frame.page(request, "people_user.html", people_frame.USERS, context)


def _read(values: Mapping[str, str]) -> tuple[editing.Wish | None, dict[str, str]]:
    """What was typed as rows, or what is wrong at which field."""
    problems: dict[str, str] = {}
    owner = _owner(values["owner"])
    if owner is None:
        problems["owner"] = _("There is no reseller “%(name)s”.") % {"name": values["owner"][:80]}
    login = User.objects.filter(username=values["login"]).first() if values["login"] else None
    if values["login"] and login is None:
        problems["login"] = _("There is no person “%(name)s”.") % {"name": values["login"][:80]}
    for check in (lambda: ownership.check_login(login), lambda: email_of(values["email"])):
        try:
            check()
        except UserProblem as problem:
            problems[problem.field] = problem.text
    asked = values["feature_list"]
    row = FeatureList.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 19 else None
    if row is None:
        problems["feature_list"] = _("There is no such feature list.")
    if problems or row is None:
        return None, problems
    suspended = values["suspended"] == "yes"
    return editing.Wish(owner if isinstance(owner, User) else None, login, row, values["email"], suspended), {}
