"""What every request passes: where it comes from, headers of every page, what a poll gets once its session is over."""

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.utils.cache import add_never_cache_headers

from autossl_panel.people import address, audit, sessions
from autossl_panel.people.session_store import SessionStore, Visit

from .access import now

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class ContentSecurityPolicy:
    """Nothing inline, nothing from elsewhere; and no page is kept by a cache."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", POLICY)
        if "Cache-Control" not in response.headers:
            add_never_cache_headers(response)
        return response


class SignInAgain:
    """Sends the whole page to sign in where a fragment was asked for: a sign-in form has no place inside a page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.sign_in = resolve_url(settings.LOGIN_URL)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        asked_by_htmx = request.headers.get("HX-Request") == "true"
        if asked_by_htmx and response.status_code == 302 and response["Location"].startswith(self.sign_in):
            return HttpResponse(status=204, headers={"HX-Redirect": self.sign_in})
        return response


class ComingFrom:
    """Says to the audit trail and to the session where a request comes from; stands right after the session's own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        here = Visit(address.of(request), request.headers.get("User-Agent", "")[:200])
        session = cast(SessionStore, request.session)
        session.visit = here
        with audit.coming_from("panel", here.address):
            response = self.get_response(request)
        if session.row is not None and session.row.person_id is not None:
            sessions.seen(session.row, here.address, here.browser, now())
        return response
