"""Exclusion patterns: root's at all four levels, a reseller's own and those of own users. Counted before they hold."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from autossl_panel import names as domain_names
from autossl_panel.autossl import losses
from autossl_panel.autossl.losses import Losses
from autossl_panel.hosting import exclusion_patterns as heart
from autossl_panel.hosting import pattern_counts, visible
from autossl_panel.hosting.changes import UserProblem
from autossl_panel.hosting.exclusion_patterns import Concerned, Level
from autossl_panel.hosting.models import ExclusionPattern, FeatureList, Server
from autossl_panel.people.models import Role, User

from . import access, question, shell, toasts
from .fields import Field
from .marked import fill
from .paging import paginate
from .question import Point, Question
from .templatetags.panel import day

FIELDS = ("pattern", "whose", "user")
# Patterns that are counted by one request, in one walk over all names
MOST = 5
# Where more sites than these would lapse, who says yes types the server's name
HANDFUL = 5
SERVER, MINE, USER = "server", "mine", "user"


@dataclass(frozen=True, slots=True)
class Whose:
    """A level that can be chosen, but for that of one user, who is named."""

    value: str
    label: str


@require_http_methods(["GET", "HEAD", "POST"])
@access.operator
def patterns(request: access.PanelRequest) -> HttpResponse:
    """The list with the form; a post says what a pattern would exclude, and adds it when that was confirmed."""
    server = shell.counted_server(request)
    values = {name: request.POST.get(name, "").strip() for name in FIELDS}
    if request.method != "POST":
        return _page(request, server, _prefilled(request), [])
    level, problems = _checked(request.user, server, values)
    if level is None or problems:
        return _page(request, server, values, problems)
    found = heart.concerned(values["pattern"], level)
    lost = losses.count(found, level, access.now())
    typed = server.name if level.user is None and lost.sites > HANDFUL else ""
    sure = request.POST.get("sure") == found.pattern
    if not sure or (typed and not question.is_typed(request, typed)):
        return _ask(request, values, level, found, lost, typed=typed, wrong=sure and question.TYPED in request.POST)
    row = heart.add_pattern(found.pattern, level, by=request.user, now=access.now())
    _offer_undo(request, _added(row, found.names), [row.pk])
    return redirect("patterns")


def _checked(person: User, server: Server, values: dict[str, str]) -> tuple[Level | None, list[UserProblem]]:
    """For whom the pattern is to hold, and all that is wrong, in the order of the form."""
    level, problems = None, []
    try:
        level = _level(person, server, values)
    except UserProblem as problem:
        problems.append(problem)
    try:
        if level is None:
            heart.normalized(values["pattern"])
        else:
            heart.check_new(values["pattern"], level)
    except UserProblem as problem:
        problems.insert(0, problem)
    return level, problems


def _prefilled(request: access.PanelRequest) -> dict[str, str]:
    """The empty form, for whom the link here says."""
    given = {name: request.GET.get(name, "").strip()[:253] for name in FIELDS}
    given["whose"] = given["whose"] or (SERVER if request.user.is_root else MINE)
    return given


def _offer_undo(request: access.PanelRequest, text: str, what: Sequence[object]) -> None:
    """`what`: the id of a row to remove again, or (text, owner, feature list, user) of one to add again."""
    undoing = {"url": resolve_url("patterns-undo"), "what": what}
    toasts.offer(request, text, undoing, page=resolve_url("patterns"))


def _added(row: ExclusionPattern, names: int) -> str:
    shown = domain_names.to_unicode(row.pattern)
    if not names:
        return _("“%(pattern)s” is added. No name matches now; names to come that do are not asked for.") % {
            "pattern": shown
        }
    text = ngettext(
        "“%(pattern)s” is added: %(n)d name is not asked for any more.",
        "“%(pattern)s” is added: %(n)d names are not asked for any more.",
        names,
    )
    return text % {"pattern": shown, "n": names}


def _mine(person: User, server: Server) -> QuerySet[ExclusionPattern]:
    """The patterns that a person may see and change."""
    rows = ExclusionPattern.objects.filter(server=server)
    if not person.is_root:
        rows = rows.filter(Q(owner=person) | Q(user__owner=person))
    return rows.select_related("server", "owner", "feature_list", "user", "by")


def _level(person: User, server: Server, values: dict[str, str]) -> Level:
    """The level that was chosen, of those that the person may choose. Raises UserProblem."""
    whose, _colon, name = values["whose"].partition(":")
    if whose == USER:
        user = visible.users(person).filter(server=server, name=values["user"]).first()
        if user is None:
            raise UserProblem("user", _("There is no hosting user “%(name)s”.") % {"name": values["user"]})
        return Level(server, user=user)
    if whose == MINE and not person.is_root:
        return Level(server, owner=person)
    if whose == SERVER and person.is_root:
        return Level(server)
    if whose == "reseller" and person.is_root:
        owner = User.objects.filter(role=Role.RESELLER, username=name).first()
        if owner is not None:
            return Level(server, owner=owner)
    if whose == "list" and person.is_root:
        feature_list = FeatureList.objects.filter(name=name).first()
        if feature_list is not None:
            return Level(server, feature_list=feature_list)
    raise UserProblem("whose", _("Choose for whom the pattern holds."))


def _levels(person: User) -> Sequence[Whose]:
    if not person.is_root:
        return [Whose(MINE, _("All my users")), Whose(USER, _("One user"))]
    resellers = User.objects.filter(role=Role.RESELLER).order_by("username").values_list("username", flat=True)
    lists = FeatureList.objects.order_by("name").values_list("name", flat=True)
    return [
        Whose(SERVER, _("The whole server")),
        *(Whose(f"reseller:{name}", _("Users of the reseller %(name)s") % {"name": name}) for name in resellers),
        *(Whose(f"list:{name}", _("Users with the feature list %(name)s") % {"name": name}) for name in lists),
        Whose(USER, _("One user")),
    ]


def level_words(level: Level) -> str:
    """Whose names a pattern is for."""
    if level.owner is not None:
        return _("users of %(name)s") % {"name": level.owner.username}
    if level.feature_list is not None:
        return _("feature list %(name)s") % {"name": level.feature_list.name}
    if level.user is not None:
        return _("user %(name)s") % {"name": level.user.name}
    return _("the whole server")


def _ask(
    request: access.PanelRequest,
    values: dict[str, str],
    level: Level,
    found: Concerned,
    lost: Losses,
    *,
    typed: str,
    wrong: bool,
) -> HttpResponse:
    there = resolve_url("patterns")
    asked = Question(
        _("Exclude “%(pattern)s”?") % {"pattern": domain_names.to_unicode(found.pattern)},
        [
            Point(_("It holds for:"), f"{level_words(level)}.", "list", ""),
            *_matching(found),
            *_lost(lost),
            Point(_("Names to come that match"), _("are not asked for either."), "clock", ""),
            question.good(
                _("Installed certificates stay"),
                _("until they expire.") if lost.sites else _("until they are renewed."),
            ),
        ],
        _("Exclude them") if found.names else _("Add it all the same"),
        _("Keep them") if found.names else _("Back"),
        # What was typed is in the form again.
        f"{there}?{urlencode(values)}",
        there,
        list(values.items()),
        found.pattern,
        red=found.names > 0,
        typed=typed,
        wrong=wrong,
    )
    return question.ask(request, _tab(request), asked)


def _matching(found: Concerned) -> list[Point]:
    if not found.names:
        return [Point(_("No name matches now."), _("Look whether it is written as you mean it."), "info", "")]
    text = ngettext("%(n)d name is not asked for any more.", "%(n)d names are not asked for any more.", found.names)
    covered = _("Where a certificate covers one today, it is left out at the next renewal.")
    more = found.names - len(found.sample)
    return [Point(text % {"n": found.names}, covered, "off", "is-warn", found.sample, more)]


def _lost(lost: Losses) -> list[Point]:
    """Where nothing is left to ask for, nothing is renewed."""
    if lost.first is None:
        return []
    text = ngettext("%(n)d site loses all its names:", "%(n)d sites lose all their names:", lost.sites)
    rest = ngettext(
        "its certificate lapses, on %(day)s.", "their certificates lapse, the first on %(day)s.", lost.sites
    )
    return [Point(text % {"n": lost.sites}, fill(rest, day=day(lost.first)), "bad", "is-bad")]


@require_http_methods(["GET", "HEAD", "POST"])
@access.operator
def remove(request: access.PanelRequest, pk: int) -> HttpResponse:
    """Ask, with the names that it is of; a post removes it."""
    server = shell.counted_server(request)
    row = get_object_or_404(_mine(request.user, server), pk=pk)
    shown = domain_names.to_unicode(row.pattern)
    if request.method == "POST":
        what = [row.pattern, row.owner_id, row.feature_list_id, row.user_id]
        heart.remove_pattern(row, by=request.user, now=access.now())
        said = _("“%(pattern)s” is removed. Its sites are checked within a minute.") % {"pattern": shown}
        _offer_undo(request, said, what)
        return redirect("patterns")
    level = heart.level_of(row)
    found = heart.concerned(row.pattern, level)
    text = ngettext("%(n)d name matches it now.", "%(n)d names match it now.", found.names) % {"n": found.names}
    more = _("They are asked for again, unless something else excludes them.") if found.names else ""
    asked = Question(
        _("Remove “%(pattern)s”?") % {"pattern": shown},
        [
            Point(_("It holds for:"), f"{level_words(level)}.", "list", ""),
            Point(text, more, "undo", "", found.sample, found.names - len(found.sample)),
        ],
        _("Remove the pattern"),
        _("Keep it"),
        resolve_url("patterns"),
        resolve_url("pattern-remove", pk),
    )
    return question.ask(request, _tab(request), asked)


@require_POST
@access.operator
def put_back(request: access.PanelRequest) -> HttpResponse:
    """Undo what was just added or removed, where nobody did so meanwhile."""
    otherwise = resolve_url("patterns")
    return toasts.put_back(request, lambda known: _undo(request, known["what"]), otherwise=otherwise)


def _undo(request: access.PanelRequest, what: Sequence[Any]) -> str:
    server, now = access.server(request), access.now()
    if len(what) == 1:
        row = _mine(request.user, server).filter(pk=what[0]).first()
        if row is None:
            return _("Nothing changes: somebody has removed it meanwhile.")
        heart.remove_pattern(row, by=request.user, now=now)
        text = _("“%(pattern)s” is removed again. Its sites are checked within a minute.")
        return text % {"pattern": domain_names.to_unicode(row.pattern)}
    pattern, owner, feature_list, user = what
    level = _level_again(request.user, server, owner, feature_list, user)
    if level is None:
        return _("Nothing changes: whom it was for is gone.")
    heart.add_pattern(pattern, level, by=request.user, now=now)
    return _("“%(pattern)s” holds again.") % {"pattern": domain_names.to_unicode(pattern)}


def _level_again(
    person: User, server: Server, owner: int | None, feature_list: int | None, user: int | None
) -> Level | None:
    """The level that a removed pattern was of; None where that, or the person's say in it, is gone."""
    if user is not None:
        found = visible.users(person).filter(server=server, pk=user).first()
        return Level(server, user=found) if found is not None else None
    if owner is not None:
        reseller = User.objects.filter(role=Role.RESELLER, pk=owner).first()
        mine = person.is_root or owner == person.pk
        return Level(server, owner=reseller) if reseller is not None and mine else None
    if not person.is_root:
        return None
    if feature_list is None:
        return Level(server)
    row = FeatureList.objects.filter(pk=feature_list).first()
    return Level(server, feature_list=row) if row is not None else None


