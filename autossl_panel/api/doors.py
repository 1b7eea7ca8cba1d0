"""The views: a call is signed in, read, done, and answered as JSON, whatever comes of it.

No session, no cookie, no redirect: what a call may do hangs on its token alone, so that no other site's page can make
a browser call anything here.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import BadRequest, DisallowedHost, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone, translation
from django.views.decorators.csrf import csrf_exempt

from autossl_panel.hosting import servers
from autossl_panel.hosting.models import Server
from autossl_panel.people import address, audit, token_sign_in
from autossl_panel.people.models import ApiToken, User
from autossl_panel.people.token_sign_in import TokenRefused

from . import houses, parameters
from .description import described
from .functions import Call, Data, Function, Streamed
from .houses import House
from .parameters import Value
from .refusals import Refusal

log = logging.getLogger(__name__)
METHODS = ("GET", "POST")
FORM = "application/x-www-form-urlencoded"
VERSION = "api.version"


@csrf_exempt
@login_not_required
def whm(request: HttpRequest, function: str) -> HttpResponseBase:
    """A function for root and resellers, as WHM's API 1 has them."""
    return _answered(request, houses.WHM, function)


@csrf_exempt
@login_not_required
def uapi(request: HttpRequest, function: str) -> HttpResponseBase:
    """A function for hosting users' logins, as cPanel's UAPI has them."""
    return _answered(request, houses.UAPI, function)


@csrf_exempt
@login_not_required
def description(request: HttpRequest) -> HttpResponse:
    """All functions in OpenAPI 3.1, for who has a token or is signed in to the panel."""
    try:
        if request.method not in ("GET", "HEAD"):
            raise Refusal(405, "GET is right here.", {"Allow": "GET, HEAD"})
        # Behind `middleware.Calls` there is no `user`: then it has a token, or it is nobody's.
        if not isinstance(getattr(request, "user", None), User):
            _any_token(request)
    except Refusal as refusal:
        return _json(_text({"reason": refusal.reason}), refusal.status, refusal.headers)
    return _json(json.dumps(described(), ensure_ascii=False, indent=1))


def _answered(request: HttpRequest, house: House, name: str) -> HttpResponseBase:
    """Do it; whatever goes wrong is told in the form of the house. Times and words are the same for everybody."""
    with translation.override("en"), timezone.override(UTC), audit.coming_from("api", address.of(request)):
        try:
            data = _done(request, house, name)
        except Refusal as refusal:
            return _refused(house, name, refusal)
        except Exception:
            # Here, not in Django's own handler: its page is HTML, and its mail would describe the request.
            log.exception("%r failed", parameters.shown(name))
            return _refused(house, name, Refusal(500, "Something is wrong in the panel itself; its log says what."))
    around = _text(house.wrap(name, ""))
    if isinstance(data, Streamed):
        return _streamed(around, data)
    return _json(f'{around[:-1]}, "data": {_text(data)}}}')


def _done(request: HttpRequest, house: House, name: str) -> Data:
    if request.method not in METHODS:
        raise Refusal(405, "GET or POST is right here.", {"Allow": ", ".join(METHODS)})
    _check_host(request)
    now = datetime.now(UTC)
    token = _token(request, house.scheme, house.example, now)
    function = _function(house, name, token)
    values = _values(request, house, function)
    server = servers.this(Server.objects.select_related("options__paused_by"))
    return function.work(Call(token.person, server, now, values))


# --- who it is, and what it may ---------------------------------------------------------------------------------------


def _check_host(request: HttpRequest) -> None:
    try:
        request.get_host()
    except DisallowedHost as error:
        raise Refusal(400, "The panel is not at this host's name; AUTOSSL_URL says where it is.") from error


