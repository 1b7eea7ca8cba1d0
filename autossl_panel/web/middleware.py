"""What every request passes: where it comes from, headers of every page, refusals in words, the viewer's language and
time zone, what a poll gets once its session is over."""

from collections.abc import Callable
from typing import cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.cache import add_never_cache_headers
from django_htmx.middleware import HtmxDetails

from autossl_panel.people import address, audit, sessions, zones
from autossl_panel.people.models import User
from autossl_panel.people.session_store import SessionStore, Visit

from .access import now

# The browser's zone, told once by static/zone.js
ZONE_COOKIE = "autossl_zone"

# The id of what a page puts in place as a whole, after an undo
WHOLE = "main"

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


class InWords:
    """Gives a refusal that has no body a page in words; to htmx, whose page has words of its own, it says nothing."""

    PAGES = {400: "400.html", 403: "403.html", 405: "405.html", 413: "413.html"}

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        page = self.PAGES.get(response.status_code)
        if page and not response.streaming and not response.content and "HX-Request" not in request.headers:
            response.content = render_to_string(page, request=request).encode()
        return response


class SignInAgain:
    """Says 401 where a fragment was asked for without a session: a sign-in form has no place inside a page.

    The page tells it in words and keeps what it shows; `X-Sign-In` is where to sign in.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.sign_in = resolve_url(settings.LOGIN_URL)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        asked_by_htmx = request.headers.get("HX-Request") == "true"
        if asked_by_htmx and response.status_code == 302 and response["Location"].startswith(self.sign_in):
            return HttpResponse(status=401, headers={"X-Sign-In": self.sign_in})
        return response


class Asked(HtmxDetails):
    """How htmx asks; true where it wants a fragment. For all of the main part it gets the page as a browser does."""

    def __bool__(self) -> bool:
        return super().__bool__() and self.target != WHOLE


class Htmx:
    """Tells the views how htmx asks, as `request.htmx`."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.htmx = Asked(request)  # type: ignore[attr-defined]
        return self.get_response(request)


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


class Viewer:
    """Every page in the viewer's language and zone: the person's own choice, else the browser's, else English and UTC.

    Both stay active for what is streamed after this has returned; the next request of the thread sets its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        person = request.user if isinstance(request.user, User) else None
        if person is not None and person.language in dict(settings.LANGUAGES):
            translation.activate(person.language)
            request.LANGUAGE_CODE = person.language
        own = person.zone if person is not None else ""
        zone = zones.find(own) or zones.find(request.COOKIES.get(ZONE_COOKIE, ""))
        if zone is None:
            timezone.deactivate()
        else:
            timezone.activate(zone)
        return self.get_response(request)