@require_safe
@access.operator
def counts(request: access.PanelRequest) -> HttpResponse:
    """How many names each of a page's patterns is of, as cells that take the place of those without a number."""
    wanted = [int(text) for text in request.GET.getlist("shown") if text.isdecimal() and len(text) < 19][:MOST]
    rows = list(_mine(request.user, access.server(request)).filter(pk__in=wanted))
    numbers = pattern_counts.count([(row.pattern, heart.level_of(row)) for row in rows])
    return render(request, "_pattern_counts.html", {"rows": zip(rows, numbers, strict=True)})


def _tab(request: access.PanelRequest) -> str:
    return "options" if request.user.is_root else "users"


def _page(
    request: access.PanelRequest, server: Server, values: dict[str, str], problems: Sequence[UserProblem]
) -> HttpResponse:
    told = {problem.field: " ".join((problem.text, _("Nothing was saved."))) for problem in problems}
    first = next((name for name in FIELDS if name in told), None)
    fields = {name: Field(name, values[name], told.get(name, ""), name == first) for name in FIELDS}
    rows = _mine(request.user, server)
    searched = request.GET.get("q", "").strip()[:253]
    if searched:
        about = Q(pattern__icontains=searched) | Q(user__name__icontains=searched)
        rows = rows.filter(about | Q(owner__username__icontains=searched) | Q(feature_list__name__icontains=searched))
    paging = paginate(request, rows.order_by("pattern", "pk"))
    context = {
        "fields": fields,
        # Whoever comes back from the question goes on where that began.
        "kept": not problems,
        "levels": _levels(request.user),
        "searched": searched,
        "paging": paging,
        "rows": [(row, level_words(heart.level_of(row))) for row in paging.rows],
        "counted": [paging.rows[start : start + MOST] for start in range(0, len(paging.rows), MOST)],
    }
    return shell.page(request, "patterns.html", _tab(request), context)
