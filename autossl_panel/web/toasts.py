"""The toast: what was done, with Undo for a minute. There is one at a time, on the page where that was done; the next
thing that is done takes its place. What an undo needs stands in the session, and never in the page.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from . import access, messages, places

UNDO_FOR = timedelta(seconds=60)
# Of many rows that are as before, the first of these that the page shows gets the focus
FOCUSED = 50
KEY = messages.TOAST


def offer(
    request: access.PanelRequest, text: str, undo: Mapping[str, object], *, page: str, focus: Iterable[str] = ()
) -> dict[str, object]:
    """Offer to undo what was just done, on `page`; `undo` has the `url` that does it, and what it needs for that.

    `focus`: ids of elements of the page where it was done, the first of which has the focus after an undo.
    """
    return _keep(request, text, undo, page, focus)


def say(request: access.PanelRequest, text: str, *, page: str, focus: Iterable[str] = ()) -> None:
    """Say once, on `page`, that something was undone."""
    _keep(request, text, None, page, focus)


def _keep(
    request: access.PanelRequest, text: str, undo: Mapping[str, object] | None, page: str, focus: Iterable[str]
) -> dict[str, object]:
    toast: dict[str, object] = {
        "id": secrets.token_urlsafe(9),
        "text": text,
        # What is markup in it was made by us
        "marked": isinstance(text, SafeString),
        "until": (access.now() + UNDO_FOR).timestamp(),
        "undo": undo,
        "page": places.path_of(page),
        "focus": list(focus)[:FOCUSED],
    }
    request.session[KEY] = toast
    return toast


def of(request: access.PanelRequest, moment: datetime) -> Mapping[str, object] | None:
    """What is said at the foot of this page, as long as it is offered to undo; what is not, is said once."""
    toast = _kept(request)
    if toast is None:
        return None
    over = toast["until"] < moment.timestamp()
    shown = not over and toast["page"] == request.path
    if over or (shown and not toast["undo"]):
        del request.session[KEY]
    return toast if shown else None


def _kept(request: access.PanelRequest) -> Mapping[str, Any] | None:
    toast = request.session.get(KEY)
    # What a release before this one kept has no id, and is over by now.
    if toast is None or "id" not in toast:
        return None
    return {**toast, "text": SafeString(toast["text"])} if toast.get("marked") else toast


Undo = Callable[[Mapping[str, Any]], str]


def put_back(request: access.PanelRequest, undo: Undo, *, otherwise: str) -> HttpResponse:
    """Undo the change whose toast was clicked, and no other: `undo` does it and says what came of it.

    Goes back to the page that the toast was on, or to `otherwise`.
    """
    page = places.back(request, otherwise)
    toast = _kept(request)
    if toast is None or not toast["undo"] or toast["until"] < access.now().timestamp():
        request.session.pop(KEY, None)
        messages.bad(request, _("Undo was offered for a minute, which is over. Nothing was changed."))
    elif toast["id"] != request.POST.get("change") or toast["undo"]["url"] != request.path:
        # Another tab did something since: that has a toast of its own, and stays.
        messages.bad(request, _("This was not undone: something else was changed since. Nothing was changed now."))
    else:
        del request.session[KEY]
        say(request, undo(toast["undo"]), page=page, focus=toast["focus"])
    return redirect(page)


def as_before(said: str, done: int, of: int) -> str:
    """What came of an undo: `said` is of the `done`; what somebody has changed since stays, and is told."""
    if not done:
        return _("Nothing was undone: it has been changed since.")
    if done == of:
        return said
    stays = ngettext("%(n)d was changed since and stays.", "%(n)d were changed since and stay.", of - done)
    return f"{said} {stays % {'n': of - done}}"


@require_POST
@access.person
def close(request: access.PanelRequest) -> HttpResponse:
    """Take the toast away; what was done stays done."""
    toast = _kept(request)
    if toast is not None and toast["id"] == request.POST.get("change"):
        del request.session[KEY]
    if request.htmx:
        return HttpResponse()
    return redirect(places.back(request, resolve_url("home")))
