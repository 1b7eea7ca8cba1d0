"""Calls of the API go to its doors past everything that is for browsers: sessions, cookies, CSRF, languages, pages."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from . import doors

DOORS = {"/json-api/": doors.whm, "/execute/SSL/": doors.uapi}
# UAPI's other modules are none of ours; they are answered in UAPI's form.
OTHER_MODULES = "/execute/"
DESCRIPTION = "/api/openapi.json"


class Calls:
    """Answers them itself. The description of the API is a page, too: it is answered here where a token comes along."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        path = request.path_info
        for prefix, door in DOORS.items():
            if path.startswith(prefix):
                return door(request, path.removeprefix(prefix))
        if path.startswith(OTHER_MODULES):
            return doors.uapi(request, path.removeprefix(OTHER_MODULES))
        if path == DESCRIPTION and "HTTP_AUTHORIZATION" in request.META:
            return doors.description(request)
        return self.get_response(request)
