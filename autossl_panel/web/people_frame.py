"""What stands around the pages of People, and their undo: one for persons, hosting users and feature lists."""

from collections.abc import Callable, Mapping
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from autossl_panel.autossl import choices
from autossl_panel.autossl.models import Provider
from autossl_panel.autossl.providers import ProviderProblem
from autossl_panel.hosting import feature_lists, ownership
from autossl_panel.hosting.models import FeatureList, HostingUser
from autossl_panel.people import persons
from autossl_panel.people.models import User
from autossl_panel.people.persons import PersonProblem

from . import access, messages, shell, undo

PERSONS, USERS, LISTS, TOKENS, TRAIL = "people", "people-users", "feature-lists", "people-tokens", "audit"


def page(
    request: access.PanelRequest,
    template: str,
    tab: str,
    context: Mapping[str, object] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render a page of People with its tabs and the toast."""
    around = {"section": "people", "tab": tab, "toast": shell.toast_of(request, access.now())}
    return shell.plain(request, template, {**(context or {}), **around}, status=status)


def offer_undo(request: access.PanelRequest, text: str, kind: str, what: object) -> None:
    """Say what was done, and offer to undo it for a minute; `kind` and `what` are for `put_back`."""
    shell.offer_undo(request, text, {"url": reverse("people-undo"), "kind": kind, "what": what})


@require_POST
@access.root
def put_back(request: access.PanelRequest) -> HttpResponse:
    """Undo the last change of these pages, where nobody has changed it since."""
    toast = request.session.pop("toast", None)
    known = toast["undo"] if toast and toast["until"] >= access.now().timestamp() else None
    if not known or known.get("url") != request.path:
        messages.bad(request, _("Undo was offered for a minute, which is over. Nothing was changed."))
        return redirect(_back(request))
    try:
        said = UNDO[known["kind"]](request, known["what"])
    except PersonProblem as problem:
        messages.bad(request, problem.text)
    else:
        shell.offer_undo(request, said, None)
    return redirect(_back(request))


def _owners(request: access.PanelRequest, what: undo.Packed) -> str:
    done = ownership.undo_give(HostingUser.objects.all(), undo.unpack(what), by=request.user)
    return _as_before(done)


def _lists(request: access.PanelRequest, what: undo.Packed) -> str:
    everybody = HostingUser.objects.all()
    done = feature_lists.undo_move(everybody, undo.unpack(what), by=request.user, now=access.now())
    return _as_before(done)


def _as_before(n: int) -> str:
    return ngettext("%(n)d hosting user is set as before.", "%(n)d hosting users are set as before.", n) % {"n": n}


def _active(request: access.PanelRequest, what: tuple[int, bool]) -> str:
    pk, active = what
    person = User.objects.filter(pk=pk).first()
    if person is None or not persons.set_active(person, active, by=request.user):
        return _("Nothing changes: it is so already.")
    return _("“%(name)s” is as before.") % {"name": person.username}


def _list_says(request: access.PanelRequest, what: tuple[int, bool]) -> str:
    pk, autossl = what
    row = FeatureList.objects.filter(pk=pk).first()
    if row is None or not feature_lists.set_autossl(row, autossl, by=request.user, now=access.now()):
        return _("Nothing changes: it is so already.")
    return _("“%(name)s” is as before.") % {"name": row.name}


def _provider(request: access.PanelRequest, what: tuple[str, int, int | None, int | None]) -> str:
    kind, pk, before, after = what
    provider = Provider.objects.filter(pk=before).first() if before is not None else None
    user = HostingUser.objects.filter(pk=pk).first() if kind == "user" else None
    row = FeatureList.objects.filter(pk=pk).first() if kind == "list" else None
    one = user or row
    gone = one is None or (before is not None and provider is None)
    chosen = choices.own(one) if one is not None else None
    if gone or (chosen.pk if chosen is not None else None) != after:
        return _("Nothing changes: somebody has changed it meanwhile.")
    try:
        if user is not None:
            choices.choose_for_user(user, provider, by=request.user, now=access.now())
        elif row is not None:
            choices.choose_for_feature_list(row, provider, by=request.user, now=access.now())
    except ProviderProblem as problem:
        return problem.text
    return _("“%(name)s” is as before.") % {"name": one}


UNDO: Mapping[str, Callable[[access.PanelRequest, Any], str]] = {
    "owners": _owners,
    "lists": _lists,
    "active": _active,
    "list-says": _list_says,
    "provider": _provider,
}


def _back(request: access.PanelRequest) -> str:
    """The page that the form was on."""
    url = request.POST.get("next", "")
    return url if url_has_allowed_host_and_scheme(url, None) else reverse("people")
