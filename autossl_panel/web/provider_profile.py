"""Which certificates a provider makes for this server: the profile that orders ask for, and when they are renewed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, resolve_url
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods

from autossl_panel.autossl import census, profiles, renewing
from autossl_panel.autossl.census import Census
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.providers import ProviderProblem

from . import access, messages, question, shell
from .comparing import lifetime
from .fields import Field
from .question import Point, Question


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as the form shows it: "" is what the CA gives by itself. None is what only the CA knows."""

    name: str
    label: str
    about: str
    names: int | None
    lives: str
    over: int
    chosen: bool


@require_http_methods(["GET", "HEAD", "POST"])
@access.root
@access.fresh_to_post
def profile(request: access.PanelRequest, pk: int) -> HttpResponse:
    """The form; a post saves profile and renewal, after a question where sites would lose names."""
    provider = get_object_or_404(Provider.objects.defer("ca_bundle"), pk=pk)
    counted = census.count(access.server(request), access.now())
    if request.method != "POST":
        left = renewing.percent(provider)
        return _page(request, provider, counted, profiles.profile_in_use(provider), str(left or ""), None)
    wanted, percent = request.POST.get("profile", ""), request.POST.get("renew", "").strip()
    limit = profiles.names_of_profile(provider, wanted)
    over = counted.over(limit) if limit is not None and limit < provider.max_names else 0
    try:
        if over and request.POST.get("sure") != wanted and wanted in ("", *provider.profiles):
            return _ask(request, provider, wanted, percent, limit or 0, over)
        with transaction.atomic():
            renewing.set_percent(provider, percent, by=request.user, now=access.now())
            if wanted != provider.profile:
                profiles.set_profile(provider, wanted, by=request.user)
    except ProviderProblem as problem:
        return _page(request, provider, counted, wanted, percent, problem)
    messages.ok(request, _("Saved. It holds from the next order on; installed certificates stay."))
    return redirect("provider-profile", pk)


def _ask(
    request: access.PanelRequest, provider: Provider, wanted: str, percent: str, limit: int, over: int
) -> HttpResponse:
    asked = Question(
        _("Order certificates of the profile “%(name)s”?") % {"name": wanted}
        if wanted
        else _("Leave the profile to the CA?"),
        [
            lose_names(over, limit),
            question.good(_("Until then"), _("installed certificates stay as they are.")),
        ],
        _("Use the profile"),
        _("Keep the profile"),
        resolve_url("provider-profile", provider.pk),
        resolve_url("provider-profile", provider.pk),
        (("profile", wanted), ("renew", percent)),
        wanted,
    )
    return question.ask(request, "providers", asked)


def lose_names(over: int, limit: int) -> Point:
    """“168 sites lose names at their next renewal.”"""
    return Point(
        ngettext("%(n)d site loses names", "%(n)d sites lose names", over) % {"n": over},
        ngettext(
            "at its next renewal: it is secured for more than %(limit)d.",
            "at their next renewal: they are secured for more than %(limit)d.",
            over,
        )
        % {"limit": limit},
    )


def _page(
    request: access.PanelRequest,
    provider: Provider,
    counted: Census,
    chosen: str,
    percent: str,
    problem: ProviderProblem | None,
) -> HttpResponse:
    renews = problem is not None and problem.field == "renew"
    text = " ".join((problem.text, _("Nothing was saved."))) if problem is not None else ""
    expected = profiles.expected_lifetime(provider)
    context = {
        "provider": provider,
        "profiles": _profiles(provider, counted, chosen),
        "field": Field("renew", percent, text if renews else "", renews),
        "problem": "" if renews else text,
        "least": renewing.LEAST,
        "most": renewing.MOST,
        "usual": 50 if expected is not None and expected < timedelta(days=10) else 33,
        "lives": lifetime(expected.total_seconds()) if expected is not None else "",
    }
    return shell.page(request, "provider_profile.html", "providers", context)


def _profiles(provider: Provider, counted: Census, chosen: str) -> Sequence[Profile]:
    """What the CA gives by itself, then each profile of its directory's own list."""
    offered = [
        ("", _("What the CA gives by itself"), ""),
        *((name, name, about) for name, about in provider.profiles.items()),
    ]
    found = []
    for name, label, about in offered:
        limit = profiles.names_of_profile(provider, name)
        seconds = _seconds(provider, name)
        over = counted.over(limit) if limit is not None else 0
        found.append(Profile(name, label, about, limit, lifetime(seconds) if seconds else "", over, name == chosen))
    return found


def _seconds(provider: Provider, name: str) -> int | None:
    stated = provider.stated
    known = stated.get("profiles", {}).get(name, {}) if name else stated.get("usual", {})
    seconds: int | None = known.get("seconds")
    return seconds
