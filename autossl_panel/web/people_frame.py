"""What stands around the pages of People, and their undo: one for persons, hosting users and feature lists."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
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

from . import access, shell, toasts, undo

PERSONS, USERS, LISTS, TOKENS, TRAIL = "people", "people-users", "feature-lists", "people-tokens", "audit"


def page(
    request: access.PanelRequest,
    template: str,
    tab: str,
    context: Mapping[str, object] | None = None,
    status: int = 200,
) -> HttpResponse:
    """Render a page of People with its tabs and the toast."""
    around = {"section": "people", "tab": tab, "toast": toasts.of(request, access.now())}
    return shell.plain(request, template, {**(context or {}), **around}, status=status)


def offer_undo(
    request: access.PanelRequest, text: str, kind: str, what: object, *, page: str, focus: Iterable[str] = ()
) -> None:
    """Say on `page` what was done, and offer to undo it for a minute; `kind` and `what` are for `put_back`."""
    undoing = {"url": reverse("people-undo"), "kind": kind, "what": what}
    toasts.offer(request, text, undoing, page=page, focus=focus)


@require_POST
@access.root
def put_back(request: access.PanelRequest) -> HttpResponse:
    """Undo the last change of these pages, where nobody has changed it since."""

    def undo_it(known: Mapping[str, Any]) -> str:
        try:
            return UNDO[known["kind"]](request, known["what"])
        except PersonProblem as problem:
            return problem.text

    return toasts.put_back(request, undo_it, otherwise=reverse("people"))


def _owners(request: access.PanelRequest, what: undo.Packed) -> str:
    changes = undo.unpack(what)
    return _as_before(ownership.undo_give(HostingUser.objects.all(), changes, by=request.user), len(changes))


def _lists(request: access.PanelRequest, what: undo.Packed) -> str:
    everybody, changes = HostingUser.objects.all(), undo.unpack(what)
    return _as_before(feature_lists.undo_move(everybody, changes, by=request.user, now=access.now()), len(changes))


def _as_before(n: int, of: int) -> str:
    said = ngettext("%(n)d hosting user is set as before.", "%(n)d hosting users are set as before.", n) % {"n": n}
    return toasts.as_before(said, n, of)


def _active(request: access.PanelRequest, what: tuple[int, bool]) -> str:
    pk, active = what
    person = User.objects.filter(pk=pk).first()
    if person is None or not persons.set_active(person, active, by=request.user):
        return toasts.as_before("", 0, 1)
    return _("“%(name)s” is as before.") % {"name": person.username}


def _list_says(request: access.PanelRequest, what: tuple[int, bool]) -> str:
    pk, autossl = what
    row = FeatureList.objects.filter(pk=pk).first()
    if row is None or not feature_lists.set_autossl(row, autossl, by=request.user, now=access.now()):
        return toasts.as_before("", 0, 1)
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
