"""The Options tab: the settings of this server, saved together or not at all, after a question where that costs."""

from collections.abc import Mapping

from django.db.models import F, Func, IntegerField, QuerySet, Subquery
from django.http import HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl import census, forecasting
from autossl_panel.autossl import options as heart
from autossl_panel.autossl.census import Census
from autossl_panel.autossl.models import NotifyLevel, Options, SecondFactorRule
from autossl_panel.hosting.models import ExclusionPattern, Server
from autossl_panel.people import factors

from . import access, channels, foreign, messages, options_asked, question, requirement, shell
from . import options_meanwhile as meanwhile
from .fields import Field
from .options_asked import Cost
from .options_meanwhile import Told
from .question import Point, Question

KEY_TYPES = (
    ("p256", gettext_lazy("ECDSA P-256 (default)")),
    ("p384", gettext_lazy("ECDSA P-384")),
    ("rsa2048", gettext_lazy("RSA 2048")),
    ("rsa4096", gettext_lazy("RSA 4096")),
)
KEY_WORDS = {"p256": "P-256", "p384": "P-384", "rsa2048": "RSA 2048", "rsa4096": "RSA 4096"}
# Of the question: back to the form, which holds what was typed
AGAIN = "again"
CHECKBOXES = ("replace_foreign", "serve_www", "reissue")
# Of the patterns for the whole server so many are shown; all of them have a page of their own
PATTERNS = 8


def _changes_second_factor(request: access.PanelRequest) -> bool:
    """Whether the form sets anew who has to have a second factor."""
    wanted, shown = request.POST.get("second_factor"), meanwhile.unpack(request.POST.get(meanwhile.SHOWN, ""))
    before = shown.get("second_factor") or heart.texts(heart.current(access.server(request)))["second_factor"]
    return wanted is not None and wanted != before


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_where(_changes_second_factor)
def options(request: access.PanelRequest) -> HttpResponse:
    """The form; a post saves every option, or none and says at each field why, or asks first."""
    server = shell.counted_server(request)
    row = shell.options_of(server)
    counted = census.count(server, access.now())
    values = before = heart.texts(row)
    problems: dict[str, str] = {}
    if request.method == "POST":
        told = meanwhile.tell_apart(_typed(request), meanwhile.unpack(request.POST.get(meanwhile.SHOWN, "")), before)
        values, problems = told.values, _problems(told)
        if AGAIN in request.POST:
            return _page(request, server, row, counted, values, problems)
        if not problems:
            asked = options_asked.cost(server, before, values, counted, access.now())
            if asked.points and request.POST.get("sure") != asked.mark:
                return _ask(request, row, values, asked)
            changed = {name: value for name, value in values.items() if value != before[name]}
            try:
                heart.change(server, changed, by=request.user, was=before)
            except heart.OptionProblem as problem:
                problems = {problem.field: " ".join((problem.text, _("Nothing was saved.")))}
                return _page(request, server, heart.current(server), counted, values, problems)
            requirement.look_again(request)
            messages.ok(request, _("The options are saved."))
            return redirect("options")
    return _page(request, server, row, counted, values, problems)


def _typed(request: access.PanelRequest) -> dict[str, str]:
    values = {name: request.POST.get(name, "") for name in heart.READERS}
    values |= {name: "yes" if request.POST.get(name) else "no" for name in CHECKBOXES}
    # What was confirmed is the re-issue with the key type whose number stood beside the box.
    if request.POST.get("reissue_seen") != values["key_type"]:
        values["reissue"] = "no"
    return values


def _problems(told: Told) -> dict[str, str]:
    """What is wrong, field by field, and what somebody else has changed meanwhile."""
    found = {}
    for name, value in told.values.items():
        said = [told.problems[name]] if name in told.problems else []
        try:
            heart.READERS[name](name, value)
        except heart.OptionProblem as problem:
            said.insert(0, problem.text)
        if said:
            found[name] = " ".join((*said, _("Nothing was saved.")))
    return found


def _ask(request: access.PanelRequest, row: Options, values: Mapping[str, str], asked: Cost) -> HttpResponse:
    """The question, with all that was typed beside what holds now."""
    hidden = [(name, value) for name, value in values.items() if name not in CHECKBOXES]
    hidden += [
        (name, "on") for name in CHECKBOXES if values[name] == "yes" and not (asked.choice and name == "reissue")
    ]
    hidden += [("reissue_seen", values["key_type"]), (meanwhile.SHOWN, meanwhile.pack(heart.texts(row)))]
    points: list[Point] = list(asked.points.values())
    red = any(name.partition(":")[0] != "key_type" for name in asked.points)
    whole = Question(
        _("Save these options?"),
        points,
        _("Save"),
        _("Keep what was set"),
        resolve_url("options"),
        resolve_url("options"),
        hidden,
        asked.mark,
        red,
        asked.choice,
        again=(AGAIN, _("Back to the form")),
    )
    return question.ask(request, "options", whole)


def _page(
    request: access.PanelRequest,
    server: Server,
    row: Options,
    counted: Census,
    values: Mapping[str, str],
    problems: Mapping[str, str],
) -> HttpResponse:
    first = next(iter(problems), None)
    fields = {name: Field(name, value, problems.get(name, ""), name == first) for name, value in values.items()}
    patterns = list(_patterns(server))
    total = getattr(patterns[0], "total", 0) if patterns else ExclusionPattern.objects.filter(server=server).count()
    others = 0 if "key_type" in problems else counted.others(values["key_type"])
    under_way = row.reissue and row.key_type == values["key_type"]
    lacking, lacks_mine = factors.lacking(request.user)
    context = {
        "fields": fields,
        "reissue_until": forecasting.reissue(server, values["key_type"], access.now()).until if under_way else None,
        "under_way": under_way,
        "key_types": KEY_TYPES,
        "levels": NotifyLevel.choices,
        "card": channels.card(server, row),
        "foreign": foreign.count(server, access.now()),
        "installed_keys": ", ".join(f"{n} {KEY_WORDS.get(name, name)}" for name, n in counted.keys.items()),
        "others": others,
        "patterns": patterns,
        "more_patterns": total - len(patterns),
        "second_factor_rules": SecondFactorRule.choices,
        "lacking": lacking,
        "lacks_mine": lacks_mine,
        "problem": bool(problems),
        "shown": meanwhile.pack(heart.texts(row)),
    }
    return shell.page(request, "options.html", "options", context)


def _patterns(server: Server) -> QuerySet[ExclusionPattern]:
    """The first patterns for the whole server, each with how many there are of every level."""
    every = ExclusionPattern.objects.filter(server=server)
    total = every.order_by().annotate(n=Func(F("pk"), function="COUNT", output_field=IntegerField())).values("n")
    servers_own = every.filter(owner__isnull=True, feature_list__isnull=True, user__isnull=True)
    return servers_own.annotate(total=Subquery(total)).order_by("pattern")[:PATTERNS]
