"""Who is signed in, from where: own sessions, for root everybody's; ending one works at once."""

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from autossl_panel.people import sessions as heart
from autossl_panel.people.models import Session

from . import access, browsers, messages, shell
from .paging import paginate


@dataclass(frozen=True, slots=True)
class Row:
    """A session as the list shows it."""

    session: Session
    browser: str
    this: bool


@require_safe
@access.person
def sessions(request: access.PanelRequest) -> HttpResponse:
    """The list; the one that looks at it is marked."""
    everybody = request.user.is_root and request.GET.get("whose") == "everybody"
    found = heart.visible if everybody else heart.of
    paging = paginate(request, found(request.user, access.now()))
    rows = [
        Row(session, browsers.name(session.browser), session.pk == request.session.session_key)
        for session in paging.rows
    ]
    context = {"rows": rows, "paging": paging, "everybody": everybody, "others": paging.total > 1}
    return shell.plain(request, "sessions.html", context)


@require_POST
@access.person
def end(request: access.PanelRequest, ident: UUID) -> HttpResponse:
    """End one; ending the own one is signing out."""
    session = get_object_or_404(heart.visible(request.user, access.now()), ident=ident)
    if session.pk == request.session.session_key:
        messages.info(request, _("This is the session you are using. Sign out to end it."))
    else:
        heart.end(session, by=request.user)
        messages.ok(request, _("The session has ended."))
    return _back(request)


@require_POST
@access.person
def end_others(request: access.PanelRequest) -> HttpResponse:
    """End every own session but this one."""
    n = heart.end_all(request.user, by=request.user, but=request.session.session_key)
    messages.ok(request, ngettext("%(n)d session has ended.", "%(n)d sessions have ended.", n) % {"n": n})
    return redirect("sessions")


def _back(request: access.PanelRequest) -> HttpResponse:
    url = redirect("sessions")
    if request.POST.get("whose") == "everybody":
        url["Location"] += "?whose=everybody"
    return url
