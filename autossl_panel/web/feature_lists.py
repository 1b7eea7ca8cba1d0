"""People, the third tab: feature lists, what they say of AutoSSL, and how much follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Count, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_safe

from autossl_panel.autossl import choices, lapse
from autossl_panel.autossl.models import ProviderChoice
from autossl_panel.hosting import feature_lists as heart
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.feature_lists import DEFAULT
from autossl_panel.hosting.models import FeatureList, HostingUser, Setting, VirtualHost

from . import access, messages, people_frame
from .marked import fill
from .people import NOTHING, fields
from .templatetags.panel import day

FOLLOWS = Q(users__autossl=Setting.FEATURE_LIST, users__gone_at__isnull=True, users__suspended=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A feature list as the table shows it: how many users have it, how many of them follow it, with what."""

    row: FeatureList
    users: int
    follow: int
    lapse: lapse.Lapse
    provider: str
    is_default: bool


@require_safe
@access.root
def lists(request: access.PanelRequest) -> HttpResponse:
    """The table of feature lists."""
    return people_frame.page(request, "feature_lists.html", people_frame.LISTS, {"rows": _rows()})


def _rows() -> list[Row]:
    """Three questions, however many lists and users there are."""
    found = FeatureList.objects.annotate(
        all=Count("users", filter=Q(users__gone_at__isnull=True)), follow=Count("users", filter=FOLLOWS)
    ).order_by("name")
    lapses = lapse.by_feature_list(access.now())
    chosen = ProviderChoice.objects.filter(feature_list__isnull=False).select_related("provider")
    providers = {choice.feature_list_id: str(choice.provider) for choice in chosen}
    return [
        Row(
            row,
            row.all,
            row.follow,
            lapse=lapses.get(row.pk, lapse.Lapse()),
            provider=providers.get(row.pk, ""),
            is_default=row.name == DEFAULT,
        )
        for row in found
    ]


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def add(request: access.PanelRequest) -> HttpResponse:
    """The form; a post adds a list."""
    values = {"name": "", "autossl": "on"}
    problems: dict[str, str] = {}
    if request.method == "POST":
        values = {name: request.POST.get(name, "").strip() for name in values}
        try:
            row = heart.add(values["name"], values["autossl"] == "on", by=request.user)
        except UserProblem as problem:
            problems = {problem.field: f"{problem.text} {NOTHING}"}
        else:
            messages.ok(
                request, _("“%(name)s” is added. Give it to users on the tab Hosting users.") % {"name": row.name}
            )
            return redirect("feature-lists")
    context = {"fields": fields(values, problems), "row": None}
    return people_frame.page(request, "feature_list.html", people_frame.LISTS, context)


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def edit(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The form with what follows from it; a post renames the list and sets what it says."""
    row = get_object_or_404(FeatureList, pk=pk)
    values = {"name": row.name, "autossl": "on" if row.autossl else "off"}
    problems: dict[str, str] = {}
    followers = _followers(row)
    if request.method == "POST":
        values = {name: request.POST.get(name, value).strip() for name, value in values.items()}
        try:
            _save(request, row, values)
        except UserProblem as problem:
            problems = {problem.field: f"{problem.text} {NOTHING}"}
            row.refresh_from_db()
        else:
            return redirect("feature-lists")
    users = row.users.filter(gone_at__isnull=True)
    context = {
        "fields": fields(values, problems),
        "row": row,
        "is_default": row.name == DEFAULT,
        "provider": choices.own(row),
        "patterns": row.exclusion_patterns.count(),
        "users": users.count(),
        "follow": followers.count(),
        # Only what the other choice would bring is counted.
        "sites": 0 if row.autossl else VirtualHost.objects.filter(user__in=followers, gone_at__isnull=True).count(),
        "lapse": lapse.of(followers, access.now()) if row.autossl else None,
    }
    return people_frame.page(request, "feature_list.html", people_frame.LISTS, context)


def _followers(row: FeatureList) -> QuerySet[HostingUser]:
    """The users for whom the list decides."""
    return row.users.filter(autossl=Setting.FEATURE_LIST, gone_at__isnull=True, suspended=False)


def _save(request: access.PanelRequest, row: FeatureList, values: Mapping[str, str]) -> None:
    before, on = row.autossl, values["autossl"] == "on"
    renamed = " ".join(values["name"].split()) != row.name
    with transaction.atomic():
        heart.rename(row, values["name"], by=request.user)
        switched = heart.set_autossl(row, on, by=request.user, now=access.now())
    if switched:
        people_frame.offer_undo(
            request, _switched(row), "list-says", [row.pk, before], page=resolve_url("feature-lists")
        )
    elif renamed:
        messages.ok(request, _("“%(name)s” is saved.") % {"name": row.name})
    else:
        messages.info(request, _("Nothing changes: it is set so already."))


def _switched(row: FeatureList) -> str:
    """What was set, and what follows."""
    if row.autossl:
        return _("“%(name)s” says on. Sites of its users are checked within a minute.") % {"name": row.name}
    text = _("“%(name)s” says off.") % {"name": row.name}
    lapses = lapse.of(_followers(row), access.now())
    if lapses.first is None:
        return text
    n = lapses.certificates
    more = ngettext("%(n)d certificate expires on %(day)s.", "%(n)d certificates expire from %(day)s.", n)
    return format_html("{} {}", text, fill(more, n=n, day=day(lapses.first)))


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask which list its users get instead; a post moves them and removes the list."""
    row = get_object_or_404(FeatureList, pk=pk)
    asked, problem = request.POST.get("move_to", ""), ""
    if request.method == "POST":
        target = FeatureList.objects.filter(pk=int(asked)).first() if asked.isdecimal() and len(asked) < 19 else None
        name = row.name
        try:
            moved = heart.remove(row, move_to=target, by=request.user, now=access.now())
        except UserProblem as refused:
            problem = " ".join((refused.text, _("Nothing was removed.")))
        else:
            messages.ok(request, _removed(name, moved, target))
            return redirect("feature-lists")
    context = {
        "row": row,
        "users": row.users.count(),
        "patterns": row.exclusion_patterns.count(),
        "others": FeatureList.objects.exclude(pk=row.pk).order_by("name"),
        "asked": asked,
        "problem": problem,
    }
    return people_frame.page(request, "feature_list_remove.html", people_frame.LISTS, context)


def _removed(name: str, moved: int, target: FeatureList | None) -> str:
    text = _("“%(name)s” is removed.") % {"name": name}
    if not moved or target is None:
        return text
    return f"{text} " + ngettext(
        "%(n)d hosting user has “%(list)s” now.", "%(n)d hosting users have “%(list)s” now.", moved
    ) % {"n": moved, "list": target.name}