def _token(request: HttpRequest, scheme: str, example: str, now: datetime) -> ApiToken:
    try:
        return token_sign_in.check(request, scheme, now)
    except TokenRefused as refused:
        if refused.code == "wait":
            wait = str(token_sign_in.PAUSE)
            raise Refusal(429, "Too many wrong tokens from this address.", {"Retry-After": wait}) from refused
        reason = "This token does not open anything." if refused.code == "wrong" else f"Send the header “{example}”."
        raise Refusal(401, reason, {"WWW-Authenticate": scheme}) from refused


def _any_token(request: HttpRequest) -> None:
    """Raise Refusal unless the header has a token, of whichever form."""
    said = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")[0].lower()
    house = next((house for house in houses.HOUSES if house.scheme == said), houses.WHM)
    with audit.coming_from("api", address.of(request)):
        _token(request, house.scheme, house.example, datetime.now(UTC))


def _function(house: House, name: str, token: ApiToken) -> Function:
    """The function of this name, where the token's person may call it."""
    person = token.person
    if person.role not in house.roles:
        raise Refusal(403, f"Functions under {house.path} are for {house.whose}.")
    found = house.functions.get(name)
    if found is None:
        raise Refusal(404, f"There is no function “{parameters.shown(name)}” here.")
    if person.role not in found.roles:
        raise Refusal(403, f"{found.name} is not for a {person.role}.")
    if found.changes and token.read_only:
        raise Refusal(403, f"{found.name} changes something, and this token only reads.")
    return found


# --- what it says -----------------------------------------------------------------------------------------------------


def _values(request: HttpRequest, house: House, function: Function) -> Mapping[str, Value]:
    sent = _sent(request)
    if house.versioned:
        said = sent.pop(VERSION, [])
        if said != ["1"]:
            told = "it is missing" if not said else f"“{parameters.shown(said[-1])}” is not known"
            raise Refusal(400, f"{VERSION}: {told}; send {VERSION}=1.")
    return parameters.read(function.parameters, sent)


def _sent(request: HttpRequest) -> dict[str, list[str]]:
    """Query and form body together. Raises Refusal."""
    found: dict[str, list[str]] = {}
    try:
        for query in (request.GET, request.POST) if _has_form(request) else (request.GET,):
            for name, values in query.lists():
                found.setdefault(name, []).extend(map(str, values))
    except RequestDataTooBig as error:
        raise Refusal(413, "The body is too large.") from error
    except (SuspiciousOperation, BadRequest, UnreadablePostError) as error:
        raise Refusal(400, "The parameters cannot be read: there are too many, or they are not UTF-8.") from error
    return found


def _has_form(request: HttpRequest) -> bool:
    """Whether there is a form body; another one is refused: its parameters would count for nothing."""
    if request.method != "POST":
        return False
    if "HTTP_TRANSFER_ENCODING" in request.META:
        raise Refusal(411, "Send the body in one piece, with its length.")
    if request.META.get("CONTENT_LENGTH") in ("", "0", None):
        return False
    if request.content_type != FORM:
        raise Refusal(415, f"Send parameters in the address, or in the body as {FORM}.")
    return True


# --- what is answered -------------------------------------------------------------------------------------------------


def _refused(house: House, name: str, refusal: Refusal) -> HttpResponse:
    answer = {**house.wrap(parameters.shown(name), refusal.reason), **house.failed}
    return _json(_text(answer), refusal.status, refusal.headers)


def _text(data: Data) -> str:
    """As JSON, readable for who looks at it with curl."""
    return json.dumps(data, ensure_ascii=False)


def _json(text: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HttpResponse:
    answer = HttpResponse(text + "\n", content_type="application/json", status=status, headers=_headers(headers))
    answer["Content-Length"] = str(len(answer.content))
    return answer


def _streamed(around: str, data: Streamed) -> StreamingHttpResponse:
    def pieces() -> Iterator[str]:
        yield f'{around[:-1]}, "data": '
        yield from data.pieces
        yield "}\n"

    return StreamingHttpResponse(pieces(), content_type="application/json", headers=_headers(None))


def _headers(more: Mapping[str, str] | None) -> dict[str, Any]:
    return {"Cache-Control": "no-store", **(more or {})}
