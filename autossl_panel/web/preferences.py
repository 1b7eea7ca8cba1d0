"""How a person wants the panel: language, time zone, single keys. The menu posts one of them, the page all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from autossl_panel.people import persons, zones
from autossl_panel.people.models import User
from autossl_panel.people.persons import PersonProblem

from . import access, messages, places, requirement, shell
from .middleware import ZONE_COOKIE

CONTINENTS = {
    "Africa": gettext_lazy("Africa"),
    "America": gettext_lazy("America"),
    "Antarctica": gettext_lazy("Antarctica"),
    "Arctic": gettext_lazy("Arctic"),
    "Asia": gettext_lazy("Asia"),
    "Atlantic": gettext_lazy("Atlantic"),
    "Australia": gettext_lazy("Australia"),
    "Europe": gettext_lazy("Europe"),
    "Indian": gettext_lazy("Indian Ocean"),
    "Pacific": gettext_lazy("Pacific"),
}


@dataclass(frozen=True, slots=True)
class Continent:
    """A group of the list of zones: (IANA name, place) in the order of their names."""

    name: str
    places: tuple[tuple[str, str], ...]


SETTERS: Mapping[str, Callable[[User, str], None]] = {
    "language": persons.set_language,
    "zone": persons.set_zone,
    "shortcuts": lambda person, text: persons.set_shortcuts(person, text == "on"),
}


@require_http_methods(["GET", "HEAD", "POST"])
@access.person
@requirement.may_be_open
def preferences(request: access.PanelRequest) -> HttpResponse:
    """The form; a post sets what it names and goes back to where it came from."""
    person = request.user
    values = {"language": person.language, "zone": person.zone, "shortcuts": "on" if person.shortcuts else "off"}
    problem: PersonProblem | None = None
    if request.method == "POST":
        posted = {name: request.POST[name] for name in SETTERS if name in request.POST}
        try:
            for name, text in posted.items():
                SETTERS[name](person, text)
        except PersonProblem as found:
            problem = found
            values |= posted
        else:
            return _saved(request)
    told = request.COOKIES.get(ZONE_COOKIE, "")
    context = {
        "values": values,
        "problem": problem,
        "languages": settings.LANGUAGES,
        "continents": _continents(),
        "browser_zone": told if zones.find(told) else "",
    }
    return shell.plain(request, "preferences.html", context)


def _saved(request: access.PanelRequest) -> HttpResponse:
    following = request.POST.get("next", "")
    if places.is_local(following):
        return redirect(following)
    messages.ok(request, _("Your preferences are saved."))
    return redirect("preferences")


def _continents() -> list[Continent]:
    groups: dict[str, list[tuple[str, str]]] = {}
    for name in zones.known():
        continent, slash, place = name.partition("/")
        if slash:
            groups.setdefault(continent, []).append((name, place.replace("_", " ").replace("/", ", ")))
    return [Continent(str(CONTINENTS.get(name, name)), tuple(places)) for name, places in groups.items()]
