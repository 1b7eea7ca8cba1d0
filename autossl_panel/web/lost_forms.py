"""A form that was sent after the session had ended: nothing is done, and what was typed comes back to its person.

It waits, sealed, in the session of the sign-in page, and is put into its form again when the same person has signed in;
they look through it and save it themselves. Somebody else never sees it. Passwords and keys are not kept.
"""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils.html import escape
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from autossl_panel.people.models import User
from autossl_panel.people.seal import SealBroken, seal, unseal

from . import messages, refill

# Whose browser it is, sealed: a session that has ended no longer says that
WHOSE = "autossl_whose"
KEPT = "lost_form"
PATIENCE = timedelta(minutes=30)
LARGEST = 64_000
SECRET = re.compile(r"password|^again$|^code$|credential|secret|hmac|token")


class LostForms:
    """Keeps what a stranger's form held that a person had typed, and gives it back."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not isinstance(request.user, User):
            response = self.get_response(request)
            return _keep(request) if _is_lost(request, response) else response
        kept = _given_back(request, request.user)
        if kept is not None:
            messages.bad(request, _in_its_form())
        response = self.get_response(request)
        if kept is not None:
            _fill(request, response, kept)
        _remember(request, response)
        return response


def _is_lost(request: HttpRequest, response: HttpResponse) -> bool:
    """Whether a form was led to the sign-in page instead of being done."""
    if request.method != "POST" or request.headers.get("HX-Request") == "true" or response.status_code != 302:
        return False
    return response["Location"].startswith(f"{resolve_url(settings.LOGIN_URL)}?next=")


def _keep(request: HttpRequest) -> HttpResponse:
    """To the sign-in page, which says that nothing was done; from there back to where the form was sent from."""
    page = _page(request)
    fields = {name: values for name, values in request.POST.lists() if not SECRET.search(name)}
    text = json.dumps({"person": _whose(request), "page": page, "path": request.path, "post": fields})
    if _whose(request) is not None and len(text) <= LARGEST:
        request.session[KEPT] = seal(text, KEPT)
        messages.bad(
            request,
            _("Your session had ended, so nothing was saved. Sign in, and what you had filled in is there again."),
        )
    else:
        messages.bad(request, _("Your session had ended, so nothing was saved. Sign in and do it again."))
    return redirect(f"{resolve_url(settings.LOGIN_URL)}?{urlencode({'next': page})}")


def _page(request: HttpRequest) -> str:
    """Where the form stood."""
    sent_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(sent_from, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(sent_from)
        return parts.path + (f"?{parts.query}" if parts.query else "")
    return request.get_full_path()


def _given_back(request: HttpRequest, person: User) -> dict[str, Any] | None:
    """What was kept for this person and this page; what was kept for somebody else is forgotten."""
    token = request.session.get(KEPT)
    if token is None:
        return None
    try:
        kept: dict[str, Any] = json.loads(unseal(token, KEPT, PATIENCE))
    except SealBroken:
        kept = {}
    if kept.get("person") != person.pk:
        del request.session[KEPT]
        return None
    if request.method != "GET" or request.get_full_path() != kept["page"]:
        return None
    del request.session[KEPT]
    return kept


def _fill(request: HttpRequest, response: HttpResponse, kept: dict[str, Any]) -> None:
    if response.status_code != 200 or response.streaming or not response["Content-Type"].startswith("text/html"):
        return
    html, filled = refill.fill(response.content.decode(), request.path, kept["path"], kept["post"])
    if not filled:
        # Its form is not on this page, or had nothing to be filled in
        again = _("Your session had ended, so nothing was done. Do it once more.")
        html = html.replace(escape(_in_its_form()), escape(again))
    response.content = html.encode()


def _in_its_form() -> str:
    return _("Your session had ended, and nothing was saved yet. What you had filled in is here again: save it now.")


def _whose(request: HttpRequest) -> int | None:
    try:
        return int(unseal(request.COOKIES.get(WHOSE, ""), WHOSE))
    except SealBroken:
        return None


def _remember(request: HttpRequest, response: HttpResponse) -> None:
    """Note with a page whose browser it is; who signs out is forgotten."""
    person = request.user
    if not isinstance(person, User):
        response.delete_cookie(WHOSE)
    elif response.get("Content-Type", "").startswith("text/html") and _whose(request) != person.pk:
        response.set_cookie(
            WHOSE,
            seal(str(person.pk), WHOSE),
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
